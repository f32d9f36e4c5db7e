/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The trees of an SR as they are now, and what a plan needs to know of them. */
#include <string.h>

#include "arch/clock.h"
#include "arch/lock.h"
#include "drivers/lease.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/log.h"
#include "sm/gc.h"
#include "sm/lease.h"
#include "sm/live.h"
#include "sm/locks.h"
#include "sm/snapshot.h"
#include "sm/tree.h"

#define LOCK_SLICE	(50 * NS_PER_MS)	/* waiting for a lock we still hear who wants us to stop */
#define LOCK_PATIENCE	(300 * NS_PER_S)	/* upstream's */

/* Whoever keeps the SR's lock may be waiting for us to stop. */
static int lock_sr(struct gc_look *k)
{
	uint64_t until = clock_now_mono() + LOCK_PATIENCE;
	int err, stop = 0;

	do {
		k->ctx.deadline = clock_now_mono() + LOCK_SLICE;
		fail_clear(&k->ctx);
		err = lock_host(&k->ctx, k->run.sr.uuid.s, "sr", &k->lock);
		k->ctx.deadline = k->g->r->ctx->deadline;
		if (err == -E_DEADLINE)
			stop = gc_must_stop(k->g);
	} while (err == -E_DEADLINE && clock_left(until) && !stop);
	if (stop)
		fail_clear(&k->ctx);
	return stop ? stop : err == -E_DEADLINE ? fail_say(&k->ctx, -E_BUSY, "the lock of the SR could not be had") :
		err;
}

static struct gc_known *known(struct gc *g, const struct uuid *u)
{
	for (size_t i = 0; i < g->n_known; i++)
		if (uuid_equal(&g->known[i].vdi, u))
			return &g->known[i];
	return NULL;
}

void gc_forget(struct gc *g, const struct uuid *vdi)
{
	struct gc_known *n = known(g, vdi);

	if (n)
		*n = g->known[--g->n_known];
}

/* A hidden image stays as it is, so it is looked at once. */
static int data_of(struct gc_look *k, const struct vdi *v, uint64_t *data)
{
	const struct format *f = sr_format(k->run.sr.type, v->format);
	struct gc_known *n = known(k->g, &v->uuid);
	struct image_use use = { 0 };
	struct io *io = NULL;
	int err;

	*data = v->physical_size;
	if (n)
		*data = n->data;
	if (n || !f || !f->use)
		return 0;
	err = k->run.sr.type->layout->volume_io(&k->run.sr, v, false, &io);
	if (!err)
		err = f->use(&k->ctx, io, &use);
	io_close(io);
	if (err)
		return err;
	*data = use.data;
	if (!v->hidden)
		return 0;
	k->g->known = arena_grow(&k->g->r->ctx->arena, k->g->known, k->g->n_known, k->g->n_known + 1,
				 sizeof(*k->g->known));
	k->g->known[k->g->n_known++] = (struct gc_known){ .vdi = v->uuid, .data = use.data };
	return 0;
}

int gc_covers(struct gc_look *k, const struct vdi *vdi, const struct vdi *parent, bool *covers)
{
	const struct layout *layout = k->run.sr.type->layout;
	const struct format *f = sr_format(k->run.sr.type, vdi->format);
	struct image_merge m = { .parent_format = sr_format(k->run.sr.type, parent->format) };
	int err = layout->volume_io(&k->run.sr, vdi, false, &m.child);

	if (!err)
		err = layout->volume_io(&k->run.sr, parent, false, &m.parent);
	if (!err)
		err = f->covers(&k->ctx, &m, covers);
	io_close(m.child);
	io_close(m.parent);
	return err;
}

/* By numbers most have not, and need not be looked at.  What cannot be read is found by who does. */
static void take_covers(struct gc_look *k, const struct vdi *v)
{
	const struct vdi *p = tree_parent(&k->l, v);
	struct gc_fact *f = &k->facts[v - k->l.v], *of = p ? &k->facts[p - k->l.v] : NULL;

	if (!p || !p->hidden || p->n_children != 1 || strcmp(v->format, "vhd") || strcmp(p->format, "vhd") ||
	    !of->data || f->data < of->data || f->why || f->relink)
		return;
	if (gc_covers(k, v, p, &f->covers))
		fail_clear(&k->ctx);
}

/* What is in use and more than it can wait for is merged by way of a new image: gc_split(). */
static void take_room(struct gc_look *k, const struct vdi *v)
{
	const struct layout *layout = k->run.sr.type->layout;
	struct gc_fact *f = &k->facts[v - k->l.v];
	struct vdi base = { .type = v->type };
	struct volume_split s = {
		.leaf = v, .format = child_format(k->run.sr.type), .base = &base, .leaf_active = true,
	};
	uint64_t data;

	if (v->hidden)
		return;
	f->room = layout->leaf_room ? layout->leaf_room(&k->run.sr, v) : 0;
	if (!f->live || v->n_children || gc_too_much(k, v, &data) <= 0)
		return;
	random_uuid(&base.uuid);
	if (layout->split_space(&k->run.sr, &s, &f->round))
		f->round = 0;
}

/* Where a server lets go of all that it has open, what lies under a disk in use can change. */
static void take_live(struct gc_look *k)
{
	for (size_t i = 0; i < k->l.n; i++) {
		struct vdi *v = &k->l.v[i];

		/*
		 * A copy that is on its way is hidden, and somebody's all the same.  And
		 * who reads a disk to copy it has all open that it stands on.
		 */
		if (IS_ENABLED(CONFIG_VDI_COPY) &&
		    ((v->hidden && !v->n_children && lock_is_held(&k->ctx, v->uuid.s, "copy")) ||
		     lock_is_held(&k->ctx, v->uuid.s, "vdi"))) {
			v->at.attached = k->facts[i].copied = true;
			continue;
		}
		/* A raw volume that is only read is active for who stands on it, as others are that nobody shows. */
		if (v->hidden && v->n_children && !v->at.attached)
			v->at.active = false;
		if ((!v->at.attached && !v->at.active) || v->at.elsewhere)
			continue;
		k->facts[i].live = IS_ENABLED(CONFIG_SERVE) && !live_can(&k->run, v);
		fail_clear(&k->ctx);
	}
}

/*
 * One that speaks of no copy that could be gone on with is from a death: it is
 * removed, and a volume that was to take the copy gives back the room for that.
 */
static int end_journal(struct gc_look *k, const struct merge_journal *j, const struct vdi *vdi)
{
	const struct layout *layout = k->run.sr.type->layout;
	const struct vdi *parent = vdi && !j->relink ? tree_parent(&k->l, vdi) : NULL;

	logf_warn(&k->ctx, "VDI %s: a journal of a merge that ended: removed", j->vdi.s);
	return parent && parent->hidden ? layout->merge_end(&k->run.sr, vdi, parent) :
					  layout->merge_forget(&k->run.sr, &j->vdi);
}

static int take_journals(struct gc_look *k, bool write)
{
	const struct layout *layout = k->run.sr.type->layout;
	struct merge_journal *v;
	size_t n;
	int err = layout->merge_journals(&k->run.sr, &v, &n);

	for (size_t i = 0; !err && i < n; i++) {
		struct vdi *vdi = tree_find(&k->l, &v[i].vdi);

		if (WITH_JOBS && k->g->share && gc_is_others(k, vdi, &v[i].vdi))
			continue;
		if (v[i].relink && vdi && (vdi->n_children || vdi->hidden)) {
			k->facts[vdi - k->l.v].relink = true;
		} else if (write) {
			/* It may be that of a copy which another host makes. */
			err = WITH_READERS ? gc_hold(k) : 0;
			if (!err)
				err = end_journal(k, &v[i], vdi);
		}
	}
	return err;
}

static void take_failures(struct gc_look *k)
{
	uint64_t now = clock_now_mono();

	for (size_t i = 0; i < k->g->n_failures; i++) {
		const struct gc_failure *f = &k->g->failures[i];
		struct vdi *vdi = tree_find(&k->l, &f->vdi);

		if (vdi && (!f->again || f->again > now))
			k->facts[vdi - k->l.v].why = f->why;
	}
}

int gc_look_plan(struct gc_look *k)
{
	struct sr_info info = { 0 };
	struct gc_ask ask = { .l = &k->l, .unit = k->run.sr.type->layout->unit };
	int err = k->run.sr.type->layout->stat(&k->run.sr, &info);

	for (size_t i = 0; !err && i < k->l.n; i++) {
		struct vdi *v = &k->l.v[i];

		if (WITH_JOBS && k->g->share && gc_is_others(k, v, &v->uuid)) {
			k->facts[i].why = "another process merges it";
			continue;
		}
		if (!gc_plan_wants(&k->l, v))
			continue;
		if (!data_of(k, v, &k->facts[i].data)) {
			if (IS_ENABLED(CONFIG_GC_FORECAST)) {
				take_room(k, v);
				fail_clear(&k->ctx);
			}
			continue;
		}
		k->facts[i].why = arena_strdup(&k->ctx.arena, k->ctx.why);
		fail_clear(&k->ctx);
	}
	if (err)
		return err;
	for (size_t i = 0; IS_ENABLED(CONFIG_GC_SHARE) && i < k->l.n; i++)
		take_covers(k, &k->l.v[i]);
	if (k->g->r->rq->vdi) {
		err = bind_vdi(&k->run);
		if (err)
			return err;
		ask.vdi = k->run.vdi.uuid;
	}
	ask.facts = k->facts;
	ask.free = info.size - info.used;
	if (WITH_JOBS)
		ask.free -= k->reserved < ask.free ? k->reserved : ask.free;
	gc_plan_make(&k->ctx.arena, &ask, &k->plan);
	return 0;
}

int gc_look(struct gc *g, struct gc_look *k, bool write)
{
	int err;

	*k = (struct gc_look){ .g = g, .ctx = *g->r->ctx, .lock = -1 };
	k->ctx.arena = (struct arena){ 0 };
	k->ctx.why[0] = k->ctx.hint[0] = '\0';
	k->run = *g->r;
	k->run.ctx = &k->ctx;
	k->run.sr.ctx = &k->ctx;
	k->run.sr.write = write;
	err = write ? lock_sr(k) : 0;
	if (!err)
		err = sr_open(&k->run.sr, write);
	if (!err)
		err = sr_vdis(&k->run.sr, &k->l);
	if (WITH_LOCKS && !err)
		err = lease_mark_elsewhere(&k->run.sr, &k->l);
	if (err)
		return err;
	k->facts = arena_array(&k->ctx.arena, k->l.n, sizeof(*k->facts));
	if (WITH_JOBS && g->share)
		gc_jobs_look(k);
	take_failures(k);
	take_live(k);
	return take_journals(k, write);
}

void gc_look_unlock(struct gc_look *k)
{
	if (IS_ENABLED(CONFIG_SHARED_SR))
		sr_leave(&k->run.sr);
	if (k->run.sr.type->layout->close)
		k->run.sr.type->layout->close(&k->run.sr);
	lock_drop(&k->lock);
}

int gc_look_close(struct gc_look *k, int err)
{
	struct ctx *ctx = k->g->r->ctx;

	sr_close(&k->run.sr);
	lock_drop(&k->lock);
	if (IS_ENABLED(CONFIG_SERVE) && k->run.held && live_go(&k->run) && !err)
		logf_err(&k->ctx, "gc: %s", k->ctx.why);
	if (err && k->ctx.why[0]) {
		memcpy(ctx->why, k->ctx.why, sizeof(ctx->why));
		memcpy(ctx->hint, k->ctx.hint, sizeof(ctx->hint));
	}
	arena_free(&k->ctx.arena);
	return err;
}
