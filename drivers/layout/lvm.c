/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Volumes as logical volumes of one VG, in upstream's layout.
 *
 *	VG_XenStorage-<SR>	the VG, extents of 4 MiB
 *	  MGT			names of the SR and its VDIs (lib/mgt.h)
 *	  LV-<uuid>		a raw disk
 *	  VHD-<uuid>		an image
 *
 * Opening reads the VG once under lvm2's own lock, which is held until the SR
 * is closed: exclusively for verbs that change it, shared for the others.  The
 * commit of the metadata is the commit of every change.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arch/clock.h"
#include "arch/flock.h"
#include "arch/lvmhost.h"
#include "drivers/devices.h"
#include "drivers/layout.h"
#include "drivers/layout/lvhd.h"
#include "drivers/layout/lvm.h"
#include "drivers/sr.h"
#include "lib/err.h"
#include "lib/lvm2/commit.h"

/* lvm2 holds it for the length of a command; who waits this long waits for a dead one. */
#define PATIENCE	(30 * NS_PER_S)

struct lvm_sr *lvm_of(struct sr *sr)
{
	return sr->layout_data;
}

static void pause_before_retry(unsigned int attempt)
{
	clock_sleep((10 << attempt) * NS_PER_MS);
}

int lvm_read(struct sr *sr, struct lvm_sr *l)
{
	struct devices *all = sr_devices(sr);
	struct arena *a = &sr->ctx->arena;
	struct lvm_scan_how how = { .pause = pause_before_retry };

	l->dev = arena_array(a, all->n, sizeof(*l->dev));
	for (size_t i = 0; i < all->n; i++) {
		l->dev[i].io = all->v[i].io;
		l->dev[i].path = all->v[i].path;
	}
	lvm_scan(a, l->dev, all->n, &how, &l->set);
	return 0;
}

int lvm_lock(struct sr *sr, struct lvm_sr *l, bool shared)
{
	uint64_t until = clock_now_mono() + PATIENCE;
	int err;

	if (sr->ctx->deadline && sr->ctx->deadline < until)
		until = sr->ctx->deadline;
	l->lock_path = sm_path(sr->ctx, "/run/lock/lvm/V_" VG_PREFIX "%s", sr->uuid.s);
	err = flock_take(&l->lock, l->lock_path, shared, until);
	if (err == -ETIMEDOUT) {
		hint(sr->ctx, "see who it is: fuser %s", l->lock_path);
		return fail(sr->ctx, -E_BUSY, "lvm2's lock %s", l->lock_path);
	}
	return err ? fail(sr->ctx, err, "lock %s", l->lock_path) : 0;
}

const char *lvm_volume_format(const char *lv, struct uuid *u)
{
	const char *format = !strncmp(lv, "LV-", 3) ? "raw" : !strncmp(lv, "VHD-", 4) ? "vhd" : NULL;

	return format && !uuid_parse(u, strchr(lv, '-') + 1) ? format : NULL;
}

static struct lvm_sr *new_state(struct sr *sr)
{
	struct lvm_sr *l = arena_alloc(&sr->ctx->arena, sizeof(*l));

	l->lock = -1;
	sr->layout_data = l;
	return l;
}

static int explain(struct sr *sr, const struct lvm_sr *l, int err, const char *name)
{
	const struct lvm_problem *p = l->set.problem;

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

static int lvm_open(struct sr *sr, bool recover)
{
	struct lvm_sr *l = new_state(sr);
	const char *name = arena_printf(&sr->ctx->arena, VG_PREFIX "%s", sr->uuid.s);
	int err;

	/* A dry run leaves no lock file behind; it reads as well without. */
	err = sr->ctx->dry_run ? 0 : lvm_lock(sr, l, !recover);
	if (!err)
		err = lvm_read(sr, l);
	if (err)
		return err;
	err = lvm_vg_get(&l->set, name, &l->vg);
	if (err)
		return explain(sr, l, err, name);
	if (!mgt_read_head(sr)) {
		sr->name = l->mgt.name;
		sr->description = l->mgt.description;
	}
	fail_clear(sr->ctx);
	if (IS_ENABLED(CONFIG_LVHD) && recover)
		err = lvhd_recover(sr);
	return recover && !err ? mgt_recover(sr) : err;
}

int lvm_reload(struct sr *sr)
{
	struct lvm_sr *l = lvm_of(sr);
	const char *name = l->vg->name;
	int err;

	lvm_read(sr, l);
	l->mgt_tried = false;
	err = lvm_vg_get(&l->set, name, &l->vg);
	return err ? fail(sr->ctx, err, "VG %s", name) : 0;
}

static void lvm_close(struct sr *sr)
{
	struct lvm_sr *l = lvm_of(sr);

	if (l)
		flock_drop(&l->lock, l->lock_path);
}

void lvm_fill_stamp(struct sr *sr, struct lvm_stamp *stamp, const char *cause)
{
	lvmhost_stamp(&sr->ctx->arena, stamp, cause);
}

int lvm_commit_now(struct sr *sr, const char *cause)
{
	struct lvm_vg *vg = lvm_of(sr)->vg;
	struct lvm_stamp stamp;
	int err;

	lvm_fill_stamp(sr, &stamp, cause);
	err = lvm_vg_commit(vg, &stamp);	/* commit */
	if (err == -E_LVM_FULL)
		hint(sr->ctx, "the metadata area has no room for more volumes: delete some");
	return err ? fail(sr->ctx, err, "VG %s%s%s", vg->name, vg->refuse_why ? ": " : "",
			  vg->refuse_why ? vg->refuse_why : "") : 0;
}

static int lvm_stat(struct sr *sr, struct sr_info *info)
{
	const struct lvm_vg *vg = lvm_of(sr)->vg;

	info->size = lvm_vg_extents(vg) * lvm_extent_bytes(vg);
	info->used = info->size - lvm_vg_free(vg) * lvm_extent_bytes(vg);
	return 0;
}

static int lvm_describe(struct sr *sr, const struct vdi *vdi)
{
	struct vdi whole;
	int err = lvm_vdi_find(sr, &vdi->uuid, &whole);

	if (err)
		return err;
	if (vdi->name)
		whole.name = vdi->name;
	if (vdi->description)
		whole.description = vdi->description;
	if (vdi->type)
		whole.type = vdi->type;
	return mgt_put(sr, &whole);		/* commit */
}

#define IF_LVHD(fn)	(IS_ENABLED(CONFIG_LVHD) ? (fn) : NULL)

const struct layout layout_lvm = {
	.name = "lvm",
	.unit = EXTENT,
	.create = lvm_create,
	.destroy = lvm_destroy,
	.probe = lvm_probe,
	.open = lvm_open,
	.close = lvm_close,
	.quiesce = lvm_quiesce,
	.rename = mgt_rename,
	.stat = lvm_stat,
	.list = lvm_vdi_list,
	.find = lvm_vdi_find,
	.volume_create = lvm_volume_create,
	.volume_delete = lvm_volume_delete,
	.volume_resize = lvm_volume_resize,
	.volume_describe = lvm_describe,
	.children = IF_LVHD(lvhd_children),
	.volume_split = IF_LVHD(lvhd_volume_split),
	.split_space = IF_LVHD(lvhd_split_space),
	.volume_compose = IF_LVHD(lvhd_volume_compose),
	.volume_hide = IF_LVHD(lvhd_volume_hide),
	.volume_io = IF_LVHD(lvhd_volume_io),
	.volume_map = lvm_volume_map,
	.check = lvm_sr_check,
};
