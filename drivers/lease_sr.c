/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lock of an SR that several hosts change (lease.h). */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "arch/clock.h"
#include "drivers/layout.h"
#include "drivers/lease.h"
#include "drivers/sr.h"
#include "lib/err.h"
#include "lib/log.h"

#define FRESH		(5 * NS_PER_S)		/* a renewal is believed for that long */
/* Who has died with it is proven dead after that, and somebody may have been before us. */
#define PATIENCE	((LEASE_TERM + LEASE_GRACE + 15) * NS_PER_S)

#define BREAK_IT	"sm lock break %s --force, when no other host changes it"

static const struct vdi *as_vdi(const struct sr *sr, struct vdi *v)
{
	*v = (struct vdi){ .uuid = sr->uuid };
	return v;
}

/* --- the timer ------------------------------------------------------------------ */

/* Nothing may be written any more, not even the rest of what was begun: as a death at this place. */
static void end(int signal)
{
	static const char text[] = "sm: a lock could not be renewed in time: given up; "
		"the next verb mends what was begun\n";

	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(4);
	_exit(3);
}

void lease_alarm(struct clock_alarm *a, uint64_t renewed)
{
	uint32_t left = lease_left(renewed, clock_now_boot());
	struct sigaction act = { .sa_handler = end };
	sigset_t ours;

	sigaction(SIGALRM, &act, NULL);
	/* Whoever started us may have blocked it, and that is inherited. */
	sigemptyset(&ours);
	sigaddset(&ours, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &ours, NULL);
	clock_alarm(a, left ? left : 1);
}

/* --- taking it ------------------------------------------------------------------ */

static int fill_in(struct sr *sr, struct lease *l)
{
	struct utsname name = { 0 };

	*l = (struct lease){ .state = LEASE_HELD, .kind = LEASE_PROCESS, .term = LEASE_TERM, .vdi = sr->uuid };
	uname(&name);
	snprintf(l->owner, sizeof(l->owner), "%s", name.nodename);
	snprintf(l->verb, sizeof(l->verb), "%s", sr->verb ? sr->verb : "");
	return lease_sign(sr->ctx, l);
}

static int read_it(struct sr *sr, struct lease *was, struct lease_known *k)
{
	uint64_t as_of = clock_now_mono();
	int err = sr->type->layout->leases->read(sr, &sr->uuid, was);

	if (err == -E_DAMAGED) {
		hint(sr->ctx, BREAK_IT, sr->uuid.s);
		return fail(sr->ctx, -E_LOCKED, "its record cannot be read");
	}
	err = err ? err : lease_check(sr->ctx, was, as_of, k);
	if (!err && k->verdict == LEASE_IS_DEAD)
		logf_warn(sr->ctx, "the lock of SR %s is taken from '%s' (%s): %s", sr->uuid.s, was->owner,
			  was->verb, k->why);
	return err;
}

static int refuse(struct sr *sr, bool own, const struct lease *has)
{
	if (lease_patience(has))
		hint(sr->ctx, "wait: it ends by itself when its holder is dead");
	else
		hint(sr->ctx, BREAK_IT, sr->uuid.s);
	return fail_say(sr->ctx, own ? -E_DEADLINE : -E_BUSY, "SR %s is being changed by '%s' (host %s, process %d, %s)",
			sr->uuid.s, has->owner, has->host.s, has->pid, has->verb);
}

static int take(struct sr *sr, struct lease *l)
{
	uint64_t until = clock_now_mono() + PATIENCE;
	bool own = sr->ctx->deadline && sr->ctx->deadline < until;
	struct lease_known k = { .verdict = LEASE_LIVES };
	struct lease was = { 0 };
	struct vdi as;
	int err;

	for (unsigned int i = 0; ; i++) {
		err = read_it(sr, &was, &k);
		if (!err && k.verdict != LEASE_LIVES) {
			lease_alarm(&sr->alarm, clock_now_boot());	/* before anybody can have seen it */
			err = sr->type->layout->leases->swap(sr, as_vdi(sr, &as), &was, l);
			if (err)
				clock_alarm(&sr->alarm, 0);
			else
				return 0;
		}
		if (err && err != -EAGAIN)
			return err;
		if (!clock_left(own ? sr->ctx->deadline : until))
			return refuse(sr, own, &was);
		fail_clear(sr->ctx);
		lease_pause(i);
	}
}

int sr_enter(struct sr *sr)
{
	struct lease *l;
	int err;

	if (!sr->shared || !sr->type->layout->leases || sr->lease)
		return 0;
	l = arena_alloc(&sr->ctx->arena, sizeof(*l));
	err = lease_need_name(sr->ctx);
	if (!err)
		err = fill_in(sr, l);
	if (!err)
		err = take(sr, l);
	if (err == -E_SR_READ_ONLY) {
		fail_clear(sr->ctx);
		return 0;			/* nothing can be changed */
	}
	if (err)
		return fail(sr->ctx, err, "the lock of the SR");
	sr->entered = clock_now_boot();
	sr->lease = l;
	return 0;
}

static int write_again(struct sr *sr)
{
	struct vdi as;
	int err = -EAGAIN;

	/* Somebody wants it, and will see that we are not dead. */
	for (unsigned int i = 0; err == -EAGAIN && i < 64; i++) {
		if (i)
			lease_pause(i);
		err = sr->type->layout->leases->renew(sr, as_vdi(sr, &as), sr->lease);
	}
	return err;
}

int sr_renew(struct sr *sr)
{
	uint64_t now = clock_now_boot();
	int err;

	/* After a sleep of the host it is not fresh, and what is on the storage is asked. */
	if (!sr->lease || now - sr->entered < FRESH)
		return 0;
	lease_alarm(&sr->alarm, now);
	err = write_again(sr);
	if (!err) {
		sr->entered = now;
		return 0;
	}
	/* As long as it was good for before. */
	lease_alarm(&sr->alarm, sr->entered);
	if (err == -E_NOT_LOCKED)
		sr->lease = NULL;
	return fail_say(sr->ctx, err, "the lock of SR %s has been lost: %s", sr->uuid.s, err_text(err));
}

void sr_leave(struct sr *sr)
{
	struct fail_words words;

	if (!sr->lease)
		return;
	/* What is to be said has been said; the lock ends with us, or its term, anyway. */
	fail_keep(sr->ctx, &words);
	sr->lease->state = LEASE_FREE;
	if (write_again(sr))
		logf_warn(sr->ctx, "the lock of SR %s was not given back: %s", sr->uuid.s, sr->ctx->why);
	fail_again(sr->ctx, &words);
	sr->lease = NULL;
	clock_alarm(&sr->alarm, 0);
}
