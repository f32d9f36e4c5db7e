/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Volumes of a directory: made, grown, removed, opened. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/fs.h"
#include "drivers/format.h"
#include "drivers/layout.h"
#include "drivers/layout/dir.h"
#include "drivers/layout/record.h"
#include "drivers/lease.h"
#include "drivers/sr.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/io.h"
#include "lib/log.h"

/* What a full or read-only file system is called here. */
static int say_why(int err)
{
	switch (err) {
	case -ENOSPC:
	case -EDQUOT:	return -E_SR_NO_SPACE;
	case -EFBIG:	return -E_VDI_SIZE;
	case -EROFS:	return -E_SR_READ_ONLY;
	default:	return err;
	}
}

/*
 * The other's file, block for block: an image with the same parents.  It becomes
 * an image of its own where the format gives it an identity.
 */
static int share_image(struct sr *sr, int tmp, const struct vdi *vdi, const struct vdi *of,
		       const struct format *f, struct io **io)
{
	_close_ int from = -1;
	int err = dir_volume_open(sr, of, false, &from);

	if (err)
		return err;
	err = fs_clone((*io)->fd, from);
	if (err == -EXDEV || err == -EINVAL || err == -ENOTTY || err == -EOPNOTSUPP)
		return -EOPNOTSUPP;
	io_close(*io);			/* it knows the size that the file had */
	*io = NULL;
	if (!err)
		err = io_open(io, tmp, vdi->volume, IO_RDWR | IO_NOFOLLOW);
	if (!err && f->renew)
		err = f->renew(sr->ctx, *io);
	return err;
}

int dir_make_image(struct sr *sr, int tmp, const struct vdi *vdi, const struct volume_spec *spec,
		   const char *parent_name)
{
	_io_close_ struct io *io = NULL, *parent = NULL;
	struct image_new new = { .virtual_size = spec->virtual_size };
	int err = 0;

	if (WITH_TREES && spec->parent) {
		err = dir_volume_io(sr, spec->parent, false, &parent);
		new.parent = parent;
		new.parent_format = sr_format(sr->type, spec->parent->format);
		new.parent_path = arena_printf(&sr->ctx->arena, "./%s", parent_name);
	}
	if (!err)
		err = io_open(&io, tmp, vdi->volume, IO_RDWR | IO_CREATE);
	if (!err)
		err = IS_ENABLED(CONFIG_VDI_COPY) && spec->copy_of ?
			share_image(sr, tmp, vdi, spec->copy_of, spec->format, &io) :
			spec->format->create(sr->ctx, io, &new);
	if (!err && spec->thick)
		err = fs_allocate(io->fd, 0, io->size);
	if (!err)
		err = io_flush(io);
	if (!err && fsync(io->fd))
		err = -errno;
	err = say_why(err);
	return err ? fail(sr->ctx, err, "make %s", vdi->volume) : 0;
}

static int must_be_new(struct sr *sr, const struct vdi *vdi)
{
	struct vdi there;
	int err = dir_find(sr, &vdi->uuid, &there);

	if (err == -E_VDI_MISSING)
		return 0;
	if (err && err_kind(err) != -EUCLEAN)	/* damaged, but there */
		return err;
	fail_clear(sr->ctx);
	return fail_say(sr->ctx, -E_VDI_EXISTS, "VDI %s already exists", vdi->uuid.s);
}

/* Over the one that is there: what it held is gone by that, and its record stays. */
static int put_in_place(struct sr *sr, int tmp, struct vdi *vdi)
{
	int err = renameat(tmp, vdi->volume, sr->dir, vdi->volume) ? -errno : 0;	/* commit */

	if (err) {
		unlink_quiet(tmp, vdi->volume);
		return fail(sr->ctx, say_why(err), "replace %s", vdi->volume);
	}
	err = fs_sync_dir(sr->dir);
	return err ? fail(sr->ctx, err, "keep %s", vdi->volume) : dir_find(sr, &vdi->uuid, vdi);
}

/*
 * The file in .sm/tmp, the record, the contents, and then the name (commit).
 * A death before it leaves the file in .sm/tmp, by which dir_recover() finds the
 * record as well.
 */
int dir_volume_create(struct sr *sr, struct vdi *vdi, const struct volume_spec *spec)
{
	_close_ int tmp = -1, records = -1;
	bool replace = WITH_TREES && spec->replace;
	int err = replace ? 0 : must_be_new(sr, vdi);

	if (WITH_TREES && !err && spec->thick && !spec->format->direct) {
		hint(sr->ctx, "--format raw");
		err = fail_say(sr->ctx, -E_ARG, "a disk of format %s in a directory is always thin",
			       spec->format->name);
	}
	if (!err)
		err = dir_open_tmp(sr, &tmp);
	if (err)
		return err;
	dir_set_volume(vdi, spec->format->name);
	vdi->format = spec->format->name;
	vdi->virtual_size = spec->virtual_size;
	err = dir_make_image(sr, tmp, vdi, spec, spec->parent ? spec->parent->volume : NULL);
	if (err)
		goto undo_image;
	if (replace)
		return put_in_place(sr, tmp, vdi);
	err = dir_describe(sr, vdi);
	if (err)
		goto undo_record;
	err = fs_rename_new(tmp, vdi->volume, sr->dir, vdi->volume);	/* commit */
	if (err) {
		fail(sr->ctx, err, "name %s", vdi->volume);
		goto undo_record;
	}
	err = fs_sync_dir(sr->dir);
	if (err) {
		fail(sr->ctx, err, "keep the name %s", vdi->volume);
		goto undo_name;
	}
	return dir_find(sr, &vdi->uuid, vdi);

undo_name:
	/* Back to where a death finds it as well. */
	if (renameat(sr->dir, vdi->volume, tmp, vdi->volume))
		unlink_quiet(sr->dir, vdi->volume);
undo_record:
	if (!dir_sub(sr, ".sm/vdi", &records))
		unlink_quiet(records, vdi->uuid.s);
undo_image:
	unlink_quiet(tmp, vdi->volume);
	return say_why(err);
}

/*
 * Out of sight (commit), then the record, then the space.  The record stays while a log of
 * the disk's changes does: that is a disk without data, and goes by its own name.
 */
int dir_volume_delete(struct sr *sr, const struct vdi *vdi)
{
	_close_ int tmp = -1, records = -1;
	int err;

	err = dir_open_tmp(sr, &tmp);
	if (err)
		return err;
	if (renameat(sr->dir, vdi->volume, tmp, vdi->volume) && errno != ENOENT)	/* commit */
		return fail(sr->ctx, errno == EROFS ? -E_SR_READ_ONLY : -errno, "remove %s",
			    vdi->volume);
	err = fs_sync_dir(sr->dir);
	if (!err && !(WITH_LOGS && dir_has_log(sr, &vdi->uuid)))
		err = dir_sub(sr, ".sm/vdi", &records);
	/* The volume goes last: dir_recover() finds the record by it. */
	if (!err && (!WITH_LOGS || records >= 0))
		err = dir_clear_away(records, vdi->uuid.s);
	if (!err || err == -ENOENT)
		err = unlink_quiet(tmp, vdi->volume);
	return err ? fail(sr->ctx, err, "remove %s", vdi->volume) : 0;
}

/* --- growing -------------------------------------------------------------------- */

void dir_resize_journal(char *name, const struct uuid *u)
{
	snprintf(name, DIR_NAME, ".journal-%s", u->s);
}

/* Does it open again?  Then whatever the journal was about has not begun, or is over. */
static bool is_sound(struct sr *sr, const struct format *f, struct io *image)
{
	struct image_facts facts = { 0 };
	bool sound = !f->load(sr->ctx, image, &facts);

	fail_clear(sr->ctx);
	return sound;
}

/* A journal that is not whole protects nothing: the image was not touched before it was. */
static int revert_image(struct sr *sr, const struct format *f, struct io *image, const char *name)
{
	_io_close_ struct io *journal = NULL;
	int err = io_open(&journal, sr->dir, name, IO_RDWR | IO_NOFOLLOW);

	if (err == -ENOENT)
		return 0;
	if (!err && journal->size)
		err = f->revert(sr->ctx, image, journal);
	if (err && is_sound(sr, f, image))
		return 0;
	if (!err && fsync(image->fd))
		err = -errno;
	return err;
}

int dir_revert(struct sr *sr, const struct uuid *u)
{
	char name[DIR_NAME];
	struct vdi vdi = { .uuid = *u };
	const struct format *f;
	int err = 0;

	dir_resize_journal(name, u);
	for (size_t i = 0; (f = sr_format_at(sr->type, i)); i++) {
		_io_close_ struct io *image = NULL;

		if (!f->revert)
			continue;
		dir_set_volume(&vdi, f->name);
		err = io_open(&image, sr->dir, vdi.volume, IO_RDWR | IO_NOFOLLOW);
		if (err == -ENOENT)
			continue;
		if (!err)
			err = revert_image(sr, f, image, name);
		if (err)
			return fail(sr->ctx, err, "%s", vdi.volume);
	}
	err = dir_clear_away(sr->dir, name);
	if (!err)
		err = fs_sync_dir(sr->dir);
	return err ? fail(sr->ctx, err, "remove %s", name) : 0;
}

/*
 * The journal is there before the image is touched; a death leaves it, and
 * dir_recover() undoes by it what was done.
 */
static int grow_with_journal(struct sr *sr, const struct format *f, struct vdi *vdi,
			     struct io *io, uint64_t virtual_size)
{
	_io_close_ struct io *journal = NULL;
	char name[DIR_NAME];
	int err, undo;

	dir_resize_journal(name, &vdi->uuid);
	err = io_open(&journal, sr->dir, name, IO_RDWR | IO_CREATE);
	if (!err)
		err = fs_sync_dir(sr->dir);
	if (err) {
		if (journal)
			unlink_quiet(sr->dir, name);
		return fail(sr->ctx, say_why(err), "make %s", name);
	}
	err = f->resize(sr->ctx, io, virtual_size, journal);	/* commit */
	if (!err && fsync(io->fd))
		err = fail(sr->ctx, -errno, "flush %s", vdi->volume);
	/* After a success it is empty and only goes; what cannot be done now the next verb does. */
	undo = dir_revert(sr, &vdi->uuid);
	if (!err && undo) {
		logf_err(sr->ctx, "%s", sr->ctx->why);
		fail_clear(sr->ctx);
	}
	return err;
}

int dir_volume_resize(struct sr *sr, struct vdi *vdi, uint64_t virtual_size)
{
	const struct format *f = sr_format(sr->type, vdi->format);
	_io_close_ struct io *io = NULL;
	uint64_t journal = 0;
	int err;

	err = WITH_TREES ? dir_must_be_one(sr, vdi) : 0;
	if (!err)
		err = io_open(&io, sr->dir, vdi->volume, IO_RDWR | IO_NOFOLLOW);
	if (err)
		return fail(sr->ctx, err, "open %s", vdi->volume);
	if (!f->resize)
		return fail(sr->ctx, -E_UNSUPPORTED, "resize a disk of format %s", f->name);
	if (WITH_TREES && f->journal)
		err = f->journal(sr->ctx, io, virtual_size, &journal);
	if (!err && journal)
		err = grow_with_journal(sr, f, vdi, io, virtual_size);
	else if (!err)
		err = f->resize(sr->ctx, io, virtual_size, NULL);	/* commit */
	if (!err && fsync(io->fd))
		err = fail(sr->ctx, -errno, "flush %s", vdi->volume);
	if (err)
		return fail(sr->ctx, say_why(err), "%s", vdi->volume);
	return dir_find(sr, &vdi->uuid, vdi);
}

/* --- opening -------------------------------------------------------------------- */

int dir_volume_open(struct sr *sr, const struct vdi *vdi, bool writable, int *fd)
{
	struct stat st;
	int err = 0;

	*fd = openat(sr->dir, vdi->volume,
		     (writable ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (*fd < 0)
		return fail(sr->ctx, errno == ENOENT ? -E_VDI_MISSING : -errno, "open %s", vdi->volume);
	/* It may have been replaced since it was listed. */
	if (fstat(*fd, &st) || !S_ISREG(st.st_mode))
		err = fail_say(sr->ctx, -E_VDI_LOAD, "%s is not an image file", vdi->volume);
	else if (WITH_TREES && writable)
		err = dir_must_be_one(sr, vdi);
	if (err)
		close(take_fd(fd));
	return err;
}

int dir_volume_io(struct sr *sr, const struct vdi *vdi, bool writable, struct io **io)
{
	int fd = -1;
	int err = IS_ENABLED(CONFIG_SHARED_SR) ? sr_renew(sr) : 0;

	if (err)
		return err;
	err = dir_volume_open(sr, vdi, writable, &fd);
	if (!err)
		err = io_from_fd(io, fd, writable ? IO_RDWR : IO_RDONLY);
	return err ? fail(sr->ctx, err, "%s", vdi->volume) : 0;
}
