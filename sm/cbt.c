/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Verbs of changed block tracking. */
#include <errno.h>
#include <string.h>

#include "drivers/control.h"
#include "lib/err.h"
#include "lib/log.h"
#include "sm/cbt.h"
#include "sm/gc.h"
#include "sm/keep.h"
#include "sm/live.h"
#include "sm/snapshot.h"

int cbt_list(struct sr *sr, struct vdis *l)
{
	int err = sr->type->layout->list(sr, l);

	return err || !cbt_can(sr) ? err : cbt_fill(sr, l);
}

bool cbt_is_log(const struct vdi *vdi)
{
	return vdi->format && !strcmp(vdi->format, "cbtlog");
}

int cbt_admit(struct run *r)
{
	switch (r->rq->op) {
	case OP_VDI_SHOW:
	case OP_VDI_DELETE:
	case OP_VDI_FORGET:
	case OP_VDI_UPDATE:
	case OP_VDI_DETACH:
	case OP_VDI_DEACTIVATE:
	case OP_VDI_LIST_CHANGED_BLOCKS:
	case OP_VDI_DATA_DESTROY:
	case OP_CBT_SHOW:
		return 0;
	default:
		return fail_say(r->ctx, -E_VDI_TYPE, "VDI %s has no data: it is the log of changed blocks of "
				"a snapshot that was deleted", r->vdi.uuid.s);
	}
}

/* Only a disk that changes has changes to track, and only our server marks them. */
static int may_track(struct run *r)
{
	const struct vdi *vdi = &r->vdi;

	if (vdi->hidden)
		return fail(r->ctx, -E_VDI_HIDDEN, "VDI %s", vdi->uuid.s);
	if (vdi->snapshot_of.s[0])
		return fail_say(r->ctx, -E_VDI_TYPE, "VDI %s is a snapshot, which never changes", vdi->uuid.s);
	if (strcmp(vdi->format, "vhd"))
		return fail_say(r->ctx, -E_VDI_TYPE, "VDI %s is %s: only the changes of vhd disks are tracked",
				vdi->uuid.s, vdi->format);
	return live_can(r, vdi);
}

/* The server of a disk in use finds the log when it goes on. */
int do_cbt_enable(struct run *r)
{
	int err = may_track(r);

	if (err || cbt_has(&r->sr, &r->vdi.uuid))
		return err;
	if (r->ctx->dry_run)
		return plan(r, CBT_LOG_MAX, "begin a log of changed blocks for VDI %s", r->vdi.uuid.s);
	err = live_hold(r, &r->vdi);
	return err ? err : cbt_enable(&r->sr, &r->vdi);
}

int do_cbt_disable(struct run *r)
{
	int err;

	if (!cbt_has(&r->sr, &r->vdi.uuid))
		return 0;
	err = may_track(r);
	if (err)
		return err;
	if (r->ctx->dry_run)
		return plan(r, 0, "remove the log of changed blocks of VDI %s", r->vdi.uuid.s);
	err = live_hold(r, &r->vdi);
	return err ? err : cbt_disable(&r->sr, &r->vdi.uuid);
}

/* --- looking --------------------------------------------------------------------- */

/* Its server has marks that are not in the log yet; true when they are now. */
static int save(struct run *r, const struct vdi *vdi, bool *saved)
{
	const struct datapath *d = vdi->at.active && vdi->at.writable ? datapath_now(&r->sr, vdi) : NULL;

	*saved = d && d->pause;
	return *saved ? control_log(&r->sr, &vdi->uuid) : 0;
}

static int reply(struct run *r, const struct cbt_report *c)
{
	struct cbt_report *to = arena_alloc(&r->ctx->arena, sizeof(*to));

	*to = *c;
	r->rp->kind = REPLY_CBT;
	r->rp->cbt = to;
	r->rp->text = c->bitmap;
	return 0;
}

int do_cbt_show(struct run *r)
{
	struct cbt_report c = { .vdi = r->vdi.uuid, .in_use = r->vdi.at.active && r->vdi.at.writable };
	bool saved;
	int err = cbt_has(&r->sr, &c.vdi) ? save(r, &r->vdi, &saved) : 0;

	if (!err)
		err = cbt_get(&r->sr, &c.vdi, true, &c.log);
	c.enabled = !err;
	return err && err != -ENOENT ? err : reply(r, &c);
}

/* By its uuid; people may give its name. */
static int find_target(struct run *r, struct vdi *to)
{
	const char *text = r->rq->other ? r->rq->other : "";
	struct vdis l = { 0 };
	struct uuid u = { "" };
	size_t n = 0;
	int err = 0;

	if (uuid_parse(&u, text) && r->rq->by_uuid) {
		hint(r->ctx, "name it by its uuid: references are xapi's");
		return fail(r->ctx, -E_UUID, "the other VDI '%.64s'", text);
	}
	if (!u.s[0])
		err = cbt_list(&r->sr, &l);
	for (size_t i = 0; i < l.n && !err; i++) {
		if (strcmp(l.v[i].name, text))
			continue;
		u = l.v[i].uuid;
		n++;
	}
	if (!err && n > 1)
		return fail_say(r->ctx, -E_AMBIGUOUS, "%zu VDIs are called %.128s", n, text);
	if (!err)
		err = u.s[0] ? r->sr.type->layout->find(&r->sr, &u, to) : -E_VDI_MISSING;
	if (err == -E_VDI_MISSING && u.s[0])
		err = cbt_find(&r->sr, &u, to);
	if (!err)
		err = vdi_complete(&r->sr, to);
	return err ? fail(r->ctx, err, "VDI %.64s", text) : 0;
}

int do_cbt_changed(struct run *r)
{
	struct cbt_report c = { .vdi = r->vdi.uuid, .enabled = true };
	struct vdi to;
	bool saved = false;
	int err = find_target(r, &to);

	if (!err && cbt_has(&r->sr, &to.uuid))
		err = save(r, &to, &saved);
	if (!err)
		err = cbt_changed(&r->sr, &c.vdi, &to.uuid, saved, &c.log);
	if (err)
		return err;
	c.to = to.uuid;
	c.bitmap = cbt_publish(&r->ctx->arena, &c.log);
	return reply(r, &c);
}

int do_cbt_check(struct run *r)
{
	struct vdis *l = &r->rp->vdis;
	bool repair = r->rq->repair && !r->ctx->dry_run;
	int err = sr_vdis(&r->sr, l);

	r->rp->kind = REPLY_CHECK;
	r->rp->object = arena_strdup(&r->ctx->arena, r->sr.uuid.s);
	if (!err)
		err = cbt_check(&r->sr, repair && !WITH_BACKUP, l);
	if (WITH_BACKUP && !err && repair && l->n_problems) {
		err = keep_before(r, l);
		if (err)
			return err;
		*l = (struct vdis){ 0 };
		err = sr_vdis(&r->sr, l);
		if (!err)
			err = cbt_check(&r->sr, true, l);
		keep_after(r);
	}
	for (size_t i = 0; i < l->n_problems && !err; i++)
		if (!strcmp(l->problems[i].severity, "error"))
			err = fail_say(r->ctx, -E_DAMAGED, "%zu problem%s found", l->n_problems,
				       l->n_problems == 1 ? "" : "s");
	return err;
}

/* --- data_destroy ------------------------------------------------------------------ */

static int may_destroy(struct run *r)
{
	const struct vdi *vdi = &r->vdi;

	if (!vdi->snapshot_of.s[0])
		return fail_say(r->ctx, -E_VDI_TYPE, "VDI %s is no snapshot", vdi->uuid.s);
	if (vdi->at.attached || vdi->at.active) {
		hint(r->ctx, "sm vdi detach %s", vdi->uuid.s);
		return fail_say(r->ctx, -E_VDI_IN_USE, "VDI %s is attached", vdi->uuid.s);
	}
	if (!cbt_has(&r->sr, &vdi->uuid)) {
		hint(r->ctx, "sm vdi delete %s", vdi->uuid.s);
		return fail(r->ctx, -E_CBT_NONE, "VDI %s", vdi->uuid.s);
	}
	return must_be_leaf(r);
}

/* The volume (commit), and what nobody stands on any more.  Where names can be kept its record stays. */
int do_data_destroy(struct run *r)
{
	const struct layout *layout = r->sr.type->layout;
	const struct vdi *vdi = &r->vdi;
	int err;

	if (cbt_is_log(vdi))			/* it has been done */
		return 0;
	err = may_destroy(r);
	if (err)
		return err;
	if (r->ctx->dry_run)
		return plan(r, 0, "delete the data of VDI %s, which frees %llu bytes, and keep its log",
			    vdi->uuid.s, (unsigned long long)vdi->physical_size);
	err = layout->volume_delete(&r->sr, vdi);
	return err ? fail(r->ctx, err, "VDI %s", vdi->uuid.s) : drop_garbage(r, &vdi->parent);
}
