/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "sm/tree.h"

static int compare(const void *a, const void *b)
{
	const struct vdi *const *x = a, *const *y = b;

	return strcmp((*x)->uuid.s, (*y)->uuid.s);
}

/*
 * Members are large: sort pointers, then move each once, to where one has just
 * left, round each circle that begins with a member out of place.
 */
static void sort(struct arena *a, struct vdis *l)
{
	struct vdi **p = arena_array(a, l->n, sizeof(*p)), first;

	for (size_t i = 0; i < l->n; i++)
		p[i] = &l->v[i];
	qsort(p, l->n, sizeof(*p), compare);
	for (size_t i = 0; i < l->n; i++) {
		size_t to = i, from = (size_t)(p[i] - l->v);

		first = l->v[i];
		for (; from != i; to = from, from = (size_t)(p[to] - l->v)) {
			l->v[to] = l->v[from];
			p[to] = &l->v[to];
		}
		l->v[to] = first;
		p[to] = &l->v[to];
	}
}

static int by_uuid(const void *key, const void *member)
{
	return strcmp(key, ((const struct vdi *)member)->uuid.s);
}

struct vdi *tree_find(const struct vdis *l, const struct uuid *u)
{
	return u->s[0] && l->n ? bsearch(u->s, l->v, l->n, sizeof(*l->v), by_uuid) : NULL;
}

static void tell(struct arena *a, struct vdis *l, const struct vdi *vdi, const char *what)
{
	vdis_problem(a, l, &(struct problem){
		.object = arena_strdup(a, vdi->uuid.s), .what = what, .severity = "error" });
}

/* --- edges ------------------------------------------------------------------- */

static const char *why_no_edge(struct arena *a, const struct vdis *l, const struct vdi *vdi,
			       const struct vdi *parent)
{
	if (!parent) {
		for (size_t i = 0; i < l->n_problems; i++)
			if (!strcmp(l->problems[i].object, vdi->parent.s))
				return arena_printf(a, "its parent %s cannot be read",
						    vdi->parent.s);
		return arena_printf(a, "its parent %s is not in the SR", vdi->parent.s);
	}
	if (memcmp(vdi->parent_id, parent->image_id, sizeof(vdi->parent_id)))
		return arena_printf(a, "VDI %s is not the parent it was made from", parent->uuid.s);
	return NULL;
}

/*
 * Mark who stands above itself.  A walk up from each member stops at whatever
 * an earlier one has passed, so each edge is walked once.
 */
static void find_circles(struct arena *a, const struct vdis *l, struct vdi **parent, bool *circle)
{
	size_t *walk = arena_array(a, l->n, sizeof(*walk));

	for (size_t i = 0; i < l->n; i++) {
		const struct vdi *v = &l->v[i];

		while (v && !walk[v - l->v]) {
			walk[v - l->v] = i + 1;
			v = parent[v - l->v];
		}
		if (!v || walk[v - l->v] != i + 1)
			continue;
		while (!circle[v - l->v]) {
			circle[v - l->v] = true;
			v = parent[v - l->v];
		}
	}
}

static void add_child(struct arena *a, struct vdi *parent, const struct vdi *child)
{
	/* Room doubles at each power of two. */
	if (!(parent->n_children & (parent->n_children - 1)))
		parent->children = arena_grow(a, parent->children, parent->n_children,
					      parent->n_children ? parent->n_children * 2 : 1,
					      sizeof(*parent->children));
	parent->children[parent->n_children++] = child->uuid;
}

void tree_fill(struct arena *a, struct vdis *l)
{
	struct vdi **parent = arena_array(a, l->n, sizeof(*parent));
	bool *circle = arena_array(a, l->n, sizeof(*circle));

	sort(a, l);
	for (size_t i = 1; i < l->n; i++)
		if (uuid_equal(&l->v[i].uuid, &l->v[i - 1].uuid))
			tell(a, l, &l->v[i], arena_printf(a, "it is here twice: %s and %s",
							  l->v[i - 1].volume, l->v[i].volume));
	for (size_t i = 0; i < l->n; i++) {
		struct vdi *v = &l->v[i];
		const char *why;

		v->n_children = 0;
		v->children = NULL;
		if (!v->parent.s[0])
			continue;
		parent[i] = tree_find(l, &v->parent);
		why = why_no_edge(a, l, v, parent[i]);
		if (why) {
			parent[i] = NULL;
			tell(a, l, v, why);
		}
	}
	find_circles(a, l, parent, circle);
	for (size_t i = 0; i < l->n; i++) {
		if (circle[i])
			tell(a, l, &l->v[i], "it is its own ancestor");
		else if (parent[i])
			add_child(a, parent[i], &l->v[i]);
	}
	for (size_t i = 0; i < l->n; i++)
		l->v[i].read_only |= l->v[i].n_children || l->v[i].snapshot_of.s[0];
}

/* --- asking ------------------------------------------------------------------ */

static int same_uuid(const void *key, const void *member)
{
	return strcmp(key, ((const struct uuid *)member)->s);
}

struct vdi *tree_parent(const struct vdis *l, const struct vdi *vdi)
{
	struct vdi *p = tree_find(l, &vdi->parent);

	if (!p || !p->n_children)
		return NULL;
	/* They were added in the order of the list. */
	return bsearch(vdi->uuid.s, p->children, p->n_children, sizeof(*p->children), same_uuid) ?
		p : NULL;
}

size_t tree_depth(const struct vdis *l, const struct vdi *vdi)
{
	size_t n = 0;

	for (; vdi; vdi = tree_parent(l, vdi))
		n++;
	return n;
}

bool tree_is_whole(const struct vdis *l)
{
	for (size_t i = 0; i < l->n_problems; i++) {
		struct uuid u;

		if (uuid_parse(&u, l->problems[i].object) || !tree_find(l, &u))
			return false;
	}
	return true;
}

bool tree_is_garbage(const struct vdi *vdi)
{
	return vdi->hidden && !vdi->n_children;
}

/* --- order ------------------------------------------------------------------- */

/* A stack, since a chain may be as long as the list. */
struct order {
	struct arena *arena;
	const struct vdis *l;
	struct vdi *out;
	size_t n;
	struct vdi **todo;
	size_t n_todo;
};

static void push(struct order *o, struct vdi *v, uint32_t depth)
{
	v->depth = depth;
	o->todo[o->n_todo++] = v;
}

static void put_tree(struct order *o, struct vdi *root)
{
	push(o, root, 0);
	while (o->n_todo) {
		struct vdi *v = o->todo[--o->n_todo];

		o->out[o->n++] = *v;
		for (size_t i = v->n_children; i--; )
			push(o, tree_find(o->l, &v->children[i]), v->depth + 1);
	}
}

void tree_order(struct arena *a, struct vdis *l)
{
	struct order o = {
		.arena = a, .l = l,
		.out = arena_array(a, l->n, sizeof(*o.out)),
		.todo = arena_array(a, l->n + 1, sizeof(*o.todo)),
	};

	for (size_t i = 0; i < l->n; i++)
		if (!tree_parent(l, &l->v[i]))
			put_tree(&o, &l->v[i]);
	l->v = o.out;
	l->n = l->room = o.n;
}
