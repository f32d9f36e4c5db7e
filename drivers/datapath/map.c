/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * map: a VHD disk that is only read, at the kernel's own speed.
 *
 *	/dev/mapper/sm-<VDI>   0 4096 linear 7:0 8
 *	                       4096 512 linear 7:1 4104
 *	                       4608 ... zero
 *	/dev/loop<N> …, or the LVs of the chain
 *
 * One table of device-mapper points at each sector where it lies: in the image
 * itself, in one below it, or nowhere.  No process, no copy.  That holds as
 * long as nobody writes the images, which is so for snapshots, for base copies,
 * and for a disk that is attached read-only.
 *
 * Loop devices are bound with the order to free themselves with their last
 * user, which is the table; so files leave nothing to clean up.  activate: the
 * volumes, then the port (commit).  deactivate: the port (commit), then the
 * volumes.  A chain that was relinked is mapped again by refresh: the new table
 * takes the place of the old one while the disk is in use.
 *
 * What cannot be shown so is left to the next datapath (-ENOTBLK):
 *
 *   - data that does not begin with a sector of the disk below.  An image is made
 *     of sectors of 512 bytes, and a disk may have 4096;
 *   - more than TARGETS_MOST runs.  One costs some 140 bytes in the kernel as long as
 *     the disk is attached, and as many here while it is made.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "arch/blk.h"
#include "arch/dm.h"
#include "arch/loop.h"
#include "drivers/chain.h"
#include "drivers/datapath.h"
#include "drivers/port.h"
#include "drivers/sr.h"
#include "lib/bytes.h"
#include "lib/cleanup.h"
#include "lib/err.h"

#define TARGETS_MOST	(128u << 10)

static bool serves(const struct vdi *vdi)
{
	return !strcmp(vdi->format, "vhd");
}

static void fill(const struct vdi *vdi, struct attachment *at)
{
	at->active = true;
	at->writable = false;
	at->backend = "map";
	port_path(vdi, at->device);
}

static int find(struct sr *sr, const struct vdi *vdi, struct attachment *at)
{
	struct port p;
	int err = port_find(sr, vdi, &p);

	if (!err && p.there && p.kind == PORT_MAP)
		fill(vdi, at);
	return err;
}

static int find_all(struct sr *sr, struct vdis *l)
{
	struct ports ports;
	int err = port_list(sr, &ports);

	for (size_t i = 0; i < l->n && ports.n && !err; i++)
		if (ports_have(&ports, &l->v[i].uuid) == PORT_MAP)
			fill(&l->v[i], &l->v[i].at);
	return err;
}

/* --- the devices of the images ------------------------------------------------- */

struct below {
	dev_t dev;		/* 0: not needed */
	uint64_t size;		/* bytes */
	uint32_t sector;
	int held;		/* our descriptor of a loop device, until the table has it; or -1 */
};

static void drop(struct below *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (b[i].held >= 0)
			close(take_fd(&b[i].held));
}

/* Of an image that is a file: a loop device; else the device itself. */
static int open_below(struct sr *sr, const struct vdi *vdi, int fd, struct below *b)
{
	struct loop_options o = {
		.read_only = true, .direct_io = true, .held = &b->held,
		.name = arena_printf(&sr->ctx->arena, "map-%s", vdi->uuid.s),
	};
	struct blk_info info;
	struct stat st;
	int err = fstat(fd, &st) ? -errno : 0;

	if (!err && S_ISREG(st.st_mode)) {
		/* Direct I/O needs the sector of the disk below. */
		if (blk_sector_below(fd, &o.block_size))
			o.block_size = 512;
		err = loop_attach(fd, &o, NULL);
		fd = b->held;
	}
	if (err >= 0)
		err = blk_info(fd, &info);
	if (err)
		return fail(sr->ctx, err, "a device for an image of VDI %s", vdi->uuid.s);
	b->dev = info.dev;
	b->size = info.size;
	b->sector = info.sector;
	return 0;
}

/* --- the table --------------------------------------------------------------------- */

static bool is_aligned(const struct image_span *s, uint32_t sector)
{
	return !((s->start | s->length | (s->level == IMAGE_NOWHERE ? 0 : s->offset)) % sector);
}

/* A table of wrong places would show a guest what is not his. */
static int make_target(struct sr *sr, const struct image_span *s, const struct below *b,
		       struct dm_target *t)
{
	*t = (struct dm_target){
		.start = s->start / 512, .length = s->length / 512, .type = "zero", .params = "",
	};
	if (s->level == IMAGE_NOWHERE)
		return 0;
	b += s->level;
	if (!range_ok(s->offset, s->length, b->size))
		return fail_say(sr->ctx, -ENOTBLK, "data of sector %" PRIu64 " lies beyond its image",
				t->start);
	t->type = "linear";
	t->params = arena_printf(&sr->ctx->arena, "%u:%u %" PRIu64, major(b->dev), minor(b->dev),
				 s->offset / 512);
	return 0;
}

static int make_table(struct sr *sr, const struct image_span *v, size_t n, const struct below *b,
		      size_t n_below, struct dm_table *t)
{
	uint32_t sector = 512;
	int err = 0;

	for (size_t i = 0; i < n_below; i++)
		if (b[i].dev && b[i].sector > sector)
			sector = b[i].sector;
	t->n = n;
	t->target = arena_array(&sr->ctx->arena, n, sizeof(*t->target));
	for (size_t i = 0; i < n && !err; i++) {
		if (!is_aligned(&v[i], sector))
			return fail_say(sr->ctx, -ENOTBLK, "the disk below has sectors of %u bytes, and data "
					"of sector %" PRIu64 " does not begin with one", sector, v[i].start / 512);
		err = make_target(sr, &v[i], b, &t->target[i]);
	}
	return err;
}

static int find_spans(struct sr *sr, struct image *im, struct image_span **v, size_t *n)
{
	int err = image_spans(im, &sr->ctx->arena, TARGETS_MOST, v, n);

	if (err == -E2BIG)
		return fail_say(sr->ctx, -ENOTBLK, "it is in more than %u pieces", TARGETS_MOST);
	if (err == -EOPNOTSUPP)
		return fail_say(sr->ctx, -ENOTBLK, "some of it is compressed");
	return err ? fail(sr->ctx, err, "map the image") : 0;
}

static int put_map(struct sr *sr, const struct vdi *vdi, struct image *im, struct attachment *at)
{
	struct below *b = arena_array(&sr->ctx->arena, im->n, sizeof(*b));
	struct image_span *v;
	struct dm_table t;
	size_t n;
	int err = find_spans(sr, im, &v, &n);

	for (size_t i = 0; i < im->n; i++)
		b[i].held = -1;
	for (size_t i = 0; i < n && !err; i++)
		if (v[i].level != IMAGE_NOWHERE && !b[v[i].level].dev)
			err = open_below(sr, vdi, im->levels[v[i].level].io->fd, &b[v[i].level]);
	if (!err)
		err = make_table(sr, v, n, b, im->n, &t);
	if (!err)
		err = port_put_map(sr, vdi, &t, at);	/* commit */
	drop(b, im->n);
	at->backend = "map";
	return err;
}

static int build(struct sr *sr, const struct vdi *vdi, struct attachment *at)
{
	struct image *im = NULL;
	int err = chain_open(sr, vdi, 0, &im);

	if (err)
		return err;
	err = put_map(sr, vdi, im, at);
	image_close(im);
	return err;
}

/* --- what is called ------------------------------------------------------------------ */

static int activate(struct sr *sr, const struct vdi *vdi, bool writable, struct attachment *at)
{
	int err;

	if (!port_can())
		return fail_say(sr->ctx, -ENOTBLK, "this kernel has no device-mapper");
	err = build(sr, vdi, at);
	if (err && err != -ENOTBLK) {
		struct fail_words words;

		fail_keep(sr->ctx, &words);
		chain_release(sr, vdi);		/* err is what matters, and what was said of it */
		fail_again(sr->ctx, &words);
	}
	return err;
}

static int deactivate(struct sr *sr, const struct vdi *vdi, const struct attachment *at)
{
	int err = port_remove(sr, vdi);		/* commit */

	return err ? err : chain_release(sr, vdi);
}

static int refresh(struct sr *sr, const struct vdi *vdi, struct attachment *at)
{
	return build(sr, vdi, at);
}

static const struct datapath map = {
	.name = "map",
	.read_only = true,
	.serves = serves,
	.find = find,
	.find_all = find_all,
	.activate = activate,
	.deactivate = deactivate,
	.refresh = refresh,
};
REGISTER(datapaths, map);
