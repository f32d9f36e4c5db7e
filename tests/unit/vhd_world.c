/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/io_test.h"
#include "lib/vhd/check.h"
#include "lib/vhd/parent.h"
#include "tests/unit/vhd_world.h"

/* --- the array ----------------------------------------------------------- */

static uint32_t blocks(uint64_t size)
{
	return (uint32_t)((size + VHD_BLOCK - 1) / VHD_BLOCK);
}

void model_start(struct model *m, uint64_t size)
{
	*m = (struct model){ .size = size, .n = blocks(size) };
	m->v = calloc(m->n + 1, sizeof(*m->v));
}

void model_copy(struct model *to, const struct model *from)
{
	model_start(to, from->size);
	for (uint32_t i = 0; i < to->n; i++) {
		to->v[i] = from->v[i];
		if (to->v[i])
			to->v[i]->refs++;
	}
}

static void put_tags(struct tags *t)
{
	if (t && !--t->refs)
		free(t);
}

void model_free(struct model *m)
{
	for (uint32_t i = 0; i < m->n; i++)
		put_tags(m->v[i]);
	free(m->v);
	*m = (struct model){ 0 };
}

void model_resize(struct model *m, uint64_t size)
{
	m->v = realloc(m->v, (blocks(size) + 1) * sizeof(*m->v));
	for (; m->n < blocks(size); m->n++)
		m->v[m->n] = NULL;
	m->size = size;
}

static struct tags *own(struct model *m, uint32_t block)
{
	struct tags *t = m->v[block], *mine;

	if (t && t->refs == 1)
		return t;
	mine = calloc(1, sizeof(*mine));
	if (t)
		memcpy(mine, t, sizeof(*t));
	mine->refs = 1;
	put_tags(t);
	m->v[block] = mine;
	return mine;
}

void model_put(struct model *m, uint64_t sector, uint64_t n, uint16_t tag)
{
	for (; n; sector++, n--) {
		own(m, (uint32_t)(sector / VHD_BLOCK_SECTORS))->v[sector % VHD_BLOCK_SECTORS] = tag;
		tag = (uint16_t)(tag + !!tag);
	}
}

uint16_t model_get(const struct model *m, uint64_t sector)
{
	const struct tags *t = m->v[sector / VHD_BLOCK_SECTORS];

	return t ? t->v[sector % VHD_BLOCK_SECTORS] : 0;
}

static uint64_t word(uint16_t tag, uint64_t i)
{
	return tag ? tag * 0x9e3779b97f4a7c15 + i : 0;
}

void model_fill(const struct model *m, uint64_t sector, uint64_t n, void *buf)
{
	uint64_t *p = buf;

	for (; n; sector++, n--) {
		uint16_t tag = model_get(m, sector);

		for (uint64_t i = 0; i < 64; i++)
			*p++ = word(tag, i);
	}
}

/* --- the tree ------------------------------------------------------------ */

uint32_t node_new(struct world *w)
{
	for (uint32_t i = 0; i < NODES; i++)
		if (!w->node[i].used) {
			w->last_id++;
			w->node[i] = (struct node){
				.used = true, .format = IMAGE_VHD, .parent = NOBODY,
				.id = w->last_id, .name = w->last_id * 100,
			};
			return i;
		}
	return NOBODY;
}

uint32_t node_children(const struct world *w, uint32_t n)
{
	uint32_t children = 0;

	for (uint32_t i = 0; i < NODES; i++)
		children += w->node[i].used && w->node[i].parent == n;
	return children;
}

uint32_t node_depth(const struct world *w, uint32_t n)
{
	uint32_t depth = 0;

	for (; n != NOBODY; n = w->node[n].parent)
		depth++;
	return depth;
}

bool node_is_leaf(const struct world *w, uint32_t n)
{
	return !node_children(w, n);
}

void node_free(struct world *w, uint32_t n)
{
	struct node *d = &w->node[n];

	vhd_close(d->v);
	io_close(d->io);
	model_free(&d->m);
	*d = (struct node){ 0 };
}

const char *node_path(const struct world *w, uint32_t n, char path[64])
{
	const struct node *d = &w->node[n];

	/* Of a length that depends on the name: one sector of the header or both will change. */
	snprintf(path, 64, "./%u%.*s.%s", d->name, (int)(d->name % 3 * 10),
		 "-a-name-of-some-thirty-letters", d->format == IMAGE_RAW ? "raw" : "vhd");
	return path;
}

void node_open(struct world *w, uint32_t n, bool write)
{
	struct node *d = &w->node[n];

	if (d->format == IMAGE_VHD)
		EQ(vhd_open(&d->v, d->io, write ? VHD_RDWR : 0), 0);
}

void node_close(struct world *w, uint32_t n)
{
	struct node *d = &w->node[n];

	if (d->v && d->v->writable)
		EQ(vhd_finish(d->v), 0);
	vhd_close(d->v);
	d->v = NULL;
}

uint32_t node_pick(struct world *w, bool (*fn)(const struct world *w, uint32_t n))
{
	uint32_t from = (uint32_t)rnd_below(&w->r, NODES);

	for (uint32_t i = 0; i < NODES; i++) {
		uint32_t n = (from + i) % NODES;

		if (w->node[n].used && fn(w, n))
			return n;
	}
	return NOBODY;
}

/* --- comparing ----------------------------------------------------------- */

/* The chain from what is open already; the levels are the caller's. */
static void chain(struct world *w, uint32_t n, struct image *im, struct image_level levels[NODES])
{
	*im = (struct image){ .size = w->node[n].m.size, .levels = levels };
	for (; n != NOBODY; n = w->node[n].parent) {
		const struct node *d = &w->node[n];

		levels[im->n++] = (struct image_level){
			.format = d->format, .io = d->io, .vhd = d->v,
			.size = d->v ? d->v->footer.size : d->io->size,
		};
	}
}

static bool complain(const struct world *w, uint32_t n, uint64_t sector)
{
	printf("# node %u, sector %llu, expected %u\n", n, (unsigned long long)sector,
	       model_get(&w->node[n].m, sector));
	return OK(!"the image holds what the array holds");
}

static bool compare_zeroes(struct world *w, uint32_t n, uint64_t sector, uint64_t end)
{
	const struct model *m = &w->node[n].m;

	while (sector < end) {
		if (!m->v[sector / VHD_BLOCK_SECTORS])
			sector = (sector / VHD_BLOCK_SECTORS + 1) * VHD_BLOCK_SECTORS;
		else if (model_get(m, sector))
			return complain(w, n, sector);
		else
			sector++;
	}
	return true;
}

/* The first and the last word of each sector, and one between. */
static bool compare_data(struct world *w, uint32_t n, const struct image_level *l,
			 const struct image_run *run)
{
	uint64_t some = rnd_below(&w->r, 64);

	for (uint64_t i = 0; i < run->length / 512; i++) {
		const uint64_t *p = io_sparse_at(l->io, run->offset + i * 512);
		uint16_t tag = model_get(&w->node[n].m, run->start / 512 + i);

		if (p[0] != word(tag, 0) || p[63] != word(tag, 63) || p[some] != word(tag, some))
			return complain(w, n, run->start / 512 + i);
	}
	return true;
}

static void compare_map(struct world *w, uint32_t n, struct image *im)
{
	struct image_run run;
	bool same = true;

	for (uint64_t at = 0; same && at < im->size; at += run.length) {
		if (!EQ(image_map(im, at, 0, &run), 0))
			return;
		if (run.zero)
			same = compare_zeroes(w, n, at / 512, (at + run.length) / 512);
		else
			same = compare_data(w, n, &im->levels[run.depth], &run);
	}
}

/* Bytes [at, at + len) as they are read, of any alignment. */
static void compare_read(struct world *w, uint32_t n, struct image *im, uint64_t at, size_t len)
{
	uint64_t sector = at / 512, end, odd = at % 512;
	char *want = (char *)w->want, *got = (char *)w->got;

	if (len > READ_MAX)
		len = READ_MAX;
	if (len > im->size - at)
		len = (size_t)(im->size - at);
	end = (at + len + 511) / 512;
	model_fill(&w->node[n].m, sector, end - sector, want);
	/* What is read into must not matter. */
	memcpy(got, want, odd);
	memset(got + odd, 0x55, len);
	memcpy(got + odd + len, want + odd + len, (end - sector) * 512 - odd - len);
	EQ(image_read(im, at, got + odd, len), 0);
	for (uint64_t i = 0; i < (end - sector) * 64; i++)
		if (w->got[i] != w->want[i]) {
			complain(w, n, sector + i / 64);
			return;
		}
}

static uint64_t changes(const struct world *w, uint32_t n)
{
	uint64_t sum = 1;

	for (; n != NOBODY; n = w->node[n].parent)
		sum += io_sparse_changes(w->node[n].io) + w->node[n].id * 1000003ull;
	return sum;
}

void world_compare(struct world *w)
{
	for (uint32_t n = 0; n < NODES; n++) {
		struct image_level levels[NODES];
		struct image im;

		if (!w->node[n].used || !node_is_leaf(w, n))
			continue;
		chain(w, n, &im, levels);
		EQ(im.levels[0].size, w->node[n].m.size);
		compare_read(w, n, &im, rnd_below(&w->r, im.size),
			     1 + rnd_below(&w->r, 16 * KiB));
		if (w->node[n].seen == changes(w, n))
			continue;
		compare_map(w, n, &im);
		w->node[n].seen = changes(w, n);
		w->compared++;
	}
}

static int find(void *arg, const struct image_parent *want, struct io **io, enum image_format *f)
{
	struct world *w = arg;
	char path[64];

	for (uint32_t n = 0; n < NODES; n++) {
		const struct node *d = &w->node[n];
		bool is = d->used && !strcmp(want->paths[0], node_path(w, n, path));

		if (w->by_uuid && !want->raw)
			is = d->used && d->v && !memcmp(want->uuid, d->v->footer.uuid, 16);
		if (!is)
			continue;
		*f = d->format;
		return io_window(io, d->io, 0, d->io->size);
	}
	return -E_IMAGE_PARENT;
}

static void check(struct world *w, uint32_t n)
{
	struct arena a = { 0 };
	struct vhd_findings f = { .arena = &a };

	if (w->node[n].format == IMAGE_RAW)
		return;
	EQ(vhd_check(w->node[n].io, VHD_CHECK_BITMAPS, 0, &f), 0);
	for (size_t k = 0; k < f.n; k++)
		printf("# node %u: %s\n", n, f.v[k].what);
	EQ(f.n, 0);
	arena_free(&a);
}

void world_compare_all(struct world *w)
{
	for (uint32_t n = 0; n < NODES; n++)
		if (w->node[n].used && w->node[n].v && w->node[n].v->writable)
			EQ(vhd_finish(w->node[n].v), 0);
	w->by_uuid = !w->by_uuid;
	for (uint32_t n = 0; n < NODES; n++) {
		struct image *im = NULL;
		struct io *io = NULL;

		if (!w->node[n].used)
			continue;
		check(w, n);
		EQ(io_window(&io, w->node[n].io, 0, w->node[n].io->size), 0);
		if (!EQ(image_open(&im, io, w->node[n].format, 0, find, w), 0))
			continue;
		EQ(im->size, w->node[n].m.size);
		EQ(im->n, node_depth(w, n));
		/* Most of a large disk is empty, and the map has been compared. */
		for (uint64_t at = 0; at < im->size && at < 24 * MiB; at += READ_MAX)
			compare_read(w, n, im, at, READ_MAX);
		image_close(im);
	}
}

void world_free(struct world *w)
{
	for (uint32_t n = 0; n < NODES; n++)
		if (w->node[n].used)
			node_free(w, n);
}
