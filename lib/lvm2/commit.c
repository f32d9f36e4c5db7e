/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/arena.h"
#include "lib/crc32.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/lvm2/commit.h"
#include "lib/lvm2/ops.h"
#include "lib/lvm2/scan.h"

/* A header that was made up may reach over data: its checksum says nothing about that. */
static bool is_clear_of_data(const struct lvm_vg *vg, const struct lvm_dev *d,
			     const struct lvm_mda *m)
{
	uint64_t data = d->pv->pe_start * LVM_SECTOR;
	uint64_t end = data + d->pv->pe_count * lvm_extent_bytes(vg);

	return range_ok(m->start, m->size, d->io->size) &&
	       (m->start + m->size <= data || m->start >= end);
}

/* Every area that takes part: not the ignored ones, and none whose header we cannot trust. */
static void targets(struct lvm_commit *c)
{
	struct lvm_vg *vg = c->vg;
	uint32_t room = 0;

	for (uint32_t i = 0; i < vg->n_devs; i++)
		room += vg->dev[i]->label.n_mda;
	c->target = arena_array(vg->arena, room, sizeof(*c->target));
	for (uint32_t i = 0; i < vg->n_devs; i++)
		for (uint32_t k = 0; k < vg->dev[i]->label.n_mda; k++) {
			struct lvm_copy *copy = &vg->dev[i]->copy[k];

			if (copy->err != -E_LVM_MDA && !lvm_mda_is_ignored(&copy->mda) &&
			    is_clear_of_data(vg, vg->dev[i], &copy->mda))
				c->target[c->n_targets++] = (struct lvm_target){
					.dev = vg->dev[i], .copy = copy, .mda = &copy->mda,
				};
		}
}

/* PVs that are away are marked, so that nobody trusts what they hold when they return. */
static void mark_missing(struct lvm_vg *vg)
{
	for (uint32_t i = 0; i < vg->n_pvs; i++) {
		struct lvm_pv *pv = vg->pv[i];

		if (pv->dev || (pv->flags & LVM_PV_MISSING))
			continue;
		pv->flags |= LVM_PV_MISSING;
		pv->device = "[unknown]";
		pv->changed = true;
	}
}

static void compose(struct lvm_commit *c, const struct lvm_stamp *stamp)
{
	const struct lvm_mda *m = c->n_targets ? c->target[0].mda : NULL;

	/* One allocation, mostly: the new text is about as long as the old one. */
	if (m && !lvm_slot_check(m, &m->slot[0]))
		buf_pages(&c->text, m->slot[0].size + 2 * LVM_TEXT_PAD);
	lvm_vg_print(c->vg, stamp, &c->text);
	memset(buf_room(&c->text, LVM_TEXT_PAD + 1), 0, LVM_TEXT_PAD + 1);
	c->text.n++;				/* the NUL at its end; behind it the pad */
}

static int place_one(const struct lvm_commit *c, struct lvm_target *t)
{
	struct lvm_mda m = *t->mda;
	bool is_bad = t->copy->err;
	int err = lvm_mda_place_beside(&m, c->text.n, t->dev->io->sector, &t->copy->keep, is_bad,
				       &t->slot);

	if (!err || !is_bad)
		return err;
	/* A damaged text is spared if that can be; a header that points anywhere is not. */
	m.slot[0].size = 0;
	return lvm_mda_place_beside(&m, c->text.n, t->dev->io->sector, &t->copy->keep, is_bad,
				    &t->slot);
}

static int place(struct lvm_commit *c)
{
	uint32_t sum = crc32_lvm2(CRC32_LVM2, c->text.p, c->text.n);

	for (uint32_t i = 0; i < c->n_targets; i++) {
		struct lvm_target *t = &c->target[i];
		int err = place_one(c, t);

		if (err)
			return err;
		t->slot.sum = sum;
		t->slot.flags = t->mda->slot[0].flags;
	}
	return c->n_targets ? 0 : -E_LVM_NO_MDA;
}

/* A device with two areas has one cache. */
static int flush_all(const struct lvm_commit *c)
{
	int err = 0;

	for (uint32_t i = 0; i < c->n_targets && !err; i++)
		if (!i || c->target[i].dev != c->target[i - 1].dev)
			err = io_flush(c->target[i].dev->io);
	return err;
}

static int make_label(struct lvm_label *l, bool used, uint8_t buf[LVM_SECTOR])
{
	l->ext_flags = used ? l->ext_flags | LVM_LABEL_USED : l->ext_flags & ~LVM_LABEL_USED;
	l->ext_version = l->ext_version > 2 ? l->ext_version : 2;
	return lvm_label_encode(l, buf);
}

static int write_label(struct lvm_dev *d, bool used)
{
	uint8_t buf[LVM_SECTOR];
	struct lvm_label l = d->label;
	int err = make_label(&l, used, buf);

	if (!err)
		err = io_write(d->io, (uint64_t)l.sector * LVM_SECTOR, buf, sizeof(buf));
	if (!err)
		d->label = l;
	return err;
}

static bool is_claimed(const struct lvm_dev *d)
{
	return d->label.ext_version >= 2 && (d->label.ext_flags & LVM_LABEL_USED);
}

/* Could we write the labels that have to be written?  Not those that know more than we do. */
static int check_labels(const struct lvm_vg *vg)
{
	uint8_t buf[LVM_SECTOR];
	int err = 0;

	for (uint32_t i = 0; i < vg->n_devs && !err; i++) {
		struct lvm_label l = vg->dev[i]->label;

		if (!is_claimed(vg->dev[i]) || vg->dev[i]->left.size)
			err = make_label(&l, true, buf);
	}
	for (uint32_t i = 0; i < vg->n_leaving && !err; i++) {
		struct lvm_label l = vg->leaving[i]->label;

		err = make_label(&l, false, buf);
	}
	return err;
}

/* The label says that the PV is taken before the VG says so: it is all a PV without text has. */
static int claim_labels(const struct lvm_vg *vg)
{
	int err = 0;

	for (uint32_t i = 0; i < vg->n_devs && !err; i++) {
		struct lvm_dev *d = vg->dev[i];

		if (is_claimed(d) || d->left.size)	/* that one is the commit */
			continue;
		err = write_label(d, true);
		if (!err)
			err = io_flush(d->io);
	}
	return err;
}

static void end(struct lvm_commit *c)
{
	buf_free(&c->text);
}

/* Everything but the writes; after a failure there is nothing to be undone. */
static int begin(struct lvm_commit *c, struct lvm_vg *vg, const struct lvm_stamp *stamp)
{
	int err = lvm_vg_may_change(vg, !vg->grown);

	*c = (struct lvm_commit){ .vg = vg };
	if (err)
		return err;
	if (vg->seqno == UINT32_MAX)
		return -E_LVM_FULL;
	err = check_labels(vg);
	if (err)
		return err;
	mark_missing(vg);
	vg->seqno++;
	targets(c);
	compose(c, stamp);
	err = place(c);
	if (err) {
		vg->seqno--;
		end(c);
	}
	return err;
}

int lvm_commit_try(struct lvm_vg *vg, const struct lvm_stamp *stamp)
{
	struct lvm_commit c;
	int err = begin(&c, vg, stamp);

	if (!err) {
		vg->seqno--;
		end(&c);
	}
	return err;
}

int lvm_commit_prepare(struct lvm_commit *c, struct lvm_vg *vg, const struct lvm_stamp *stamp)
{
	int err = begin(c, vg, stamp);

	if (err)
		return err;
	err = claim_labels(vg);
	for (uint32_t i = 0; i < c->n_targets && !err; i++) {
		struct lvm_target *t = &c->target[i];

		err = lvm_mda_write_text(t->mda, &t->slot, t->dev->io, c->text.p);
	}
	if (!err)
		err = flush_all(c);
	if (err) {
		vg->seqno--;
		end(c);
	}
	return err;
}

int lvm_commit_precommit(struct lvm_commit *c)
{
	int err = 0;

	c->announced = true;
	for (uint32_t i = 0; i < c->n_targets && !err; i++) {
		struct lvm_mda m = *c->target[i].mda;

		m.slot[1] = c->target[i].slot;
		err = lvm_mda_write(&m, c->target[i].dev->io);
	}
	return err;
}

/*
 * A device leaves: nothing in it shall look like a VG any more.  Its headers go
 * first; with the label alone it would still be found by its text.
 */
static int empty_dev(struct lvm_dev *d)
{
	int err = 0;

	for (uint32_t k = 0; k < d->label.n_mda && !err; k++) {
		struct lvm_copy *copy = &d->copy[k];
		struct lvm_mda m = copy->mda;

		if (copy->err == -E_LVM_MDA)
			continue;
		m.slot[0] = (struct lvm_slot){ .flags = m.slot[0].flags };
		m.slot[1] = (struct lvm_slot){ 0 };
		err = lvm_mda_write(&m, d->io);
		if (err)
			break;
		copy->mda = m;
		copy->version = NULL;
		copy->err = 0;
	}
	if (!err)
		err = io_flush(d->io);
	if (!err)
		err = write_label(d, false);
	if (!err)
		err = io_flush(d->io);
	d->vg = NULL;
	d->pv = NULL;
	return err;
}

static int empty_devs(struct lvm_dev **dev, uint32_t n)
{
	int err = 0;

	for (uint32_t i = 0; i < n; i++) {
		int one = empty_dev(dev[i]);

		err = err ? err : one;
	}
	return err;
}

/* The header of an area that moves, then the label that leads there; an ignored one holds no text. */
static int move_one(struct lvm_commit *c, struct lvm_dev *d)
{
	struct lvm_mda m = d->copy[d->moves].mda;
	struct lvm_target *t = NULL;
	int err;

	for (uint32_t i = 0; i < c->n_targets; i++)
		if (c->target[i].mda == &d->copy[d->moves].mda)
			t = &c->target[i];
	if (t)
		m.slot[0] = t->slot;
	err = lvm_mda_write(&m, d->io);
	if (!err)
		err = io_flush(d->io);
	if (!err)
		err = write_label(d, true);		/* commit */
	if (!err)
		err = io_flush(d->io);
	if (!err && t)
		t->moved = true;
	return err;
}

static int move_areas(struct lvm_commit *c)
{
	int err = 0;

	for (uint32_t i = 0; i < c->vg->n_devs && !err; i++)
		if (c->vg->dev[i]->left.size)
			err = move_one(c, c->vg->dev[i]);
	return err;
}

/* Nothing points there any more; what looks for lost metadata shall not find it either. */
static int clear_left(struct lvm_vg *vg)
{
	int err = 0;

	for (uint32_t i = 0; i < vg->n_devs; i++) {
		struct lvm_dev *d = vg->dev[i];
		int one = 0;

		if (d->left.size)
			one = io_zero(d->io, d->left.at, LVM_SECTOR);
		if (d->left.size && !one)
			one = io_flush(d->io);
		d->left.size = 0;
		err = err ? err : one;
	}
	return err;
}

int lvm_commit_finish(struct lvm_commit *c)
{
	struct lvm_vg *vg = c->vg;
	uint32_t good = 0;
	int err = move_areas(c), late;

	if (err) {
		vg->seqno--;
		end(c);
		return err;
	}
	/* All are tried: the more copies are new, the better. */
	for (uint32_t i = 0; i < c->n_targets; i++) {
		struct lvm_target *t = &c->target[i];
		struct lvm_mda m = *t->mda;
		int one = 0;

		m.slot[0] = t->slot;
		m.slot[1] = (struct lvm_slot){ 0 };
		if (!t->moved)
			one = lvm_mda_write(&m, t->dev->io);	/* commit */
		if (!one) {
			*t->mda = m;
			t->copy->err = 0;
			good++;
		}
		err = err ? err : one;
	}
	end(c);
	if (!good) {
		vg->seqno--;
		return err;
	}
	late = flush_all(c);
	err = err ? err : late;
	late = clear_left(vg);
	err = err ? err : late;
	late = empty_devs(vg->leaving, vg->n_leaving);
	err = err ? err : late;
	vg->n_leaving = 0;
	if (vg->removed) {
		late = empty_devs(vg->dev, vg->n_devs);
		err = err ? err : late;
		vg->n_devs = 0;
	}
	vg->grown = false;
	return err ? -E_LVM_HALF : 0;
}

int lvm_commit_revert(struct lvm_commit *c)
{
	int err = 0;

	for (uint32_t i = 0; i < c->n_targets && c->announced; i++) {
		struct lvm_mda m = *c->target[i].mda;
		int one;

		m.slot[1] = (struct lvm_slot){ 0 };
		one = lvm_mda_write(&m, c->target[i].dev->io);
		err = err ? err : one;
	}
	c->vg->seqno--;
	end(c);
	return err;
}

int lvm_vg_commit(struct lvm_vg *vg, const struct lvm_stamp *stamp)
{
	struct lvm_commit c;
	int err = lvm_commit_prepare(&c, vg, stamp);

	return err ? err : lvm_commit_finish(&c);
}
