/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An image that is about to be changed, and sm image resize.
 *
 * A VHD whose table is too small grows under an undo journal, the file
 * PATH.journal: it is there and on the disk before the image is poisoned, and
 * goes when all is done.  Whoever opens such an image to change it, undoes what
 * was begun, or finishes it if only the end was missing.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "arch/fs.h"
#include "lib/bytes.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/text/size.h"
#include "lib/vhd/check.h"
#include "lib/vhd/create.h"
#include "lib/vhd/resize.h"
#include "sm/image.h"

static const char *journal_path(struct run *r, const struct image_place *p)
{
	if (r->rq->journal)
		return r->rq->journal;
	return p->device ? NULL : arena_printf(&r->ctx->arena, "%s/%s.journal", p->dir, p->name);
}

int image_sync_folder(struct run *r, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *dir = !slash ? "." : arena_strndup(&r->ctx->arena, path,
						       slash == path ? 1 : (size_t)(slash - path));
	_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fs_sync_dir(fd);
}

static int remove_journal(struct run *r, const char *path)
{
	int err = unlink_quiet(AT_FDCWD, path);

	if (!err)
		err = image_sync_folder(r, path);
	return err ? fail(r->ctx, err, "%s", path) : 0;
}

/* Ours, begun and not yet in force: its header is the last that is written. */
static bool is_unfinished(struct io *journal)
{
	uint8_t head[512] = { 0 };
	size_t n = journal->size < sizeof(head) ? (size_t)journal->size : sizeof(head);

	return !io_read(journal, 0, head, n) && is_zero(head, n);
}

static bool is_poisoned(struct io *io)
{
	struct vhd *v = NULL;
	int err = vhd_open(&v, io, VHD_HEADERS);

	vhd_close(v);
	return err == -E_VHD_POISON;
}

static int undo_resize(struct run *r, struct image_place *p, struct io *io)
{
	_io_close_ struct io *journal = NULL;
	const char *path = journal_path(r, p);
	bool poisoned = is_poisoned(io);
	int err = -ENOENT;

	if (path)
		err = io_open(&journal, AT_FDCWD, path, IO_RDWR | IO_NOFOLLOW);
	if (err == -ENOENT && poisoned) {
		hint(r->ctx, "--journal FILE, if you have it");
		return fail(r->ctx, -E_VHD_POISON, "%s, and there is no %s", p->path,
			    path ? path : "journal");
	}
	if (err)
		return err == -ENOENT ? 0 : fail(r->ctx, err, "%s", path);
	err = vhd_revert(io, journal);
	if (err == -E_VHD_JOURNAL && !poisoned && is_unfinished(journal))
		err = 0;
	if (err) {
		hint(r->ctx, "if it has nothing to do with the image, give it another name");
		return fail(r->ctx, err, "%s", path);
	}
	return remove_journal(r, path);
}

int image_edit_open(struct run *r, struct image_place *p, struct io **io)
{
	int err = image_place_io(p, p->device ? IO_RDWR | IO_EXCL : IO_RDWR, io);

	if (err)
		return err;
	/* Two verbs at once would not see each other's changes. */
	if (flock((*io)->fd, LOCK_EX | LOCK_NB))
		return fail(r->ctx, errno == EWOULDBLOCK ? -E_BUSY : -errno, "%s", p->path);
	return p->format == IMAGE_VHD ? undo_resize(r, p, *io) : 0;
}

int image_edit_vhd(struct run *r, struct image_place *p, struct io *io, struct vhd **v)
{
	int err = vhd_open_settled(v, io);

	if (err == -E_VHD_FOOTERS || err == -E_VHD_ENTRY)
		hint(r->ctx, "sm image repair %s", p->path);
	return err ? fail(r->ctx, err, "%s", p->path) : 0;
}

/* --- resize ---------------------------------------------------------------- */

/* The journal gets its name and its place on the disk before anything depends on it. */
static int make_journal(struct run *r, struct image_place *p, const char *path, struct io **io)
{
	int err;

	if (!path) {
		hint(r->ctx, "--journal FILE, on another file system");
		return fail(r->ctx, -E_VHD_TABLE_FULL, "%s", p->path);
	}
	err = io_open(io, AT_FDCWD, path, IO_RDWR | IO_CREATE);
	if (!err)
		err = image_sync_folder(r, path);
	return err ? fail(r->ctx, err, "%s", path) : 0;
}

static int grow_table(struct run *r, struct image_place *p, struct io *io, struct vhd *v,
		      uint64_t size)
{
	const char *path = journal_path(r, p);
	_io_close_ struct io *journal = NULL;
	int err = make_journal(r, p, path, &journal), undo;

	if (err)
		return err;
	err = vhd_resize(v, size, journal);
	if (!err)
		return remove_journal(r, path);
	/* It failed, perhaps with the image poisoned: take all of it back. */
	fail(r->ctx, err, "%s", p->path);
	undo = is_unfinished(journal) ? 0 : vhd_revert(io, journal);
	if (!undo)
		unlink_quiet(AT_FDCWD, path);
	else
		hint(r->ctx, "sm image repair %s", p->path);
	return err;
}

int image_grow_vhd(struct run *r, struct image_place *p, struct io *io, struct vhd *v,
		   uint64_t size)
{
	int err;

	err = vhd_resize(v, size, NULL);
	if (err == -E_VHD_TABLE_FULL)
		return grow_table(r, p, io, v, size);
	return err ? fail(r->ctx, err, "%s", p->path) : 0;
}

static int too_small(struct run *r, uint64_t has)
{
	return fail_say(r->ctx, -E_VDI_SIZE, "%s: shrinking is not allowed (it has %llu bytes)",
			r->rq->paths[0], (unsigned long long)has);
}

static int too_large(struct run *r, uint64_t wish)
{
	return fail_say(r->ctx, -E_VDI_SIZE, "%s asked, and a VHD has at most 2040 GiB",
			SIZE_STR(wish));
}

static int resize_vhd(struct run *r, struct image_place *p, struct io *io, uint64_t size)
{
	_vhd_close_ struct vhd *v = NULL;
	uint64_t rounded = size;
	int err = image_edit_vhd(r, p, io, &v);

	if (err)
		return err;
	if (vhd_round_size(&rounded))
		return too_large(r, size);
	/* An odd size of others is no reason to grow: what is asked for is there. */
	if (size == v->footer.size)
		return 0;
	if (size < v->footer.size)
		return too_small(r, v->footer.size);
	return image_grow_vhd(r, p, io, v, rounded);
}

static int resize_raw(struct run *r, struct image_place *p, struct io *io, uint64_t size)
{
	int err;

	if (size < io->size)
		return too_small(r, io->size);
	if (size == io->size)
		return 0;
	err = io_resize(io, size);				/* commit */
	if (!err)
		err = io_flush(io);
	return err ? fail(r->ctx, err, "%s", p->path) : 0;
}

/* An image whose chain does not hold is not worth a larger size. */
static int check_chain(struct image_place *p, uint64_t *size)
{
	struct image *im = NULL;
	int err = image_place_open(p, IMAGE_HEADERS, &im);

	if (!err)
		*size = im->size;
	image_close(im);
	return err;
}

static int plan_only(struct run *r, struct image_place *p)
{
	uint64_t size, wish = r->rq->size;
	int err = check_chain(p, &size);

	if (err)
		return err;
	if (wish < size)
		return too_small(r, size);
	if (p->format == IMAGE_VHD && vhd_round_size(&wish))
		return too_large(r, wish);
	return plan(r, 0, "grow %s to %llu bytes", p->path, (unsigned long long)wish);
}

int do_image_resize(struct run *r)
{
	_io_close_ struct io *io = NULL;
	struct image_place p;
	uint64_t size;
	int err = image_place(r, r->rq->paths[0], r->rq->format, &p);

	if (err)
		return err;
	if (p.format == IMAGE_QCOW2)
		return fail_say(r->ctx, -E_ARG, "%s: qcow2 images are read here, not written", p.path);
	if (r->ctx->dry_run)
		return plan_only(r, &p);
	err = image_edit_open(r, &p, &io);
	if (!err)
		err = check_chain(&p, &size);
	if (!err)
		err = p.format == IMAGE_VHD ? resize_vhd(r, &p, io, r->rq->size) :
			resize_raw(r, &p, io, r->rq->size);
	return err ? err : image_reply_new(r, &p);
}
