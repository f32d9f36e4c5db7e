/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/arena.h"
#include "lib/lvm2/vg.h"

const struct lvm_word lvm_vg_words[] = {
	{ "EXPORTED", LVM_VG_EXPORTED, false },
	{ "RESIZEABLE", LVM_VG_RESIZEABLE, false },
	{ "PVMOVE", LVM_VG_PVMOVE, false },
	{ "READ", LVM_VG_READ, false },
	{ "WRITE", LVM_VG_WRITE, false },
	{ "WRITE_LOCKED", LVM_VG_WRITE_LOCKED, true },
	{ "NOAUTOACTIVATE", LVM_VG_NOAUTOACTIVATE, true },
	{ "CLUSTERED", LVM_VG_CLUSTERED, false },
	{ "SHARED", LVM_VG_SHARED, false },
	{ "PARTIAL", LVM_VG_PARTIAL, false },
	{ NULL, 0, false },
};

const struct lvm_word lvm_pv_words[] = {
	{ "ALLOCATABLE", LVM_PV_ALLOCATABLE, false },
	{ "EXPORTED", LVM_PV_EXPORTED, false },
	{ "MISSING", LVM_PV_MISSING, true },
	{ NULL, 0, false },
};

const struct lvm_word lvm_lv_words[] = {
	{ "READ", LVM_LV_READ, false },
	{ "WRITE", LVM_LV_WRITE, false },
	{ "WRITE_LOCKED", LVM_LV_WRITE_LOCKED, true },
	{ "FIXED_MINOR", LVM_LV_FIXED_MINOR, false },
	{ "VISIBLE", LVM_LV_VISIBLE, false },
	{ "PVMOVE", LVM_LV_PVMOVE, false },
	{ "LOCKED", LVM_LV_LOCKED, false },
	{ "NOTSYNCED", LVM_LV_NOTSYNCED, false },
	{ "REBUILD", LVM_LV_REBUILD, false },
	{ "WRITEMOSTLY", LVM_LV_WRITEMOSTLY, false },
	{ "ACTIVATION_SKIP", LVM_LV_ACTIVATION_SKIP, true },
	{ "NOAUTOACTIVATE", LVM_LV_NOAUTOACTIVATE, true },
	{ "ERROR_WHEN_FULL", LVM_LV_ERROR_WHEN_FULL, true },
	{ "CACHE_VOL", LVM_LV_CACHE_VOL, true },
	{ NULL, 0, false },
};

const char *lvm_lv_name_of(const void *lv)
{
	return ((const struct lvm_lv *)lv)->name;
}

const char *lvm_lv_id_of(const void *lv)
{
	return ((const struct lvm_lv *)lv)->id.s;
}

struct lvm_lv *lvm_lv_find(const struct lvm_vg *vg, const char *name)
{
	return lvm_map_find(&vg->by_name, lvm_lv_name_of, (struct view){ name, strlen(name) });
}

struct lvm_lv *lvm_lv_by_id(const struct lvm_vg *vg, const char *id)
{
	return lvm_map_find(&vg->by_id, lvm_lv_id_of, (struct view){ id, strlen(id) });
}

struct lvm_pv *lvm_pv_by_id(const struct lvm_vg *vg, const char *id)
{
	for (uint32_t i = 0; i < vg->n_pvs; i++)
		if (!strcmp(vg->pv[i]->id.s, id))
			return vg->pv[i];
	return NULL;
}

/* The bookkeeping entries of COW snapshots claim to be visible, but nobody may see them. */
bool lvm_lv_is_visible(const struct lvm_lv *lv)
{
	return (lv->flags & LVM_LV_VISIBLE) && lv->seg[0].kind != LVM_SEG_SNAPSHOT;
}

bool lvm_pv_is_missing(const struct lvm_pv *pv)
{
	return !pv->dev || (pv->flags & LVM_PV_MISSING);
}

static bool stands_on_missing(const struct lvm_lv *lv)
{
	for (uint32_t i = 0; i < lv->n_segs; i++)
		for (uint32_t k = 0; k < lv->seg[i].n_legs; k++) {
			const struct lvm_leg *leg = &lv->seg[i].leg[k];

			if (leg->pv && lvm_pv_is_missing(leg->pv))
				return true;
		}
	for (uint32_t i = 0; i < lv->n_refs; i++)
		if (lv->ref[i].to->partial)
			return true;
	return false;
}

void lvm_vg_mark_partial(struct lvm_vg *vg)
{
	bool any = false;

	for (uint32_t i = 0; i < vg->n_pvs; i++)
		any |= lvm_pv_is_missing(vg->pv[i]);
	if (!any)
		return;
	for (uint32_t i = vg->n_order; i--; )
		vg->order[i]->partial = stands_on_missing(vg->order[i]);
	for (struct lvm_lv *lv = vg->first; lv && !vg->order; lv = lv->next)
		lv->partial = stands_on_missing(lv);
}

uint64_t lvm_extent_bytes(const struct lvm_vg *vg)
{
	return (uint64_t)vg->extent_size * LVM_SECTOR;
}

uint64_t lvm_lv_bytes(const struct lvm_vg *vg, const struct lvm_lv *lv)
{
	return lv->extents * lvm_extent_bytes(vg);
}

uint64_t lvm_vg_extents(const struct lvm_vg *vg)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < vg->n_pvs; i++)
		n += vg->pv[i]->pe_count;
	return n;
}

uint64_t lvm_vg_free(const struct lvm_vg *vg)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < vg->n_pvs; i++)
		n += vg->pv[i]->n_free;
	return n;
}

uint32_t lvm_leg_extents(const struct lvm_seg *seg)
{
	return seg->kind == LVM_SEG_STRIPED && seg->n_legs ? seg->count / seg->n_legs : seg->count;
}

static bool one_of(const char *s, size_t n, const char *more)
{
	for (size_t i = 0; i < n; i++)
		if ((uint8_t)((s[i] | 32) - 'a') > 25 && (uint8_t)(s[i] - '0') > 9 &&
		    (!s[i] || !strchr(more, s[i])))
			return false;
	return n > 0;
}

bool lvm_name_ok(const char *s, size_t n)
{
	return n <= 127 && one_of(s, n, "+_.-") && *s != '-' &&
	       !(n == 1 && *s == '.') && !(n == 2 && s[0] == '.' && s[1] == '.');
}

bool lvm_tag_ok(const char *s)
{
	size_t n = strlen(s);

	return n <= 1024 && one_of(s, n, "_+.-/=!:&#");
}

bool lvm_has_tag(const struct lvm_tags *tags, const char *tag)
{
	for (uint32_t i = 0; i < tags->n; i++)
		if (!strcmp(tags->v[i], tag))
			return true;
	return false;
}

/* The list is made anew, so that nobody's pointer to the old one goes stale. */
void lvm_tag_put(struct arena *a, struct lvm_tags *tags, const char *tag, bool add)
{
	struct lvm_tags now = { .v = arena_array(a, (size_t)tags->n + 1, sizeof(*now.v)) };

	for (uint32_t i = 0; i < tags->n; i++)
		if (add || strcmp(tags->v[i], tag))
			now.v[now.n++] = tags->v[i];
	if (add)
		now.v[now.n++] = arena_strdup(a, tag);
	*tags = now;
}

static const struct {
	const char *type;
	enum lvm_seg_kind kind;
} seg_types[] = {
	{ "striped", LVM_SEG_STRIPED }, { "linear", LVM_SEG_STRIPED },
	{ "thin", LVM_SEG_THIN }, { "thin-pool", LVM_SEG_THIN_POOL },
	{ "snapshot", LVM_SEG_SNAPSHOT }, { "mirror", LVM_SEG_MIRROR },
	{ "raid0", LVM_SEG_RAID }, { "raid0_meta", LVM_SEG_RAID }, { "raid1", LVM_SEG_RAID },
	{ "raid10", LVM_SEG_RAID }, { "raid10_near", LVM_SEG_RAID }, { "raid4", LVM_SEG_RAID },
	{ "raid5", LVM_SEG_RAID }, { "raid5_n", LVM_SEG_RAID }, { "raid5_la", LVM_SEG_RAID },
	{ "raid5_ra", LVM_SEG_RAID }, { "raid5_ls", LVM_SEG_RAID }, { "raid5_rs", LVM_SEG_RAID },
	{ "raid6", LVM_SEG_RAID }, { "raid6_zr", LVM_SEG_RAID }, { "raid6_nr", LVM_SEG_RAID },
	{ "raid6_nc", LVM_SEG_RAID }, { "raid6_ls_6", LVM_SEG_RAID },
	{ "raid6_rs_6", LVM_SEG_RAID }, { "raid6_la_6", LVM_SEG_RAID },
	{ "raid6_ra_6", LVM_SEG_RAID }, { "raid6_n_6", LVM_SEG_RAID },
	{ "cache", LVM_SEG_CACHE }, { "cache-pool", LVM_SEG_CACHE_POOL },
	{ "writecache", LVM_SEG_WRITECACHE }, { "vdo", LVM_SEG_VDO },
	{ "vdo-pool", LVM_SEG_VDO_POOL }, { "integrity", LVM_SEG_INTEGRITY },
	{ "error", LVM_SEG_NONE }, { "zero", LVM_SEG_NONE },
};

/* What may follow the type, each behind a "+". */
static bool seg_flags_known(const char *p, size_t n)
{
	static const char *const known[] = {
		"METADATA_FORMAT", "CROP_METADATA", "CACHE_USES_CACHEVOL", "RESHAPE",
		"RESHAPE_DATA_OFFSET", "RESHAPE_DELTA_DISKS_PLUS", "RESHAPE_DELTA_DISKS_MINUS",
		"REMOVE_AFTER_RESHAPE",
	};

	while (n) {
		const char *plus;
		size_t len, i;

		p++, n--;			/* the plus itself */
		plus = n ? memchr(p, '+', n) : NULL;
		len = plus ? (size_t)(plus - p) : n;
		for (i = 0; i < ARRAY_SIZE(known); i++)
			if (strlen(known[i]) == len && !memcmp(known[i], p, len))
				break;
		if (i == ARRAY_SIZE(known))
			return false;
		p += len;
		n -= len;
	}
	return true;
}

enum lvm_seg_kind lvm_seg_kind(struct view type)
{
	const char *s = type.p, *plus = type.n ? memchr(s, '+', type.n) : NULL;
	size_t n = plus ? (size_t)(plus - s) : type.n;

	if (plus && !seg_flags_known(plus, type.n - n))
		return LVM_SEG_UNKNOWN;
	for (size_t i = 0; i < ARRAY_SIZE(seg_types); i++)
		if (strlen(seg_types[i].type) == n && !memcmp(seg_types[i].type, s, n))
			return seg_types[i].kind;
	return LVM_SEG_UNKNOWN;
}

const char *const lvm_ref_keys[] = {
	"origin", "cow_store", "merging_store", "metadata", "pool", "thin_pool", "external_origin",
	"merge", "mirror_log", "cache_pool", "data", "writecache", "vdo_pool", "meta_dev", NULL,
};

void lvm_lv_link(struct lvm_vg *vg, struct lvm_lv *lv, struct lvm_lv *before)
{
	struct lvm_lv **link = before ? before->link : vg->end;

	lv->next = *link;
	lv->link = link;
	*link = lv;
	if (lv->next)
		lv->next->link = &lv->next;
	else
		vg->end = &lv->next;
	vg->n_lvs++;
}

void lvm_lv_unlink(struct lvm_vg *vg, struct lvm_lv *lv)
{
	if (vg->hidden == lv)
		vg->hidden = lv->next;
	*lv->link = lv->next;
	if (lv->next)
		lv->next->link = lv->link;
	else
		vg->end = lv->link;
	vg->n_lvs--;
}
