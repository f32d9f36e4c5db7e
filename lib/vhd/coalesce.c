/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/vhd/coalesce.h"

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
	c->buf = must_alloc((size_t)VHD_BLOCK);
	*out = c;
	return 0;
}

static int merge_run(struct vhd_coalesce *c, uint64_t at, uint64_t pos, size_t n)
{
	int err = io_read(c->child->io, pos, c->buf, n);

	if (!err)
		err = c->parent ? vhd_write(c->parent, at, c->buf, n) :
			io_write(c->raw, at, c->buf, n);
	if (!err)
		c->sectors += n / VHD_SECTOR;
	return err;
}

int vhd_coalesce_step(struct vhd_coalesce *c)
{
	uint64_t at, end;

	if (c->done >= c->total)
		return 0;
	at = c->turns[c->done].block * VHD_BLOCK;
	end = at + VHD_BLOCK < c->child->footer.size ? at + VHD_BLOCK : c->child->footer.size;
	while (at < end) {
		uint64_t n = end - at, pos;
		int where = vhd_lookup(c->child, at, &n, &pos), err = 0;

		if (where < 0)
			return where;
		if (where == VHD_HERE)
			err = merge_run(c, at, pos, (size_t)n);
		if (err)
			return err;
		at += n;
	}
	c->done++;
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
	free(c->turns);
	free(c->buf);
	free(c);
}
