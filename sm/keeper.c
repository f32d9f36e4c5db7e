/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "arch/clock.h"
#include "arch/lock.h"
#include "arch/notify.h"
#include "arch/proc.h"
#include "arch/syslog.h"
#include "drivers/port.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/log.h"
#include "sm/keeper.h"
#include "sm/lease_impl.h"
#include "sm/state.h"

#define EVERY		(10 * NS_PER_S)
/* Who has the SR's lock for longer is stopped, or waits for storage: a disk does not write on for that. */
#define PATIENCE	(5 * NS_PER_S)

/* --- what verbs ask ------------------------------------------------------------------- */

void keeper_see(struct sr *sr, struct vdis *l)
{
	const struct lease_ops *leases = sr->type->layout->leases;
	struct lease now;

	for (size_t i = 0; leases && i < l->n; i++) {
		struct attachment *at = &l->v[i].at;

		/* Where it cannot be read nobody has been seen to break it. */
		if (at->lease && !leases->read(sr, &l->v[i].uuid, &now))
			at->lost = now.state != LEASE_HELD || now.generation != at->lease;
	}
}

int keeper_admit(struct run *r)
{
	struct vdis one = { .v = &r->vdi, .n = 1 };
	struct seen s;
	bool is_taken;

	keeper_see(&r->sr, &one);
	fail_clear(r->ctx);
	if (!r->vdi.at.lost)
		return 0;
	is_taken = !seen_look(r, &s) && seen_is_taken(&s);
	fail_clear(r->ctx);
	hint(r->ctx, "sm vdi detach %s", r->vdi.uuid.s);
	if (is_taken)
		seen_refuse(r, -E_VDI_UNAVAILABLE, &s);
	return fail_say(r->ctx, -E_VDI_UNAVAILABLE, "the lock of VDI %s has been broken while it was attached here",
			r->vdi.uuid.s);
}

/* --- the process -------------------------------------------------------------------------- */

static const char *lock_path(struct ctx *ctx, const struct sr *sr)
{
	return sm_path(ctx, "/run/sm/keeper/%s", sr->uuid.s);
}

/* Is anything attached that has to be looked after?  What cannot be read may be. */
static bool is_needed(const struct run *r)
{
	struct ctx ctx = { .root = r->ctx->root };
	struct run own = lease_same_sr(r, &ctx);
	struct vdis l = { 0 };
	bool needed = state_leased(&own.sr, &l) || l.n;

	arena_free(&ctx.arena);
	return needed;
}

/*
 * Its lock is not what it was when it was attached.  With the SR's lock of this host
 * nobody can detach it and attach it anew meanwhile; without, what is attached then
 * would have a lock of a later generation.
 */
static void cut_off(struct run *r, const struct vdi *vdi)
{
	struct attachment now = { 0 };
	_unlock_ int lock = -1;
	int err;

	lock_take(&lock, sm_path(r->ctx, "/var/lock/sm/%s/sr", r->sr.uuid.s), false, clock_now_mono() + PATIENCE);
	if (state_get(&r->sr, &vdi->uuid, &now) || now.lease != vdi->at.lease)
		return;
	err = port_fail(&r->sr, vdi, &lock);
	if (err > 0)
		logf_err(r->ctx, "keeper: VDI %s: its lock has been broken by another host: its device fails from "
			 "now on, nothing more is written", vdi->uuid.s);
	else if (err)
		logf_err(r->ctx, "keeper: VDI %s: its lock has been broken by another host, and it is still "
			 "written here: %s", vdi->uuid.s, r->ctx->why);
	fail_clear(r->ctx);
}

static void look(const struct run *r)
{
	struct ctx ctx = { .root = r->ctx->root, .dry_run = true };	/* it takes no lock */
	struct run own = lease_same_sr(r, &ctx);
	struct vdis l = { 0 };

	if (!state_leased(&own.sr, &l) && l.n && !sr_open(&own.sr, false))
		keeper_see(&own.sr, &l);
	sr_close(&own.sr);
	fail_clear(&ctx);
	for (size_t i = 0; i < l.n; i++)
		if (l.v[i].at.lost)
			cut_off(&own, &l.v[i]);
	arena_free(&ctx.arena);
}

static void keep(const struct run *r, const char *attached)
{
	_close_ int watch = notify_gone(attached);
	uint64_t due = clock_now_mono();

	while (is_needed(r)) {
		if (!clock_left(due)) {
			look(r);
			due = clock_now_mono() + EVERY;
		}
		notify_wait(watch, due);
	}
}

/* For people. */
static void note(int lock, pid_t pid)
{
	if (!ftruncate(lock, 0))
		dprintf(lock, "%d\n", (int)pid);
}

/*
 * The lock is ours already.  Who attaches a disk just when we end has seen it, and
 * started nobody: we look once more without it.
 */
static void live(struct run *r, int lock)
{
	const char *path = lock_path(r->ctx, &r->sr);
	const char *attached = sm_path(r->ctx, "/run/sm/attached/%s", r->sr.uuid.s);

	for (;;) {
		keep(r, attached);
		unlink(path);
		lock_drop(&lock);
		if (!is_needed(r) || lock_take(&lock, path, false, LOCK_TRY))
			return;
		note(lock, getpid());
	}
}

/* --- its begin and end ------------------------------------------------------------------ */

/* With the lock taken here, so that whoever comes next sees that there is one. */
void keeper_start(struct run *r)
{
	const char *path = lock_path(r->ctx, &r->sr);
	struct ctx ctx = { .root = r->ctx->root };
	struct syslog syslog = SYSLOG_INIT;
	struct run own = *r;
	int lock;
	pid_t pid;

	if (!r->sr.shared || !r->sr.uuid.s[0] || !is_needed(r) || lock_take(&lock, path, false, LOCK_TRY))
		return;
	pid = proc_detach(&lock, 1);
	if (!pid) {
		log_set_sink(syslog_line, &syslog);
		proc_guard();
		own.ctx = &ctx;
		live(&own, lock);
		_Exit(0);
	}
	if (pid < 0)
		unlink(path);
	else
		note(lock, pid);
	close(lock);			/* not dropped: the keeper has it too */
}

void keeper_rest(struct run *r)
{
	const char *path = lock_path(r->ctx, &r->sr);
	_unlock_ int lock = -1;
	pid_t pid;

	if (!r->sr.shared || is_needed(r) || lock_holder(path, &pid) || !pid)
		return;
	/* One that hangs in its storage ends when it comes out of there. */
	if (!lock_take(&lock, path, false, clock_now_mono() + PATIENCE))
		unlink(path);
}
