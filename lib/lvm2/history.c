/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/io.h"
#include "lib/lvm2/history.h"
#include "lib/lvm2/tree.h"

#define RING	LVM_SECTOR
#define RING_MOST (64 * MiB)		/* XenServer's are 11 MiB */

struct digger {
	struct lvm_set *set;
	const char *vg;
	struct lvm_past **past;
	size_t n;
};

/* "name {", and a name we could have written. */
static bool looks_like_text(const char *s, size_t n)
{
	const char *blank = memchr(s, ' ', n < 129 ? n : 129);

	return blank && (size_t)(blank - s) + 2 < n && blank[1] == '{' && blank[2] == '\n' &&
	       lvm_name_ok(s, (size_t)(blank - s));
}

/* Who wrote it, and when; both are only for people. */
static void read_stamp(struct lvm_set *set, struct lvm_past *p)
{
	struct arena tmp = { 0 };
	struct lvm_node *top = lvm_section_new(&tmp, ""), n;
	struct lvm_text t;
	struct view cause;

	if (!lvm_text_open(&t, p->text))
		while (lvm_text_next(&t, &n) == 1 && !lvm_text_body(&t, &tmp, &n))
			lvm_node_add(top, arena_copy(&tmp, &n, sizeof(n)));
	if (!lvm_get_str(top, "description", &cause))
		p->cause = arena_strndup(set->arena, cause.p, cause.n);
	else
		p->cause = "";
	if (lvm_get_u64(top, "creation_time", &p->time))
		p->time = 0;
	arena_free(&tmp);
}

static bool is_readable(struct view text)
{
	struct arena tmp = { 0 };
	struct lvm_vg *vg;
	const char *why;
	int err = lvm_vg_decode(&tmp, text, &vg, &why);

	arena_free(&tmp);
	return !err;
}

static bool is_wanted(const struct digger *d, const struct lvm_summary *is)
{
	return !d->vg || !strcmp(d->vg, is->name) || !strcmp(d->vg, is->id.s);
}

static void keep(struct digger *d, struct lvm_past p)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->past[i]->text.n == p.text.n &&
		    !memcmp(d->past[i]->text.p, p.text.p, p.text.n)) {
			d->past[i]->committed |= p.committed;
			d->past[i]->damaged &= p.damaged;
			return;
		}
	read_stamp(d->set, &p);
	if (!(d->n & (d->n - 1)))
		d->past = arena_grow(d->set->arena, d->past, d->n, d->n ? d->n * 2 : 1,
				     sizeof(*d->past));
	d->past[d->n++] = arena_copy(d->set->arena, &p, sizeof(p));
}

/* The text that begins here, in one piece: it may go on at the start of the ring. */
static void dig_text(struct digger *d, const struct lvm_dev *dev, const struct lvm_copy *c,
		     const char *ring, size_t size, size_t at)
{
	const char *nul = memchr(ring + at, '\0', size - at);
	bool is_live = c->mda.slot[0].at == at + RING && c->mda.slot[0].size;
	struct lvm_past p = {
		.path = dev->path, .committed = is_live && !c->err, .damaged = is_live && c->err,
	};
	char *text;
	size_t n = nul ? (size_t)(nul - ring) - at : size - at, more = 0;

	if (!nul) {
		nul = memchr(ring, '\0', at);
		if (!nul)
			return;
		more = (size_t)(nul - ring);
	}
	text = must_alloc(n + more);
	memcpy(text, ring + at, n);
	memcpy(text + n, ring, more);
	p.text = (struct view){ text, n + more };
	if (!lvm_vg_summary(d->set->arena, p.text, &p.is) && is_wanted(d, &p.is) &&
	    is_readable(p.text)) {
		p.text.p = arena_copy(d->set->arena, text, n + more);
		keep(d, p);
	}
	free(text);
}

static void dig_area(struct digger *d, const struct lvm_dev *dev, const struct lvm_copy *c)
{
	const struct lvm_mda *m = &c->mda;
	size_t size;
	char *ring;

	if (m->size - RING > RING_MOST || !range_ok(m->start, m->size, dev->io->size))
		return;
	size = (size_t)(m->size - RING);
	ring = must_alloc(size);
	if (!io_read(dev->io, m->start + RING, ring, size))
		for (size_t at = 0; at < size; at += LVM_SECTOR)
			if (looks_like_text(ring + at, size - at))
				dig_text(d, dev, c, ring, size, at);
	free(ring);
}

static int newest_first(const void *a, const void *b)
{
	const struct lvm_past *x = *(struct lvm_past *const *)a, *y = *(struct lvm_past *const *)b;
	int by_vg = strcmp(x->is.id.s, y->is.id.s);

	if (by_vg)
		return by_vg;
	return x->is.seqno > y->is.seqno ? -1 : x->is.seqno < y->is.seqno;
}

struct lvm_past *lvm_history(struct lvm_set *set, const char *vg)
{
	struct digger d = { .set = set, .vg = vg };
	struct lvm_past *first = NULL;

	for (size_t i = 0; i < set->n_devs; i++)
		for (uint32_t k = 0; k < set->dev[i].label.n_mda; k++)
			if (!set->dev[i].err && set->dev[i].copy[k].mda.size)
				dig_area(&d, &set->dev[i], &set->dev[i].copy[k]);
	if (!d.n)
		return NULL;
	qsort(d.past, d.n, sizeof(*d.past), newest_first);
	for (size_t i = d.n; i--; first = d.past[i])
		d.past[i]->next = first;
	return first;
}
