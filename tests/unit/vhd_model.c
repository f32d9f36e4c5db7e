/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Random steps in trees of images: vhd_world.h says how they are judged.
 *
 * The seed is printed; SEED=n in the environment repeats a run, and STEPS=n
 * makes it longer (make check-long).
 */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/io_test.h"
#include "lib/vhd/coalesce.h"
#include "lib/vhd/create.h"
#include "lib/vhd/edit.h"
#include "lib/vhd/resize.h"
#include "tests/unit/vhd_world.h"

#ifdef __SANITIZE_ADDRESS__
#define STEPS	4000		/* where each costs several times as much */
#else
#define STEPS	10000
#endif
#define DEPTH	8u
#define WORLD	500		/* steps until a new one is made */
#define FILE_MAX (8 * GiB)
#define VOLUME	(64 * MiB)

static struct io *new_io(struct world *w)
{
	return w->volumes ? io_sparse(VOLUME, VOLUME, 0xee) : io_sparse(0, FILE_MAX, 0);
}

static void set_id(uint8_t uuid[16], uint32_t id)
{
	memset(uuid, 0, 16);
	memcpy(uuid, &id, sizeof(id));
	uuid[15] = 1;
}

/* --- making ---------------------------------------------------------------- */

static void make_base(struct world *w, enum vhd_type type, bool raw)
{
	uint32_t n = node_new(w);
	struct node *d = &w->node[n];
	struct vhd_create how = {
		.type = type, .size = 2 * MiB * (1 + rnd_below(&w->r, 6)),
	};

	set_id(how.uuid, d->id);
	how.max_size = rnd_below(&w->r, 2) ? 0 : 64 * MiB;
	if (type == VHD_FIXED && w->volumes)
		how.size = VOLUME - 512 * KiB;
	model_start(&d->m, how.size);
	if (raw) {
		d->format = IMAGE_RAW;
		d->io = io_sparse(how.size, FILE_MAX, 0);
		return;
	}
	d->io = new_io(w);
	EQ(vhd_create(d->io, &how), 0);
	node_open(w, n, true);
}

/* A new leaf below p, which becomes an inner node if it was none. */
static uint32_t make_child(struct world *w, uint32_t p)
{
	uint32_t c = node_new(w);
	struct node *parent = &w->node[p], *child = &w->node[c];
	struct vhd_create how = { .type = VHD_DIFF, .size = parent->m.size };
	char path[64];

	if (c == NOBODY)
		return c;
	if (parent->v && parent->v->writable) {
		EQ(vhd_set_hidden(parent->v, true), 0);
		node_close(w, p);
		node_open(w, p, false);
	}
	set_id(how.uuid, child->id);
	how.parent_path = node_path(w, p, path);
	how.max_size = rnd_below(&w->r, 2) ? 0 : 64 * MiB;
	child->io = new_io(w);
	if (parent->format == IMAGE_RAW)
		EQ(vhd_create(child->io, &how), 0);
	else
		EQ(vhd_snapshot(child->io, parent->v, &how), 0);
	model_copy(&child->m, &parent->m);
	child->parent = p;
	node_open(w, c, true);
	return c;
}

static void new_world(struct world *w)
{
	static const enum vhd_type types[] = { VHD_DYNAMIC, VHD_DYNAMIC, VHD_FIXED, VHD_DYNAMIC };
	uint64_t kind = rnd_below(&w->r, 6);

	world_free(w);
	w->volumes = kind == 4;
	w->alone = kind == 3;
	make_base(w, types[kind % 4], kind == 5);
	if (!w->alone)
		make_child(w, 0);
}

/* --- steps ----------------------------------------------------------------- */

/* Mostly near the start, sometimes at the very end: what is never written is not looked at. */
static uint64_t place(struct world *w, uint64_t sectors)
{
	uint64_t hot = 6 * MiB / 512;

	if (sectors > hot && !rnd_below(&w->r, 20))
		return sectors - 1 - rnd_below(&w->r, 5000);
	return rnd_below(&w->r, sectors < hot ? sectors : hot);
}

/* Small things mostly, what covers more than a block, and just one: that fills its bitmap. */
static void choose(struct world *w, const struct node *d, uint64_t *at, uint64_t *len)
{
	uint64_t sectors = d->m.size / 512, kind = rnd_below(&w->r, 30);

	*at = place(w, sectors);
	*len = 1 + rnd_below(&w->r, kind ? 16 : 5000);
	if (kind == 1) {
		*at -= *at % VHD_BLOCK_SECTORS;
		*len = VHD_BLOCK_SECTORS;
	}
	if (*len > sectors - *at)
		*len = sectors - *at;
	if (w->volumes && *len > VHD_BLOCK_SECTORS - *at % VHD_BLOCK_SECTORS)
		*len = VHD_BLOCK_SECTORS - *at % VHD_BLOCK_SECTORS;	/* full is all or nothing */
}

/* m becomes what the image shows if all of it arrives. */
static int write_some(struct world *w, struct node *d, struct model *m, uint64_t *at, uint64_t *len)
{
	uint8_t *p;
	int err;

	choose(w, d, at, len);
	model_copy(m, &d->m);
	model_put(m, *at, *len, (uint16_t)rnd_below(&w->r, 40 * 1000));
	p = malloc(*len * 512);
	model_fill(m, *at, *len, p);
	err = vhd_write(d->v, *at * 512, p, *len * 512);
	free(p);
	OK(!err || (err == -E_VHD_NO_ROOM && w->volumes));
	return err;
}

static bool step_write(struct world *w)
{
	struct node *d = &w->node[node_pick(w, node_is_leaf)];
	uint64_t at, len;
	struct model m;
	int err;

	if (!d->v)
		return false;
	err = write_some(w, d, &m, &at, &len);
	model_free(err ? &m : &d->m);
	if (!err)
		d->m = m;
	return true;
}

static bool has_room(const struct world *w, uint32_t n)
{
	return node_depth(w, n) < DEPTH && !w->alone;
}

static bool may_split(const struct world *w, uint32_t n)
{
	return node_is_leaf(w, n) && has_room(w, n);
}

static bool step_snapshot(struct world *w)
{
	uint32_t n = node_pick(w, may_split);

	return n != NOBODY && make_child(w, n) != NOBODY;
}

/* Of whatever there is: a disk, or a snapshot of one. */
static bool step_clone(struct world *w)
{
	uint32_t n = node_pick(w, has_room);

	if (n == NOBODY || make_child(w, n) == NOBODY)
		return false;
	make_child(w, n);
	return true;
}

static bool step_delete(struct world *w)
{
	uint32_t n = node_pick(w, node_is_leaf), leaves = 0, up;

	for (uint32_t i = 0; i < NODES; i++)
		leaves += w->node[i].used && node_is_leaf(w, i);
	if (leaves < 2)
		return false;
	for (; n != NOBODY && node_is_leaf(w, n); n = up) {
		up = w->node[n].parent;
		node_free(w, n);
	}
	return true;
}

static void grow(struct world *w, struct node *d, uint64_t size)
{
	struct io *journal = io_sparse(0, FILE_MAX, 0);

	if (d->format == IMAGE_RAW)
		EQ(io_resize(d->io, size), 0);
	else
		EQ(vhd_resize(d->v, size, journal), 0);
	io_close(journal);
	model_resize(&d->m, size);
}

static bool step_resize(struct world *w)
{
	uint32_t n = node_pick(w, node_is_leaf);
	struct node *d = &w->node[n];
	uint64_t size = d->m.size + 2 * MiB * (1 + rnd_below(&w->r, rnd_below(&w->r, 6) ? 2 : 400));

	/* A volume that is full by now has no room for blocks to move to. */
	if (size > 1600 * MiB || w->volumes)
		size = d->m.size / VHD_BLOCK * VHD_BLOCK + 2 * MiB;
	if (size > 1700 * MiB || (w->volumes && (d->v->footer.type == VHD_FIXED ||
						 size > d->v->header.max_bat * VHD_BLOCK)))
		return false;
	grow(w, d, size);
	return true;
}

static bool may_merge(const struct world *w, uint32_t n)
{
	uint32_t p = w->node[n].parent;

	if (p == NOBODY || node_children(w, p) != 1)
		return false;
	if (w->volumes && w->node[n].m.size > w->node[p].m.size)
		return false;
	return !node_is_leaf(w, n) || w->node[p].format == IMAGE_VHD;
}

/* In one go, or with an end in the middle from which it goes on. */
static bool merge(struct world *w, struct node *c, struct node *p, uint32_t np)
{
	struct vhd_coalesce *co = NULL;
	bool stop = rnd_below(&w->r, 3) == 0;
	int err = vhd_coalesce_start(&co, c->v, p->v, p->v ? NULL : p->io, 0);
	uint32_t first = 0;

	if (!EQ(err, 0))
		return false;
	co->at_most = (uint32_t)rnd_below(&w->r, 3);
	while (!err && co->done < co->total) {
		err = vhd_coalesce_step(co);
		if (err || !stop || rnd_below(&w->r, 2))
			continue;
		EQ(vhd_coalesce_checkpoint(co), 0);
		first = co->done;
		vhd_coalesce_free(co);
		vhd_close(p->v);		/* a death */
		p->v = NULL;
		node_open(w, np, true);
		world_compare(w);
		EQ(vhd_coalesce_start(&co, c->v, p->v, p->v ? NULL : p->io, first), 0);
		stop = false;
	}
	if (!err)
		err = vhd_coalesce_finish(co);
	vhd_coalesce_free(co);
	if (w->volumes && err == -E_VHD_NO_ROOM)
		return false;
	return EQ(err, 0);
}

static void relink(struct world *w, uint32_t n, uint32_t p)
{
	uint8_t uuid[16] = { 0 };
	char path[64];

	node_close(w, n);
	node_open(w, n, true);
	if (w->node[p].format == IMAGE_VHD)
		set_id(uuid, w->node[p].id);
	EQ(vhd_reparent(w->node[n].v, node_path(w, p, path), uuid, (uint32_t)rnd(&w->r)), 0);
	w->node[n].parent = p;
	if (!node_is_leaf(w, n)) {
		node_close(w, n);
		node_open(w, n, false);
	}
}

/* A node into its parent; then its children hang on that, or it is the leaf. */
static bool step_coalesce(struct world *w)
{
	uint32_t n = node_pick(w, may_merge), p;
	struct node *c, *parent;

	if (n == NOBODY)
		return false;
	c = &w->node[n];
	p = c->parent;
	parent = &w->node[p];
	node_close(w, p);
	node_open(w, p, true);
	if (c->v->writable)
		EQ(vhd_flush(c->v), 0);
	if (c->m.size > parent->m.size)
		grow(w, parent, c->m.size);
	if (merge(w, c, parent, p)) {
		world_compare(w);			/* still through the child */
		model_free(&parent->m);
		model_copy(&parent->m, &c->m);
		for (uint32_t i = 0; i < NODES; i++)
			if (w->node[i].used && w->node[i].parent == n)
				relink(w, i, p);
		node_free(w, n);
	}
	if (node_is_leaf(w, p)) {
		EQ(vhd_set_hidden(parent->v, false), 0);
	} else {
		node_close(w, p);
		node_open(w, p, false);
	}
	return true;
}

static bool has_children(const struct world *w, uint32_t n)
{
	return node_children(w, n);
}

static bool step_rename(struct world *w)
{
	uint32_t n = node_pick(w, has_children);

	if (n == NOBODY)
		return false;
	w->node[n].name++;
	for (uint32_t i = 0; i < NODES; i++)
		if (w->node[i].used && w->node[i].parent == n)
			relink(w, i, n);
	return true;
}

static bool step_reopen(struct world *w)
{
	uint32_t n = node_pick(w, node_is_leaf);

	node_close(w, n);
	node_open(w, n, true);
	return true;
}

/* Of a write that nobody published each sector is old or new; that is then what it is. */
static void settle(struct node *d, const struct model *new, uint64_t at, uint64_t len)
{
	uint64_t got[64], want[64];

	for (uint64_t i = at; i < at + len; i++) {
		uint64_t one = 512, pos;

		if (vhd_lookup(d->v, i * 512, &one, &pos) != VHD_HERE)
			continue;
		EQ(io_read(d->io, pos, got, 512), 0);
		model_fill(new, i, 1, want);
		if (!memcmp(got, want, 512))
			model_put(&d->m, i, 1, model_get(new, i));
	}
}

/* What was published is there, though nothing was finished. */
static bool step_die(struct world *w)
{
	uint32_t n = node_pick(w, node_is_leaf);
	struct node *d = &w->node[n];
	uint64_t at = 0, len = 0;
	struct model m;

	if (!d->v)
		return false;
	EQ(vhd_publish(d->v), 0);
	if (rnd_below(&w->r, 2))
		write_some(w, d, &m, &at, &len);
	else
		model_copy(&m, &d->m);
	vhd_close(d->v);
	d->v = NULL;
	node_open(w, n, true);
	if (d->v)
		settle(d, &m, at, len);
	model_free(&m);
	return true;
}

static bool is_single(const struct world *w, uint32_t n)
{
	return node_is_leaf(w, n) && w->node[n].parent == NOBODY && w->node[n].format == IMAGE_VHD;
}

static bool step_discard(struct world *w)
{
	uint32_t n = node_pick(w, is_single);
	struct node *d;
	uint64_t at, end;

	if (n == NOBODY || w->node[n].v->footer.type != VHD_DYNAMIC)
		return false;
	d = &w->node[n];
	at = rnd_below(&w->r, d->m.size / 512);
	end = at + 1 + rnd_below(&w->r, d->m.size / 512 - at);
	EQ(vhd_discard(d->v, at * 512, (end - at) * 512), 0);
	for (uint32_t i = 0; i < d->m.n; i++) {
		uint64_t from = i * (uint64_t)VHD_BLOCK_SECTORS, to = from + VHD_BLOCK_SECTORS;

		if (to > d->m.size / 512)
			to = d->m.size / 512;
		if (from >= at && to <= end)
			model_put(&d->m, from, to - from, 0);
	}
	return true;
}

static const struct kind {
	const char *name;
	bool (*run)(struct world *w);
	uint32_t share;
} kinds[] = {
	{ "write", step_write, 60 }, { "snapshot", step_snapshot, 5 }, { "clone", step_clone, 2 },
	{ "delete", step_delete, 5 }, { "resize", step_resize, 3 }, { "coalesce", step_coalesce, 7 },
	{ "rename", step_rename, 4 }, { "reopen", step_reopen, 6 }, { "die", step_die, 5 },
	{ "discard", step_discard, 3 },
};

static void step(struct world *w, size_t done[])
{
	uint64_t at = rnd_below(&w->r, 100);
	size_t i = 0;

	for (; at >= kinds[i].share; i++)
		at -= kinds[i].share;
	done[i] += kinds[i].run(w);
}

TEST(vhd_trees_hold_what_plain_arrays_hold)
{
	const char *seed = getenv("SEED"), *steps = getenv("STEPS");
	struct world *w = must_alloc(sizeof(*w));
	long n = steps ? strtol(steps, NULL, 0) : STEPS;
	size_t done[ARRAY_SIZE(kinds)] = { 0 };

	w->r.s = seed ? strtoull(seed, NULL, 0) : 20240613;
	printf("# seed %llu\n", (unsigned long long)w->r.s);
	for (long i = 0; i < n; i++) {
		if (i % WORLD == 0)
			new_world(w);
		step(w, done);
		world_compare(w);
		if (i % 250 == 249)
			world_compare_all(w);
	}
	world_free(w);
	printf("# compared %zu times:", w->compared);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		printf(" %s %zu", kinds[i].name, done[i]);
	printf("\n");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		OK(done[i] * 2000 > (size_t)n);
	free(w);
}
