/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Verbs on VDIs. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arch/clock.h"
#include "drivers/chain.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/text/size.h"
#include "sm/cbt.h"
#include "sm/core.h"
#include "sm/gc.h"
#include "sm/keeper.h"
#include "sm/lease.h"
#include "sm/live.h"
#include "sm/snapshot.h"
#include "sm/state.h"
#include "sm/tree.h"

const struct datapath *vdi_datapath(const struct sr *sr, const struct vdi *vdi)
{
	const struct datapath *d;

	for (size_t i = 0; (d = sr_datapath_at(sr->type, i)); i++)
		if ((!IS_ENABLED(CONFIG_SERVE) || (d->activate && !d->read_only)) && d->serves(vdi))
			return d;
	return NULL;
}

static int not_served(struct run *r)
{
	hint(r->ctx, "sm help types");
	return fail_say(r->ctx, -E_UNSUPPORTED, "no datapath serves a disk of format %s",
			r->vdi.format);
}

/*
 * Only a server marks what is written, and is one that can be paused.  Past it the log
 * would go on to say that nothing has changed.
 */
static int end_log(struct run *r, const struct datapath *d)
{
	if (!r->vdi.cbt || d->pause)
		return 0;
	logf_warn(r->ctx, "VDI %s: its changed blocks are not tracked any more: a disk of format %s has "
		  "no server that marks them", r->vdi.uuid.s, r->vdi.format);
	return cbt_disable(&r->sr, &r->vdi.uuid);
}

/* One that only reads may leave a disk to the next, and why to the log. */
static int start(struct run *r, bool writable)
{
	struct vdi *vdi = &r->vdi;
	const struct datapath *d;
	int err;

	for (size_t i = 0; (d = sr_datapath_at(r->sr.type, i)); i++) {
		if (!d->activate || (writable && d->read_only) || !d->serves(vdi))
			continue;
		err = WITH_CBT && writable ? end_log(r, d) : 0;
		if (err)
			return err;
		err = d->activate(&r->sr, vdi, writable, &vdi->at);
		if (!IS_ENABLED(CONFIG_DATAPATH_MAP) || err != -ENOTBLK)
			return err;
		logf_info(r->ctx, "vdi attach: VDI %s is not mapped: %s", vdi->uuid.s, r->ctx->why);
		fail_clear(r->ctx);
	}
	return not_served(r);
}

const struct datapath *datapath_now(const struct sr *sr, const struct vdi *vdi)
{
	const struct datapath *d;

	/* Without servers there is one for each format. */
	if (!IS_ENABLED(CONFIG_SERVE) || !vdi->at.active)
		return vdi_datapath(sr, vdi);
	for (size_t i = 0; (d = sr_datapath_at(sr->type, i)); i++)
		if (!strcmp(d->name, vdi->at.backend))
			return d;
	return NULL;
}

int vdi_complete(struct sr *sr, struct vdi *vdi)
{
	const struct datapath *d;
	bool asked;
	int err;

	vdi->sr = sr->uuid;
	if (IS_ENABLED(CONFIG_SNAPSHOTS))
		vdi->read_only |= vdi->snapshot_of.s[0] != '\0';
	err = state_get(sr, &vdi->uuid, &vdi->at);
	/* How it was asked for counts until there is a device, then what the kernel says. */
	asked = vdi->at.writable;
	for (size_t i = 0; !err && !vdi->at.active && (d = sr_datapath_at(sr->type, i)); i++)
		if (d->serves(vdi))
			err = d->find(sr, vdi, &vdi->at);
	if (!vdi->at.active)
		vdi->at.writable = asked;
	return err;
}

int sr_vdis(struct sr *sr, struct vdis *l)
{
	const struct datapath *d;
	int err = WITH_CBT ? cbt_list(sr, l) : sr->type->layout->list(sr, l);

	if (!err)
		err = state_get_all(sr, l);
	for (size_t i = 0; !err && (d = sr_datapath_at(sr->type, i)); i++)
		if (d->find_all)
			err = d->find_all(sr, l);
	for (size_t i = 0; i < l->n; i++)
		l->v[i].sr = sr->uuid;
	if (IS_ENABLED(CONFIG_SNAPSHOTS) && !err)
		tree_fill(&sr->ctx->arena, l);
	return err;
}

int reply_vdi(struct run *r, enum reply_kind kind)
{
	*vdis_add(&r->ctx->arena, &r->rp->vdis) = r->vdi;
	r->rp->kind = kind;
	r->rp->type = r->sr.type;
	r->rp->n_srs = 1;
	r->rp->srs = arena_alloc(&r->ctx->arena, sizeof(*r->rp->srs));
	r->rp->srs->uuid = r->sr.uuid;
	r->rp->srs->type = r->sr.type->names[0];
	r->rp->srs->dconf = r->sr.dconf;
	return 0;
}

int do_vdi_show(struct run *r)
{
	const struct layout *layout = r->sr.type->layout;
	struct vdi *vdi = &r->vdi;
	bool whole;
	int err = IS_ENABLED(CONFIG_SNAPSHOTS) && layout->children ?
		layout->children(&r->sr, &vdi->uuid, &vdi->children, &vdi->n_children, &whole) : 0;

	if (IS_ENABLED(CONFIG_SNAPSHOTS))
		vdi->read_only |= vdi->n_children > 0;
	if (IS_ENABLED(CONFIG_SERVE))
		usage_fill(&r->sr, vdi);
	if (WITH_LOCKS && !err)
		err = lease_owners(r);
	if (WITH_KEEPER && !err)
		keeper_see(&r->sr, &(struct vdis){ .v = vdi, .n = 1 });
	return err ? err : reply_vdi(r, REPLY_VDI);
}

/* A list over several SRs shows which is which by name. */
static void note_sr(struct run *r, const struct sr *sr)
{
	struct reply *rp = r->rp;

	rp->srs = arena_grow(&r->ctx->arena, rp->srs, rp->n_srs, rp->n_srs + 1, sizeof(*rp->srs));
	rp->srs[rp->n_srs++] = (struct sr_info){ .uuid = sr->uuid, .name = sr->name };
}

static int list_sr(struct run *r)
{
	struct sr *sr = &r->sr;
	struct vdis l = { 0 };
	int err = sr_open(sr, false);

	if (!err)
		err = sr_vdis(sr, &l);
	if (WITH_KEEPER && !err)
		keeper_see(sr, &l);
	if (IS_ENABLED(CONFIG_SNAPSHOTS) && !err && r->rq->op == OP_VDI_TREE)
		tree_order(&r->ctx->arena, &l);
	if (!err)
		note_sr(r, sr);
	for (size_t i = 0; IS_ENABLED(CONFIG_SERVE) && !err && i < l.n; i++)
		usage_fill(sr, &l.v[i]);
	/* Of the first SR it is the list itself that becomes the answer. */
	if (!IS_ENABLED(CONFIG_OPTIMIZE_SIZE) && !err && !r->rp->vdis.room && !r->rp->vdis.n_problems) {
		r->rp->vdis = l;
		return 0;
	}
	for (size_t i = 0; !err && i < l.n; i++)
		*vdis_add(&r->ctx->arena, &r->rp->vdis) = l.v[i];
	for (size_t i = 0; !err && i < l.n_problems; i++)
		vdis_problem(&r->ctx->arena, &r->rp->vdis, &l.problems[i]);
	return err;
}

int do_vdi_list(struct run *r)
{
	r->rp->kind = IS_ENABLED(CONFIG_SNAPSHOTS) && r->rq->op == OP_VDI_TREE ?
		REPLY_TREE : REPLY_VDIS;
	return sr_each(r, list_sr);
}

/* --- making, growing, deleting --------------------------------------------- */

int vdi_choose_format(struct run *r, const struct format **f)
{
	const char *name = r->rq->format ? r->rq->format : kv_get(&r->rq->sm_config, "type");

	if (!name && (name = kv_get(&r->rq->sm_config, "vdi_type")) && !strcmp(name, "aio"))
		name = "raw";			/* what LVHD calls it */
	*f = name ? sr_format(r->sr.type, name) : sr_format_default(r->sr.type);
	if (*f)
		return 0;
	if (sr_format_at(r->sr.type, 0))
		hint(r->ctx, "this SR makes disks of format %s", sr_format_default(r->sr.type)->name);
	return fail(r->ctx, -E_VDI_TYPE, "format '%.32s'", name ? name : "");
}

int check_space(struct run *r, uint64_t need)
{
	struct sr_info info = { 0 };
	int err = r->sr.type->layout->stat(&r->sr, &info);

	if (err || need <= info.size - info.used)
		return err;
	return fail_say(r->ctx, -E_SR_NO_SPACE, "the SR is full: %s asked, %s free",
			SIZE_STR(need), SIZE_STR(info.size - info.used));
}

/* What a disk of that many bytes really gets: the format's unit, then the layout's. */
int vdi_round_size(struct run *r, const struct format *f, uint64_t asked, uint64_t *size)
{
	uint64_t unit = r->sr.type->layout->unit;
	int err = f->round(r->ctx, asked, size);

	if (!err && unit && f->direct && (!round_up_ok(*size, unit, size) || *size > INT64_MAX))
		err = fail(r->ctx, -E_VDI_SIZE, "%llu bytes", (unsigned long long)asked);
	return err;
}

int do_vdi_create(struct run *r)
{
	struct request *rq = r->rq;
	const char *allocation = kv_get(&rq->sm_config, "allocation");
	struct volume_spec spec = {
		.thick = allocation && !strcmp(allocation, "thick"),
		.thin = allocation && !strcmp(allocation, "thin"),
	};
	int err = vdi_choose_format(r, &spec.format);

	if (!err && !rq->has_size)
		err = fail_say(r->ctx, -E_USAGE, "the size is missing");
	if (!err)
		err = vdi_round_size(r, spec.format, rq->size, &spec.virtual_size);
	if (!err && allocation && !spec.thick && !spec.thin)
		err = fail_say(r->ctx, -E_ARG, "allocation '%.32s' is neither thick nor thin", allocation);
	/* A record in MGT has no room for more; the known ones are shorter. */
	if (IS_ENABLED(CONFIG_LVM2) && !err && rq->vdi_type && strlen(rq->vdi_type) > 32)
		err = fail(r->ctx, -E_TEXT_BIG, "vdi_type '%.32s', of 32 bytes at most", rq->vdi_type);
	if (!err && spec.thick)
		err = check_space(r, spec.virtual_size);
	if (err)
		return err;
	r->vdi.name = rq->name ? rq->name : "";
	r->vdi.description = rq->description ? rq->description : "";
	r->vdi.type = rq->vdi_type ? rq->vdi_type : "user";
	if (rq->new_uuid.s[0])
		r->vdi.uuid = rq->new_uuid;
	else if (rq->vdi_uuid.s[0])
		r->vdi.uuid = rq->vdi_uuid;
	else
		random_uuid(&r->vdi.uuid);
	/* The log of a disk that is gone would be taken for the new one's. */
	if (WITH_CBT && cbt_has(&r->sr, &r->vdi.uuid))
		return fail_say(r->ctx, -E_VDI_EXISTS, "VDI %s already exists", r->vdi.uuid.s);
	if (r->ctx->dry_run)
		return plan(r, spec.thick ? spec.virtual_size : 0, "make VDI %s of %llu bytes, format %s",
			    r->vdi.uuid.s, (unsigned long long)spec.virtual_size, spec.format->name);
	err = r->sr.type->layout->volume_create(&r->sr, &r->vdi, &spec);
	if (err)
		return err;
	logf_info(r->ctx, "vdi create: VDI %s made", r->vdi.uuid.s);
	err = vdi_complete(&r->sr, &r->vdi);
	return err ? err : reply_vdi(r, REPLY_VDI);
}

/*
 * The next log takes over what this one says, and then nothing needs it.  Nor does anybody
 * need the records of a lock that the disk had when it had data, or whose delete has died.
 */
static int delete_log(struct run *r)
{
	int err;

	if (r->ctx->dry_run)
		return plan(r, 0, "remove the log of changed blocks of VDI %s", r->vdi.uuid.s);
	err = cbt_bypass(&r->sr, &r->vdi.uuid);
	if (WITH_LOCKS && !err)
		err = lease_after_delete(r, 0);
	return err ? err : cbt_disable(&r->sr, &r->vdi.uuid);
}

int do_vdi_delete(struct run *r)
{
	struct vdi *vdi = &r->vdi;
	int err;

	if (WITH_CBT && cbt_is_log(vdi))
		return delete_log(r);

	if (vdi->at.attached || vdi->at.active) {
		hint(r->ctx, "sm vdi detach %s", vdi->uuid.s);
		return fail_say(r->ctx, -E_VDI_IN_USE, "VDI %s is attached", vdi->uuid.s);
	}
	if (IS_ENABLED(CONFIG_SNAPSHOTS) && (err = must_be_leaf(r)))
		return err;
	if (IS_ENABLED(CONFIG_SNAPSHOTS) && r->broken && (err = may_delete_broken(r)))
		return err;
	if (r->ctx->dry_run)
		return plan(r, 0, "delete VDI %s, which frees %llu bytes", vdi->uuid.s,
			    (unsigned long long)vdi->physical_size);
	/* That lock is not given back by who is refused then: it comes last. */
	err = IS_ENABLED(CONFIG_GC) && vdi->hidden ? gc_quiet(r) : 0;
	if (WITH_LOCKS && !err)
		err = lease_before_delete(r);
	if (err)
		return err;
	/* The chain first, which sr scan puts back while the disk is there; its log last. */
	if (WITH_CBT && vdi->cbt)
		err = cbt_bypass(&r->sr, &vdi->uuid);
	if (!err)
		err = r->sr.type->layout->volume_delete(&r->sr, vdi);
	if (WITH_CBT && vdi->cbt && !err)
		err = cbt_disable(&r->sr, &vdi->uuid);
	if (WITH_LOCKS)
		err = lease_after_delete(r, err);
	if (!err)
		err = link_remove(&r->sr, &vdi->uuid);
	if (IS_ENABLED(CONFIG_SNAPSHOTS) && !err)
		err = drop_garbage(r, &vdi->parent);
	return err ? fail(r->ctx, err, "VDI %s", vdi->uuid.s) : 0;
}

/* Only the datapath that writes an image may change it meanwhile. */
static int may_resize(struct run *r, const struct format *f)
{
	const struct vdi *vdi = &r->vdi;
	int err;

	if (vdi->snapshot_of.s[0])
		return fail_say(r->ctx, -E_VDI_SIZE, "VDI %s is a snapshot, which never changes",
				vdi->uuid.s);
	if (vdi->at.active && !f->direct) {
		err = IS_ENABLED(CONFIG_SERVE) ? live_can(r, vdi) : -E_VDI_IN_USE;
		if (err)
			return err;
	}
	err = must_have_parents(r);
	return err ? err : must_be_leaf(r);
}

static int make_room(struct run *r, uint64_t size)
{
	struct vdi grown = r->vdi;
	int err;

	grown.virtual_size = size;
	err = IS_ENABLED(CONFIG_SERVE) ? chain_room(&r->sr, &grown, grown.at.grows) : 0;
	return err ? fail(r->ctx, err, "VDI %s", grown.uuid.s) : 0;
}

int do_vdi_resize(struct run *r)
{
	const struct datapath *d = datapath_now(&r->sr, &r->vdi);
	const struct format *f = sr_format(r->sr.type, r->vdi.format);
	struct vdi *vdi = &r->vdi;
	bool held = false;
	uint64_t size;
	int err;

	if (!r->rq->has_size)
		return fail_say(r->ctx, -E_USAGE, "the size is missing");
	if (vdi->hidden)
		return fail(r->ctx, -E_VDI_HIDDEN, "VDI %s", vdi->uuid.s);
	/* What another tool made need not be a multiple of anything. */
	size = r->rq->size;
	err = !f ? -E_VDI_TYPE : size == vdi->virtual_size ? 0 : vdi_round_size(r, f, size, &size);
	if (IS_ENABLED(CONFIG_SNAPSHOTS) && !err && size != vdi->virtual_size)
		err = may_resize(r, f);
	if (err)
		return err;
	/* Rounded first: what a disk was made with is always its size. */
	if (size < vdi->virtual_size)
		return fail_say(r->ctx, -E_VDI_SIZE, "VDI %s: shrinking is not allowed (it has %llu bytes)",
				vdi->uuid.s, (unsigned long long)vdi->virtual_size);
	if (r->ctx->dry_run)
		return plan(r, 0, "grow VDI %s to %llu bytes", vdi->uuid.s, (unsigned long long)size);
	if (size != vdi->virtual_size) {
		/* A format's own numbers change with its volume: nobody may have them in memory, nor its size. */
		if (IS_ENABLED(CONFIG_SERVE) && (!f->direct || (IS_ENABLED(CONFIG_LIVE_RAW) && d && d->pause)))
			err = live_hold(r, vdi);
		/* Its server will want room for all of it, and now it can still be refused. */
		if (IS_ENABLED(CONFIG_SERVE) && !err && r->held && vdi->at.writable)
			err = make_room(r, size);
		/* Nor by its table, where its blocks move: not who merges it, either. */
		if (IS_ENABLED(CONFIG_GC) && !err)
			gc_disturb(&r->sr, &vdi->uuid);
		if (IS_ENABLED(CONFIG_GC) && WITH_READERS && !err)
			err = lease_disturb(r);
		if (WITH_CBT && !err && vdi->cbt)
			err = cbt_resize(&r->sr, &vdi->uuid, size);
		if (!err)
			err = r->sr.type->layout->volume_resize(&r->sr, vdi, size);
		if (err)
			return fail(r->ctx, err, "VDI %s", vdi->uuid.s);
		held = r->held;
		err = IS_ENABLED(CONFIG_SERVE) && held ? live_go_all(r) : 0;
		if (!err)
			err = vdi_complete(&r->sr, vdi);
	}
	/* Also when the size was right already: a death may have come before this. */
	if (!err && vdi->at.active && d && d->refresh && !held)
		err = d->refresh(&r->sr, vdi, &vdi->at);
	return err ? err : reply_vdi(r, REPLY_VDI);
}

int do_vdi_rename(struct run *r)
{
	struct vdi new = {
		.uuid = r->vdi.uuid, .name = r->rq->name, .description = r->rq->description,
	};
	int err;

	if (r->ctx->dry_run)
		return plan(r, 0, "call VDI %s '%s'", new.uuid.s, new.name);
	err = r->sr.type->layout->volume_describe(&r->sr, &new);
	r->vdi.name = new.name;
	if (new.description)
		r->vdi.description = new.description;
	return err ? err : reply_vdi(r, REPLY_VDI);
}

/* --- attaching -------------------------------------------------------------- */

/* The device is gone, but what was written last could not be stored. */
static bool is_lost(int err)
{
	return IS_ENABLED(CONFIG_DATAPATH_NBD) && err == -E_VDI_LOST;
}

/* is_lost(): removed, and a person has to hear of it. */
static int deactivate(struct run *r)
{
	const struct datapath *d = datapath_now(&r->sr, &r->vdi);
	struct vdi *vdi = &r->vdi;
	int err = 0, gone;

	if (IS_ENABLED(CONFIG_LIVE_RAW) && vdi->at.active)
		err = live_settle(r);
	if (!err && d && (vdi->at.active || vdi->at.attached))	/* a death may have left a node */
		err = d->deactivate(&r->sr, vdi, &vdi->at);
	if (err && !is_lost(err))
		return err;
	vdi->at.active = false;
	vdi->at.device[0] = '\0';
	gone = link_remove(&r->sr, &vdi->uuid);
	return gone ? gone : err;
}

/* Make the device, if there is none, and the link to it. */
static int activate(struct run *r, bool writable)
{
	const struct datapath *d = datapath_now(&r->sr, &r->vdi);
	struct vdi *vdi = &r->vdi;
	bool fresh;
	int err = 0;

	if (!d)
		return not_served(r);
	if (IS_ENABLED(CONFIG_SERVE) && !d->activate)
		return fail_say(r->ctx, -E_VDI_IN_USE, "VDI %s is served on %s", vdi->uuid.s,
				vdi->at.device);
	if (writable && vdi->read_only) {
		hint(r->ctx, "sm vdi attach %s --read-only", vdi->uuid.s);
		return fail_say(r->ctx, -E_VDI_UNAVAILABLE, "VDI %s is read-only", vdi->uuid.s);
	}
	if (vdi->at.active && vdi->at.writable != writable) {
		hint(r->ctx, "sm vdi detach %s", vdi->uuid.s);
		return fail_say(r->ctx, -E_VDI_IN_USE, "VDI %s is active %s", vdi->uuid.s,
				vdi->at.writable ? "for writing" : "read-only");
	}
	fresh = !vdi->at.active;
	if (fresh)
		err = IS_ENABLED(CONFIG_SERVE) ? start(r, writable) :
			d->activate(&r->sr, vdi, writable, &vdi->at);
	else if (IS_ENABLED(CONFIG_LIVE_RAW) && (err = live_settle(r)))
		return err;
	else if (d->refresh)
		err = d->refresh(&r->sr, vdi, &vdi->at);
	if (err)
		return err;
	err = link_make(&r->sr, &vdi->uuid, vdi->at.device);
	if (err && fresh)
		deactivate(r);			/* err is what matters */
	return err;
}

/*
 * The storage's lock, where other hosts use the SR too, then the record (commit),
 * the device, the link.  Each step finds what an earlier
 * run left; a record without a device is an attach that detach can undo.
 */
int do_vdi_attach(struct run *r)
{
	struct vdi *vdi = &r->vdi;
	bool fresh = !vdi->at.attached;
	uint64_t lease = vdi->at.lease;
	int err = 0;

	if (vdi->hidden && r->rq->writable)
		return fail(r->ctx, -E_VDI_HIDDEN, "VDI %s", vdi->uuid.s);
	if (IS_ENABLED(CONFIG_SNAPSHOTS) && fresh && !vdi_datapath(&r->sr, vdi))
		err = not_served(r);
	else if (IS_ENABLED(CONFIG_SNAPSHOTS) && fresh && r->rq->writable)
		err = must_be_leaf(r);
	if (err)
		return err;
	if (!fresh && vdi->at.writable != r->rq->writable) {
		hint(r->ctx, "sm vdi detach %s", vdi->uuid.s);
		return fail_say(r->ctx, -E_VDI_IN_USE, "VDI %s is attached %s", vdi->uuid.s,
				vdi->at.writable ? "for writing" : "read-only");
	}
	if (r->ctx->dry_run)
		return plan(r, 0, "attach VDI %s %s", vdi->uuid.s,
			    r->rq->writable ? "for writing" : "read-only");
	if (WITH_LOCKS)
		err = lease_attach(r, r->rq->writable);
	/* One that was attached before the SR was shared has a lock from now on. */
	if (!err && (fresh || (WITH_KEEPER && vdi->at.lease != lease)))
		err = state_put(&r->sr, &vdi->uuid, r->rq->writable, vdi->at.lease);
	vdi->at.attached = !err;
	if (err)
		;
	else if (r->rq->activate)
		err = activate(r, r->rq->writable);
	else
		vdi->at.writable = r->rq->writable;
	if (!err)
		return reply_vdi(r, REPLY_ATTACH);
	/* What was not attached before is not now; err is what matters. */
	if (fresh)
		state_remove(&r->sr, &vdi->uuid);
	if (WITH_LOCKS && fresh)
		lease_detach(r);
	return err;
}

/* The device (commit), the link, the record, the storage's lock. */
int do_vdi_detach(struct run *r)
{
	int err, lost;

	if (r->ctx->dry_run)
		return plan(r, 0, "detach VDI %s", r->vdi.uuid.s);
	err = deactivate(r);
	lost = is_lost(err) ? err : 0;
	if (!err || lost)
		err = state_remove(&r->sr, &r->vdi.uuid);
	if (WITH_LOCKS && !err)
		err = lease_detach(r);
	if (WITH_KEEPER && !err)
		keeper_rest(r);
	return err ? err : lost;
}

/*
 * What the attachment may have without the lock: one from before anybody spoke of other
 * hosts.  After a death between the lock and its record this host has a lock that its
 * next activate, attach or detach finds.
 */
static int lock_again(struct run *r)
{
	struct attachment *at = &r->vdi.at;
	uint64_t lease = at->lease;
	int err = lease_attach(r, r->rq->writable);

	if (WITH_KEEPER && !err && at->lease != lease)
		err = state_put(&r->sr, &r->vdi.uuid, true, at->lease);
	return err;
}

/*
 * The lock and the record of what is attached, then the device (commit), the link.
 * The lock is the attachment's: a deactivate keeps it.  It may have been broken since.
 */
int do_vdi_activate(struct run *r)
{
	struct vdi *vdi = &r->vdi;
	int err;

	if (!vdi->at.attached) {
		hint(r->ctx, "sm vdi attach %s", vdi->uuid.s);
		return fail_say(r->ctx, -E_VDI_UNAVAILABLE, "VDI %s is not attached", vdi->uuid.s);
	}
	if (r->rq->writable && !vdi->at.writable) {
		/* A person who attached read-only and says no more wants just that. */
		if (r->rq->by_uuid)
			return fail_say(r->ctx, -E_VDI_IN_USE, "VDI %s is attached read-only",
					vdi->uuid.s);
		r->rq->writable = false;
	}
	if (r->ctx->dry_run)
		return plan(r, 0, "activate VDI %s", vdi->uuid.s);
	err = WITH_LOCKS ? lock_again(r) : 0;
	if (!err)
		err = activate(r, r->rq->writable);
	return err ? err : reply_vdi(r, REPLY_ATTACH);
}

int do_vdi_deactivate(struct run *r)
{
	if (r->ctx->dry_run)
		return plan(r, 0, "deactivate VDI %s", r->vdi.uuid.s);
	return deactivate(r);
}

/* --- static attach ----------------------------------------------------------- */

int do_vdi_config(struct run *r)
{
	return reply_vdi(r, REPLY_CONFIG);
}

/* Before xapi is up: reach the SR, then attach and activate at once. */
int do_vdi_attach_from_config(struct run *r)
{
	int err = r->sr.type->transport->attach(&r->sr);

	if (!err)
		err = sr_open(&r->sr, true);
	if (!err)
		err = bind_vdi(r);
	if (err) {
		hint(r->ctx, "is the storage of the static VDI reachable?");
		return fail(r->ctx, -E_SR_MISSING, "Unable to attach from config");
	}
	r->rq->writable = r->rq->activate = true;
	return do_vdi_attach(r);
}
