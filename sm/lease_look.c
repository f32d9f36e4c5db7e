/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A lock as it is now, and another record in its place (lease_impl.h). */
#include <stdio.h>
#include <string.h>

#include "arch/clock.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/time.h"
#include "sm/lease_impl.h"

#define TRIES	64u	/* some seconds: each attempt loses to one that won */

/* Held, by whoever. */
static void set_damaged(struct ctx *ctx, struct seen *s)
{
	s->damaged = true;
	snprintf(s->known.why, sizeof(s->known.why), "its record cannot be read");
	fail_clear(ctx);
}

int seen_read(struct run *r, struct seen *s)
{
	int err = 0;

	*s = (struct seen){ .known = { .verdict = LEASE_LIVES } };
	for (unsigned int i = 0; i < TRIES; i++) {
		err = leases(r)->read(&r->sr, &r->vdi.uuid, &s->lease);
		if (err != -EAGAIN)
			break;
		lease_pause(i);
	}
	if (err != -E_DAMAGED)
		return err;
	set_damaged(r->ctx, s);
	return 0;
}

int seen_look(struct run *r, struct seen *s)
{
	uint64_t as_of = clock_now_mono();
	int err = seen_read(r, s);

	return err || s->damaged ? err : lease_check(r->ctx, &s->lease, as_of, &s->known);
}

bool seen_is_ours(const struct seen *s)
{
	return s->lease.state == LEASE_HELD && s->lease.kind == LEASE_BOOT && s->known.here;
}

bool seen_is_taken(const struct seen *s)
{
	return s->known.verdict == LEASE_LIVES;
}

const char *seen_whose(struct ctx *ctx, const struct seen *s)
{
	return s->damaged ? arena_strdup(&ctx->arena, s->known.why) :
		arena_printf(&ctx->arena, "'%s' (host %s, %s)", s->lease.owner, s->lease.host.s, s->lease.verb);
}

int seen_refuse(struct run *r, int err, const struct seen *s)
{
	const struct lease *l = &s->lease;
	char since[TIME_TEXT_MAX];

	const char *vdi = l->of.s[0] ? l->of.s : r->vdi.uuid.s;

	lease_hint(r->ctx, &s->known);
	hint(r->ctx, "sm lock show %s", vdi);
	if (s->damaged)
		return fail_say(r->ctx, err, "VDI %s is locked, and %s", vdi, s->known.why);
	time_text(since, l->since);
	return fail_say(r->ctx, err, "VDI %s is locked by '%s' (%s%s, process %d, %s, since %s)", vdi,
			l->owner, s->known.here ? "this host" : "host ", s->known.here ? "" : l->host.s, l->pid, l->verb,
			since);
}

/* Out of luck: who was slower, again and again. */
static int too_busy(struct run *r)
{
	return fail_say(r->ctx, -E_BUSY, "the lock of VDI %s changes hands all the time", r->vdi.uuid.s);
}

int lease_fill_in(struct run *r, struct lease *l, enum lease_kind kind, const char *owner, uint32_t term)
{
	if (!lease_owner_good(owner))
		return fail_say(r->ctx, -E_ARG, "the owner's text is longer than %d bytes, or no text",
				LEASE_OWNER - 1);
	*l = (struct lease){ .state = LEASE_HELD, .kind = kind, .term = term, .vdi = r->vdi.uuid };
	snprintf(l->owner, sizeof(l->owner), "%s", owner);
	if (r->row->object)
		snprintf(l->verb, sizeof(l->verb), "%s %s", r->row->object, r->row->verb);
	else
		snprintf(l->verb, sizeof(l->verb), "%s", r->row->api);
	return lease_sign(r->ctx, l);
}

int lease_replace(struct run *r, struct lease *new,
		  int (*may)(struct run *r, const struct seen *s, struct lease *new))
{
	struct seen s;

	for (unsigned int i = 0; i < TRIES; i++) {
		int err = seen_look(r, &s);

		if (!err)
			err = may(r, &s, new);
		if (err <= 0 && err != -EAGAIN)
			return err;
		if (err > 0)
			err = leases(r)->swap(&r->sr, &r->vdi, &s.lease, new);
		if (!err && s.known.verdict == LEASE_IS_DEAD)
			logf_warn(r->ctx, "the lock of VDI %s was taken from '%s': %s", r->vdi.uuid.s,
				  s.lease.owner, s.known.why);
		else if (!err && s.known.verdict == LEASE_LIVES && r->rq->force)
			logf_warn(r->ctx, "the lock of VDI %s was taken from '%s' by force", r->vdi.uuid.s,
				  s.lease.owner);
		if (err != -EAGAIN)
			return err;
		lease_pause(i);
	}
	return too_busy(r);
}

void lease_make_free(struct lease *l)
{
	l->state = LEASE_FREE;
	l->marked = false;
}

bool seen_is_elsewhere(const struct seen *s)
{
	return seen_is_taken(s) && (s->damaged || s->lease.kind != LEASE_MARK) && !s->known.here;
}

int seen_all(struct sr *sr, struct seen_all *all)
{
	*all = (struct seen_all){ .as_of = clock_now_mono() };
	return sr->type->layout->leases ? sr->type->layout->leases->list(sr, &all->l) : 0;
}

int seen_next(struct sr *sr, struct seen_all *all, struct seen *s)
{
	const struct lease_seen *l = all->i < all->l.n ? &all->l.v[all->i++] : NULL;
	int err = 0;

	if (!l)
		return 0;
	*s = (struct seen){ .lease = l->lease, .known = { .verdict = LEASE_LIVES } };
	if (l->err)
		set_damaged(sr->ctx, s);
	else
		err = lease_check(sr->ctx, &s->lease, all->as_of, &s->known);
	return err ? err : 1;
}

int seen_next_elsewhere(struct sr *sr, struct seen_all *all, struct seen *s)
{
	int err;

	do {
		err = seen_next(sr, all, s);
	} while (err > 0 && !seen_is_elsewhere(s));
	return err;
}

const struct uuid *seen_disk(const struct seen *s)
{
	return s->lease.of.s[0] ? &s->lease.of : &s->lease.vdi;
}
