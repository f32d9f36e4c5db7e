/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One step of a collector, in such an order that a death anywhere leaves a tree
 * that is right, and the next collector goes on.
 *
 * Once a node's data is in its parent (gc_merge.c) and a journal says so, the children
 * are given the parent for theirs, one by one, and when there is none left the node is
 * deleted.
 */
#include "lib/err.h"
#include "lib/log.h"
#include "sm/gc.h"
#include "sm/tree.h"

#define RELINK_MOST	8u	/* children in one go, each a few flushes, with the lock */

static const struct layout *layout_of(const struct gc_look *k)
{
	return k->run.sr.type->layout;
}

/* --- removing ----------------------------------------------------------------- */

/* The heads of all images are asked once more whether one stands on it. */
static int remove_node(struct gc_look *k, const struct vdi *vdi)
{
	struct uuid *child;
	bool whole = true;
	size_t n = 0;
	int err = layout_of(k)->children(&k->run.sr, &vdi->uuid, &child, &n, &whole);

	if (!err && (n || !whole))
		err = fail_say(&k->ctx, -EAGAIN, "VDI %s: something stands on it", vdi->uuid.s);
	if (!err)
		err = layout_of(k)->volume_delete(&k->run.sr, vdi);
	return err;
}

static int delete(struct gc_look *k, const struct vdi *vdi)
{
	int err = 0;

	if (k->facts[vdi - k->l.v].relink)
		err = layout_of(k)->merge_forget(&k->run.sr, &vdi->uuid);
	if (!err)
		err = remove_node(k, vdi);
	if (!err)
		logf_info(&k->ctx, "gc: VDI %s: hidden and without children: deleted", vdi->uuid.s);
	return err;
}

/*
 * The parent shows nothing of its own; once nobody stands on it, it is garbage.  What hides
 * it is on the disk before the child stands elsewhere: an image flushes what it has before that.
 */
static int unstack(struct gc_look *k, const struct vdi *vdi, const struct vdi *parent)
{
	const struct vdi *grand = tree_parent(&k->l, parent);
	bool covers = !vdi->at.active || !k->facts[parent - k->l.v].data;
	int err = gc_hold_pair(k, vdi, parent);

	/* Once more, now that nobody writes it any more. */
	if (IS_ENABLED(CONFIG_GC_SHARE) && !err && !covers)
		err = gc_covers(k, vdi, parent, &covers);
	if (IS_ENABLED(CONFIG_GC_SHARE) && !err && !covers)
		err = fail_say(&k->ctx, -EAGAIN, "VDI %s: the tree has changed", vdi->uuid.s);
	if (!err)
		err = layout_of(k)->volume_compose(&k->run.sr, vdi, grand);	/* commit */
	if (!err)
		gc_go_on(k);
	if (!err)
		err = remove_node(k, parent);
	if (!err)
		logf_info(&k->ctx, "gc: VDI %s: nothing showed of its parent %s: deleted", vdi->uuid.s,
			  parent->uuid.s);
	return err;
}

/* --- children on their new parent --------------------------------------------------- */

/* Only what stands on this child waits for it. */
static int relink_one(struct gc_look *k, const struct vdi *child, const struct vdi *parent)
{
	int err = gc_hold_below(k, child);

	if (!err)
		err = gc_hold_not(k, child);
	return err ? err : layout_of(k)->volume_compose(&k->run.sr, child, parent);
}

/* A volume gives back its room while nobody has it active. */
static int end_merge(struct gc_look *k, const struct vdi *vdi, const struct vdi *parent)
{
	int err = layout_of(k)->unit ? gc_hold_pair(k, vdi, parent) : 0;

	if (!err)
		err = layout_of(k)->merge_end(&k->run.sr, vdi, parent);
	if (!err)
		gc_go_on(k);
	return err;
}

/* The last one of volumes goes on when the merge has ended, too. */
static int relink(struct gc_look *k, const struct vdi *vdi, const struct vdi *parent)
{
	size_t n = vdi->n_children < RELINK_MOST ? vdi->n_children : RELINK_MOST;
	int err = 0;

	for (size_t i = 0; !err && i < n; i++) {
		err = relink_one(k, tree_find(&k->l, &vdi->children[i]), parent);
		if (!err && !(layout_of(k)->unit && i + 1 == vdi->n_children))
			gc_go_on(k);
	}
	if (err || n < vdi->n_children)
		return err;
	err = end_merge(k, vdi, parent);
	if (!err)
		err = remove_node(k, vdi);
	if (!err)
		logf_info(&k->ctx, "gc: VDI %s: merged into %s", vdi->uuid.s, parent->uuid.s);
	k->g->st.merged += !err;
	return err;
}

/* --- one of them ---------------------------------------------------------------------- */

int gc_step(struct gc_look *k, const struct gc_step *s)
{
	const struct vdi *vdi = tree_find(&k->l, &s->vdi), *parent = tree_find(&k->l, &s->parent);
	struct gc *g = k->g;
	int err;

	g->st.action = gc_action_names[s->action];
	g->st.vdi = s->vdi;
	g->st.parent = s->parent;
	gc_tell(g, "working");
	switch (s->action) {
	case GC_DELETE:
		err = delete(k, vdi);
		g->st.deleted += !err;
		break;
	case GC_UNSTACK:
		err = unstack(k, vdi, parent);
		g->st.deleted += !err;
		gc_forget(g, &s->parent);
		break;
	case GC_COALESCE:
	case GC_LEAF:
		if (!s->copied)
			return gc_merge(k, s);
		err = relink(k, vdi, parent);
		break;
	default:
		err = -EINVAL;
	}
	return gc_look_close(k, err);
}
