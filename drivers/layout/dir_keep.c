/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What sr check --repair may overwrite in a directory, beside the images. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "arch/fs.h"
#include "drivers/keep.h"
#include "drivers/layout/dir.h"
#include "drivers/sr.h"
#include "drivers/vdi.h"
#include "lib/bytes.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/io.h"

#define FOOTER_MOST	((uint64_t)64 << 10)
#define JOURNAL		".journal-"

/* Links, and what is no file, hold nothing of ours. */
static int keep_one(struct sr *sr, struct keep *k, int dir, const char *file, const char *name)
{
	_io_close_ struct io *io = NULL;
	int err = io_open(&io, dir, file, IO_RDONLY | IO_NOFOLLOW);

	if (err == -EINVAL || err == -ELOOP || err == -EISDIR || err == -ENXIO)
		return 0;
	if (err == -ENOENT) {
		keep_none(k, name);
		return 0;
	}
	return err ? fail(sr->ctx, err, "%s", name) : keep_all(k, name, io, KEEP_FILE_MOST);
}

static int keep_records(struct sr *sr, struct keep *k, int records)
{
	_closedir_ DIR *d = dir_entries(records);
	struct dirent *e;
	struct dir_seen seen = dir_begin(sr->ctx->watched);
	int err = 0;

	if (!d)
		return fail(sr->ctx, -errno, "read .sm/vdi");
	while (!err && (e = dir_next(d, &seen)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			err = keep_one(sr, k, records, e->d_name,
				       arena_printf(&sr->ctx->arena, ".sm/vdi/%s", e->d_name));
	return err || !errno ? err : fail(sr->ctx, -errno, "read .sm/vdi");
}

static int keep_leftovers(struct sr *sr, struct keep *k)
{
	_closedir_ DIR *d = dir_entries(sr->dir);
	struct dirent *e;
	struct dir_seen seen = dir_begin(sr->ctx->watched);
	int err = 0;

	if (!d)
		return fail(sr->ctx, -errno, "read the directory");
	while (!err && (e = dir_next(d, &seen)))
		if (dir_is_leftover(sr, e->d_name))
			err = keep_one(sr, k, sr->dir, e->d_name, e->d_name);
	return err || !errno ? err : dir_ended(sr);
}

/* Who is to be marked as hidden gets a record for it, too. */
static void keep_lacks(struct keep *k, int records, const struct vdis *l)
{
	struct fs_id id;

	for (size_t i = 0; i < l->n; i++)
		if (!l->v[i].hidden && l->v[i].n_children &&
		    (records < 0 || fs_id(records, l->v[i].uuid.s, &id) == -ENOENT))
			keep_none(k, arena_printf(&k->ctx->arena, ".sm/vdi/%s", l->v[i].uuid.s));
}

static int keep(struct sr *sr, struct keep *k, const struct vdis *l)
{
	_close_ int sm = -1, records = -1;
	int err = dir_sub(sr, ".sm", &sm);

	if (!err)
		err = keep_one(sr, k, sm, "sr", ".sm/sr");
	else if (err == -ENOENT)
		keep_none(k, ".sm/sr");
	if (err && err != -ENOENT)
		return fail(sr->ctx, err, ".sm");
	err = dir_sub(sr, ".sm/vdi", &records);
	if (!err)
		err = keep_records(sr, k, records);
	if (err && err != -ENOENT)
		return fail(sr->ctx, err, ".sm/vdi");
	keep_lacks(k, records, l);
	return WITH_TREES ? keep_leftovers(sr, k) : 0;
}

/* The directory that holds it, and what it is called there. */
static int place(struct sr *sr, const char *name, int *dir, const char **file)
{
	static const char *const subs[] = { ".sm/vdi", ".sm" };

	for (size_t i = 0; i < ARRAY_SIZE(subs); i++) {
		size_t n = strlen(subs[i]);

		if (strncmp(name, subs[i], n) || name[n] != '/')
			continue;
		*file = name + n + 1;
		if (strchr(*file, '/'))
			return -E_ARG;
		return dir_sub(sr, subs[i], dir);
	}
	*file = name;
	if (strchr(name, '/'))
		return -E_ARG;
	*dir = openat(sr->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *dir < 0 ? -errno : 0;
}

static int peek(struct sr *sr, const char *name, struct io **io)
{
	_close_ int dir = -1;
	const char *file;
	int err = place(sr, name, &dir, &file);

	return err ? err : io_open(io, dir, file, IO_RDONLY | IO_NOFOLLOW);
}

static int kept(struct sr *sr, const char *name, const uint64_t *size, struct io **io)
{
	_close_ int dir = -1;
	const char *file;
	int err = place(sr, name, &dir, &file);

	if (err == -ENOENT && !size)
		return 0;
	if (err)
		return err;
	if (!strcmp(file, ".") || !strcmp(file, "..") || !*file)
		return -E_ARG;
	if (!size)
		return unlink_quiet(dir, file);
	err = io_open(io, dir, file, IO_RDWR | IO_NOFOLLOW);
	if (err == -ENOENT) {
		err = io_open(io, dir, file, IO_RDWR | IO_NOFOLLOW | IO_CREATE);
		if (!err)
			err = fs_sync_dir(dir);
	}
	return err || (*io)->size == *size ? err : io_resize(*io, *size);
}

/*
 * The repair has removed it, for there was no disk of that uuid.  If there is one
 * now, a journal would take it back to where another was, and a record would
 * say of it what is not true.  The data of an image nobody has.
 */
static int may_return(struct sr *sr, const char *name, const char *file)
{
	bool is_record = strncmp(name, ".sm/vdi/", 8) == 0;
	struct vdi vdi;
	struct uuid u;
	int err;

	if (!is_record && file != name)
		return 0;
	if (!is_record && dir_volume_name(sr, name, &u))
		return 1;
	if (!strncmp(file, JOURNAL, strlen(JOURNAL)))
		file += strlen(JOURNAL);
	else if (!is_record)
		return 0;
	if (uuid_parse(&u, file))
		return 0;
	err = dir_find(sr, &u, &vdi);
	if (err == -E_VDI_MISSING) {
		fail_clear(sr->ctx);
		return 0;
	}
	return err ? err :
		fail_say(sr->ctx, -E_VDI_LOAD, "%.128s would be taken for one of a disk that is new since", name);
}

/* A repair makes a file longer by a footer at most. */
static int fits(struct sr *sr, const char *name, uint64_t size, bool removed)
{
	_close_ int dir = -1;
	const char *file;
	struct stat st;
	int err = place(sr, name, &dir, &file);

	if (!err && removed)
		err = may_return(sr, name, file);
	if (err || fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW))
		return err == -ENOENT ? 0 : err;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size <= size + FOOTER_MOST)
		return 0;			/* kept() says what else is wrong with it */
	return fail_say(sr->ctx, -E_VDI_LOAD, "%.128s has grown since: what was written would be lost", name);
}

const struct keep_ops dir_backup = { .keep = keep, .peek = peek, .kept = kept, .fits = fits };
