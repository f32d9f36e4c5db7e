/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Volumes as files of a directory.
 *
 *	<SR>/<uuid>.raw		the images, upstream's names
 *	<SR>/.sm/sr		uuid, type, name: this directory is an SR
 *	<SR>/.sm/vdi/<uuid>	name, description, type of a VDI
 *	<SR>/.sm/tmp/		volumes being made or removed, records being written
 *
 * The rename into or out of .sm/tmp is the commit of every change.  What a dead
 * process left in .sm/tmp is therefore either not yet or no longer anything, and
 * the next verb that changes the SR removes it, a volume together with its
 * record (dir_recover).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/fs.h"
#include "drivers/format.h"
#include "drivers/layout.h"
#include "drivers/layout/dir.h"
#include "drivers/layout/record.h"
#include "drivers/sr.h"
#include "lib/bytes.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/io.h"

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

/* What is not ours to remove, or cannot be, is in nobody's way. */
static int clear_away(int dir, const char *name)
{
	if (!unlinkat(dir, name, 0) || errno == ENOENT || errno == EISDIR || errno == EPERM ||
	    errno == EROFS)
		return 0;
	return -errno;
}

DIR *dir_entries(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		close(fd);
	return d;
}

static void cleanup_dir(DIR **d)
{
	if (*d)
		closedir(*d);
}
#define _closedir_ __attribute__((cleanup(cleanup_dir)))

/* "<uuid>.raw": which VDI, which format?  Not a volume's name: NULL. */
static const struct format *volume_name(const struct sr *sr, const char *name, struct uuid *u)
{
	size_t n = strlen(name);

	if (n < UUID_LEN + 2 || name[UUID_LEN] != '.' || uuid_parse_n(u, name, UUID_LEN))
		return NULL;
	return sr_format(sr->type, name + UUID_LEN + 1);
}

static void set_volume(struct vdi *vdi, const char *format)
{
	snprintf(vdi->volume, sizeof(vdi->volume), "%s.%s", vdi->uuid.s, format);
}

/* .sm/tmp, which an SR of upstream's does not have yet. */
static int open_tmp(struct sr *sr, int *tmp)
{
	int err;

	if ((mkdirat(sr->dir, ".sm", 0700) && errno != EEXIST) ||
	    (mkdirat(sr->dir, ".sm/tmp", 0700) && errno != EEXIST))
		return fail(sr->ctx, errno == EROFS ? -E_SR_READ_ONLY :
			    errno == ENOSPC ? -E_SR_NO_SPACE : -errno, "make .sm/tmp");
	err = dir_sub(sr, ".sm/tmp", tmp);
	return err ? fail(sr->ctx, err, "open .sm/tmp") : 0;
}

/*
 * Write a record to dir/name by way of .sm/tmp.  There it has the name of the
 * object: SRs being made in one directory do not hold the same lock.
 */
static int put_record(struct sr *sr, const struct uuid *of, int dir, const char *name,
		      const struct kvs *kvs, bool must_be_new)
{
	_close_ int tmp = -1;
	int err = open_tmp(sr, &tmp);

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

/* --- the SR --------------------------------------------------------------- */

static int read_marker(struct sr *sr, int dir, struct kvs *marker)
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
	return put_record(sr, &sr->uuid, sm, "sr", &marker, must_be_new);
}

/* Nothing of anybody's may lie here.  lost+found is the file system's own. */
static int must_be_empty(struct sr *sr)
{
	_closedir_ DIR *d = dir_entries(sr->dir);
	struct dirent *e;

	if (!d)
		return fail(sr->ctx, -errno, "read the directory");
	while (errno = 0, (e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
		    !strcmp(e->d_name, ".sm") || !strcmp(e->d_name, "lost+found"))
			continue;
		hint(sr->ctx, "choose an empty directory");
		return fail_say(sr->ctx, -E_SR_EXISTS, "the directory is not empty: it holds %.64s",
				e->d_name);
	}
	return errno ? fail(sr->ctx, -errno, "read the directory") : 0;
}

static int dir_probe(struct sr *sr, struct sr_info *found)
{
	struct kvs marker = { 0 };
	const char *uuid;
	int err = read_marker(sr, sr->dir, &marker);

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
static int dir_create(struct sr *sr)
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
	int err = dir_sub(sr, name, &fd);

	if (err)
		return err == -ENOENT ? 0 : err;
	d = dir_entries(fd);
	if (!d)
		return -errno;
	while (errno = 0, (e = readdir(d)))
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
static int dir_destroy(struct sr *sr)
{
	struct vdis l = { 0 };
	_close_ int sm = -1;
	int err = dir_list(sr, &l);

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
	remove_empty(sr);
	return err ? fail(sr->ctx, err, "remove .sm/sr") : 0;
}

static int dir_rename(struct sr *sr, const char *name, const char *description)
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

/*
 * Everything in .sm/tmp belongs to a process that has died: the SR lock is ours.
 * The record goes first, so that a death in here leaves the file to be found.
 */
static int dir_recover(struct sr *sr)
{
	_close_ int tmp = -1, vdi = -1;
	_closedir_ DIR *d = NULL;
	struct dirent *e;
	int err = dir_sub(sr, ".sm/tmp", &tmp);

	if (err)
		return err == -ENOENT ? 0 : fail(sr->ctx, err, "open .sm/tmp");
	d = dir_entries(tmp);
	if (!d)
		return fail(sr->ctx, -errno, "read .sm/tmp");
	while (errno = 0, (e = readdir(d))) {
		struct uuid u;
		struct vdi there = { 0 };

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (vdi < 0 && (err = dir_sub(sr, ".sm/vdi", &vdi)) && err != -ENOENT)
			return fail(sr->ctx, err, "open .sm/vdi");
		if (vdi >= 0 && volume_name(sr, e->d_name, &u) &&
		    dir_find(sr, &u, &there) == -E_VDI_MISSING) {
			err = clear_away(vdi, u.s);
			if (err)
				return fail(sr->ctx, err, "remove the record %s", u.s);
		}
		fail_clear(sr->ctx);
		err = clear_away(tmp, e->d_name);
		if (err)
			return fail(sr->ctx, err, "remove .sm/tmp/%s", e->d_name);
	}
	return errno ? fail(sr->ctx, -errno, "read .sm/tmp") : 0;
}

static int dir_open(struct sr *sr, bool recover)
{
	struct kvs marker = { 0 };
	const char *uuid;
	int err = read_marker(sr, sr->dir, &marker);

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
	return recover ? dir_recover(sr) : 0;
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

/* --- VDIs ----------------------------------------------------------------- */

static void read_record(struct sr *sr, int records, struct vdi *vdi)
{
	struct kvs kvs = { 0 };
	const char *s;

	vdi->name = vdi->description = vdi->type = "";
	if (records < 0 || record_read(&sr->ctx->arena, records, vdi->uuid.s, &kvs))
		return;
	if ((s = kv_get(&kvs, "name")))
		vdi->name = s;
	if ((s = kv_get(&kvs, "description")))
		vdi->description = s;
	if ((s = kv_get(&kvs, "type")))
		vdi->type = s;
	if ((s = kv_get(&kvs, "snapshot_of")))
		uuid_parse(&vdi->snapshot_of, s);
}

/* What one file is.  The error says what is wrong with it. */
static int load(struct sr *sr, int records, const struct format *f, struct vdi *vdi)
{
	_io_close_ struct io *io = NULL;
	struct image_facts facts = { 0 };
	struct stat st;
	int err;

	vdi->format = f->name;
	vdi->location = arena_strdup(&sr->ctx->arena, vdi->uuid.s);
	vdi->sector_size = SECTOR_SIZE;
	set_volume(vdi, f->name);
	if (fstatat(sr->dir, vdi->volume, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? -E_VDI_MISSING : fail(sr->ctx, -errno, "%s", vdi->volume);
	if (!S_ISREG(st.st_mode))
		return fail_say(sr->ctx, -E_VDI_LOAD, "%s is %s, not an image file", vdi->volume,
				S_ISDIR(st.st_mode) ? "a directory" :
				S_ISLNK(st.st_mode) ? "a symbolic link" : "a special file");
	/* Only in blocks on the disk: a sparse image costs what it holds. */
	vdi->physical_size = (uint64_t)st.st_blocks * 512;
	if (f->direct) {
		vdi->virtual_size = (uint64_t)st.st_size;
	} else {
		err = io_open(&io, sr->dir, vdi->volume, IO_NOFOLLOW);
		if (err == -ENOENT)
			return -E_VDI_MISSING;
		if (!err)
			err = f->load(sr->ctx, io, &facts);
		vdi->virtual_size = facts.virtual_size;
		vdi->hidden = facts.hidden;
		if (err)
			return fail(sr->ctx, err, "%s", vdi->volume);
	}
	if (!vdi->virtual_size || vdi->virtual_size % SECTOR_SIZE)
		return fail_say(sr->ctx, -E_VDI_LOAD, "%s has %llu bytes, which is no number of sectors",
				vdi->volume, (unsigned long long)vdi->virtual_size);
	if (!strcmp(f->name, "raw"))
		kv_set(&sr->ctx->arena, &vdi->sm_config, "type", "raw");
	vdi->read_only = !(st.st_mode & 0222);
	read_record(sr, records, vdi);
	return 0;
}

int dir_list(struct sr *sr, struct vdis *l)
{
	struct arena *a = &sr->ctx->arena;
	_close_ int records = -1;
	_closedir_ DIR *d = dir_entries(sr->dir);
	struct dirent *e;

	if (!d)
		return fail(sr->ctx, -errno, "read the directory");
	dir_sub(sr, ".sm/vdi", &records);
	while (errno = 0, (e = readdir(d))) {
		const struct format *f;
		struct vdi vdi = { 0 };
		int err;

		f = volume_name(sr, e->d_name, &vdi.uuid);
		if (!f)
			continue;
		err = load(sr, records, f, &vdi);
		if (err == -E_VDI_MISSING)	/* deleted while we read */
			continue;
		if (err) {
			vdis_problem(a, l, &(struct problem){
				.object = arena_strdup(a, vdi.uuid.s),
				.what = arena_strdup(a, sr->ctx->why[0] ? sr->ctx->why : err_text(err)),
				.severity = "error",
			});
			fail_clear(sr->ctx);
			continue;
		}
		*vdis_add(a, l) = vdi;
	}
	return errno ? fail(sr->ctx, -errno, "read the directory") : 0;
}

int dir_find(struct sr *sr, const struct uuid *uuid, struct vdi *vdi)
{
	_close_ int records = -1;

	dir_sub(sr, ".sm/vdi", &records);
	for (size_t i = 0; sr_format_at(sr->type, i); i++) {
		int err;

		*vdi = (struct vdi){ .uuid = *uuid };
		err = load(sr, records, sr_format_at(sr->type, i), vdi);
		if (err != -E_VDI_MISSING)
			return err;
	}
	return -E_VDI_MISSING;
}

static int dir_describe(struct sr *sr, const struct vdi *vdi)
{
	struct arena *a = &sr->ctx->arena;
	struct kvs kvs = { 0 };
	_close_ int records = -1;
	int err = dir_sub(sr, ".sm/vdi", &records);

	if (err == -ENOENT) {		/* an SR of upstream's */
		if ((mkdirat(sr->dir, ".sm", 0700) && errno != EEXIST) ||
		    (mkdirat(sr->dir, ".sm/vdi", 0700) && errno != EEXIST))
			return fail(sr->ctx, -errno, "make .sm/vdi");
		err = dir_sub(sr, ".sm/vdi", &records);
	}
	if (err)
		return fail(sr->ctx, err, "open .sm/vdi");
	/* What cannot be read now must not be forgotten. */
	err = record_read(a, records, vdi->uuid.s, &kvs);
	if (err && err != -ENOENT)
		return fail(sr->ctx, err, "read the record of VDI %s", vdi->uuid.s);
	if (vdi->name)
		kv_set(a, &kvs, "name", vdi->name);
	if (vdi->description)
		kv_set(a, &kvs, "description", vdi->description);
	if (vdi->type)
		kv_set(a, &kvs, "type", vdi->type);
	err = put_record(sr, &vdi->uuid, records, vdi->uuid.s, &kvs, false);	/* commit */
	return err ? fail(sr->ctx, err, "write the record of VDI %s", vdi->uuid.s) : 0;
}

/* The image itself, in .sm/tmp, with all its bytes on the disk. */
static int make_image(struct sr *sr, int tmp, struct vdi *vdi, const struct volume_spec *spec)
{
	_io_close_ struct io *io = NULL;
	struct image_new new = { .virtual_size = spec->virtual_size };
	int err = io_open(&io, tmp, vdi->volume, IO_RDWR | IO_CREATE);

	if (!err)
		err = spec->format->create(sr->ctx, io, &new);
	if (!err && spec->thick)
		err = fs_allocate(io->fd, 0, io->size);
	if (!err)
		err = io_flush(io);
	if (!err && fsync(io->fd))
		err = -errno;
	if (err == -ENOSPC || err == -EDQUOT)
		err = -E_SR_NO_SPACE;
	if (err == -EFBIG)
		err = -E_VDI_SIZE;
	if (err == -EROFS)
		err = -E_SR_READ_ONLY;
	return err ? fail(sr->ctx, err, "make %s", vdi->volume) : 0;
}

/*
 * The file in .sm/tmp, the record, the contents, and then the name (commit).
 * A death before it leaves the file in .sm/tmp, by which dir_recover() finds the
 * record as well.
 */
static int dir_volume_create(struct sr *sr, struct vdi *vdi, const struct volume_spec *spec)
{
	_close_ int tmp = -1, records = -1;
	struct vdi there;
	int err = dir_find(sr, &vdi->uuid, &there);

	if (err && err != -E_VDI_MISSING && err != -E_VDI_LOAD)
		return err;
	if (err != -E_VDI_MISSING) {
		fail_clear(sr->ctx);
		return fail_say(sr->ctx, -E_VDI_EXISTS, "VDI %s already exists", vdi->uuid.s);
	}
	err = open_tmp(sr, &tmp);
	if (err)
		return err;
	set_volume(vdi, spec->format->name);
	vdi->format = spec->format->name;
	vdi->virtual_size = spec->virtual_size;
	err = make_image(sr, tmp, vdi, spec);
	if (err)
		goto undo_image;
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
	return err == -ENOSPC || err == -EDQUOT ? -E_SR_NO_SPACE : err;
}

/* Out of sight (commit), then the record, then the space. */
static int dir_volume_delete(struct sr *sr, const struct vdi *vdi)
{
	_close_ int tmp = -1, records = -1;
	int err;

	err = open_tmp(sr, &tmp);
	if (err)
		return err;
	if (renameat(sr->dir, vdi->volume, tmp, vdi->volume) && errno != ENOENT)	/* commit */
		return fail(sr->ctx, errno == EROFS ? -E_SR_READ_ONLY : -errno, "remove %s",
			    vdi->volume);
	err = fs_sync_dir(sr->dir);
	if (!err)
		err = dir_sub(sr, ".sm/vdi", &records);
	/* The volume goes last: dir_recover() finds the record by it. */
	if (!err)
		err = clear_away(records, vdi->uuid.s);
	if (!err || err == -ENOENT)
		err = unlink_quiet(tmp, vdi->volume);
	return err ? fail(sr->ctx, err, "remove %s", vdi->volume) : 0;
}

static int dir_volume_resize(struct sr *sr, struct vdi *vdi, uint64_t virtual_size)
{
	const struct format *f = sr_format(sr->type, vdi->format);
	_io_close_ struct io *io = NULL;
	int err;

	err = io_open(&io, sr->dir, vdi->volume, IO_RDWR | IO_NOFOLLOW);
	if (err)
		return fail(sr->ctx, err, "open %s", vdi->volume);
	if (!f->resize)
		return fail(sr->ctx, -E_UNSUPPORTED, "resize a disk of format %s", f->name);
	err = f->resize(sr->ctx, io, virtual_size, NULL);	/* commit */
	if (!err && fsync(io->fd))
		err = fail(sr->ctx, -errno, "flush %s", vdi->volume);
	return err ? err : dir_find(sr, &vdi->uuid, vdi);
}

static int dir_volume_open(struct sr *sr, const struct vdi *vdi, bool writable, int *fd)
{
	struct stat st;

	*fd = openat(sr->dir, vdi->volume,
		     (writable ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (*fd < 0)
		return fail(sr->ctx, errno == ENOENT ? -E_VDI_MISSING : -errno, "open %s", vdi->volume);
	/* It may have been replaced since it was listed. */
	if (fstat(*fd, &st) || !S_ISREG(st.st_mode)) {
		close(*fd);
		*fd = -1;
		return fail_say(sr->ctx, -E_VDI_LOAD, "%s is not an image file", vdi->volume);
	}
	return 0;
}

const struct layout layout_dir = {
	.name = "dir",
	.create = dir_create,
	.destroy = dir_destroy,
	.probe = dir_probe,
	.open = dir_open,
	.rename = dir_rename,
	.stat = dir_stat,
	.list = dir_list,
	.find = dir_find,
	.volume_create = dir_volume_create,
	.volume_delete = dir_volume_delete,
	.volume_resize = dir_volume_resize,
	.volume_describe = dir_describe,
	.volume_open = dir_volume_open,
	.check = dir_check,
};
