/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finding the VG of an SR, the locks of lvm2 around it, and when it is not to be touched. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arch/clock.h"
#include "arch/flock.h"
#include "arch/lvmhost.h"
#include "drivers/devices.h"
#include "drivers/layout/lvm.h"
#include "drivers/lease.h"
#include "drivers/lvm2_lock.h"
#include "drivers/sr.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/log.h"
#include "lib/lvm2/commit.h"
#include "lib/lvm2/ops.h"

/* --- locks ---------------------------------------------------------------------------- */

int lvm_lock(struct sr *sr, struct lvm_sr *l, bool shared)
{
	return lvm2_lock(sr->ctx, &l->lock, &l->lock_path,
		    arena_printf(&sr->ctx->arena, "V_" VG_PREFIX "%s", sr->uuid.s), shared);
}

int lvm_lock_host(struct sr *sr, struct lvm_sr *l)
{
	int err = lvm2_lock(sr->ctx, &l->global, &l->global_path, "P_global", false);

	return err ? err : lvm_lock(sr, l, false);
}

void lvm_unlock(struct lvm_sr *l)
{
	flock_drop(&l->lock, l->lock_path);
	flock_drop(&l->global, l->global_path);
}

struct lvm_sr *lvm_new(struct sr *sr)
{
	struct lvm_sr *l = arena_alloc(&sr->ctx->arena, sizeof(*l));

	l->lock = l->global = -1;
	sr->layout_data = l;
	return l;
}

/* --- finding it ----------------------------------------------------------------------- */

static void pause_before_retry(unsigned int attempt)
{
	clock_sleep((10 << attempt) * NS_PER_MS);
}

void lvm_read(struct sr *sr, struct lvm_sr *l)
{
	struct devices *all = sr_devices(sr);
	struct arena *a = &sr->ctx->arena;
	struct lvm_scan_how how = {
		.pause = pause_before_retry, .verify = l->verify,
		.system_id = lvmhost_system_id(sr->ctx->root ? sr->ctx->root : "", a),
	};

	l->mgt_tried = false;
	l->vg = NULL;
	l->dev = arena_array(a, all->n, sizeof(*l->dev));
	for (size_t i = 0; i < all->n; i++) {
		l->dev[i].io = all->v[i].io;
		l->dev[i].path = all->v[i].path;
	}
	lvm_scan(a, l->dev, all->n, &how, &l->set);
}

static const struct lvm_found *found(const struct lvm_sr *l, const char *name)
{
	for (size_t i = 0; i < l->set.n_found; i++)
		if (!strcmp(l->set.found[i]->best->is.name, name))
			return l->set.found[i];
	return NULL;
}

static bool is_whole(const struct lvm_sr *l, const char *name)
{
	const struct lvm_found *f = found(l, name);

	return f && f->vg && f->vg->n_devs == f->vg->n_pvs;
}

bool lvm_is_of(const struct lvm_sr *l, const struct lvm_dev *d, const char *name)
{
	const struct lvm_found *f = found(l, name);

	if (d->err || !f)
		return false;
	for (uint32_t i = 0; i < d->label.n_mda; i++)
		if (d->copy[i].version && !strcmp(d->copy[i].version->is.name, name))
			return true;
	return f->vg && lvm_pv_by_id(f->vg, d->label.pv.s);
}

/*
 * All of it is where dconf says; but a disk that has come since may be a copy of
 * one.  Nobody knows then which of the two has what was written last, so both stay
 * in the set, which makes the VG one that must not be changed or used.
 */
static int find_copies(struct sr *sr, struct lvm_sr *l, const char *name)
{
	struct devices *all = sr_devices(sr);
	const struct lvm_found *f;
	uint64_t now;
	bool *keep;
	int n;

	if (!sr->write || !devices_have_news(sr, &now))
		return 0;
	n = devices_search(sr, true);
	if (n < 0) {			/* what is not seen is not known to be wrong */
		fail_clear(sr->ctx);
		return 0;
	}
	lvm_read(sr, l);
	f = found(l, name);
	if (!f || !f->vg || f->vg->refuse)	/* nothing of it can be read any more, or the copy's newer text */
		return 0;
	keep = arena_array(&sr->ctx->arena, all->n, sizeof(*keep));
	for (size_t i = 0; i < all->n; i++)
		keep[i] = all->v[i].named;
	n = devices_keep(sr, keep, false);
	if (n)
		return n;
	lvm_read(sr, l);
	devices_seen(sr, now);
	return 0;
}

int lvm_find(struct sr *sr, struct lvm_sr *l, const char *name)
{
	struct devices *all = sr_devices(sr);
	bool *keep;
	int n;

	lvm_read(sr, l);
	if (is_whole(l, name))
		return find_copies(sr, l, name);
	n = devices_search(sr, false);
	if (n < 0)
		return n;
	lvm_read(sr, l);
	keep = arena_array(&sr->ctx->arena, all->n, sizeof(*keep));
	for (size_t i = 0; i < all->n; i++)
		keep[i] = !found(l, name) ? all->v[i].named : lvm_is_of(l, &l->dev[i], name) ||
			/* A label that is damaged may have been ours. */
			(all->v[i].named && l->dev[i].err && l->dev[i].err != -E_LVM_NO_LABEL);
	n = devices_keep(sr, keep, is_whole(l, name));
	if (!n)
		lvm_read(sr, l);
	return n;
}

static int explain(struct sr *sr, const struct lvm_sr *l, int err, const char *name)
{
	const struct devices *all = sr_devices(sr);
	const struct lvm_problem *p = l->set.problem;

	if (err == -E_LVM_VG_MISSING && all->lost) {
		hint(sr->ctx, "is the disk connected? sm sr probe");
		return fail_say(sr->ctx, all->lost, "%s", all->lost_why);
	}
	if (p)		/* what was odd on the way is most often the reason */
		return fail_say(sr->ctx, err == -E_LVM_VG_MISSING ? -E_SR_MISSING : err,
				"VG %s: %s: %s", name, p->path, p->what);
	if (err == -E_LVM_VG_MISSING) {
		hint(sr->ctx, "sm sr probe %s", kv_get(&sr->dconf, "device"));
		return fail_say(sr->ctx, -E_SR_MISSING, "there is no VG %s on %s", name,
				kv_get(&sr->dconf, "device"));
	}
	return fail(sr->ctx, err, "VG %s", name);
}

int lvm_get(struct sr *sr, struct lvm_sr *l)
{
	const char *name = arena_printf(&sr->ctx->arena, VG_PREFIX "%s", sr->uuid.s);
	int err = lvm_vg_get(&l->set, name, &l->vg);

	return err ? explain(sr, l, err, name) : 0;
}

/* --- marks that forbid it ------------------------------------------------------------- */

int lvm_refused(struct sr *sr, const struct lvm_vg *vg, int err)
{
	const struct lvm_problem *p = lvm_of(sr)->set.problem;

	while (p && p->err != err)
		p = p->next;
	switch (-err) {
	case E_LVM_FOREIGN:
		hint(sr->ctx, "vgchange --systemid, with lvm2, on the host that has it");
		return fail_say(sr->ctx, err, "VG %s belongs to the host '%s'", vg->name,
				vg->system_id);
	case E_LVM_LOCK_TYPE:
		return fail_say(sr->ctx, err, "VG %s is shared through the lock manager %s", vg->name,
				vg->lock_type);
	case E_LVM_EXPORTED:
		hint(sr->ctx, "vgimport %s, with lvm2", vg->name);
		break;
	case E_LVM_PARTIAL:
		hint(sr->ctx, "sm sr check %s", sr->uuid.s);
		break;
	case E_LVM_RETURNED:
		hint(sr->ctx, "sm sr check %s --repair", sr->uuid.s);
		break;
	default:
		break;
	}
	if (p && strcmp(p->path, vg->name))
		return fail_say(sr->ctx, err, "VG %s: %s: %s", vg->name, p->path, p->what);
	if (p)
		return fail_say(sr->ctx, err, "VG %s: %s", vg->name, p->what);
	return vg->refuse == err && vg->refuse_why ?
		fail_say(sr->ctx, err, "VG %s: %s", vg->name, vg->refuse_why) :
		fail(sr->ctx, err, "VG %s", vg->name);
}

/* What can only be read may be used as well; what somebody else may be using may not. */
int lvm_may_use(const struct lvm_vg *vg)
{
	int err = lvm_vg_may_change(vg, true);

	return err == -E_LVM_READ_ONLY || err == -E_LVM_NEWER ? 0 : err;
}

int lvm_usable(struct sr *sr)
{
	struct lvm_sr *l = lvm_of(sr);
	int n = devices_search(sr, true), err;

	if (n < 0)
		return n;
	lvm_read(sr, l);
	err = lvm_get(sr, l);
	if (!err)
		err = lvm_may_use(l->vg);
	return err && l->vg ? lvm_refused(sr, l->vg, err) : err;
}

/* --- changing it ---------------------------------------------------------------------- */

void lvm_fill_stamp(struct sr *sr, struct lvm_stamp *stamp, const char *cause)
{
	lvmhost_stamp(&sr->ctx->arena, stamp, cause);
}

int lvm_commit_now(struct sr *sr, const char *cause)
{
	struct lvm_vg *vg = lvm_of(sr)->vg;
	struct lvm_stamp stamp;
	int err = IS_ENABLED(CONFIG_SHARED_SR) ? sr_renew(sr) : 0;

	if (err)
		return err;
	lvm_fill_stamp(sr, &stamp, cause);
	err = lvm_vg_commit(vg, &stamp);	/* commit */
	if (!err)
		return 0;
	if (err == -E_LVM_FULL)
		hint(sr->ctx, "the metadata area has no room for more volumes: delete some");
	if (err == -E_LVM_HALF)
		logf_warn(sr->ctx, "%s: VG %s: %s", cause, vg->name, err_text(err));
	return lvm_refused(sr, vg, err);
}

/* How much larger is the device than the VG believes?  Whole extents, in bytes. */
static uint64_t growth(const struct lvm_vg *vg, const struct lvm_pv *pv)
{
	uint64_t size = pv->dev ? pv->dev->io->size : 0, known = pv->dev_size * LVM_SECTOR;

	if (!pv->dev || !lvm_pv_can_resize(pv, size))
		return 0;
	return pv->dev_size && size > known ?
		(size - known) / lvm_extent_bytes(vg) * lvm_extent_bytes(vg) : 0;
}

/* Only one PV with an area at its end in a commit: see lib/lvm2/ops.h. */
static int grow_pv(struct sr *sr, struct lvm_vg *vg, struct lvm_pv *pv)
{
	int err = lvm_pv_resize(vg, pv, pv->dev->io->size);

	if (err != -E_BUSY)
		return err;
	err = lvm_commit_now(sr, "resize of a PV");		/* commit */
	return err ? err : lvm_pv_resize(vg, pv, pv->dev->io->size);
}

/*
 * PVs are grown one and all in one commit.  The lock of all lvm2 on this host
 * comes before that of the VG, which we have: so it is tried and not waited for,
 * and a VG that is not grown now is grown by the next verb.
 */
int lvm_grow(struct sr *sr)
{
	struct lvm_sr *l = lvm_of(sr);
	struct lvm_vg *vg = l->vg;
	uint64_t bytes = 0;
	int err = 0;

	for (uint32_t i = 0; i < vg->n_pvs; i++)
		bytes += growth(vg, vg->pv[i]);
	if (!bytes || lvm_vg_may_change(vg, false))
		return 0;
	l->global_path = sm_path(sr->ctx, "/run/lock/lvm/P_global");
	if (flock_take(&l->global, l->global_path, false, clock_now_mono() + NS_PER_S / 4))
		return 0;
	for (uint32_t i = 0; i < vg->n_pvs && !err; i++)
		if (growth(vg, vg->pv[i]))
			err = grow_pv(sr, vg, vg->pv[i]);
	if (!err)
		err = lvm_commit_now(sr, "resize of a PV");		/* commit */
	flock_drop(&l->global, l->global_path);
	if (err) {
		logf_warn(sr->ctx, "VG %s: a device has grown by %llu MiB that cannot be used: %s",
			  vg->name, (unsigned long long)(bytes / MiB), err_text(err));
		fail_clear(sr->ctx);
		/* What was changed in memory was not committed. */
		return lvm_reload(sr);
	}
	logf_info(sr->ctx, "VG %s: %llu MiB more, since a device has grown", vg->name,
		  (unsigned long long)(bytes / MiB));
	return 0;
}
