/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Volumes as logical volumes of one VG, in upstream's layout.
 *
 *	VG_XenStorage-<SR>	the VG, extents of 4 MiB
 *	  MGT			names of the SR and its VDIs (lib/mgt.h); at its end, once
 *				something was locked, locks (lib/lease_area.h)
 *	  LV-<uuid>		a raw disk
 *	  VHD-<uuid>		an image
 *
 * Opening reads the VG once under lvm2's own lock, which is held until the SR
 * is closed: exclusively for verbs that change it, shared for the others.  The
 * commit of the metadata is the commit of every change.
 */
#include <errno.h>
#include <string.h>

#include "drivers/keep.h"
#include "drivers/layout.h"
#include "drivers/layout/lvhd.h"
#include "drivers/layout/lvm.h"
#include "drivers/lease.h"
#include "drivers/sr.h"
#include "lib/err.h"
#include "lib/lvm2/ops.h"

struct lvm_sr *lvm_of(struct sr *sr)
{
	return sr->layout_data;
}

const char *lvm_volume_format(const char *lv, struct uuid *u)
{
	const char *format = !strncmp(lv, "LV-", 3) ? "raw" : !strncmp(lv, "VHD-", 4) ? "vhd" : NULL;

	return format && !uuid_parse(u, strchr(lv, '-') + 1) ? format : NULL;
}

/* A dry run leaves no lock file behind; it reads as well without. */
static int lvm_enter(struct sr *sr, bool recover)
{
	struct lvm_sr *l = lvm_new(sr);

	return sr->ctx->dry_run ? 0 : lvm_lock(sr, l, !recover);
}

static int lvm_open(struct sr *sr, bool recover)
{
	struct lvm_sr *l = lvm_of(sr);
	int err = lvm_find(sr, l, arena_printf(&sr->ctx->arena, VG_PREFIX "%s", sr->uuid.s));

	if (!err)
		err = lvm_get(sr, l);
	if (IS_ENABLED(CONFIG_SHARED_SR) && !err && recover && sr->shared && !lvm_vg_may_change(l->vg, true)) {
		err = sr_enter(sr);
		if (!err)
			err = lvm_reload(sr);	/* as it is now that nobody else changes it */
	}
	if (!err && recover)
		err = lvm_grow(sr);
	if (err)
		return err;
	if (!mgt_read_head(sr)) {
		sr->name = l->mgt.name;
		sr->description = l->mgt.description;
	}
	fail_clear(sr->ctx);
	if (!recover || lvm_vg_may_change(l->vg, true))
		return 0;
	if (IS_ENABLED(CONFIG_LVHD))
		err = lvhd_recover(sr);
	if (!err && IS_ENABLED(CONFIG_LVHD))
		err = lvhd_compose_recover(sr);
	return err ? err : mgt_recover(sr);
}

int lvm_reload(struct sr *sr)
{
	lvm_read(sr, lvm_of(sr));
	return lvm_get(sr, lvm_of(sr));
}

static void lvm_close(struct sr *sr)
{
	if (lvm_of(sr))
		lvm_unlock(lvm_of(sr));
}

int lvm_stat(struct sr *sr, struct sr_info *info)
{
	const struct lvm_vg *vg = lvm_of(sr)->vg;

	info->size = lvm_vg_extents(vg) * lvm_extent_bytes(vg);
	info->used = info->size - lvm_vg_free(vg) * lvm_extent_bytes(vg);
	return 0;
}

static int lvm_describe(struct sr *sr, const struct vdi *vdi)
{
	struct vdi whole;
	int err = lvm_vg_may_change(lvm_of(sr)->vg, true);

	if (err)
		return lvm_refused(sr, lvm_of(sr)->vg, err);
	err = lvm_vdi_find(sr, &vdi->uuid, &whole);
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

static int lvm_introduce(struct sr *sr, const struct vdi *vdi)
{
	int err = lvm_vg_may_change(lvm_of(sr)->vg, true);

	if (err)
		return lvm_refused(sr, lvm_of(sr)->vg, err);
	return mgt_has(sr, &vdi->uuid) ? 0 : mgt_put(sr, vdi);	/* commit */
}

#define IF_LVHD(fn)	(IS_ENABLED(CONFIG_LVHD) ? (fn) : NULL)
#define IF_GC(fn)	(IS_ENABLED(CONFIG_LVHD) && IS_ENABLED(CONFIG_GC) ? (fn) : NULL)

const struct layout layout_lvm = {
	.name = "lvm",
	.unit = EXTENT,
	.create = lvm_create,
	.may_create = lvm_may_create,
	.destroy = lvm_destroy,
	.probe = lvm_probe,
	.usable = lvm_usable,
	.lock = lvm_enter,
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
	.volume_introduce = lvm_introduce,
	.volume_describe = lvm_describe,
	.children = IF_LVHD(lvhd_children),
	.volume_split = IF_LVHD(lvhd_volume_split),
	.split_space = IF_LVHD(lvhd_split_space),
	.volume_compose = IF_LVHD(lvhd_volume_compose),
	.volume_hide = IF_LVHD(lvhd_volume_hide),
	.volume_io = IF_LVHD(lvhd_volume_io),
	.merge_begin = IF_GC(lvhd_merge_begin),
	.merge_copied = IF_GC(lvhd_merge_copied),
	.merge_end = IF_GC(lvhd_merge_end),
	.merge_leaf = IF_GC(lvhd_merge_leaf),
	.leaf_room = IS_ENABLED(CONFIG_GC_FORECAST) ? IF_GC(lvhd_leaf_room) : NULL,
	.merge_journals = IF_GC(lvhd_merge_journals),
	.merge_forget = IF_GC(lvhd_merge_forget),
	.volume_map = lvm_volume_map,
	.volume_of_device = IF_LVHD(lvm_volume_of_device),
	.volume_used = lvm_volume_used,
	.volume_inflate = IF_LVHD(lvhd_volume_inflate),
	.volume_grow = IS_ENABLED(CONFIG_LVM_THIN_GROW) ? lvhd_volume_grow : NULL,
	.volume_deflate = IF_LVHD(lvhd_volume_deflate),
	.check = lvm_sr_check,
	.take_back = lvm_take_back,
	.backup = IS_ENABLED(CONFIG_CHECK_BACKUP) ? &lvm_backup : NULL,
	.leases = IS_ENABLED(CONFIG_LVM_LOCKS) ? &lvm_leases : NULL,
	.logs = IS_ENABLED(CONFIG_LVM_CBT) ? &lvhd_logs : NULL,
};
