/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/kconfig.h"
#include "lib/lvm2/check.h"
#include "lib/lvm2/scan.h"
#include "lib/lvm2/show.h"
#include "lib/lvm2/tree.h"
#include "lib/text/json.h"

static void words(struct json *j, const struct lvm_word *w, uint32_t flags)
{
	json_key_arr(j, "status");
	for (; w->word; w++)
		if (flags & w->bit)
			json_str(j, w->word);
	json_arr_end(j);
}

static void tags(struct json *j, const struct lvm_tags *t)
{
	json_key_arr(j, "tags");
	for (uint32_t i = 0; i < t->n; i++)
		json_str(j, t->v[i]);
	json_arr_end(j);
}

static void show_pv(struct json *j, const struct lvm_vg *vg, const struct lvm_pv *pv)
{
	json_obj_begin(j);
	json_key_str(j, "name", pv->key);
	json_key_str(j, "uuid", pv->id.s);
	json_key_str(j, "path", pv->dev ? pv->dev->path : NULL);
	json_key_u64(j, "size", pv->pe_count * lvm_extent_bytes(vg));
	json_key_u64(j, "pe_start", pv->pe_start * LVM_SECTOR);
	json_key_u64(j, "pe_count", pv->pe_count);
	json_key_u64(j, "free_count", pv->n_free);
	json_key_bool(j, "missing", lvm_pv_is_missing(pv));
	words(j, lvm_pv_words, pv->flags);
	tags(j, &pv->tags);
	json_obj_end(j);
}

/* Shown already, or under another name. */
static bool is_common(struct view key)
{
	static const char *const common[] = {
		"start_extent", "extent_count", "type", "stripes", "mirrors", "stripe_count", NULL,
	};

	for (const char *const *k = common; *k; k++)
		if (lvm_view_is(key, *k))
			return true;
	return false;
}

static bool is_sectors(struct view key)
{
	return lvm_view_is(key, "stripe_size") || lvm_view_is(key, "chunk_size") ||
	       lvm_view_is(key, "region_size");
}

static void show_value(struct json *j, struct arena *a, const struct lvm_value *v, bool sectors)
{
	if (v->type == LVM_INT && sectors && v->num >= 0 && v->num <= INT64_MAX / LVM_SECTOR)
		json_i64(j, v->num * LVM_SECTOR);
	else if (v->type == LVM_INT)
		json_i64(j, v->num);
	else if (v->type == LVM_STRING)
		json_str(j, arena_strndup(a, v->str.p, v->str.n));
	else
		json_str(j, arena_strndup(a, v->raw.p, v->raw.n));
}

static void show_field(struct json *j, struct arena *a, const struct lvm_node *n)
{
	json_key(j, arena_strndup(a, n->key.p, n->key.n));
	switch (n->kind) {
	case LVM_SECTION:
		json_obj_begin(j);
		for (const struct lvm_node *c = n->first; c; c = c->next)
			show_field(j, a, c);
		json_obj_end(j);
		break;
	case LVM_LIST:
		json_arr_begin(j);
		for (uint32_t i = 0; i < n->n_values; i++)
			show_value(j, a, &n->value[i], false);
		json_arr_end(j);
		break;
	default:
		show_value(j, a, n->value, is_sectors(n->key));
	}
}

/* What only this type of segment has, from the text it was read from. */
static void own_fields(struct json *j, const struct lvm_seg *s)
{
	struct arena tmp = { 0 };
	struct lvm_text t;
	struct lvm_node n;

	if (s->kind == LVM_SEG_STRIPED && s->n_legs > 1) {
		json_key_u64(j, "stripe_count", s->n_legs);
		json_key_u64(j, "stripe_size", (uint64_t)s->stripe_size * LVM_SECTOR);
	}
	if (s->kind != LVM_SEG_STRIPED && s->raw.n && !lvm_text_open(&t, s->raw) &&
	    lvm_text_next(&t, &n) == 1 && !lvm_text_body(&t, &tmp, &n))
		for (const struct lvm_node *c = n.first; c; c = c->next)
			if (!is_common(c->key) &&
			    lvm_find(&n, arena_strndup(&tmp, c->key.p, c->key.n)) == c)
				show_field(j, &tmp, c);
	arena_free(&tmp);
}

const char *lvm_seg_type(const struct lvm_seg *s)
{
	return s->kind == LVM_SEG_STRIPED ? (s->n_legs == 1 ? "linear" : "striped") : s->type;
}

static void show_seg(struct json *j, const struct lvm_seg *s)
{
	json_obj_begin(j);
	json_key_u64(j, "start_extent", s->start);
	json_key_u64(j, "extent_count", s->count);
	json_key_str(j, "type", lvm_seg_type(s));
	json_key_arr(j, "areas");
	for (uint32_t i = 0; i < s->n_legs; i++) {
		const struct lvm_leg *leg = &s->leg[i];

		json_obj_begin(j);
		json_key_str(j, leg->pv ? "pv" : "lv", leg->pv ? leg->pv->key : leg->lv->name);
		json_key_u64(j, "start_extent", leg->extent);
		json_obj_end(j);
	}
	json_arr_end(j);
	own_fields(j, s);
	json_obj_end(j);
}

static void show_lv(struct json *j, const struct lvm_vg *vg, const struct lvm_lv *lv)
{
	json_obj_begin(j);
	json_key_str(j, "name", lv->name);
	json_key_str(j, "uuid", lv->id.s);
	words(j, lvm_lv_words, lv->flags);
	tags(j, &lv->tags);
	json_key_u64(j, "size", lvm_lv_bytes(vg, lv));
	json_key_arr(j, "segments");
	for (uint32_t i = 0; i < lv->n_segs; i++)
		show_seg(j, &lv->seg[i]);
	json_arr_end(j);
	json_obj_end(j);
}

/* --- LVs as nearly all are -------------------------------------------------------------- */

/* Linear, in one piece, without tags: a name, a uuid and three numbers, and the rest is always the same. */
#define PLAIN_MOST 1024

static inline char *put(char *to, const char *s)
{
	while (*s)
		*to++ = *s++;
	return to;
}
/* A constant: its length is known, so that it is copied in words. */
#define PUT(to, s) ((char *)memcpy(to, s, sizeof(s) - 1) + sizeof(s) - 1)

static char *put_u64(char *to, uint64_t n)
{
	char text[20], *from = text + sizeof(text);

	do {
		*--from = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	while (from < text + sizeof(text))
		*to++ = *from++;
	return to;
}

/* Names of LVs are such that nothing has to be escaped; of a PV's key that is to be seen. */
static bool is_plain(const struct json *j, const struct lvm_lv *lv, const struct lvm_pv **good)
{
	const struct lvm_seg *s = lv->seg;

	if (j->pretty || lv->n_segs != 1 || s->kind != LVM_SEG_STRIPED || s->n_legs != 1 || !s->leg->pv ||
	    lv->tags.n || lv->flags != (LVM_LV_READ | LVM_LV_WRITE | LVM_LV_VISIBLE))
		return false;
	if (s->leg->pv != *good && !lvm_name_ok(s->leg->pv->key, strlen(s->leg->pv->key)))
		return false;
	*good = s->leg->pv;
	return true;
}

/* The same as show_lv() would write; tests/unit/lvm2_show.c holds one against the other. */
static void show_plain(struct json *j, const struct lvm_vg *vg, const struct lvm_lv *lv)
{
	const struct lvm_seg *s = lv->seg;
	char text[PLAIN_MOST], *to = text;

	to = PUT(to, "{\"name\":\"");
	to = put(to, lv->name);
	to = PUT(to, "\",\"uuid\":\"");
	memcpy(to, lv->id.s, LVM_ID_LEN);
	to += LVM_ID_LEN;
	to = PUT(to, "\",\"status\":[\"READ\",\"WRITE\",\"VISIBLE\"],\"tags\":[],\"size\":");
	to = put_u64(to, lvm_lv_bytes(vg, lv));
	to = PUT(to, ",\"segments\":[{\"start_extent\":");
	to = put_u64(to, s->start);
	to = PUT(to, ",\"extent_count\":");
	to = put_u64(to, s->count);
	to = PUT(to, ",\"type\":\"linear\",\"areas\":[{\"pv\":\"");
	to = put(to, s->leg->pv->key);
	to = PUT(to, "\",\"start_extent\":");
	to = put_u64(to, s->leg->extent);
	to = PUT(to, "}]}]}");
	json_raw(j, text, (size_t)(to - text));
}

static void show_lvs(struct json *j, const struct lvm_vg *vg)
{
	const struct lvm_pv *good = NULL;

	for (const struct lvm_lv *lv = vg->first; lv; lv = lv->next)
		if (!IS_ENABLED(CONFIG_OPTIMIZE_SIZE) && is_plain(j, lv, &good))
			show_plain(j, vg, lv);
		else
			show_lv(j, vg, lv);
}

static void show_vg(struct json *j, const struct lvm_vg *vg)
{
	json_obj_begin(j);
	json_key_str(j, "name", vg->name);
	json_key_str(j, "uuid", vg->id.s);
	json_key_u64(j, "seqno", vg->seqno);
	words(j, lvm_vg_words, vg->flags);
	tags(j, &vg->tags);
	if (vg->system_id)
		json_key_str(j, "system_id", vg->system_id);
	if (vg->lock_type)
		json_key_str(j, "lock_type", vg->lock_type);
	json_key_u64(j, "extent_size", lvm_extent_bytes(vg));
	json_key_u64(j, "extent_count", lvm_vg_extents(vg));
	json_key_u64(j, "free_count", lvm_vg_free(vg));
	json_key_arr(j, "pvs");
	for (uint32_t i = 0; i < vg->n_pvs; i++)
		show_pv(j, vg, vg->pv[i]);
	json_arr_end(j);
	json_key_arr(j, "lvs");
	show_lvs(j, vg);
	json_arr_end(j);
	json_obj_end(j);
}

bool lvm_dev_is_orphan(const struct lvm_dev *d)
{
	return !d->err && !d->vg && !d->outdated && !d->duplicate;
}

static void show_orphan(struct json *j, const struct lvm_dev *d)
{
	json_obj_begin(j);
	json_key_str(j, "uuid", d->label.pv.s);
	json_key_str(j, "path", d->path);
	json_key_u64(j, "size", d->size);
	json_key_bool(j, "used", d->label.ext_flags & LVM_LABEL_USED);
	json_obj_end(j);
}

static void show_problem(struct json *j, const struct lvm_problem *p)
{
	const char *repair;

	json_obj_begin(j);
	json_key_str(j, "path", p->path);
	json_key_str(j, "what", p->what);
	json_key_str(j, "severity", lvm_severity_name(lvm_problem_severity(p, &repair)));
	json_obj_end(j);
}

/* Some 240 bytes an LV. */
static void expect(const struct lvm_set *set, struct json *j)
{
	size_t n = 0;

	for (size_t i = 0; i < set->n_found; i++)
		n += set->found[i]->vg ? set->found[i]->vg->n_lvs : 0;
	if (!j->buf->n && n > 1000)
		buf_pages(j->buf, n * 256);
}

void lvm_show_json(const struct lvm_set *set, struct json *j)
{
	expect(set, j);
	json_obj_begin(j);
	json_key_u64(j, "schema", 1);
	json_key_arr(j, "vgs");
	for (size_t i = 0; i < set->n_found; i++)
		if (set->found[i]->vg)
			show_vg(j, set->found[i]->vg);
	json_arr_end(j);
	json_key_arr(j, "orphans");
	for (size_t i = 0; i < set->n_devs; i++)
		if (lvm_dev_is_orphan(&set->dev[i]))
			show_orphan(j, &set->dev[i]);
	json_arr_end(j);
	json_key_arr(j, "problems");
	for (const struct lvm_problem *p = set->problem; p; p = p->next)
		show_problem(j, p);
	json_arr_end(j);
	json_obj_end(j);
	json_end(j);
}
