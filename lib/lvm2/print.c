/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the model to the text, in LVM2's order and with its blank lines. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/lvm2/tree.h"
#include "lib/lvm2/vg.h"

static const struct lvm_key vg_keys[] = {
	{ "id", false }, { "seqno", false }, { "format", false }, { "status", false },
	{ "flags", false }, { "tags", false }, { "system_id", false }, { "lock_type", false },
	{ "lock_args", false }, { "pr", false }, { "extent_size", false }, { "max_lv", false },
	{ "max_pv", false }, { "allocation_policy", true }, { "profile", false },
	{ "metadata_copies", false }, { NULL, false },
};

static const struct lvm_key pv_keys[] = {
	{ "id", false }, { "device", false }, { "device_id_type", true }, { "device_id", false },
	{ "status", true }, { "flags", false }, { "tags", false }, { "dev_size", false },
	{ "pe_start", false }, { "pe_count", false }, { "ba_start", false }, { "ba_size", false },
	{ NULL, false },
};

static const struct lvm_key lv_keys[] = {
	{ "id", false }, { "status", false }, { "flags", false }, { "tags", false },
	{ "creation_time", false }, { "creation_host", false }, { "lock_args", false },
	{ "allocation_policy", false }, { "profile", false }, { "read_ahead", false },
	{ "major", false }, { "minor", false }, { "segment_count", false }, { NULL, false },
};

static const struct lvm_key seg_keys[] = {
	{ "start_extent", false }, { "extent_count", false }, { "reshape_count", false },
	{ "data_copies", false }, { "type", true }, { "tags", false }, { "stripe_count", false },
	{ "stripe_size", false }, { "stripes", true }, { NULL, false },
};

/* What is printed, where it goes, and where the trees on the way live. */
struct printer {
	struct lvm_vg *vg;
	struct arena *a;
	struct buf *b;
};

/* The tree of what an object was read from; an empty one for a new object. */
static struct lvm_node *again(struct printer *p, struct view raw, const char *key)
{
	struct lvm_node n;
	struct lvm_text t;

	/* It was read once, so it can be read again. */
	if (raw.n && !lvm_text_open(&t, raw) && lvm_text_next(&t, &n) == 1 &&
	    !lvm_text_body(&t, p->a, &n)) {
		struct lvm_node *copy = arena_copy(p->a, &n, sizeof(n));

		if (!copy->first)
			copy->end = &copy->first;
		copy->blanks = 0;
		copy->key = (struct view){ key, strlen(key) };
		copy->raw.p = NULL;
		return copy;
	}
	return lvm_section_new(p->a, key);
}

static bool known(const struct lvm_word *words, struct view v)
{
	while (words->word && !lvm_view_is(v, words->word))
		words++;
	return words->word;
}

/* One of the two lists; in "flags", words we do not know stay. */
static void put_words(struct printer *p, struct lvm_node *n, const struct lvm_key *order,
		      const struct lvm_word *words, uint32_t flags, bool compatible)
{
	const char *key = compatible ? "flags" : "status", *word[32];
	const struct lvm_node *old = lvm_find(n, key);
	struct lvm_value *kept = NULL;
	struct lvm_node *list;
	uint32_t n_words = 0, n_kept = 0;

	for (const struct lvm_word *w = words; w->word; w++)
		if (w->compatible == compatible && (flags & w->bit))
			word[n_words++] = w->word;
	if (old && old->kind != LVM_SECTION) {
		kept = old->value;
		n_kept = old->n_values;
	}
	lvm_set_list(p->a, n, order, key, word, n_words);
	list = lvm_find(n, key);
	for (uint32_t i = 0; i < n_kept; i++)
		if (!known(words, kept[i].str)) {
			struct lvm_value v = kept[i];

			v.new_line = false;
			*lvm_value_add(p->a, list) = v;
		}
}

static void put_flags(struct printer *p, struct lvm_node *n, const struct lvm_key *order,
		      const struct lvm_word *words, uint32_t flags)
{
	put_words(p, n, order, words, flags, false);
	put_words(p, n, order, words, flags, true);
}

static void put_tags(struct printer *p, struct lvm_node *n, const struct lvm_key *order,
		     const struct lvm_tags *tags)
{
	if (tags->n)
		lvm_set_list(p->a, n, order, "tags", tags->v, tags->n);
	else
		lvm_unset(n, "tags");
}

/* In a VG that belongs to one host, old versions must find nothing they may write to. */
static uint32_t lock_write(const struct lvm_vg *vg, uint32_t flags, uint32_t write, uint32_t locked)
{
	bool owned = vg->system_id || (vg->lock_type && strcmp(vg->lock_type, "none"));

	return owned && (flags & write) ? (flags & ~write) | locked : flags;
}

static void print_raw(struct printer *p, struct view raw)
{
	buf_add(p->b, raw.p, raw.n);
	buf_putc(p->b, '\n');
}

/* --- logical volumes ---------------------------------------------------------- */

static void put_stripes(struct printer *p, struct lvm_node *n, const struct lvm_seg *s)
{
	struct lvm_node *list;

	lvm_set_list(p->a, n, seg_keys, "stripes", NULL, 0);
	list = lvm_find(n, "stripes");
	list->new_line = true;
	for (uint32_t i = 0; i < s->n_legs; i++) {
		const char *name = s->leg[i].pv ? s->leg[i].pv->key : s->leg[i].lv->name;

		*lvm_value_add(p->a, list) = (struct lvm_value){
			.type = LVM_STRING, .new_line = true, .str = { name, strlen(name) },
		};
		*lvm_value_add(p->a, list) = (struct lvm_value){
			.type = LVM_INT, .num = s->leg[i].extent,
		};
	}
}

static struct lvm_node *segment(struct printer *p, const struct lvm_seg *s, uint32_t i)
{
	struct lvm_node *n;

	if (s->raw.n && !s->changed) {
		n = lvm_section_new(p->a, "");
		n->kind = LVM_RAW;
		n->raw = s->raw;
		return n;
	}
	n = again(p, s->raw, arena_printf(p->a, "segment%u", i + 1));
	lvm_set_int(p->a, n, seg_keys, "start_extent", s->start);
	lvm_set_int(p->a, n, seg_keys, "extent_count", s->count);
	if (!s->raw.n)
		lvm_set_str(p->a, n, seg_keys, "type", s->type);
	if (s->kind == LVM_SEG_STRIPED) {
		lvm_set_int(p->a, n, seg_keys, "stripe_count", s->n_legs);
		if (s->stripe_size)
			lvm_set_int(p->a, n, seg_keys, "stripe_size", s->stripe_size);
		put_stripes(p, n, s);
	}
	return n;
}

/* The segments anew; other sections of an LV there are none, or it would not have been read. */
static void put_segments(struct printer *p, struct lvm_node *n, const struct lvm_lv *lv)
{
	struct lvm_node **at = &n->first;

	while (*at)
		if ((*at)->kind == LVM_SECTION)
			*at = (*at)->next;
		else
			at = &(*at)->next;
	n->end = at;
	lvm_set_int(p->a, n, lv_keys, "segment_count", lv->n_segs);
	for (uint32_t i = 0; i < lv->n_segs; i++) {
		struct lvm_node *s = segment(p, &lv->seg[i], i);

		s->blanks = !i;
		lvm_node_add(n, s);
	}
}

static void print_lv(struct printer *p, const struct lvm_lv *lv)
{
	const struct lvm_vg *vg = p->vg;
	struct lvm_node *n;

	if (lv->raw.n && !lv->changed) {
		print_raw(p, lv->raw);
		return;
	}
	n = again(p, lv->raw, lv->name);
	lvm_set_str(p->a, n, lv_keys, "id", lv->id.s);
	put_flags(p, n, lv_keys, lvm_lv_words,
		  lock_write(vg, lv->flags, LVM_LV_WRITE, LVM_LV_WRITE_LOCKED));
	put_tags(p, n, lv_keys, &lv->tags);
	if (!lv->raw.n && lv->host) {
		lvm_set_int(p->a, n, lv_keys, "creation_time", (int64_t)lv->created);
		lvm_set_str(p->a, n, lv_keys, "creation_host", lv->host);
	}
	if (lv->policy)
		lvm_set_str(p->a, n, lv_keys, "allocation_policy", lv->policy);
	put_segments(p, n, lv);
	lvm_print(p->b, n);
	arena_reset(p->a);
}

void lvm_lv_print(struct lvm_vg *vg, struct lvm_lv *lv, struct buf *b)
{
	struct arena tmp = { 0 };

	print_lv(&(struct printer){ vg, &tmp, b }, lv);
	arena_free(&tmp);
}

/* Does this follow in the text it was read from, with an empty line between them? */
static bool follows(struct view before, struct view raw)
{
	const char *end = before.n ? (const char *)before.p + before.n : NULL;

	return end && raw.p == end + 2 && end[0] == '\n' && end[1] == '\n';
}

/* Those that were not changed are mostly neighbours still, and are copied together. */
static void print_lvs(struct printer *p)
{
	struct view run = { NULL, 0 };

	if (!p->vg->first)
		return;
	buf_puts(p->b, "logical_volumes {\n");
	for (const struct lvm_lv *lv = p->vg->first; lv; lv = lv->next) {
		bool as_read = lv->raw.n && !lv->changed;

		if (as_read && follows(run, lv->raw)) {
			run.n += 2 + lv->raw.n;
			continue;
		}
		if (run.n)
			print_raw(p, run);
		buf_putc(p->b, '\n');
		run = as_read ? lv->raw : (struct view){ NULL, 0 };
		if (!as_read)
			print_lv(p, lv);
	}
	if (run.n)
		print_raw(p, run);
	buf_puts(p->b, "}\n");
}

/* --- the rest ------------------------------------------------------------------ */

static void print_pv(struct printer *p, const struct lvm_pv *pv)
{
	struct lvm_node *n;

	if (pv->raw.n && !pv->changed) {
		print_raw(p, pv->raw);
		return;
	}
	n = again(p, pv->raw, pv->key);
	lvm_set_str(p->a, n, pv_keys, "id", pv->id.s);
	if (pv->device)
		lvm_set_str(p->a, n, pv_keys, "device", pv->device);
	put_flags(p, n, pv_keys, lvm_pv_words, pv->flags);
	put_tags(p, n, pv_keys, &pv->tags);
	if (pv->dev_size)
		lvm_set_int(p->a, n, pv_keys, "dev_size", (int64_t)pv->dev_size);
	lvm_set_int(p->a, n, pv_keys, "pe_start", (int64_t)pv->pe_start);
	lvm_set_int(p->a, n, pv_keys, "pe_count", pv->pe_count);
	if (pv->ba_size) {
		lvm_set_int(p->a, n, pv_keys, "ba_start", (int64_t)pv->ba_start);
		lvm_set_int(p->a, n, pv_keys, "ba_size", (int64_t)pv->ba_size);
	}
	lvm_print(p->b, n);
	arena_reset(p->a);
}

/* The VG's own fields are kept as a tree, so putting them in twice changes nothing. */
static void print_head(struct printer *p)
{
	struct lvm_vg *vg = p->vg;
	struct printer keep = { .vg = vg, .a = vg->arena };
	struct lvm_node *h = vg->head;

	lvm_set_str(keep.a, h, vg_keys, "id", vg->id.s);
	lvm_set_int(keep.a, h, vg_keys, "seqno", vg->seqno);
	lvm_set_int(keep.a, h, vg_keys, "extent_size", vg->extent_size);
	lvm_set_int(keep.a, h, vg_keys, "max_lv", vg->max_lv);
	lvm_set_int(keep.a, h, vg_keys, "max_pv", vg->max_pv);
	put_flags(&keep, h, vg_keys, lvm_vg_words,
		  lock_write(vg, vg->flags, LVM_VG_WRITE, LVM_VG_WRITE_LOCKED));
	put_tags(&keep, h, vg_keys, &vg->tags);
	for (const struct lvm_node *n = h->first; n; n = n->next)
		lvm_print(p->b, n);
}

/* As ctime(3) says it, but in UTC: the line end it brings is part of the format. */
static void print_time(struct buf *b, uint64_t now)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t t = (time_t)now;
	struct tm tm;

	if (gmtime_r(&t, &tm))
		buf_printf(b, "%.3s %.3s %2d %02d:%02d:%02d %d", days + 3 * tm.tm_wday, months + 3 * tm.tm_mon,
			   tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, tm.tm_year + 1900);
}

static void print_quoted(struct buf *b, const char *key, const char *s)
{
	buf_printf(b, "%s = \"", key);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			buf_putc(b, '\\');
		buf_putc(b, *s == '\n' ? ' ' : *s);
	}
	buf_putc(b, '"');
}

void lvm_stamp_print(struct buf *b, const struct lvm_stamp *s)
{
	buf_printf(b, "# Generated by %s: ", s->program);
	print_time(b, s->now);
	buf_puts(b, "\n\ncontents = \"Text Format Volume Group\"\nversion = 1\n\n");
	print_quoted(b, "description", s->cause);
	buf_puts(b, "\n\n");
	print_quoted(b, "creation_host", s->host);
	if (s->kernel)
		buf_printf(b, "\t# %s", s->kernel);
	buf_putc(b, '\n');
	if (s->system_id) {
		print_quoted(b, "creation_host_system_id", s->system_id);
		buf_putc(b, '\n');
	}
	buf_printf(b, "creation_time = %" PRIu64 "\t# ", s->now);
	print_time(b, s->now);
	buf_puts(b, "\n\n");
}

void lvm_vg_print(struct lvm_vg *vg, const struct lvm_stamp *stamp, struct buf *b)
{
	struct arena tmp = { 0 };
	struct printer p = { vg, &tmp, b };

	buf_printf(b, "%s {\n", vg->name);
	print_head(&p);
	buf_puts(b, "\nphysical_volumes {\n");
	for (uint32_t i = 0; i < vg->n_pvs; i++) {
		buf_putc(b, '\n');
		print_pv(&p, vg->pv[i]);
	}
	buf_puts(b, "}\n\n");
	print_lvs(&p);
	buf_putc(b, '\n');
	for (const struct lvm_node *n = vg->rest->first; n; n = n->next)
		print_raw(&p, n->raw);
	buf_puts(b, "}\n");
	lvm_stamp_print(b, stamp);
	arena_free(&tmp);
}
