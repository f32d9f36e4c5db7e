/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "drivers/cbt.h"
#include "drivers/keep.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/io.h"
#include "lib/io_trial.h"
#include "lib/log.h"
#include "sm/cbt.h"
#include "sm/keep.h"
#include "sm/lease.h"
#include "sm/state.h"

#define TRIES	1000u

/* An unused name; --backup DIR is taken as it is. */
static int make_folder(struct run *r, struct keep *k)
{
	struct arena *a = &r->ctx->arena;
	const char *dir = sm_path(r->ctx, "/var/lib/sm"), *path = r->rq->backup;
	int err = path ? keep_begin(k, r->ctx, path, &r->sr.uuid) : mkdir_p(dir, 0755);

	for (unsigned i = 1; !path && !err && i < TRIES; i++) {
		const char *name = i == 1 ? arena_printf(a, "%s/%s.before-repair", dir, r->sr.uuid.s) :
			arena_printf(a, "%s/%s.before-repair.%u", dir, r->sr.uuid.s, i);

		keep_clear(name);
		err = keep_begin(k, r->ctx, name, &r->sr.uuid);
		if (err != -EEXIST)
			path = name;
		else if (i + 1 < TRIES)
			err = 0;
	}
	if (err)
		hint(r->ctx, KEEP_HINT);
	return err ? fail(r->ctx, err, "make %s", path ? path : dir) : 0;
}

/* --- images ---------------------------------------------------------------------- */

/* The repair itself, in memory: nobody else knows what a format overwrites. */
static int keep_image(struct run *r, struct keep *k, const struct vdi *vdi, bool mend, bool hide)
{
	const struct format *f = sr_format(r->sr.type, vdi->format);
	_io_close_ struct io *io = NULL;
	struct io *trial;
	int err = r->sr.type->layout->volume_io(&r->sr, vdi, false, &io);

	if (err)
		return err;
	k->name = vdi->volume;
	trial = io_trial(&r->ctx->arena, io, keep_lost, k);
	if (mend)
		err = f->mend(r->ctx, trial);
	if (!err && hide)
		err = f->hide(r->ctx, trial, true);
	return err ? fail(r->ctx, err, "VDI %s", vdi->uuid.s) : 0;
}

static int keep_images(struct run *r, struct keep *k, const struct vdis *l)
{
	int err = 0;

	for (size_t i = 0; i < l->n && !err; i++) {
		const struct vdi *vdi = &l->v[i];
		const struct format *f = sr_format(r->sr.type, vdi->format);
		bool mend = f && vdi->mend && f->mend;
		bool hide = f && !vdi->hidden && vdi->n_children && f->hide;

		if ((mend || hide) && !vdi->at.attached && !vdi->at.active && !check_is_copied(r, vdi))
			err = keep_image(r, k, vdi, mend, hide);
	}
	return err;
}

/* --- logs of changed blocks -------------------------------------------------------- */

/* Of one that something is wrong with, all: it may be removed.  Chains are mended in the heads. */
static int keep_log(struct run *r, struct keep *k, const struct vdis *l, const struct uuid *u)
{
	const char *name = arena_printf(&r->ctx->arena, "%s" CBT_SUFFIX, u->s);
	_io_close_ struct io *io = NULL;
	bool is_told = false;
	int err = r->sr.type->layout->logs->open(&r->sr, u, false, &io);

	for (size_t i = 0; i < l->n_problems; i++)
		is_told |= !strcmp(l->problems[i].object, u->s);
	if (err)
		return err == -ENOENT ? 0 : err;
	return keep_all(k, name, io, is_told ? CBT_LOG_MAX : CBT_HEAD);
}

static int keep_logs(struct run *r, struct keep *k, const struct vdis *l)
{
	struct uuid *v;
	size_t n;
	int err = r->sr.type->layout->logs->list(&r->sr, &v, &n);

	for (size_t i = 0; i < n && !err; i++)
		err = keep_log(r, k, l, &v[i]);
	return err;
}

/* --- all of it --------------------------------------------------------------------- */

int keep_before(struct run *r, const struct vdis *l)
{
	struct keep k = { .dir = -1 };
	int err = make_folder(r, &k);

	if (!err && r->sr.type->layout->backup)
		err = r->sr.type->layout->backup->keep(&r->sr, &k, l);
	if (!err && IS_ENABLED(CONFIG_SNAPSHOTS))
		err = keep_images(r, &k, l);
	if (!err && WITH_CBT && cbt_can(&r->sr))
		err = keep_logs(r, &k, l);
	if (!err)
		err = keep_commit(&k);
	keep_end(&k);
	if (err)
		return fail(r->ctx, err, "nothing was changed: what would be overwritten cannot be kept");
	r->rp->backup = k.path;
	logf_info(r->ctx, "what is repaired now is kept in %s", k.path);
	return 0;
}

/* The repair is done, and told: without this an undo wants --force. */
void keep_after(struct run *r)
{
	struct fail_words words;

	fail_keep(r->ctx, &words);
	fail_clear(r->ctx);
	if (keep_left(&r->sr, r->rp->backup))
		logf_err(r->ctx, "%s", r->ctx->why);
	fail_again(r->ctx, &words);
}

/* On other hosts, too. */
static int find_attached(struct run *r, struct uuid *vdi)
{
	struct vdis l = { 0 };
	int err = state_any(&r->sr, vdi);

	if (err || vdi->s[0] || !WITH_LOCKS || !r->sr.shared)
		return err;
	err = sr_vdis(&r->sr, &l);
	if (!err)
		err = lease_mark_elsewhere(&r->sr, &l);
	for (size_t i = 0; i < l.n && !err && !vdi->s[0]; i++)
		if (l.v[i].at.attached)
			*vdi = l.v[i].uuid;
	return err;
}

int keep_put_back(struct run *r)
{
	struct uuid vdi;
	int err = find_attached(r, &vdi);

	if (!err && vdi.s[0]) {
		hint(r->ctx, "sm vdi detach %s", vdi.s);
		return fail_say(r->ctx, -E_SR_IN_USE, "VDI %s is attached", vdi.s);
	}
	if (!err && r->ctx->dry_run)
		return plan(r, 0, "put back what %s holds", r->rq->undo);
	if (!err && !r->sr.type->layout->backup)
		err = fail(r->ctx, -E_UNSUPPORTED, "type %s", r->sr.type->names[0]);
	return err ? err : keep_undo(&r->sr, r->rq->undo, r->rq->force);
}
