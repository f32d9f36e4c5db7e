/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/lvm2/history.h"
#include "lib/lvm2/show.h"
#include "lib/text/json.h"
#include "lib/text/size.h"
#include "lib/time.h"
#include "lib/utf8.h"
#include "sm/front/cli.h"
#include "sm/front/table.h"
#include "sm/front/vg_out.h"

struct out {
	struct arena *a;
	const struct cli *cli;
	const struct term *term;
	struct buf *b;
	bool begun;			/* a table stands there already */
};

static const char *bytes(const struct out *o, uint64_t n)
{
	char text[SIZE_TEXT];

	if (o->cli->units_b)
		return arena_printf(o->a, "%llu", (unsigned long long)n);
	return arena_strdup(o->a, size_text(text, n));
}

static const char *number(const struct out *o, uint64_t n)
{
	return arena_printf(o->a, "%llu", (unsigned long long)n);
}

/* Tables are apart by an empty line; one without lines is left out. */
static void put_table(struct out *o, const struct table *t)
{
	if (!t->n)
		return;
	if (o->begun)
		buf_putc(o->b, '\n');
	o->begun = true;
	table_print(t, o->term, o->b);
}

static const char *joined(const struct out *o, const struct lvm_tags *tags)
{
	_buf_free_ struct buf b = { 0 };

	for (uint32_t i = 0; i < tags->n; i++)
		buf_printf(&b, "%s%s", i ? "," : "", tags->v[i]);
	return arena_strdup(o->a, buf_str(&b));
}

/* --- volume groups ------------------------------------------------------------------ */

/* Words that are not what most have. */
static const char *state(const struct out *o, const struct lvm_vg *vg)
{
	_buf_free_ struct buf b = { 0 };

	if (!(vg->flags & LVM_VG_WRITE))
		buf_puts(&b, ",read-only");
	if (vg->flags & LVM_VG_EXPORTED)
		buf_puts(&b, ",exported");
	if (vg->flags & (LVM_VG_CLUSTERED | LVM_VG_SHARED))
		buf_puts(&b, ",clustered");
	if (vg->system_id)
		buf_printf(&b, ",of host %s", vg->system_id);
	if (vg->lock_type)
		buf_printf(&b, ",%s", vg->lock_type);
	if (vg->n_devs < vg->n_pvs)
		buf_puts(&b, ",partial");
	return b.n ? arena_strdup(o->a, b.p + 1) : "ok";
}

static void vgs(struct out *o, const struct lvm_set *set)
{
	static const struct column cols[] = {
		{ "VG", COL_LEFT }, { "UUID", COL_LEFT }, { "SEQNO", COL_RIGHT },
		{ "EXTENT", COL_RIGHT }, { "SIZE", COL_RIGHT }, { "FREE", COL_RIGHT },
		{ "PVS", COL_RIGHT }, { "LVS", COL_RIGHT }, { "STATE", COL_LEFT },
		{ "TAGS", COL_SHRINK },
	};
	struct table t = { .arena = o->a, .cols = cols, .n_cols = ARRAY_SIZE(cols) };

	for (size_t i = 0; i < set->n_found; i++) {
		const struct lvm_vg *vg = set->found[i]->vg;

		if (!vg)
			continue;
		table_cell(&t, vg->name);
		table_cell(&t, vg->id.s);
		table_cell(&t, number(o, vg->seqno));
		table_cell(&t, bytes(o, lvm_extent_bytes(vg)));
		table_cell(&t, bytes(o, lvm_vg_extents(vg) * lvm_extent_bytes(vg)));
		table_cell(&t, bytes(o, lvm_vg_free(vg) * lvm_extent_bytes(vg)));
		table_cell(&t, number(o, vg->n_pvs));
		table_cell(&t, number(o, vg->n_lvs));
		table_cell(&t, state(o, vg));
		table_cell(&t, joined(o, &vg->tags));
	}
	put_table(o, &t);
}

static void pv_row(struct out *o, struct table *t, const struct lvm_vg *vg,
		   const struct lvm_pv *pv)
{
	table_cell(t, vg->name);
	table_cell(t, pv->key);
	table_cell(t, pv->id.s);
	table_cell(t, pv->dev ? pv->dev->path : "missing");
	table_cell(t, bytes(o, pv->pe_count * lvm_extent_bytes(vg)));
	table_cell(t, bytes(o, pv->n_free * lvm_extent_bytes(vg)));
	table_cell(t, bytes(o, pv->pe_start * LVM_SECTOR));
	table_cell(t, number(o, pv->pe_count));
	table_cell(t, joined(o, &pv->tags));
}

static void orphan_row(struct out *o, struct table *t, const struct lvm_dev *d)
{
	table_cell(t, NULL);
	table_cell(t, NULL);
	table_cell(t, d->label.pv.s);
	table_cell(t, d->path);
	table_cell(t, bytes(o, d->size));
	table_cell(t, NULL);
	table_cell(t, d->label.n_data ? bytes(o, d->label.data[0].at) : NULL);
	table_cell(t, NULL);
	table_cell(t, NULL);
}

static void pvs(struct out *o, const struct lvm_set *set)
{
	static const struct column cols[] = {
		{ "VG", COL_LEFT }, { "PV", COL_LEFT }, { "UUID", COL_LEFT }, { "PATH", COL_LEFT },
		{ "SIZE", COL_RIGHT }, { "FREE", COL_RIGHT }, { "DATA AT", COL_RIGHT },
		{ "EXTENTS", COL_RIGHT }, { "TAGS", COL_SHRINK },
	};
	struct table t = { .arena = o->a, .cols = cols, .n_cols = ARRAY_SIZE(cols) };

	for (size_t i = 0; i < set->n_found; i++) {
		const struct lvm_vg *vg = set->found[i]->vg;

		for (uint32_t k = 0; vg && k < vg->n_pvs; k++)
			pv_row(o, &t, vg, vg->pv[k]);
	}
	for (size_t i = 0; i < set->n_devs; i++)
		if (lvm_dev_is_orphan(&set->dev[i]))
			orphan_row(o, &t, &set->dev[i]);
	put_table(o, &t);
}

/* --- logical volumes ------------------------------------------------------------------ */

static const char *attributes(const struct out *o, const struct lvm_lv *lv)
{
	return arena_printf(o->a, "%s%s%s%s", lv->flags & LVM_LV_WRITE ? "rw" : "ro",
			    lvm_lv_is_visible(lv) ? "" : ",hidden", lv->partial ? ",partial" : "",
			    lv->flags & (LVM_LV_LOCKED | LVM_LV_PVMOVE) ? ",locked" : "");
}

/* "pv0:4-7,pv1:0-3": what each stripe or image takes. */
static const char *areas(const struct out *o, const struct lvm_seg *s)
{
	_buf_free_ struct buf b = { 0 };
	uint32_t n = lvm_leg_extents(s);

	for (uint32_t i = 0; i < s->n_legs; i++) {
		const struct lvm_leg *leg = &s->leg[i];

		if (leg->pv)
			buf_printf(&b, "%s%s:%u-%llu", i ? "," : "", leg->pv->key, leg->extent,
				   (unsigned long long)leg->extent + n - 1);
		else
			buf_printf(&b, "%s%s", i ? "," : "", leg->lv->name);
	}
	return arena_strdup(o->a, buf_str(&b));
}

static void lv_rows(struct out *o, struct table *t, const struct lvm_vg *vg,
		    const struct lvm_lv *lv)
{
	for (uint32_t i = 0; i < lv->n_segs; i++) {
		const struct lvm_seg *s = &lv->seg[i];

		/* One line for each segment; what is of the whole LV stands in the first. */
		table_cell(t, vg->name);
		table_cell(t, lv->name);
		table_cell(t, i ? NULL : bytes(o, lvm_lv_bytes(vg, lv)));
		table_cell(t, i ? NULL : attributes(o, lv));
		table_cell(t, lvm_seg_type(s));
		table_cell(t, arena_printf(o->a, "%u-%llu", s->start,
					   (unsigned long long)s->start + s->count - 1));
		table_cell(t, areas(o, s));
		table_cell(t, i ? NULL : joined(o, &lv->tags));
	}
}

static void lvs(struct out *o, const struct lvm_set *set)
{
	static const struct column cols[] = {
		{ "VG", COL_LEFT }, { "LV", COL_LEFT }, { "SIZE", COL_RIGHT }, { "MODE", COL_LEFT },
		{ "TYPE", COL_LEFT }, { "EXTENTS", COL_LEFT }, { "ON", COL_SHRINK },
		{ "TAGS", COL_SHRINK },
	};
	struct table t = { .arena = o->a, .cols = cols, .n_cols = ARRAY_SIZE(cols) };

	for (size_t i = 0; i < set->n_found; i++) {
		const struct lvm_vg *vg = set->found[i]->vg;

		for (const struct lvm_lv *lv = vg ? vg->first : NULL; lv; lv = lv->next)
			lv_rows(o, &t, vg, lv);
	}
	put_table(o, &t);
}

/* --- the past ------------------------------------------------------------------------ */

static const char *state_of(const struct lvm_past *p)
{
	if (p->committed)
		return p->why || p->damaged ? "damaged" : "committed";
	return p->why ? "damaged" : p->announced ? "announced" : "old";
}

static const char *why_of(const struct lvm_past *p)
{
	return p->why ? p->why : p->damaged ? "its checksum is wrong" : NULL;
}

static const char *places(const struct out *o, const struct lvm_past *p)
{
	_buf_free_ struct buf b = { 0 };

	for (const struct lvm_place *x = p->place; x; x = x->next)
		buf_printf(&b, "%s%s:%llu", x == p->place ? "" : " ", x->dev->path,
			   (unsigned long long)(x->area + x->at));
	return arena_strdup(o->a, buf_str(&b));
}

static void history(struct out *o, const struct lvm_past *all)
{
	static const struct column cols[] = {
		{ "VG", COL_LEFT }, { "SEQNO", COL_RIGHT }, { "TIME", COL_LEFT },
		{ "STATE", COL_LEFT }, { "HOST", COL_SHRINK }, { "WRITTEN BY", COL_SHRINK },
		{ "WHERE", COL_LEFT },
	};
	struct table t = { .arena = o->a, .cols = cols, .n_cols = ARRAY_SIZE(cols) };

	for (const struct lvm_past *p = all; p; p = p->next) {
		char time[TIME_TEXT_MAX];

		time_text(time, (int64_t)p->time);
		table_cell(&t, p->is.name);
		table_cell(&t, number(o, p->is.seqno));
		table_cell(&t, p->time ? time : NULL);
		table_cell(&t, state_of(p));
		table_cell(&t, p->host);
		table_cell(&t, why_of(p) ? why_of(p) : p->cause);
		table_cell(&t, places(o, p));
	}
	put_table(o, &t);
}

void vg_out_history_json(struct json *j, const struct reply *rp)
{
	json_key_arr(j, "versions");
	for (const struct lvm_past *p = rp->past; p; p = p->next) {
		json_obj_begin(j);
		json_key_str(j, "vg", p->is.name);
		json_key_str(j, "uuid", p->is.id.s);
		json_key_u64(j, "seqno", p->is.seqno);
		json_key_u64(j, "time", p->time);
		json_key_str(j, "host", p->host);
		json_key_str(j, "description", p->cause);
		json_key_str(j, "state", state_of(p));
		json_key_bool(j, "valid", lvm_past_is_good(p));
		json_key_str(j, "what", why_of(p));
		json_key_arr(j, "copies");
		for (const struct lvm_place *x = p->place; x; x = x->next) {
			json_obj_begin(j);
			json_key_str(j, "path", x->dev->path);
			json_key_u64(j, "offset", x->area + x->at);
			json_obj_end(j);
		}
		json_arr_end(j);
		json_obj_end(j);
	}
	json_arr_end(j);
}

/* --- the answers ----------------------------------------------------------------------- */

void vg_out_print(struct arena *a, const struct cli *c, const struct reply *rp,
		  const struct term *term, struct buf *b)
{
	struct out o = { .a = a, .cli = c, .term = term, .b = b };

	if (rp->kind == REPLY_HISTORY) {
		history(&o, rp->past);
		return;
	}
	vgs(&o, rp->vgs);
	pvs(&o, rp->vgs);
	lvs(&o, rp->vgs);
}

void vg_out_text(struct arena *a, const char *text, struct buf *b)
{
	while (*text) {
		size_t n = strcspn(text, "\n\t");

		utf8_show(b, arena_strndup(a, text, n));
		if (text[n])
			buf_putc(b, text[n++]);
		text += n;
	}
	buf_putc(b, '\n');
}

bool vg_out_has_ids(const struct reply *rp)
{
	return rp->kind == REPLY_VGS || rp->kind == REPLY_HISTORY;
}

void vg_out_ids(const struct reply *rp, struct buf *b)
{
	const char *comma = "";

	for (const struct lvm_past *p = rp->kind == REPLY_HISTORY ? rp->past : NULL; p;
	     p = p->next, comma = ",")
		buf_printf(b, "%s%u", comma, p->is.seqno);
	for (size_t i = 0; rp->kind == REPLY_VGS && i < rp->vgs->n_found; i++, comma = ",")
		buf_printf(b, "%s%s", comma, rp->vgs->found[i]->best->is.id.s);
	buf_putc(b, '\n');
}
