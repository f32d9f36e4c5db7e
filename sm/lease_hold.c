/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Locks that long verbs renew as they go on: those of copies and of collectors (lease.h). */
#include <stdio.h>
#include <sys/utsname.h>

#include "arch/clock.h"
#include "arch/lock.h"
#include "lib/err.h"
#include "sm/lease_impl.h"
#include "sm/locks.h"

#define EVERY		(8 * NS_PER_S)
#define PATIENCE	(2 * NS_PER_S)	/* for the SR's lock of this host: what waits is a copy */
#define TRIES		64u

int lease_hold(struct run *r, const struct uuid *what, const struct uuid *of, struct lease_hold *h)
{
	struct vdi vdi = { .uuid = *what };
	struct utsname name = { 0 };
	struct lease_known k = { .verdict = LEASE_LIVES };
	struct lease was;
	uint64_t as_of;
	int err = -EAGAIN;

	if (!r->sr.shared || !leases(r))
		return 0;
	uname(&name);
	h->l = (struct lease){ .state = LEASE_HELD, .kind = LEASE_PROCESS, .term = LEASE_TERM, .vdi = *what };
	if (of)
		h->l.of = *of;
	snprintf(h->l.owner, sizeof(h->l.owner), "%s", name.nodename);
	snprintf(h->l.verb, sizeof(h->l.verb), "%s", r->sr.verb ? r->sr.verb : "");
	for (unsigned int i = 0; err == -EAGAIN && i < TRIES; i++) {
		if (i)
			lease_pause(i);
		h->renewed = clock_now_boot();
		as_of = clock_now_mono();
		err = lease_sign(r->ctx, &h->l);
		if (!err)
			err = leases(r)->read(&r->sr, what, &was);
		if (!err)
			err = lease_check(r->ctx, &was, as_of, &k);
		if (!err && k.verdict == LEASE_LIVES && !(h->alone && k.here)) {
			if (h->looks)
				hint(r->ctx, "sm gc stop %s on that host", r->sr.uuid.s);
			lease_hint(r->ctx, &k);
			err = fail_say(r->ctx, -E_BUSY, "'%s' (host %s, process %d, %s) is at work on it", was.owner,
				       was.host.s, was.pid, was.verb);
		}
		if (!err && h->looks)
			return 0;
		if (!err)
			err = leases(r)->swap(&r->sr, &vdi, &was, &h->l);
	}
	h->held = !err;
	return err;
}

/* The SR is open. */
static int write_again(struct run *r, struct lease_hold *h)
{
	struct vdi vdi = { .uuid = h->l.vdi };
	uint64_t now = clock_now_boot();
	int err = -EAGAIN;

	for (unsigned int i = 0; err == -EAGAIN && i < TRIES; i++) {
		if (i)
			lease_pause(i);
		err = leases(r)->renew(&r->sr, &vdi, &h->l);
	}
	if (!err)
		h->renewed = now;
	return err;
}

struct run lease_same_sr(const struct run *r, struct ctx *ctx)
{
	struct run own = *r;

	own.ctx = ctx;
	own.sr = (struct sr){
		.ctx = ctx, .dir = -1, .type = r->sr.type, .uuid = r->sr.uuid, .name = "", .description = "",
		.dconf = r->sr.dconf, .sm_config = r->sr.sm_config, .write = true,
	};
	return own;
}

static int open_and_write(struct run *r, struct lease_hold *h)
{
	struct ctx ctx = { .root = r->ctx->root, .deadline = clock_now_mono() + PATIENCE, .watched = r->ctx->watched };
	struct run own = lease_same_sr(r, &ctx);
	int lock = -1, err;

	err = lock_host(&ctx, own.sr.uuid.s, "sr", &lock);
	if (!err)
		err = sr_open(&own.sr, false);
	if (!err)
		err = write_again(&own, h);
	sr_close(&own.sr);
	lock_drop(&lock);
	arena_free(&ctx.arena);
	return err;
}

int lease_hold_on(struct run *r, struct lease_hold *h)
{
	uint64_t age = clock_now_boot() - h->renewed;
	int err;

	if (!h->held || age < EVERY)
		return 0;
	err = open_and_write(r, h);
	/* Somebody has the SR's lock for longer than usual: there is time yet. */
	if (!err || (err != -E_NOT_LOCKED && age < LEASE_HOLD_MOST))
		return 0;
	h->held = false;
	return fail_say(r->ctx, -E_NOT_LOCKED, "its lock has been lost: %s", err_text(err));
}

int lease_hold_open(struct run *r, struct lease_hold *h)
{
	int err = h->held ? write_again(r, h) : 0;

	h->held = h->held && !err;
	return err == -E_NOT_LOCKED ? fail_say(r->ctx, err, "its lock has been lost") : err;
}

int lease_hold_look(struct run *r, const struct lease_hold *h)
{
	struct lease now = { 0 };
	int err = h->held ? leases(r)->read(&r->sr, &h->l.vdi, &now) : 0;

	if (err || !h->held || (now.state == LEASE_HELD && now.generation == h->l.generation))
		return err;
	return fail_say(r->ctx, -E_NOT_LOCKED, "its lock has been lost");
}

void lease_let_go(struct run *r, struct lease_hold *h)
{
	if (!h->held)
		return;
	/* Else it ends with us, or its term. */
	h->l.state = LEASE_FREE;
	if (r->sr.opened)
		write_again(r, h);
	else
		open_and_write(r, h);
	h->held = false;
}

bool lease_has_changed(struct run *r, const struct uuid *vdi, const struct lease *was)
{
	struct ctx ctx = { .root = r->ctx->root, .dry_run = true };	/* it takes no lock */
	struct run own = lease_same_sr(r, &ctx);
	struct lease now;
	bool changed = r->sr.shared && leases(r) &&
		       (sr_open(&own.sr, false) || leases(r)->read(&own.sr, vdi, &now) ||
			now.generation != was->generation);

	sr_close(&own.sr);
	arena_free(&ctx.arena);
	return changed;
}

int lease_disturb(struct run *r)
{
	struct lease was = { 0 };
	int err = r->sr.shared ? lease_before_copy(r, &was) : 0;

	if (err || !r->sr.shared)
		return err;
	/* One that is held has been taken since that copy began, or was before, and then there is none. */
	err = lease_before_replace(r, &was);
	if (!err)
		lease_after_replace(r);
	return err;
}

int lease_is_ours(struct run *r)
{
	struct ctx ctx = { .root = r->ctx->root, .dry_run = true };	/* it takes no lock */
	struct run own = lease_same_sr(r, &ctx), as;
	struct seen s = { .damaged = true };
	int err = leases(r) ? sr_open(&own.sr, false) : 0;

	as = own;
	if (!err && !r->rq->writable)
		err = lease_as_reader(&own, &as);
	if (!err && leases(r))
		err = seen_look(&as, &s);
	sr_close(&own.sr);
	arena_free(&ctx.arena);
	return err || s.damaged ? -1 : seen_is_ours(&s);
}
