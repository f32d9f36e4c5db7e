/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a collector would do to the trees of an SR, in which order, and what
 * is in its way.
 *
 *	base (hidden) ◀── node (hidden) ◀─┬─ disk	one child: node goes into base
 *					  └─ snapshot
 *	base (hidden) ◀── disk				the last disk takes base's place
 *	base (hidden)					nobody's: deleted
 *
 * The rules are upstream's.  A hidden node without children is deleted, then
 * whatever that leaves without children.  A hidden node that is its parent's
 * only child is merged into the parent, and its children stand on that; a disk
 * that is its parent's only child is merged into it as well, and the parent
 * takes its name.  Begun work comes first, then tall trees, then small nodes.
 *
 * Where one of a pair holds nothing, nothing is copied: an empty node just goes
 * away, and above an empty parent the child stands on what that stood on.  So it does
 * above one of which it has all itself.
 *
 * Pure: a list that tree_fill() has been at goes in, a list of steps comes out.
 * The steps are worked out on the tree as it will be by then, so they are all
 * there is to do, unless somebody changes the SR meanwhile.
 */
#ifndef SM_GC_PLAN_H
#define SM_GC_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "drivers/vdi.h"

/* What is known of a VDI beside what is in the list. */
struct gc_fact {
	uint64_t data;		/* bytes that its image holds, by its table */
	uint64_t room;		/* bytes that its volume is to have once it has its parent's place; 0 = what it holds */
	uint64_t round;		/* bytes of the new image on top of it that it is merged by, while it is in use */
	bool live;		/* it is attached, and can be made to wait while its images change */
	bool copied;		/* it counts as attached, since somebody copies it */
	bool relink;		/* its data is in the parent already: a journal says so */
	bool covers;		/* it has all that its parent holds, which nobody sees through it */
	const char *why;	/* it cannot be dealt with now; NULL = it can */
};

struct gc_ask {
	const struct vdis *l;
	const struct gc_fact *facts;	/* one for each of the list */
	uint64_t free;			/* bytes of the substrate */
	uint64_t unit;			/* by which volumes grow; 0 = as they like */
	struct uuid vdi;		/* only what this one stands on, or what stands on it; "" = all */
};

enum gc_action {
	GC_DELETE,		/* remove vdi */
	GC_COALESCE,		/* merge vdi into parent, let its children stand on that, remove it */
	GC_LEAF,		/* merge vdi into parent, which takes its place */
	GC_UNSTACK,		/* nothing of parent shows: let vdi stand on grand ("" = on nothing) */
	GC_WAIT,		/* would be one of these, but: why */
	GC_KEEP,		/* a hidden node that is needed: why */
};

struct gc_step {
	enum gc_action action;
	struct uuid vdi, parent, grand;
	const char *name;	/* of vdi, to people */
	bool copied;		/* the data is in the parent already */
	uint64_t copy;		/* bytes to copy, at most */
	uint64_t need;		/* bytes of space it takes until it is done, at most */
	uint64_t gain;		/* bytes that are free again after it */
	const char *why, *remedy;
};

struct gc_plan {
	struct gc_step *v;	/* what will be done, in this order; then WAIT, then KEEP */
	size_t n, n_todo, n_wait;
	uint64_t copy;		/* in all */
	uint64_t space;		/* needed at the worst moment */
	uint64_t gain;		/* what it leaves more than before */
};

void gc_plan_make(struct arena *a, const struct gc_ask *ask, struct gc_plan *plan);

/* Would facts about this VDI be asked for? */
bool gc_plan_wants(const struct vdis *l, const struct vdi *vdi);

/* "delete", "coalesce", "leaf", "unstack", "wait", "keep" */
extern const char *const gc_action_names[];

#endif
