/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How the VDIs of an SR hang together, worked out from a list of them.
 *
 *	base (hidden) ◀─┬─ root
 *			└─ snapshot of root
 *
 * Each VDI says who its parent is; everything else follows.  What a stranger's
 * image says may be nonsense: a parent that is not there, a circle.  Such a
 * link is a problem in the list and no edge of the tree, so whoever walks down
 * children or up with tree_parent() comes to an end.
 *
 * Pure: memory in, memory out.  tree_fill() is O(n log n) and leaves the list
 * sorted by uuid, which the others need.
 */
#ifndef SM_TREE_H
#define SM_TREE_H

#include <stdbool.h>

#include "drivers/vdi.h"

/* Upstream's: a chain of that many levels gets no more. */
#define TREE_DEPTH_MAX	30

/*
 * Fill in children, and read_only of whoever has some; add problems.  VDIs
 * that the list's problems are about cannot be told from missing ones.
 */
void tree_fill(struct arena *a, struct vdis *l);

/* By uuid, in a list that tree_fill() has been at; NULL = none. */
struct vdi *tree_find(const struct vdis *l, const struct uuid *u);

/* The parent by a link that tree_fill() has found good; NULL = none. */
struct vdi *tree_parent(const struct vdis *l, const struct vdi *vdi);
/* Levels from this VDI to the root of its tree, itself included. */
size_t tree_depth(const struct vdis *l, const struct vdi *vdi);

/* Is every image readable?  If not, edges may be missing, and nothing is surely garbage. */
bool tree_is_whole(const struct vdis *l);
/* A hidden VDI without children: what it holds is nobody's, if the tree is whole. */
bool tree_is_garbage(const struct vdi *vdi);

/*
 * Bring the list into the order in which trees are shown, each node before its
 * children, and fill in depth.  The functions above are not for it afterwards.
 */
void tree_order(struct arena *a, struct vdis *l);

#endif
