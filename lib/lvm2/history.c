/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/crc32.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/lvm2/history.h"
#include "lib/lvm2/lost.h"
#include "lib/lvm2/tree.h"

#define RING	LVM_SECTOR
#define RING_MOST (64 * MiB)		/* XenServer's are 11 MiB */
#define TEXTS_MOST 4096			/* a ring of 1 MiB has 1,000 at the very most */

struct digger {
	struct lvm_set *set;
	const char *vg;
	struct lvm_past **past;
	size_t n;
	uint64_t left;			/* bytes of this ring still to be read as texts */
};

/* A ring in memory, and where it came from. */
struct ring {
	const struct lvm_dev *dev;
	const struct lvm_site *site;
	const char *p;
	size_t size;
};

static const char *string_of(struct lvm_set *set, const struct lvm_node *top, const char *key)
{
	struct view v;

	return lvm_get_str(top, key, &v) ? "" : arena_strndup(set->arena, v.p, v.n);
}

/* Who wrote it, and when; both are only for people. */
static void read_stamp(struct lvm_set *set, struct lvm_past *p)
{
	struct arena tmp = { 0 };
	struct lvm_node *top = lvm_section_new(&tmp, ""), n;
	struct lvm_text t;

	if (!lvm_text_open(&t, p->text))
		while (lvm_text_next(&t, &n) == 1 && !lvm_text_body(&t, &tmp, &n))
			if (n.kind != LVM_SECTION)
				lvm_node_add(top, arena_copy(&tmp, &n, sizeof(n)));
	p->cause = string_of(set, top, "description");
	p->host = string_of(set, top, "creation_host");
	if (lvm_get_u64(top, "creation_time", &p->time))
		p->time = 0;
	arena_free(&tmp);
}

/* Read it as a whole, and say why that cannot be done. */
static const char *why_bad(struct lvm_set *set, struct view text)
{
	struct arena tmp = { 0 };
	struct lvm_vg *vg;
	const char *why = NULL;

	if (lvm_vg_decode(&tmp, text, &vg, &why))
		why = arena_strdup(set->arena, why);
	arena_free(&tmp);
	return why;
}

static bool is_wanted(const struct digger *d, const struct lvm_summary *is)
{
	return !d->vg || !strcmp(d->vg, is->name) || !strcmp(d->vg, is->id.s);
}

static void add_place(struct digger *d, struct lvm_past *p, const struct ring *r, size_t at)
{
	struct lvm_place **end = p->last ? &p->last->next : &p->place;

	p->last = *end = arena_alloc(d->set->arena, sizeof(**end));
	**end = (struct lvm_place){ .dev = r->dev, .area = r->site->mda.start, .at = at + RING };
}

static void keep(struct digger *d, struct lvm_past p, const struct ring *r, size_t at)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->past[i]->text.n == p.text.n && d->past[i]->sum == p.sum &&
		    !memcmp(d->past[i]->text.p, p.text.p, p.text.n)) {
			d->past[i]->committed |= p.committed;
			d->past[i]->announced |= p.announced;
			d->past[i]->damaged &= p.damaged;
			add_place(d, d->past[i], r, at);
			return;
		}
	p.text.p = arena_copy(d->set->arena, p.text.p, p.text.n);
	p.why = why_bad(d->set, p.text);
	read_stamp(d->set, &p);
	if (!(d->n & (d->n - 1)))
		d->past = arena_grow(d->set->arena, d->past, d->n, d->n ? d->n * 2 : 1,
				     sizeof(*d->past));
	d->past[d->n] = arena_copy(d->set->arena, &p, sizeof(p));
	add_place(d, d->past[d->n++], r, at);
}

static bool points_to(const struct lvm_slot *s, size_t at)
{
	return s->size && s->at == at + RING;
}

/* Is the checksum that the header has for it right? */
static bool is_sum_right(const struct ring *r, const struct lvm_slot *s)
{
	char *text;
	bool right;

	if (lvm_slot_check(&r->site->mda, s))
		return false;
	text = must_alloc(s->size + LVM_TEXT_PAD);
	right = !lvm_mda_read_text(&r->site->mda, s, r->dev->io, text);
	free(text);
	return right;
}

/* The text that begins here, in one piece: it may go on at the start of the ring. */
static void dig_text(struct digger *d, const struct ring *r, size_t at)
{
	const struct lvm_slot *slot = r->site->mda.slot;
	const char *nul = memchr(r->p + at, '\0', r->size - at);
	struct lvm_past p = {
		.committed = points_to(&slot[0], at), .announced = points_to(&slot[1], at),
	};
	size_t n = nul ? (size_t)(nul - r->p) - at : r->size - at, more = 0;
	char *text;

	if (!nul) {
		nul = memchr(r->p, '\0', at);
		if (!nul)
			return;
		more = (size_t)(nul - r->p);
	}
	if (n + more > d->left || d->n == TEXTS_MOST) {
		d->left = 0;
		return;
	}
	d->left -= n + more;
	text = must_alloc(n + more);
	memcpy(text, r->p + at, n);
	memcpy(text + n, r->p, more);
	p.text = (struct view){ text, n + more };
	p.sum = crc32_lvm2(CRC32_LVM2, text, n + more);
	if (!lvm_vg_summary(d->set->arena, p.text, &p.is) && is_wanted(d, &p.is)) {
		if (p.committed)
			p.damaged = !is_sum_right(r, &slot[0]);
		keep(d, p, r, at);
	}
	free(text);
}

static void dig_area(struct digger *d, const struct lvm_dev *dev, const struct lvm_site *site)
{
	struct ring r = { .dev = dev, .site = site };
	char *p;
	int err;

	if (site->mda.size - RING > RING_MOST) {
		lvm_problem(d->set, dev->path, -EFBIG,
			    "metadata area at %llu: too large to be searched",
			    (unsigned long long)site->mda.start);
		return;
	}
	r.size = (size_t)(site->mda.size - RING);
	r.p = p = must_alloc(r.size);
	err = io_read(dev->io, site->mda.start + RING, p, r.size);
	if (err)
		lvm_problem(d->set, dev->path, err, "metadata area at %llu: %s",
			    (unsigned long long)site->mda.start, err_text(err));
	/* Texts that were written do not overlap; what is left of old ones does, a little. */
	d->left = 4 * r.size;
	for (size_t at = 0; !err && at < r.size && d->left; at += LVM_SECTOR)
		if (lvm_text_begins(p + at, r.size - at))
			dig_text(d, &r, at);
	if (!d->left)
		lvm_problem(d->set, dev->path, -EFBIG,
			    "metadata area at %llu: more texts than anybody wrote",
			    (unsigned long long)site->mda.start);
	free(p);
}

static int newest_first(const void *a, const void *b)
{
	const struct lvm_past *x = *(struct lvm_past *const *)a, *y = *(struct lvm_past *const *)b;
	int by_vg = strcmp(x->is.id.s, y->is.id.s);

	if (by_vg)
		return by_vg;
	if (x->is.seqno != y->is.seqno)
		return x->is.seqno > y->is.seqno ? -1 : 1;
	return x->time > y->time ? -1 : x->time < y->time;
}

struct lvm_past *lvm_history(struct lvm_set *set, const char *vg)
{
	struct digger d = { .set = set, .vg = vg };
	struct lvm_site site[LVM_LABEL_AREAS];
	struct lvm_past *first = NULL;

	for (size_t i = 0; i < set->n_devs; i++) {
		uint32_t n = lvm_sites(&set->dev[i], site);

		for (uint32_t k = 0; k < n; k++)
			dig_area(&d, &set->dev[i], &site[k]);
	}
	if (!d.n)
		return NULL;
	qsort(d.past, d.n, sizeof(*d.past), newest_first);
	for (size_t i = d.n; i--; first = d.past[i])
		d.past[i]->next = first;
	return first;
}

const struct lvm_past *lvm_past_find(const struct lvm_past *all, uint64_t seqno)
{
	const struct lvm_past *best = NULL;

	for (const struct lvm_past *p = all; p; p = p->next) {
		if (p->is.seqno != seqno || !lvm_past_is_good(p))
			continue;
		if (p->committed)
			return p;
		best = best ? best : p;		/* the one written last comes first */
	}
	return best;
}

bool lvm_past_is_doubtful(const struct lvm_past *all, const struct lvm_past *p)
{
	for (const struct lvm_past *x = all; x; x = x->next)
		if (x != p && x->is.seqno == p->is.seqno && x->time == p->time &&
		    !strcmp(x->is.id.s, p->is.id.s) && lvm_past_is_good(x))
			return !p->committed;
	return false;
}

const struct lvm_past *lvm_past_newest(const struct lvm_past *all)
{
	for (; all; all = all->next)
		if (lvm_past_is_good(all))
			return lvm_past_find(all, all->is.seqno);
	return NULL;
}

bool lvm_past_is_one_vg(const struct lvm_past *all)
{
	for (const struct lvm_past *p = all; p; p = p->next)
		if (strcmp(p->is.id.s, all->is.id.s))
			return false;
	return all;
}
