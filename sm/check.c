/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sr check: what is wrong with an SR, whatever its layout, and mending it. */
#include <string.h>

#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/io.h"
#include "sm/cbt.h"
#include "sm/core.h"
#include "sm/gc.h"
#include "sm/keep.h"
#include "sm/lease.h"
#include "sm/locks.h"
#include "sm/snapshot.h"
#include "sm/tree.h"

static void warn(struct run *r, struct vdis *l, const struct vdi *vdi, const char *what,
		 const char *repair)
{
	struct arena *a = &r->ctx->arena;

	vdis_problem(a, l, &(struct problem){
		.object = arena_strdup(a, vdi->uuid.s), .what = what, .severity = "warning",
		.repair = repair });
}

/* A footer that a death left out, or half a header.  While a datapath writes the image that is as it should be. */
static int check_image(struct run *r, bool repair, struct vdis *l, const struct vdi *vdi)
{
	const struct format *f = sr_format(r->sr.type, vdi->format);
	_io_close_ struct io *io = NULL;
	int err;

	if (!vdi->mend || vdi->at.attached || vdi->at.active || !f || !f->mend)
		return 0;
	if (!repair) {
		warn(r, l, vdi, "a footer of the image is missing, damaged or unlike its copy, or its header "
		     "half written", "write it again");
		return 0;
	}
	err = r->sr.type->layout->volume_io(&r->sr, vdi, true, &io);
	return err ? err : f->mend(r->ctx, io);
}

static int check_node(struct run *r, bool repair, struct vdis *l, const struct vdi *vdi)
{
	const struct layout *layout = r->sr.type->layout;

	if (tree_is_garbage(vdi)) {
		if (repair && tree_is_whole(l))
			return drop_garbage(r, &vdi->uuid);
		warn(r, l, vdi, "hidden, and no disk stands on it", "remove it");
	}
	/* A person's disk that was hidden would go with the last of those that stand on it. */
	if (!vdi->hidden && vdi->n_children && vdi->shown) {
		warn(r, l, vdi, "other disks stand on it, and show what is written to it", NULL);
	} else if (!vdi->hidden && vdi->n_children) {
		if (repair && layout->volume_hide && !vdi->at.attached && !vdi->at.active)
			return layout->volume_hide(&r->sr, vdi, true);
		warn(r, l, vdi, "other disks stand on it, and it is not hidden", "hide it");
	}
	return 0;
}

/* Hidden as long as it is not whole: its process, which lives, writes it. */
bool check_is_copied(struct run *r, const struct vdi *vdi)
{
	return IS_ENABLED(CONFIG_VDI_COPY) && vdi->hidden && !vdi->n_children &&
	       lock_is_held(r->ctx, vdi->uuid.s, "copy");
}

/* Each VDI for itself, and how they hang together. */
static int check_vdis(struct run *r, bool repair, struct vdis *l)
{
	int err = 0;

	for (size_t i = 0; i < l->n && !err; i++) {
		if (check_is_copied(r, &l->v[i]))
			continue;
		err = check_image(r, repair, l, &l->v[i]);
		if (!err)
			err = check_node(r, repair, l, &l->v[i]);
		if (err)
			fail(r->ctx, err, "VDI %s", l->v[i].uuid.s);
	}
	return err;
}

static int check(struct run *r, bool repair, struct vdis *l)
{
	struct sr *sr = &r->sr;
	int err = sr_vdis(sr, l);

	/* What another host writes is as it should be, too. */
	if (WITH_LOCKS && !err && r->rq->repair && sr->shared)
		err = lease_mark_elsewhere(sr, l);
	if (IS_ENABLED(CONFIG_SNAPSHOTS) && !err)
		err = check_vdis(r, repair, l);
	if (WITH_CBT && !err && cbt_can(sr))
		err = cbt_check(sr, repair, l);
	if (!err && sr->type->layout->check)
		err = sr->type->layout->check(sr, repair, l);
	return err;
}

/* Look; keep what would be changed, all of it on the disk; and only then change it. */
static int check_and_keep(struct run *r, struct vdis *l)
{
	int err = check(r, false, l);

	if (err || !l->n_problems)
		return err;
	err = keep_before(r, l);
	if (err)
		return err;		/* and what was found is told */
	*l = (struct vdis){ 0 };
	err = check(r, true, l);
	keep_after(r);
	return err;
}

int do_sr_check(struct run *r)
{
	struct sr *sr = &r->sr;
	struct vdis l = { 0 };
	bool repair = r->rq->repair && !r->ctx->dry_run;
	int err = 0;

	if (IS_ENABLED(CONFIG_GC) && (repair || (WITH_BACKUP && r->rq->undo && !r->ctx->dry_run)))
		err = gc_quiet(r);
	if (WITH_BACKUP && r->rq->undo)
		return err ? err : keep_put_back(r);
	if (IS_ENABLED(CONFIG_LVM2) && !err && repair && sr->type->layout->take_back)
		err = sr->type->layout->take_back(sr);
	if (!err)
		err = WITH_BACKUP && repair ? check_and_keep(r, &l) : check(r, repair, &l);

	r->rp->kind = REPLY_CHECK;
	r->rp->object = sr->uuid.s[0] ? arena_strdup(&r->ctx->arena, sr->uuid.s) : "";
	r->rp->vdis = l;
	if (err)
		return err;
	for (size_t i = 0; i < l.n_problems; i++)
		if (!strcmp(l.problems[i].severity, "error"))
			return fail_say(r->ctx, -E_DAMAGED, "%zu problem%s found", l.n_problems,
					l.n_problems == 1 ? "" : "s");
	return 0;
}
