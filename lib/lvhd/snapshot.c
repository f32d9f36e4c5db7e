/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/err.h"
#include "lib/lvhd/journal.h"
#include "lib/lvm2/ops.h"

/* A disk about to be snapshotted, and its image if it has one. */
struct subject {
	struct lvm_lv *lv;
	enum lvhd_kind kind;
	struct io *io;
	struct vhd *v;
};

static void close_subject(struct subject *s)
{
	vhd_close(s->v);
	io_close(s->io);
}
#define _subject_close_ __attribute__((cleanup(close_subject)))

static int open_subject(struct lvhd *h, const struct uuid *u, int flags, struct subject *s)
{
	int err = 0;

	s->lv = lvhd_find(h, u, &s->kind);
	if (!s->lv)
		return -E_VDI_MISSING;
	if (s->kind == LVHD_VHD)
		return lvhd_open(h, s->lv, flags, &s->io, &s->v);
	if (flags & VHD_RDWR && h->in_use && s->lv != h->held)
		err = h->in_use(h->arg, s->lv);
	if (err > 0) {
		err = -E_VDI_IN_USE;
		h->why = s->lv->name;
	}
	return err;
}

static uint64_t virtual_size(const struct lvhd *h, const struct subject *s)
{
	return s->v ? s->v->footer.size : lvm_lv_bytes(h->vg, s->lv);
}

static uint64_t new_size(const struct lvhd *h, const struct subject *s, bool thick, uint64_t ahead)
{
	uint64_t full = lvhd_size_full(virtual_size(h, s)), thin = lvhd_size_thin();

	return thick || full - thin < ahead ? full : thin + lvhd_size_lv(ahead);
}

/* Two units more than the leaves, as upstream asks for: one is the journal. */
int lvhd_snapshot_space(struct lvhd *h, const struct lvhd_snapshot *s, uint64_t *need,
			uint64_t *gain)
{
	_subject_close_ struct subject of = { 0 };
	int err = open_subject(h, &s->leaf, 0, &of);

	if (err)
		return err;
	*need = new_size(h, &of, s->thick_leaf, s->leaf_ahead) + 2 * LVHD_UNIT;
	if (s->clone.s[0])
		*need += new_size(h, &of, s->thick_clone, 0);
	*gain = of.v ? lvm_lv_bytes(h->vg, of.lv) - lvhd_deflated_size(h, of.lv, of.v) : 0;
	return 0;
}

/* A child of what will be the base, under another name as long as the old leaf has its own. */
static int new_leaf(struct lvhd *h, const struct lvhd_snapshot *s, const struct subject *of,
		    const struct uuid *u, uint64_t bytes, struct lvm_lv **lv)
{
	struct lvhd_create c = {
		.uuid = *u, .parent = of->lv, .image = of->v, .lv_bytes = bytes,
		.parent_name = lvhd_name(h->arena, of->kind, &s->base),
		.name = lvhd_name(h->arena, LVHD_OLD, u),
	};

	return lvhd_create(h, &c, lv);
}

/*
 * What the base lets go of is given to nobody before it has been committed.  When
 * a guest waits, that is for later, and so is looking at what was written last.
 */
static int make_base(struct lvhd *h, struct subject *of, bool shrink)
{
	int err = 0;

	if (of->kind == LVHD_RAW)
		err = lvm_lv_tag(h->vg, of->lv, LVHD_TAG_HIDDEN, true);
	else if (shrink)
		err = lvhd_shrink_open(h, of->lv, of->v, lvhd_deflated_size(h, of->lv, of->v));
	return err ? err : lvm_lv_set_writable(h->vg, of->lv, false);
}

/*
 * All of it is one commit: the new name, the new leaves, and, since an image can
 * be hidden only afterwards, the journal by which that is not forgotten.  A
 * base hidden before would be a leaf that any collector takes away.
 */
int lvhd_snapshot(struct lvhd *h, struct lvhd_snapshot *s)
{
	_subject_close_ struct subject of = { 0 };
	struct lvm_lv *leaf = NULL, *clone = NULL;
	enum lvhd_kind kind;
	int err = open_subject(h, &s->leaf, s->hold ? 0 : VHD_RDWR, &of);

	if (!err && (lvhd_find(h, &s->base, &kind) ||
		     (s->clone.s[0] && lvhd_find(h, &s->clone, &kind))))
		err = -E_VDI_EXISTS;
	if (!err)
		err = new_leaf(h, s, &of, &s->leaf, new_size(h, &of, s->thick_leaf, s->leaf_ahead), &leaf);
	if (!err && s->clone.s[0])
		err = new_leaf(h, s, &of, &s->clone, new_size(h, &of, s->thick_clone, 0), &clone);
	s->shrink_later = s->hold;
	if (!err && s->hold)
		err = s->hold(s->hold_arg);
	if (!err)
		err = lvm_lv_rename(h->vg, of.lv, lvhd_name(h->arena, of.kind, &s->base));
	if (!err)
		err = lvm_lv_rename(h->vg, leaf, lvhd_name(h->arena, LVHD_VHD, &s->leaf));
	if (!err && clone)
		err = lvm_lv_rename(h->vg, clone, lvhd_name(h->arena, LVHD_VHD, &s->clone));
	if (!err && of.kind == LVHD_VHD)
		err = lvhd_journal_add(h, LVHD_CLONE, &s->leaf,
				       arena_printf(h->arena, "%s_%s", s->base.s, s->clone.s));
	return err ? err : make_base(h, &of, !s->shrink_later);
}

int lvhd_snapshot_end(struct lvhd *h, const struct lvhd_snapshot *s, bool *more)
{
	enum lvhd_kind kind;
	struct lvm_lv *base = lvhd_find(h, &s->base, &kind);
	int err;

	*more = false;
	if (!base)
		return -E_VDI_MISSING;
	if (kind == LVHD_RAW)
		return 0;
	err = lvhd_set_hidden(h, base, true);
	if (!err && s->shrink_later)
		err = lvhd_shrink(h, base, 0);
	if (!err)
		err = lvhd_journal_drop(h, LVHD_CLONE, &s->leaf);
	*more = !err;
	return err;
}
