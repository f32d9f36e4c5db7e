/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sr check on LVM: what the metadata says of itself, and whether MGT can be read. */
#include <errno.h>
#include <string.h>

#include "drivers/layout.h"
#include "drivers/layout/lvhd.h"
#include "drivers/layout/lvm.h"
#include "drivers/sr.h"
#include "lib/err.h"
#include "lib/lvm2/check.h"

/* A new MGT in the place of one that cannot be read: the names are lost already. */
static int repair_mgt(struct sr *sr)
{
	struct lvm_sr *l = lvm_of(sr);
	int err = mgt_format(sr, l->vg);

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

int lvm_sr_check(struct sr *sr, bool repair, struct vdis *found)
{
	struct lvm_sr *l = lvm_of(sr);
	struct arena *a = &sr->ctx->arena;
	int err = mgt_read_head(sr);

	for (const struct lvm_finding *f = lvm_check(&l->set); f; f = f->next)
		if (f->severity != LVM_NOTE)
			vdis_problem(a, found, &(struct problem){
				.object = f->object, .what = f->what, .repair = f->repair,
				.severity = lvm_severity_name(f->severity) });
	/* Of an MGT that cannot be read list() has told already. */
	if (repair && err == -E_DAMAGED) {
		forget_mgt(found);
		err = repair_mgt(sr);
		if (err)
			return err;
	}
	return IS_ENABLED(CONFIG_LVHD) ? lvhd_check(sr, repair, found) : 0;
}
