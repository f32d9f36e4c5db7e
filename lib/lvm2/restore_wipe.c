/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What lay on a device that has become a PV again: its signatures go, or the
 * next one who looks finds a file system there.  Nothing that the VG has put
 * on the device is touched, whatever it looks like.
 */
#include <string.h>

#include "lib/arena.h"
#include "lib/blkid.h"
#include "lib/io.h"
#include "lib/lvm2/restore_impl.h"

static bool meets(const struct blkid_sign *s, uint64_t at, uint64_t n)
{
	return s->wipe_at < at + n && at < s->wipe_at + s->wipe_len;
}

/* A text may go round its ring: then both of its parts are asked for. */
static bool meets_text(const struct blkid_sign *s, const struct lvm_mda *m)
{
	const struct lvm_slot *t = &m->slot[0];
	uint64_t end = t->at + t->size;

	if (end <= m->size)
		return meets(s, m->start + t->at, t->size);
	return meets(s, m->start + t->at, m->size - t->at) ||
	       meets(s, m->start + LVM_SECTOR, end - m->size);
}

/* An extent of a volume: what is there is the volume's. */
static bool meets_data(const struct blkid_sign *s, const struct lvm_vg *vg, const struct lvm_pv *pv)
{
	uint64_t extent = lvm_extent_bytes(vg), data = pv->pe_start * LVM_SECTOR, last = 0;

	for (uint32_t i = 0; i <= pv->n_gaps; i++) {
		uint64_t used_to = i < pv->n_gaps ? pv->gap[i].start : pv->pe_count;

		if (used_to > last && meets(s, data + last * extent, (used_to - last) * extent))
			return true;
		last = i < pv->n_gaps ? (uint64_t)pv->gap[i].start + pv->gap[i].count : last;
	}
	return false;
}

static bool is_in_the_way(const struct blkid_sign *s, const struct lvm_vg *vg, const struct lvm_dev *d)
{
	const struct lvm_label *l = &d->label;

	if (!strcmp(s->name, "LVM2_member") || meets(s, (uint64_t)l->sector * LVM_SECTOR, LVM_SECTOR))
		return false;
	for (uint32_t k = 0; k < l->n_mda; k++)
		if (meets(s, l->mda[k].at, LVM_SECTOR) || meets_text(s, &d->copy[k].mda))
			return false;
	for (uint32_t k = 0; k < l->n_boot; k++)
		if (meets(s, l->boot[k].at, l->boot[k].size))
			return false;
	return !meets_data(s, vg, d->pv);
}

int lvm_restore_wipe(const struct lvm_restore *r)
{
	struct arena a = { 0 };
	int err = 0;

	for (uint32_t i = 0; i < r->n_lost && !err; i++) {
		const struct lvm_dev *d = r->lost[i];
		struct blkid_sign *sign;
		size_t n, m = 0;

		err = blkid_probe(d->io, &a, &sign, &n);
		for (size_t k = 0; k < n && !err; k++)
			if (is_in_the_way(&sign[k], r->vg, d))
				sign[m++] = sign[k];
		if (!err && m)
			err = blkid_wipe(d->io, sign, m);
	}
	arena_free(&a);
	return err;
}
