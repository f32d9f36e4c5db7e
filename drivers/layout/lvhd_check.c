/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sr check of VHD disks: what their heads do not show.  That open() has dealt
 * with journals, and that trees hang together (sm/check.c), is known already.
 */
#include <string.h>

#include "drivers/layout/lvhd.h"
#include "drivers/sr.h"
#include "drivers/vdi.h"
#include "lib/err.h"
#include "lib/lvhd/journal.h"
#include "lib/lvm2/lv_io.h"
#include "lib/lvm2/ops.h"

static void tell(struct sr *sr, struct vdis *found, const char *object, bool error,
		 const char *what, const char *repair)
{
	struct arena *a = &sr->ctx->arena;

	vdis_problem(a, found, &(struct problem){
		.object = arena_strdup(a, object), .what = what, .repair = repair,
		.severity = error ? "error" : "warning" });
}

/* Has the LV room for what the image says that it holds? */
static void check_end(struct sr *sr, const struct lvm_lv *lv, const struct vdi *vdi,
		      struct vdis *found)
{
	struct arena *a = &sr->ctx->arena;
	uint64_t bytes = lvm_lv_bytes(lvm_of(sr)->vg, lv);
	_io_close_ struct io *io = NULL;
	_vhd_close_ struct vhd *v = NULL;
	int err = lvm_lv_io(&io, lvm_of(sr)->vg, lv);

	if (!err)
		err = vhd_open(&v, io, 0);
	if (err)
		tell(sr, found, vdi->uuid.s, true, arena_printf(a, "%s: %s", lv->name, err_text(err)),
		     NULL);
	else if (v->n_bad)
		tell(sr, found, vdi->uuid.s, true,
		     arena_printf(a, "%u blocks of the image lie where %s, of %llu bytes, has no room",
				  v->n_bad, lv->name, (unsigned long long)bytes), NULL);
}

/* An inner node is never written. */
static int check_mark(struct sr *sr, struct lvm_lv *lv, const struct vdi *vdi, bool repair,
		      struct vdis *found, bool *changed)
{
	int err;

	if (!vdi->hidden || !(lv->flags & LVM_LV_WRITE))
		return 0;
	if (!repair || lvhd_idle(sr, lv)) {
		fail_clear(sr->ctx);
		tell(sr, found, vdi->uuid.s, false, "hidden, and its LV can be written to",
		     "make the LV read-only");
		return 0;
	}
	err = lvm_lv_set_writable(lvm_of(sr)->vg, lv, false);
	*changed |= !err;
	return err ? fail(sr->ctx, err, "%s", lv->name) : 0;
}

/* Is none of the disks there of which it speaks? */
static bool speaks_of_nothing(struct lvhd *h, const struct lvhd_journal *j)
{
	enum lvhd_kind kind;

	return !j->err && !lvhd_find(h, &j->id, &kind) &&
	       (!j->base.s[0] || !lvhd_find(h, &j->base, &kind)) &&
	       (!j->clone.s[0] || !lvhd_find(h, &j->clone, &kind)) &&
	       !lvm_lv_find(h->vg, lvhd_name(h->arena, LVHD_OLD, &j->id));
}

static int check_journals(struct sr *sr, bool repair, struct vdis *found, bool *changed)
{
	struct lvhd_journal *j;
	struct lvhd h;
	size_t n;
	int err;

	lvhd_bind(sr, &h);
	err = lvhd_journals(&h, &j, &n);
	for (size_t i = 0; i < n && !err; i++) {
		bool nothing = speaks_of_nothing(&h, &j[i]);
		bool later = !j[i].err && !j[i].resize && j[i].type >= LVHD_COALESCE;

		if (repair && nothing) {
			err = lvm_lv_remove(h.vg, j[i].lv);
			*changed |= !err;
			continue;
		}
		tell(sr, found, j[i].lv->name, !later, nothing ? "a journal of disks that are gone" :
		     later ? "a collector has not finished, or is at work on another host" :
		     "an interrupted operation can neither be finished nor undone: the log says why",
		     nothing ? "remove it" : NULL);
	}
	return err;
}

int lvhd_check(struct sr *sr, bool repair, struct vdis *found)
{
	bool changed = false;
	int err = check_journals(sr, repair, found, &changed);

	lvhd_compose_check(sr, found);
	for (size_t i = 0; i < found->n && !err; i++) {
		const struct vdi *vdi = &found->v[i];
		struct lvm_lv *lv = lvm_lv_find(lvm_of(sr)->vg, vdi->volume);

		if (!lv || lv->partial)	/* removed as garbage just now; list() has told the other */
			continue;
		if (!strcmp(vdi->format, "vhd"))
			check_end(sr, lv, vdi, found);
		err = check_mark(sr, lv, vdi, repair, found, &changed);
	}
	if (!err && changed)
		err = lvm_commit_now(sr, "sr check");		/* commit */
	return err == -E_LVM_HALF ? 0 : err;
}
