/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/vhd/batmap.h"
#include "lib/vhd/coalesce.h"

#define ROOM	((size_t)8 << 20)	/* bytes of one batch */
#define RUNS	8192u			/* of one batch */
#define GAP	((uint64_t)16 << 10)	/* bytes read in vain rather than ask twice */
#define AHEAD	64u			/* blocks whose bitmaps are asked for early */

/* Bytes that the child has: where they go, and where they wait in the buffer. */
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
	uint32_t blocks, n_runs, n_spans;
	size_t bytes;
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
	c->now = must_alloc(sizeof(*c->now));
	c->next = must_alloc(sizeof(*c->next));
	c->buf = must_alloc(ROOM);
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

static void add_run(struct vhd_batch *b, uint32_t first_span, uint64_t at, uint64_t pos,
		    uint64_t len)
{
	struct span *s = b->n_spans > first_span ? &b->spans[b->n_spans - 1] : NULL;

	if (!s || pos > s->pos + s->len + GAP) {
		s = &b->spans[b->n_spans++];
		*s = (struct span){ .pos = pos, .buf = (uint32_t)b->bytes };
	}
	s->len = (uint32_t)(pos + len - s->pos);
	b->bytes = s->buf + s->len;
	b->runs[b->n_runs++] = (struct run){
		.at = at, .len = (uint32_t)len, .buf = (uint32_t)(b->bytes - len),
	};
}

static int plan_block(struct vhd_coalesce *c, struct vhd_batch *b, uint32_t block)
{
	uint64_t at = block * VHD_BLOCK, end = at + VHD_BLOCK;
	uint32_t first = b->n_spans;

	if (end > c->child->footer.size)
		end = c->child->footer.size;
	while (at < end) {
		uint64_t n = end - at, pos;
		int where = vhd_lookup(c->child, at, &n, &pos);

		if (where < 0)
			return where;
		if (where == VHD_HERE)
			add_run(b, first, at, pos, n);
		at += n;
	}
	return 0;
}

/* As many blocks as are sure to fit, and their reading begun. */
static int plan(struct vhd_coalesce *c, struct vhd_batch *b)
{
	b->blocks = b->n_runs = b->n_spans = 0;
	b->bytes = 0;
	announce_bitmaps(c);
	while (c->planned < c->total && b->bytes + VHD_BLOCK <= ROOM &&
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

static int merge(struct vhd_coalesce *c, const struct vhd_batch *b)
{
	int err = 0;

	for (uint32_t i = 0; i < b->n_spans && !err; i++)
		err = io_read(c->child->io, b->spans[i].pos, c->buf + b->spans[i].buf,
			      b->spans[i].len);
	for (uint32_t i = 0; i < b->n_runs && !err; i++) {
		const struct run *r = &b->runs[i];
		const char *p = c->buf + r->buf;

		err = c->parent ? vhd_write(c->parent, r->at, p, r->len) :
			io_write(c->raw, r->at, p, r->len);
		if (!err)
			c->sectors += r->len / VHD_SECTOR;
	}
	return err;
}

int vhd_coalesce_step(struct vhd_coalesce *c)
{
	struct io *to = c->parent ? c->parent->io : c->raw;
	struct vhd_batch *b = c->now;
	int err = 0;

	if (c->done >= c->total)
		return 0;
	if (!b->blocks)
		err = plan(c, b);
	if (!err && !c->next->blocks)
		err = plan(c, c->next);
	if (!err)
		err = merge(c, b);
	if (err)
		return err;
	io_hint(to, 0, to->size, IO_WROTE);
	c->done += b->blocks;
	b->blocks = 0;
	c->now = c->next;
	c->next = b;
	return 0;
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
	free(c->now);
	free(c->next);
	free(c->buf);
	free(c);
}
