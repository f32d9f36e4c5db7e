/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/lvm2/check.h"
#include "lib/lvm2/ops.h"
#include "lib/lvm2/restore_impl.h"
#include "lib/lvm2/tree.h"
#include "lib/text/size.h"
#include "lib/time.h"

void lvm_restore_step(struct lvm_restore *r, const char *fmt, ...)
{
	va_list ap;

	if (!(r->n_steps & (r->n_steps - 1)))
		r->step = arena_grow(r->set->arena, r->step, r->n_steps,
				     r->n_steps ? r->n_steps * 2 : 1, sizeof(*r->step));
	va_start(ap, fmt);
	r->step[r->n_steps++] = arena_vprintf(r->set->arena, fmt, ap);
	va_end(ap);
}

int lvm_restore_refuse(struct lvm_restore *r, int err, const char *try, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	r->why = arena_vprintf(r->set->arena, fmt, ap);
	va_end(ap);
	r->try = try;
	return err;
}

/* --- the text ---------------------------------------------------------------------------- */

/* A file has tabs and comments; on the disk there are none, and no room for them. */
static void strip(struct lvm_vg *vg)
{
	for (uint32_t i = 0; i < vg->n_pvs; i++)
		vg->pv[i]->changed = true;
	for (struct lvm_lv *lv = vg->first; lv; lv = lv->next) {
		lv->changed = true;
		for (uint32_t i = 0; i < lv->n_segs; i++)
			lv->seg[i].changed = true;
	}
	for (struct lvm_node *n = vg->rest->first; n; n = n->next) {
		_buf_free_ struct buf b = { 0 };

		lvm_print(&b, n);
		n->raw.n = b.n - 1;			/* its line end is the printer's */
		n->raw.p = arena_copy(vg->arena, b.p, b.n);
	}
}

static int refuse_marks(struct lvm_restore *r, const struct lvm_vg *vg, const char *where)
{
	int err = lvm_vg_may_change(vg, true);

	switch (err) {
	case -E_LVM_EXPORTED:
	case -E_LVM_CLUSTERED:
	case -E_LVM_LOCK_TYPE:
	case -E_LVM_FOREIGN:
	case -E_LVM_NEWER:
		return lvm_restore_refuse(r, err, NULL, "%s %s: %s%s%s", where, vg->name,
					  err_text(err), vg->refuse_why ? ": " : "",
					  vg->refuse_why ? vg->refuse_why : "");
	default:
		return 0;
	}
}

static int read_text(struct lvm_restore *r)
{
	const char *why;
	int err = lvm_vg_decode(r->set->arena, r->text, &r->vg, &why);

	if (err)
		return lvm_restore_refuse(r, err, NULL, "the text is no good: %s", why);
	r->vg->restored = true;
	if (!r->version)
		strip(r->vg);
	for (const struct lvm_finding *f = lvm_check_vg(r->set, r->vg); f && !r->force; f = f->next)
		if (f->severity == LVM_ERROR)
			return lvm_restore_refuse(r, -E_LVM_BAD, "--force", "the text: %s: %s",
						  f->object, f->what);
	return refuse_marks(r, r->vg, "the text of VG");
}

/* --- the VG that is there now --------------------------------------------------------------- */

static int find_now(struct lvm_restore *r)
{
	for (size_t i = 0; i < r->set->n_found; i++) {
		const struct lvm_found *f = r->set->found[i];
		bool same_id = !strcmp(f->best->is.id.s, r->vg->id.s);

		if (same_id)
			r->now = f->vg;
		else if (!strcmp(f->best->is.name, r->vg->name))
			return lvm_restore_refuse(r, -E_LVM_VG_TWICE, "only the devices of the one",
						  "another VG is called %s too: %s", r->vg->name,
						  f->best->is.id.s);
	}
	return r->now ? refuse_marks(r, r->now, "VG") : 0;
}

/* Above everything that was found, so that no copy of anything else can win. */
static uint32_t highest(const struct lvm_restore *r)
{
	uint32_t n = r->vg->seqno;

	for (const struct lvm_version *v = r->set->versions; v; v = v->next)
		if (!strcmp(v->is.id.s, r->vg->id.s) && v->is.seqno > n)
			n = v->is.seqno;
	/* What no header points to may be garbage, but may also be somebody's next commit. */
	for (const struct lvm_past *p = r->past; p; p = p->next)
		if (!strcmp(p->is.id.s, r->vg->id.s) && p->is.seqno > n &&
		    p->is.seqno < UINT32_MAX - 1)
			n = p->is.seqno;
	return n;
}

/* --- thin pools ------------------------------------------------------------------------------- */

/* A pool counts its changes twice: in the VG's text, and in metadata of its own that stays as it is. */
static int transaction_of(const struct lvm_lv *pool, uint64_t *id)
{
	struct arena tmp = { 0 };
	struct lvm_text t;
	struct lvm_node n;
	int err = -ENOENT;

	if (pool->seg[0].kind == LVM_SEG_THIN_POOL && pool->seg[0].raw.n &&
	    !lvm_text_open(&t, pool->seg[0].raw) && lvm_text_next(&t, &n) == 1 &&
	    !lvm_text_body(&t, &tmp, &n))
		err = lvm_get_u64(&n, "transaction_id", id);
	arena_free(&tmp);
	return err;
}

/* The newest state of the VG that is known, to compare with; NULL: none is. */
static const struct lvm_vg *newest_known(const struct lvm_restore *r)
{
	const char *why;

	if (r->now)
		return r->now;
	for (const struct lvm_past *p = r->past; p; p = p->next) {
		struct lvm_vg *vg;

		if (!strcmp(p->is.id.s, r->vg->id.s) && lvm_past_is_good(p) &&
		    !lvm_vg_decode(r->set->arena, p->text, &vg, &why))
			return vg;
	}
	return NULL;
}

static int check_pools(struct lvm_restore *r)
{
	const struct lvm_vg *known = r->force ? NULL : newest_known(r);

	for (const struct lvm_lv *lv = known ? r->vg->first : NULL; lv; lv = lv->next) {
		const struct lvm_lv *is = lvm_lv_by_id(known, lv->id.s);
		uint64_t then, last = 0;

		if (transaction_of(lv, &then) || (is && !transaction_of(is, &last) && then == last))
			continue;
		return lvm_restore_refuse(r, -E_LVM_BAD, "--force, and thin_restore of the pool's metadata",
					  "the thin pool %s has changed since, in its own metadata too",
					  lv->name);
	}
	return 0;
}

/* --- what changes for people ------------------------------------------------------------------ */

static bool same_place(const struct lvm_lv *a, const struct lvm_lv *b)
{
	if (a->n_segs != b->n_segs)
		return false;
	for (uint32_t i = 0; i < a->n_segs; i++) {
		const struct lvm_seg *x = &a->seg[i], *y = &b->seg[i];

		if (x->start != y->start || x->count != y->count || x->kind != y->kind ||
		    x->n_legs != y->n_legs)
			return false;
		for (uint32_t k = 0; k < x->n_legs; k++)
			if (x->leg[k].extent != y->leg[k].extent ||
			    !x->leg[k].pv != !y->leg[k].pv ||
			    (x->leg[k].pv && strcmp(x->leg[k].pv->id.s, y->leg[k].pv->id.s)))
				return false;
	}
	return true;
}

static void tell_lv(struct lvm_restore *r, const struct lvm_lv *lv, const struct lvm_lv *was)
{
	uint64_t size = lvm_lv_bytes(r->vg, lv);

	if (!was) {
		lvm_restore_step(r, "LV %s comes back: %s", lv->name, SIZE_STR(size));
		return;
	}
	if (strcmp(lv->name, was->name))
		lvm_restore_step(r, "LV %s is called %s again", was->name, lv->name);
	if (size != lvm_lv_bytes(r->now, was))
		lvm_restore_step(r, "LV %s has %s again, not %s", lv->name, SIZE_STR(size),
				 SIZE_STR(lvm_lv_bytes(r->now, was)));
	else if (!same_place(lv, was))
		lvm_restore_step(r, "LV %s lies where it lay then", lv->name);
}

static void tell(struct lvm_restore *r)
{
	if (!r->now)
		return;
	if (strcmp(r->vg->name, r->now->name))
		lvm_restore_step(r, "VG %s is called %s again", r->now->name, r->vg->name);
	for (const struct lvm_lv *lv = r->vg->first; lv; lv = lv->next)
		tell_lv(r, lv, lvm_lv_by_id(r->now, lv->id.s));
	for (const struct lvm_lv *lv = r->now->first; lv; lv = lv->next)
		if (!lvm_lv_by_id(r->vg, lv->id.s))
			lvm_restore_step(r, "LV %s is gone: %s", lv->name,
					 SIZE_STR(lvm_lv_bytes(r->now, lv)));
}

/*
 * A PV of today's VG that the text does not know and that was not named: it keeps
 * a text of this VG, and may know a newer seqno than was found here.
 */
static int all_are_here(struct lvm_restore *r)
{
	for (uint32_t i = 0; r->now && !r->force && i < r->now->n_pvs; i++) {
		const struct lvm_pv *pv = r->now->pv[i];

		if (!pv->dev && !lvm_pv_by_id(r->vg, pv->id.s))
			return lvm_restore_refuse(r, -E_LVM_PARTIAL,
						  "its path too, so that it leaves the VG; --force without it",
						  "the PV %s, in the VG now, is on none of the devices (last seen as %s)",
						  pv->id.s, pv->device ? pv->device : "nothing");
	}
	return 0;
}

/* Devices of the VG that the text does not know. */
static void leave(struct lvm_restore *r)
{
	struct lvm_vg *vg = r->vg;

	vg->leaving = arena_array(vg->arena, r->set->n_devs, sizeof(struct lvm_dev *));
	for (size_t i = 0; i < r->set->n_devs; i++) {
		struct lvm_dev *d = &r->set->dev[i];

		if (d->err || d->vg == vg || !d->vg || strcmp(d->vg->id.s, vg->id.s))
			continue;
		vg->leaving[vg->n_leaving++] = d;
		lvm_restore_step(r, "%s: the PV %s leaves the VG", d->path, d->label.pv.s);
	}
}

static void tell_version(struct lvm_restore *r)
{
	char time[TIME_TEXT_MAX] = "";
	uint32_t same = 0;

	for (const struct lvm_past *p = r->version ? r->past : NULL; p; p = p->next)
		same += lvm_past_is_good(p) && p->is.seqno == r->version->is.seqno &&
			!strcmp(p->is.id.s, r->vg->id.s);
	if (r->version)
		time_text(time, (int64_t)r->version->time);
	if (same > 1)
		lvm_restore_step(r, "of %u texts with seqno %u take the one of %s", same,
				 r->version->is.seqno, time);
	if (r->version)
		lvm_restore_step(r, "write VG %s as it was with seqno %u, %s, with seqno %u",
				 r->vg->name, r->version->is.seqno, time, r->vg->seqno + 1);
	else
		lvm_restore_step(r, "write VG %s as the file has it, with seqno %u", r->vg->name,
				 r->vg->seqno + 1);
}

int lvm_restore_plan(struct lvm_restore *r)
{
	const struct lvm_stamp stamp = { .program = "smbox", .cause = "vg restore", .host = "" };
	int err = read_text(r);

	if (!err)
		err = find_now(r);
	if (!err)
		err = check_pools(r);
	if (!err)
		err = lvm_restore_bind(r);
	if (!err)
		err = all_are_here(r);
	if (err)
		return err;
	lvm_vg_mark_partial(r->vg);
	r->vg->seqno = highest(r);
	if (r->vg->seqno == UINT32_MAX)
		return lvm_restore_refuse(r, -E_LVM_BAD, NULL,
					  "a text has the seqno %u: there is none above", UINT32_MAX);
	leave(r);
	err = lvm_commit_try(r->vg, &stamp);
	if (err)
		return lvm_restore_refuse(r, err, NULL, "VG %s: %s", r->vg->name, err_text(err));
	tell_version(r);
	tell(r);
	return 0;
}

/* --- doing it ------------------------------------------------------------------------------------ */

static bool is_lost(const struct lvm_restore *r, const struct lvm_dev *d)
{
	for (uint32_t i = 0; i < r->n_lost; i++)
		if (r->lost[i] == d)
			return true;
	return false;
}

/* Behind a missing label a header counts as little as a text. */
static int write_headers(struct lvm_restore *r, const struct lvm_commit *c)
{
	int err = 0;

	for (uint32_t i = 0; i < c->n_targets && !err; i++) {
		struct lvm_mda m = *c->target[i].mda;

		if (!is_lost(r, c->target[i].dev))
			continue;
		m.slot[0] = c->target[i].slot;
		m.slot[1] = (struct lvm_slot){ 0 };
		err = lvm_mda_write(&m, c->target[i].dev->io);
	}
	for (uint32_t i = 0; i < r->n_lost && !err; i++)
		err = io_flush(r->lost[i]->io);
	return err;
}

/* *begun: one has been written, so that there is no way back. */
static int write_labels(struct lvm_restore *r, bool *begun)
{
	int err = 0;

	for (uint32_t i = 0; i < r->n_lost && !err; i++) {
		const struct lvm_label *l = &r->lost[i]->label;
		uint8_t buf[LVM_SECTOR];

		err = lvm_label_encode(l, buf);
		if (!err)
			err = io_write(r->lost[i]->io, (uint64_t)l->sector * LVM_SECTOR, buf,
				       sizeof(buf));		/* commit */
		if (!err) {
			*begun = true;
			err = io_flush(r->lost[i]->io);
		}
	}
	return err;
}

int lvm_restore_commit(struct lvm_restore *r, const struct lvm_stamp *stamp)
{
	struct lvm_commit c;
	bool begun = false;
	int err = lvm_commit_prepare(&c, r->vg, stamp), late;

	if (err)
		return err;
	err = write_headers(r, &c);
	if (!err)
		err = write_labels(r, &begun);
	if (err && !begun) {
		lvm_commit_revert(&c);		/* nothing was announced: it only forgets */
		return err;
	}
	late = lvm_commit_finish(&c);			/* commit, where no label was */
	if (!err && !late && r->force)
		late = lvm_restore_wipe(r) ? -E_LVM_HALF : 0;
	return err ? -E_LVM_HALF : late;
}
