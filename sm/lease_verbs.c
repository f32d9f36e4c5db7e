/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `sm vdi lock` and `unlock`, `sm lock`: what people and old programs ask of locks. */
#include <stdio.h>
#include <string.h>

#include "lib/err.h"
#include "sm/keeper.h"
#include "sm/lease_impl.h"
#include "sm/state.h"

/* --- vdi lock, vdi unlock ------------------------------------------------------------ */

static bool is_owner(const struct run *r, const struct seen *s)
{
	return !s->damaged && !strcmp(s->lease.owner, r->rq->owner);
}

/* The same owner again: a renewal, where the record is ours to write. */
static int again(struct run *r, const struct seen *s, struct lease *new)
{
	struct lease held = s->lease;
	int err;

	if (held.kind != LEASE_MARK)
		return 0;			/* attached: it does not run out */
	if (!s->known.here)
		return 1;
	held.term = new->term;
	err = leases(r)->renew(&r->sr, &r->vdi, &held);
	/* Somebody thought it dead: then it is as for anybody else. */
	return err == -E_NOT_LOCKED ? 1 : err;
}

static int may_lock(struct run *r, const struct seen *s, struct lease *new)
{
	if (seen_is_taken(s) && is_owner(r, s))
		return again(r, s, new);
	if (seen_is_taken(s) && !r->rq->force)
		return seen_refuse(r, -E_LOCKED, s);
	return 1;
}

int do_vdi_lock(struct run *r)
{
	struct lease l;
	int err = lease_fill_in(r, &l, LEASE_MARK, r->rq->owner, r->rq->lease);

	if (err)
		return err;
	if (r->ctx->dry_run)
		return plan(r, 0, "lock VDI %s for '%s'", r->vdi.uuid.s, r->rq->owner);
	return lease_replace(r, &l, may_lock);
}

static int may_unlock(struct run *r, const struct seen *s, struct lease *new)
{
	if (s->known.verdict == LEASE_IS_FREE)
		return fail_say(r->ctx, -E_NOT_LOCKED, "VDI %s is not locked", r->vdi.uuid.s);
	if (!r->rq->force && !is_owner(r, s))
		return seen_refuse(r, -E_NOT_LOCKED, s);
	if (!r->rq->force && s->lease.kind == LEASE_BOOT) {
		hint(r->ctx, "sm vdi detach %s", r->vdi.uuid.s);
		return fail_say(r->ctx, -E_VDI_IN_USE, "VDI %s is attached to %s%s", r->vdi.uuid.s,
				s->known.here ? "this host" : "host ", s->known.here ? "" : s->lease.host.s);
	}
	return 1;
}

int do_vdi_unlock(struct run *r)
{
	struct lease l;
	int err = lease_fill_in(r, &l, LEASE_MARK, r->rq->owner, 0);

	if (err)
		return err;
	if (r->ctx->dry_run)
		return plan(r, 0, "unlock VDI %s", r->vdi.uuid.s);
	lease_make_free(&l);
	return lease_replace(r, &l, may_unlock);
}

/* --- sm lock --------------------------------------------------------------------------- */

static void report(struct run *r, const struct seen *s, const struct uuid *vdi, const struct uuid *sr)
{
	struct arena *a = &r->ctx->arena;
	struct reply *rp = r->rp;
	struct lock_info *i;

	rp->locks = arena_grow(a, rp->locks, rp->n_locks, rp->n_locks + 1, sizeof(*rp->locks));
	i = &rp->locks[rp->n_locks++];
	*i = (struct lock_info){
		.vdi = *vdi, .sr = *sr, .here = s->known.here, .damaged = s->damaged,
		.dead = s->known.verdict == LEASE_IS_DEAD, .why = arena_strdup(a, s->known.why),
		.lease = arena_copy(a, &s->lease, sizeof(s->lease)),
	};
}

/* An attachment of this host that this host knows nothing of. */
static int is_forgotten(struct sr *sr, const struct seen *s, const struct uuid *vdi, bool *forgotten)
{
	struct attachment at = { 0 };
	int err = 0;

	*forgotten = false;
	if (seen_is_ours(s))
		err = state_get(sr, vdi, &at);
	*forgotten = !err && seen_is_ours(s) && !at.attached;
	return err;
}

static int add_forgotten(struct sr *sr, struct seen *s, const struct uuid *vdi)
{
	bool forgotten;
	int err = is_forgotten(sr, s, vdi, &forgotten);

	if (!err && forgotten)
		snprintf(s->known.why, sizeof(s->known.why), "it is not attached here any more, or not yet");
	return err;
}

/* What is attached here without the lock that it was attached with: in the place of that. */
static void report_broken(struct run *r, struct sr *sr, struct vdis *l)
{
	struct seen s = { .damaged = true, .known = { .here = true, .verdict = LEASE_LIVES } };

	snprintf(s.known.why, sizeof(s.known.why), "broken by another host: attached here still, where it fails: "
		 "sm vdi detach");
	keeper_see(sr, l);
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].at.lost) {
			report(r, &s, &l->v[i].uuid, &sr->uuid);
			r->rp->locks[r->rp->n_locks - 1].broken = true;
		}
}

static bool is_lost(struct sr *sr, struct vdi *vdi)
{
	keeper_see(sr, &(struct vdis){ .v = vdi, .n = 1 });
	return vdi->at.lost;
}

int do_lock_show(struct run *r)
{
	struct vdis one = { .v = &r->vdi, .n = 1 };
	struct seen s;
	int err = seen_look(r, &s);

	r->rp->kind = REPLY_LOCK;
	if (!err)
		err = add_forgotten(&r->sr, &s, &r->vdi.uuid);
	if (WITH_KEEPER && !err && s.known.verdict == LEASE_IS_FREE)
		report_broken(r, &r->sr, &one);
	else if (WITH_KEEPER && !err && is_lost(&r->sr, &r->vdi))
		snprintf(s.known.why, sizeof(s.known.why), "taken from this host, where the disk is attached still, "
			 "and fails: sm vdi detach");
	if (!err && s.known.verdict != LEASE_IS_FREE)
		report(r, &s, &r->vdi.uuid, &r->sr.uuid);
	return err;
}

static int list_sr(struct run *r)
{
	struct sr *sr = &r->sr;
	struct vdis mine = { 0 };
	struct seen_all all;
	struct seen s;
	int err = sr_open(sr, false);

	if (!err)
		err = seen_all(sr, &all);
	if (WITH_KEEPER && !err && !(err = state_leased(sr, &mine)))
		report_broken(r, sr, &mine);
	while (!err && (err = seen_next(sr, &all, &s)) > 0) {
		const struct uuid *vdi = seen_disk(&s);

		err = 0;
		if (uuid_equal(vdi, &sr->uuid) && !s.damaged)
			continue;		/* the SR's own: a verb at work */
		err = add_forgotten(sr, &s, vdi);
		if (!err)
			report(r, &s, vdi, &sr->uuid);
	}
	return err;
}

int do_lock_list(struct run *r)
{
	r->rp->kind = REPLY_LOCKS;
	return sr_each(r, list_sr);
}

static int may_break(struct run *r, const struct seen *s, struct lease *new)
{
	bool forgotten;
	int err = is_forgotten(&r->sr, s, s->lease.of.s[0] ? &s->lease.of : &r->vdi.uuid, &forgotten);

	if (err || s->known.verdict == LEASE_IS_FREE)
		return err;
	/* We have the SR's lock, so nobody is about to attach it, or in the middle of a detach. */
	if (s->known.verdict == LEASE_IS_DEAD || forgotten || r->rq->force)
		return 1;
	hint(r->ctx, "sm lock break %s --force, when you know that its holder is gone", r->vdi.uuid.s);
	seen_refuse(r, -E_LOCKED, s);
	return fail(r->ctx, -E_LOCKED, "not proven dead, %s", s->known.why);
}

/* Those of hosts that have read the disk, each by the same rules. */
static int break_readers(struct run *r, struct lease *is_free)
{
	struct lease_list l = { 0 };
	int err = leases(r)->list(&r->sr, &l);

	for (size_t i = 0; !err && i < l.n; i++) {
		struct run as = *r;

		if (!uuid_equal(&l.v[i].lease.of, &r->vdi.uuid))
			continue;
		as.vdi = (struct vdi){ .uuid = l.v[i].lease.vdi };
		is_free->vdi = as.vdi.uuid;
		err = lease_replace(&as, is_free, may_break);
	}
	return err;
}

static bool given(const struct run *r, struct uuid *u)
{
	return WITH_READERS && r->rq->op == OP_LOCK_BREAK && r->rq->vdi && !uuid_parse(u, r->rq->vdi);
}

bool lease_breaks_sr(const struct run *r)
{
	struct uuid u;

	return given(r, &u) && uuid_equal(&u, &r->sr.uuid);
}

bool lease_is_alone(struct run *r)
{
	struct lease l;
	struct uuid u;
	int err;

	if (!given(r, &u) || !leases(r))
		return false;
	err = leases(r)->read(&r->sr, &u, &l);
	if (err ? err != -E_DAMAGED : l.state == LEASE_FREE)
		return false;
	fail_clear(r->ctx);
	r->vdi = (struct vdi){ .uuid = u };
	return true;
}

static int break_collector(struct run *r, struct lease *is_free)
{
	struct run as = *r;

	as.vdi = (struct vdi){ 0 };
	lease_key(&r->sr.uuid, &r->sr.uuid, LEASE_COLLECTOR, &as.vdi.uuid);
	return lease_replace(&as, is_free, may_break);
}

int do_lock_break(struct run *r)
{
	struct lease l;
	int err = lease_fill_in(r, &l, LEASE_MARK, "", 0);

	if (err)
		return err;
	if (r->ctx->dry_run)
		return plan(r, 0, "break the lock of VDI %s", r->vdi.uuid.s);
	lease_make_free(&l);
	err = lease_replace(r, &l, may_break);
	if (err || !WITH_READERS)
		return err;
	return lease_breaks_sr(r) ? break_collector(r, &l) : break_readers(r, &l);
}

static int may_renew(struct run *r, const struct seen *s, struct lease *new)
{
	if (s->known.verdict == LEASE_IS_FREE)
		return fail_say(r->ctx, -E_NOT_LOCKED, "VDI %s is not locked", r->vdi.uuid.s);
	if (!is_owner(r, s))
		return seen_refuse(r, -E_NOT_LOCKED, s);
	if (!r->rq->has_lease)
		new->term = s->lease.term;
	return again(r, s, new);
}

int do_lock_renew(struct run *r)
{
	struct lease l;
	int err = lease_fill_in(r, &l, LEASE_MARK, r->rq->owner, r->rq->lease);

	if (err)
		return err;
	if (r->ctx->dry_run)
		return plan(r, 0, "renew the lock of VDI %s", r->vdi.uuid.s);
	return lease_replace(r, &l, may_renew);
}

int lease_owners(struct run *r)
{
	struct vdi *vdi = &r->vdi;
	struct seen s;
	int err;

	if (!leases(r))
		return 0;
	err = seen_read(r, &s);
	if (err || (!s.damaged && s.lease.state == LEASE_FREE))
		return err;
	vdi->owners = arena_alloc(&r->ctx->arena, sizeof(*vdi->owners));
	vdi->owners[0] = arena_strdup(&r->ctx->arena, s.damaged ? "?" : s.lease.owner);
	vdi->n_owners = 1;
	return 0;
}
