/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sr check on LVM: what the metadata says of itself, and whether MGT can be read. */
#include <errno.h>
#include <string.h>

#include "drivers/devices.h"
#include "drivers/layout.h"
#include "drivers/layout/lvhd.h"
#include "drivers/layout/lvm.h"
#include "drivers/sr.h"
#include "lib/err.h"
#include "lib/lvm2/check.h"
#include "lib/lvm2/ops.h"

/* A new head in the place of one that cannot be read. */
static int repair_mgt(struct sr *sr)
{
	struct lvm_sr *l = lvm_of(sr);
	int err = mgt_mend(sr);

	l->mgt_tried = false;
	return err ? err : mgt_read_head(sr);
}

/* What list() has told of it is mended. */
static void forget_mgt(struct vdis *found)
{
	size_t n = 0;

	for (size_t i = 0; i < found->n_problems; i++)
		if (strcmp(found->problems[i].object, MGT_NAME))
			found->problems[n++] = found->problems[i];
	found->n_problems = n;
}

/* Is it about the SR, or about somebody else's disk that was looked at on the way? */
static bool is_ours(const struct lvm_sr *all, const char *object, const char *vg)
{
	size_t n = strlen(vg);

	if (!strncmp(object, vg, n) && (!object[n] || object[n] == '/'))
		return true;
	for (size_t i = 0; i < all->set.n_devs; i++)
		if (!strcmp(all->dev[i].path, object))
			return lvm_is_of(all, &all->dev[i], vg);
	return false;
}

/* All devices of the host: a second device of a PV, a second VG of that name. */
static int check_metadata(struct sr *sr, struct vdis *found)
{
	const struct lvm_vg *vg = lvm_of(sr)->vg;
	struct arena *a = &sr->ctx->arena;
	struct lvm_sr all = { .lock = -1, .global = -1, .verify = true };
	int n = devices_search(sr, true), err;

	if (n < 0)
		return n;
	lvm_read(sr, &all);
	for (const struct lvm_finding *f = lvm_check(&all.set); f; f = f->next)
		if (f->severity != LVM_NOTE && is_ours(&all, f->object, vg->name))
			vdis_problem(a, found, &(struct problem){
				.object = f->object, .what = f->what, .repair = f->repair,
				.severity = lvm_severity_name(f->severity) });
	err = lvm_vg_may_change(vg, true);
	if (err && !vg->refuse) {		/* a mark on it, and nothing that the scan has met */
		lvm_refused(sr, vg, err);
		vdis_problem(a, found, &(struct problem){
			.object = vg->name, .what = arena_strdup(a, sr->ctx->why),
			.severity = lvm_may_use(vg) ? "error" : "warning" });
		fail_clear(sr->ctx);
	}
	return 0;
}

int lvm_take_back(struct sr *sr)
{
	int n = lvm_vg_restore_missing(lvm_of(sr)->vg), err;

	if (n <= 0)
		return 0;		/* lvm_sr_check() says why */
	err = lvm_commit_now(sr, "sr check --repair");		/* commit */
	return err ? err : lvm_reload(sr);
}

int lvm_sr_check(struct sr *sr, bool repair, struct vdis *found)
{
	int err = check_metadata(sr, found);

	repair = repair && !lvm_vg_may_change(lvm_of(sr)->vg, true);
	/* Of an MGT that cannot be read list() has told already. */
	if (!err && repair && mgt_read_head(sr) == -E_DAMAGED) {
		forget_mgt(found);
		err = repair_mgt(sr);
	}
	if (!err && IS_ENABLED(CONFIG_LVHD))
		err = lvhd_check(sr, repair, found);
	return err;
}
