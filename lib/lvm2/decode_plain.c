/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * LVs as nearly all are: linear, and written exactly as LVM2 (and we) write them.
 * They differ in names and numbers only, so everything else is compared and
 * nothing is looked for; that is ten times as fast as the general way, and in a
 * large VG it is most of the work.
 *
 * Whatever is not exactly so, be it legal or damaged, is none of this file's
 * business: it takes nothing from the text, and the general way reads it.  What
 * both read comes out the same; tests/fuzz/lvm2_text.c holds one against the other.
 */
#include <string.h>

#include "lib/lvm2/decode.h"

#define SEGS	8	/* of an LV; one in more pieces is read the general way */
#define TAGS	8
#define DIGITS	18	/* as many always fit */

struct cursor {
	const char *p, *end;
};

struct plain {
	struct view name, host;
	struct lvm_id id;
	uint32_t flags;
	struct view tag[TAGS];
	uint32_t n_tags;
	uint64_t created, n_segs, extents;
	struct lvm_seg seg[SEGS];
	struct lvm_leg leg[SEGS];
};

/* Goes over this very text or stays where it is.  The text is a constant, so that words are compared. */
static inline __attribute__((always_inline)) bool skip(struct cursor *c, const char *s, size_t n)
{
	uint64_t x, y, differs = 0;
	size_t i = 0;

	if ((size_t)(c->end - c->p) < n)
		return false;
	for (; n - i >= sizeof(x); i += sizeof(x)) {
		memcpy(&x, c->p + i, sizeof(x));
		memcpy(&y, s + i, sizeof(y));
		differs |= x ^ y;
	}
	for (; i < n; i++)
		differs |= (uint64_t)(c->p[i] != s[i]);
	if (differs)
		return false;
	c->p += n;
	return true;
}
#define SKIP(c, s) skip(c, s, sizeof(s) - 1)

/* As LVM2 writes it: no sign, and no zero in front, which would make it octal. */
static bool number(struct cursor *c, uint64_t *v)
{
	const char *from = c->p, *p = from;
	const char *most = c->end - p > DIGITS ? p + DIGITS : c->end;
	uint64_t n = 0;

	for (; p < most && (uint8_t)(*p - '0') <= 9; p++)
		n = n * 10 + (uint8_t)(*p - '0');
	*v = n;
	c->p = p;
	return p > from && (*from != '0' || p - from == 1);
}

static bool number32(struct cursor *c, uint32_t *v)
{
	uint64_t n;

	if (!number(c, &n) || n > UINT32_MAX)
		return false;
	*v = (uint32_t)n;
	return true;
}

/* Printable, with nothing in it that would have to be escaped, and the quote behind it. */
static bool string(struct cursor *c, struct view *v)
{
	const char *from = c->p, *p = from, *end = c->end;

	while (p < end && *p >= ' ' && *p < 0x7f && *p != '"' && *p != '\\')
		p++;
	c->p = p;
	*v = (struct view){ from, (size_t)(p - from) };
	return SKIP(c, "\"");
}

/* Up to the blank in front of the brace. */
static bool name(struct cursor *c, struct view *v)
{
	const char *from = c->p, *blank = memchr(c->p, ' ', (size_t)(c->end - c->p) < 128
							    ? (size_t)(c->end - c->p) : 128);

	if (!blank)
		return false;
	*v = (struct view){ from, (size_t)(blank - from) };
	c->p = blank;
	return lvm_name_ok(v->p, v->n) && SKIP(c, " {\n");
}

static bool id(struct cursor *c, struct lvm_id *id)
{
	if (!SKIP(c, "id = \"") || c->end - c->p < LVM_ID_LEN || !lvm_id_copy(id, c->p))
		return false;
	c->p += LVM_ID_LEN;
	return SKIP(c, "\"\n");
}

static bool status(struct cursor *c, uint32_t *flags)
{
	if (!SKIP(c, "status = [\"READ\", "))
		return false;
	*flags = LVM_LV_READ;
	if (SKIP(c, "\"WRITE\", "))
		*flags |= LVM_LV_WRITE;
	*flags |= LVM_LV_VISIBLE;
	return SKIP(c, "\"VISIBLE\"]\nflags = []\n");
}

static bool tags(struct cursor *c, struct plain *l)
{
	if (!SKIP(c, "tags = ["))
		return true;
	do {
		if (l->n_tags == TAGS || !SKIP(c, "\"") || !string(c, &l->tag[l->n_tags++]))
			return false;
	} while (SKIP(c, ", "));
	return SKIP(c, "]\n");
}

static bool made(struct cursor *c, struct plain *l)
{
	if (!SKIP(c, "creation_time = "))
		return true;
	return number(c, &l->created) && SKIP(c, "\ncreation_host = \"") && string(c, &l->host) &&
	       SKIP(c, "\n");
}

/* "pv0", 17: almost always the PV of the one before. */
static bool area(struct lvm_decoder *d, struct cursor *c, struct lvm_leg *leg)
{
	struct view key;

	if (!SKIP(c, "\"") || !string(c, &key) || !SKIP(c, ", "))
		return false;
	if (!d->pv || !lvm_view_is(key, d->pv->key))
		d->pv = lvm_decode_pv_find(d, key);
	leg->pv = d->pv;
	return leg->pv && number32(c, &leg->extent) && SKIP(c, "\n]\n}");
}

static bool segment(struct lvm_decoder *d, struct cursor *c, struct plain *l, uint32_t i)
{
	struct lvm_seg *s = &l->seg[i];
	const char *from = c->p;
	uint64_t nr;

	*s = (struct lvm_seg){ .kind = LVM_SEG_STRIPED, .type = "striped", .n_legs = 1 };
	if (!SKIP(c, "segment") || !number(c, &nr) || nr != i + 1 ||
	    !SKIP(c, " {\nstart_extent = ") || !number32(c, &s->start) || s->start != l->extents ||
	    !SKIP(c, "\nextent_count = ") || !number32(c, &s->count) || !s->count ||
	    !SKIP(c, "\n\ntype = \"striped\"\n") || !SKIP(c, "stripe_count = 1\n\n") ||
	    !SKIP(c, "stripes = [\n") || !area(d, c, &l->leg[i]))
		return false;
	s->raw = (struct view){ from, (size_t)(c->p - from) };
	l->extents += s->count;
	return l->extents <= UINT32_MAX && SKIP(c, "\n");
}

static bool whole(struct lvm_decoder *d, struct cursor *c, struct plain *l)
{
	if (!name(c, &l->name) || !id(c, &l->id) || !status(c, &l->flags) || !tags(c, l) ||
	    !made(c, l) || !SKIP(c, "segment_count = ") || !number(c, &l->n_segs) ||
	    !l->n_segs || l->n_segs > SEGS || !SKIP(c, "\n\n"))
		return false;
	for (uint32_t i = 0; i < l->n_segs; i++)
		if (!segment(d, c, l, i))
			return false;
	return SKIP(c, "}");
}

/* One allocation holds all of it that is never replaced. */
static struct lvm_lv *take(struct lvm_decoder *d, const struct plain *l)
{
	struct arena *a = d->vg->arena;
	struct {
		struct lvm_lv lv;
		struct lvm_seg seg;
		struct lvm_leg leg;
	} *first = arena_alloc(a, sizeof(*first) + l->name.n + 1);
	struct lvm_lv *lv = &first->lv;
	struct lvm_leg *leg = &first->leg;

	lv->seg = &first->seg;
	if (l->n_segs > 1) {
		lv->seg = arena_array(a, l->n_segs, sizeof(*lv->seg));
		leg = arena_array(a, l->n_segs, sizeof(*leg));
	}
	for (uint32_t i = 0; i < l->n_segs; i++) {
		leg[i] = l->leg[i];
		lv->seg[i] = l->seg[i];
		lv->seg[i].leg = &leg[i];
	}
	lv->name = memcpy(first + 1, l->name.p, l->name.n);
	lv->id = l->id;
	lv->flags = l->flags;
	lv->extents = (uint32_t)l->extents;
	lv->n_segs = (uint32_t)l->n_segs;
	lv->created = l->created;
	lv->major = lv->minor = -1;
	if (l->host.p)
		lv->host = lvm_decode_host(d, l->host);
	lv->tags.n = l->n_tags;
	lv->tags.v = l->n_tags ? arena_array(a, l->n_tags, sizeof(*lv->tags.v)) : NULL;
	for (uint32_t i = 0; i < l->n_tags; i++)
		lv->tags.v[i] = lvm_decode_str(d, l->tag[i]);
	return lv;
}

int lvm_decode_plain(struct lvm_decoder *d, struct lvm_text *t)
{
	struct cursor c = { t->at, t->end };
	struct plain l;
	struct lvm_lv *lv;
	int err;

	l.host.p = NULL;
	l.n_tags = 0;
	l.created = l.extents = 0;
	if (!SKIP(&c, "\n\n") || !whole(d, &c, &l))
		return 0;
	lv = take(d, &l);
	lv->raw = (struct view){ t->at + 2, (size_t)(c.p - t->at) - 2 };
	t->at = c.p;
	err = lvm_decode_add(d, lv);
	return err ? err : 1;
}
