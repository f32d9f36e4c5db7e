/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A text: as a tree, and as a VG.  What is read is printed, and must read the same again. */
#include <string.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/lvm2/backup.h"
#include "lib/lvm2/decode.h"
#include "lib/lvm2/tree.h"
#include "lib/lvm2/vg.h"
#include "tests/fuzz/fuzz.h"

static int parse(struct arena *a, struct lvm_node *top, struct view text)
{
	struct lvm_text t;
	struct lvm_node n;
	int more;

	*top = (struct lvm_node){ .kind = LVM_SECTION };
	top->end = &top->first;
	if (lvm_text_open(&t, text))
		return -1;
	while ((more = lvm_text_next(&t, &n)) == 1) {
		if (lvm_text_body(&t, a, &n))
			return -1;
		lvm_node_add(top, arena_copy(a, &n, sizeof(n)));
	}
	return more;
}

static void same(const struct lvm_node *a, const struct lvm_node *b)
{
	for (; a && b; a = a->next, b = b->next) {
		CHECK(a->kind == b->kind && a->key.n == b->key.n && !memcmp(a->key.p, b->key.p, a->key.n));
		CHECK(a->n_values == b->n_values);
		for (uint32_t i = 0; i < a->n_values; i++) {
			CHECK(a->value[i].type == b->value[i].type && a->value[i].num == b->value[i].num);
			CHECK(a->value[i].str.n == b->value[i].str.n);
			CHECK(!a->value[i].str.n ||
			      !memcmp(a->value[i].str.p, b->value[i].str.p, a->value[i].str.n));
		}
		same(a->first, b->first);
	}
	CHECK(!a && !b);
}

static void as_tree(struct view text)
{
	_buf_free_ struct buf b = { 0 };
	struct arena a = { 0 };
	struct lvm_node top, again;

	if (!parse(&a, &top, text)) {
		for (const struct lvm_node *n = top.first; n; n = n->next)
			lvm_print(&b, n);
		CHECK(!parse(&a, &again, (struct view){ buf_str(&b), b.n }));
		same(top.first, again.first);
	}
	arena_free(&a);
}

static void describe_seg(const struct lvm_seg *s, struct buf *b)
{
	buf_printf(b, "%u %u %s %u\n", s->start, s->count, s->type, s->n_legs);
	for (uint32_t i = 0; i < s->n_legs; i++)
		buf_printf(b, "%s %u\n",
			   s->leg[i].pv ? s->leg[i].pv->key : s->leg[i].lv ? s->leg[i].lv->name : "-",
			   s->leg[i].extent);
}

/* Everything a VG can be told apart by. */
static void describe(const struct lvm_vg *vg, struct buf *b)
{
	buf_printf(b, "%s %s %u %x %u\n", vg->name, vg->id.s, vg->seqno, vg->flags, vg->extent_size);
	for (uint32_t i = 0; i < vg->n_pvs; i++)
		buf_printf(b, "%s %s %x %u %u\n", vg->pv[i]->key, vg->pv[i]->id.s, vg->pv[i]->flags,
			   vg->pv[i]->pe_count, vg->pv[i]->n_free);
	for (const struct lvm_lv *lv = vg->first; lv; lv = lv->next) {
		buf_printf(b, "%s %s %x %u %llu %s\n", lv->name, lv->id.s, lv->flags, lv->extents,
			   (unsigned long long)lv->created, lv->host ? lv->host : "-");
		for (uint32_t i = 0; i < lv->tags.n; i++)
			buf_printf(b, "@%s\n", lv->tags.v[i]);
		for (uint32_t i = 0; i < lv->n_segs; i++)
			describe_seg(&lv->seg[i], b);
	}
}

/* Every byte of a text that was read must have been taken for the same. */
static void same_raw(const struct lvm_vg *x, const struct lvm_vg *y)
{
	const struct lvm_lv *k = y->first;

	for (const struct lvm_lv *l = x->first; l; l = l->next, k = k->next) {
		CHECK(k && l->raw.p == k->raw.p && l->raw.n == k->raw.n && l->n_segs == k->n_segs);
		CHECK(l->major == k->major && l->minor == k->minor && !l->policy == !k->policy);
		for (uint32_t i = 0; i < l->n_segs; i++)
			CHECK(l->seg[i].raw.p == k->seg[i].raw.p &&
			      l->seg[i].raw.n == k->seg[i].raw.n &&
			      l->seg[i].tagged == k->seg[i].tagged);
	}
	CHECK(!k);
}

/* There is a short way for LVs of the usual form; it must not differ from the long one. */
static void both_ways(struct view text)
{
	_buf_free_ struct buf x = { 0 }, y = { 0 };
	struct lvm_vg *vg = NULL, *long_way = NULL;
	struct arena a = { 0 };
	const char *why = NULL;
	int err = lvm_vg_decode(&a, text, &vg, &why);

	CHECK(lvm_decode_text(&a, text, true, &long_way, &why) == err);
	if (!err) {
		describe(vg, &x);
		describe(long_way, &y);
		CHECK(!strcmp(buf_str(&x), buf_str(&y)));
		same_raw(vg, long_way);
	}
	arena_free(&a);
}

static void as_vg(struct view text)
{
	const struct lvm_stamp stamp = { .program = "fuzz", .cause = "", .host = "" };
	struct arena a = { 0 };
	struct lvm_vg *vg = NULL, *again = NULL;
	const char *why = NULL;
	int err = lvm_vg_decode(&a, text, &vg, &why);

	CHECK(!err == !why);
	for (int all = 0; !err && all < 2; all++) {
		_buf_free_ struct buf out = { 0 }, was = { 0 }, is = { 0 };

		for (struct lvm_lv *lv = vg->first; lv; lv = lv->next)
			lv->changed = all;
		for (uint32_t i = 0; i < vg->n_pvs; i++)
			vg->pv[i]->changed = all;
		lvm_vg_print(vg, &stamp, &out);
		describe(vg, &was);
		CHECK(!lvm_vg_decode(&a, (struct view){ out.p, out.n }, &again, &why));
		describe(again, &is);
		CHECK(!strcmp(buf_str(&was), buf_str(&is)));
	}
	arena_free(&a);
}

/* As a file: the same VG, and the same as a file of that. */
static void as_backup(struct view text)
{
	const struct lvm_stamp stamp = { .program = "fuzz", .cause = "", .host = "" };
	_buf_free_ struct buf file = { 0 }, again = { 0 }, was = { 0 }, is = { 0 };
	struct arena a = { 0 };
	struct lvm_vg *vg;
	const char *why;

	if (!lvm_vg_decode(&a, text, &vg, &why)) {
		describe(vg, &was);
		CHECK(!lvm_backup_print(&file, text, &stamp));
		CHECK(!lvm_vg_decode(&a, (struct view){ file.p, file.n }, &vg, &why));
		describe(vg, &is);
		CHECK(!strcmp(buf_str(&was), buf_str(&is)));
		CHECK(!lvm_backup_print(&again, (struct view){ file.p, file.n }, &stamp));
		CHECK(!strcmp(file.p, again.p));
	} else {
		lvm_backup_print(&file, text, &stamp);
	}
	arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A text need not end in a NUL, and nothing may be read behind it. */
	struct view text = { data, size };
	struct lvm_summary is;
	struct arena a = { 0 };

	as_tree(text);
	as_vg(text);
	as_backup(text);
	both_ways(text);
	lvm_vg_summary(&a, text, &is);
	arena_free(&a);
	return 0;
}
