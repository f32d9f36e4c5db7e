/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How disks hang together, by what they say of their parents. */
#include <string.h>

#include "lib/arena.h"
#include "sm/tree.h"
#include "tests/unit/t.h"

static struct uuid id(unsigned int n)
{
	struct uuid u;

	snprintf(u.s, sizeof(u.s), "%08x-0000-4000-8000-000000000000", n);
	return u;
}

/* A disk n on a parent (0: none). */
static struct vdi *add(struct arena *a, struct vdis *l, unsigned int n, unsigned int parent)
{
	struct vdi *v = vdis_add(a, l);

	v->uuid = id(n);
	v->image_id[0] = (uint8_t)n;
	if (parent) {
		v->parent = id(parent);
		v->parent_id[0] = (uint8_t)parent;
	}
	return v;
}

static const struct vdi *get(const struct vdis *l, unsigned int n)
{
	struct uuid u = id(n);

	return tree_find(l, &u);
}

TEST(tree_of_three_levels)
{
	struct arena a = { 0 };
	struct vdis l = { 0 };

	add(&a, &l, 9, 5);
	add(&a, &l, 7, 5)->snapshot_of = id(9);
	add(&a, &l, 5, 3)->hidden = true;
	add(&a, &l, 3, 0)->hidden = true;
	add(&a, &l, 4, 0);
	tree_fill(&a, &l);
	EQ(l.n_problems, 0);
	EQ(tree_depth(&l, get(&l, 9)), 3);
	EQ(tree_depth(&l, get(&l, 4)), 1);
	EQ(get(&l, 5)->n_children, 2);
	STR_EQ(get(&l, 5)->children[0].s, id(7).s);
	STR_EQ(tree_parent(&l, get(&l, 7))->uuid.s, id(5).s);
	OK(!tree_parent(&l, get(&l, 4)));
	/* Whoever has children does not change, and neither does a snapshot. */
	OK(get(&l, 3)->read_only && get(&l, 5)->read_only && get(&l, 7)->read_only);
	OK(!get(&l, 9)->read_only && !get(&l, 4)->read_only);
	OK(tree_is_whole(&l));
	OK(!tree_is_garbage(get(&l, 3)) && !tree_is_garbage(get(&l, 4)));

	tree_order(&a, &l);
	EQ(l.n, 5);
	STR_EQ(l.v[0].uuid.s, id(3).s);
	STR_EQ(l.v[1].uuid.s, id(5).s);
	STR_EQ(l.v[2].uuid.s, id(7).s);
	STR_EQ(l.v[3].uuid.s, id(9).s);
	STR_EQ(l.v[4].uuid.s, id(4).s);
	EQ(l.v[0].depth, 0);
	EQ(l.v[3].depth, 2);
	EQ(l.v[4].depth, 0);
	arena_free(&a);
}

TEST(tree_without_its_root)
{
	struct arena a = { 0 };
	struct vdis l = { 0 };

	add(&a, &l, 2, 1);
	add(&a, &l, 3, 0)->hidden = true;
	tree_fill(&a, &l);
	EQ(l.n_problems, 1);
	STR_EQ(l.problems[0].object, id(2).s);
	OK(strstr(l.problems[0].what, "is not in the SR"));
	EQ(tree_depth(&l, get(&l, 2)), 1);
	/* Nothing hides behind this problem: the disk that has it can be read. */
	OK(tree_is_whole(&l) && tree_is_garbage(get(&l, 3)));

	l.n_problems = 0;
	vdis_problem(&a, &l, &(struct problem){ .object = id(1).s, .what = "torn", .severity = "error" });
	tree_fill(&a, &l);
	OK(strstr(l.problems[1].what, "cannot be read"));
	OK(!tree_is_whole(&l));
	arena_free(&a);
}

TEST(tree_of_a_stranger)
{
	struct arena a = { 0 };
	struct vdis l = { 0 };

	add(&a, &l, 1, 2)->parent_id[0] = 77;		/* another image than the one there */
	add(&a, &l, 2, 0);
	add(&a, &l, 3, 3);				/* itself */
	add(&a, &l, 4, 6);				/* a circle of three, and one that hangs on it */
	add(&a, &l, 5, 4);
	add(&a, &l, 6, 5);
	add(&a, &l, 7, 6);
	tree_fill(&a, &l);
	EQ(l.n_problems, 5);
	OK(strstr(l.problems[0].what, "is not the parent it was made from"));
	for (size_t i = 1; i < l.n_problems; i++)
		OK(strstr(l.problems[i].what, "its own ancestor"));
	EQ(get(&l, 2)->n_children, 0);
	EQ(get(&l, 3)->n_children, 0);
	EQ(get(&l, 6)->n_children, 1);
	EQ(tree_depth(&l, get(&l, 7)), 2);
	tree_order(&a, &l);
	EQ(l.n, 7);

	l = (struct vdis){ 0 };
	add(&a, &l, 1, 0);
	add(&a, &l, 1, 0);
	tree_fill(&a, &l);
	EQ(l.n_problems, 1);
	OK(strstr(l.problems[0].what, "here twice"));
	arena_free(&a);
}

TEST(tree_of_many)
{
	struct arena a = { 0 };
	struct vdis l = { 0 };
	const unsigned int n = 20000;

	/* A chain of half of them, and all others on its root. */
	for (unsigned int i = 1; i <= n; i++)
		add(&a, &l, i, i == 1 ? 0 : i <= n / 2 ? i - 1 : 1);
	for (unsigned int i = 0; i < n; i++) {
		memset(l.v[i].image_id, 0, sizeof(l.v[i].image_id));
		memset(l.v[i].parent_id, 0, sizeof(l.v[i].parent_id));
	}
	tree_fill(&a, &l);
	EQ(l.n_problems, 0);
	EQ(get(&l, 1)->n_children, n / 2 + 1);
	EQ(tree_depth(&l, get(&l, n / 2)), n / 2);
	tree_order(&a, &l);
	EQ(l.n, n);
	EQ(l.v[n / 2 - 1].depth, n / 2 - 1);
	arena_free(&a);

	l = (struct vdis){ 0 };
	tree_fill(&a, &l);
	tree_order(&a, &l);
	EQ(l.n, 0);
	arena_free(&a);
}
