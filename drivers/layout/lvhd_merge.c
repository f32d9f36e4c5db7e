/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Images in LVs merged into their parents.
 *
 * The parent gets the room it may need in the commit that makes the journal, and
 * lets go of what it did not need in the one that takes the journal away.  A death
 * between leaves a parent that is too large, which the next collector puts right.
 *
 * A leaf's last step: a journal (commit); the parent visible, which its image
 * says; then in one commit the parent has the leaf's name, the leaf and the
 * journal are gone.  Before that commit lvhd_recover() undoes it by the journal,
 * as upstream does.
 */
#include <string.h>

#include "drivers/layout.h"
#include "drivers/layout/lvhd.h"
#include "drivers/sr.h"
#include "drivers/vdi.h"
#include "lib/err.h"
#include "lib/lvhd/journal.h"
#include "lib/lvm2/ops.h"
#include "lib/vhd/resize.h"

static struct lvm_lv *lv_of(struct sr *sr, const struct vdi *vdi)
{
	return lvm_lv_find(lvm_of(sr)->vg, vdi->volume);
}

/* Committed, though not every copy of the metadata could be brought up to date. */
static int commit(struct sr *sr)
{
	int err = lvm_commit_now(sr, "gc");			/* commit */

	return err == -E_LVM_HALF ? 0 : err;
}

static int begin(struct sr *sr, struct lvhd *h, bool only_removal)
{
	int err;

	lvhd_bind(sr, h);
	err = lvm_vg_may_change(h->vg, only_removal);
	return err ? lvm_refused(sr, h->vg, err) : 0;
}

static int both_idle(struct sr *sr, const struct lvm_lv *lv, const struct lvm_lv *parent)
{
	int err = lv && parent ? lvhd_idle(sr, lv) : fail(sr->ctx, -E_VDI_MISSING, "its volume");

	return err ? err : lvhd_idle(sr, parent);
}

/* --- hidden ones ------------------------------------------------------------------ */

/* The tables of such images are made for the largest size there is. */
static int grow_image(struct lvhd *h, struct lvm_lv *lv, uint64_t virtual_size)
{
	_io_close_ struct io *io = NULL;
	_vhd_close_ struct vhd *v = NULL;
	int err = lvhd_open(h, lv, VHD_RDWR, &io, &v);

	return err ? err : vhd_resize(v, virtual_size, NULL);
}

int lvhd_merge_begin(struct sr *sr, const struct vdi *vdi, struct vdi *parent, uint64_t more)
{
	struct lvm_lv *lv = lv_of(sr, vdi), *to = lv_of(sr, parent);
	bool vhd = strcmp(parent->format, "raw");
	struct lvhd h;
	int err = begin(sr, &h, false);

	if (!err)
		err = both_idle(sr, lv, to);
	if (err)
		return err;
	if (!vhd && lvm_lv_bytes(h.vg, to) < vdi->virtual_size)
		return fail_say(sr->ctx, -E_UNSUPPORTED, "%s is a raw volume, and smaller", to->name);
	if (vdi->hidden)
		err = lvhd_journal_add(&h, LVHD_COALESCE, &vdi->uuid, "1");
	if (!err && vhd && more)
		err = lvhd_grow(&h, to, lvm_lv_bytes(h.vg, to) + more);
	if (!err)
		err = lvm_lv_set_writable(h.vg, to, true);
	if (err)
		return lvhd_failed(sr, &h, err);
	err = commit(sr);
	if (!err && vhd && parent->virtual_size < vdi->virtual_size) {
		err = grow_image(&h, to, vdi->virtual_size);
		if (err)
			return lvhd_failed(sr, &h, err);
		parent->virtual_size = vdi->virtual_size;
	}
	return err;
}

int lvhd_merge_copied(struct sr *sr, const struct vdi *vdi)
{
	struct lvhd h;
	int err = begin(sr, &h, false);

	if (err)
		return err;
	err = lvhd_journal_add(&h, LVHD_RELINK, &vdi->uuid, "1");
	if (!err)
		err = lvhd_journal_drop(&h, LVHD_COALESCE, &vdi->uuid);
	return err ? lvhd_failed(sr, &h, err) : commit(sr);
}

static int settle(struct lvhd *h, struct lvm_lv *to, bool vhd)
{
	int err = vhd && !h->in_use(h->arg, to) ? lvhd_shrink(h, to, 0) : 0;

	return err ? err : lvm_lv_set_writable(h->vg, to, false);
}

int lvhd_merge_end(struct sr *sr, const struct vdi *vdi, const struct vdi *parent)
{
	struct lvm_lv *to = lv_of(sr, parent);
	struct lvhd h;
	int err = begin(sr, &h, false);

	if (err)
		return err;
	err = to ? settle(&h, to, strcmp(parent->format, "raw")) : 0;
	if (!err)
		err = lvhd_journal_drop(&h, LVHD_COALESCE, &vdi->uuid);
	if (!err)
		err = lvhd_journal_drop(&h, LVHD_RELINK, &vdi->uuid);
	return err ? lvhd_failed(sr, &h, err) : commit(sr);
}

int lvhd_merge_forget(struct sr *sr, const struct uuid *vdi)
{
	struct lvhd h;
	int err = begin(sr, &h, true);

	if (err)
		return err;
	err = lvhd_journal_drop(&h, LVHD_COALESCE, vdi);
	if (!err)
		err = lvhd_journal_drop(&h, LVHD_RELINK, vdi);
	return err ? lvhd_failed(sr, &h, err) : commit(sr);
}

int lvhd_merge_journals(struct sr *sr, struct merge_journal **v, size_t *n)
{
	struct lvhd_journal *j;
	struct lvhd h;
	size_t n_all;
	int err;

	*n = 0;
	lvhd_bind(sr, &h);
	err = lvhd_journals(&h, &j, &n_all);
	if (err)
		return lvhd_failed(sr, &h, err);
	*v = arena_array(h.arena, n_all, sizeof(**v));
	for (size_t i = 0; i < n_all; i++)
		if (!j[i].resize && (j[i].type == LVHD_COALESCE || j[i].type == LVHD_RELINK))
			(*v)[(*n)++] = (struct merge_journal){
				.vdi = j[i].id, .relink = j[i].type == LVHD_RELINK,
			};
	return 0;
}

/* --- a leaf ----------------------------------------------------------------------- */

/* All but the leaf's data, which is in the parent already. */
static int take_place(struct lvhd *h, struct lvm_lv *lv, struct lvm_lv *to, const struct vdi *leaf,
		      enum lvhd_kind kind)
{
	int err = lvm_lv_set_writable(h->vg, to, true);

	if (!err)
		err = lvm_lv_remove(h->vg, lv);
	if (!err)
		err = lvm_lv_rename(h->vg, to, lvhd_name(h->arena, kind, &leaf->uuid));
	return err ? err : lvhd_journal_drop(h, LVHD_LEAF, &leaf->uuid);
}

/* It asks for what it needs. */
static bool asks(struct sr *sr, const struct vdi *leaf)
{
	return IS_ENABLED(CONFIG_LVM_THIN_GROW) && leaf->at.active && leaf->at.grows && lvhd_grows(sr);
}

/* The space that a thick disk has; without it is given when the disk is attached. */
uint64_t lvhd_leaf_room(struct sr *sr, const struct vdi *leaf)
{
	bool thick = (leaf->at.active && leaf->at.writable) ||
		(lvhd_is_thick(sr) && !leaf->snapshot_of.s[0]);

	return thick && !asks(sr, leaf) ? lvhd_size_full(leaf->virtual_size) : 0;
}

/*
 * A guest that waits has it again before anybody else can take what has just become free.
 * A plan has counted it: if it is not there all the same, the disk has what it holds.
 */
static int give_room(struct sr *sr, struct lvhd *h, struct lvm_lv *lv, const struct vdi *leaf)
{
	uint64_t room = lvhd_leaf_room(sr, leaf);
	int err;

	if (asks(sr, leaf))
		return 0;
	err = room ? lvhd_grow(h, lv, room) : lvhd_shrink(h, lv, 0);

	return err == -E_LVM_NO_SPACE ? 0 : err ? lvhd_failed(sr, h, err) : commit(sr);
}

int lvhd_merge_leaf(struct sr *sr, const struct vdi *leaf, const struct vdi *parent,
		    void (*go)(void *arg), void *arg)
{
	struct lvm_lv *lv = lv_of(sr, leaf), *to = lv_of(sr, parent);
	enum lvhd_kind kind = strcmp(parent->format, "raw") ? LVHD_VHD : LVHD_RAW;
	struct vdi new = *leaf;
	struct lvhd h;
	int err = begin(sr, &h, false);

	if (!err)
		err = both_idle(sr, lv, to);
	if (err)
		return err;
	err = lvhd_journal_add(&h, LVHD_LEAF, &leaf->uuid, parent->uuid.s);
	if (err)
		return lvhd_failed(sr, &h, err);
	err = commit(sr);
	if (err)
		return err;
	err = lvhd_set_hidden(&h, to, false);
	if (!err)
		err = take_place(&h, lv, to, leaf, kind);
	if (err)
		return lvhd_failed(sr, &h, err);
	err = commit(sr);					/* commit */
	if (!err && kind == LVHD_VHD)
		err = give_room(sr, &h, to, leaf);
	if (!err && go)
		go(arg);
	new.format = parent->format;
	if (!err && kind == LVHD_RAW)
		err = mgt_put(sr, &new);
	return err ? err : mgt_delete(sr, &parent->uuid);
}
