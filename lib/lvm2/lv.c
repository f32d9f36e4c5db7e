/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changes to single logical volumes. */
#include <errno.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/lvm2/alloc.h"
#include "lib/lvm2/dm.h"
#include "lib/lvm2/ops.h"

/* Names that LVM2 gives to parts of things. */
static bool is_reserved(const char *name)
{
	static const char *const parts[] = {
		"_cdata", "_cmeta", "_corig", "_cpool", "_cvol", "_wcorig", "_mimage", "_mlog",
		"_rimage", "_rmeta", "_tdata", "_tmeta", "_vdata", "_imeta", "_iorig", "_pmspare",
		"_vorigin",
	};

	if (!strncmp(name, "pvmove", 6) || !strncmp(name, "snapshot", 8))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (strstr(name, parts[i]))
			return true;
	return false;
}

bool lvm_lv_name_ok(const struct lvm_vg *vg, const char *name)
{
	char dm[LVM_DM_NAME];

	return lvm_name_ok(name, strlen(name)) && !is_reserved(name) &&
	       strlen(vg->name) + strlen(name) + 3 < 128 && !lvm_dm_name(dm, vg->name, name, NULL);
}

/* May this LV be changed, as far as the LV itself is concerned? */
static int may_touch(const struct lvm_lv *lv)
{
	if (lv->flags & (LVM_LV_LOCKED | LVM_LV_PVMOVE))
		return -E_LVM_LV_LOCKED;
	return lv->n_users ? -E_LVM_LV_USED : 0;
}

/* Made of nothing but extents of PVs. */
static bool is_plain(const struct lvm_lv *lv)
{
	for (uint32_t i = 0; i < lv->n_segs; i++) {
		if (lv->seg[i].kind != LVM_SEG_STRIPED)
			return false;
		for (uint32_t k = 0; k < lv->seg[i].n_legs; k++)
			if (!lv->seg[i].leg[k].pv)
				return false;
	}
	return true;
}

static int to_extents(const struct lvm_vg *vg, uint64_t bytes, uint32_t *n)
{
	uint64_t up;

	if (!bytes || !round_up_ok(bytes, lvm_extent_bytes(vg), &up) ||
	    up / lvm_extent_bytes(vg) > UINT32_MAX)
		return -E_LVM_LV_SIZE;
	*n = (uint32_t)(up / lvm_extent_bytes(vg));
	return 0;
}

/* Parts and bookkeeping do not count. */
static bool at_limit(const struct lvm_vg *vg)
{
	uint32_t n = 0;

	if (!vg->max_lv)
		return false;
	for (const struct lvm_lv *lv = vg->first; lv; lv = lv->next)
		n += lvm_lv_is_visible(lv);
	return n >= vg->max_lv;
}

int lvm_lv_create(struct lvm_vg *vg, const struct lvm_lv_spec *spec, struct lvm_lv **out)
{
	struct lvm_lv *lv;
	uint32_t n;
	int err = lvm_vg_may_change(vg, false);

	if (!err && !lvm_lv_name_ok(vg, spec->name))
		err = -E_LVM_NAME;
	if (!err && (lvm_lv_find(vg, spec->name) || lvm_lv_by_id(vg, spec->id.s)))
		err = -E_LVM_LV_EXISTS;
	for (uint32_t i = 0; i < spec->n_tags && !err; i++)
		err = lvm_tag_ok(spec->tags[i]) ? 0 : -E_LVM_TAG;
	if (!err && at_limit(vg))
		err = -E_LVM_LIMIT;
	if (!err)
		err = to_extents(vg, spec->bytes, &n);
	if (!err && lvm_vg_usable(vg) < n)
		err = -E_LVM_NO_SPACE;
	if (err)
		return err;

	lv = arena_alloc(vg->arena, sizeof(*lv));
	*lv = (struct lvm_lv){
		.name = arena_strdup(vg->arena, spec->name), .id = spec->id,
		.flags = LVM_LV_READ | LVM_LV_VISIBLE | (spec->read_only ? 0 : LVM_LV_WRITE),
		.created = spec->now, .host = spec->host, .policy = spec->policy,
		.major = -1, .minor = -1,
	};
	lv->tags.v = arena_array(vg->arena, spec->n_tags, sizeof(*lv->tags.v));
	for (uint32_t i = 0; i < spec->n_tags; i++)
		if (!lvm_has_tag(&lv->tags, spec->tags[i]))
			lv->tags.v[lv->tags.n++] = arena_strdup(vg->arena, spec->tags[i]);
	err = lvm_alloc(vg, lv, n);
	if (err)
		return err;
	lvm_map_add(&vg->by_name, vg->arena, lvm_lv_name_of, lv);
	lvm_map_add(&vg->by_id, vg->arena, lvm_lv_id_of, lv);
	lvm_lv_link(vg, lv, vg->hidden);
	vg->grown = true;
	*out = lv;
	return 0;
}

int lvm_lv_remove(struct lvm_vg *vg, struct lvm_lv *lv)
{
	int err = lvm_vg_may_change(vg, !lv->partial);

	if (!err)
		err = may_touch(lv);
	if (!err && !is_plain(lv))
		err = -E_LVM_LV_TYPE;
	if (err)
		return err;
	lvm_release(vg, lv, 0);
	lvm_map_del(&vg->by_name, lvm_lv_name_of, lv);
	lvm_map_del(&vg->by_id, lvm_lv_id_of, lv);
	lvm_lv_unlink(vg, lv);
	return 0;
}

static int shrink(struct lvm_vg *vg, struct lvm_lv *lv, uint32_t n)
{
	/* Within stripes the new end is the next whole row of them. */
	for (uint32_t i = 0; i < lv->n_segs; i++) {
		const struct lvm_seg *s = &lv->seg[i];

		if (n > s->start && n < s->start + s->count && (n - s->start) % s->n_legs)
			n += s->n_legs - (n - s->start) % s->n_legs;
	}
	lvm_release(vg, lv, n);
	return 0;
}

int lvm_lv_resize(struct lvm_vg *vg, struct lvm_lv *lv, uint64_t bytes)
{
	uint32_t n = 0;
	int err = lvm_vg_may_change(vg, false);

	if (!err)
		err = may_touch(lv);
	if (!err && !is_plain(lv))
		err = -E_LVM_LV_TYPE;
	if (!err)
		err = to_extents(vg, bytes, &n);
	if (!err && n > lv->extents && lv->seg[lv->n_segs - 1].n_legs > 1)
		err = -E_LVM_LV_TYPE;
	if (!err && n > lv->extents)
		err = lvm_alloc(vg, lv, n - lv->extents);
	else if (!err && n < lv->extents)
		err = shrink(vg, lv, n);
	if (!err)
		vg->grown = true;
	return err;
}

int lvm_lv_rename(struct lvm_vg *vg, struct lvm_lv *lv, const char *name)
{
	int err = lvm_vg_may_change(vg, false);

	if (!err)
		err = may_touch(lv);
	if (!err && !is_plain(lv))
		err = -E_LVM_LV_TYPE;	/* its parts would have to follow */
	if (!err && !lvm_lv_name_ok(vg, name))
		err = -E_LVM_NAME;
	if (!err && lvm_lv_find(vg, name))
		err = -E_LVM_LV_EXISTS;
	if (err)
		return err;
	lvm_map_del(&vg->by_name, lvm_lv_name_of, lv);
	lv->name = arena_strdup(vg->arena, name);
	lvm_map_add(&vg->by_name, vg->arena, lvm_lv_name_of, lv);
	lv->changed = true;
	vg->grown = true;
	return 0;
}

/* Tags and permissions are also for LVs that something stands on. */
static int may_mark(const struct lvm_vg *vg, const struct lvm_lv *lv)
{
	int err = lvm_vg_may_change(vg, false);

	if (!err && (lv->flags & (LVM_LV_LOCKED | LVM_LV_PVMOVE)))
		err = -E_LVM_LV_LOCKED;
	if (!err && !(lv->flags & LVM_LV_VISIBLE))
		err = -E_LVM_LV_USED;
	return err;
}

int lvm_lv_set_writable(struct lvm_vg *vg, struct lvm_lv *lv, bool writable)
{
	int err = may_mark(vg, lv);

	/* An external origin must stay read-only. */
	if (!err && writable && lv->n_users)
		err = -E_LVM_LV_USED;
	if (err)
		return err;
	if (writable != !!(lv->flags & LVM_LV_WRITE)) {
		lv->flags ^= LVM_LV_WRITE;
		lv->changed = true;
	}
	vg->grown = true;
	return 0;
}

int lvm_lv_tag(struct lvm_vg *vg, struct lvm_lv *lv, const char *tag, bool add)
{
	int err = may_mark(vg, lv);

	if (!err && !lvm_tag_ok(tag))
		err = -E_LVM_TAG;
	if (!err && lvm_has_tag(&lv->tags, tag) != add) {
		lvm_tag_put(vg->arena, &lv->tags, tag, add);
		lv->changed = true;
	}
	if (!err)
		vg->grown = true;
	return err;
}
