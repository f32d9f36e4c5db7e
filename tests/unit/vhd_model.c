/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Random chains against a plain array for each image.
 *
 * The seed is printed; SEED=n in the environment repeats a run.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/vhd/check.h"
#include "lib/vhd/coalesce.h"
#include "lib/vhd/create.h"
#include "lib/vhd/edit.h"
#include "lib/vhd/resize.h"
#include "tests/unit/vhd_util.h"

#define DEPTH	6
#define STEPS	10000

/*
 * One sector in SCALE is modelled: enough to meet every rule about blocks and
 * bitmaps, little enough to compare often.  The others stay zero.
 */
#define SCALE	64u

struct node {
	struct io *io;
	struct vhd *v;		/* the leaf only */
	uint64_t size;
	uint16_t *model;	/* what each modelled sector shows through the chain */
};

struct world {
	struct rnd r;
	struct node node[DEPTH];	/* the base first */
	size_t n;
	uint8_t id;
	size_t done[6];			/* how often each kind of step was taken */
};

static size_t sectors_of(uint64_t size)
{
	return (size_t)(size / 512 / SCALE + 1);
}

static int find(void *arg, const struct image_parent *want, struct io **io, enum image_format *f)
{
	struct world *w = arg;

	for (size_t i = 0; i < w->n; i++) {
		char name[32];

		snprintf(name, sizeof(name), "./%zu.vhd", i);
		if (strcmp(want->paths[0], name))
			continue;
		*f = IMAGE_VHD;
		return io_window(io, w->node[i].io, 0, w->node[i].io->size);
	}
	return -E_IMAGE_PARENT;
}

static struct node *leaf(struct world *w)
{
	return &w->node[w->n - 1];
}

static void open_leaf(struct world *w)
{
	EQ(vhd_open(&leaf(w)->v, leaf(w)->io, VHD_RDWR), 0);
}

static void close_leaf(struct world *w)
{
	EQ(vhd_finish(leaf(w)->v), 0);
	vhd_close(leaf(w)->v);
	leaf(w)->v = NULL;
}

static void new_base(struct world *w)
{
	struct vhd_create how = {
		.type = VHD_DYNAMIC, .size = 2 * MiB * (1 + rnd_below(&w->r, 6)),
		.uuid = { ++w->id },
	};
	struct node *n = &w->node[0];

	w->n = 1;
	*n = (struct node){ .io = io_mem(0, 256 * MiB), .size = how.size };
	n->model = calloc(sectors_of(how.size), 2);
	EQ(vhd_create(n->io, &how), 0);
	open_leaf(w);
}

static void step_snapshot(struct world *w)
{
	struct vhd_create how = { .uuid = { ++w->id, 1, (uint8_t)w->n } };
	struct node *p = leaf(w), *c = p + 1;
	char path[32];

	if (w->n == DEPTH)
		return;
	EQ(vhd_finish(p->v), 0);
	snprintf(path, sizeof(path), "./%zu.vhd", w->n - 1);
	how.parent_path = path;
	how.max_size = rnd_below(&w->r, 2) ? 0 : 64 * MiB;
	*c = (struct node){ .io = io_mem(0, 256 * MiB), .size = p->size };
	EQ(vhd_snapshot(c->io, p->v, &how), 0);
	EQ(vhd_set_hidden(p->v, true), 0);
	vhd_close(p->v);
	p->v = NULL;
	c->model = malloc(sectors_of(c->size) * 2);
	memcpy(c->model, p->model, sectors_of(c->size) * 2);
	w->n++;
	open_leaf(w);
	w->done[0]++;
}

static void fill(uint8_t *p, uint16_t v)
{
	for (size_t i = 0; i < 512; i += 2)
		memcpy(p + i, &v, 2);
}

/* Mostly near the start, sometimes at the very end: the disks of a test live in memory. */
static uint64_t place(struct world *w, uint64_t sectors)
{
	uint64_t hot = 24 * MiB / 512;

	if (sectors > hot && !rnd_below(&w->r, 20))
		return sectors - 1 - rnd_below(&w->r, 5000);
	return rnd_below(&w->r, sectors < hot ? sectors : hot);
}

static void step_write(struct world *w)
{
	struct node *n = leaf(w);
	uint64_t at = place(w, n->size / 512);
	uint64_t len = 1 + rnd_below(&w->r, rnd_below(&w->r, 10) ? 16 : 5000);
	uint16_t v = (uint16_t)(1 + rnd_below(&w->r, 65535));
	uint8_t *p;

	if (len > n->size / 512 - at)
		len = n->size / 512 - at;
	p = calloc(len, 512);
	for (uint64_t i = 0; i < len; i++)
		if ((at + i) % SCALE == 0) {
			fill(p + i * 512, v);
			n->model[(at + i) / SCALE] = v;
		}
	EQ(vhd_write(n->v, at * 512, p, len * 512), 0);
	free(p);
	w->done[1]++;
}

static void step_resize(struct world *w)
{
	struct node *n = leaf(w);
	uint64_t size = n->size + 2 * MiB * (1 + rnd_below(&w->r, rnd_below(&w->r, 8) ? 2 : 400));
	size_t old = sectors_of(n->size);
	struct io *journal;

	if (n->size > 1600 * MiB)
		return;
	journal = io_mem(0, 256 * MiB);
	EQ(vhd_resize(n->v, size, journal), 0);
	io_close(journal);
	n->model = realloc(n->model, sectors_of(size) * 2);
	memset(n->model + old, 0, (sectors_of(size) - old) * 2);
	n->size = size;
	w->done[2]++;
}

/* The leaf into its parent, which becomes the leaf. */
static void step_coalesce(struct world *w)
{
	struct node *c = leaf(w), *p = c - 1;
	struct vhd_coalesce *co = NULL;
	struct vhd *v = NULL;
	struct io *journal = io_mem(0, 256 * MiB);

	if (w->n < 2) {
		io_close(journal);
		return;
	}
	EQ(vhd_finish(c->v), 0);
	EQ(vhd_open(&v, p->io, VHD_RDWR), 0);
	EQ(vhd_resize(v, c->size, journal), 0);
	EQ(vhd_coalesce_start(&co, c->v, v, NULL, 0), 0);
	for (int err = 0; !err && co->done < co->total; ) {
		err = vhd_coalesce_step(co);
		EQ(err, 0);
	}
	EQ(vhd_coalesce_finish(co), 0);
	vhd_coalesce_free(co);
	EQ(vhd_set_hidden(v, false), 0);
	vhd_close(c->v);
	io_close(c->io);
	io_close(journal);
	free(p->model);
	p->model = c->model;
	p->size = c->size;
	p->v = v;
	w->n--;
	w->done[3]++;
}

static void step_reopen(struct world *w)
{
	close_leaf(w);
	open_leaf(w);
	w->done[4]++;
}

static void compare_run(struct world *w, struct image *im, uint64_t first, uint64_t n)
{
	const struct node *l = leaf(w);
	uint8_t got[512], want[512];

	for (uint64_t i = first; i < first + n && i * SCALE * 512 < l->size; i++) {
		if (!EQ(image_read(im, i * SCALE * 512, got, 512), 0))
			return;
		fill(want, l->model[i]);
		if (!MEM_EQ(got, want, 512)) {
			printf("# modelled sector %llu of %llu\n", (unsigned long long)i,
			       (unsigned long long)(l->size / 512 / SCALE));
			return;
		}
	}
}

/* Everything through a chain opened afresh, and what the checks say of each file. */
static void compare(struct world *w, bool all)
{
	struct image *im = NULL;
	struct io *io = NULL;

	EQ(vhd_flush(leaf(w)->v), 0);
	EQ(io_window(&io, leaf(w)->io, 0, leaf(w)->io->size), 0);
	if (!EQ(image_open(&im, io, IMAGE_VHD, 0, find, w), 0))
		return;
	EQ(im->size, leaf(w)->size);
	EQ(im->n, w->n);
	if (all)
		compare_run(w, im, 0, sectors_of(im->size));
	else
		compare_run(w, im, rnd_below(&w->r, sectors_of(im->size)), 50);
	image_close(im);
	for (size_t i = 0; i < w->n && all; i++) {
		struct arena a = { 0 };
		struct vhd_findings f = { .arena = &a };

		EQ(vhd_check(w->node[i].io, VHD_CHECK_BITMAPS, 0, &f), 0);
		for (size_t k = 0; k < f.n; k++)
			printf("# image %zu: %s\n", i, f.v[k].what);
		EQ(f.n, 0);
		arena_free(&a);
	}
	w->done[5]++;
}

static void end(struct world *w)
{
	vhd_close(leaf(w)->v);
	for (size_t i = 0; i < w->n; i++) {
		io_close(w->node[i].io);
		free(w->node[i].model);
	}
}

static void step(struct world *w, int i)
{
	uint64_t kind = rnd_below(&w->r, 100);

	if (kind < 88)
		step_write(w);
	else if (kind < 90)
		step_snapshot(w);
	else if (kind < 91)
		step_resize(w);
	else if (kind < 93)
		step_coalesce(w);
	else
		step_reopen(w);
	if (i % 20 == 0)
		compare(w, i % 500 == 0);
	if (i % 1000 == 999) {		/* a new world: the old one has grown large */
		compare(w, true);
		end(w);
		new_base(w);
	}
}

TEST(vhd_chains_hold_what_a_plain_array_holds)
{
	const char *seed = getenv("SEED");
	struct world w = { .r.s = seed ? strtoull(seed, NULL, 0) : 20240613 };

	printf("# seed %llu\n", (unsigned long long)w.r.s);
	new_base(&w);
	for (int i = 0; i < STEPS; i++)
		step(&w, i);
	compare(&w, true);
	end(&w);
	for (size_t i = 0; i < ARRAY_SIZE(w.done); i++)
		OK(w.done[i] > 10);
}
