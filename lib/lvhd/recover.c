/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finishing or undoing what a journal speaks of.
 *
 * Whoever wrote it may have died between any two of its steps, and so may we:
 * contents are written first, then one commit changes all names and sizes and
 * takes the journal away.
 */
#include <string.h>

#include "lib/err.h"
#include "lib/lvhd/journal.h"
#include "lib/lvm2/lv_io.h"
#include "lib/lvm2/ops.h"
#include "lib/vhd/check.h"
#include "lib/vhd/open.h"
#include "lib/vhd/parent.h"
#include "lib/vhd/resize.h"

/*
 * While a journal says that the end of an LV was being moved, the footer at the
 * beginning is the one to believe: what lies at the end may be left from
 * another disk.
 */
static int trust_copy(struct lvhd *h, const struct lvm_lv *lv)
{
	struct vhd_footer f;
	_io_close_ struct io *io = NULL;
	char sector[512];
	int err = lvm_lv_io(&io, h->vg, lv);

	if (!err)
		err = io_read(io, 0, sector, sizeof(sector));
	if (err || vhd_footer_decode(&f, sector, sizeof(sector)))
		return err;
	err = io_zero(io, io->size - VHD_SECTOR, VHD_SECTOR);
	return err ? err : io_flush(io);
}

static int check_idle(struct lvhd *h, const struct lvm_lv *lv)
{
	int err = lv && h->in_use ? h->in_use(h->arg, lv) : 0;

	if (err)
		h->why = lv->name;
	return err > 0 ? -E_VDI_IN_USE : err;
}

/* More room for an image, if there is any: it can be had later too. */
static int grow_if_possible(struct lvhd *h, struct lvm_lv *lv)
{
	_io_close_ struct io *io = NULL;
	_vhd_close_ struct vhd *v = NULL;
	uint64_t size;
	int err = lvhd_open(h, lv, VHD_HEADERS, &io, &v);

	if (err)
		return err;
	size = v->footer.size;
	err = lvhd_grow(h, lv, lvhd_size_full(size));
	return err == -E_LVM_NO_SPACE ? 0 : err;
}

/* --- inflate ---------------------------------------------------------------- */

static int undo_inflate(struct lvhd *h, const struct lvhd_journal *j, enum lvhd_result *did)
{
	_io_close_ struct io *io = NULL;
	_vhd_close_ struct vhd *v = NULL;
	enum lvhd_kind kind;
	struct lvm_lv *lv = lvhd_find(h, &j->id, &kind);
	int err = 0;

	*did = LVHD_DROPPED;
	if (lv && kind == LVHD_VHD && lvm_lv_bytes(h->vg, lv) > j->bytes) {
		err = check_idle(h, lv);
		if (!err)
			err = trust_copy(h, lv);
		if (!err)
			err = lvhd_open(h, lv, VHD_RDWR, &io, &v);
		/* Data beyond the old end: it was done, and went on. */
		if (!err && j->bytes >= vhd_physical_size(v))
			err = lvhd_shrink_open(h, lv, v, j->bytes);
		*did = LVHD_UNDONE;
	}
	return err ? err : lvm_lv_remove(h->vg, j->lv);
}

/* --- libvhd's own journal ------------------------------------------------------ */

static int revert(struct lvhd *h, const struct lvhd_journal *j, struct lvm_lv *lv)
{
	_io_close_ struct io *io = NULL;
	_io_close_ struct io *journal = NULL;
	_vhd_close_ struct vhd *v = NULL;
	uint64_t full;
	int bad, err = check_idle(h, lv);

	if (!err)
		err = lvm_lv_io(&io, h->vg, lv);
	if (!err)
		err = lvm_lv_io(&journal, h->vg, j->lv);
	if (err)
		return err;
	bad = vhd_revert(io, journal);
	if (!bad)
		err = trust_copy(h, lv);
	io_close(io);
	io = NULL;
	if (!err)
		err = lvhd_open(h, lv, VHD_RDWR, &io, &v);
	if (err)
		return bad ? bad : err;
	/* A journal that is none, and a sound image: it had not begun, or was over. */
	full = lvhd_size_full(v->footer.size);
	if (full >= lvm_lv_bytes(h->vg, lv) || full < lvhd_deflated_size(h, lv, v))
		return 0;
	return lvhd_shrink_open(h, lv, v, full);
}

static int undo_resize(struct lvhd *h, const struct lvhd_journal *j, enum lvhd_result *did)
{
	enum lvhd_kind kind;
	struct lvm_lv *lv = lvhd_find(h, &j->id, &kind);
	int err = lv && kind == LVHD_VHD ? revert(h, j, lv) : 0;

	*did = lv ? LVHD_UNDONE : LVHD_DROPPED;
	return err ? err : lvm_lv_remove(h->vg, j->lv);
}

/* --- clone -------------------------------------------------------------------- */

/* Does the child's header name a disk that is there? */
static bool has_parent(struct lvhd *h, const struct vhd *v)
{
	struct vhd_parent p;
	struct lvhd_name n;

	if (!vhd_has_parent(v) || vhd_parent(v, h->arena, &p))
		return false;
	for (size_t i = 0; i < p.n; i++)
		if (!lvhd_parent_parse(h->arena, h->vg->name, p.paths[i], &n))
			return lvm_lv_find(h->vg, lvhd_name(h->arena, n.kind, &n.uuid));
	return false;
}

/* 1: the child is whole, 0: it is not, or an error of the disk below. */
static int is_sound(struct lvhd *h, const struct lvm_lv *lv)
{
	struct vhd_findings f = { .arena = h->arena };
	_io_close_ struct io *io = NULL;
	_vhd_close_ struct vhd *v = NULL;
	int err = lvm_lv_io(&io, h->vg, lv);

	if (!err)
		err = vhd_check(io, 0, 0, &f);
	if (err)
		return err;
	return f.worst < VHD_DAMAGE && !vhd_open(&v, io, VHD_HEADERS) && has_parent(h, v);
}

static int remove_child(struct lvhd *h, struct lvm_lv *lv, enum lvhd_kind kind)
{
	if (!lv)
		return 0;
	h->why = lv->name;
	return kind == LVHD_VHD ? lvm_lv_remove(h->vg, lv) : -E_LVHD_JOURNAL;
}

/*
 * The base visible; the rest is one commit.  Its new end may lie in what the
 * children had: they are going, also if we die and it is done again.
 */
static int undo_clone(struct lvhd *h, const struct lvhd_journal *j, struct lvm_lv *base,
		      enum lvhd_kind kind)
{
	enum lvhd_kind of_leaf, of_clone = LVHD_VHD;
	struct lvm_lv *leaf = lvhd_find(h, &j->id, &of_leaf);
	struct lvm_lv *clone = j->clone.s[0] ? lvhd_find(h, &j->clone, &of_clone) : NULL;
	int err = check_idle(h, base);

	if (!err)
		err = check_idle(h, leaf);
	if (!err)
		err = check_idle(h, clone);
	if (!err)
		err = lvm_lv_set_writable(h->vg, base, true);
	if (!err)
		err = lvhd_set_hidden(h, base, false);
	if (!err)
		err = remove_child(h, clone, of_clone);
	if (!err)
		err = remove_child(h, leaf, of_leaf);
	if (!err && kind == LVHD_VHD)
		err = grow_if_possible(h, base);
	if (!err)
		err = lvm_lv_rename(h->vg, base, lvhd_name(h->arena, kind, &j->id));
	return err ? err : lvm_lv_remove(h->vg, j->lv);
}

/* It may be below a disk in use; one that nobody has open was, until somebody died. */
static int finish_clone(struct lvhd *h, const struct lvhd_journal *j, struct lvm_lv *base)
{
	int use = h->in_use ? h->in_use(h->arg, base) : LVHD_IDLE, err;

	if (use == LVHD_OPEN)
		return check_idle(h, base);
	h->held = base;
	err = use < 0 ? use : lvhd_set_hidden(h, base, true);
	h->held = NULL;
	if (!err)
		err = lvm_lv_set_writable(h->vg, base, false);
	return err ? err : lvm_lv_remove(h->vg, j->lv);
}

static int resolve_clone(struct lvhd *h, const struct lvhd_journal *j, enum lvhd_result *did)
{
	enum lvhd_kind kind, of_leaf, of_clone = LVHD_VHD;
	struct lvm_lv *base = lvhd_find(h, &j->base, &kind);
	struct lvm_lv *leaf = lvhd_find(h, &j->id, &of_leaf), *clone;
	int whole = 1;

	*did = LVHD_DROPPED;
	if (!base && leaf)		/* it had not begun, or was undone */
		return lvm_lv_remove(h->vg, j->lv);
	if (!base)
		return -E_LVHD_JOURNAL;
	clone = j->clone.s[0] ? lvhd_find(h, &j->clone, &of_clone) : NULL;
	/* What a guest has written into a raw disk is not looked at. */
	if (!leaf || of_leaf != LVHD_VHD || (j->clone.s[0] && (!clone || of_clone != LVHD_VHD)))
		whole = 0;
	if (whole > 0)
		whole = is_sound(h, leaf);
	if (whole > 0 && clone)
		whole = is_sound(h, clone);
	if (whole < 0)
		return whole;
	*did = whole ? LVHD_FINISHED : LVHD_UNDONE;
	return whole ? finish_clone(h, j, base) : undo_clone(h, j, base, kind);
}

/* --- leaf --------------------------------------------------------------------- */

/* The parent hidden and no larger than it must be, the child visible and with all its room. */
static int restore_pair(struct lvhd *h, struct lvm_lv *parent, enum lvhd_kind kind,
			struct lvm_lv *child)
{
	int err = lvhd_set_hidden(h, parent, true);

	if (!err)
		err = lvhd_set_hidden(h, child, false);
	/* In this order: the parent's end is still the parent's until the commit. */
	if (!err)
		err = grow_if_possible(h, child);
	if (!err && kind == LVHD_VHD)
		err = lvhd_shrink(h, parent, 0);
	return err ? err : lvm_lv_set_writable(h->vg, parent, false);
}

static int undo_leaf(struct lvhd *h, const struct lvhd_journal *j, struct lvm_lv *parent,
		     enum lvhd_kind kind, struct lvm_lv *old)
{
	enum lvhd_kind of_child;
	struct lvm_lv *child = lvhd_find(h, &j->id, &of_child);
	int err = check_idle(h, parent);

	if (!err)
		err = check_idle(h, child);
	if (!err)
		err = check_idle(h, old);
	if (!err && !parent) {			/* it has the child's name */
		parent = child;
		kind = of_child;
		err = parent ? lvm_lv_rename(h->vg, parent, lvhd_name(h->arena, kind, &j->base))
			     : -E_LVHD_JOURNAL;
		child = NULL;
	}
	if (!err && old)
		err = child ? -E_LVHD_JOURNAL
			    : lvm_lv_rename(h->vg, old, lvhd_name(h->arena, LVHD_VHD, &j->id));
	if (!err && old)
		child = old;
	if (!err && (!child || lvhd_find(h, &j->id, &of_child) != child || of_child != LVHD_VHD))
		err = -E_LVHD_JOURNAL;
	if (!err)
		err = restore_pair(h, parent, kind, child);
	return err ? err : lvm_lv_remove(h->vg, j->lv);
}

static int resolve_leaf(struct lvhd *h, const struct lvhd_journal *j, enum lvhd_result *did)
{
	enum lvhd_kind kind, of_child;
	struct lvm_lv *parent = lvhd_find(h, &j->base, &kind);
	struct lvm_lv *old = lvm_lv_find(h->vg, lvhd_name(h->arena, LVHD_OLD, &j->id));
	struct lvm_lv *child;
	int err;

	*did = LVHD_UNDONE;
	if (parent || old)
		return undo_leaf(h, j, parent, kind, old);
	*did = LVHD_FINISHED;
	child = lvhd_find(h, &j->id, &of_child);
	if (!child)
		return -E_LVHD_JOURNAL;
	err = of_child == LVHD_VHD ? check_idle(h, child) : 0;
	if (!err && of_child == LVHD_VHD)
		err = grow_if_possible(h, child);
	return err ? err : lvm_lv_remove(h->vg, j->lv);
}

/* --- all ---------------------------------------------------------------------- */

int lvhd_resolve(struct lvhd *h, const struct lvhd_journal *j, enum lvhd_result *did)
{
	enum lvhd_kind kind;
	int err;

	*did = LVHD_LEFT;
	h->why = j->lv->name;
	if (j->err)
		return j->err;
	if (j->resize)
		return undo_resize(h, j, did);
	switch (j->type) {
	case LVHD_INFLATE:
		return undo_inflate(h, j, did);
	case LVHD_CLONE:
		return resolve_clone(h, j, did);
	case LVHD_LEAF:
		return resolve_leaf(h, j, did);
	default:
		break;
	}
	if (lvhd_find(h, &j->id, &kind))
		return 0;
	err = lvm_lv_remove(h->vg, j->lv);
	*did = LVHD_DROPPED;
	return err;
}
