/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/lvm2/alloc.h"
#include "lib/lvm2/dm.h"
#include "lib/lvm2/ops.h"
#include "lib/lvm2/scan.h"
#include "lib/lvm2/tree.h"

#define AREA_ALIGN	4096		/* of a metadata area, at least */

int lvm_vg_may_change(const struct lvm_vg *vg, bool only_removal)
{
	int err = 0;

	if (vg->refuse)
		return vg->refuse;
	if (vg->flags & LVM_VG_EXPORTED)
		return -E_LVM_EXPORTED;
	if (vg->flags & (LVM_VG_CLUSTERED | LVM_VG_SHARED))
		return -E_LVM_CLUSTERED;
	if (vg->lock_type && strcmp(vg->lock_type, "none"))
		return -E_LVM_LOCK_TYPE;
	if (vg->system_id && (!vg->our_system_id || strcmp(vg->system_id, vg->our_system_id)))
		return -E_LVM_FOREIGN;
	if (!(vg->flags & LVM_VG_WRITE) && !vg->restored)
		return -E_LVM_READ_ONLY;
	if (vg->flags & (LVM_VG_PARTIAL | LVM_VG_PVMOVE))
		return -E_LVM_NEWER;
	for (uint32_t i = 0; i < vg->n_pvs && !only_removal; i++) {
		if (!vg->pv[i]->dev)
			return -E_LVM_PARTIAL;
		if (lvm_pv_is_missing(vg->pv[i]))
			err = -E_LVM_RETURNED;
	}
	return err;
}

int lvm_vg_restore_missing(struct lvm_vg *vg)
{
	int err = lvm_vg_may_change(vg, true), n = 0;

	if (err)
		return err;
	for (const struct lvm_lv *lv = vg->first; lv; lv = lv->next)
		for (uint32_t i = 0; i < lv->n_segs; i++)
			if (lv->seg[i].kind != LVM_SEG_STRIPED)
				return -E_LVM_LV_TYPE;
	for (uint32_t i = 0; i < vg->n_pvs; i++) {
		struct lvm_pv *pv = vg->pv[i];

		if (!pv->dev || !(pv->flags & LVM_PV_MISSING))
			continue;
		pv->flags &= ~LVM_PV_MISSING;
		pv->device = pv->dev->path;
		pv->changed = true;
		n++;
	}
	return n;
}

int lvm_vg_tag(struct lvm_vg *vg, const char *tag, bool add)
{
	int err = lvm_vg_may_change(vg, false);

	if (!err && !lvm_tag_ok(tag))
		err = -E_LVM_TAG;
	if (!err && lvm_has_tag(&vg->tags, tag) != add)
		lvm_tag_put(vg->arena, &vg->tags, tag, add);
	if (!err)
		vg->grown = true;
	return err;
}

/* --- volume groups ------------------------------------------------------------------ */

static bool extent_size_ok(uint64_t n)
{
	return n / LVM_SECTOR <= UINT32_MAX &&
	       ((n >= KiB && !(n & (n - 1))) || (n && n % (128 * KiB) == 0));
}

int lvm_vg_new(struct arena *a, const char *name, const struct lvm_id *id, uint64_t extent_size,
	       const char *our_system_id, struct lvm_vg **out)
{
	/* The fields of which the model knows nothing, as LVM2 writes them. */
	static const char fields[] = "format = \"lvm2\"\nmetadata_copies = 0\n";
	struct lvm_vg *vg;
	struct lvm_text t;
	struct lvm_node n;

	if (!lvm_name_ok(name, strlen(name)))
		return -E_LVM_NAME;
	if (!extent_size_ok(extent_size))
		return -E_ARG;
	vg = arena_alloc(a, sizeof(*vg));
	*vg = (struct lvm_vg){
		.arena = a, .name = arena_strdup(a, name), .id = *id,
		.flags = LVM_VG_RESIZEABLE | LVM_VG_READ | LVM_VG_WRITE,
		.extent_size = (uint32_t)(extent_size / LVM_SECTOR), .our_system_id = our_system_id,
		.head = lvm_section_new(a, ""), .rest = lvm_section_new(a, ""),
	};
	vg->end = &vg->first;
	if (lvm_text_open(&t, (struct view){ fields, sizeof(fields) }))
		return -E_TEXT;
	while (lvm_text_next(&t, &n) == 1 && !lvm_text_body(&t, a, &n))
		lvm_node_add(vg->head, arena_copy(a, &n, sizeof(n)));
	*out = vg;
	return 0;
}

/* "pvN" with a number nobody has. */
static char *free_key(struct lvm_vg *vg)
{
	char *key;

	for (uint32_t n = vg->n_pvs; ; n++) {
		uint32_t i = 0;

		key = arena_printf(vg->arena, "pv%u", n);
		while (i < vg->n_pvs && strcmp(vg->pv[i]->key, key))
			i++;
		if (i == vg->n_pvs)
			return key;
	}
}

/* Extents between the start of the data and the end, or the metadata there; but for one that moves. */
static int count_extents(const struct lvm_vg *vg, const struct lvm_dev *dev, uint64_t pe_start,
			 uint64_t bytes, uint32_t but, uint32_t *n)
{
	uint64_t end = bytes;

	for (uint32_t i = 0; i < dev->label.n_mda; i++)
		if (i != but && dev->label.mda[i].at > pe_start && dev->label.mda[i].at < end)
			end = dev->label.mda[i].at;
	if (end <= pe_start || (end - pe_start) / lvm_extent_bytes(vg) > UINT32_MAX)
		return -E_LVM_PV_SIZE;
	*n = (uint32_t)((end - pe_start) / lvm_extent_bytes(vg));
	return *n ? 0 : -E_LVM_PV_SIZE;
}

static bool has_text(const struct lvm_dev *dev)
{
	for (uint32_t i = 0; i < dev->label.n_mda; i++)
		if (dev->copy[i].err || dev->copy[i].version)
			return true;
	return false;
}

int lvm_vg_extend(struct lvm_vg *vg, struct lvm_dev *dev)
{
	struct lvm_pv *pv;
	uint32_t count;
	int err = lvm_vg_may_change(vg, false);

	if (!err)
		err = dev->err;
	if (!err && !(vg->flags & LVM_VG_RESIZEABLE))
		err = -E_LVM_READ_ONLY;
	if (!err && (dev->vg || dev->duplicate || dev->outdated || has_text(dev) ||
		     !dev->label.n_data || (dev->label.ext_flags & LVM_LABEL_USED)))
		err = dev->duplicate ? -E_LVM_DUPLICATE : -E_LVM_PV_USED;
	if (!err && vg->max_pv && vg->n_pvs >= vg->max_pv)
		err = -E_LVM_LIMIT;
	if (!err)
		err = count_extents(vg, dev, dev->label.data[0].at, dev->io->size, UINT32_MAX, &count);
	if (err)
		return err;

	pv = arena_alloc(vg->arena, sizeof(*pv));
	*pv = (struct lvm_pv){
		.key = free_key(vg),
		.id = dev->label.pv,
		.device = arena_strdup(vg->arena, dev->path),
		.flags = LVM_PV_ALLOCATABLE,
		.dev_size = dev->io->size / LVM_SECTOR,
		.pe_start = dev->label.data[0].at / LVM_SECTOR,
		.pe_count = count,
		.dev = dev,
	};
	if (dev->label.n_boot) {
		pv->ba_start = dev->label.boot[0].at / LVM_SECTOR;
		pv->ba_size = dev->label.boot[0].size / LVM_SECTOR;
	}
	lvm_gap_give(vg, pv, 0, count);
	vg->pv = arena_grow(vg->arena, vg->pv, vg->n_pvs, (size_t)vg->n_pvs + 1, sizeof(*vg->pv));
	vg->pv[vg->n_pvs++] = pv;
	vg->dev = arena_grow(vg->arena, vg->dev, vg->n_devs, (size_t)vg->n_devs + 1,
			     sizeof(*vg->dev));
	vg->dev[vg->n_devs++] = dev;
	dev->vg = vg;
	dev->pv = pv;
	vg->grown = true;
	return 0;
}

/* Would an area be left that holds the text? */
static bool text_without(const struct lvm_vg *vg, const struct lvm_dev *without)
{
	for (uint32_t i = 0; i < vg->n_devs; i++)
		for (uint32_t k = 0; k < vg->dev[i]->label.n_mda; k++)
			if (vg->dev[i] != without && vg->dev[i]->copy[k].err != -E_LVM_MDA &&
			    !lvm_mda_is_ignored(&vg->dev[i]->copy[k].mda))
				return true;
	return false;
}

int lvm_vg_reduce(struct lvm_vg *vg, struct lvm_pv *pv)
{
	struct lvm_dev *dev = pv->dev;
	uint32_t i = 0;
	int err = lvm_vg_may_change(vg, true);

	if (!err && !(vg->flags & LVM_VG_RESIZEABLE))
		err = -E_LVM_READ_ONLY;
	if (!err && pv->n_free != pv->pe_count)
		err = -E_LVM_PV_USED;
	if (!err && !text_without(vg, dev))
		err = -E_LVM_NO_MDA;
	if (err)
		return err;
	while (vg->pv[i] != pv)
		i++;
	memmove(vg->pv + i, vg->pv + i + 1, (--vg->n_pvs - i) * sizeof(*vg->pv));
	if (!dev)
		return 0;
	for (i = 0; vg->dev[i] != dev; )
		i++;
	memmove(vg->dev + i, vg->dev + i + 1, (--vg->n_devs - i) * sizeof(*vg->dev));
	vg->leaving = arena_grow(vg->arena, vg->leaving, vg->n_leaving, (size_t)vg->n_leaving + 1,
				 sizeof(*vg->leaving));
	vg->leaving[vg->n_leaving++] = dev;
	return 0;
}

int lvm_vg_rename(struct lvm_vg *vg, const char *name)
{
	char dm[LVM_DM_NAME];
	int err = lvm_vg_may_change(vg, false);

	if (!err && !lvm_name_ok(name, strlen(name)))
		err = -E_LVM_NAME;
	for (const struct lvm_lv *lv = vg->first; lv && !err; lv = lv->next)
		if (strlen(name) + strlen(lv->name) + 3 >= 128 ||
		    lvm_dm_name(dm, name, lv->name, NULL))
			err = -ENAMETOOLONG;
	if (!err)
		vg->name = arena_strdup(vg->arena, name);
	if (!err)
		vg->grown = true;
	return err;
}

int lvm_vg_remove(struct lvm_vg *vg)
{
	int err = lvm_vg_may_change(vg, false);

	if (!err && vg->first)
		err = -ENOTEMPTY;
	if (!err)
		vg->removed = true;
	return err;
}

/* Where the area goes that has to be at the end, aligned as it is.  size 0: none has to move. */
static int area_at_end(const struct lvm_pv *pv, uint64_t bytes, uint32_t *which,
		       struct lvm_area *to)
{
	const struct lvm_label *l = &pv->dev->label;
	const struct lvm_area *is = NULL;
	uint64_t size, align;

	*to = (struct lvm_area){ 0 };
	for (uint32_t i = 0; i < l->n_mda; i++) {
		if (l->mda[i].at < pv->pe_start * LVM_SECTOR)
			continue;
		if (is)
			return -E_UNSUPPORTED;	/* nobody makes two of them */
		is = &l->mda[i];
		*which = i;
	}
	if (!is)
		return 0;
	align = is->at & -is->at;
	align = align > MiB ? MiB : align < AREA_ALIGN ? AREA_ALIGN : align;
	/* What was added to reach the end of the old size is not asked for again. */
	size = is->size < align ? is->size : is->size / align * align;
	if (bytes < size)
		return -E_LVM_PV_SIZE;
	to->at = (bytes - size) / align * align;
	if (to->at == is->at)
		return is->at + is->size > bytes ? -E_LVM_PV_SIZE : 0;
	to->size = (bytes - to->at) / LVM_SECTOR * LVM_SECTOR;
	return to->at < is->at + is->size && is->at < to->at + to->size ? -E_LVM_PV_SIZE : 0;
}

bool lvm_pv_can_resize(const struct lvm_pv *pv, uint64_t bytes)
{
	struct lvm_area to;
	uint32_t which;

	return pv->dev && !area_at_end(pv, bytes, &which, &to);
}

static bool moves_already(const struct lvm_vg *vg)
{
	for (uint32_t i = 0; i < vg->n_devs; i++)
		if (vg->dev[i]->left.size)
			return true;
	return false;
}

static void move_area(struct lvm_dev *d, uint32_t which, const struct lvm_area *to)
{
	struct lvm_copy *c = &d->copy[which];

	d->left = d->label.mda[which];
	d->moves = which;
	d->label.mda[which] = *to;
	*c = (struct lvm_copy){
		.mda = { .start = to->at, .size = to->size,
			 .slot[0].flags = c->err == -E_LVM_MDA ? 0 : c->mda.slot[0].flags },
	};
}

int lvm_pv_resize(struct lvm_vg *vg, struct lvm_pv *pv, uint64_t bytes)
{
	const struct lvm_gap *last = pv->n_gaps ? &pv->gap[pv->n_gaps - 1] : NULL;
	uint32_t n, old = pv->pe_count, which = 0;
	struct lvm_area to;
	int err = lvm_vg_may_change(vg, false);

	if (err)
		return err;
	if (!pv->dev || bytes > pv->dev->io->size)
		return -E_LVM_PV_SIZE;
	err = area_at_end(pv, bytes, &which, &to);
	if (!err && to.size && moves_already(vg))
		err = -E_BUSY;
	if (!err)
		err = count_extents(vg, pv->dev, pv->pe_start * LVM_SECTOR,
				    to.size ? to.at : bytes, to.size ? which : UINT32_MAX, &n);
	if (err)
		return err;
	if (n < old && (!last || last->start > n || last->start + last->count != old))
		return -E_LVM_PV_USED;
	if (to.size)
		move_area(pv->dev, which, &to);
	if (n < old)
		lvm_gap_take(vg, pv, n, old - n);
	else if (n > old)
		lvm_gap_give(vg, pv, old, n - old);
	pv->pe_count = n;
	pv->dev_size = bytes / LVM_SECTOR;
	pv->changed = true;
	vg->grown = true;
	return 0;
}
