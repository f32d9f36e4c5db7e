/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/lvm2/decode.h"
#include "lib/lvm2/tree.h"

/*
 * An area or a field names something.  PVs come first in the text and are
 * found at once; an LV may stand further down, so that waits for the end.
 */
static void link_to(struct lvm_decoder *d, struct lvm_lv *from, struct lvm_leg *leg,
		    struct view name)
{
	struct lvm_pv *pv = leg ? lvm_decode_pv_find(d, name) : NULL;

	if (pv) {
		leg->pv = pv;
		return;
	}
	if (d->n_links == d->link_room) {
		d->link_room = d->link_room ? d->link_room * 2 : 64;
		d->link = must_realloc(d->link, d->link_room * sizeof(*d->link));
	}
	d->link[d->n_links++] = (struct lvm_link){ from, leg, name };
}

static void legs_new(struct lvm_decoder *d, struct lvm_seg *seg, uint32_t n)
{
	seg->leg = arena_array(d->vg->arena, n, sizeof(*seg->leg));
	seg->n_legs = n;
}

/* Pairs of a name and an extent: stripes and old mirrors. */
static int pairs(struct lvm_decoder *d, struct lvm_lv *lv, struct lvm_seg *seg,
		 const struct lvm_node *list, uint32_t n)
{
	if (!list || list->kind != LVM_LIST || !n || list->n_values / 2 != n || list->n_values % 2)
		return -E_LVM_FIELD;
	legs_new(d, seg, n);
	for (uint32_t i = 0; i < n; i++) {
		const struct lvm_value *v = &list->value[(size_t)i * 2];

		if (v[0].type != LVM_STRING || v[1].type != LVM_INT ||
		    v[1].num < 0 || v[1].num > UINT32_MAX)
			return -E_LVM_FIELD;
		seg->leg[i].extent = (uint32_t)v[1].num;
		link_to(d, lv, &seg->leg[i], v[0].str);
	}
	return 0;
}

static int striped(struct lvm_decoder *d, struct lvm_lv *lv, struct lvm_seg *seg,
		   const struct lvm_node *n)
{
	uint32_t count;
	int err = lvm_get_u32(n, "stripe_count", &count);

	if (!err && count > 1)
		err = lvm_get_u32(n, "stripe_size", &seg->stripe_size);
	if (!err && count > 1 && !seg->stripe_size)
		err = -E_LVM_FIELD;
	if (!err)
		err = pairs(d, lv, seg, lvm_find(n, "stripes"), count);
	if (!err && seg->count % count)
		err = -E_LVM_FIELD;
	return err;
}

/* "x_rmeta_0", "x_rimage_0", ...: the images hold the data; there may be no metadata LVs. */
static int raid(struct lvm_decoder *d, struct lvm_lv *lv, struct lvm_seg *seg,
		const struct lvm_node *n)
{
	const struct lvm_node *list;
	uint32_t count, step;
	int err = lvm_get_u32(n, "device_count", &count);

	if (err == -ENOENT)
		err = lvm_get_u32(n, "stripe_count", &count);
	if (!err)
		err = lvm_get_list(n, "raids", &list);
	if (err)
		return err;
	if (!count || (list->n_values != count && list->n_values != (uint64_t)count * 2))
		return -E_LVM_FIELD;
	step = list->n_values / count;
	legs_new(d, seg, count);
	for (uint32_t i = 0; i < list->n_values; i++)
		link_to(d, lv, i % step == step - 1 ? &seg->leg[i / step] : NULL,
			list->value[i].str);
	return 0;
}

static int mirror(struct lvm_decoder *d, struct lvm_lv *lv, struct lvm_seg *seg,
		  const struct lvm_node *n)
{
	uint32_t count;
	int err = lvm_get_u32(n, "mirror_count", &count);

	return err ? err : pairs(d, lv, seg, lvm_find(n, "mirrors"), count);
}

/* The field of a segment whose LV holds the data. */
static const char *data_key(enum lvm_seg_kind kind)
{
	switch (kind) {
	case LVM_SEG_THIN_POOL:
		return "pool";
	case LVM_SEG_CACHE:
	case LVM_SEG_WRITECACHE:
	case LVM_SEG_INTEGRITY:
		return "origin";
	case LVM_SEG_CACHE_POOL:
	case LVM_SEG_VDO_POOL:
		return "data";
	case LVM_SEG_VDO:
		return "vdo_pool";
	default:
		return NULL;
	}
}

static int named(struct lvm_decoder *d, struct lvm_lv *lv, struct lvm_seg *seg,
		 const struct lvm_node *n)
{
	const char *data = data_key(seg->kind);
	struct view v;

	for (const char *const *key = lvm_ref_keys; *key; key++) {
		int err = lvm_get_str(n, *key, &v);
		bool is_data = data && !strcmp(data, *key);

		if (err == -E_LVM_TYPE || (is_data && err))
			return -E_LVM_FIELD;
		if (err)
			continue;
		if (is_data)
			legs_new(d, seg, 1);
		link_to(d, lv, is_data ? seg->leg : NULL, v);
	}
	return 0;
}

/* Type names repeat; those of a table need no copy. */
static const char *type_name(struct lvm_decoder *d, struct view type)
{
	const char *plus = memchr(type.p, '+', type.n);

	if (plus)
		type.n = (size_t)(plus - (const char *)type.p);
	return lvm_view_is(type, "striped") ? "striped" : lvm_decode_str(d, type);
}

static int segment(struct lvm_decoder *d, struct lvm_lv *lv, struct lvm_seg *seg,
		   const struct lvm_node *n)
{
	struct lvm_vg *vg = d->vg;
	struct view type;
	int err;

	seg->raw = n->raw;
	err = lvm_get_u32(n, "start_extent", &seg->start);
	if (!err)
		err = lvm_get_u32(n, "extent_count", &seg->count);
	if (!err)
		err = lvm_get_str(n, "type", &type);
	if (!err && !seg->count)
		err = -E_LVM_FIELD;
	if (err)
		return err;
	seg->tagged = lvm_find(n, "tags");
	seg->kind = lvm_seg_kind(type);
	seg->type = type_name(d, type);

	switch (seg->kind) {
	case LVM_SEG_STRIPED:
		return striped(d, lv, seg, n);
	case LVM_SEG_RAID:
		return raid(d, lv, seg, n);
	case LVM_SEG_MIRROR:
		err = mirror(d, lv, seg, n);
		return err ? err : named(d, lv, seg, n);
	case LVM_SEG_UNKNOWN:
		/* Nobody knows which extents such a thing uses. */
		if (!vg->refuse) {
			vg->refuse = -E_LVM_NEWER;
			vg->refuse_why =
				arena_printf(vg->arena, "LV %s has a segment of unknown type %.*s",
					     lv->name, (int)type.n, (const char *)type.p);
		}
		return 0;
	default:
		return named(d, lv, seg, n);
	}
}

static int by_start(const void *a, const void *b)
{
	const struct lvm_seg *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static int segments(struct lvm_decoder *d, struct lvm_lv *lv, const struct lvm_node *n,
		    uint32_t count)
{
	uint32_t i = 0;
	bool sorted = true;

	for (const struct lvm_node *c = n->first; c; c = c->next)
		i += c->kind == LVM_SECTION;
	if (!i || i != count)
		return lvm_decode_fail(d, -E_LVM_BAD, "LV %s has %u segments, not %u", lv->name, i,
				       count);
	lv->seg = arena_array(d->vg->arena, count, sizeof(*lv->seg));

	for (const struct lvm_node *c = n->first; c; c = c->next) {
		struct lvm_seg *seg = &lv->seg[lv->n_segs];

		if (c->kind != LVM_SECTION)
			continue;
		if (segment(d, lv, seg, c))
			return lvm_decode_fail(d, -E_LVM_FIELD, "segment %u of LV %s is damaged",
					       lv->n_segs + 1, lv->name);
		sorted &= !lv->n_segs || seg[-1].start < seg->start;
		lv->n_segs++;
	}
	if (!sorted)
		qsort(lv->seg, lv->n_segs, sizeof(*lv->seg), by_start);
	for (i = 0; i < count; i++) {
		if (lv->seg[i].start != lv->extents ||
		    __builtin_add_overflow(lv->extents, lv->seg[i].count, &lv->extents))
			return lvm_decode_fail(d, -E_LVM_BAD, "LV %s has a hole or an overlap",
					       lv->name);
	}
	return 0;
}

enum lv_key {
	KEY_ID,
	KEY_STATUS,
	KEY_FLAGS,
	KEY_TAGS,
	KEY_TIME,
	KEY_HOST,
	KEY_POLICY,
	KEY_MAJOR,
	KEY_MINOR,
	KEY_COUNT,
	KEY_OTHER,
};

static enum lv_key lv_key(struct view key)
{
	static const struct { const char *name; uint8_t n; } keys[] = {
		[KEY_ID] = { "id", 2 }, [KEY_STATUS] = { "status", 6 },
		[KEY_FLAGS] = { "flags", 5 }, [KEY_TAGS] = { "tags", 4 },
		[KEY_TIME] = { "creation_time", 13 }, [KEY_HOST] = { "creation_host", 13 },
		[KEY_POLICY] = { "allocation_policy", 17 }, [KEY_MAJOR] = { "major", 5 },
		[KEY_MINOR] = { "minor", 5 }, [KEY_COUNT] = { "segment_count", 13 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (key.n == keys[i].n && !memcmp(key.p, keys[i].name, key.n))
			return (enum lv_key)i;
	return KEY_OTHER;
}

static int lv_number(const struct lvm_node *n, int64_t *v)
{
	if (n->kind != LVM_SCALAR || n->value->type != LVM_INT)
		return -E_LVM_TYPE;
	*v = n->value->num;
	return 0;
}

static int lv_string(const struct lvm_node *n, struct view *v)
{
	if (n->kind != LVM_SCALAR || n->value->type != LVM_STRING)
		return -E_LVM_TYPE;
	*v = n->value->str;
	return 0;
}

/* Most LVs of a VG were made on one host. */
const char *lvm_decode_host(struct lvm_decoder *d, struct view v)
{
	if (!d->host || !lvm_view_is(v, d->host))
		d->host = lvm_decode_str(d, v);
	return d->host;
}

static int lv_field(struct lvm_decoder *d, struct lvm_lv *lv, const struct lvm_node *n,
		    enum lv_key key, int64_t *count)
{
	struct view v = { "", 0 };
	int64_t time = 0;
	int err = 0;

	switch (key) {
	case KEY_ID:
		err = lv_string(n, &v);
		return err ? err : lvm_id_parse(&lv->id, v.p, v.n);
	case KEY_STATUS:
		return lvm_decode_words(d, n, lvm_lv_words, true, &lv->flags);
	case KEY_FLAGS:
		return lvm_decode_words(d, n, lvm_lv_words, false, &lv->flags);
	case KEY_TAGS:
		return lvm_decode_tags(d, n, &lv->tags);
	case KEY_TIME:
		err = lv_number(n, &time);
		lv->created = time < 0 ? 0 : (uint64_t)time;
		return err;
	case KEY_HOST:
		err = lv_string(n, &v);
		lv->host = lvm_decode_host(d, v);
		return err;
	case KEY_POLICY:
		err = lv_string(n, &v);
		lv->policy = lvm_decode_str(d, v);
		return err;
	case KEY_MAJOR:
		return lv_number(n, &lv->major);
	case KEY_MINOR:
		return lv_number(n, &lv->minor);
	case KEY_COUNT:
		return lv_number(n, count);
	case KEY_OTHER:
		break;
	}
	return 0;
}

int lvm_decode_add(struct lvm_decoder *d, struct lvm_lv *lv)
{
	struct lvm_vg *vg = d->vg;

	if (lvm_map_add(&vg->by_name, vg->arena, lvm_lv_name_of, lv))
		return lvm_decode_fail(d, -E_LVM_BAD, "there are two LVs %s", lv->name);
	if (lvm_map_add(&vg->by_id, vg->arena, lvm_lv_id_of, lv))
		return lvm_decode_fail(d, -E_LVM_BAD, "LV %s has the uuid of another", lv->name);
	lvm_lv_link(vg, lv, NULL);
	if (!(lv->flags & LVM_LV_VISIBLE) && !vg->hidden)
		vg->hidden = lv;
	return 0;
}

int lvm_decode_lv(struct lvm_decoder *d, const struct lvm_node *n)
{
	struct lvm_lv *lv = arena_alloc(d->vg->arena, sizeof(*lv));
	uint32_t seen = 0;
	int64_t count = -1;
	int err;

	lv->name = lvm_decode_str(d, n->key);
	lv->raw = n->raw;
	lv->major = lv->minor = -1;
	if (!lvm_name_ok(n->key.p, n->key.n))
		return lvm_decode_fail(d, -E_LVM_NAME, "an LV has an impossible name");
	for (const struct lvm_node *c = n->first; c; c = c->next) {
		enum lv_key key = lv_key(c->key);

		if (c->kind == LVM_SECTION || (seen & 1u << key))
			continue;		/* of two, the first counts */
		seen |= 1u << key;
		if (lv_field(d, lv, c, key, &count))
			return lvm_decode_fail(d, -E_LVM_FIELD, "LV %s: %.*s is not valid",
					       lv->name, (int)c->key.n, (const char *)c->key.p);
	}
	if (!(seen & 1u << KEY_ID) || !(seen & 1u << KEY_STATUS) || !(seen & 1u << KEY_COUNT) ||
	    count < 0 || count > UINT32_MAX)
		return lvm_decode_fail(d, -E_LVM_FIELD, "LV %s lacks a field", lv->name);
	if (lv->flags & LVM_LV_WRITE_LOCKED)
		lv->flags = (lv->flags & ~LVM_LV_WRITE_LOCKED) | LVM_LV_WRITE;
	err = lvm_decode_add(d, lv);
	return err ? err : segments(d, lv, n, (uint32_t)count);
}

/* --- what refers to what ------------------------------------------------------ */

/*
 * Take away, again and again, what nobody stands on top of.  What is left at
 * the end stands on itself.
 */
static int find_circle(struct lvm_decoder *d)
{
	struct lvm_vg *vg = d->vg;
	uint32_t n = 0;

	if (!vg->n_refs)
		return 0;
	vg->order = arena_array(vg->arena, vg->n_lvs, sizeof(*vg->order));
	for (struct lvm_lv *lv = vg->first; lv; lv = lv->next) {
		lv->mark = lv->n_users;
		if (!lv->mark)
			vg->order[n++] = lv;
	}
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < vg->order[i]->n_refs; k++)
			if (!--vg->order[i]->ref[k].to->mark)
				vg->order[n++] = vg->order[i]->ref[k].to;
	vg->n_order = n;
	for (struct lvm_lv *lv = vg->first; lv && n < vg->n_lvs; lv = lv->next)
		if (lv->mark)
			return lvm_decode_fail(d, -E_LVM_BAD, "LV %s is made of itself", lv->name);
	return 0;
}

int lvm_decode_links(struct lvm_decoder *d)
{
	struct lvm_vg *vg = d->vg;

	vg->ref = arena_array(vg->arena, d->n_links, sizeof(*vg->ref));
	for (size_t i = 0; i < d->n_links; i++) {
		const struct lvm_link *l = &d->link[i];
		struct lvm_pv *pv = l->leg ? lvm_decode_pv_find(d, l->name) : NULL;
		struct lvm_lv *to = lvm_map_find(&vg->by_name, lvm_lv_name_of, l->name);

		if (pv) {			/* the text had its PVs behind the LVs */
			l->leg->pv = pv;
			continue;
		}
		if (!to)
			return lvm_decode_fail(
				d, -E_LVM_BAD, "LV %s needs %.*s, which is not there",
				l->from->name, (int)l->name.n, (const char *)l->name.p);
		if (l->leg)
			l->leg->lv = to;
		to->n_users++;
		if (!l->from->ref)
			l->from->ref = &vg->ref[vg->n_refs];
		l->from->n_refs++;
		vg->ref[vg->n_refs++] = (struct lvm_ref){ l->from, to };
	}
	return find_circle(d);
}
