/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "arch/blk.h"
#include "arch/clock.h"
#include "arch/dm.h"
#include "arch/loop.h"
#include "arch/nbd.h"
#include "drivers/datapath/hybrid.h"
#include "drivers/sr.h"
#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/serve/disk.h"

#define BLOCK		((uint64_t)4096)	/* sectors of a block */
#define BATCH		64u			/* blocks worth a new table, while more come */
#define MESSAGE		60000			/* bytes; dm_message() sends 64 KiB at most */
#define PATIENCE	(10 * NS_PER_S)

static const char *name_of(struct arena *a, const struct uuid *vdi)
{
	return arena_printf(a, "sm-%s-full", vdi->s);
}

static void describe(struct arena *a, const struct uuid *vdi, struct dm_device *d)
{
	*d = (struct dm_device){
		.name = name_of(a, vdi), .uuid = arena_printf(a, "SM-%s-full", vdi->s),
		.kind = DM_HIDDEN, .deadline = clock_now_mono() + PATIENCE,
	};
}

static struct dm_target linear(struct arena *a, uint64_t start, uint64_t end, dev_t to, uint64_t at)
{
	return (struct dm_target){
		.start = start, .length = end - start, .type = "linear",
		.params = arena_printf(a, "%u:%u %" PRIu64, major(to), minor(to), at),
	};
}

/* --- what the switch is told ----------------------------------------------------------- */

struct mapping {
	int ctl;
	dev_t port;
	struct buf text;
	int err;
};

/* All blocks but the last. */
static uint64_t regions(uint64_t size)
{
	return size ? (size / 512 - 1) / BLOCK : 0;
}

static void tell(struct mapping *m)
{
	if (m->text.n && !m->err)
		m->err = dm_message(m->ctl, dm_by_dev(m->port), 0, m->text.p, NULL, NULL);
	buf_reset(&m->text);
}

/* The blocks [from, to) to the server (0), or to what is full (1); by a few messages in all. */
static void map(struct mapping *m, uint64_t from, uint64_t to, int path)
{
	if (from >= to)
		return;
	if (!m->text.n)
		buf_puts(&m->text, "set_region_mappings");
	buf_printf(&m->text, " %" PRIx64 ":%d", from, path);
	if (to - from > 1)
		buf_printf(&m->text, " R1,%" PRIx64, to - from - 1);
	if (m->text.n > MESSAGE)
		tell(m);
}

static int end_mapping(struct mapping *m)
{
	tell(m);
	buf_free(&m->text);
	return m->err;
}

static int map_none(int ctl, dev_t port, uint64_t size)
{
	struct mapping m = { .ctl = ctl, .port = port };

	map(&m, 0, regions(size), 0);
	return end_mapping(&m);
}

/* The port, if it has a switch, and where that ends; else 0 or an error. */
static int find_port(struct arena *a, int ctl, const struct uuid *vdi, dev_t *port, uint64_t *end)
{
	struct dm_table t;
	struct dm_info now;
	int err = dm_info(ctl, dm_by_name(arena_printf(a, "sm-%s", vdi->s)), &now);

	if (!err)
		err = dm_table(ctl, dm_by_dev(now.dev), false, a, &t);
	if (err)
		return err == -ENXIO ? 0 : err;
	*port = now.dev;
	*end = t.n ? t.target[0].length : 0;
	return t.n == 2 && !strcmp(t.target[0].type, "switch");
}

/* --- for the verbs ---------------------------------------------------------------- */

/* One that is there already, of the right size, is left to its server, with what that has made of it. */
static bool is_made(int ctl, const struct dm_device *d, uint64_t sectors, dev_t *dev)
{
	char path[DM_PATH_MAX];
	struct dm_info now;
	struct blk_info info;
	_close_ int fd = -1;

	if (dm_info(ctl, dm_by_uuid(d->uuid), &now) || !now.live || now.suspended || dm_path(path, d->name))
		return false;
	*dev = now.dev;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd >= 0 && !blk_info(fd, &info) && info.dev == now.dev && info.size == sectors * 512;
}

static int make_below(struct sr *sr, int ctl, const struct vdi *vdi, dev_t nbd, uint64_t sectors,
		      bool anew, dev_t *dev)
{
	struct arena *a = &sr->ctx->arena;
	struct dm_target all = linear(a, 0, sectors, nbd, 0);
	struct dm_table t = { .target = &all, .n = 1 };
	struct dm_device d;
	int err;

	describe(a, &vdi->uuid, &d);
	if (!anew && is_made(ctl, &d, sectors, dev))
		return 0;
	d.table = &t;
	err = dm_activate(ctl, &d, dev);
	return err ? err : 1;
}

/*
 * A new switch takes its ways in turn until it is settled, and who was to do that may
 * die before.  So below it must be one piece then, which leads to the server as the
 * other way does: what goes through it waits for nothing else.  The server adds no
 * others before the port has its size (promote()).
 */
int hybrid_table(struct sr *sr, const struct vdi *vdi, dev_t nbd, uint64_t size, struct dm_table *t)
{
	struct arena *a = &sr->ctx->arena;
	uint64_t sectors = size / 512, last = regions(size) * BLOCK;
	_close_ int ctl = dm_open();
	uint64_t end = 0;
	dev_t below, port;
	bool fresh;
	int made;

	if (ctl < 0 || !last)
		return -EOPNOTSUPP;
	fresh = find_port(a, ctl, &vdi->uuid, &port, &end) <= 0 || end != last;
	made = make_below(sr, ctl, vdi, nbd, sectors, fresh, &below);
	if (made < 0) {
		logf_info(sr->ctx, "VDI %s is served without short cuts: %s", vdi->uuid.s, err_text(made));
		return -EOPNOTSUPP;
	}
	t->n = 2;
	t->target = arena_array(a, 2, sizeof(*t->target));
	t->target[0] = (struct dm_target){
		.length = last, .type = "switch",
		.params = arena_printf(a, "2 %" PRIu64 " 0 %u:%u 0 %u:%u 0", BLOCK, major(nbd), minor(nbd),
				       major(below), minor(below)),
	};
	t->target[1] = linear(a, last, sectors, nbd, last);
	return made || fresh;
}

/* At first a switch takes its ways in turn. */
void hybrid_settle(struct sr *sr, const struct vdi *vdi, uint64_t size)
{
	_close_ int ctl = dm_open();
	uint64_t end;
	dev_t port;
	int err = ctl < 0 ? ctl : find_port(&sr->ctx->arena, ctl, &vdi->uuid, &port, &end);

	if (err > 0)
		err = map_none(ctl, port, size);
	if (err)
		logf_info(sr->ctx, "VDI %s: settle its switch: %s", vdi->uuid.s, err_text(err));
}

int hybrid_remove(struct sr *sr, const struct vdi *vdi)
{
	_close_ int ctl = dm_open();
	struct dm_device d;
	int err;

	if (ctl < 0)
		return 0;
	describe(&sr->ctx->arena, &vdi->uuid, &d);
	err = dm_deactivate(ctl, &d);
	return err ? fail(sr->ctx, err, "remove %s", d.name) : 0;
}

void hybrid_below(struct sr *sr, const struct vdi *vdi, dev_t **devs, size_t *n)
{
	_close_ int ctl = dm_open();
	struct dm_device d;

	describe(&sr->ctx->arena, &vdi->uuid, &d);
	if (ctl < 0 || dm_deps(ctl, dm_by_uuid(d.uuid), &sr->ctx->arena, devs, n))
		*n = 0;
}

/* --- for the server ------------------------------------------------------------------ */

static void drop_loop(struct hybrid *h)
{
	if (h->loop)
		close(h->loop - 1);
	h->loop = 0;
}

static int off(struct hybrid *h, struct ctx *ctx, const char *why)
{
	logf_info(ctx, "nbd: VDI %s is served without short cuts: %s", h->vdi->s, why);
	drop_loop(h);
	h->off = true;
	return -EOPNOTSUPP;
}

/* Device-mapper wants a volume for itself, which the server has: he holds it as others do then. */
static int share(int fd)
{
	char path[32];
	_close_ int again = -1;
	int how = fcntl(fd, F_GETFL);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = how < 0 ? -1 : open(path, O_RDWR | (how & O_DIRECT) | O_CLOEXEC);
	return again < 0 || dup3(again, fd, O_CLOEXEC) < 0 ? -errno : 0;
}

/* The loop device of the file, as large as that is now. */
static int open_loop(struct hybrid *h, struct ctx *ctx, int fd)
{
	int held = -1;
	struct loop_options o = {
		.direct_io = true, .block_size = 512, .held = &held,
		.name = arena_printf(&ctx->arena, "full-%s", h->vdi->s),
	};
	uint32_t sector;
	bool direct;

	if (h->loop)
		return loop_resize(h->loop_n);
	if (blk_sector_below(fd, &sector) || sector != 512)
		return off(h, ctx, "the disk below does not have sectors of 512 bytes");
	h->loop_n = loop_attach(fd, &o, &direct);
	if (h->loop_n < 0)
		return h->loop_n;
	h->loop = held + 1;
	return direct ? 0 : off(h, ctx, "its file cannot be reached past the page cache");
}

static int open_below(struct hybrid *h, struct ctx *ctx, struct blk_info *b)
{
	int fd = disk_direct_fd(h->disk), err;
	struct stat st;

	if (fd < 0)
		return off(h, ctx, "its image cannot be reached past the page cache");
	if (fstat(fd, &st))
		return -errno;
	err = S_ISREG(st.st_mode) ? open_loop(h, ctx, fd) : share(fd);
	if (!err)
		err = blk_info(h->loop ? h->loop - 1 : fd, b);
	if (!err && b->sector != 512)
		err = off(h, ctx, "the disk below does not have sectors of 512 bytes");
	return err;
}

struct pieces {
	struct dm_table t;
	bool *full;		/* of each: it goes past the server */
};

static void add(struct pieces *p, struct dm_target t, bool full)
{
	p->full[p->t.n] = full;
	p->t.target[p->t.n++] = t;
}

static void make_table(struct hybrid *h, struct arena *a, dev_t nbd, const struct blk_info *b,
		       struct pieces *p)
{
	/* Each block is a piece, and so is what lies before it; one more lies behind. */
	struct disk_block *v = arena_array(a, HYBRID_PIECES, sizeof(*v));
	size_t n = disk_full_blocks(h->disk, v, HYBRID_PIECES);
	size_t room = 2 * n + 1 < HYBRID_PIECES ? 2 * n + 1 : HYBRID_PIECES;
	uint64_t at = 0, end = disk_size(h->disk) / 512;

	p->t.n = 0;
	p->t.target = arena_array(a, room, sizeof(*p->t.target));
	p->full = arena_array(a, room, sizeof(*p->full));
	for (size_t i = 0; i < n && p->t.n + 3 <= room; i++) {
		uint64_t start = v[i].block * BLOCK;

		/* The last one is the port's. */
		if (start + BLOCK >= end || !range_ok(v[i].at, BLOCK * 512, b->size))
			continue;
		if (start > at)
			add(p, linear(a, at, start, nbd, at), false);
		at = start + BLOCK;
		add(p, linear(a, start, at, b->dev, v[i].at / 512), true);
	}
	add(p, linear(a, at, end, nbd, at), false);
}

/* Runs of pieces of a kind; the last piece has the port's own block in it. */
static int map_pieces(int ctl, dev_t port, const struct pieces *p, uint64_t size)
{
	struct mapping m = { .ctl = ctl, .port = port };
	uint64_t from = 0, at = 0;

	for (size_t i = 0; i < p->t.n; i++) {
		if (i && p->full[i] != p->full[i - 1]) {
			map(&m, from, at, p->full[i - 1]);
			from = at;
		}
		at = (p->t.target[i].start + p->t.target[i].length) / BLOCK;
	}
	map(&m, from, regions(size), 0);
	return end_mapping(&m);
}

/* Whatever was loaded beside it is dropped. */
static int keep_table(int ctl, dev_t dev)
{
	int err = dm_clear(ctl, dm_by_dev(dev));

	return err ? err : dm_resume(ctl, dm_by_dev(dev), 0, NULL);
}

/* In one step for the kernel: nothing is under way when tables are swapped. */
static int swap(int ctl, dev_t dev, const struct dm_table *t)
{
	int err = dm_load(ctl, dm_by_dev(dev), t, false);

	if (!err)
		err = dm_resume(ctl, dm_by_dev(dev), 0, NULL);	/* commit */
	if (err)
		keep_table(ctl, dev);
	return err;
}

/* 0 when there is none. */
static int find_below(struct hybrid *h, struct arena *a, int ctl, dev_t *dev)
{
	struct dm_info now;
	struct dm_device d;
	int err;

	describe(a, h->vdi, &d);
	err = dm_info(ctl, dm_by_uuid(d.uuid), &now);
	*dev = now.dev;
	return err == -ENXIO ? 0 : err ? err : now.live;
}

static int promote(struct hybrid *h, struct ctx *ctx, int n)
{
	struct arena *a = &ctx->arena;
	_close_ int ctl = dm_open();
	struct blk_info b;
	struct nbd_now nbd;
	struct pieces p;
	dev_t dev, port;
	uint64_t to;
	int err = ctl < 0 ? ctl : find_below(h, a, ctl, &dev);

	if (err > 0)
		err = find_port(a, ctl, h->vdi, &port, &to);
	if (err <= 0)
		return err ? err : off(h, ctx, "its device is of one piece");
	if (to != regions(disk_size(h->disk)) * BLOCK)
		return -EAGAIN;			/* it is about to grow */
	err = nbd_info(n, &nbd);
	if (!err)
		err = open_below(h, ctx, &b);
	if (err)
		return err;
	make_table(h, a, nbd.dev, &b, &p);
	/*
	 * Where there is no room for all, some lose their piece: nothing may be on its way
	 * there.  And the first time nobody may have settled the switch.
	 */
	if (p.t.n + 3 > HYBRID_PIECES || !h->done)
		err = map_none(ctl, port, disk_size(h->disk));
	if (!err)
		err = swap(ctl, dev, &p.t);
	if (err)
		return err;
	h->known = true;
	return map_pieces(ctl, port, &p, disk_size(h->disk));
}

void hybrid_tick(struct hybrid *h, struct ctx *ctx, int n)
{
	uint64_t full = disk_full_blocks(h->disk, NULL, 0), now = clock_now_mono();
	bool quiet = full == h->seen;
	int err;

	h->seen = full;
	if (full <= h->done || now < h->next)
		return;
	if (!quiet && full - h->done < (h->done / 8 > BATCH ? h->done / 8 : BATCH))
		return;
	err = promote(h, ctx, n);
	if (err == -EAGAIN)
		return;
	h->done = full;
	/* A large table takes its time: most of the time is left to others. */
	h->next = clock_now_mono() + 16 * (clock_now_mono() - now);
	if (err && !h->off)
		logf_info(ctx, "nbd: VDI %s: map its full blocks: %s", h->vdi->s, err_text(err));
}

/*
 * The switch first: what passes it after that need not be waited for.  A table of one
 * piece is the server's already.  What comes through that, past a switch that nobody
 * has settled yet, waits for the server, so he must not wait for it.
 */
static int all_to_server(struct hybrid *h, struct arena *a, int ctl, const struct nbd_now *nbd)
{
	struct dm_target all = linear(a, 0, nbd->size / 512, nbd->dev, 0);
	struct dm_table t = { .target = &all, .n = 1 }, now;
	dev_t dev, port;
	uint64_t end;
	int err = find_below(h, a, ctl, &dev);

	if (err <= 0)
		return err;
	err = find_port(a, ctl, h->vdi, &port, &end);
	if (err > 0)
		err = map_none(ctl, port, end * 512 + 512);
	if (!err)
		err = dm_table(ctl, dm_by_dev(dev), false, a, &now);
	if (err)
		return err;
	return now.n > 1 ? swap(ctl, dev, &t) : keep_table(ctl, dev);
}

int hybrid_demote(struct hybrid *h, struct ctx *ctx, int n)
{
	_close_ int ctl = -1;
	struct nbd_now nbd;
	int err;

	if (h->known && !h->done)
		return 0;
	ctl = dm_open();
	if (ctl < 0)
		return dm_is_absent(ctl) ? 0 : ctl;
	err = nbd_info(n, &nbd);
	if (!err)
		err = all_to_server(h, &ctx->arena, ctl, &nbd);
	if (err)
		return err;
	drop_loop(h);
	h->known = true;
	h->done = h->seen = 0;
	return 0;
}
