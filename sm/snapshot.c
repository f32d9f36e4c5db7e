/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Snapshots, clones, and what else changes how disks hang together.
 *
 * Here is decided which node becomes what, and whether it may: the same for
 * every layout.  How it is written, and in which order, is the layout's.
 */
#include <stdio.h>
#include <string.h>

#include "arch/clock.h"
#include "lib/bytes.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/log.h"
#include "sm/cbt.h"
#include "sm/gc.h"
#include "sm/live.h"
#include "sm/locks.h"
#include "sm/snapshot.h"
#include "sm/tree.h"

const struct format *child_format(const struct sr_type *t)
{
	const struct format *f;

	for (size_t i = 0; (f = sr_format_at(t, i)); i++)
		if (f->reparent)
			return f;
	return NULL;
}

/* --- may it be done? --------------------------------------------------------- */

static int must_be_idle(struct run *r, const struct vdi *vdi)
{
	if (!vdi->at.attached && !vdi->at.active)
		return 0;
	hint(r->ctx, "sm vdi detach %s", vdi->uuid.s);
	return fail_say(r->ctx, -E_VDI_IN_USE, "VDI %s is attached", vdi->uuid.s);
}

int must_be_leaf(struct run *r)
{
	const struct layout *layout = r->sr.type->layout;
	struct uuid *child;
	size_t n = 0;
	bool whole;
	int err = layout->children ?
		layout->children(&r->sr, &r->vdi.uuid, &child, &n, &whole) : 0;

	if (err || !n)
		return err;
	hint(r->ctx, "sm vdi tree %s", r->sr.uuid.s);
	return fail(r->ctx, -E_VDI_NODE, "VDI %s, on which %s stands%s", r->vdi.uuid.s, child[0].s,
		    n > 1 ? " (and more)" : "");
}

static bool can_serve(const struct sr *sr, const struct vdi *vdi, const char *format)
{
	struct vdi like = *vdi;

	like.format = format;
	return vdi_datapath(sr, &like);
}

/*
 * A raw disk becomes one of another format by it.  Where that could not be
 * attached any more, the owner has to say that this is meant.
 */
static int must_stay_attachable(struct run *r, const struct format *child)
{
	const char *was = r->vdi.format;

	if (r->rq->force || !can_serve(&r->sr, &r->vdi, was) ||
	    can_serve(&r->sr, &r->vdi, child->name))
		return 0;
	hint(r->ctx, r->rq->by_uuid ? "copy the disk" : "--force, if it need not be attached again");
	return fail_say(r->ctx, -E_UNSUPPORTED, "VDI %s would turn from %s into %s, and no datapath "
			"serves a disk of format %s", r->vdi.uuid.s, was, child->name, child->name);
}

/* Levels down to this VDI.  A chain that cannot be followed is not made longer. */
static int chain_depth(struct run *r, const struct vdi *vdi, size_t *depth)
{
	struct vdi v = *vdi;

	for (*depth = 1; v.parent.s[0] && *depth < TREE_DEPTH_MAX; ++*depth) {
		struct uuid up = v.parent;
		int err = r->sr.type->layout->find(&r->sr, &up, &v);

		if (err == -E_VDI_MISSING)
			err = -E_VDI_UNAVAILABLE;
		if (err)
			return fail(r->ctx, err, "VDI %s: its parent %s", vdi->uuid.s, up.s);
	}
	return 0;
}

int must_have_parents(struct run *r)
{
	size_t depth;

	return chain_depth(r, &r->vdi, &depth);
}

static int must_not_be_deep(struct run *r, const struct vdi *vdi)
{
	size_t depth;
	int err = chain_depth(r, vdi, &depth);

	if (err || depth < TREE_DEPTH_MAX)
		return err;
	hint(r->ctx, "delete snapshots, or copy the disk");
	return fail(r->ctx, -E_VDI_DEEP, "VDI %s has %zu levels", vdi->uuid.s, depth);
}

static int must_be_new(struct run *r, const struct uuid *u)
{
	struct vdi there;
	int err = r->sr.type->layout->find(&r->sr, u, &there);

	if (err == -E_VDI_MISSING && !(WITH_CBT && cbt_has(&r->sr, u)))
		return 0;
	fail_clear(r->ctx);
	return fail_say(r->ctx, -E_VDI_EXISTS, "VDI %s already exists", u->s);
}

static int check_split(struct run *r, const struct format *child)
{
	const struct vdi *vdi = &r->vdi;
	int err;

	if (vdi->hidden)
		return fail(r->ctx, -E_VDI_NODE, "VDI %s is hidden", vdi->uuid.s);
	err = IS_ENABLED(CONFIG_SERVE) ? live_can_split(r, vdi) : must_be_idle(r, vdi);
	if (!err)
		err = must_be_leaf(r);
	if (!err)
		err = must_stay_attachable(r, child);
	if (!err)
		err = must_not_be_deep(r, vdi);
	return err;
}

/* --- snapshot and clone ------------------------------------------------------ */

/* Has the leaf data that its parent has not?  If not, its parent can be shared as it is. */
static int is_empty_child(struct run *r, const struct vdi *vdi, bool *empty)
{
	const struct format *f = sr_format(r->sr.type, vdi->format);
	_io_close_ struct io *io = NULL;
	struct image_use use = { 0 };
	int err = 0;

	*empty = false;
	if (!vdi->parent.s[0] || !f || !f->use)
		return 0;
	err = r->sr.type->layout->volume_io(&r->sr, vdi, false, &io);
	if (!err)
		err = f->use(r->ctx, io, &use);
	*empty = use.empty;
	return err ? fail(r->ctx, err, "VDI %s", vdi->uuid.s) : 0;
}

/* "single": the disk goes on, and what it was is kept under another uuid, hidden. */
static bool is_single(const struct run *r)
{
	const char *type = kv_get(&r->rq->driver_params, "type");

	return type && (!strcmp(type, "single") || !strcmp(type, "internal"));
}

/* Machines name what they make themselves; a person gets something to tell it by. */
static const char *name_of_copy(struct run *r, const char *what)
{
	if (r->rq->name)
		return r->rq->name;
	if (r->rq->by_uuid || !r->vdi.name[0])
		return "";
	return arena_printf(&r->ctx->arena, "%s %s", r->vdi.name, what);
}

static void fill_copy(struct run *r, struct vdi *copy, bool clone)
{
	*copy = (struct vdi){
		.uuid = r->rq->new_uuid,
		.name = name_of_copy(r, clone ? "clone" : "snapshot"),
		.description = r->rq->description ? r->rq->description : "",
		.type = r->vdi.type,
	};
	if (!copy->uuid.s[0])
		random_uuid(&copy->uuid);
	if (!clone)
		copy->snapshot_of = r->vdi.uuid;
}

static void fill_base(struct run *r, struct vdi *base)
{
	*base = (struct vdi){ .name = "base copy", .description = "", .type = r->vdi.type };
	random_uuid(&base->uuid);
}

static int check_split_space(struct run *r, const struct volume_split *s, uint64_t *need)
{
	int err = r->sr.type->layout->split_space(&r->sr, s, need);

	return err ? err : check_space(r, *need);
}

static int plan_split(struct run *r, const struct volume_split *s, uint64_t need)
{
	if (s->base)
		plan(r, need, "keep the data of VDI %s in a hidden VDI of its own", s->leaf->uuid.s);
	return s->copy ? plan(r, s->base ? 0 : need, "make VDI %s, which shares it", s->copy->uuid.s) : 0;
}

static int make_copy(struct run *r, const struct volume_split *s)
{
	struct volume_spec spec = {
		.format = s->format, .virtual_size = s->leaf->virtual_size,
	};
	struct vdi parent;
	int err = r->sr.type->layout->find(&r->sr, &s->leaf->parent, &parent);

	spec.parent = &parent;
	return err ? err : r->sr.type->layout->volume_create(&r->sr, s->copy, &spec);
}

/* What was made takes the place of r->vdi: the copy, else what it was, else the disk. */
static int reply_split(struct run *r, const struct volume_split *s)
{
	int err;

	if (s->copy || s->base)
		r->vdi = s->copy ? *s->copy : *s->base;
	err = vdi_complete(&r->sr, &r->vdi);
	return err ? err : reply_vdi(r, REPLY_VDI);
}

/* For the layout, once it has prepared what it can: r->vdi is the disk. */
static int hold_leaf(void *arg)
{
	struct run *r = arg;

	if (!IS_ENABLED(CONFIG_SERVE) || r->held)
		return 0;
	return WITH_CBT && r->vdi.cbt ? live_hold(r, &r->vdi) : live_hold_split(r, &r->vdi);
}

/* And once it is done. */
static void go_leaf(void *arg, const struct vdi *leaf, const struct vdi *base)
{
	if (IS_ENABLED(CONFIG_SERVE))
		live_go_on(arg, leaf, base);
}

/* Does a server write it, or might it? */
static bool is_served(struct run *r)
{
	const struct datapath *d = IS_ENABLED(CONFIG_SERVE) && r->vdi.at.active ?
		datapath_now(&r->sr, &r->vdi) : NULL;

	return d && !d->read_only;
}

/*
 * What a kernel's table shows stays where it is; it is made anew all the same, so
 * that the volumes have the names by which a detach finds them.
 */
static void show_again(struct run *r, const struct vdi *was)
{
	const struct datapath *d = IS_ENABLED(CONFIG_SERVE) && was->at.active ?
		datapath_now(&r->sr, was) : NULL;
	struct vdi vdi;
	int err;

	if (!d || !d->read_only)
		return;
	err = r->sr.type->layout->find(&r->sr, &was->uuid, &vdi);
	if (!err) {
		vdi.at = was->at;
		err = d->refresh(&r->sr, &vdi, &vdi.at);
	}
	if (err)
		logf_warn(r->ctx, "VDI %s is shown as it was: %s", was->uuid.s, r->ctx->why);
	fail_clear(r->ctx);
}

/*
 * As the disk's image says.  Of one in use it says what had been flushed: data
 * that is there stays, but an image that looks empty has to be asked again.
 */
static int must_copy_alone(struct run *r, bool *empty)
{
	bool asleep = !is_served(r) || r->ctx->dry_run;
	int err = is_empty_child(r, &r->vdi, empty);

	if (asleep || (!err && !*empty))
		return err;
	fail_clear(r->ctx);
	err = hold_leaf(r);
	if (!err)
		err = is_empty_child(r, &r->vdi, empty);
	if (!err)		/* as it is: if it has data now, that stays */
		go_leaf(r, &r->vdi, NULL);
	return err;
}

static int split(struct run *r, bool clone)
{
	const struct format *child = child_format(r->sr.type);
	struct vdi leaf = r->vdi, base, copy;
	bool used = leaf.at.attached || leaf.at.active;
	struct volume_split s = {
		.leaf = &leaf, .format = child, .clone = clone,
		.copy = !clone && is_single(r) ? NULL : &copy,
		.leaf_active = used && r->vdi.at.writable,
		.hold = is_served(r) ? hold_leaf : NULL, .go = go_leaf, .arg = r,
	};
	uint64_t need = 0;
	bool empty = false, tracked = WITH_CBT && r->vdi.cbt && !clone;
	int err = check_split(r, child);

	fill_copy(r, &copy, clone);
	fill_base(r, &base);
	if (!err && s.copy)
		err = must_be_new(r, &copy.uuid);
	/* The log is handed over by the split's own commit. */
	if (!err && !tracked)
		err = must_copy_alone(r, &empty);
	s.base = empty ? NULL : &base;
	if (!err && (s.base || s.copy))
		err = check_split_space(r, &s, &need);
	if (err)
		return err;
	if (r->ctx->dry_run)
		return plan_split(r, &s, need);
	if (IS_ENABLED(CONFIG_LIVE_RAW)) {
		err = live_take(r);
		if (err)
			return fail(r->ctx, err, "VDI %s", leaf.uuid.s);
	}
	err = IS_ENABLED(CONFIG_VDI_COPY) && s.base && s.copy && !used && !tracked ?
		shared_copy(r, &leaf, &copy) : -EOPNOTSUPP;
	if (err != -EOPNOTSUPP)
		s.base = NULL;
	else if (s.base)
		err = r->sr.type->layout->volume_split(&r->sr, &s);
	else if (s.copy)
		err = make_copy(r, &s);
	else
		err = 0;
	if (err)
		return fail(r->ctx, err, "VDI %s", leaf.uuid.s);
	if (s.base)
		show_again(r, &leaf);
	logf_info(r->ctx, "VDI %s: base %s, %s %s", leaf.uuid.s, s.base ? base.uuid.s : leaf.parent.s,
		  clone ? "clone" : "snapshot", s.copy ? copy.uuid.s : "-");
	return reply_split(r, &s);
}

int do_vdi_snapshot(struct run *r)
{
	return split(r, false);
}

int do_vdi_clone(struct run *r)
{
	return split(r, true);
}

/* --- introduce and forget ------------------------------------------------------ */

/*
 * A disk that lies there already, by itself or put there by others: looked at
 * as a scan does, with all that it stands on, and told of.  Nothing is written
 * but a record, where the layout keeps such.
 */
int do_vdi_introduce(struct run *r)
{
	const struct request *rq = r->rq;
	struct vdi *vdi = &r->vdi;
	struct uuid u;
	size_t depth;
	int err;

	if (!rq->vdi || uuid_parse(&u, rq->vdi)) {
		hint(r->ctx, "the location of a disk is its uuid, and its file or volume has it too");
		return fail(r->ctx, -E_UUID, "the location '%.64s'", rq->vdi ? rq->vdi : "");
	}
	if (rq->new_uuid.s[0] && !uuid_equal(&rq->new_uuid, &u))
		return fail_say(r->ctx, -E_ARG, "VDI %s cannot be introduced as VDI %s: its uuid is "
				"its location", u.s, rq->new_uuid.s);
	err = r->sr.type->layout->find(&r->sr, &u, vdi);
	if (!err)
		err = vdi_complete(&r->sr, vdi);
	if (!err && vdi->hidden)
		err = -E_VDI_HIDDEN;
	if (!err && rq->format && strcmp(rq->format, vdi->format))
		return fail_say(r->ctx, -E_VDI_TYPE, "VDI %s is %s, not %.32s", u.s, vdi->format,
				rq->format);
	if (err)
		return fail(r->ctx, err, "VDI %s", u.s);
	err = chain_depth(r, vdi, &depth);
	if (!err)
		err = do_vdi_update(r);
	return err ? err : reply_vdi(r, REPLY_VDI);
}

/* Its names come from xapi, which nobody asks here; that it is recorded can be seen to. */
int do_vdi_update(struct run *r)
{
	const struct layout *layout = r->sr.type->layout;

	return layout->volume_introduce ? layout->volume_introduce(&r->sr, &r->vdi) : 0;
}

/* Who remembers disks is the caller: here they are what lies there. */
int do_vdi_forget(struct run *r)
{
	return must_be_idle(r, &r->vdi);
}

/* --- compose ----------------------------------------------------------------- */

/* The other VDI of the call, whole. */
static int find_other(struct run *r, struct vdi *other)
{
	struct run as = *r;
	struct uuid u;
	int err = 0;

	if (!r->rq->other || uuid_parse(&u, r->rq->other)) {
		hint(r->ctx, "name it by its uuid: references are xapi's");
		return fail(r->ctx, -E_UUID, "the other VDI '%.64s'", r->rq->other ? r->rq->other : "");
	}
	err = r->sr.type->layout->find(&r->sr, &u, other);
	if (!err)
		err = vdi_complete(&r->sr, other);
	if (err)
		return fail(r->ctx, err, "VDI %s", u.s);
	/* Nor may another host have it. */
	as.vdi = *other;
	return WITH_LOCKS ? lease_admit(&as) : 0;
}

/* Would vdi stand on itself? */
static int must_not_be_above(struct run *r, const struct vdi *vdi, const struct vdi *parent)
{
	struct vdi v = *parent;

	for (size_t i = 0; i < TREE_DEPTH_MAX; i++) {
		struct uuid up = v.parent;
		int err;

		if (uuid_equal(&v.uuid, &vdi->uuid))
			return fail(r->ctx, -E_IMAGE_LOOP, "VDI %s", vdi->uuid.s);
		if (!up.s[0])
			return 0;
		err = r->sr.type->layout->find(&r->sr, &up, &v);
		if (err)
			return fail(r->ctx, err, "VDI %s", up.s);
	}
	return fail(r->ctx, -E_VDI_DEEP, "VDI %s", parent->uuid.s);
}

int do_vdi_compose(struct run *r)
{
	struct vdi *vdi = &r->vdi;
	struct vdi parent;
	const struct format *f = sr_format(r->sr.type, vdi->format);
	int err = find_other(r, &parent);

	if (!err && (!f || !f->reparent))
		err = fail(r->ctx, -E_UNSUPPORTED, "VDI %s is %s", vdi->uuid.s, vdi->format);
	if (!err)
		err = must_be_idle(r, vdi);
	if (!err)
		err = must_be_idle(r, &parent);
	/* What stands on it would show other data from now on. */
	if (!err)
		err = must_be_leaf(r);
	if (!err)
		err = must_not_be_above(r, vdi, &parent);
	if (!err)
		err = must_not_be_deep(r, &parent);
	if (err)
		return err;
	if (r->ctx->dry_run)
		return plan(r, 0, "let VDI %s stand on VDI %s, which is hidden then", vdi->uuid.s,
			    parent.uuid.s);
	/* The parent may be one into which data is being merged. */
	if (IS_ENABLED(CONFIG_GC))
		err = gc_quiet(r);
	if (WITH_CBT && !err && vdi->cbt)
		err = cbt_replace(&r->sr, &vdi->uuid, vdi->virtual_size);
	if (!err)
		err = r->sr.type->layout->volume_compose(&r->sr, vdi, &parent);
	return err ? fail(r->ctx, err, "VDI %s", vdi->uuid.s) : drop_garbage(r, &vdi->parent);
}

/* --- revert ------------------------------------------------------------------ */

/* A node that shows what the snapshot shows: its parent, or one made of it. */
static int node_of_snapshot(struct run *r, struct vdi *node)
{
	const struct layout *layout = r->sr.type->layout;
	struct vdi snapshot = r->vdi, base;
	struct volume_split s = { .leaf = &snapshot, .format = child_format(r->sr.type), .base = &base };
	uint64_t need;
	bool empty;
	int err = is_empty_child(r, &snapshot, &empty);

	if (!err && empty)
		return layout->find(&r->sr, &snapshot.parent, node);
	fill_base(r, &base);
	if (!err)
		err = check_split_space(r, &s, &need);
	if (!err)
		err = layout->volume_split(&r->sr, &s);
	*node = base;
	return err;
}

/*
 * The disk gets a new, empty child of what its snapshot stands on, in place of
 * its own image (commit).  What that held goes with the garbage.
 */
int do_vdi_revert(struct run *r)
{
	const struct layout *layout = r->sr.type->layout;
	struct vdi snapshot = r->vdi, disk, node;
	struct volume_spec spec = { .format = child_format(r->sr.type), .parent = &node, .replace = true };
	struct uuid old;
	int err = find_other(r, &disk);

	if (!err && !uuid_equal(&snapshot.snapshot_of, &disk.uuid))
		err = fail_say(r->ctx, -E_ARG, "VDI %s is no snapshot of VDI %s", snapshot.uuid.s,
			       disk.uuid.s);
	if (!err && strcmp(disk.format, spec.format->name))
		err = fail(r->ctx, -E_UNSUPPORTED, "VDI %s is %s", disk.uuid.s, disk.format);
	if (!err)
		err = must_be_idle(r, &disk);
	if (!err)
		err = check_split(r, spec.format);
	r->vdi = disk;
	if (!err)
		err = must_be_leaf(r);
	if (err)
		return err;
	if (r->ctx->dry_run)
		return plan(r, 0, "give VDI %s the contents of VDI %s", disk.uuid.s, snapshot.uuid.s);
	r->vdi = snapshot;
	if (IS_ENABLED(CONFIG_SERVE))
		err = live_hold(r, &snapshot);
	if (!err)
		err = node_of_snapshot(r, &node);
	if (err)
		return fail(r->ctx, err, "VDI %s", snapshot.uuid.s);
	old = disk.parent;
	spec.virtual_size = snapshot.virtual_size;
	err = WITH_CBT && cbt_can(&r->sr) ? cbt_replace(&r->sr, &disk.uuid, spec.virtual_size) : 0;
	if (!err)
		err = layout->volume_create(&r->sr, &disk, &spec);
	return err ? fail(r->ctx, err, "VDI %s", disk.uuid.s) : drop_garbage(r, &old);
}

/* --- garbage ----------------------------------------------------------------- */

int drop_garbage(struct run *r, const struct uuid *from)
{
	const struct layout *layout = r->sr.type->layout;
	struct uuid at = *from;
	struct vdi vdi;
	struct vdis one = { .v = &vdi, .n = 1 };
	int err = 0;

	/* Nobody may pull an image from under a collector; he sees himself what is garbage. */
	if (IS_ENABLED(CONFIG_GC) && at.s[0])
		err = gc_try_quiet(r);
	while (!err && at.s[0] && layout->children) {
		struct uuid *child;
		bool whole = true;
		size_t n = 0;

		err = layout->find(&r->sr, &at, &vdi);
		if (!err)
			err = vdi_complete(&r->sr, &vdi);
		/* A copy that another host makes is hidden, too. */
		if (WITH_LOCKS && !err && r->sr.shared)
			err = lease_mark_elsewhere(&r->sr, &one);
		if (err || !vdi.hidden || vdi.at.attached || vdi.at.active)
			break;
		err = layout->children(&r->sr, &at, &child, &n, &whole);
		if (err || n || !whole || (IS_ENABLED(CONFIG_VDI_COPY) && lock_is_held(r->ctx, at.s, "copy")))
			break;
		err = layout->volume_delete(&r->sr, &vdi);
		logf_info(r->ctx, "VDI %s: hidden and without children: %s", at.s,
			  err ? err_text(err) : "removed");
		at = vdi.parent;
	}
	/* What is left is left for the next scan: the verb itself has been done. */
	fail_clear(r->ctx);
	return 0;
}

int drop_all_garbage(struct run *r, const struct vdis *l)
{
	if (!tree_is_whole(l))
		return 0;
	for (size_t i = 0; i < l->n; i++)
		if (tree_is_garbage(&l->v[i]))
			drop_garbage(r, &l->v[i].uuid);
	return 0;
}
