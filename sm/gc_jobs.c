/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes of a collector that copy in trees which have nothing in common (gc.h). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/clock.h"
#include "arch/proc.h"
#include "lib/err.h"
#include "lib/log.h"
#include "sm/gc.h"
#include "sm/tree.h"

/* What is sooner done than another process has looked at the SR. */
#define JOB_LEAST	((uint64_t)8 << 20)
#define POLL		(10 * NS_PER_MS)
#define LOOK_AGAIN	(30 * NS_PER_S)		/* there may be something new in a tree nobody is at */

/* --- who is at what ------------------------------------------------------------- */

static const struct vdi *root_of(const struct vdis *l, const struct vdi *v)
{
	const struct vdi *p;

	while (v && (p = tree_parent(l, v)))
		v = p;
	return v;
}

static void add_tree(struct gc_look *k, const struct uuid *vdi)
{
	const struct vdi *root = root_of(&k->l, tree_find(&k->l, vdi));

	if (root)
		k->trees[k->n_trees++] = root;
}

void gc_jobs_look(struct gc_look *k)
{
	struct gc *g = k->g;

	for (struct gc_job *j = g->share->jobs; j < g->share->jobs + GC_JOBS; j++) {
		if (g->me ? j == g->me : j->pid) {
			add_tree(k, &j->vdi);
			add_tree(k, &j->parent);
		}
		if (j->pid && j != g->me)
			k->reserved += j->need;
	}
}

bool gc_is_others(const struct gc_look *k, const struct vdi *vdi, const struct uuid *uuid)
{
	const struct gc *g = k->g;
	const struct vdi *root = root_of(&k->l, vdi);
	bool found = false;

	/* Whatever has become of the trees since, or of a disk that is not in the list: theirs is theirs. */
	for (const struct gc_job *j = g->share->jobs; j < g->share->jobs + GC_JOBS; j++)
		if (j != g->me && j->pid && (uuid_equal(&j->vdi, uuid) || uuid_equal(&j->parent, uuid)))
			return true;
	for (size_t i = 0; i < k->n_trees; i++)
		found = found || k->trees[i] == root;
	return g->me ? !found : found;
}

bool gc_is_job(struct gc_look *k, const struct gc_step *s)
{
	const struct vdi *v = tree_find(&k->l, &s->vdi);

	/* One that waits meanwhile does not wait for another process as well. */
	return k->g->share && !k->g->me && !s->copied && s->copy >= JOB_LEAST &&
	       (s->action == GC_COALESCE || (s->action == GC_LEAF && !v->at.attached && !v->at.active));
}

/* --- one of them ------------------------------------------------------------------ */

static bool is_it(const struct gc_job *j, const struct gc_step *s)
{
	return s->action == j->action && !s->copied && uuid_equal(&s->vdi, &j->vdi) &&
	       uuid_equal(&s->parent, &j->parent);
}

static int look_and_step(struct gc *g, struct gc_job *j)
{
	struct gc_look k;
	struct gc_step s;
	int err = gc_look(g, &k, true);

	if (!err)
		err = gc_look_plan(&k);
	if (WITH_READERS && !err)
		err = gc_hold(&k);
	if (!err && (!k.plan.n_todo || !is_it(j, k.plan.v)))
		err = fail_say(&k.ctx, -EAGAIN, "VDI %s: the tree has changed", j->vdi.s);
	if (err)
		return gc_look_close(&k, err);
	s = k.plan.v[0];
	return gc_step(&k, &s);
}

static _Noreturn void work(struct gc *g, struct gc_job *j)
{
	struct ctx *ctx = g->r->ctx;

	g->me = j;
	g->alarm = (struct clock_alarm){ 0 };	/* that one is not ours */
	g->st.merged = g->st.copied = 0;
	ctx->watched = NULL;		/* the collector is, and we are as long as he is */
	fail_clear(ctx);
	j->err = look_and_step(g, j);
	j->merged = g->st.merged;
	j->copied = g->st.copied;
	memcpy(j->why, ctx->why, sizeof(j->why));
	memcpy(j->hint, ctx->hint, sizeof(j->hint));
	__atomic_store_n(&j->ended, true, __ATOMIC_RELEASE);
	_Exit(0);			/* which closes the locks, and lets go of none */
}

void gc_job_tell(struct gc *g)
{
	g->me->done = g->st.done;
	g->me->total = g->st.total;
	g->me->rate = g->st.rate;
}

int gc_job_hold_on(struct gc *g)
{
	uint64_t renewed = __atomic_load_n(&g->share->renewed, __ATOMIC_ACQUIRE);

	if (!g->hold.held)
		return 0;
	g->hold.renewed = renewed;
	if (clock_now_boot() - renewed < LEASE_HOLD_MOST)
		return 0;
	return fail_say(g->r->ctx, -E_NOT_LOCKED, "the collector's lock has not been renewed");
}

/* --- the collector ------------------------------------------------------------------ */

void gc_jobs_begin(struct gc *g)
{
	g->share = proc_shared(sizeof(*g->share));
	if (g->share)
		g->share->due = clock_now_mono();
}

void gc_jobs_renewed(struct gc *g)
{
	__atomic_store_n(&g->share->renewed, g->hold.renewed, __ATOMIC_RELEASE);
}

int gc_job_start(struct gc *g, const struct gc_step *s)
{
	struct gc_job *j = g->share->jobs;
	pid_t pid;

	while (j < g->share->jobs + GC_JOBS && j->pid)
		j++;
	if (j == g->share->jobs + GC_JOBS)
		return -EAGAIN;
	if (IS_ENABLED(CONFIG_FRONT_CLI) && !gc_jobs_busy(g))
		progress_start(&g->progress, (enum progress_mode)g->r->rq->progress, "coalesce", 0);
	*j = (struct gc_job){
		.action = s->action, .vdi = s->vdi, .parent = s->parent, .need = s->need, .copy = s->copy,
		.total = s->copy,
	};
	gc_jobs_renewed(g);
	pid = proc_fork();
	if (!pid)
		work(g, j);
	if (pid < 0)
		return fail(g->r->ctx, pid == -EAGAIN ? -EBUSY : (int)pid, "start a process for VDI %s", s->vdi.s);
	j->pid = pid;
	logf_info(g->r->ctx, "gc: VDI %s: process %d merges it", s->vdi.s, (int)pid);
	return 0;
}

bool gc_jobs_busy(const struct gc *g)
{
	for (size_t i = 0; g->share && i < GC_JOBS; i++)
		if (g->share->jobs[i].pid)
			return true;
	return false;
}

void gc_jobs_sum(struct gc *g)
{
	struct gc_status *st = &g->st;

	if (!gc_jobs_busy(g))
		return;
	st->done = g->past;
	st->total = g->past_total;
	st->rate = st->n_parts = 0;
	for (const struct gc_job *j = g->share->jobs; j < g->share->jobs + GC_JOBS; j++) {
		struct gc_part *p = &st->parts[st->n_parts];

		if (!j->pid)
			continue;
		*p = (struct gc_part){
			.action = gc_action_names[j->action], .vdi = j->vdi, .parent = j->parent,
			.done = j->done, .total = j->total, .rate = j->rate,
		};
		st->n_parts++;
		st->done += p->done;
		st->total += p->total;
		st->rate += p->rate;
	}
	st->action = st->parts[0].action;
	st->vdi = st->parts[0].vdi;
	st->parent = st->parts[0].parent;
}

static void reap(struct gc *g, struct gc_job *j, struct gc_job *out)
{
	struct ctx *ctx = g->r->ctx;

	*out = *j;
	j->pid = 0;
	if (!out->ended) {		/* what it has left the next look puts right */
		out->err = -EAGAIN;
		snprintf(out->why, sizeof(out->why), "the process that merged it was killed");
	}
	fail_clear(ctx);
	if (out->err) {
		memcpy(ctx->why, out->why, sizeof(ctx->why));
		memcpy(ctx->hint, out->hint, sizeof(ctx->hint));
	}
	g->st.merged += out->merged;
	g->st.copied += out->copied;
	g->past += out->done;
	g->past_total += out->done;
	gc_forget(g, &out->vdi);
	gc_forget(g, &out->parent);
	if (gc_jobs_busy(g))
		return;
	g->past = g->past_total = g->st.n_parts = g->st.done = g->st.total = 0;
	if (out->rate)
		g->st.rate = out->rate;
	watch_copying(ctx, 0);
	if (IS_ENABLED(CONFIG_FRONT_CLI))
		progress_end(&g->progress);
}

int gc_job_take(struct gc *g, struct gc_job *job)
{
	for (struct gc_job *j = g->share->jobs; j < g->share->jobs + GC_JOBS; j++) {
		if (!j->pid || !proc_ended(j->pid))
			continue;
		reap(g, j, job);
		return 1;
	}
	return 0;
}

int gc_jobs_wait(struct gc *g, uint64_t until, struct gc_job *job)
{
	uint64_t again = clock_now_mono() + LOOK_AGAIN;
	int err = 0;

	while (!err && clock_left(until) && clock_left(again)) {
		err = gc_job_take(g, job);
		if (err)
			break;
		gc_jobs_sum(g);
		watch_copying(g->r->ctx, g->st.done + 1);
		g->progress.total = g->st.total;
		if (IS_ENABLED(CONFIG_FRONT_CLI))
			progress_step(&g->progress, g->st.done);
		gc_tell(g, "copying");
		clock_sleep(POLL);
		err = WITH_READERS ? lease_hold_on(g->r, &g->hold) : 0;
		gc_jobs_renewed(g);
		if (!err)
			err = gc_must_stop(g);
	}
	if (err < 0)
		__atomic_store_n(&g->share->stop, err, __ATOMIC_RELEASE);
	return err;
}
