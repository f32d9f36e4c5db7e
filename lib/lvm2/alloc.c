/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/lvm2/alloc.h"
#include "lib/lvm2/vg.h"

/* --- the gaps ----------------------------------------------------------------- */

struct use {
	struct lvm_pv *pv;
	const struct lvm_lv *lv;
	uint32_t start, n;
};

static int by_place(const void *a, const void *b)
{
	const struct use *x = a, *y = b;

	if (x->pv != y->pv)
		return (uintptr_t)x->pv < (uintptr_t)y->pv ? -1 : 1;
	return x->start < y->start ? -1 : x->start > y->start;
}

/* Put a gap in front of the i-th. */
static void gap_insert(struct lvm_vg *vg, struct lvm_pv *pv, uint32_t i, struct lvm_gap gap)
{
	if (pv->n_gaps == pv->gap_room) {
		pv->gap_room = pv->gap_room ? pv->gap_room * 2 : 4;
		pv->gap =
			arena_grow(vg->arena, pv->gap, pv->n_gaps, pv->gap_room, sizeof(*pv->gap));
	}
	memmove(pv->gap + i + 1, pv->gap + i, (pv->n_gaps - i) * sizeof(*pv->gap));
	pv->gap[i] = gap;
	pv->n_gaps++;
}

static void gap_remove(struct lvm_pv *pv, uint32_t i)
{
	pv->n_gaps--;
	memmove(pv->gap + i, pv->gap + i + 1, (pv->n_gaps - i) * sizeof(*pv->gap));
}

static void gap_append(struct lvm_vg *vg, struct lvm_pv *pv, uint32_t start, uint32_t end)
{
	if (start < end)
		gap_insert(vg, pv, pv->n_gaps, (struct lvm_gap){ start, end - start });
	pv->n_free += end - start;
}

static size_t count_uses(const struct lvm_vg *vg, struct use *use)
{
	size_t n = 0;

	for (struct lvm_lv *lv = vg->first; lv; lv = lv->next)
		for (uint32_t i = 0; i < lv->n_segs; i++)
			for (uint32_t k = 0; k < lv->seg[i].n_legs; k++) {
				const struct lvm_leg *leg = &lv->seg[i].leg[k];

				if (!leg->pv)
					continue;
				if (use)
					use[n] = (struct use){ leg->pv, lv, leg->extent,
							       lvm_leg_extents(&lv->seg[i]) };
				n++;
			}
	return n;
}

static int walk(struct lvm_vg *vg, const struct use *use, size_t n, const char **why)
{
	for (size_t i = 0; i < n; ) {
		struct lvm_pv *pv = use[i].pv;
		uint64_t end = 0;

		for (; i < n && use[i].pv == pv; i++) {
			if (use[i].start < end) {
				*why = arena_printf(vg->arena,
						    "LVs %s and %s overlap on %s at extent %u",
						    use[i - 1].lv->name, use[i].lv->name, pv->key,
						    use[i].start);
				return -E_LVM_BAD;
			}
			if ((uint64_t)use[i].start + use[i].n > pv->pe_count) {
				*why = arena_printf(vg->arena, "LV %s goes beyond the end of %s",
						    use[i].lv->name, pv->key);
				return -E_LVM_BAD;
			}
			gap_append(vg, pv, (uint32_t)end, use[i].start);
			end = (uint64_t)use[i].start + use[i].n;
		}
		gap_append(vg, pv, (uint32_t)end, pv->pe_count);
		pv->mark = true;
	}
	/* Those nobody uses are one gap each. */
	for (uint32_t i = 0; i < vg->n_pvs; i++) {
		if (!vg->pv[i]->mark)
			gap_append(vg, vg->pv[i], 0, vg->pv[i]->pe_count);
		vg->pv[i]->mark = false;
	}
	return 0;
}

static void no_gaps(struct lvm_vg *vg)
{
	for (uint32_t i = 0; i < vg->n_pvs; i++)
		vg->pv[i]->n_gaps = vg->pv[i]->n_free = vg->pv[i]->end = 0;
}

/*
 * LVs made one after the other lie so as well, and then nothing has to be
 * sorted.  Wherever they do not, or are wrong, they go the long way.
 */
static bool in_order(struct lvm_vg *vg)
{
	for (struct lvm_lv *lv = vg->first; lv; lv = lv->next)
		for (uint32_t i = 0; i < lv->n_segs; i++)
			for (uint32_t k = 0; k < lv->seg[i].n_legs; k++) {
				const struct lvm_leg *leg = &lv->seg[i].leg[k];
				uint32_t n = lvm_leg_extents(&lv->seg[i]);

				if (!leg->pv)
					continue;
				if (leg->extent < leg->pv->end || leg->extent > leg->pv->pe_count ||
				    n > leg->pv->pe_count - leg->extent)
					return false;
				gap_append(vg, leg->pv, leg->pv->end, leg->extent);
				leg->pv->end = leg->extent + n;
			}
	for (uint32_t i = 0; i < vg->n_pvs; i++)
		gap_append(vg, vg->pv[i], vg->pv[i]->end, vg->pv[i]->pe_count);
	return true;
}

static int sorted(struct lvm_vg *vg, const char **why)
{
	size_t n = count_uses(vg, NULL);
	struct use *use = must_alloc(n * sizeof(*use));
	int err;

	count_uses(vg, use);
	qsort(use, n, sizeof(*use), by_place);
	err = walk(vg, use, n, why);
	free(use);
	return err;
}

int lvm_gaps_build(struct lvm_vg *vg, const char **why)
{
	no_gaps(vg);
	if (in_order(vg))
		return 0;
	no_gaps(vg);
	return sorted(vg, why);
}

/* The first gap that begins behind this extent. */
static uint32_t gap_after(const struct lvm_pv *pv, uint32_t extent)
{
	uint32_t low = 0, high = pv->n_gaps;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (pv->gap[mid].start > extent)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

void lvm_gap_take(struct lvm_vg *vg, struct lvm_pv *pv, uint32_t start, uint32_t n)
{
	uint32_t i = gap_after(pv, start);
	struct lvm_gap *g, rest;

	assert(i > 0);
	g = &pv->gap[--i];
	assert(start + n <= g->start + g->count);
	rest = (struct lvm_gap){ start + n, g->start + g->count - (start + n) };
	g->count = start - g->start;
	if (!g->count && rest.count)
		*g = rest;
	else if (!g->count)
		gap_remove(pv, i);
	else if (rest.count)
		gap_insert(vg, pv, i + 1, rest);
	pv->n_free -= n;
}

void lvm_gap_give(struct lvm_vg *vg, struct lvm_pv *pv, uint32_t start, uint32_t n)
{
	uint32_t i = gap_after(pv, start);
	struct lvm_gap *below = i ? &pv->gap[i - 1] : NULL;
	struct lvm_gap *above = i < pv->n_gaps ? &pv->gap[i] : NULL;
	bool joins_below = below && below->start + below->count == start;

	pv->n_free += n;
	if (above && start + n == above->start) {
		above->start = start;
		above->count += n;
		if (joins_below) {
			below->count += above->count;
			gap_remove(pv, i);
		}
	} else if (joins_below) {
		below->count += n;
	} else {
		gap_insert(vg, pv, i, (struct lvm_gap){ start, n });
	}
}

/* --- taking -------------------------------------------------------------------- */

bool lvm_pv_is_usable(const struct lvm_pv *pv)
{
	return (pv->flags & LVM_PV_ALLOCATABLE) && !(pv->flags & LVM_PV_EXPORTED) &&
	       !lvm_pv_is_missing(pv);
}

uint64_t lvm_vg_usable(const struct lvm_vg *vg)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < vg->n_pvs; i++)
		if (lvm_pv_is_usable(vg->pv[i]))
			n += vg->pv[i]->n_free;
	return n;
}

/* The last segment if more of the LV can follow it on its PV: linear, and on that PV itself. */
static struct lvm_seg *tail(const struct lvm_lv *lv)
{
	struct lvm_seg *s = lv->n_segs ? &lv->seg[lv->n_segs - 1] : NULL;

	return s && s->kind == LVM_SEG_STRIPED && s->n_legs == 1 && s->leg[0].pv ? s : NULL;
}

/* The gap that begins where the LV ends, or NULL. */
static struct lvm_gap *next_gap(const struct lvm_lv *lv, struct lvm_pv **pv)
{
	const struct lvm_seg *s = tail(lv);
	uint32_t end, i;

	if (!s || !lvm_pv_is_usable(s->leg[0].pv))
		return NULL;
	*pv = s->leg[0].pv;
	end = s->leg[0].extent + s->count;
	i = gap_after(*pv, end);
	return i && (*pv)->gap[i - 1].start == end ? &(*pv)->gap[i - 1] : NULL;
}

static void append(struct lvm_vg *vg, struct lvm_lv *lv, struct lvm_pv *pv, uint32_t extent,
		   uint32_t n)
{
	struct lvm_seg *s = tail(lv);

	if (!s || s->tagged || s->leg[0].pv != pv || s->leg[0].extent + s->count != extent) {
		lv->seg = arena_grow(vg->arena, lv->seg, lv->n_segs, (size_t)lv->n_segs + 1,
				     sizeof(*s));
		s = &lv->seg[lv->n_segs++];
		*s = (struct lvm_seg){
			.start = lv->extents,
			.type = "striped",
			.kind = LVM_SEG_STRIPED,
			.n_legs = 1,
			.leg = arena_alloc(vg->arena, sizeof(*s->leg)),
		};
		s->leg[0] = (struct lvm_leg){ .pv = pv, .extent = extent };
	}
	s->count += n;
	s->changed = true;
	lv->extents += n;
	lv->changed = true;
	lvm_gap_take(vg, pv, extent, n);
}

/*
 * The smallest gap of at least n extents, or else the largest there is; on
 * marked PVs only.
 */
static struct lvm_gap *best(const struct lvm_vg *vg, uint32_t n, struct lvm_pv **pv)
{
	struct lvm_gap *g = NULL;

	for (uint32_t i = 0; i < vg->n_pvs; i++)
		for (uint32_t k = 0; vg->pv[i]->mark && k < vg->pv[i]->n_gaps; k++) {
			struct lvm_gap *c = &vg->pv[i]->gap[k];
			bool fits = c->count >= n;

			if (g &&
			    (g->count >= n ? !fits || c->count >= g->count : c->count <= g->count))
				continue;
			g = c;
			*pv = vg->pv[i];
		}
	return g;
}

/* Mark the usable PVs, or those of them the LV is on; returns how much is free there. */
static uint64_t mark(const struct lvm_vg *vg, const struct lvm_lv *lv, bool own)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < vg->n_pvs; i++)
		vg->pv[i]->mark = !own && lvm_pv_is_usable(vg->pv[i]);
	for (uint32_t i = 0; own && i < lv->n_segs; i++)
		for (uint32_t k = 0; k < lv->seg[i].n_legs; k++)
			if (lv->seg[i].leg[k].pv)
				lv->seg[i].leg[k].pv->mark = lvm_pv_is_usable(lv->seg[i].leg[k].pv);
	for (uint32_t i = 0; i < vg->n_pvs; i++)
		n += vg->pv[i]->mark ? vg->pv[i]->n_free : 0;
	return n;
}

static bool policy_is(const struct lvm_vg *vg, const struct lvm_lv *lv, const char *name)
{
	const char *p = lv->policy ? lv->policy : vg->policy;

	return p && !strcmp(p, name);
}

/* In pieces, the largest first. */
static void scatter(struct lvm_vg *vg, struct lvm_lv *lv, uint32_t n)
{
	struct lvm_pv *pv = NULL;
	struct lvm_gap *g = next_gap(lv, &pv);

	if (g && !pv->mark)
		g = NULL;
	while (n) {
		uint32_t take;

		if (!g)
			g = best(vg, n, &pv);
		take = g->count < n ? g->count : n;
		append(vg, lv, pv, g->start, take);
		n -= take;
		g = NULL;
	}
}

int lvm_alloc(struct lvm_vg *vg, struct lvm_lv *lv, uint32_t n)
{
	bool whole = policy_is(vg, lv, "contiguous");
	bool cling = policy_is(vg, lv, "cling") && lv->n_segs;
	struct lvm_pv *pv = NULL;
	struct lvm_gap *g = next_gap(lv, &pv);

	if (!n || n > UINT32_MAX - lv->extents)
		return n ? -E_LVM_NO_SPACE : 0;
	if (g && g->count >= n) {
		append(vg, lv, pv, g->start, n);
		return 0;
	}
	if (lv->n_segs && whole)
		return -E_LVM_NO_SPACE;
	if (lv->n_segs && mark(vg, lv, true) >= n) {
		g = best(vg, n, &pv);
		if (g->count >= n) {
			append(vg, lv, pv, g->start, n);
			return 0;
		}
	}
	if (mark(vg, lv, cling) < n)
		return -E_LVM_NO_SPACE;
	if (whole && best(vg, n, &pv)->count < n)
		return -E_LVM_NO_SPACE;
	scatter(vg, lv, n);
	return 0;
}

void lvm_release(struct lvm_vg *vg, struct lvm_lv *lv, uint32_t from)
{
	while (lv->extents > from) {
		struct lvm_seg *s = &lv->seg[lv->n_segs - 1];
		uint32_t keep = s->start < from ? from - s->start : 0;
		uint32_t cut = s->kind == LVM_SEG_STRIPED && s->n_legs
				       ? (s->count - keep) / s->n_legs
				       : s->count - keep;

		for (uint32_t k = 0; k < s->n_legs; k++)
			if (s->leg[k].pv)
				lvm_gap_give(vg, s->leg[k].pv,
					     s->leg[k].extent + lvm_leg_extents(s) - cut, cut);
		lv->extents -= s->count - keep;
		s->count = keep;
		s->changed = true;
		lv->changed = true;
		if (!keep)
			lv->n_segs--;
	}
}
