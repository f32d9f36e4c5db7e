/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The SR itself: its marker in a directory, making and removing it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/fs.h"
#include "drivers/layout.h"
#include "drivers/layout/dir.h"
#include "drivers/layout/record.h"
#include "drivers/lease.h"
#include "drivers/sr.h"
#include "lib/bytes.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/file.h"

int dir_read_marker(struct sr *sr, int dir, struct kvs *marker)
{
	_close_ int sm = openat(dir, ".sm", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (sm < 0)
		return -errno;
	return record_read(&sr->ctx->arena, sm, "sr", marker);
}

static int write_marker(struct sr *sr, bool must_be_new)
{
	struct arena *a = &sr->ctx->arena;
	struct kvs marker = { 0 };
	_close_ int sm = -1;
	int err = dir_sub(sr, ".sm", &sm);

	if (err)
		return err;
	/* Keys of later versions stay; of a damaged one only what can be read. */
	err = must_be_new ? 0 : record_read(a, sm, "sr", &marker);
	if (err && err != -ENOENT)
		return err;
	kv_set(a, &marker, "uuid", sr->uuid.s);
	kv_set(a, &marker, "type", sr->type->names[0]);
	kv_set(a, &marker, "name", sr->name ? sr->name : "");
	kv_set(a, &marker, "description", sr->description ? sr->description : "");
	return dir_put_record(sr, &sr->uuid, sm, "sr", &marker, must_be_new);
}

/* Nothing of anybody's may lie here.  lost+found is the file system's own. */
static int must_be_empty(struct sr *sr)
{
	_closedir_ DIR *d = dir_entries(sr->dir);
	struct dirent *e;
	struct dir_seen seen = dir_begin(sr->ctx->watched);

	while (d && (e = dir_next(d, &seen))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
		    !strcmp(e->d_name, ".sm") || !strcmp(e->d_name, "lost+found"))
			continue;
		hint(sr->ctx, "choose an empty directory");
		return fail_say(sr->ctx, -E_SR_EXISTS, "the directory is not empty: it holds %.64s",
				e->d_name);
	}
	return dir_ended(sr);
}

int dir_probe(struct sr *sr, struct sr_info *found)
{
	struct kvs marker = { 0 };
	const char *uuid;
	int err = dir_read_marker(sr, sr->dir, &marker);

	if (err == -ENOENT)
		return -E_SR_MISSING;
	if (err)
		return fail(sr->ctx, err, "read .sm/sr");
	uuid = kv_get(&marker, "uuid");
	if (!uuid || uuid_parse(&found->uuid, uuid))
		return fail_say(sr->ctx, -E_DAMAGED, ".sm/sr names no SR: it has no valid uuid");
	found->name = kv_get(&marker, "name");
	found->description = kv_get(&marker, "description");
	found->type = kv_get(&marker, "type");
	return 0;
}

/* -E_SR_EXISTS and which one, or 0 when there is none. */
static int must_be_free(struct sr *sr)
{
	struct sr_info there = { 0 };
	int err = dir_probe(sr, &there);

	if (err)
		return err == -E_SR_MISSING ? 0 : err;
	hint(sr->ctx, "sm sr introduce %s --type %s", there.uuid.s, sr->type->names[0]);
	return fail_say(sr->ctx, -E_SR_EXISTS, "SR %s is here already", there.uuid.s);
}

/* Directories that are in use stay. */
static void remove_empty(struct sr *sr)
{
	rmdir_quiet(sr->dir, ".sm/vdi");
	rmdir_quiet(sr->dir, ".sm/tmp");
	rmdir_quiet(sr->dir, ".sm");
}

/*
 * Directories first, and durable, then the marker: the SR exists once .sm/sr
 * does.  What a death before that leaves is a .sm without one, which the next
 * create() takes over.  Two that create at once do not hold the same lock: the
 * marker is made, never replaced.
 */
int dir_create(struct sr *sr)
{
	static const char *const dirs[] = { ".sm", ".sm/vdi", ".sm/tmp" };
	int err = must_be_free(sr);

	if (!err)
		err = must_be_empty(sr);
	if (err)
		return err;
	for (size_t i = 0; i < ARRAY_SIZE(dirs) && !err; i++)
		if (mkdirat(sr->dir, dirs[i], 0700) && errno != EEXIST)
			err = fail(sr->ctx, errno == EROFS ? -E_SR_READ_ONLY : -errno, "make %s",
				   dirs[i]);
	if (!err)
		err = fs_sync_dir(sr->dir);
	if (!err)
		err = write_marker(sr, true);		/* commit */
	if (!err)
		return 0;
	remove_empty(sr);
	if (err == -EEXIST && (err = must_be_free(sr)) == -E_SR_EXISTS)
		return err;
	return fail(sr->ctx, err ? err : -E_SR_EXISTS, "write .sm/sr");
}

/* Remove what is in a directory of ours, and it; a foreign subdirectory stays. */
static int remove_all_in(struct sr *sr, const char *name)
{
	_close_ int fd = -1;
	_closedir_ DIR *d = NULL;
	struct dirent *e;
	struct dir_seen seen = dir_begin(sr->ctx->watched);
	int err = dir_sub(sr, name, &fd);

	if (err)
		return err == -ENOENT ? 0 : err;
	d = dir_entries(fd);
	if (!d)
		return -errno;
	while ((e = dir_next(d, &seen)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") &&
		    unlinkat(fd, e->d_name, 0) && errno != EISDIR && errno != EPERM && errno != ENOENT)
			return -errno;
	err = errno ? -errno : rmdir_quiet(sr->dir, name);
	return err == -ENOTEMPTY ? 0 : err;
}

/*
 * First what only an SR without VDIs can spare: records of none, and .sm/tmp.
 * Once the marker is gone, nothing that matters may be left to do.
 */
int dir_destroy(struct sr *sr)
{
	struct vdis l = { 0 };
	_close_ int sm = -1;
	int err = IS_ENABLED(CONFIG_SHARED_SR) ? sr_enter(sr) : 0;

	if (!err)
		err = dir_list(sr, &l);

	if (err)
		return err;
	if (l.n || l.n_problems) {
		hint(sr->ctx, "sm vdi list --sr %s", sr->uuid.s);
		return fail_say(sr->ctx, -E_SR_NOT_EMPTY, "%zu VDI%s in the SR",
				l.n + l.n_problems,
				l.n + l.n_problems == 1 ? " still exists" : "s still exist");
	}
	err = dir_sub(sr, ".sm", &sm);
	if (err)
		return err == -ENOENT ? 0 : fail(sr->ctx, err, "open .sm");
	err = remove_all_in(sr, ".sm/vdi");
	if (!err)
		err = remove_all_in(sr, ".sm/tmp");
	if (err)
		return fail(sr->ctx, err == -EROFS ? -E_SR_READ_ONLY : err, "clear .sm");
	if (unlinkat(sm, "sr", 0) && errno != ENOENT)	/* commit */
		return fail(sr->ctx, errno == EROFS ? -E_SR_READ_ONLY : -errno, "remove .sm/sr");
	err = fs_sync_dir(sm);
	/* A lock that is left by a death here is in nobody's way, but for a next SR in this directory. */
	if (IS_ENABLED(CONFIG_SHARED_SR))
		sr_leave(sr);
	if (IS_ENABLED(CONFIG_DIR_LOCKS) && !err)
		err = dir_leases_end(sr);
	remove_empty(sr);
	return err ? fail(sr->ctx, err, "remove .sm/sr") : 0;
}

int dir_rename(struct sr *sr, const char *name, const char *description)
{
	int err;

	if (mkdirat(sr->dir, ".sm", 0700) && errno != EEXIST)	/* an SR of upstream's */
		return fail(sr->ctx, -errno, "make .sm");
	if (name)
		sr->name = name;
	if (description)
		sr->description = description;
	err = write_marker(sr, false);		/* commit */
	return err ? fail(sr->ctx, err, "write .sm/sr") : 0;
}
