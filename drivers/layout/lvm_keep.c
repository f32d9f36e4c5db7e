/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What sr check --repair may overwrite of a VG, beside the images: its metadata, and MGT. */
#include <errno.h>
#include <string.h>

#include "drivers/keep.h"
#include "drivers/layout/lvhd.h"
#include "drivers/sr.h"
#include "lib/err.h"
#include "lib/lvm2/backup.h"
#include "lib/lvm2/lv_io.h"
#include "lib/lvm2/ops.h"

/* Where a commit has gone to some of the PVs only, the newest: that is what is there. */
static int keep_text(struct sr *sr, struct keep *k)
{
	const struct lvm_sr *l = lvm_of(sr);
	_buf_free_ struct buf b = { 0 };
	struct lvm_stamp stamp;
	int err = -E_LVM_VG_MISSING;

	lvm_fill_stamp(sr, &stamp, "before sr check --repair");
	for (size_t i = 0; i < l->set.n_found; i++)
		if (l->set.found[i]->vg == l->vg)
			err = lvm_backup_print(&b, l->set.found[i]->best->text, &stamp);
	return err ? fail(sr->ctx, err, "the metadata of %s", l->vg->name) :
		     keep_file(k, "vg", b.p, b.n);
}

static int keep(struct sr *sr, struct keep *k, const struct vdis *all)
{
	const struct lvm_vg *vg = lvm_of(sr)->vg;
	const struct lvm_lv *lv = lvm_lv_find(vg, MGT_NAME);
	_io_close_ struct io *io = NULL;
	int err = keep_text(sr, k);

	(void)all;
	if (err || !lv)
		return err;
	err = lvm_lv_io(&io, vg, lv);
	if (err == -E_LVM_PARTIAL)		/* then nobody can write it */
		return 0;
	return err ? fail(sr->ctx, err, "open " MGT_NAME) : keep_all(k, MGT_NAME, io, MGT_SIZE);
}

static int peek(struct sr *sr, const char *name, struct io **io)
{
	const struct lvm_vg *vg = lvm_of(sr)->vg;
	const struct lvm_lv *lv = lvm_lv_find(vg, name);

	return lv ? lvm_lv_io(io, vg, lv) : -ENOENT;
}

static int is_gone(struct sr *sr)
{
	hint(sr->ctx, "sm vg restore with --from, and the file vg of that folder");
	return fail_say(sr->ctx, -E_VDI_MISSING, "the volume is not there, or smaller than it was");
}

static int kept(struct sr *sr, const char *name, const uint64_t *size, struct io **io)
{
	const struct lvm_vg *vg = lvm_of(sr)->vg;
	const struct lvm_lv *lv = lvm_lv_find(vg, name);
	int err = lvm_vg_may_change(vg, true);

	if (err)
		return lvm_refused(sr, vg, err);
	if (lv && size && lvm_lv_bytes(vg, lv) >= *size) {
		err = IS_ENABLED(CONFIG_LVHD) ? lvhd_idle(sr, lv) : 0;
		return err ? err : lvm_lv_io(io, vg, lv);
	}
	return is_gone(sr);
}

/* A footer of another end would go into the middle.  MGT grows with its first lock, behind what is kept. */
static int fits(struct sr *sr, const char *name, uint64_t size, bool removed)
{
	const struct lvm_vg *vg = lvm_of(sr)->vg;
	const struct lvm_lv *lv = lvm_lv_find(vg, name);

	(void)removed;
	if (!lv || lvm_lv_bytes(vg, lv) < size)
		return is_gone(sr);
	if (!strcmp(name, MGT_NAME) || lvm_lv_bytes(vg, lv) == size)
		return 0;
	return fail_say(sr->ctx, -E_VDI_LOAD, "%.128s has grown since: what was written would be lost", name);
}

const struct keep_ops lvm_backup = { .keep = keep, .peek = peek, .kept = kept, .fits = fits };
