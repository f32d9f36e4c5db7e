/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A lock as it is now, and another record in its place (lease_impl.h). */
#include <stdio.h>
#include <string.h>

#include "lib/err.h"
#include "lib/log.h"
#include "lib/time.h"
#include "sm/lease_impl.h"

#define TRIES	64u	/* some seconds: each attempt loses to one that won */

int seen_judge(struct sr *sr, struct seen *s, int64_t age)
{
	struct lease_look me;
	int err = lease_who(sr->ctx, &me);

	if (!err)
		err = lease_check(sr->ctx, &s->lease, age, &s->verdict, s->why);
	s->here = !err && uuid_equal(&s->lease.host, &me.host) && uuid_equal(&s->lease.boot, &me.boot);
	return err;
}

int seen_read(struct run *r, struct seen *s, int64_t *age)
{
	int err = 0;

	*s = (struct seen){ .verdict = LEASE_LIVES };
	for (unsigned int i = 0; i < TRIES; i++) {
		err = leases(r)->read(&r->sr, &r->vdi.uuid, &s->lease, age);
		if (err != -EAGAIN)
			break;
		lease_pause(i);
	}
	s->damaged = err == -E_DAMAGED;
	if (s->damaged) {
		snprintf(s->why, sizeof(s->why), "its record cannot be read");
		fail_clear(r->ctx);
		return 0;
	}
	return err;
}

int seen_look(struct run *r, struct seen *s)
{
	int64_t age;
	int err = seen_read(r, s, &age);

	return err || s->damaged ? err : seen_judge(&r->sr, s, age);
}

bool seen_is_ours(const struct seen *s)
{
	return s->lease.state == LEASE_HELD && s->lease.kind == LEASE_BOOT && s->here;
}

bool seen_is_taken(const struct seen *s)
{
	return s->verdict == LEASE_LIVES;
}

int seen_refuse(struct run *r, int err, const struct seen *s)
{
	const struct lease *l = &s->lease;
	char since[TIME_TEXT_MAX];

	const char *vdi = l->of.s[0] ? l->of.s : r->vdi.uuid.s;

	hint(r->ctx, "sm lock show %s", vdi);
	if (s->damaged)
		return fail_say(r->ctx, err, "VDI %s is locked, and %s", vdi, s->why);
	time_text(since, l->since);
	return fail_say(r->ctx, err, "VDI %s is locked by '%s' (%s%s, process %d, %s, since %s)", vdi,
			l->owner, s->here ? "this host" : "host ", s->here ? "" : l->host.s, l->pid, l->verb,
			since);
}

/* Out of luck: who was slower, again and again. */
static int too_busy(struct run *r)
{
	return fail_say(r->ctx, -E_BUSY, "the lock of VDI %s changes hands all the time", r->vdi.uuid.s);
}

int lease_fill_in(struct run *r, struct lease *l, enum lease_kind kind, const char *owner, uint32_t term)
{
	if (strlen(owner) >= sizeof(l->owner))
		return fail_say(r->ctx, -E_ARG, "the owner's text is longer than %d bytes", LEASE_OWNER - 1);
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
		if (!err && s.verdict == LEASE_IS_DEAD)
			logf_warn(r->ctx, "the lock of VDI %s was taken from '%s': %s", r->vdi.uuid.s,
				  s.lease.owner, s.why);
		else if (!err && s.verdict == LEASE_LIVES && r->rq->force)
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
	return seen_is_taken(s) && (s->damaged || s->lease.kind != LEASE_MARK) && !s->here;
}

int seen_next_elsewhere(struct sr *sr, const struct lease_list *l, size_t *i, struct seen *s)
{
	for (; *i < l->n; (*i)++) {
		int err = 0;

		*s = (struct seen){ .lease = l->v[*i].lease, .damaged = l->v[*i].err, .verdict = LEASE_LIVES };
		if (!s->damaged)
			err = seen_judge(sr, s, l->v[*i].age);
		if (err)
			return err;
		if (s->lease.of.s[0])
			s->lease.vdi = s->lease.of;
		if (seen_is_elsewhere(s)) {
			(*i)++;
			return 1;
		}
	}
	return 0;
}

int lease_list_of(struct sr *sr, struct lease_list *l)
{
	*l = (struct lease_list){ 0 };
	return sr->type->layout->leases ? sr->type->layout->leases->list(sr, l) : 0;
}
