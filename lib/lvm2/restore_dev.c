/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Restoring: which device is which PV, and what of it must be made anew. */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/blkid.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/lvm2/lost.h"
#include "lib/lvm2/restore_impl.h"

#define PVS_MOST	1024		/* beyond that nobody goes by elimination */
#define MDA_LEAST	(32 * KiB)	/* pvcreate makes none smaller */

static uint64_t data_start(const struct lvm_pv *pv)
{
	return pv->pe_start * LVM_SECTOR;
}

static uint64_t data_end(const struct lvm_vg *vg, const struct lvm_pv *pv)
{
	return data_start(pv) + pv->pe_count * lvm_extent_bytes(vg);
}

/* --- devices with a label -------------------------------------------------------------- */

/* Is it the VG of somebody else by now?  Outdated texts do not count. */
static const char *other_vg(const struct lvm_restore *r, const struct lvm_dev *d)
{
	if (d->vg && strcmp(d->vg->id.s, r->vg->id.s))
		return d->vg->name;
	for (uint32_t k = 0; k < d->label.n_mda && !d->outdated; k++)
		if (d->copy[k].version && strcmp(d->copy[k].version->is.id.s, r->vg->id.s))
			return d->copy[k].version->is.name;
	return NULL;
}

static int bind_labelled(struct lvm_restore *r)
{
	for (size_t i = 0; i < r->set->n_devs; i++) {
		struct lvm_dev *d = &r->set->dev[i];
		struct lvm_pv *pv = d->err ? NULL : lvm_pv_by_id(r->vg, d->label.pv.s);
		const char *other = pv ? other_vg(r, d) : NULL;

		if (!pv)
			continue;
		if (pv->dev)
			return lvm_restore_refuse(r, -E_LVM_DUPLICATE, "one of them",
						  "%s and %s are both the PV %s", pv->dev->path,
						  d->path, pv->id.s);
		if (other)
			return lvm_restore_refuse(r, -E_LVM_PV_USED, NULL,
						  "%s belongs to the VG %s now", d->path, other);
		if (d->label.n_data && d->label.data[0].at != data_start(pv))
			return lvm_restore_refuse(r, -E_LVM_BAD, NULL,
						  "the data of %s begins at %llu, not at %llu as the text says",
						  d->path, (unsigned long long)d->label.data[0].at,
						  (unsigned long long)data_start(pv));
		pv->dev = d;
	}
	return 0;
}

/* --- devices that lost it ---------------------------------------------------------------- */

struct lost {
	struct lvm_dev *dev;
	struct lvm_label label;
	bool proven;			/* it was a PV of the VG when the text was written */
	bool taken;
};

/*
 * A text of the same seqno lies on it, so it was a PV then.  If it is none that
 * the text names, one more PV of the text is missing, and there is a doubt.
 */
static bool was_there(const struct lvm_restore *r, const struct lvm_dev *d)
{
	for (const struct lvm_past *p = r->past; p; p = p->next)
		for (const struct lvm_place *x = p->place; x; x = x->next)
			if (x->dev == d && p->is.seqno == r->vg->seqno &&
			    !strcmp(p->is.id.s, r->vg->id.s))
				return true;
	return false;
}

static bool fits(const struct lvm_restore *r, const struct lvm_pv *pv, const struct lvm_dev *d)
{
	return data_end(r->vg, pv) <= d->size;
}

/* How many devices can a PV be, and how many PVs a device, going by their sizes? */
static bool is_only_pair(const struct lvm_restore *r, const struct lvm_pv *pv,
			 const struct lost *lost, size_t n, const struct lost *is, bool by_size)
{
	uint32_t n_pvs = 0, n_devs = 0;

	for (uint32_t i = 0; i < r->vg->n_pvs; i++)
		n_pvs += !r->vg->pv[i]->dev && fits(r, r->vg->pv[i], is->dev) &&
			 (!by_size || r->vg->pv[i]->dev_size == is->dev->size / LVM_SECTOR);
	for (size_t i = 0; i < n; i++)
		n_devs += !lost[i].taken && lost[i].proven && fits(r, pv, lost[i].dev) &&
			  (!by_size || pv->dev_size == lost[i].dev->size / LVM_SECTOR);
	return n_pvs == 1 && n_devs == 1 && fits(r, pv, is->dev) &&
	       (!by_size || pv->dev_size == is->dev->size / LVM_SECTOR);
}

/*
 * The label as it was, as far as the device remembers, else as pvcreate would
 * make it for such a PV.
 */
static void make_label(const struct lvm_restore *r, const struct lvm_pv *pv, struct lost *l)
{
	struct lvm_label *label = &l->label;
	uint64_t end = pv->ba_size ? pv->ba_start * LVM_SECTOR : data_start(pv);
	struct lvm_mda m;

	if (!label->n_data && lvm_mda_read(&m, l->dev->io, LVM_FIRST_MDA)) {
		label->n_mda = end >= LVM_FIRST_MDA + MDA_LEAST;
		label->mda[0] = (struct lvm_area){ LVM_FIRST_MDA, end - LVM_FIRST_MDA };
	}
	label->pv = pv->id;
	label->device_size = l->dev->size;
	label->n_data = 1;
	label->data[0] = (struct lvm_area){ .at = data_start(pv) };
	label->n_boot = pv->ba_size ? 1 : 0;
	label->boot[0] = (struct lvm_area){ pv->ba_start * LVM_SECTOR, pv->ba_size * LVM_SECTOR };
	label->ext_version = 2;
	label->ext_flags = LVM_LABEL_USED;
}

static int take(struct lvm_restore *r, struct lvm_pv *pv, struct lost *l)
{
	const char *what = NULL;
	int err = blkid_find(l->dev->io, &what);

	if (err)
		return lvm_restore_refuse(r, err, NULL, "%s: %s", l->dev->path, err_text(err));
	if (what && !r->force)
		return lvm_restore_refuse(r, -E_LVM_PV_USED, "--force",
					  "%s has no label and holds %s", l->dev->path, what);
	make_label(r, pv, l);
	l->taken = true;
	l->dev->label = l->label;
	l->dev->err = 0;
	memset(l->dev->copy, 0, sizeof(l->dev->copy));
	for (uint32_t k = 0; k < l->label.n_mda; k++)
		l->dev->copy[k].err = -E_LVM_MDA;	/* to be looked at like any other */
	pv->dev = l->dev;
	r->lost[r->n_lost++] = l->dev;
	lvm_restore_step(r, "%s: make its label anew: PV %s%s%s", l->dev->path, pv->id.s,
			 what ? ", over " : "", what ? what : "");
	return 0;
}

/* Because the caller says so. */
static int bind_said(struct lvm_restore *r, struct lost *lost, size_t n)
{
	int err = 0;

	for (size_t i = 0; i < r->n_said && !err; i++) {
		const struct lvm_said *said = &r->said[i];
		struct lvm_pv *pv = lvm_pv_by_id(r->vg, said->pv.s);
		size_t k = 0;

		while (k < n && (lost[k].taken || strcmp(lost[k].dev->path, said->path)))
			k++;
		if (!pv)
			err = lvm_restore_refuse(r, -E_LVM_BAD, NULL,
						 "the text knows no PV %s", said->pv.s);
		else if (k == n)
			err = lvm_restore_refuse(r, -E_LVM_PV_USED, NULL,
						 "%s is no device without a label that was named",
						 said->path);
		else if (pv->dev)
			err = lvm_restore_refuse(r, -E_LVM_DUPLICATE, NULL, "the PV %s is %s",
						 pv->id.s, pv->dev->path);
		else
			err = take(r, pv, &lost[k]);
	}
	return err;
}

/* By the uuid that a damaged label still has. */
static int bind_by_label(struct lvm_restore *r, struct lost *lost, size_t n)
{
	int err = 0;

	for (size_t i = 0; i < n && !err; i++) {
		struct lvm_pv *pv = lvm_pv_by_id(r->vg, lost[i].label.pv.s);

		if (!pv || lost[i].taken)
			continue;
		if (pv->dev)
			return lvm_restore_refuse(r, -E_LVM_DUPLICATE, "one of them",
						  "%s and %s both were the PV %s", pv->dev->path,
						  lost[i].dev->path, pv->id.s);
		err = take(r, pv, &lost[i]);
	}
	return err;
}

/* By the texts on it, where that leaves no doubt. */
static int bind_by_text(struct lvm_restore *r, struct lost *lost, size_t n, bool by_size)
{
	int err = 0;

	if (r->vg->n_pvs > PVS_MOST)
		return 0;
	for (uint32_t i = 0; i < r->vg->n_pvs && !err; i++)
		for (size_t k = 0; k < n && !err && !r->vg->pv[i]->dev; k++)
			if (!lost[k].taken && lost[k].proven &&
			    is_only_pair(r, r->vg->pv[i], lost, n, &lost[k], by_size))
				err = take(r, r->vg->pv[i], &lost[k]);
	return err;
}

static int missing(struct lvm_restore *r, const struct lost *lost, size_t n)
{
	for (uint32_t i = 0; i < r->vg->n_pvs; i++) {
		const struct lvm_pv *pv = r->vg->pv[i];
		const char *seen = pv->device ? pv->device : "nothing";

		if (pv->dev)
			continue;
		for (size_t k = 0; k < n; k++)
			if (!lost[k].taken && lost[k].proven)
				return lvm_restore_refuse(r, -E_LVM_PARTIAL,
							  arena_printf(r->set->arena, "if it is: --pv %s=%s",
								       pv->id.s, lost[k].dev->path),
							  "%s has lost its label, and nothing tells whether it is the PV %s (last seen as %s)",
							  lost[k].dev->path, pv->id.s, seen);
		if (!r->force)
			return lvm_restore_refuse(r, -E_LVM_PARTIAL,
						  arena_printf(r->set->arena,
							       "its path too; --pv %s=PATH if its label is lost; --force without it",
							       pv->id.s),
						  "the PV %s is on none of the devices (last seen as %s)",
						  pv->id.s, seen);
		lvm_restore_step(r, "go on without the PV %s (last seen as %s)", pv->id.s, seen);
	}
	return 0;
}

static int bind_lost(struct lvm_restore *r)
{
	struct lost *lost = arena_array(r->set->arena, r->set->n_devs, sizeof(*lost));
	size_t n = 0;
	int err;

	r->lost = arena_array(r->set->arena, r->set->n_devs, sizeof(struct lvm_dev *));
	for (size_t i = 0; i < r->set->n_devs; i++) {
		struct lvm_dev *d = &r->set->dev[i];

		if (d->err != -E_LVM_LABEL && d->err != -E_LVM_NO_LABEL)
			continue;
		lost[n].dev = d;
		lost[n].proven = was_there(r, d);
		lvm_lost_label(d, &lost[n++].label);
	}
	err = bind_said(r, lost, n);
	if (!err)
		err = bind_by_label(r, lost, n);
	if (!err)
		err = bind_by_text(r, lost, n, true);
	if (!err)
		err = bind_by_text(r, lost, n, false);
	return err ? err : missing(r, lost, n);
}

/* --- what lies where ------------------------------------------------------------------------ */

static bool apart(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a + a_size <= b || b + b_size <= a;
}

/* Nothing we write may touch data, and no area another. */
static int check_areas(struct lvm_restore *r, const struct lvm_pv *pv)
{
	const struct lvm_dev *d = pv->dev;
	uint64_t data = data_end(r->vg, pv) - data_start(pv);

	if (!fits(r, pv, d))
		return lvm_restore_refuse(r, -E_LVM_PV_SIZE, NULL,
					  "%s has %llu bytes, and the text needs %llu", d->path,
					  (unsigned long long)d->size,
					  (unsigned long long)data_end(r->vg, pv));
	for (uint32_t k = 0; k < d->label.n_mda; k++) {
		const struct lvm_mda *m = &d->copy[k].mda;
		bool good = m->start % LVM_SECTOR == 0 && m->start >= LVM_LABEL_SCAN &&
			    m->size > LVM_SECTOR && range_ok(m->start, m->size, d->size) &&
			    apart(m->start, m->size, data_start(pv), data);

		for (uint32_t j = 0; j < k && good; j++)
			good = apart(m->start, m->size, d->copy[j].mda.start, d->copy[j].mda.size);
		if (!good)
			return lvm_restore_refuse(r, -E_LVM_BAD, NULL,
						  "%s: the metadata area at %llu lies outside, or over data",
						  d->path, (unsigned long long)d->label.mda[k].at);
	}
	return 0;
}

/* Is the text of a header we just read again the one it says? */
static int text_state(const struct lvm_mda *m, struct io *io)
{
	char *text;
	int err;

	if (lvm_mda_is_ignored(m) || !m->slot[0].size)
		return 0;
	err = lvm_slot_check(m, &m->slot[0]);
	if (err)
		return err;
	text = must_alloc(m->slot[0].size + LVM_TEXT_PAD);
	err = lvm_mda_read_text(m, &m->slot[0], io, text);
	free(text);
	return err;
}

/* A header that is not as long as the label says was written by nobody. */
static bool header_is_good(struct lvm_copy *c, const struct lvm_area *area, struct io *io)
{
	if (c->err == -E_LVM_MDA) {
		if (lvm_mda_read(&c->mda, io, area->at))
			return false;
		/* Behind a lost label; or it points to what cannot be. */
		c->err = text_state(&c->mda, io);
		c->err = c->err == -E_LVM_MDA ? -E_LVM_SUM : c->err;
	}
	return c->mda.size == area->size;
}

static void make_headers(struct lvm_restore *r, struct lvm_dev *d)
{
	for (uint32_t k = 0; k < d->label.n_mda; k++) {
		struct lvm_copy *c = &d->copy[k];
		const struct lvm_area *area = &d->label.mda[k];

		if (header_is_good(c, area, d->io))
			continue;
		c->mda = (struct lvm_mda){ .start = area->at, .size = area->size };
		c->err = 0;
		lvm_restore_step(r, "%s: make the header of its metadata area at %llu anew", d->path,
				 (unsigned long long)area->at);
	}
}

/* The text that is restored shall be there until the new one counts. */
static void spare_source(struct lvm_restore *r)
{
	const struct lvm_place *x = r->version ? r->version->place : NULL;

	for (; x; x = x->next)
		for (uint32_t i = 0; i < r->vg->n_devs; i++)
			for (uint32_t k = 0; k < r->vg->dev[i]->label.n_mda; k++)
				if (x->dev == r->vg->dev[i] &&
				    x->area == r->vg->dev[i]->copy[k].mda.start)
					r->vg->dev[i]->copy[k].keep = (struct lvm_slot){
						.at = x->at, .size = r->version->text.n + 1,
					};
}

int lvm_restore_bind(struct lvm_restore *r)
{
	struct lvm_vg *vg = r->vg;
	int err = bind_labelled(r);

	if (!err)
		err = bind_lost(r);
	vg->dev = arena_array(vg->arena, vg->n_pvs, sizeof(struct lvm_dev *));
	for (uint32_t i = 0; i < vg->n_pvs && !err; i++) {
		struct lvm_pv *pv = vg->pv[i];

		if (!pv->dev)
			continue;
		make_headers(r, pv->dev);
		err = check_areas(r, pv);
		pv->dev->vg = vg;
		pv->dev->pv = pv;
		vg->dev[vg->n_devs++] = pv->dev;
	}
	if (!err)
		spare_source(r);
	return err;
}
