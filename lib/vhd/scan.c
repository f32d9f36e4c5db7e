/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "lib/arena.h"
#include "lib/vhd/bat.h"
#include "lib/vhd/scan.h"

#define PART	((uint32_t)64 << 10)	/* entries, 256 KiB of them */

struct order {
	uint64_t end;			/* sector from which on the next one may lie */
	uint32_t last, entry, n;	/* the last one in use, and how many are */
};

static struct order begin(const struct vhd *v)
{
	return (struct order){ .end = (v->meta_end + VHD_SECTOR - 1) / VHD_SECTOR, .last = VHD_UNUSED };
}

/* n more of them, from that block on. */
static bool go_on(struct order *o, const be32 *bat, uint32_t from, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t entry = be32_get(bat[i]);

		if (entry == VHD_UNUSED)
			continue;
		if (entry < o->end)
			return false;
		o->end = (uint64_t)entry + VHD_BLOCK_SPAN;
		o->entry = entry;
		o->last = from + i;
		o->n++;
	}
	return true;
}

/* No other reaches further than the last. */
static bool ended(struct vhd *v, const struct order *o)
{
	if (o->last == VHD_UNUSED)
		return true;
	if (!range_ok(o->entry * VHD_SECTOR, vhd_need_of(v, o->last), v->footer_at))
		return false;
	if (v->data_end < o->end * VHD_SECTOR)
		v->data_end = o->end * VHD_SECTOR;
	return true;
}

bool vhd_in_order(struct vhd *v)
{
	struct order o = begin(v);

	return go_on(&o, v->bat, 0, v->n_blocks) && ended(v, &o);
}

/* Whole sectors, of which *n entries count. */
static int read_part(struct vhd *v, uint32_t from, be32 *part, uint32_t *n)
{
	uint64_t at = (uint64_t)from * sizeof(*part), len = vhd_bat_len(v) - at;

	*n = v->n_blocks - from < PART ? v->n_blocks - from : PART;
	return io_read(v->io, v->header.table_at + at, part,
		       len < PART * sizeof(*part) ? (size_t)len : PART * sizeof(*part));
}

int vhd_scan_used(struct vhd *v, uint32_t *used, bool *known)
{
	be32 *part = must_alloc(PART * sizeof(*part));
	struct order o = begin(v);
	int err = 0;

	*known = true;
	for (uint32_t i = 0, n; i < v->n_blocks && *known && !err; i += n) {
		err = read_part(v, i, part, &n);
		*known = !err && go_on(&o, part, i, n);
	}
	free(part);
	*known = *known && ended(v, &o);
	*used = o.n;
	return err;
}

struct both {
	be32 child[PART], parent[PART];
};

/* Has the child what the parent has, of n blocks from that one on?  Only the batmap knows whether it is all of a block. */
static bool hides(const struct vhd *v, const struct both *b, uint32_t from, uint32_t n, bool *known)
{
	uint32_t n_map = v->batmap.state == BATMAP_GOOD ? (uint32_t)v->batmap.covered * 8 : 0;
	const uint8_t *map = v->batmap.bits;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t block = from + i;

		if (be32_get(b->parent[i]) == VHD_UNUSED)
			continue;
		if (be32_get(b->child[i]) == VHD_UNUSED)
			return false;
		if (block >= n_map || !(map[block / 8] & 0x80 >> block % 8)) {
			*known = false;
			break;
		}
	}
	return true;
}

int vhd_scan_covers(struct vhd *child, struct vhd *parent, bool *covers, bool *known)
{
	struct both *b = must_alloc(sizeof(*b));
	struct order o = begin(child);
	int err = 0;

	*covers = *known = true;
	for (uint32_t i = 0, n, p; i < child->n_blocks && *covers && *known && !err; i += n) {
		err = read_part(child, i, b->child, &n);
		p = 0;
		if (!err && i < parent->n_blocks)
			err = read_part(parent, i, b->parent, &p);
		*known = !err && go_on(&o, b->child, i, n);
		if (*known)
			*covers = hides(child, b, i, p < n ? p : n, known);
	}
	free(b);
	if (*known && *covers)
		*known = ended(child, &o);
	return err;
}
