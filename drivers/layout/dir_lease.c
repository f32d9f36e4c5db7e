/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Locks of an SR that is a directory: files beside the disks (lease_file.h). */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "drivers/format.h"
#include "drivers/layout/dir.h"
#include "drivers/layout/lease_file.h"
#include "drivers/lease.h"
#include "drivers/sr.h"
#include "lib/err.h"
#include "lib/file.h"

static void stem_of(struct lease_stem *stem, const struct uuid *vdi)
{
	char name[DIR_NAME];

	snprintf(name, sizeof(name), "%s.raw", vdi->s);
	lease_file_stem(stem, name);		/* which fits */
}

static int failed(struct sr *sr, int err, const struct uuid *vdi)
{
	if (err == -EROFS)
		err = -E_SR_READ_ONLY;
	if (err == -EPERM || err == -EOPNOTSUPP || err == -EMLINK)
		hint(sr->ctx, "locks need a file system that has hard links");
	return err && err != -EAGAIN && err != -E_NOT_LOCKED ?
		fail(sr->ctx, err, "the lock of VDI %s", vdi->s) : err;
}

static int dir_lease_read(struct sr *sr, const struct uuid *vdi, struct lease *now)
{
	struct lease_stem stem;
	int err;

	stem_of(&stem, vdi);
	err = lease_file_read(sr->dir, &stem, now, NULL);
	now->vdi = *vdi;
	return failed(sr, err, vdi);
}

/* The name it is shown by follows the format, which may have been another when it was taken. */
static int dir_lease_swap(struct sr *sr, const struct vdi *vdi, const struct lease *was, struct lease *now)
{
	const struct format *f;
	struct lease_stem stem;
	char name[DIR_NAME];
	int err;

	stem_of(&stem, &vdi->uuid);
	now->vdi = vdi->uuid;
	snprintf(name, sizeof(name), "%s.%s.xenlk", vdi->uuid.s, vdi->format ? vdi->format : "");
	/* What is no disk is not shown: a lock of the SR, of a reader. */
	err = lease_file_swap(sr->ctx, sr->dir, &stem, vdi->format ? name : NULL, was, now);
	for (size_t i = 0; !err && vdi->format && (f = sr_format_at(sr->type, i)); i++) {
		snprintf(name, sizeof(name), "%s.%s.xenlk", vdi->uuid.s, f->name);
		if (strcmp(f->name, vdi->format))
			unlinkat(sr->dir, name, 0);
	}
	return failed(sr, err, &vdi->uuid);
}

static int dir_lease_renew(struct sr *sr, const struct vdi *vdi, struct lease *held)
{
	struct lease_stem stem;

	stem_of(&stem, &vdi->uuid);
	return failed(sr, lease_file_renew(sr->ctx, sr->dir, &stem, held), &vdi->uuid);
}

static int dir_lease_forget(struct sr *sr, const struct uuid *vdi)
{
	const struct format *f;
	struct lease_stem stem;
	char name[DIR_NAME];

	for (size_t i = 0; (f = sr_format_at(sr->type, i)); i++) {
		snprintf(name, sizeof(name), "%s.%s.xenlk", vdi->s, f->name);
		unlinkat(sr->dir, name, 0);
	}
	stem_of(&stem, vdi);
	return failed(sr, lease_file_forget(sr->dir, &stem), vdi);
}

static struct lease_seen *entry_of(struct lease_list *l, const struct uuid *u)
{
	for (size_t i = 0; i < l->n; i++)
		if (uuid_equal(&l->v[i].lease.vdi, u))
			return &l->v[i];
	return NULL;
}

/* Which locks have files, held or not. */
static int all_names(struct sr *sr, struct lease_list *l)
{
	_closedir_ DIR *d = dir_entries(sr->dir);
	struct dirent *e;
	unsigned seen = 0;

	if (!d)
		return fail(sr->ctx, -errno, "read the directory");
	while ((e = dir_next(d, &seen))) {
		uint64_t generation;
		struct uuid u;

		if (lease_file_is(e->d_name, &u, &generation) && !entry_of(l, &u))
			lease_list_add(sr, l)->lease.vdi = u;
	}
	return errno ? fail(sr->ctx, -errno, "read the directory") : 0;
}

/* Each is read as always. */
static int dir_lease_list(struct sr *sr, struct lease_list *l)
{
	size_t kept = 0;
	int err = all_names(sr, l);

	if (err)
		return err;
	for (size_t i = 0; i < l->n; i++) {
		struct lease_seen s = { 0 };

		s.err = dir_lease_read(sr, &l->v[i].lease.vdi, &s.lease);
		if (s.err)
			fail_clear(sr->ctx);
		if (s.err || s.lease.state != LEASE_FREE)
			l->v[kept++] = s;
	}
	l->n = kept;
	return 0;
}

int dir_leases_end(struct sr *sr)
{
	struct lease_list l = { 0 };
	struct lease_look me;
	int err = lease_who(sr->ctx, &me);

	if (!err)
		err = all_names(sr, &l);
	for (size_t i = 0; i < l.n && !err; i++) {
		const struct uuid *u = &l.v[i].lease.vdi;
		struct lease now;

		if (dir_lease_read(sr, u, &now))
			fail_clear(sr->ctx);
		else if (now.state == LEASE_FREE || uuid_equal(&now.host, &me.host))
			err = dir_lease_forget(sr, u);
	}
	return err;
}

const struct lease_ops dir_leases = {
	.read = dir_lease_read,
	.swap = dir_lease_swap,
	.renew = dir_lease_renew,
	.forget = dir_lease_forget,
	.list = dir_lease_list,
};
