/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the text to the model, one PV or LV at a time; lib/lvm2/vg.h says what comes out. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/lvm2/alloc.h"
#include "lib/lvm2/decode.h"
#include "lib/lvm2/tree.h"

#define HEAD_MOST 1024		/* fields of the VG itself; LVM2 knows fifteen */

int lvm_decode_fail(struct lvm_decoder *d, int err, const char *fmt, ...)
{
	va_list ap;

	if (!d->why) {
		va_start(ap, fmt);
		d->why = arena_vprintf(d->vg->arena, fmt, ap);
		va_end(ap);
	}
	return err;
}

char *lvm_decode_str(struct lvm_decoder *d, struct view v)
{
	return arena_strndup(d->vg->arena, v.p, v.n);
}

int lvm_decode_tags(struct lvm_decoder *d, const struct lvm_node *n, struct lvm_tags *tags)
{
	tags->v = arena_array(d->vg->arena, n->n_values, sizeof(*tags->v));
	tags->n = n->n_values;
	for (uint32_t i = 0; i < n->n_values; i++) {
		if (n->value[i].type != LVM_STRING)
			return -E_LVM_TYPE;
		tags->v[i] = lvm_decode_str(d, n->value[i].str);
	}
	return n->kind == LVM_SECTION ? -E_LVM_TYPE : 0;
}

int lvm_decode_words(struct lvm_decoder *d, const struct lvm_node *n, const struct lvm_word *words,
		     bool status, uint32_t *flags)
{
	if (n->kind == LVM_SECTION)
		return -E_LVM_TYPE;
	for (uint32_t i = 0; i < n->n_values; i++) {
		struct view v = n->value[i].str;
		const struct lvm_word *w = words;

		if (n->value[i].type != LVM_STRING)
			return -E_LVM_TYPE;
		while (w->word && !lvm_view_is(v, w->word))
			w++;
		*flags |= w->bit;
		if (!w->word && status && !d->vg->refuse) {
			d->vg->refuse = -E_LVM_NEWER;
			d->vg->refuse_why =
				arena_printf(d->vg->arena, "status %.*s is not known here",
					     (int)v.n, (const char *)v.p);
		}
	}
	return 0;
}

/* --- physical volumes ------------------------------------------------------- */

static const char *pv_key_of(const void *pv)
{
	return ((const struct lvm_pv *)pv)->key;
}

static const char *pv_id_of(const void *pv)
{
	return ((const struct lvm_pv *)pv)->id.s;
}

struct lvm_pv *lvm_decode_pv_find(struct lvm_decoder *d, struct view key)
{
	return lvm_map_find(&d->pv_by_key, pv_key_of, key);
}

static int pv_fields(struct lvm_decoder *d, struct lvm_pv *pv, const struct lvm_node *n)
{
	const struct lvm_node *list;
	struct view v;
	int err;

	err = lvm_get_str(n, "id", &v);
	if (!err)
		err = lvm_id_parse(&pv->id, v.p, v.n);
	if (!err)
		err = lvm_get_list(n, "status", &list);
	if (!err)
		err = lvm_decode_words(d, list, lvm_pv_words, true, &pv->flags);
	if (!err && !lvm_get_list(n, "flags", &list))
		err = lvm_decode_words(d, list, lvm_pv_words, false, &pv->flags);
	if (!err && (list = lvm_find(n, "tags")))
		err = lvm_decode_tags(d, list, &pv->tags);
	if (!err && !lvm_get_str(n, "device", &v))
		pv->device = lvm_decode_str(d, v);
	if (!err)
		err = lvm_get_u64(n, "pe_start", &pv->pe_start);
	if (!err)
		err = lvm_get_u32(n, "pe_count", &pv->pe_count);
	if (!err && lvm_get_u64(n, "dev_size", &pv->dev_size) == -E_LVM_TYPE)
		err = -E_LVM_TYPE;
	if (!err && !lvm_get_u64(n, "ba_start", &pv->ba_start))
		err = lvm_get_u64(n, "ba_size", &pv->ba_size);
	return err;
}

static int pv_decode(struct lvm_decoder *d, const struct lvm_node *n)
{
	struct lvm_pv *pv = arena_alloc(d->vg->arena, sizeof(*pv));
	struct lvm_vg *vg = d->vg;

	pv->key = lvm_decode_str(d, n->key);
	pv->raw = n->raw;
	if (pv_fields(d, pv, n))
		return lvm_decode_fail(d, -E_LVM_FIELD, "a field of %s is missing or wrong",
				       pv->key);
	if (lvm_map_add(&d->pv_by_key, &d->keep, pv_key_of, pv))
		return lvm_decode_fail(d, -E_LVM_BAD, "there are two %s", pv->key);
	if (lvm_map_add(&d->pv_by_id, &d->keep, pv_id_of, pv))
		return lvm_decode_fail(d, -E_LVM_BAD, "the PV %s is there twice", pv->id.s);
	if (!(vg->n_pvs & (vg->n_pvs - 1)))
		vg->pv = arena_grow(vg->arena, vg->pv, vg->n_pvs,
				    vg->n_pvs ? (size_t)vg->n_pvs * 2 : 1, sizeof(*vg->pv));
	vg->pv[vg->n_pvs++] = pv;
	return 0;
}

/* --- the volume group ------------------------------------------------------- */

/* Every section inside of this one, read alone and handed over, unless it is a plain one. */
static int each(struct lvm_decoder *d, struct lvm_text *t,
		int (*plain)(struct lvm_decoder *d, struct lvm_text *t),
		int (*decode)(struct lvm_decoder *d, const struct lvm_node *n))
{
	struct lvm_node n;
	int more, err;

	for (;;) {
		more = plain ? plain(d, t) : 0;
		if (more > 0)
			continue;
		if (!more)
			more = lvm_text_next(t, &n);
		if (more <= 0)
			return more;
		bool section = n.kind == LVM_SECTION;

		arena_reset(&d->scratch);
		err = lvm_text_body(t, &d->scratch, &n);
		if (!err && section)
			err = decode(d, &n);
		if (err)
			return err;
	}
}

static int id_of(const struct lvm_node *section, struct lvm_id *id)
{
	struct view v;
	int err = lvm_get_str(section, "id", &v);

	return err ? err : lvm_id_parse(id, v.p, v.n);
}

/* A string that may be absent; an empty one counts as none. */
static int maybe_str(struct lvm_decoder *d, const char *key, const char **s)
{
	struct view v;
	int err = lvm_get_str(d->vg->head, key, &v);

	if (!err && v.n)
		*s = lvm_decode_str(d, v);
	return err == -ENOENT ? 0 : err;
}

static int maybe_u32(const struct lvm_node *n, const char *key, uint32_t *v)
{
	int err = lvm_get_u32(n, key, v);

	return err == -ENOENT ? 0 : err;
}

static bool reserves(const struct lvm_node *head)
{
	const struct lvm_node *pr;

	if (lvm_get_list(head, "pr", &pr))
		return lvm_find(head, "pr");
	for (uint32_t i = 0; i < pr->n_values; i++)
		if (lvm_view_is(pr->value[i].str, "require"))
			return true;
	return false;
}

static int vg_fields(struct lvm_decoder *d)
{
	struct lvm_vg *vg = d->vg;
	struct lvm_node *h = vg->head;
	const struct lvm_node *list;
	struct view v;
	int err;

	err = id_of(h, &vg->id);
	if (!err)
		err = lvm_get_u32(h, "seqno", &vg->seqno);
	if (!err && !lvm_get_str(h, "format", &v) && !lvm_view_is(v, "lvm2"))
		err = -E_LVM_NEWER;
	if (!err)
		err = lvm_get_list(h, "status", &list);
	if (!err)
		err = lvm_decode_words(d, list, lvm_vg_words, true, &vg->flags);
	if (!err && !lvm_get_list(h, "flags", &list))
		err = lvm_decode_words(d, list, lvm_vg_words, false, &vg->flags);
	if (!err && (list = lvm_find(h, "tags")))
		err = lvm_decode_tags(d, list, &vg->tags);
	if (!err)
		err = lvm_get_u32(h, "extent_size", &vg->extent_size);
	if (!err)
		err = lvm_get_u32(h, "max_lv", &vg->max_lv);
	if (!err)
		err = lvm_get_u32(h, "max_pv", &vg->max_pv);
	if (!err)
		err = maybe_u32(h, "metadata_copies", &vg->metadata_copies);
	if (!err)
		err = maybe_str(d, "system_id", &vg->system_id);
	if (!err)
		err = maybe_str(d, "lock_type", &vg->lock_type);
	if (!err)
		err = maybe_str(d, "allocation_policy", &vg->policy);
	if (!err && !vg->extent_size)
		err = -E_LVM_FIELD;
	if (err)
		return err;

	/* Old versions see such a VG as one that cannot be written to. */
	if (vg->flags & LVM_VG_WRITE_LOCKED)
		vg->flags = (vg->flags & ~LVM_VG_WRITE_LOCKED) | LVM_VG_WRITE;
	if (!vg->refuse && reserves(h)) {
		vg->refuse = -E_LVM_NEWER;
		vg->refuse_why = "the VG requires persistent reservations";
	}
	return 0;
}

static int vg_section(struct lvm_decoder *d, struct lvm_text *t)
{
	struct lvm_vg *vg = d->vg;
	bool pvs = false;
	struct lvm_node n;
	int more, err = 0;

	for (uint32_t i = 0; (more = lvm_text_next(t, &n)) > 0 && !err; i++) {
		if (i == HEAD_MOST)
			return lvm_decode_fail(d, -E_LVM_FIELD, "the VG has too many fields");
		if (n.kind == LVM_SECTION && lvm_view_is(n.key, "physical_volumes")) {
			pvs = true;
			err = each(d, t, NULL, pv_decode);
		} else if (n.kind == LVM_SECTION && lvm_view_is(n.key, "logical_volumes")) {
			err = each(d, t, d->general ? NULL : lvm_decode_plain, lvm_decode_lv);
		} else {
			err = lvm_text_body(t, vg->arena, &n);
			lvm_node_add(n.kind == LVM_SECTION ? vg->rest : vg->head,
				     arena_copy(vg->arena, &n, sizeof(n)));
		}
	}
	if (!err)
		err = more;
	if (!err && (!pvs || vg_fields(d)))
		err = lvm_decode_fail(d, -E_LVM_FIELD, "a field of the VG is missing or wrong");
	return err;
}

/* What stands behind the VG says that this is such a text at all. */
static int trailer(struct lvm_decoder *d, struct lvm_text *t, struct lvm_node *top)
{
	struct lvm_node n;
	struct view contents;
	int64_t version;
	int more;

	while ((more = lvm_text_next(t, &n)) > 0) {
		int err = lvm_text_body(t, &d->keep, &n);

		if (err)
			return err;
		lvm_node_add(top, arena_copy(&d->keep, &n, sizeof(n)));
	}
	if (more)
		return more;
	if (lvm_get_str(top, "contents", &contents) || lvm_get_int(top, "version", &version) ||
	    !lvm_view_is(contents, "Text Format Volume Group"))
		return lvm_decode_fail(d, -E_LVM_FIELD, "its end is missing, which says what it is");
	if (version != 1)
		return lvm_decode_fail(d, -E_LVM_NEWER, "it is of version %lld, not 1",
				       (long long)version);
	return 0;
}

/* Everything on a PV has a place that a number can say. */
static int pv_ranges(struct lvm_decoder *d)
{
	for (uint32_t i = 0; i < d->vg->n_pvs; i++) {
		const struct lvm_pv *pv = d->vg->pv[i];
		uint64_t end;

		if (!mul_ok((uint64_t)pv->pe_count * d->vg->extent_size, LVM_SECTOR, &end) ||
		    pv->pe_start > INT64_MAX / LVM_SECTOR ||
		    !add_ok(end, pv->pe_start * LVM_SECTOR, &end) || end > INT64_MAX)
			return lvm_decode_fail(d, -E_LVM_FIELD, "%s is impossibly large", pv->key);
	}
	return 0;
}

static int whole(struct lvm_decoder *d, struct lvm_text *t)
{
	struct lvm_node *top = lvm_section_new(&d->keep, "");
	struct lvm_node n;
	int more, err;

	/* The first section is the VG, whatever its name. */
	while ((more = lvm_text_next(t, &n)) > 0 && n.kind != LVM_SECTION) {
		err = lvm_text_body(t, &d->keep, &n);
		if (err)
			return err;
		lvm_node_add(top, arena_copy(&d->keep, &n, sizeof(n)));
	}
	if (more <= 0)
		return more ? more
			    : lvm_decode_fail(d, -E_LVM_FIELD, "there is no volume group in it");
	if (!lvm_name_ok(n.key.p, n.key.n))
		return lvm_decode_fail(d, -E_LVM_NAME, "the VG has an impossible name");
	d->vg->name = lvm_decode_str(d, n.key);
	err = vg_section(d, t);
	if (!err)
		err = trailer(d, t, top);
	if (!err)
		err = pv_ranges(d);
	if (!err)
		err = lvm_decode_links(d);
	if (!err)
		err = lvm_gaps_build(d->vg, &d->why);
	return err;
}

int lvm_vg_decode(struct arena *a, struct view text, struct lvm_vg **out, const char **why)
{
	return lvm_decode_text(a, text, false, out, why);
}

int lvm_decode_text(struct arena *a, struct view text, bool general, struct lvm_vg **out,
		    const char **why)
{
	struct lvm_vg *vg = arena_alloc(a, sizeof(*vg));
	struct lvm_decoder d = { .vg = vg, .general = general };
	struct lvm_text t;
	int err;

	vg->arena = a;
	vg->end = &vg->first;
	vg->head = lvm_section_new(a, "");
	vg->rest = lvm_section_new(a, "");
	/* An LV takes some 280 bytes of text. */
	lvm_map_expect(&vg->by_name, a, text.n / 256);
	lvm_map_expect(&vg->by_id, a, text.n / 256);
	err = lvm_text_open(&t, text);
	if (!err)
		err = whole(&d, &t);
	if (err && !d.why)
		lvm_decode_fail(&d, err, "%s near line %u", err_text(err), lvm_text_line(&t));
	arena_free(&d.scratch);
	arena_free(&d.keep);
	free(d.link);
	*why = d.why;
	if (!err)
		*out = vg;
	return err;
}

int lvm_vg_summary(struct arena *a, struct view text, struct lvm_summary *s)
{
	struct arena tmp = { 0 };
	struct lvm_node *head = lvm_section_new(&tmp, ""), n;
	struct lvm_text t;
	int err = lvm_text_open(&t, text), more;

	*s = (struct lvm_summary){ 0 };
	if (err)
		return err;
	/* Before the VG and in it: all that is wanted stands in its first lines. */
	for (int i = 0; (more = lvm_text_next(&t, &n)) > 0 && i < HEAD_MOST; i++) {
		if (n.kind == LVM_SECTION && !s->name) {
			if (!lvm_name_ok(n.key.p, n.key.n)) {
				err = -E_LVM_NAME;
				break;
			}
			s->name = arena_strndup(a, n.key.p, n.key.n);
			continue;
		}
		err = lvm_text_body(&t, &tmp, &n);
		if (err)
			break;
		lvm_node_add(head, arena_copy(&tmp, &n, sizeof(n)));
		if (s->name && !id_of(head, &s->id) && !lvm_get_u32(head, "seqno", &s->seqno)) {
			arena_free(&tmp);
			return 0;
		}
	}
	arena_free(&tmp);
	return err ? err : -E_LVM_FIELD;
}
