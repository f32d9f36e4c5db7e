/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sm image convert: a whole disk, whatever its format and parents, as one
 * image without any.
 *
 * A file is made out of sight and gets its name when all of it is on the disk.
 * A device is written where it is: of a VHD the footers come last, so that half
 * an image is none; half of a raw disk is what it is.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "arch/blk.h"
#include "arch/clock.h"
#include "arch/fs.h"
#include "lib/bytes.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/image_copy.h"
#include "lib/text/size.h"
#include "lib/vhd/create.h"
#include "sm/image.h"

#define THREADS	4u	/* enough for a disk's queue, and to find zeroes beside it */

struct convert {
	struct run *r;
	struct image_place src, dst;
	struct image *im;
	bool null;		/* /dev/null: read all, keep nothing */
	bool keyed;
	uint64_t size;		/* of the new disk */
	uint64_t data;		/* bytes to copy, at most, and 2 MiB blocks with any of them */
	uint64_t blocks;
	struct io *io, *small;	/* of the destination, borrowed */
};

/* --- the destination ------------------------------------------------------- */

static bool is_null(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

static int place_dst(struct convert *c)
{
	const struct request *rq = c->r->rq;

	if (is_null(rq->paths[1])) {
		c->null = true;
		c->dst.path = rq->paths[1];
		return 0;
	}
	return image_place_new(c->r, rq->paths[1], rq->out_format, &c->dst);
}

/* Reading and writing the same bytes would destroy both. */
static int check_apart(struct convert *c)
{
	struct stat a, b;

	if (c->null || !c->dst.exists || stat(c->dst.path, &b))
		return 0;
	for (size_t i = 0; i < c->im->n; i++) {
		if (fstat(c->im->levels[i].io->fd, &a))
			return fail(c->r->ctx, -errno, "%s", c->src.path);
		if (S_ISBLK(a.st_mode) ? S_ISBLK(b.st_mode) && a.st_rdev == b.st_rdev :
		    a.st_dev == b.st_dev && a.st_ino == b.st_ino)
			return fail_say(c->r->ctx, -E_ARG, "%s is read and cannot be written",
					c->dst.path);
	}
	return 0;
}

/* What the new image takes beside its data, at most. */
static uint64_t overhead(const struct convert *c)
{
	uint64_t max = c->dst.device ? VHD_MSIZE : c->size * 4;

	if (c->dst.format != IMAGE_VHD)
		return 0;
	return vhd_overhead_empty(max < VHD_MSIZE ? max : VHD_MSIZE) + c->blocks * 4096;
}

static int check_format(struct convert *c)
{
	struct ctx *ctx = c->r->ctx;

	c->size = c->im->size;
	if (c->null || c->dst.format == IMAGE_RAW)
		return 0;
	if (c->dst.format != IMAGE_VHD) {
		hint(ctx, "-O raw or -O vhd");
		return fail_say(ctx, -E_ARG, "%s images are read here, not written",
				image_format_name(c->dst.format));
	}
	c->size = (c->size + VHD_SECTOR - 1) / VHD_SECTOR * VHD_SECTOR;
	if (c->size > VHD_SIZE_MAX)
		return fail_say(ctx, -E_VDI_SIZE, "%s has %s, and a VHD at most 2040 GiB",
				c->src.path, SIZE_STR(c->size));
	if (!c->size)
		c->size = VHD_SECTOR;
	return 0;
}

static int no_space(struct convert *c, const char *where, uint64_t need, uint64_t have)
{
	return fail_say(c->r->ctx, -E_SR_NO_SPACE, "%s: %s needed, %s free", where, SIZE_STR(need),
			SIZE_STR(have));
}

/* Before anything is written: will it fit?  --force tries although it may not. */
static int check_room(struct convert *c)
{
	uint64_t need = c->data + overhead(c);
	struct fs_space space;
	struct blk_info blk;
	_close_ int fd = -1;
	int err;

	if (c->null)
		return 0;
	fd = open(c->dst.device ? c->dst.path : c->dst.dir, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return fail(c->r->ctx, -errno, "%s", c->dst.path);
	if (c->dst.device) {
		err = blk_info(fd, &blk);
		if (err)
			return fail(c->r->ctx, err, "%s", c->dst.path);
		/* A volume has no holes: its blocks are whole ones. */
		need = c->dst.format == IMAGE_RAW ? c->size :
			c->blocks * VHD_BLOCK + overhead(c) + VHD_SECTOR;
		if (blk.size < need && (c->dst.format == IMAGE_RAW || !c->r->rq->force))
			return fail_say(c->r->ctx, -E_SR_NO_SPACE, "%s is too small: %s needed, it has %s",
					c->dst.path, SIZE_STR(need), SIZE_STR(blk.size));
		return 0;
	}
	err = fs_space(fd, &space);
	if (err || space.avail >= need || c->r->rq->force)
		return 0;
	hint(c->r->ctx, "--force, if most of it is zeroes");
	return no_space(c, c->dst.path, need, space.avail);
}

/* --- copying --------------------------------------------------------------- */

static int copy(struct convert *c, struct image_sink *s)
{
	struct image_job j;
	struct image_copy y = {
		.from = c->im, .to = s, .threads = THREADS, .tick = image_job_tick, .arg = &j,
	};
	int err;

	image_job_start(c->r, &j, "convert", c->data);
	err = image_copy(&y);
	image_job_end(&j);
	if (!err || err == -EINTR || err == -E_DEADLINE)
		return err;
	return fail_say(c->r->ctx, y.is_read ? image_judge(err) : err, "%s %s at byte %llu: %s",
			y.is_read ? "read" : "write", y.is_read ? c->src.path : c->dst.path,
			(unsigned long long)y.at, err_text(err));
}

static void by_cache(struct convert *c, struct image_sink *s)
{
	s->small = c->small;
	if (s->small)
		s->small->size = c->io->size;
}

/* The fields by which a key is known go with the bytes that it is for. */
static void take_key(const struct convert *c, struct vhd_create *how)
{
	const struct vhd *v = c->im->levels[0].vhd;

	if (!v || !c->keyed)
		return;
	how->keyed = v->batmap.keyed;
	memcpy(how->nonce, v->batmap.nonce, sizeof(how->nonce));
	memcpy(how->key_hash, v->batmap.key_hash, sizeof(how->key_hash));
}

static int write_vhd(struct convert *c)
{
	struct vhd_create how = image_create_vhd(c->r, &c->dst, c->size);
	struct image_sink s;
	int err;

	take_key(c, &how);
	err = image_sink_vhd(&s, c->io, &how);
	if (err)
		return fail(c->r->ctx, err, "%s", c->dst.path);
	by_cache(c, &s);
	err = copy(c, &s);
	if (!err) {
		err = image_sink_vhd_finish(&s);
		if (err)
			fail(c->r->ctx, err, "write %s", c->dst.path);
	}
	image_sink_free(&s);
	return err;
}

static int write_raw(struct convert *c)
{
	struct image_sink s;
	int err = c->dst.device ? 0 : io_resize(c->io, c->size);

	if (err)
		return fail(c->r->ctx, err, "%s", c->dst.path);
	image_sink_raw(&s, c->io, !c->dst.device);
	by_cache(c, &s);
	err = copy(c, &s);
	if (err)
		return err;
	err = io_flush(c->io);
	return err ? fail(c->r->ctx, err, "write %s", c->dst.path) : 0;
}

static int write_out(struct convert *c)
{
	return c->dst.format == IMAGE_VHD ? write_vhd(c) : write_raw(c);
}

static int to_null(struct convert *c)
{
	struct image_sink s;

	image_sink_null(&s);
	return copy(c, &s);
}

/* In place: nobody else may have it open for such work. */
static int to_device(struct convert *c)
{
	_io_close_ struct io *io = NULL;
	int err = image_place_io(&c->dst, IO_RDWR | IO_EXCL | IO_DIRECT, &io);

	c->io = io;
	return err ? err : write_out(c);
}

static int to_file(struct convert *c)
{
	_image_making_close_ struct image_making n = { 0 };
	int err = image_making_open(&n, &c->dst, true);

	c->io = n.io;
	c->small = n.small;
	if (!err)
		err = write_out(c);
	return err ? err : image_making_commit(&n);
}

/* --- the verb -------------------------------------------------------------- */

static int prepare(struct convert *c)
{
	int err = image_place(c->r, c->r->rq->paths[0], c->r->rq->format, &c->src);

	if (!err)
		err = place_dst(c);
	if (!err)
		err = image_place_open(&c->src, IMAGE_NO_BATMAP, &c->im);
	if (!err)
		err = check_apart(c);
	if (!err)
		err = check_format(c);
	if (err)
		return err;
	err = image_estimate(c->im, &c->data, &c->blocks);
	if (!err)
		return check_room(c);
	hint(c->r->ctx, "sm image check %s", c->src.path);
	return fail_say(c->r->ctx, image_judge(err), "%s: %s", c->src.path, err_text(err));
}

static void warn_keyed(struct convert *c)
{
	for (size_t i = 0; i < c->im->n; i++)
		if (c->im->levels[i].vhd && c->im->levels[i].vhd->batmap.keyed)
			c->keyed = true;
	if (c->keyed)
		image_problem(c->r, c->src.path, "encrypted: what is copied are the stored bytes",
			      "warning", NULL);
}

static int convert(struct convert *c)
{
	int err = prepare(c);

	if (err)
		return err;
	warn_keyed(c);
	if (c->r->ctx->dry_run)
		return plan(c->r, c->null ? 0 : c->data + overhead(c), "copy %llu bytes from %s to %s (%s)",
			    (unsigned long long)c->data, c->src.path, c->dst.path,
			    image_format_name(c->dst.format));
	if (c->null)
		return to_null(c);
	err = c->dst.device ? to_device(c) : to_file(c);
	return err ? err : image_reply_new(c->r, &c->dst);
}

int do_image_convert(struct run *r)
{
	struct convert c = { .r = r };
	int err = convert(&c);

	image_close(c.im);
	return err;
}
