/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A merge as a collector does it: what the child forgets is on the parent's disk. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/format.h"
#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/ctx.h"
#include "lib/err.h"
#include "tests/unit/vhd_crash.h"

/*
 * More blocks than bitmaps are kept of, and than are merged before the first of them
 * are forgotten, with so many runs that they are several batches.
 */
#define BLOCKS	800u
#define PIECES	40u
#define SIZE	(BLOCKS * VHD_BLOCK)
#define ROOM	(SIZE + 8 * MiB)

/*
 * A kernel's cache over a disk.  What a flush cannot write is lost, and only that
 * flush says so: the pages count as clean from then on.
 */
struct cached {
	struct io io;
	struct io *seen, *disk;
	struct { uint64_t at; size_t len; } dirty[3 * BLOCKS * PIECES];
	size_t n_dirty, flushes, bad;	/* the bad-th fails */
};

static struct cached *of(const struct io *io)
{
	return (struct cached *)io;
}

static int cached_read(struct io *io, uint64_t at, void *buf, size_t len)
{
	return io_read(of(io)->seen, at, buf, len);
}

static int cached_write(struct io *io, uint64_t at, const void *buf, size_t len)
{
	struct cached *c = of(io);

	OK(c->n_dirty < ARRAY_SIZE(c->dirty));
	c->dirty[c->n_dirty].at = at;
	c->dirty[c->n_dirty++].len = len;
	return io_write(c->seen, at, buf, len);
}

static int cached_flush(struct io *io)
{
	struct cached *c = of(io);
	bool lost = ++c->flushes == c->bad;

	for (size_t i = 0; i < c->n_dirty && !lost; i++) {
		char *p = must_alloc(c->dirty[i].len);

		EQ(io_read(c->seen, c->dirty[i].at, p, c->dirty[i].len), 0);
		EQ(io_write(c->disk, c->dirty[i].at, p, c->dirty[i].len), 0);
		free(p);
	}
	c->n_dirty = 0;
	return lost ? -EIO : 0;
}

/* What is not on the disk counts as clean and is thrown away. */
static void cached_hint(struct io *io, uint64_t at, uint64_t len, enum io_hint what)
{
	struct cached *c = of(io);

	if (what != IO_LOST)
		return;
	EQ(c->n_dirty, 0);
	io_close(c->seen);
	c->seen = io_sparse_copy(c->disk);
}

static void cached_close(struct io *io)
{
	io_close(of(io)->seen);
	io_close(of(io)->disk);
	free(io);
}

static const struct io_ops cached_ops = {
	.read = cached_read, .write = cached_write, .flush = cached_flush, .hint = cached_hint,
	.close = cached_close,
};

static struct cached *cached(const struct io *disk, size_t bad)
{
	struct cached *c = must_alloc(sizeof(*c));

	*c = (struct cached){
		.io = { .ops = &cached_ops, .size = disk->size, .sector = 512, .fd = -1 },
		.seen = io_sparse_copy(disk), .disk = io_sparse_copy(disk), .bad = bad,
	};
	return c;
}

static uint8_t value(uint32_t block)
{
	return (uint8_t)(block % 255 + 1);
}

/* Every other sector at the start of each block shows its value. */
static struct io *volume(enum vhd_type type, uint8_t id, uint8_t parent, bool full)
{
	struct vhd_create how = {
		.type = type, .size = SIZE, .uuid = { id }, .parent_path = "./parent.vhd",
		.parent_uuid = { parent },
	};
	struct io *io = io_sparse(ROOM, ROOM, 0xee);
	struct vhd *v = NULL;

	EQ(vhd_create(io, &how), 0);
	EQ(vhd_open(&v, io, VHD_RDWR), 0);
	for (uint32_t i = 0; full && i < BLOCKS * PIECES; i++)
		crash_put(v, i / PIECES * VHD_BLOCK_SECTORS + i % PIECES * 2, value(i / PIECES));
	EQ(vhd_finish(v), 0);
	vhd_close(v);
	return io;
}

static const struct format *format(void)
{
	for_each_registered(formats, f)
		if (!strcmp((*f)->name, "vhd"))
			return *f;
	return NULL;
}

struct stop {
	unsigned int left;
	int with;
	struct io *leaf;		/* the child, as a disk that is written now and then */
	int alone;			/* what is said of it then, when that is an error */
	unsigned int asked;
	unsigned int still;		/* it changes while this batch is read; 0: never */
};

/* What is read of one that changes is not written. */
static int still(void *arg)
{
	struct stop *s = arg;

	return s->still && !--s->still ? -EAGAIN : 0;
}

static int tick(void *arg, uint64_t done, uint64_t total)
{
	struct stop *s = arg;

	return s->left && !--s->left ? s->with : 0;
}

/* A disk that somebody may write, which says whether it lies still. */
static int alone(void *arg, int (*fn)(void *fn_arg, struct io *child), void *fn_arg)
{
	struct stop *s = arg;

	s->asked++;
	return s->alone ? s->alone : fn(fn_arg, s->leaf);
}

static int merge(struct io *child, struct io *parent, struct stop *s)
{
	struct image_merge m = {
		.child = child, .parent = parent, .parent_format = format(), .forgets = !s->leaf,
		.alone = s->leaf ? alone : NULL, .still = still, .tick = tick, .arg = s,
	};
	struct ctx ctx = { 0 };
	int err = format()->merge(&ctx, &m);

	arena_free(&ctx.arena);
	return err;
}

/* What has gone from the child is in the parent; the number that has. */
static uint32_t gone(struct io *child, struct io *parent)
{
	struct vhd *c = NULL, *p = NULL;
	uint32_t n = 0;

	EQ(vhd_open(&c, child, 0), 0);
	EQ(vhd_open(&p, parent, 0), 0);
	for (uint32_t i = 0; c && p && i < BLOCKS; i++) {
		if (vhd_entry(c, i) != VHD_UNUSED)
			continue;
		n++;
		EQ(crash_get(p, i * VHD_BLOCK_SECTORS + i % PIECES * 2), value(i));
	}
	vhd_close(c);
	vhd_close(p);
	return n;
}

static void is_whole(struct io *parent)
{
	struct vhd *v = NULL;

	EQ(vhd_open(&v, parent, 0), 0);
	for (uint32_t i = 0; v && i < BLOCKS; i++)
		EQ(crash_get(v, i * VHD_BLOCK_SECTORS + i % PIECES * 2), value(i));
	vhd_close(v);
}

TEST(vhd_merge_forgets_nothing_after_a_flush_that_failed)
{
	struct io *child = volume(VHD_DIFF, 2, 1, true), *parent = volume(VHD_DYNAMIC, 1, 0, false);
	size_t bad = 1;
	int err;

	do {
		struct cached *c = cached(child, 0), *p = cached(parent, bad);
		struct stop s = { 0 };

		err = merge(&c->io, &p->io, &s);
		EQ(err, p->flushes < bad ? 0 : -EIO);
		gone(c->disk, p->disk);
		/* The next attempt does not take for written what the disk never got. */
		if (err)
			EQ(merge(&c->io, &p->io, &s), 0);
		is_whole(p->disk);
		io_close(&c->io);
		io_close(&p->io);
	} while (err && ++bad < 20);
	OK(bad > 4 && bad < 20);
	io_close(child);
	io_close(parent);
}

/* Who is asked to stop keeps what is done; whose lock is another's writes nothing more. */
TEST(vhd_merge_that_is_stopped)
{
	struct io *child = volume(VHD_DIFF, 2, 1, true), *parent = volume(VHD_DYNAMIC, 1, 0, false);
	const int with[] = { -EINTR, -E_DEADLINE, -E_NOT_LOCKED };

	for (size_t i = 0; i < ARRAY_SIZE(with); i++) {
		struct cached *c = cached(child, 0), *p = cached(parent, 0);
		bool kept = with[i] != -E_NOT_LOCKED;
		struct stop s = { .left = 2, .with = with[i] };
		struct vhd *v = NULL;
		uint32_t n;

		EQ(merge(&c->io, &p->io, &s), with[i]);
		n = gone(c->disk, p->disk);
		OK(kept ? n > 0 && n < BLOCKS : !n);
		OK(kept == !p->n_dirty);
		/* The next one goes on. */
		s.left = 0;
		EQ(merge(&c->io, &p->io, &s), 0);
		gone(c->disk, p->disk);
		EQ(vhd_open(&v, p->disk, 0), 0);
		EQ(vhd_allocated(v), BLOCKS);
		vhd_close(v);
		io_close(&c->io);
		io_close(&p->io);
	}
	io_close(child);
	io_close(parent);
}

/* It is looked at by the footer at its end, and nobody may write it. */
TEST(vhd_merge_of_a_child_that_cannot_be_written)
{
	struct io *child = volume(VHD_DIFF, 2, 1, true), *parent = volume(VHD_DYNAMIC, 1, 0, false);
	struct stop s = { 0 };
	struct vhd *v = NULL;

	EQ(io_zero(child, 0, VHD_SECTOR), 0);
	EQ(vhd_open(&v, child, VHD_RDWR), -E_VHD_FOOTERS);
	EQ(merge(child, parent, &s), 0);
	EQ(vhd_open(&v, parent, 0), 0);
	EQ(vhd_allocated(v), BLOCKS);
	vhd_close(v);
	EQ(vhd_open(&v, child, 0), 0);
	EQ(vhd_allocated(v), BLOCKS);
	vhd_close(v);
	io_close(child);
	io_close(parent);
}

/* It forgets only while it lies still, and once the parent has it on the disk. */
TEST(vhd_merge_of_a_disk_that_may_be_written)
{
	struct io *child = volume(VHD_DIFF, 2, 1, true), *parent = volume(VHD_DYNAMIC, 1, 0, false);

	for (unsigned int still = 0; still < 3; still++) {
		struct cached *c = cached(child, 0), *p = cached(parent, still == 2 ? 2 : 0);
		struct stop s = { .left = still ? 0 : 2, .with = -EINTR, .leaf = &c->io };
		uint32_t n;

		/* Asked to stop; written by the time of the first gigabyte; a flush that fails. */
		s.alone = still == 1 ? -EAGAIN : 0;
		EQ(merge(&c->io, &p->io, &s), still == 0 ? -EINTR : still == 1 ? -EAGAIN : -EIO);
		EQ(s.asked, still == 2 ? 0 : 1);
		n = gone(c->disk, p->disk);
		OK(still ? !n : n > 0 && n < BLOCKS);
		s.left = 0;
		s.alone = 0;
		EQ(merge(&c->io, &p->io, &s), 0);
		gone(c->disk, p->disk);
		io_close(&c->io);
		io_close(&p->io);
	}
	io_close(child);
	io_close(parent);
}

/* A block that moved before it was read: of the batch nothing is written, and those before are whole. */
TEST(vhd_merge_of_a_disk_that_grows)
{
	struct io *child = volume(VHD_DIFF, 2, 1, true), *parent = volume(VHD_DYNAMIC, 1, 0, false);
	struct vhd *v = NULL;

	for (unsigned int at = 1; at < 3; at++) {
		struct cached *c = cached(child, 0), *p = cached(parent, 0);
		struct stop s = { .still = at, .leaf = &c->io };

		EQ(merge(&c->io, &p->io, &s), -EAGAIN);
		EQ(s.asked, 0);
		EQ(vhd_open(&v, p->disk, 0), 0);
		OK(at == 1 ? !vhd_allocated(v) : vhd_allocated(v) > 0 && vhd_allocated(v) < BLOCKS);
		vhd_close(v);
		EQ(merge(&c->io, &p->io, &s), 0);
		gone(c->disk, p->disk);
		io_close(&c->io);
		io_close(&p->io);
	}
	io_close(child);
	io_close(parent);
}

/* Written anew, its blocks would lie where no table can say. */
TEST(vhd_merge_of_a_disk_too_large_to_forget)
{
	const uint64_t size = 1100ull << 30;

	for (unsigned int i = 0; i < 2; i++) {
		struct vhd_create how = { .type = VHD_DYNAMIC, .size = size, .uuid = { 1 } };
		struct io *parent = io_sparse(0, UINT64_MAX / 2, 0), *child = io_sparse(0, UINT64_MAX / 2, 0);
		struct stop s = { .left = 2, .with = -EINTR, .leaf = child };
		struct vhd *v = NULL;

		EQ(vhd_create(parent, &how), 0);
		how = (struct vhd_create){
			.type = VHD_DIFF, .size = size, .uuid = { 2 }, .parent_path = "./parent.vhd",
			.parent_uuid = { 1 },
		};
		EQ(vhd_create(child, &how), 0);
		EQ(vhd_open(&v, child, VHD_RDWR), 0);
		v->data_end += i * size;		/* behind blocks that it had once */
		crash_put(v, 0, 1);
		EQ(vhd_finish(v), 0);
		vhd_close(v);
		EQ(merge(child, parent, &s), -EINTR);
		EQ(s.asked, 1);
		EQ(vhd_open(&v, child, 0), 0);
		EQ(vhd_allocated(v), i);
		vhd_close(v);
		io_close(child);
		io_close(parent);
	}
}
