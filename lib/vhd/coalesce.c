/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/kconfig.h"
#include "lib/vhd/bat.h"
#include "lib/vhd/batmap.h"
#include "lib/vhd/bitmap.h"
#include "lib/vhd/coalesce.h"

#define ROOM	((size_t)10 << 20)	/* bytes of one batch */
#define RUNS	8192u			/* of one batch */
#define GAP	((uint64_t)16 << 10)	/* bytes read in vain rather than ask twice */
#define PAGE	((size_t)4096)		/* data lies in it as it does on the medium: no copy for O_DIRECT */
/* What one block may add to a batch: its data, a gap before it, and a page for each span. */
#define MOST	(VHD_BLOCK + GAP + (VHD_BLOCK / GAP + 1) * PAGE)
#define AHEAD	64u			/* blocks whose bitmaps are asked for early */
#define SHARED	((size_t)64 << 10)	/* what is shorter is copied sooner than shared */
#define SHARES	16u			/* of one batch */
#define OF_CHILD	0x80000000u	/* no byte of the buffer: a page of the child, up to 2 TiB and a block */
#define ASKED	256u			/* bitmaps read to find that all of a parent is hidden */

/*
 * Bytes that the child has: where they go, and where they wait in the buffer.  Or they are
 * to be shared, and it is OF_CHILD and a page.
 */
struct run {
	uint64_t at;
	uint32_t len, buf;
};

/* One read: a run, or several with short gaps between. */
struct span {
	uint64_t pos;
	uint32_t len, buf;
};

struct vhd_batch {
	uint32_t blocks, n_runs, n_spans, n_shared;
	size_t bytes;
	struct io *from;
	char *mem, *buf;
	bool whole;			/* all of it has been read */
	pthread_t reader;
	struct run runs[RUNS];
	struct span spans[RUNS];
};

static int by_place(const void *a, const void *b)
{
	const struct vhd_turn *x = a, *y = b;

	if (x->place != y->place)
		return x->place < y->place ? -1 : 1;
	return x->block < y->block ? -1 : x->block > y->block;
}

/* The same list in the same order however often it is begun, as long as nobody else writes. */
static void line_up(struct vhd_coalesce *c)
{
	const struct vhd *child = c->child, *parent = c->parent;

	c->turns = must_alloc(child->n_blocks * sizeof(*c->turns) + 1);
	for (uint32_t i = 0; i < child->n_blocks; i++) {
		struct vhd_turn *t = &c->turns[c->total];

		if (child->bat && vhd_entry(child, i) == VHD_UNUSED)
			continue;
		t->block = i;
		t->place = i;
		if (parent && parent->bat && i < parent->n_blocks)
			t->place = vhd_entry(parent, i);
		c->total++;
	}
	qsort(c->turns, c->total, sizeof(*c->turns), by_place);
}

static uint32_t count_new(const struct vhd_coalesce *c)
{
	uint32_t n = 0;

	for (uint32_t i = c->done; i < c->total; i++)
		n += c->turns[i].place == VHD_UNUSED;
	return n;
}

static struct vhd_batch *new_batch(struct io *from)
{
	struct vhd_batch *b = must_alloc(sizeof(*b));

	b->from = from;
	b->mem = must_alloc(ROOM + PAGE);
	b->buf = b->mem + -(uintptr_t)b->mem % PAGE;
	return b;
}

static void free_batch(struct vhd_batch *b)
{
	free(b->mem);
	free(b);
}

int vhd_coalesce_start(struct vhd_coalesce **out, struct vhd *child, struct vhd *parent,
		       struct io *raw, uint32_t first)
{
	struct vhd_coalesce *c;
	uint64_t size = parent ? parent->footer.size : raw->size;

	if (parent ? !parent->writable : raw->read_only)
		return -EROFS;
	if (child->footer.size > size)
		return -E_VHD_SIZE;
	c = must_alloc(sizeof(*c));
	*c = (struct vhd_coalesce){ .child = child, .parent = parent, .raw = raw };
	line_up(c);
	c->done = first < c->total ? first : c->total;
	c->planned = c->announced = c->done;
	c->now = new_batch(child->io);
	c->next = new_batch(child->io);
	if (IS_ENABLED(CONFIG_GC_SHARE))
		c->share = SHARE_MAYBE;
	if (parent && parent->bat)
		vhd_expect(parent, count_new(c));
	*out = c;
	return 0;
}

/* --- planning ---------------------------------------------------------------- */

static void announce_bitmap(struct vhd *v, uint32_t block)
{
	if (v && v->bat && block < v->n_blocks && vhd_in_use(vhd_entry(v, block)) &&
	    !vhd_batmap_get(v, block))
		io_hint(v->io, vhd_entry(v, block) * VHD_SECTOR, VHD_SECTOR, IO_WILL_READ);
}

static void announce_bitmaps(struct vhd_coalesce *c)
{
	for (; c->announced < c->total && c->announced < c->planned + AHEAD; c->announced++) {
		announce_bitmap(c->child, c->turns[c->announced].block);
		announce_bitmap(c->parent, c->turns[c->announced].block);
	}
}

static void add_run(struct vhd_batch *b, uint64_t at, uint64_t pos, uint64_t len)
{
	struct span *s = b->n_spans ? &b->spans[b->n_spans - 1] : NULL;

	if (!s || pos < s->pos + s->len || pos > s->pos + s->len + GAP) {
		s = &b->spans[b->n_spans++];
		b->bytes += (pos - b->bytes) % PAGE;
		*s = (struct span){ .pos = pos, .buf = (uint32_t)b->bytes };
	}
	s->len = (uint32_t)(pos + len - s->pos);
	b->bytes = s->buf + s->len;
	b->runs[b->n_runs++] = (struct run){
		.at = at, .len = (uint32_t)len, .buf = (uint32_t)(b->bytes - len),
	};
}

/* Whether it works is known once one has been, which is the last of its batch: until then nothing more is planned. */
static bool share_run(struct vhd_coalesce *c, struct vhd_batch *b, uint64_t at, uint64_t pos, uint64_t len)
{
	if (!IS_ENABLED(CONFIG_GC_SHARE) || (c->share != SHARE_MAYBE && c->share != SHARE_WORKS) ||
	    len < SHARED || (at | pos | len) % PAGE)
		return false;
	if (c->share == SHARE_MAYBE)
		c->share = SHARE_TRIES;
	b->runs[b->n_runs++] = (struct run){
		.at = at, .len = (uint32_t)len, .buf = OF_CHILD | (uint32_t)(pos / PAGE),
	};
	b->n_shared++;
	return true;
}

static bool may_share_more(const struct vhd_coalesce *c, const struct vhd_batch *b)
{
	return !IS_ENABLED(CONFIG_GC_SHARE) || (b->n_shared < SHARES && c->share != SHARE_TRIES);
}

static int plan_block(struct vhd_coalesce *c, struct vhd_batch *b, uint32_t block)
{
	uint64_t at = block * VHD_BLOCK, end = at + VHD_BLOCK;

	if (end > c->child->footer.size)
		end = c->child->footer.size;
	while (at < end) {
		uint64_t n = end - at, pos;
		int where = vhd_lookup(c->child, at, &n, &pos);

		if (where < 0)
			return where;
		if (where == VHD_HERE && !share_run(c, b, at, pos, n))
			add_run(b, at, pos, n);
		at += n;
	}
	return 0;
}

/* As many blocks as are sure to fit, and their reading begun. */
static int plan(struct vhd_coalesce *c, struct vhd_batch *b)
{
	b->blocks = b->n_runs = b->n_spans = b->n_shared = 0;
	b->bytes = 0;
	b->whole = false;
	announce_bitmaps(c);
	while (c->planned < c->total && b->bytes + MOST <= ROOM && may_share_more(c, b) &&
	       b->n_runs + VHD_BLOCK_SECTORS / 2 <= RUNS &&
	       (!c->at_most || b->blocks < c->at_most)) {
		int err = plan_block(c, b, c->turns[c->planned].block);

		if (err)
			return err;
		c->planned++;
		b->blocks++;
	}
	for (uint32_t i = 0; i < b->n_spans; i++)
		io_hint(c->child->io, b->spans[i].pos, b->spans[i].len, IO_WILL_READ);
	return 0;
}

/* --- moving -------------------------------------------------------------------- */

static int fetch(struct vhd_batch *b)
{
	int err = 0;

	for (uint32_t i = 0; i < b->n_spans && !err && !b->whole; i++)
		err = io_read(b->from, b->spans[i].pos, b->buf + b->spans[i].buf, b->spans[i].len);
	b->whole = !err;
	return err;
}

/* Whoever needs the batch finds that it is not whole, tries again, and learns why. */
static void *fetch_ahead(void *arg)
{
	fetch(arg);
	return NULL;
}

static int put_run(struct vhd_coalesce *c, const struct run *r, const char *p)
{
	return c->parent ? vhd_write(c->parent, r->at, p, r->len) : io_write(c->raw, r->at, p, r->len);
}

static uint64_t place_of(const struct run *r)
{
	return (r->buf & ~OF_CHILD) * (uint64_t)PAGE;
}

/* One that was to be shared. */
static int copy_run(struct vhd_coalesce *c, const struct run *r)
{
	char *p = must_alloc(r->len);
	int err = io_read(c->child->io, place_of(r), p, r->len);

	if (!err)
		err = put_run(c, r, p);
	free(p);
	return err;
}

/* A run is within one block. */
static int put_shared(struct vhd_coalesce *c, const struct run *r)
{
	uint64_t len = r->len, pos = r->at;
	int err = c->parent ? vhd_write_begin(c->parent, r->at, &len, &pos) : 0;

	if (IS_ENABLED(CONFIG_GC_SHARE) && !err && c->share != SHARE_NEVER)
		err = io_share(c->parent ? c->parent->io : c->raw, pos, c->child->io, place_of(r), len);
	/* Whatever it is that a file system or a server has against it. */
	if (err && err != -EIO && err != -ENOSPC)
		c->share = SHARE_NEVER;
	if (c->share == SHARE_NEVER)
		return copy_run(c, r);
	if (!err)
		c->share = SHARE_WORKS;
	return err || !c->parent ? err : vhd_write_end(c->parent, r->at, len);
}

static int put(struct vhd_coalesce *c, const struct vhd_batch *b)
{
	int err = 0;

	for (uint32_t i = 0; i < b->n_runs && !err; i++) {
		const struct run *r = &b->runs[i];

		if (IS_ENABLED(CONFIG_GC_SHARE) && r->buf & OF_CHILD)
			err = put_shared(c, r);
		else
			err = put_run(c, r, b->buf + r->buf);
		if (!err)
			c->sectors += r->len / VHD_SECTOR;
	}
	return err;
}

static int merge_batch(struct vhd_coalesce *c)
{
	struct io *to = c->parent ? c->parent->io : c->raw;
	struct vhd_batch *b = c->now;
	bool ahead;
	int err = 0;

	if (c->done >= c->total)
		return 0;
	if (!b->blocks)
		err = plan(c, b);
	if (!err && !c->next->blocks)
		err = plan(c, c->next);
	if (!err)
		err = fetch(b);
	if (err)
		return err;
	if (c->still && (err = c->still(c->arg)))
		return err;
	ahead = c->next->n_spans && !c->next->whole &&
		!pthread_create(&c->next->reader, NULL, fetch_ahead, c->next);
	err = put(c, b);
	if (ahead)
		pthread_join(c->next->reader, NULL);
	if (err)
		return err;
	io_hint(to, 0, to->size, IO_WROTE);
	c->done += b->blocks;
	b->blocks = 0;
	c->now = c->next;
	c->next = b;
	return 0;
}

int vhd_coalesce_step(struct vhd_coalesce *c)
{
	bool may = c->share == SHARE_MAYBE;
	int err = merge_batch(c);

	/* The one by which it was tried is alone in its batch. */
	if (IS_ENABLED(CONFIG_GC_SHARE) && !err && may && c->share != SHARE_MAYBE && !c->at_most)
		err = merge_batch(c);
	return err;
}

int vhd_coalesce_forget(struct vhd_coalesce *c, struct vhd *own)
{
	int err;

	if (!own->bat)
		return 0;
	for (uint32_t i = c->forgotten; i < c->done; i++) {
		uint32_t block = c->turns[i].block;

		vhd_bits_drop(own, block);
		vhd_batmap_clear(own, block);
		vhd_bat_set(own, block, VHD_UNUSED);
	}
	err = vhd_flush(own);
	if (!err)
		c->forgotten = c->done;
	return err;
}

int vhd_coalesce_checkpoint(struct vhd_coalesce *c)
{
	return c->parent ? vhd_flush(c->parent) : io_flush(c->raw);
}

int vhd_coalesce_finish(struct vhd_coalesce *c)
{
	return c->parent ? vhd_finish(c->parent) : io_flush(c->raw);
}

void vhd_coalesce_free(struct vhd_coalesce *c)
{
	if (!c)
		return;
	if (c->parent && c->parent->bat)
		vhd_expect(c->parent, 0);
	free(c->turns);
	free_batch(c->now);
	free_batch(c->next);
	free(c);
}

/* All of a block, as far as the disk goes. */
static int has_all(struct vhd *v, uint32_t block, bool *all)
{
	uint64_t at = block * VHD_BLOCK, len = v->footer.size - at, n, pos;
	int where;

	n = len = len < VHD_BLOCK ? len : VHD_BLOCK;
	where = vhd_lookup(v, at, &n, &pos);
	*all = where == VHD_HERE && n == len;
	return where < 0 ? where : 0;
}

int vhd_covers(struct vhd *child, const struct vhd *parent, bool *covers)
{
	/* Of a table in which nothing is wrong the batmap may say so. */
	const struct vhd_batmap *map = &child->batmap;
	uint64_t n_map = map->state == BATMAP_GOOD && !child->n_bad ? map->covered * 8 : 0;
	uint32_t asked = 0;
	int err = 0;

	*covers = child->bat && parent->bat;
	for (uint32_t i = 0; i < child->n_blocks && i < parent->n_blocks && *covers && !err; i++) {
		if (vhd_entry(parent, i) == VHD_UNUSED)
			continue;
		*covers = vhd_in_use(vhd_entry(child, i));
		if (*covers && i < n_map && map->bits[i / 8] & 0x80 >> i % 8)
			continue;
		if (*covers && asked++ < ASKED)
			err = has_all(child, i, covers);
		else
			*covers = false;
	}
	return err;
}
