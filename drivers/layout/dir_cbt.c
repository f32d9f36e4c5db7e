/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Logs of changed blocks as files beside the images: <uuid>.cbtlog. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/fs.h"
#include "drivers/cbt.h"
#include "drivers/layout.h"
#include "drivers/layout/dir.h"
#include "drivers/sr.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/io.h"

static const char *name_of(char name[DIR_NAME], const struct uuid *u)
{
	snprintf(name, DIR_NAME, "%s" CBT_SUFFIX, u->s);
	return name;
}

static int say(struct sr *sr, int err, const char *what, const char *name)
{
	if (err == -ENOSPC || err == -EDQUOT)
		err = -E_SR_NO_SPACE;
	return fail(sr->ctx, err == -EROFS ? -E_SR_READ_ONLY : err, "%s %s", what, name);
}

bool dir_has_log(struct sr *sr, const struct uuid *u)
{
	char name[DIR_NAME];
	struct stat st;

	return !fstatat(sr->dir, name_of(name, u), &st, AT_SYMLINK_NOFOLLOW) || errno != ENOENT;
}

static int open_log(struct sr *sr, const struct uuid *u, bool writable, struct io **io)
{
	char name[DIR_NAME];
	int err = io_open(io, sr->dir, name_of(name, u), IO_NOFOLLOW | (writable ? IO_RDWR : 0));

	return err && err != -ENOENT ? say(sr, err, "open", name) : err;
}

static int write_new(int tmp, const char *name, const struct cbt *c)
{
	_io_close_ struct io *io = NULL;
	int err = unlink_quiet(tmp, name);		/* a death may have left one */

	if (!err)
		err = io_open(&io, tmp, name, IO_RDWR | IO_CREATE);
	return err ? err : cbt_create(io, c);
}

/* In .sm/tmp, and then its name (commit). */
static int make(struct sr *sr, const struct uuid *u, const struct cbt *c)
{
	_close_ int tmp = -1;
	char name[DIR_NAME];
	int err = dir_open_tmp(sr, &tmp);

	if (err)
		return err;
	err = write_new(tmp, name_of(name, u), c);
	if (!err)
		err = fs_rename_new(tmp, name, sr->dir, name);	/* commit */
	if (err) {
		unlink_quiet(tmp, name);
		return say(sr, err, "make", name);
	}
	err = fs_sync_dir(sr->dir);
	return err ? say(sr, err, "keep", name) : 0;
}

static int rename_log(struct sr *sr, const struct uuid *from, const struct uuid *to)
{
	char old[DIR_NAME], new[DIR_NAME];
	int err = fs_rename_new(sr->dir, name_of(old, from), sr->dir, name_of(new, to));	/* commit */

	if (!err)
		err = fs_sync_dir(sr->dir);
	return err ? say(sr, err, "rename", old) : 0;
}

/* The record of a disk that was nothing but its log goes before it. */
static int remove_log(struct sr *sr, const struct uuid *u)
{
	_close_ int records = -1;
	char name[DIR_NAME];
	struct vdi vdi;
	int err = dir_find(sr, u, &vdi) == -E_VDI_MISSING ? dir_sub(sr, ".sm/vdi", &records) : -ENOENT;

	fail_clear(sr->ctx);
	if (!err)
		err = dir_clear_away(records, u->s);
	if (!err || err == -ENOENT)
		err = unlink_quiet(sr->dir, name_of(name, u));	/* commit */
	if (!err)
		err = fs_sync_dir(sr->dir);
	return err ? say(sr, err, "remove", name) : 0;
}

static int list(struct sr *sr, struct uuid **v, size_t *n)
{
	_closedir_ DIR *d = dir_entries(sr->dir);
	struct dirent *e;
	struct dir_seen seen = dir_begin(sr->ctx->watched);
	size_t room = 0;

	*v = NULL;
	*n = 0;
	while (d && (e = dir_next(d, &seen))) {
		struct uuid u;

		if (strlen(e->d_name) != UUID_LEN + strlen(CBT_SUFFIX) ||
		    strcmp(e->d_name + UUID_LEN, CBT_SUFFIX) || uuid_parse_n(&u, e->d_name, UUID_LEN))
			continue;
		if (*n == room)
			*v = arena_grow(&sr->ctx->arena, *v, *n, room = 2 * room + 8, sizeof(**v));
		(*v)[(*n)++] = u;
	}
	return dir_ended(sr);
}

static void names(struct sr *sr, struct vdi *vdi)
{
	_close_ int records = -1;

	dir_sub(sr, ".sm/vdi", &records);
	if (dir_take_record(sr, records, vdi))
		fail_clear(sr->ctx);
}

const struct cbt_store dir_logs = {
	.open = open_log,
	.make = make,
	.rename = rename_log,
	.remove = remove_log,
	.list = list,
	.names = names,
};
