/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Volumes as files of a directory.
 *
 *	<SR>/<uuid>.raw, .vhd	the images, upstream's names
 *	<SR>/.sm/sr		uuid, type, name: this directory is an SR
 *	<SR>/.sm/vdi/<uuid>	name, description, type of a VDI
 *	<SR>/.sm/tmp/		volumes being made or removed, records being written
 *	<SR>/clone_<uuid>	a snapshot or clone of that disk is on its way
 *	<SR>/coalesce_<uuid>	that image is being copied into its parent,
 *	<SR>/relink_<uuid>	or has been, and its children get that for a parent
 *	<SR>/leaf_<uuid>	the parent is taking the place of that disk
 *	<SR>/.journal-<uuid>	what undoes the resize of that VHD
 *	<SR>/<uuid>.cbtlog	which blocks of that disk have changed
 *
 * The rename into or out of .sm/tmp is the commit of every change but those of
 * an image in place.  What a dead process left in .sm/tmp is therefore either
 * not yet or no longer anything, and the next verb that changes the SR removes
 * it, a volume together with its record (dir_recover); journals come first.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/fs.h"
#include "drivers/keep.h"
#include "drivers/layout.h"
#include "drivers/layout/dir.h"
#include "drivers/layout/record.h"
#include "drivers/lease.h"
#include "drivers/sr.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/file.h"

/* Step by step, since O_NOFOLLOW looks at the last component only. */
int dir_sub(struct sr *sr, const char *name, int *fd)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	bool below = !strncmp(name, ".sm/", 4);
	_close_ int sm = below ? openat(sr->dir, ".sm", flags) : -1;

	if (below && sm < 0)
		return -errno;
	*fd = openat(below ? sm : sr->dir, below ? name + 4 : name, flags);
	return *fd < 0 ? -errno : 0;
}

int dir_clear_away(int dir, const char *name)
{
	if (!unlinkat(dir, name, 0) || errno == ENOENT || errno == EISDIR || errno == EPERM ||
	    errno == EROFS)
		return 0;
	return -errno;
}

const struct format *dir_volume_name(const struct sr *sr, const char *name, struct uuid *u)
{
	size_t n = strlen(name);

	if (n < UUID_LEN + 2 || name[UUID_LEN] != '.' || uuid_parse_n(u, name, UUID_LEN))
		return NULL;
	return sr_format(sr->type, name + UUID_LEN + 1);
}

void dir_set_volume(struct vdi *vdi, const char *format)
{
	snprintf(vdi->volume, sizeof(vdi->volume), "%s.%s", vdi->uuid.s, format);
}

/* .sm/tmp, which an SR of upstream's does not have yet. */
int dir_open_tmp(struct sr *sr, int *tmp)
{
	int err;

	if ((mkdirat(sr->dir, ".sm", 0700) && errno != EEXIST) ||
	    (mkdirat(sr->dir, ".sm/tmp", 0700) && errno != EEXIST))
		return fail(sr->ctx, errno == EROFS ? -E_SR_READ_ONLY :
			    errno == ENOSPC ? -E_SR_NO_SPACE : -errno, "make .sm/tmp");
	err = dir_sub(sr, ".sm/tmp", tmp);
	return err ? fail(sr->ctx, err, "open .sm/tmp") : 0;
}

int dir_put_record(struct sr *sr, const struct uuid *of, int dir, const char *name,
		   const struct kvs *kvs, bool must_be_new)
{
	_close_ int tmp = -1;
	int err = dir_open_tmp(sr, &tmp);

	if (err)
		return err;
	err = record_write_new(tmp, of->s, kvs);
	if (err)
		return err;
	if (must_be_new)
		err = fs_rename_new(tmp, of->s, dir, name);	/* commit */
	else if (renameat(tmp, of->s, dir, name))		/* commit */
		err = -errno;
	if (err) {
		unlink_quiet(tmp, of->s);
		return err;
	}
	err = fs_sync_dir(dir);
	if (err && must_be_new)
		unlink_quiet(dir, name);
	return err;
}

/* --- the layout ------------------------------------------------------------- */

static int dir_open(struct sr *sr, bool recover)
{
	struct kvs marker = { 0 };
	const char *uuid;
	int err = dir_read_marker(sr, sr->dir, &marker);

	/* An SR of upstream's has no marker: its uuid is what the caller says. */
	if (err && err != -ENOENT)
		return fail(sr->ctx, err, "read .sm/sr");
	uuid = kv_get(&marker, "uuid");
	if (uuid && strcmp(uuid, sr->uuid.s)) {
		hint(sr->ctx, "sm sr introduce %.36s --type %s", uuid, sr->type->names[0]);
		return fail_say(sr->ctx, -E_SR_MISSING, "another SR lives here: %.36s", uuid);
	}
	if (!err) {
		sr->name = kv_get(&marker, "name");
		sr->description = kv_get(&marker, "description");
	}
	err = IS_ENABLED(CONFIG_SHARED_SR) && recover ? sr_enter(sr) : 0;
	return err || !recover ? err : dir_recover(sr);
}

static int dir_stat(struct sr *sr, struct sr_info *info)
{
	struct fs_space s;
	int err = fs_space(sr->dir, &s);

	if (err)
		return fail(sr->ctx, err, "ask for the file system's size");
	info->size = s.size;
	info->used = s.size - s.free;
	return 0;
}

#define IF_TREES(fn)	(WITH_TREES ? (fn) : NULL)
#define IF_GC(fn)	(WITH_TREES && IS_ENABLED(CONFIG_GC) ? (fn) : NULL)

const struct layout layout_dir = {
	.name = "dir",
	.can_share = IS_ENABLED(CONFIG_VDI_COPY),
	.create = dir_create,
	.destroy = dir_destroy,
	.probe = dir_probe,
	.open = dir_open,
	.rename = dir_rename,
	.stat = dir_stat,
	.list = dir_list,
	.find = dir_find,
	.children = IF_TREES(dir_children),
	.volume_create = dir_volume_create,
	.volume_delete = dir_volume_delete,
	.volume_resize = dir_volume_resize,
	.volume_describe = dir_describe,
	.volume_split = IF_TREES(dir_volume_split),
	.split_space = IF_TREES(dir_split_space),
	.volume_compose = IF_TREES(dir_volume_compose),
	.volume_hide = IF_TREES(dir_volume_hide),
	.volume_io = IF_TREES(dir_volume_io),
	.merge_begin = IF_GC(dir_merge_begin),
	.merge_copied = IF_GC(dir_merge_copied),
	.merge_end = IF_GC(dir_merge_end),
	.merge_leaf = IF_GC(dir_merge_leaf),
	.merge_journals = IF_GC(dir_merge_journals),
	.merge_forget = IF_GC(dir_merge_forget),
	.volume_open = dir_volume_open,
	.check = dir_check,
	.backup = IS_ENABLED(CONFIG_CHECK_BACKUP) ? &dir_backup : NULL,
	.leases = IS_ENABLED(CONFIG_DIR_LOCKS) ? &dir_leases : NULL,
	.logs = IS_ENABLED(CONFIG_DIR_CBT) ? &dir_logs : NULL,
};
