/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Thin disks that take space of the VG as they fill (live_growth=true).
 *
 * In this order: the footer where the end will be, in extents that are nobody's
 * until then; the metadata of the VG (commit); the table of the LV's device; and
 * only after that its server makes blocks behind the old end.  A death between
 * leaves an LV that is larger than its device, or its server, knows: a VHD of that
 * size, since the last sector of it is a footer already, while what was the end is
 * space like any other.  Who uses the disk next gets the table that it should have,
 * and a detach takes back what was not needed.
 */
#include <string.h>

#include "drivers/layout.h"
#include "drivers/layout/lvhd.h"
#include "drivers/sr.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/lvm2/ops.h"

bool lvhd_grows(struct sr *sr)
{
	return kv_is(&sr->dconf, "live_growth", "true") && !lvhd_is_thick(sr);
}

/* By the image itself, which nobody writes. */
static int find_held(struct lvhd *h, const struct lvm_lv *lv, uint64_t *held)
{
	_io_close_ struct io *io = NULL;
	_vhd_close_ struct vhd *v = NULL;
	int err = lvhd_open(h, lv, 0, &io, &v);

	if (!err)
		*held = vhd_physical_size(v);
	return err;
}

/* What there is, if that is less than it should be. */
static uint64_t can_have(struct lvhd *h, const struct lvm_lv *lv, uint64_t want)
{
	uint64_t now = lvm_lv_bytes(h->vg, lv), spare = lvm_vg_free(h->vg) * lvm_extent_bytes(h->vg);

	if (want <= now)
		return now;
	spare -= spare % LVHD_UNIT;
	return want - now > spare ? now + spare : want;
}

static int give(struct sr *sr, struct lvhd *h, struct lvm_lv *lv, const struct vdi *vdi, uint64_t held,
		bool used)
{
	uint64_t full = lvhd_size_full(vdi->virtual_size), now = lvm_lv_bytes(h->vg, lv);
	uint64_t want = lvhd_size_lv(held + lvhd_size_ahead(held)), to;
	int err;

	want = want < full ? want : full;
	to = can_have(h, lv, want);
	if (to <= now)		/* one that has been attached can be read, and what it holds be written */
		return used && want > now ? -E_LVM_NO_SPACE : 0;
	/* A server has died, or was left alone in a pause: the next one asks as soon as it has it open. */
	if (!used && h->in_use(h->arg, lv) >= LVHD_ACTIVE)
		return 0;
	err = used ? lvhd_grow_used(h, lv, to) : lvhd_grow(h, lv, to);
	if (!err)
		err = lvm_commit_now(sr, used ? "vdi grow" : "vdi attach");	/* commit */
	return err == -E_LVM_HALF ? 0 : err;
}

int lvhd_volume_grow(struct sr *sr, const struct vdi *vdi, uint64_t held, uint64_t *size)
{
	struct lvm_lv *lv = lvm_lv_find(lvm_of(sr)->vg, vdi->volume);
	bool used = held;
	struct lvhd h;
	int err;

	/* Who asks has no more than he was left: whatever dconf said when he was started. */
	if ((!used && !lvhd_grows(sr)) || strcmp(vdi->format, "vhd"))
		return used ? -E_UNSUPPORTED : lvhd_volume_inflate(sr, vdi);
	err = lv ? lvhd_begin(sr, &vdi->uuid, &h) : fail(sr->ctx, -E_VDI_MISSING, "%s", vdi->volume);
	if (err)
		return err;
	if (!used)
		err = find_held(&h, lv, &held);
	if (!err)
		err = give(sr, &h, lv, vdi, held, used);
	if (err)
		return lvhd_failed(sr, &h, err);
	*size = lvm_lv_bytes(h.vg, lv);
	return used ? lvm_device_reload(sr, vdi, false) : 0;
}
