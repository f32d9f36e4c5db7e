/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/crc32.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/lvm2/scan.h"

/* Label, first header and, in most VGs, the text come with one read. */
#define HEAD	((size_t)128 << 10)
#define TRIES	8

struct scanner {
	struct lvm_set *set;
	const struct lvm_scan_how *how;
	uint8_t *head;
	size_t n_head;			/* of the device being looked at */
};

void lvm_problem(struct lvm_set *set, const char *path, int err, const char *fmt, ...)
{
	struct lvm_problem *p = arena_alloc(set->arena, sizeof(*p));
	va_list ap;

	va_start(ap, fmt);
	p->what = arena_vprintf(set->arena, fmt, ap);
	va_end(ap);
	p->path = path;
	p->err = err;
	*set->end = p;
	set->end = &p->next;
}

/* --- a device whose beginning has been read already ---------------------------- */

struct cached {
	struct io io;
	struct io *of;
	const uint8_t *head;
	size_t n;
};

static int cached_read(struct io *io, uint64_t at, void *buf, size_t len)
{
	struct cached *c = (struct cached *)io;

	if (!range_ok(at, len, c->n))
		return io_read(c->of, at, buf, len);
	memcpy(buf, c->head + at, len);
	return 0;
}

static const struct io_ops cached_ops = { .read = cached_read };

/* --- one metadata area ---------------------------------------------------------- */

static struct lvm_version *version_find(const struct lvm_set *set, const struct lvm_slot *s)
{
	for (struct lvm_version *v = set->versions; v; v = v->next)
		if (v->sum == s->sum && v->size == s->size)
			return v;
	return NULL;
}

/* A good text is new to us: see what it is. */
static int version_new(struct scanner *s, const struct lvm_slot *slot, char *text, const char *path,
		       struct lvm_version **out)
{
	struct lvm_version *v = arena_alloc(s->set->arena, sizeof(*v));
	int err;

	*v = (struct lvm_version){
		.size = slot->size, .sum = slot->sum, .text = { text, slot->size }, .path = path,
	};
	err = lvm_vg_summary(s->set->arena, v->text, &v->is);
	if (err)
		return err;
	v->next = s->set->versions;
	s->set->versions = v;
	*out = v;
	return 0;
}

static int copy_text(struct scanner *s, struct lvm_dev *d, struct lvm_copy *c, struct io *io)
{
	const struct lvm_slot *slot = &c->mda.slot[0];
	struct lvm_version *known;
	char *text;
	int err;

	c->version = NULL;
	if (lvm_mda_is_ignored(&c->mda) || !slot->size)
		return 0;
	err = lvm_slot_check(&c->mda, slot);
	if (err)
		return err;
	known = version_find(s->set, slot);
	if (known && !s->how->verify) {
		c->version = known;
		return 0;
	}
	/* A copy we have is read to be checked, and forgotten.  Of a text there will be a model. */
	if (!known)
		arena_expect(s->set->arena, slot->size * 9 / 4);
	text = known ? must_alloc(slot->size + LVM_TEXT_PAD)
		     : arena_pages(s->set->arena, slot->size + LVM_TEXT_PAD);
	err = lvm_mda_read_text(&c->mda, slot, io, text);
	if (!err && known && !memcmp(text, known->text.p, slot->size))
		c->version = known;
	else if (!err)
		err = known ? -E_LVM_SUM : version_new(s, slot, text, d->path, &c->version);
	if (known)
		free(text);
	return err;
}

static void wait_a_little(const struct scanner *s, unsigned int attempt)
{
	if (s->how->pause)
		s->how->pause(attempt);
}

/* A header is one sector and changes at once, so a bad one is bad after a second look. */
static int copy_header(struct scanner *s, struct lvm_copy *c, struct io *cached, struct io *io,
		       uint64_t at)
{
	int err = lvm_mda_read(&c->mda, cached, at);

	if (err == -E_LVM_MDA) {
		wait_a_little(s, 1);
		err = lvm_mda_read(&c->mda, io, at);
	}
	return err;
}

static void copy_read(struct scanner *s, struct lvm_dev *d, struct lvm_copy *c, uint64_t at)
{
	struct cached cached = {
		.io = { .ops = &cached_ops, .size = d->io->size, .sector = d->io->sector,
			.fd = -1 },
		.of = d->io, .head = s->head, .n = s->n_head,
	};
	struct lvm_slot before;

	c->err = copy_header(s, c, &cached.io, d->io, at);
	if (c->err) {
		lvm_problem(s->set, d->path, c->err, "metadata area at %llu: %s",
			    (unsigned long long)at, err_text(c->err));
		c->err = -E_LVM_MDA;
		return;
	}
	c->err = copy_text(s, d, c, &cached.io);
	for (unsigned int i = 1; c->err && i <= TRIES; i++) {
		before = c->mda.slot[0];
		wait_a_little(s, i);
		if (lvm_mda_read(&c->mda, d->io, at))
			break;
		c->err = copy_text(s, d, c, d->io);
		/* The same header and a bad text twice: nobody is writing, it is damaged. */
		if (!memcmp(&before, &c->mda.slot[0], sizeof(before)))
			break;
	}
	if (c->err)
		lvm_problem(s->set, d->path, c->err, "metadata area at %llu: %s",
			    (unsigned long long)at, err_text(c->err));
}

static void dev_read(struct scanner *s, struct lvm_dev *d)
{
	uint64_t size = d->io->size;

	d->size = size;
	s->n_head = size < HEAD ? (size_t)size : HEAD;
	d->err = io_read(d->io, 0, s->head, s->n_head);
	if (!d->err)
		d->err = lvm_label_find(&d->label, s->head, s->n_head);
	if (d->err) {
		if (d->err != -E_LVM_NO_LABEL)
			lvm_problem(s->set, d->path, d->err, "%s", err_text(d->err));
		return;
	}
	for (uint32_t i = 0; i < d->label.n_mda; i++)
		copy_read(s, d, &d->copy[i], d->label.mda[i].at);
}

/* --- which text counts ----------------------------------------------------------- */

static struct lvm_found *found_of(struct lvm_set *set, const struct lvm_version *v)
{
	struct lvm_found *f;

	for (size_t i = 0; i < set->n_found; i++)
		if (!strcmp(set->found[i]->best->is.id.s, v->is.id.s))
			return set->found[i];
	if (!(set->n_found & (set->n_found - 1)))
		set->found = arena_grow(set->arena, set->found, set->n_found,
					set->n_found ? set->n_found * 2 : 1, sizeof(*set->found));
	f = arena_alloc(set->arena, sizeof(*f));
	set->found[set->n_found++] = f;
	return f;
}

/* Versions stand in the list newest found first; of equals the one found first counts. */
static void elect(struct lvm_set *set)
{
	for (struct lvm_version *v = set->versions; v; v = v->next) {
		struct lvm_found *f = found_of(set, v);

		v->found = f;
		if (!f->best || v->is.seqno >= f->best->is.seqno)
			f->best = v;
	}
	/* In the order of the devices, as whoever named them expects. */
	for (size_t i = 0, k = set->n_found; i + 1 < k--; i++) {
		struct lvm_found *f = set->found[i];

		set->found[i] = set->found[k];
		set->found[k] = f;
	}
}

/* Copies that lost: older ones, and contradictions of the same age. */
static void complain(struct lvm_set *set)
{
	for (size_t i = 0; i < set->n_devs; i++)
		for (uint32_t k = 0; k < set->dev[i].label.n_mda; k++) {
			const struct lvm_version *v = set->dev[i].copy[k].version, *best;

			best = v ? v->found->best : NULL;
			if (v == best)
				continue;
			if (v->is.seqno == best->is.seqno)
				lvm_problem(set, set->dev[i].path, -E_LVM_SUM,
					    "VG %s: another text than on %s, both with seqno %u",
					    v->is.name, best->path, v->is.seqno);
			else
				lvm_problem(set, set->dev[i].path, -E_LVM_STALE,
					    "VG %s: an old text, seqno %u of %u",
					    v->is.name, v->is.seqno, best->is.seqno);
		}
}

static const char *dev_id_of(const void *dev)
{
	return ((const struct lvm_dev *)dev)->label.pv.s;
}

static void refuse(struct lvm_vg *vg, int err, const char *why)
{
	if (!vg->refuse) {
		vg->refuse = err;
		vg->refuse_why = why;
	}
}

static void bind_pv(struct lvm_set *set, struct lvm_vg *vg, struct lvm_pv *pv, struct lvm_dev *d)
{
	if (!d) {
		lvm_problem(set, vg->name, -E_LVM_PARTIAL, "PV %s is missing (last seen as %s)",
			    pv->id.s, pv->device ? pv->device : "nothing");
		return;
	}
	if (d->vg) {
		refuse(vg, -E_LVM_BAD, "one of its PVs is in another VG too");
		refuse(d->vg, -E_LVM_BAD, "one of its PVs is in another VG too");
		lvm_problem(set, d->path, -E_LVM_PV_USED, "VGs %s and %s both claim it", d->vg->name,
			    vg->name);
		return;
	}
	d->vg = vg;
	d->pv = pv;
	pv->dev = d;
	vg->dev[vg->n_devs++] = d;
	if (pv->flags & LVM_PV_MISSING)
		lvm_problem(set, d->path, -E_LVM_RETURNED,
			    "marked as missing, since VG %s was changed without it", vg->name);
	if (d->duplicate)
		refuse(vg, -E_LVM_DUPLICATE, "one of its PVs is on two devices");
	if (pv->dev_size > d->io->size / LVM_SECTOR)
		lvm_problem(set, d->path, -E_LVM_PV_SIZE,
			    "smaller than VG %s believes: %llu of %llu sectors", vg->name,
			    (unsigned long long)(d->io->size / LVM_SECTOR),
			    (unsigned long long)pv->dev_size);
}

static void open_vg(struct lvm_set *set, struct lvm_found *f, const struct lvm_map *devs,
		    const struct lvm_scan_how *how)
{
	f->err = lvm_vg_decode(set->arena, f->best->text, &f->vg, &f->why);
	if (f->err) {
		/* What is too new to be read is not damaged. */
		lvm_problem(set, f->best->path, f->err == -E_LVM_NEWER ? -E_UNSUPPORTED : f->err,
			    "VG %s: %s", f->best->is.name, f->why);
		return;
	}
	f->vg->our_system_id = how->system_id;
	f->vg->dev = arena_array(set->arena, f->vg->n_pvs, sizeof(*f->vg->dev));
	for (uint32_t i = 0; i < f->vg->n_pvs; i++) {
		struct lvm_pv *pv = f->vg->pv[i];

		bind_pv(set, f->vg, pv,
			lvm_map_find(devs, dev_id_of, (struct view){ pv->id.s, strlen(pv->id.s) }));
	}
	lvm_vg_mark_partial(f->vg);
	if (f->vg->refuse)
		lvm_problem(set, f->vg->name, f->vg->refuse, "%s", f->vg->refuse_why);
}

static void index_devs(struct lvm_set *set, struct lvm_map *devs)
{
	for (size_t i = 0; i < set->n_devs; i++) {
		struct lvm_dev *d = &set->dev[i], *other;

		other = d->err ? NULL : lvm_map_add(devs, set->arena, dev_id_of, d);
		if (!other)
			continue;
		d->duplicate = other->duplicate = true;
		lvm_problem(set, d->path, -E_LVM_DUPLICATE, "PV %s is on %s too", d->label.pv.s,
			    other->path);
	}
}

static void find_outdated(struct lvm_set *set)
{
	for (size_t i = 0; i < set->n_devs; i++)
		for (uint32_t k = 0; k < set->dev[i].label.n_mda; k++) {
			struct lvm_dev *d = &set->dev[i];
			const struct lvm_version *v = d->copy[k].version;

			if (!v || !v->found->vg || d->vg == v->found->vg || d->duplicate ||
			    d->outdated)
				continue;
			d->outdated = true;
			lvm_problem(set, d->path, -E_LVM_STALE, "VG %s knows this PV no more",
				    v->is.name);
		}
}

static void find_twice(struct lvm_set *set)
{
	for (size_t i = 0; i < set->n_found; i++)
		for (size_t k = 0; k < i; k++) {
			struct lvm_found *x = set->found[i], *y = set->found[k];

			if (strcmp(x->best->is.name, y->best->is.name))
				continue;
			x->twice = y->twice = true;
			if (x->vg)
				refuse(x->vg, -E_LVM_VG_TWICE, "two VGs have its name");
			if (y->vg)
				refuse(y->vg, -E_LVM_VG_TWICE, "two VGs have its name");
			lvm_problem(set, x->best->path, -E_LVM_VG_TWICE,
				    "two VGs are called %s: %s and %s", x->best->is.name,
				    x->best->is.id.s, y->best->is.id.s);
		}
}

void lvm_scan(struct arena *a, struct lvm_dev *dev, size_t n, const struct lvm_scan_how *how,
	      struct lvm_set *set)
{
	static const struct lvm_scan_how plain;
	struct scanner s = { .set = set, .how = how ? how : &plain, .head = must_alloc(HEAD) };
	struct lvm_map devs = { 0 };

	*set = (struct lvm_set){ .arena = a, .dev = dev, .n_devs = n };
	set->end = &set->problem;
	for (size_t i = 0; i < n; i++)
		dev_read(&s, &dev[i]);
	free(s.head);

	elect(set);
	complain(set);
	index_devs(set, &devs);
	for (size_t i = 0; i < set->n_found; i++)
		open_vg(set, set->found[i], &devs, s.how);
	find_outdated(set);
	find_twice(set);
}

int lvm_vg_get(const struct lvm_set *set, const char *name, struct lvm_vg **vg)
{
	for (size_t i = 0; i < set->n_found; i++) {
		const struct lvm_found *f = set->found[i];
		bool by_id = !strcmp(f->best->is.id.s, name);

		if (!by_id && strcmp(f->best->is.name, name))
			continue;
		if (f->twice && !by_id)
			return -E_LVM_VG_TWICE;
		*vg = f->vg;
		return f->err;
	}
	return -E_LVM_VG_MISSING;
}

int lvm_vg_is_current(const struct lvm_vg *vg)
{
	for (uint32_t i = 0; i < vg->n_devs; i++)
		for (uint32_t k = 0; k < vg->dev[i]->label.n_mda; k++) {
			const struct lvm_copy *c = &vg->dev[i]->copy[k];
			struct lvm_mda now;
			int err;

			if (c->err == -E_LVM_MDA)
				continue;
			err = lvm_mda_read(&now, vg->dev[i]->io, c->mda.start);
			if (err)
				return err;
			if (memcmp(&now.slot[0], &c->mda.slot[0], sizeof(now.slot[0])))
				return -E_LVM_CHANGED;
		}
	return 0;
}
