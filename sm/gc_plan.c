/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/kconfig.h"
#include "lib/text/size.h"
#include "sm/gc_plan.h"
#include "sm/tree.h"

#define NONE		UINT32_MAX
#define COPY_THEM	"copy the disks that stand on it, and delete them"

const char *const gc_action_names[] = { "delete", "coalesce", "leaf", "unstack", "wait", "keep" };

/* A VDI as it will be once the steps so far have been done. */
struct node {
	const struct vdi *v;
	uint32_t parent;	/* by number; NONE */
	uint32_t n_children;
	uint32_t height;	/* of its tree, as it was */
	uint32_t busy;		/* somebody in its subtree, itself included, who is attached for good */
	uint64_t data;
	uint64_t used;		/* bytes of the substrate */
	bool relink;
	uint32_t covers;	/* what it stood on, if that shows nothing through it as long as nothing goes into it */
	bool odd;		/* others name it as their parent and are not its children */
	bool wanted;		/* the caller asked about its tree */
	bool gone;
};

struct work {
	struct arena *a;
	const struct gc_ask *ask;
	struct gc_plan *plan;
	struct node *n;
	uint32_t count;
	uint64_t free;
	uint64_t taken, freed;	/* by the steps so far */
	const char *broken;	/* no image may be unreadable; else why */
};

static uint32_t number(const struct work *w, const struct vdi *v)
{
	return v ? (uint32_t)(v - w->ask->l->v) : NONE;
}

static bool is_attached(const struct vdi *v)
{
	return v->at.attached || v->at.active;
}

/* --- what there is ----------------------------------------------------------- */

static const char *find_broken(const struct work *w)
{
	const struct vdis *l = w->ask->l;

	if (tree_is_whole(l))
		return NULL;
	for (size_t i = 0; i < l->n_problems; i++) {
		struct uuid u;

		if (uuid_parse(&u, l->problems[i].object) || !tree_find(l, &u))
			return arena_printf(w->a, "%.64s cannot be read, and may stand on it",
					    l->problems[i].object);
	}
	return NULL;
}

/* Each passes on to all above it what it is. */
static void spread(struct work *w, uint32_t i)
{
	uint32_t height = 1;
	bool attached = is_attached(w->n[i].v) && !w->ask->facts[i].live;

	for (uint32_t at = i; at != NONE; at = w->n[at].parent, height++) {
		if (attached && w->n[at].busy == NONE)
			w->n[at].busy = i;
		if (w->n[at].height < height)
			w->n[at].height = height;
	}
}

static void mark_wanted(struct work *w)
{
	struct vdi *v = tree_find(w->ask->l, &w->ask->vdi);
	uint32_t of = number(w, v);

	for (uint32_t i = 0; i < w->count; i++) {
		uint32_t at = i;

		while (at != NONE && at != of)
			at = w->n[at].parent;
		w->n[i].wanted |= !w->ask->vdi.s[0] || at == of;
	}
	for (; of != NONE; of = w->n[of].parent)
		w->n[of].wanted = true;
}

static void look(struct work *w)
{
	const struct vdis *l = w->ask->l;

	w->count = (uint32_t)l->n;
	w->n = arena_array(w->a, l->n, sizeof(*w->n));
	w->free = w->ask->free;
	w->broken = find_broken(w);
	for (uint32_t i = 0; i < w->count; i++) {
		const struct vdi *v = &l->v[i];

		w->n[i] = (struct node){
			.v = v, .parent = number(w, tree_parent(l, v)), .busy = NONE,
			.n_children = (uint32_t)v->n_children, .data = w->ask->facts[i].data,
			.used = v->physical_size, .relink = w->ask->facts[i].relink,
		};
		if (IS_ENABLED(CONFIG_GC_SHARE))
			w->n[i].covers = w->ask->facts[i].covers ? w->n[i].parent : NONE;
	}
	for (uint32_t i = 0; i < w->count; i++) {
		uint32_t named = number(w, tree_find(l, &l->v[i].parent));

		if (named != NONE && w->n[i].parent != named)
			w->n[named].odd = true;
		spread(w, i);
	}
	/* The height of a tree is what its root has, and counts for all of it. */
	for (uint32_t i = 0; i < w->count; i++) {
		uint32_t root = i;

		while (w->n[root].parent != NONE)
			root = w->n[root].parent;
		w->n[i].height = w->n[root].height;
	}
	mark_wanted(w);
}

/* --- what could be done with one --------------------------------------------- */

static bool is_raw(const struct node *n)
{
	return !strcmp(n->v->format, "raw");
}

/* Its only child could take its place, or go into it. */
static bool is_only_child(const struct work *w, uint32_t i)
{
	const struct node *n = &w->n[i];

	/* Of begun work some children stand on the parent already. */
	return n->parent != NONE && (w->n[n->parent].n_children == 1 || n->relink) &&
	       !w->n[n->parent].odd && w->n[n->parent].v->hidden && !is_raw(n);
}

/*
 * Nothing in the parent is seen through its child; nor may bytes below shine through, beyond
 * what the parent shows, once it has gone.
 */
static bool may_unstack(const struct work *w, uint32_t i)
{
	const struct node *n = &w->n[i], *p = &w->n[n->parent];

	if ((p->data && !(IS_ENABLED(CONFIG_GC_SHARE) && n->covers == n->parent)) || is_raw(p) || n->relink)
		return false;
	return p->parent == NONE || p->v->virtual_size >= n->v->virtual_size ||
	       w->n[p->parent].v->virtual_size <= p->v->virtual_size;
}

static bool action_of(const struct work *w, uint32_t i, enum gc_action *action)
{
	const struct node *n = &w->n[i];

	if (n->gone || !n->wanted || n->odd)
		return false;
	if (n->v->hidden && !n->n_children) {
		*action = GC_DELETE;
		return true;
	}
	if (!is_only_child(w, i) || (!n->v->hidden && n->n_children))
		return false;
	*action = may_unstack(w, i) ? GC_UNSTACK : n->v->hidden ? GC_COALESCE : GC_LEAF;
	return true;
}

/* Bytes by which the parent grows while it is copied to: what it cannot have yet, in whole units. */
static uint64_t growth_of(const struct work *w, uint32_t i)
{
	const struct node *n = &w->n[i], *p = &w->n[n->parent];
	uint64_t most = p->v->virtual_size > n->v->virtual_size ? p->v->virtual_size :
			n->v->virtual_size, need = n->data, up;

	if (is_raw(p) && w->ask->unit)		/* a volume has all its space */
		return 0;
	if (p->data < most && need > most - p->data)
		need = most - p->data;
	else if (p->data >= most)
		need = 0;
	need += need / 512;			/* bitmaps */
	return w->ask->unit && round_up_ok(need, w->ask->unit, &up) ? up : need;
}

/*
 * The worst moment of a merge, and what is free again after it.  Where journals are
 * volumes, one says that the copy has begun, and there is the next before that one goes;
 * that of a disk comes after its copy.  Then the parent, with the disk's name, is given
 * the room of a disk; and one in use may need a new image on top of it at first.
 */
static void space_of(const struct work *w, uint32_t i, struct gc_step *s)
{
	const struct node *n = &w->n[i], *p = &w->n[n->parent];
	const struct gc_fact *f = &w->ask->facts[i];
	bool leaf = s->action == GC_LEAF;
	uint64_t grown = n->relink ? 0 : growth_of(w, i), journals = w->ask->unit, room;
	uint64_t round = IS_ENABLED(CONFIG_GC_FORECAST) && leaf ? f->round : 0;

	if (!leaf || round)
		journals *= 2;
	s->need = n->relink ? 0 : grown + journals + round;
	s->gain = n->used + s->need - grown;
	if (!IS_ENABLED(CONFIG_GC_FORECAST))
		return;
	room = leaf && !is_raw(p) ? f->room : 0;
	if (room <= p->used + grown)
		return;
	/* Beside what has gone by then. */
	if (room > p->used + n->used && s->need < room - p->used - n->used)
		s->need = room - p->used - n->used;
	s->gain = s->need + n->used + p->used - room;
}

/*
 * What lies beyond the end of a disk reads as zero above it, and so it has to
 * go on: nobody may see there what a larger parent holds.
 */
static const char *larger_text(const struct work *w, uint32_t i, struct gc_step *s)
{
	const struct node *n = &w->n[i], *p = &w->n[n->parent];
	uint64_t size = n->v->virtual_size;

	if (s->action == GC_UNSTACK)
		return NULL;
	/* It becomes as large as what goes into it, and so would show more of what is below it. */
	if (p->v->virtual_size < size && p->parent != NONE &&
	    w->n[p->parent].v->virtual_size > p->v->virtual_size) {
		s->remedy = COPY_THEM;
		return arena_printf(w->a, "its parent %s stands on %s, which is larger: %s, not %s", p->v->uuid.s,
				    w->n[p->parent].v->uuid.s, SIZE_STR(w->n[p->parent].v->virtual_size),
				    SIZE_STR(p->v->virtual_size));
	}
	if (p->v->virtual_size <= size)
		return NULL;
	for (uint32_t c = 0; s->action == GC_COALESCE && c <= w->count; c++) {
		if (c == w->count)
			return NULL;
		if (!w->n[c].gone && w->n[c].parent == i && w->n[c].v->virtual_size > size)
			break;
	}
	s->remedy = s->action == GC_LEAF ? arena_printf(w->a, "sm vdi resize %s %llu", n->v->uuid.s,
							(unsigned long long)p->v->virtual_size) :
		COPY_THEM;
	return arena_printf(w->a, "its parent %s is larger: %s, not %s", p->v->uuid.s,
			    SIZE_STR(p->v->virtual_size), SIZE_STR(size));
}

static const char *attached_text(const struct work *w, uint32_t of, struct gc_step *s)
{
	const struct vdi *v = w->n[of].v;

	if (w->ask->facts[of].copied)
		return arena_printf(w->a, "VDI %s is being copied", v->uuid.s);
	s->remedy = arena_printf(w->a, "sm vdi detach %s%s", v->uuid.s, v->at.elsewhere ? " on that host" : "");
	return v->at.elsewhere ?
		arena_printf(w->a, "VDI %s is attached on another host: %s", v->uuid.s, v->at.elsewhere) :
		arena_printf(w->a, "VDI %s is attached on this host", v->uuid.s);
}

/* Why not now?  NULL = nothing is in the way. */
static const char *obstacle(const struct work *w, uint32_t i, struct gc_step *s)
{
	const struct node *n = &w->n[i];
	const struct gc_fact *f = &w->ask->facts[i];
	const char *larger;

	if (w->broken) {
		s->remedy = "sm sr check";
		return w->broken;
	}
	if (f->why)
		return f->why;
	if (n->busy != NONE)
		return attached_text(w, n->busy, s);
	/* A disk can be made to wait, but not be taken away. */
	if (n->v->hidden && is_attached(n->v))
		return attached_text(w, i, s);
	if (s->action == GC_DELETE)
		return NULL;
	/* Nor go on as a raw one, where its server cannot. */
	if (!IS_ENABLED(CONFIG_LIVE_RAW) && s->action == GC_LEAF && is_attached(n->v) &&
	    is_raw(&w->n[n->parent]))
		return attached_text(w, i, s);
	/* Who writes a raw disk marks nothing. */
	if (IS_ENABLED(CONFIG_CBT) && s->action == GC_LEAF && n->v->cbt && is_raw(&w->n[n->parent])) {
		s->remedy = arena_printf(w->a, "sm cbt disable %s", n->v->uuid.s);
		return "its changed blocks are tracked, which those of a raw disk are not";
	}
	if (is_attached(w->n[n->parent].v))
		return attached_text(w, n->parent, s);
	if (w->ask->facts[n->parent].why)
		return w->ask->facts[n->parent].why;
	larger = larger_text(w, i, s);
	if (larger)
		return larger;
	if (s->action != GC_UNSTACK && is_raw(&w->n[n->parent]) && w->ask->unit &&
	    w->n[n->parent].v->virtual_size < n->v->virtual_size) {
		s->remedy = COPY_THEM;
		return arena_printf(w->a, "its parent %s is a raw volume, and smaller",
				    w->n[n->parent].v->uuid.s);
	}
	if (s->need > w->free) {
		s->remedy = "delete disks, or make the SR larger";
		return arena_printf(w->a, "space: it needs %s, the SR has %s", SIZE_STR(s->need),
				    SIZE_STR(w->free));
	}
	return NULL;
}

/* --- steps -------------------------------------------------------------------- */

static struct gc_step *add(struct work *w)
{
	struct gc_plan *p = w->plan;

	if (!(p->n & (p->n - 1)))
		p->v = arena_grow(w->a, p->v, p->n, p->n ? p->n * 2 : 1, sizeof(*p->v));
	return &p->v[p->n++];
}

static void describe(const struct work *w, uint32_t i, enum gc_action action, struct gc_step *s)
{
	const struct node *n = &w->n[i];
	const struct node *p = n->parent == NONE ? NULL : &w->n[n->parent];

	*s = (struct gc_step){
		.action = action, .vdi = n->v->uuid, .copied = n->relink,
		.name = n->v->name ? n->v->name : "",
	};
	if (p)
		s->parent = p->v->uuid;
	if (p && p->parent != NONE)
		s->grand = w->n[p->parent].v->uuid;
	s->gain = action == GC_UNSTACK ? p->used : action == GC_DELETE ? n->used : 0;
	if (action == GC_COALESCE || action == GC_LEAF) {
		s->copy = n->relink ? 0 : n->data;
		space_of(w, i, s);
	}
}

/* The tree as it is afterwards. */
static void perform(struct work *w, uint32_t i, const struct gc_step *s)
{
	struct node *n = &w->n[i], *p = n->parent == NONE ? NULL : &w->n[n->parent];
	uint64_t most;

	w->taken += s->need;
	w->plan->copy += s->copy;
	if (w->taken > w->freed && w->taken - w->freed > w->plan->space)
		w->plan->space = w->taken - w->freed;
	w->freed += s->gain;
	w->free = w->free - s->need + s->gain;
	if (s->action == GC_UNSTACK) {
		n->parent = p->parent;		/* which has one child less and one more */
		p->gone = true;
		return;
	}
	n->gone = true;
	if (!p)
		return;
	p->n_children--;
	if (s->action == GC_DELETE)
		return;
	most = p->v->virtual_size > n->v->virtual_size ? p->v->virtual_size : n->v->virtual_size;
	p->data = p->data + n->data > most ? most : p->data + n->data;
	p->used += n->used + s->need - s->gain;
	p->n_children += n->n_children;
	for (uint32_t c = 0; c < w->count; c++)
		if (!w->n[c].gone && w->n[c].parent == i)
			w->n[c].parent = n->parent;
	/* Under the child's name it is another one, and has nothing above it. */
	if (s->action == GC_LEAF)
		p->gone = true;
}

/* Is this step better than that? */
static bool is_before(const struct work *w, uint32_t i, const struct gc_step *s, uint32_t j,
		      const struct gc_step *t)
{
	if (s->action == GC_DELETE || t->action == GC_DELETE)
		return s->action == GC_DELETE && t->action != GC_DELETE;
	if (s->copied != t->copied)
		return s->copied;
	if ((s->action == GC_LEAF) != (t->action == GC_LEAF))
		return t->action == GC_LEAF;
	if (w->n[i].height != w->n[j].height)
		return w->n[i].height > w->n[j].height;
	return s->copy < t->copy;
}

static bool find_next(const struct work *w, uint32_t *which, struct gc_step *best)
{
	bool found = false;

	for (uint32_t i = 0; i < w->count; i++) {
		enum gc_action action;
		struct gc_step s;

		if (!action_of(w, i, &action))
			continue;
		describe(w, i, action, &s);
		if (obstacle(w, i, &s) || (found && !is_before(w, i, &s, *which, best)))
			continue;
		*best = s;
		*which = i;
		found = true;
	}
	return found;
}

static void add_waiting(struct work *w)
{
	for (uint32_t i = 0; i < w->count; i++) {
		enum gc_action action;
		struct gc_step s;

		if (!action_of(w, i, &action))
			continue;
		describe(w, i, action, &s);
		s.why = obstacle(w, i, &s);
		s.action = GC_WAIT;
		*add(w) = s;
	}
}

static void add_kept(struct work *w)
{
	for (uint32_t i = 0; i < w->count; i++) {
		const struct node *n = &w->n[i];
		enum gc_action action;
		struct gc_step s;

		if (n->gone || !n->wanted || !n->v->hidden || action_of(w, i, &action))
			continue;
		describe(w, i, GC_KEEP, &s);
		s.why = n->odd ? "a disk that is not its child names it as its parent" :
			arena_printf(w->a, "%u disk%s on it", n->n_children,
				     n->n_children == 1 ? " stands" : "s stand");
		*add(w) = s;
	}
}

void gc_plan_make(struct arena *a, const struct gc_ask *ask, struct gc_plan *plan)
{
	struct work w = { .a = a, .ask = ask, .plan = plan };
	struct gc_step s;
	uint32_t i = 0;

	*plan = (struct gc_plan){ 0 };
	look(&w);
	while (find_next(&w, &i, &s)) {
		*add(&w) = s;
		perform(&w, i, &s);
	}
	plan->n_todo = plan->n;
	plan->gain = w.freed > w.taken ? w.freed - w.taken : 0;
	add_waiting(&w);
	plan->n_wait = plan->n - plan->n_todo;
	add_kept(&w);
}

bool gc_plan_wants(const struct vdis *l, const struct vdi *vdi)
{
	const struct vdi *p = tree_parent(l, vdi);

	/* It, or what goes into it, whatever that stands on. */
	return (p && p->hidden) || (vdi->hidden && vdi->n_children);
}
