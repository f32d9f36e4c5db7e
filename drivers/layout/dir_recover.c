/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a process that died has left in a directory.
 *
 * The SR lock is ours, so it is nobody's any more.  Journals first: what they
 * need may lie in .sm/tmp.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "drivers/layout.h"
#include "drivers/layout/dir.h"
#include "drivers/lease.h"
#include "drivers/sr.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/log.h"

/* --- journals ------------------------------------------------------------------ */

static bool is_resize_journal(const char *name, struct uuid *u)
{
	return !strncmp(name, ".journal-", 9) && !uuid_parse(u, name + 9);
}

/* "<uuid>.vhd.new": where upstream makes the new leaf of a snapshot. */
static bool is_new_leaf(const struct sr *sr, const char *name)
{
	char volume[DIR_NAME];
	size_t n = strlen(name);
	struct uuid u;

	if (n < 5 || n >= sizeof(volume) || strcmp(name + n - 4, ".new"))
		return false;
	memcpy(volume, name, n - 4);
	volume[n - 4] = '\0';
	return dir_volume_name(sr, volume, &u);
}

/* A journal whose image is there is left alone: with it the image may still be mended. */
bool dir_is_leftover(struct sr *sr, const char *name)
{
	struct vdi vdi;
	struct uuid u;
	bool gone;

	if (is_new_leaf(sr, name))
		return true;
	if (!is_resize_journal(name, &u))
		return false;
	gone = dir_find(sr, &u, &vdi) == -E_VDI_MISSING;
	fail_clear(sr->ctx);
	return gone;
}

static int finish_one(struct sr *sr, const char *name)
{
	struct uuid u;
	int err = 0;

	if (is_new_leaf(sr, name))
		return dir_clear_away(sr->dir, name);
	if (dir_is_split_journal(name))
		return dir_split_recover(sr, name);
	if (dir_is_leaf_journal(name))
		err = dir_leaf_recover(sr, name);
	else if (dir_is_compose_journal(name))
		err = dir_compose_recover(sr, name);
	else if (is_resize_journal(name, &u))
		err = dir_revert(sr, &u);
	/* One image that cannot be mended must not stop the others: sr check tells. */
	if (err && err_kind(err) == -EUCLEAN) {
		logf_err(sr->ctx, "%s", sr->ctx->why);
		fail_clear(sr->ctx);
		err = 0;
	}
	return err;
}

static int finish_journals(struct sr *sr)
{
	_closedir_ DIR *d = dir_entries(sr->dir);
	struct dirent *e;
	struct dir_seen seen = dir_begin(sr->ctx->watched);
	int err = 0;

	while (!err && d && (e = dir_next(d, &seen)))
		err = finish_one(sr, e->d_name);
	return err ? err : dir_ended(sr);
}

/* --- .sm/tmp -------------------------------------------------------------------- */

/* The record goes first, so that a death in here leaves the file to be found. */
int dir_recover(struct sr *sr)
{
	_close_ int tmp = -1, vdi = -1;
	_closedir_ DIR *d = NULL;
	struct dirent *e;
	struct dir_seen seen = dir_begin(sr->ctx->watched);
	int err = WITH_TREES ? finish_journals(sr) : 0;

	if (err)
		return err;
	err = dir_sub(sr, ".sm/tmp", &tmp);
	if (err)
		return err == -ENOENT ? 0 : fail(sr->ctx, err, "open .sm/tmp");
	d = dir_entries(tmp);
	if (!d)
		return fail(sr->ctx, -errno, "read .sm/tmp");
	while ((e = dir_next(d, &seen))) {
		struct uuid u;
		struct vdi there = { 0 };

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (vdi < 0 && (err = dir_sub(sr, ".sm/vdi", &vdi)) && err != -ENOENT)
			return fail(sr->ctx, err, "open .sm/vdi");
		if (vdi >= 0 && dir_volume_name(sr, e->d_name, &u) &&
		    dir_find(sr, &u, &there) == -E_VDI_MISSING && !(WITH_LOGS && dir_has_log(sr, &u))) {
			err = dir_clear_away(vdi, u.s);
			if (err)
				return fail(sr->ctx, err, "remove the record %s", u.s);
			/* Who deleted it had it locked. */
			if (IS_ENABLED(CONFIG_DIR_LOCKS) && (err = dir_leases.forget(sr, &u)))
				return err;
		}
		fail_clear(sr->ctx);
		err = dir_clear_away(tmp, e->d_name);
		if (err)
			return fail(sr->ctx, err, "remove .sm/tmp/%s", e->d_name);
	}
	return errno ? fail(sr->ctx, -errno, "read .sm/tmp") : 0;
}
