/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/vhd/bat.h"
#include "lib/vhd/gaps.h"
#include "lib/vhd/write.h"

static int by_place(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static uint64_t place_in_sectors(uint64_t end)
{
	return vhd_bat_place(end * VHD_SECTOR) / VHD_SECTOR;
}

/* From there up to the next block, as many as fit. */
static void add_places(struct vhd_gaps *g, uint64_t at, uint64_t end)
{
	for (; at + VHD_BLOCK_SPAN <= end; at = place_in_sectors(at + VHD_BLOCK_SPAN)) {
		if (!(g->n & (g->n - 1)))
			g->v = must_realloc(g->v, (g->n ? 2 * g->n : 1) * sizeof(*g->v));
		g->v[g->n++] = (uint32_t)at;
	}
}

void vhd_gaps_find(const struct vhd *v, uint64_t from, struct vhd_gaps *g)
{
	uint32_t *taken = must_alloc(v->n_blocks * sizeof(*taken) + 1), n = 0;
	uint64_t at = vhd_bat_place(from) / VHD_SECTOR;

	*g = (struct vhd_gaps){ .found = true };
	for (uint32_t i = 0; i < v->n_blocks; i++)
		if (vhd_in_use(vhd_entry(v, i)))
			taken[n++] = vhd_entry(v, i);
	qsort(taken, n, sizeof(*taken), by_place);
	for (uint32_t i = 0; i < n; i++) {
		add_places(g, at, taken[i]);
		if (taken[i] + (uint64_t)VHD_BLOCK_SPAN > at)
			at = place_in_sectors(taken[i] + (uint64_t)VHD_BLOCK_SPAN);
	}
	free(taken);
}

bool vhd_gaps_take(struct vhd_gaps *g, uint64_t *place)
{
	if (g->next == g->n)
		return false;
	*place = g->v[g->next++] * VHD_SECTOR;
	return true;
}

void vhd_gaps_back(struct vhd_gaps *g)
{
	g->next--;
}

void vhd_gaps_free(struct vhd_gaps *g)
{
	free(g->v);
	*g = (struct vhd_gaps){ 0 };
}
