/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a collector would do, on trees made up here. */
#include <string.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/kconfig.h"
#include "sm/gc_plan.h"
#include "sm/tree.h"
#include "tests/unit/t.h"

struct world {
	struct arena a;
	struct vdis l;
	struct gc_fact facts[64];
	struct gc_plan plan;
	uint64_t free, unit;
	struct uuid only;
};

static struct uuid id(unsigned int n)
{
	struct uuid u;

	snprintf(u.s, sizeof(u.s), "%08x-0000-4000-8000-000000000000", n);
	return u;
}

/* Disk n on a parent (0: none), which holds so many MiB of 100; before plan(). */
static struct vdi *add(struct world *w, unsigned int n, unsigned int parent, bool hidden,
		       uint64_t data)
{
	struct vdi *v = vdis_add(&w->a, &w->l);

	v->uuid = id(n);
	v->name = "";
	v->format = "vhd";
	v->image_id[0] = (uint8_t)n;
	v->hidden = hidden;
	v->virtual_size = 100 * MiB;
	v->physical_size = data * MiB;
	if (parent) {
		v->parent = id(parent);
		v->parent_id[0] = (uint8_t)parent;
	}
	return v;
}

static struct gc_fact *fact(struct world *w, unsigned int n)
{
	struct uuid u = id(n);

	return &w->facts[tree_find(&w->l, &u) - w->l.v];
}

static void fill(struct world *w)
{
	tree_fill(&w->a, &w->l);
	for (size_t i = 0; i < w->l.n; i++)
		w->facts[i].data = w->l.v[i].physical_size;
	if (!w->free)
		w->free = 1000 * MiB;
}

static void plan(struct world *w)
{
	struct gc_ask ask = {
		.l = &w->l, .facts = w->facts, .free = w->free, .unit = w->unit, .vdi = w->only,
	};

	gc_plan_make(&w->a, &ask, &w->plan);
}

/* Step i is this one. */
static bool is(const struct world *w, size_t i, enum gc_action action, unsigned int vdi,
	       unsigned int parent)
{
	const struct gc_step *s = &w->plan.v[i];

	if (i < w->plan.n && s->action == action && !strcmp(s->vdi.s, id(vdi).s) &&
	    (!parent || !strcmp(s->parent.s, id(parent).s)))
		return true;
	for (i = 0; i < w->plan.n; i++)
		fprintf(stderr, "%zu: %s %.8s into %.8s %s\n", i, gc_action_names[w->plan.v[i].action],
			w->plan.v[i].vdi.s, w->plan.v[i].parent.s,
			w->plan.v[i].why ? w->plan.v[i].why : "");
	return false;
}

static void end(struct world *w)
{
	arena_free(&w->a);
}

TEST(gc_plan_of_nothing)
{
	struct world w = { 0 };

	fill(&w);
	plan(&w);
	EQ(w.plan.n, 0);
	add(&w, 1, 0, false, 10);
	add(&w, 2, 0, false, 10);
	fill(&w);
	plan(&w);
	EQ(w.plan.n, 0);
	end(&w);
}

TEST(gc_plan_deletes_what_nobody_stands_on)
{
	struct world w = { 0 };

	add(&w, 1, 0, true, 10);
	add(&w, 2, 1, true, 20);
	add(&w, 3, 2, true, 30);
	add(&w, 4, 0, false, 5);
	fill(&w);
	plan(&w);
	/* The children first. */
	EQ(w.plan.n, 3);
	OK(is(&w, 0, GC_DELETE, 3, 2) && is(&w, 1, GC_DELETE, 2, 1) && is(&w, 2, GC_DELETE, 1, 0));
	EQ(w.plan.gain, 60 * MiB);
	EQ(w.plan.space, 0);
	EQ(w.plan.copy, 0);
	end(&w);
}

/* The snapshot between two nodes is gone: the upper goes into the lower, then all is needed. */
TEST(gc_plan_merges_an_only_child)
{
	struct world w = { 0 };

	add(&w, 1, 0, true, 50);
	add(&w, 2, 1, true, 20);
	add(&w, 3, 2, false, 1);
	add(&w, 4, 2, false, 2);
	fill(&w);
	plan(&w);
	EQ(w.plan.n_todo, 1);
	OK(is(&w, 0, GC_COALESCE, 2, 1));
	EQ(w.plan.copy, 20 * MiB);
	OK(w.plan.v[0].need >= 20 * MiB && w.plan.v[0].need < 21 * MiB);
	EQ(w.plan.v[0].gain, 20 * MiB);
	EQ(w.plan.n, 2);
	OK(is(&w, 1, GC_KEEP, 1, 0));
	STR_EQ(w.plan.v[1].why, "2 disks stand on it");
	end(&w);
}

/* All of a chain becomes one disk. */
TEST(gc_plan_of_a_chain_ends_with_its_leaf)
{
	struct world w = { 0 };

	add(&w, 1, 0, true, 90);
	add(&w, 2, 1, true, 30);
	add(&w, 3, 2, true, 8);
	add(&w, 4, 3, false, 2);
	fill(&w);
	plan(&w);
	EQ(w.plan.n, 3);
	/* The smaller one first, so that there is room for the next. */
	OK(is(&w, 0, GC_COALESCE, 3, 2) && is(&w, 1, GC_COALESCE, 2, 1) && is(&w, 2, GC_LEAF, 4, 1));
	EQ(w.plan.v[1].copy, 38 * MiB);
	/* The base can take no more than it has room for. */
	OK(w.plan.v[1].need <= 11 * MiB);
	end(&w);
}

TEST(gc_plan_copies_nothing_where_one_is_empty)
{
	struct world w = { 0 };
	struct vdi *small;

	add(&w, 1, 0, true, 0);
	add(&w, 2, 1, true, 40);
	add(&w, 3, 2, false, 0);
	fill(&w);
	plan(&w);
	EQ(w.plan.n, 2);
	OK(is(&w, 0, GC_UNSTACK, 2, 1) && !w.plan.v[0].grand.s[0]);
	OK(is(&w, 1, GC_LEAF, 3, 2));
	EQ(w.plan.copy, 0);
	EQ(w.plan.space, 0);

	/* What an empty parent hides of a larger one below must not appear. */
	w.l = (struct vdis){ 0 };
	add(&w, 1, 0, true, 90);
	small = add(&w, 2, 1, true, 0);
	small->virtual_size = 50 * MiB;
	add(&w, 3, 2, true, 40);
	add(&w, 4, 3, false, 0);
	add(&w, 5, 3, false, 0);
	add(&w, 6, 1, false, 0);
	fill(&w);
	plan(&w);
	EQ(w.plan.n_todo, 0);
	OK(is(&w, 0, GC_WAIT, 3, 2) && strstr(w.plan.v[0].why, "is larger"));
	end(&w);
}

TEST(gc_plan_goes_on_where_a_journal_says)
{
	struct world w = { 0 };

	add(&w, 1, 0, true, 50);
	add(&w, 2, 1, true, 20);
	add(&w, 3, 2, false, 1);
	add(&w, 4, 2, false, 2);
	add(&w, 10, 0, true, 50);
	add(&w, 11, 10, true, 5);
	add(&w, 12, 11, true, 5);
	add(&w, 13, 12, false, 1);
	add(&w, 14, 12, false, 1);
	fill(&w);
	plan(&w);
	OK(w.plan.v[0].parent.s[7] == 'a' || w.plan.v[0].vdi.s[7] == 'c');	/* the taller tree */
	fact(&w, 2)->relink = true;
	plan(&w);
	OK(is(&w, 0, GC_COALESCE, 2, 1) && w.plan.v[0].copied);
	EQ(w.plan.v[0].copy, 0);
	EQ(w.plan.v[0].need, 0);
	end(&w);
}

TEST(gc_plan_leaves_alone_what_is_attached)
{
	struct world w = { 0 };

	add(&w, 1, 0, true, 50);
	add(&w, 2, 1, true, 20);
	add(&w, 3, 2, false, 1);
	add(&w, 4, 2, false, 2)->at.attached = true;
	add(&w, 5, 0, true, 9)->at.active = true;
	add(&w, 6, 0, true, 9);
	add(&w, 7, 6, false, 1);
	fill(&w);
	plan(&w);
	EQ(w.plan.n_todo, 1);
	OK(is(&w, 0, GC_LEAF, 7, 6));
	EQ(w.plan.n_wait, 2);
	OK(is(&w, 1, GC_WAIT, 2, 1) && is(&w, 2, GC_WAIT, 5, 0));
	OK(strstr(w.plan.v[1].why, id(4).s) && strstr(w.plan.v[1].why, "this host"));
	OK(strstr(w.plan.v[1].remedy, "detach"));
	end(&w);
}

TEST(gc_plan_says_on_which_host_a_disk_is_attached)
{
	struct world w = { 0 };
	struct vdi *v;

	add(&w, 1, 0, true, 50);
	v = add(&w, 2, 1, false, 2);
	v->at.attached = true;
	v->at.elsewhere = "'b' (host h, vdi attach)";
	fill(&w);
	plan(&w);
	EQ(w.plan.n_todo, 0);
	EQ(w.plan.n_wait, 1);
	OK(strstr(w.plan.v[0].why, id(2).s) && strstr(w.plan.v[0].why, "another host: 'b' (host h, vdi attach)"));
	OK(strstr(w.plan.v[0].remedy, "on that host"));
	end(&w);
}

/* A disk whose server can be told to wait is in nobody's way. */
TEST(gc_plan_goes_on_below_a_disk_that_can_wait)
{
	bool raw = IS_ENABLED(CONFIG_LIVE_RAW);
	struct world w = { 0 };

	add(&w, 1, 0, true, 50);
	add(&w, 2, 1, true, 20);
	add(&w, 3, 2, false, 1)->at.attached = true;
	add(&w, 4, 0, true, 9)->at.attached = true;
	add(&w, 5, 0, true, 9)->format = "raw";
	add(&w, 6, 5, false, 1)->at.attached = true;
	fill(&w);
	for (unsigned int i = 3; i < 7; i++)
		fact(&w, i)->live = i != 5;
	plan(&w);
	EQ(w.plan.n_todo, raw ? 3 : 2);
	OK(is(&w, 0, GC_COALESCE, 2, 1) && is(&w, 1, GC_LEAF, 3, 1));
	/* But it cannot be taken away, nor be served as a raw one by each program. */
	EQ(w.plan.n_wait, raw ? 1 : 2);
	OK(is(&w, raw ? 3 : 2, GC_WAIT, 4, 0) && is(&w, raw ? 2 : 3, raw ? GC_LEAF : GC_WAIT, 6, 5));
	end(&w);
}

/* One that cannot be read may stand on anything. */
TEST(gc_plan_waits_while_an_image_is_unreadable)
{
	struct world w = { 0 };

	add(&w, 1, 0, true, 50);
	add(&w, 2, 0, true, 50);
	add(&w, 3, 2, false, 50);
	fill(&w);
	vdis_problem(&w.a, &w.l, &(struct problem){
		.object = id(77).s, .what = "torn", .severity = "error" });
	plan(&w);
	EQ(w.plan.n_todo, 0);
	EQ(w.plan.n_wait, 2);
	OK(strstr(w.plan.v[0].why, id(77).s));
	end(&w);
}

/* A child with the wrong id, and a circle: nobody's garbage. */
TEST(gc_plan_touches_nothing_odd)
{
	struct world w = { 0 };

	add(&w, 1, 0, true, 50);
	add(&w, 2, 1, false, 1)->parent_id[0] = 99;
	add(&w, 3, 4, true, 1);
	add(&w, 4, 3, true, 1);
	add(&w, 5, 0, true, 1);
	add(&w, 6, 5, false, 1);
	add(&w, 7, 5, false, 1)->parent_id[0] = 98;
	fill(&w);
	plan(&w);
	EQ(w.plan.n_todo, 0);
	end(&w);
}

TEST(gc_plan_says_what_space_is_missing)
{
	struct world w = { .free = 17 * MiB, .unit = 4 * MiB };

	add(&w, 1, 0, true, 20);
	add(&w, 2, 1, true, 11);
	add(&w, 3, 2, false, 1);
	add(&w, 4, 2, false, 2);
	add(&w, 5, 0, true, 3);
	fill(&w);
	plan(&w);
	/* Deleting one makes room for the other; 12 MiB and two journals. */
	EQ(w.plan.n_todo, 2);
	OK(is(&w, 0, GC_DELETE, 5, 0) && is(&w, 1, GC_COALESCE, 2, 1));
	EQ(w.plan.v[1].need, 20 * MiB);
	EQ(w.plan.v[1].gain, 19 * MiB);
	EQ(w.plan.space, 17 * MiB);
	EQ(w.plan.gain, 2 * MiB);
	w.free = 16 * MiB;
	plan(&w);
	EQ(w.plan.n_todo, 1);
	OK(is(&w, 1, GC_WAIT, 2, 1) && strstr(w.plan.v[1].why, "space: it needs 20"));
	end(&w);
}

/* A disk of 100 MiB in a volume that is given so much; the parent has what it holds. */
TEST(gc_plan_counts_the_room_of_a_disk)
{
	struct world w = { .free = 400 * MiB, .unit = 4 * MiB };

	if (!IS_ENABLED(CONFIG_GC_FORECAST))
		return;
	add(&w, 1, 0, true, 20)->physical_size = 24 * MiB;
	add(&w, 2, 1, false, 11)->physical_size = 108 * MiB;
	fill(&w);
	fact(&w, 1)->data = 20 * MiB;
	fact(&w, 2)->data = 11 * MiB;
	fact(&w, 2)->room = 108 * MiB;
	plan(&w);
	/* Its own volume goes before the parent's grows: the copy and a journal are the worst moment. */
	EQ(w.plan.n_todo, 1);
	OK(is(&w, 0, GC_LEAF, 2, 1));
	EQ(w.plan.space, 16 * MiB);
	EQ(w.plan.gain, 24 * MiB);
	/* If it has only what it holds, its end is: 108 - 24 - 16 more. */
	w.l.v[1].physical_size = 16 * MiB;
	plan(&w);
	EQ(w.plan.space, 68 * MiB);
	EQ(w.plan.v[0].gain, 0);
	w.free = 67 * MiB;
	plan(&w);
	EQ(w.plan.n_todo, 0);
	OK(is(&w, 0, GC_WAIT, 2, 1) && strstr(w.plan.v[0].why, "space: it needs 68"));
	/* In use it is merged by way of a new image, which is a step of each kind. */
	w.free = 400 * MiB;
	w.l.v[1].physical_size = 108 * MiB;
	w.l.v[1].at.attached = true;
	fact(&w, 2)->live = true;
	fact(&w, 2)->round = 24 * MiB;
	plan(&w);
	EQ(w.plan.space, (12 + 8 + 24) * MiB);
	EQ(w.plan.gain, 24 * MiB);
	/* A raw parent has its room. */
	w.l.v[0].format = "raw";
	w.l.v[1].at.attached = false;
	fact(&w, 2)->round = 0;
	plan(&w);
	EQ(w.plan.space, 4 * MiB);
	EQ(w.plan.gain, 108 * MiB);
	end(&w);
}

/* Nothing of a parent is copied when its child has all of it; nor is it once that has changed. */
TEST(gc_plan_passes_over_what_nobody_sees)
{
	struct world w = { 0 };

	add(&w, 1, 0, true, 90);
	add(&w, 2, 1, true, 20);
	add(&w, 3, 2, false, 30);
	fill(&w);
	fact(&w, 3)->covers = true;
	plan(&w);
	if (!IS_ENABLED(CONFIG_GC_SHARE)) {
		OK(is(&w, 0, GC_COALESCE, 2, 1));
		end(&w);
		return;
	}
	EQ(w.plan.n_todo, 2);
	OK(is(&w, 0, GC_UNSTACK, 3, 2) && !strcmp(w.plan.v[0].grand.s, id(1).s));
	EQ(w.plan.v[0].gain, 20 * MiB);
	OK(is(&w, 1, GC_LEAF, 3, 1));
	EQ(w.plan.copy, 30 * MiB);
	/* It was the other that went: what the disk stands on then is seen. */
	fact(&w, 2)->relink = true;
	plan(&w);
	OK(is(&w, 0, GC_COALESCE, 2, 1) && is(&w, 1, GC_LEAF, 3, 1));
	/* A node, and what it stood on is at the end. */
	fact(&w, 2)->relink = fact(&w, 3)->covers = false;
	fact(&w, 2)->covers = true;
	plan(&w);
	OK(is(&w, 0, GC_UNSTACK, 2, 1) && !w.plan.v[0].grand.s[0] && is(&w, 1, GC_LEAF, 3, 2));
	/* Where it is larger than its child, what lies below would appear. */
	w.l.v[1].virtual_size = 110 * MiB;
	w.l.v[0].virtual_size = 120 * MiB;
	fact(&w, 2)->covers = false;
	fact(&w, 3)->covers = true;
	w.l.v[2].virtual_size = 120 * MiB;
	plan(&w);
	EQ(w.plan.n_todo, 0);
	end(&w);
}

/* What is to be known of a node is not what it stands on. */
TEST(gc_plan_asks_about_a_node_on_a_disk)
{
	struct world w = { 0 };

	add(&w, 1, 0, false, 90);
	add(&w, 2, 1, true, 20);
	add(&w, 3, 2, false, 30);
	fill(&w);
	OK(!gc_plan_wants(&w.l, &w.l.v[0]) && gc_plan_wants(&w.l, &w.l.v[1]) && gc_plan_wants(&w.l, &w.l.v[2]));
	end(&w);
}

TEST(gc_plan_for_one_disk_alone)
{
	struct world w = { 0 };

	add(&w, 1, 0, true, 20);
	add(&w, 2, 1, false, 11);
	add(&w, 3, 0, true, 20);
	add(&w, 4, 3, false, 11);
	fill(&w);
	w.only = id(4);
	plan(&w);
	EQ(w.plan.n, 1);
	OK(is(&w, 0, GC_LEAF, 4, 3));
	end(&w);
}

/* Raw parents are never empty, raw children never merged. */
TEST(gc_plan_knows_raw_disks)
{
	struct world w = { 0 };

	add(&w, 1, 0, true, 0)->format = "raw";
	add(&w, 2, 1, false, 11);
	fill(&w);
	plan(&w);
	EQ(w.plan.n, 1);
	OK(is(&w, 0, GC_LEAF, 2, 1));
	w.unit = 4 * MiB;
	w.l.v[0].virtual_size = 96 * MiB;
	plan(&w);
	EQ(w.plan.n_todo, 0);
	OK(is(&w, 0, GC_WAIT, 2, 1));
	end(&w);
}

/* Beyond its end a disk reads as zero, whatever a larger parent holds there. */
TEST(gc_plan_shows_nothing_of_a_larger_parent)
{
	struct world w = { 0 };
	char remedy[80];

	add(&w, 1, 0, true, 20)->virtual_size = 120 * MiB;
	add(&w, 2, 1, false, 11);
	add(&w, 3, 0, true, 20)->virtual_size = 120 * MiB;
	add(&w, 4, 3, true, 11);
	add(&w, 5, 4, false, 1)->virtual_size = 120 * MiB;
	add(&w, 6, 4, false, 1);
	fill(&w);
	plan(&w);
	EQ(w.plan.n_todo, 0);
	OK(is(&w, 0, GC_WAIT, 2, 1) && strstr(w.plan.v[0].why, "is larger"));
	snprintf(remedy, sizeof(remedy), "sm vdi resize %s 125829120", id(2).s);
	OK(!strcmp(w.plan.v[0].remedy, remedy));
	OK(is(&w, 1, GC_WAIT, 4, 3) && strstr(w.plan.v[1].why, "is larger"));
	/* Where nobody sees so far it does not matter. */
	w.l.v[4].virtual_size = 100 * MiB;
	plan(&w);
	OK(w.plan.n_todo == 1 && is(&w, 0, GC_COALESCE, 4, 3));
	/* Nor once it has been copied, and a disk has grown since. */
	w.l.v[4].virtual_size = 120 * MiB;
	fact(&w, 4)->relink = true;
	plan(&w);
	EQ(w.plan.n_todo, 0);
	end(&w);
}

/* A parent that grew to take a disk would show more of its own, larger one. */
TEST(gc_plan_shows_nothing_of_a_larger_grandparent)
{
	struct world w = { 0 };

	add(&w, 1, 0, true, 20)->virtual_size = 120 * MiB;
	add(&w, 2, 1, true, 11);
	add(&w, 3, 2, false, 11)->virtual_size = 120 * MiB;
	fill(&w);
	plan(&w);
	EQ(w.plan.n_todo, 0);
	OK(is(&w, 0, GC_WAIT, 2, 1) || is(&w, 1, GC_WAIT, 2, 1));
	OK(is(&w, 0, GC_WAIT, 3, 2) || is(&w, 1, GC_WAIT, 3, 2));
	w.l.v[0].virtual_size = 100 * MiB;
	plan(&w);
	EQ(w.plan.n_todo, 2);
	end(&w);
}
