/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Locks of an SR that is a directory: files beside the disks (lease_file.h). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch/clock.h"
#include "drivers/format.h"
#include "drivers/layout/dir.h"
#include "drivers/layout/lease_file.h"
#include "drivers/lease.h"
#include "drivers/sr.h"
#include "lib/err.h"
#include "lib/file.h"

static void stem_of(const struct sr *sr, struct lease_stem *stem, const struct uuid *vdi)
{
	char name[DIR_NAME];

	snprintf(name, sizeof(name), "%s.raw", vdi->s);
	lease_file_stem(stem, name);		/* which fits */
	if (IS_ENABLED(CONFIG_NFS_GUARD))
		stem->watched = sr->ctx->watched;
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

	stem_of(sr, &stem, vdi);
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

	stem_of(sr, &stem, &vdi->uuid);
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

	stem_of(sr, &stem, &vdi->uuid);
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
	stem_of(sr, &stem, vdi);
	return failed(sr, lease_file_forget(sr->dir, &stem), vdi);
}

/* --- all of them --------------------------------------------------------------------- */

#define RECORDS_MOST	(1u << 18)		/* in an SR: a server may tell of any number */
#define CHANGING	(30 * NS_PER_S)		/* for those that change hands just now, and … */
#define DAMAGED		8			/* … for so many that seem to be damaged, and may only be written */

struct found {
	struct uuid vdi;
	uint64_t generation;
};

static int by_disk(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	int how = strcmp(x->vdi.s, y->vdi.s);

	return how ? how : x->generation > y->generation ? -1 : 1;
}

/* Sorted, the highest generation of each first. */
static int all_records(struct sr *sr, struct found **v, size_t *n)
{
	_closedir_ DIR *d = dir_entries(sr->dir);
	struct dir_seen seen = dir_begin(sr->ctx->watched);
	struct dirent *e;
	size_t room = 0;

	while (d && (e = dir_next(d, &seen))) {
		struct found f;

		if (!lease_file_is(e->d_name, &f.vdi, &f.generation))
			continue;
		errno = EOVERFLOW;
		if (*n == RECORDS_MOST)
			break;
		if (*n == room)
			*v = arena_grow(&sr->ctx->arena, *v, *n, room = 2 * room + 64, sizeof(**v));
		(*v)[(*n)++] = f;
	}
	if (!d || errno)
		return dir_ended(sr);
	if (*n)
		qsort(*v, *n, sizeof(**v), by_disk);
	return 0;
}

/*
 * One look at the directory for all of them; what has changed since is read as
 * always.  held: only those that are not free.
 */
static int list(struct sr *sr, bool held, struct lease_list *l)
{
	uint64_t until = clock_now_mono() + CHANGING;
	struct found *v = NULL;
	size_t n = 0;
	int damaged = 0, err = all_records(sr, &v, &n);

	for (size_t i = 0, next; !err && i < n; i = next) {
		uint64_t g[LEASE_FILE_MOST];
		struct lease_seen s;
		size_t k = 0;

		for (next = i; next < n && uuid_equal(&v[next].vdi, &v[i].vdi); next++)
			if (k < LEASE_FILE_MOST)
				g[k++] = v[next].generation;
		s.err = lease_file_pick(sr->dir, &v[i].vdi, g, k, &s.lease);
		if ((s.err == -ENOENT || s.err == -ESTALE || (s.err == -E_DAMAGED && damaged++ < DAMAGED)) &&
		    clock_left(until)) {
			s.err = dir_lease_read(sr, &v[i].vdi, &s.lease);
			fail_clear(sr->ctx);
		}
		if (!held || s.err || s.lease.state != LEASE_FREE)
			*lease_list_add(sr, l) = s;
	}
	return err;
}

static int dir_lease_list(struct sr *sr, struct lease_list *l)
{
	return list(sr, true, l);
}

int dir_leases_end(struct sr *sr)
{
	struct lease_list l = { 0 };
	struct lease_look me;
	int err = lease_who(sr->ctx, &me);

	if (!err)
		err = list(sr, false, &l);
	for (size_t i = 0; i < l.n && !err; i++) {
		const struct lease *now = &l.v[i].lease;

		if (!l.v[i].err && (now->state == LEASE_FREE || uuid_equal(&now->host, &me.host)))
			err = dir_lease_forget(sr, &now->vdi);
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
