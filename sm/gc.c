/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sm gc, and the collector that starts by itself. */
#include <stdlib.h>
#include <string.h>

#include "arch/clock.h"
#include "arch/lock.h"
#include "arch/proc.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/text/size.h"
#include "sm/gc.h"
#include "sm/run.h"
#include "sm/snapshot.h"
#include "sm/tree.h"

#define TRIES_MOST	6u	/* of what failed and may go well later: for a minute in all */

/* --- failures ------------------------------------------------------------------- */

static bool is_passing(int err)
{
	int kind = err_kind(err);

	return kind == -EBUSY || kind == -EAGAIN || kind == -ENOSPC || kind == -ETIMEDOUT;
}

static struct gc_failure *failure_of(struct gc *g, const struct uuid *vdi)
{
	struct arena *a = &g->r->ctx->arena;
	size_t i = 0;

	while (i < g->n_failures && !uuid_equal(&g->failures[i].vdi, vdi))
		i++;
	if (i == g->n_failures) {
		g->failures = arena_grow(a, g->failures, i, i + 1, sizeof(*g->failures));
		g->failures[g->n_failures++] = (struct gc_failure){ .vdi = *vdi };
	}
	return &g->failures[i];
}

/* A node that fails must not stop the others: it waits, longer each time, or is left. */
static void note_failure(struct gc *g, const struct uuid *vdi, int err)
{
	struct gc_failure *f = failure_of(g, vdi);
	struct ctx *ctx = g->r->ctx;

	f->why = arena_strdup(&ctx->arena, ctx->why[0] ? ctx->why : err_text(err));
	f->again = g->detached && is_passing(err) && f->tries < TRIES_MOST ?
		clock_now_mono() + (NS_PER_S << f->tries) : 0;
	f->tries++;
	g->st.failed += f->tries == 1;
	g->st.why = f->why;
	logf_warn(ctx, "gc: VDI %s: %s%s", vdi->s, f->why, f->again ? ": to be tried again" : "");
	fail_clear(ctx);
}

/* When the next of them is due; 0 = never. */
static uint64_t next_try(const struct gc *g)
{
	uint64_t at = 0, now = clock_now_mono();

	for (size_t i = 0; i < g->n_failures; i++)
		if (g->failures[i].again > now && (!at || g->failures[i].again < at))
			at = g->failures[i].again;
	return at;
}

static int wait_until(struct gc *g, uint64_t at)
{
	uint64_t left;
	int err = 0;

	while (!err && (left = clock_left(at))) {
		g->st.retry = left / NS_PER_S + 1;
		gc_tell(g, "waiting");
		clock_sleep(left < 100 * NS_PER_MS ? left : 100 * NS_PER_MS);
		err = gc_must_stop(g);
	}
	g->st.retry = 0;
	return err;
}

/* --- the loop --------------------------------------------------------------------- */

static void say_done(struct gc *g, const struct gc_step *s)
{
	struct reply *rp = g->r->rp;
	struct arena *a = &g->r->ctx->arena;
	const char *text = s->action == GC_DELETE ? arena_printf(a, "VDI %s deleted", s->vdi.s) :
		s->action == GC_UNSTACK ?
		arena_printf(a, "VDI %s deleted: nothing of it showed", s->parent.s) :
		arena_printf(a, "VDI %s merged into %s", s->vdi.s, s->parent.s);

	rp->plan = arena_grow(a, rp->plan, rp->n_plan, rp->n_plan + 1, sizeof(*rp->plan));
	rp->plan[rp->n_plan++] = text;
}

static int take_lease(struct run *r, struct lease_hold *h)
{
	struct uuid key;

	h->alone = true;	/* by its lock of this host */
	lease_key(&r->sr.uuid, &r->sr.uuid, LEASE_COLLECTOR, &key);
	return lease_hold(r, &key, NULL, h);
}

int gc_none_elsewhere(struct run *r)
{
	struct lease_hold h = { .looks = true };
	int err = take_lease(r, &h);

	return err ? fail(r->ctx, err, "SR %s", r->sr.uuid.s) : 0;
}

int gc_hold(struct gc_look *k)
{
	if (WITH_JOBS && k->g->me)
		return lease_hold_look(&k->run, &k->g->hold);
	if (k->g->hold.held)
		return lease_hold_open(&k->run, &k->g->hold);
	return take_lease(&k->run, &k->g->hold);
}

/* 1: something was done, begun or failed; 0: there is nothing to do now. */
static int turn(struct gc *g)
{
	struct gc_step s = { 0 };
	struct gc_look k;
	uint64_t merged = g->st.merged;
	int err = gc_look(g, &k, true);

	if (!err)
		err = gc_look_plan(&k);
	if (WITH_READERS && !err && k.plan.n_todo)
		err = gc_hold(&k);
	if (WITH_JOBS && g->share)
		gc_jobs_renewed(g);
	if (err || !k.plan.n_todo)
		return gc_look_close(&k, err);
	s = k.plan.v[0];
	if (WITH_JOBS && gc_is_job(&k, &s)) {
		gc_look_close(&k, 0);
		err = gc_job_start(g, &s);
		if (!err || err == -EAGAIN)
			return !err;
	} else {
		err = gc_step(&k, &s);
	}
	if (err == -EINTR || err == -E_DEADLINE)
		return err;
	if (err)
		note_failure(g, &s.vdi, err);
	else if (!g->detached && (g->st.merged != merged || s.action == GC_DELETE ||
				  s.action == GC_UNSTACK))
		say_done(g, &s);
	return 1;
}

/* A process has ended; an error is that of all. */
static int note_job(struct gc *g, const struct gc_job *j)
{
	if (j->err == -EINTR || j->err == -E_DEADLINE)
		return j->err;
	if (j->err)
		note_failure(g, &j->vdi, j->err);
	else if (!g->detached && j->merged)
		say_done(g, &(struct gc_step){ .action = j->action, .vdi = j->vdi, .parent = j->parent });
	return 0;
}

/* Until there may be something to do: 1, or 0: never, or an error. */
static int pause_between(struct gc *g)
{
	uint64_t at = next_try(g);
	struct gc_job job;
	int err;

	if (!WITH_JOBS || !gc_jobs_busy(g))
		return !at ? 0 : wait_until(g, at) ? -EINTR : 1;
	err = gc_jobs_wait(g, at, &job);
	if (err > 0)
		err = note_job(g, &job);
	return err ? err : 1;
}

/* All of them end before their collector does; what went well and what did not is still told. */
static void end_jobs(struct gc *g, int err)
{
	struct fail_words words;
	struct gc_job job;

	fail_keep(g->r->ctx, &words);
	__atomic_store_n(&g->share->stop, err, __ATOMIC_RELEASE);
	while (gc_jobs_busy(g))
		if (gc_job_take(g, &job))
			note_job(g, &job);
		else
			clock_sleep(20 * NS_PER_MS);
	fail_again(g->r->ctx, &words);
}

static int collect(struct gc *g)
{
	int err = gc_begin(g);

	if (err)
		return err;
	if (WITH_JOBS)
		gc_jobs_begin(g);
	do {
		err = gc_must_stop(g);
		if (!err)
			err = turn(g);
		if (!err)
			err = pause_between(g);
	} while (err > 0);
	if (WITH_JOBS && gc_jobs_busy(g))
		end_jobs(g, err);
	/* Who asked us to stop may have the SR's lock, and waits for no more than this. */
	gc_end(g, err);
	if (WITH_READERS)
		lease_let_go(g->r, &g->hold);
	return err;
}

/* --- verbs ------------------------------------------------------------------------------ */

static int plan_one(struct run *r)
{
	struct gc g = { .r = r, .active = -1, .running = -1 };
	struct reply *rp = r->rp;
	struct gc_report report = { .sr = r->sr.uuid };
	struct gc_look k;
	int err = gc_look(&g, &k, false);

	if (!err)
		err = gc_look_plan(&k);
	if (err)
		return gc_look_close(&k, err);
	report.name = arena_strdup(&r->ctx->arena, k.run.sr.name ? k.run.sr.name : "");
	report.plan = k.plan;
	/* The strings of the plan are the look's; once more, in the request's arena. */
	report.plan.v = arena_array(&r->ctx->arena, k.plan.n, sizeof(*k.plan.v));
	for (size_t i = 0; i < k.plan.n; i++) {
		struct gc_step *s = &report.plan.v[i];

		*s = k.plan.v[i];
		s->name = arena_strdup(&r->ctx->arena, s->name);
		s->why = s->why ? arena_strdup(&r->ctx->arena, s->why) : NULL;
		s->remedy = s->remedy ? arena_strdup(&r->ctx->arena, s->remedy) : NULL;
	}
	gc_look_close(&k, 0);
	err = gc_status_read(r->ctx, &r->sr.uuid, &g.st);
	report.rate = g.st.rate;
	rp->gc = arena_grow(&r->ctx->arena, rp->gc, rp->n_gc, rp->n_gc + 1, sizeof(*rp->gc));
	rp->gc[rp->n_gc++] = report;
	return err;
}

int do_gc_plan(struct run *r)
{
	r->rp->kind = REPLY_GC_PLAN;
	return sr_each(r, plan_one);
}

static int run_one(struct run *r)
{
	struct gc g = { .r = r, .active = -1, .running = -1, .cap = r->rq->size };
	int err = sr_open(&r->sr, false);

	sr_close(&r->sr);
	if (!err)
		err = collect(&g);
	for (size_t i = 0; i < g.n_failures; i++)
		vdis_problem(&r->ctx->arena, &r->rp->vdis, &(struct problem){
			.object = arena_strdup(&r->ctx->arena, g.failures[i].vdi.s),
			.what = g.failures[i].why, .severity = "error" });
	return err;
}

int do_gc_run(struct run *r)
{
	if (r->ctx->dry_run)
		return do_gc_plan(r);
	r->rp->kind = REPLY_DONE;
	return sr_each(r, run_one);
}

static int status_one(struct run *r)
{
	struct reply *rp = r->rp;
	struct gc_status st;
	int err = gc_status_read(r->ctx, &r->sr.uuid, &st);

	st.name = r->sr.name;
	rp->gc_status = arena_grow(&r->ctx->arena, rp->gc_status, rp->n_gc, rp->n_gc + 1,
				   sizeof(*rp->gc_status));
	rp->gc_status[rp->n_gc++] = st;
	return err;
}

int do_gc_status(struct run *r)
{
	r->rp->kind = REPLY_GC_STATUS;
	return sr_each(r, status_one);
}

int do_gc_stop(struct run *r)
{
	_unlock_ int lock = -1;

	return r->ctx->dry_run ? plan(r, 0, "stop the collector of SR %s", r->sr.uuid.s) :
		gc_abort(r->ctx, &r->sr.uuid, &lock);
}

/* --- by itself ---------------------------------------------------------------------------- */

/*
 * SM_GC=off, or gc=false in the SR's dconf, upstream's word for it.  And where
 * another host may read what lies below a disk without a lock that tells.
 */
static bool is_off(const struct run *r)
{
	const struct kvs *dconf = &r->sr.dconf;
	const char *env = getenv("SM_GC");

	return (env && !strcmp(env, "off")) || kv_is(dconf, "gc", "false") ||
	       (kv_get(dconf, "SRmaster") && !kv_is(dconf, "SRmaster", "true")) ||
	       ((r->sr.type->shared || kv_is(dconf, "shared", "true")) && !(WITH_READERS && r->sr.shared));
}

/* Can the verb have left anything to do? */
static bool is_cause(const struct run *r)
{
	switch (r->rq->op) {
	case OP_SR_SCAN:
		for (size_t i = 0; i < r->rp->vdis.n; i++)
			if (r->rp->vdis.v[i].hidden)
				return true;
		return false;
	case OP_VDI_DELETE:
	case OP_VDI_DETACH:
	case OP_VDI_DEACTIVATE:
		return r->vdi.parent.s[0];
	case OP_VDI_REVERT:
	case OP_VDI_COMPOSE:
	case OP_VDI_DATA_DESTROY:
		return true;
	case OP_VDI_COPY:
		return r->was_read;
	default:
		return false;
	}
}

void gc_kick(struct run *r)
{
	struct run own = *r;
	struct gc g = { .r = &own, .active = -1, .running = -1, .detached = true };
	struct reply rp = { 0 };
	struct request rq = { .op = OP_GC_RUN, .progress = PROGRESS_NONE };
	int err;

	if (!is_cause(r) || !r->sr.type->layout->merge_begin || is_off(r) ||
	    !child_format(r->sr.type))
		return;
	if (proc_detach(NULL, 0))
		return;
	proc_idle();
	own.rp = &rp;
	own.rq = &rq;
	r->ctx->deadline = 0;
	r->ctx->verbose = false;
	fail_clear(r->ctx);
	r->ctx->watched = NULL;		/* who watched the verb has ended */
	err = be_watched(&own);
	if (!err)
		err = collect(&g);
	_Exit(err ? 1 : 0);
}
