/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What other verbs ask of locks (lease.h). */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "lib/err.h"
#include "sm/keeper.h"
#include "sm/lease_impl.h"

bool lease_is_shared(const struct run *r)
{
	const char *s = kv_get(&r->sr.dconf, "shared");

	return r->rq->shared || (s && !strcmp(s, "true"));
}

static int must_be_unread(struct run *r)
{
	return WITH_READERS && leases(r) ? lease_must_be_unread(r) : 0;
}

int lease_mark_elsewhere(struct sr *sr, struct vdis *l)
{
	struct seen_all all;
	struct seen s;
	int err = seen_all(sr, &all);

	while (!err && (err = seen_next_elsewhere(sr, &all, &s)) > 0) {
		struct vdi *vdi = vdis_find(l, seen_disk(&s));

		err = 0;
		if (vdi) {
			vdi->at.attached = true;
			vdi->at.elsewhere = seen_whose(sr->ctx, &s);
		} else if (WITH_READERS && s.damaged) {
			err = lease_refuse_damaged(sr, &s.lease.vdi);
		}
	}
	return err;
}

int lease_admit(struct run *r)
{
	bool all = false, changes = true;	/* whoever has locked it; what others may read */
	struct seen s;
	int err;

	switch (r->rq->op) {
	case OP_VDI_CLONE:
	case OP_VDI_DELETE:
		all = true;
		break;
	case OP_VDI_RESIZE:
	case OP_VDI_SNAPSHOT:
	case OP_VDI_COMPOSE:
	case OP_VDI_REVERT:
	case OP_VDI_ENABLE_CBT:
	case OP_VDI_DISABLE_CBT:
	case OP_VDI_DATA_DESTROY:
		break;
	case OP_VDI_ATTACH:		/* also where this host was not told of others */
	case OP_VDI_ACTIVATE:
	case OP_VDI_SERVE:
	case OP_VDI_COPY:
		changes = false;
		break;
	default:
		return 0;
	}
	if (!leases(r))
		return 0;
	err = WITH_KEEPER ? keeper_admit(r) : 0;
	if (!err)
		err = seen_look(r, &s);
	if (!err && (seen_is_elsewhere(&s) || (all && seen_is_taken(&s) && !seen_is_ours(&s))))
		err = seen_refuse(r, -E_VDI_IN_USE, &s);
	/* Who reads beside us does no harm; nothing may change below who reads elsewhere. */
	if (!err && changes)
		err = must_be_unread(r);
	return err;
}

int lease_before_destroy(struct run *r)
{
	struct arena *a = &r->ctx->arena;
	struct lease_look me;
	struct seen_all all;
	struct seen s;
	int err = seen_all(&r->sr, &all);

	if (!err)
		err = lease_who(r->ctx, &me);
	while (!err && (err = seen_next(&r->sr, &all, &s)) > 0) {
		const struct lease *l = &s.lease;
		const struct problem p = {
			.object = arena_printf(a, "lock %s", l->vdi.s), .severity = "warning",
			.what = arena_printf(a, "%s: its file stays in the directory", s.damaged ? s.known.why :
					     arena_printf(a, "held by '%s' (host %s)", l->owner, l->host.s)),
		};

		err = 0;
		/* The SR's own is taken before it goes. */
		if (!uuid_equal(&l->host, &me.host) && !uuid_equal(&l->vdi, &r->sr.uuid))
			vdis_problem(a, &r->rp->vdis, &p);
	}
	return err;
}

static int may_take(struct run *r, const struct seen *s, struct lease *new)
{
	return seen_is_taken(s) ? seen_refuse(r, -E_VDI_IN_USE, s) : 1;
}

int lease_before_delete(struct run *r)
{
	struct lease l;
	struct seen s;
	int err = leases(r) ? seen_look(r, &s) : 0;

	/* What nobody ever locked nobody is about to lock, unless there are other hosts. */
	if (err || !leases(r) || (!s.lease.generation && !lease_is_shared(r)))
		return err;
	err = lease_fill_in(r, &l, LEASE_PROCESS, "", 0);
	if (!err)
		err = lease_replace(r, &l, may_take);
	if (err)
		return err;
	err = must_be_unread(r);			/* somebody has come since */
	if (err)
		lease_after_replace(r);
	return err;
}

static int may_give_back(struct run *r, const struct seen *s, struct lease *new)
{
	return s->lease.kind == LEASE_PROCESS && s->known.here && s->known.verdict != LEASE_IS_FREE;
}

int lease_after_delete(struct run *r, int err)
{
	struct lease l;

	if (!leases(r))
		return err;
	if (!err) {
		lease_unwatch(r->ctx, &r->vdi.uuid);
		return leases(r)->forget(&r->sr, &r->vdi.uuid);
	}
	if (!lease_fill_in(r, &l, LEASE_PROCESS, "", 0)) {
		lease_make_free(&l);
		lease_replace(r, &l, may_give_back);		/* err is what matters; it ends with us anyway */
	}
	return err;
}

int lease_before_copy(struct run *r, struct lease *was)
{
	return leases(r) ? leases(r)->read(&r->sr, &r->vdi.uuid, was) : 0;
}

int lease_before_replace(struct run *r, struct lease *was)
{
	struct lease l;
	int err = lease_before_copy(r, &l);

	if (!err && leases(r) && l.generation != was->generation)
		err = fail_say(r->ctx, -EAGAIN, "VDI %s has been locked by somebody", r->vdi.uuid.s);
	/* A mark stays whose it is. */
	if (err || !leases(r) || l.state != LEASE_FREE || (!l.generation && !lease_is_shared(r)))
		return err;
	err = lease_fill_in(r, &l, LEASE_PROCESS, "", 0);
	if (!err)
		err = leases(r)->swap(&r->sr, &r->vdi, was, &l);
	if (IS_ENABLED(CONFIG_GC_RESUME) && !err)
		*was = l;
	return err;
}

/* What has been said is what matters; the lock ends with us, or must be broken, anyway. */
static void give_back(struct run *r, bool attached)
{
	struct fail_words words;

	fail_keep(r->ctx, &words);
	if (attached)
		lease_detach(r);
	else
		lease_after_delete(r, -EAGAIN);		/* given back, and not forgotten */
	fail_again(r->ctx, &words);
}

void lease_after_replace(struct run *r)
{
	give_back(r, false);
}

int lease_after_change(struct run *r, struct lease *was)
{
	struct lease l = { 0 };
	int err;

	lease_after_replace(r);
	err = lease_before_copy(r, &l);
	/* It was ours and is free, by the very next record. */
	if (!err && leases(r) && l.generation != was->generation &&
	    (l.state != LEASE_FREE || l.generation != was->generation + 1))
		err = fail_say(r->ctx, -EAGAIN, "VDI %s has been locked by somebody", r->vdi.uuid.s);
	*was = l;
	return err;
}

/* --- attached disks of shared SRs ----------------------------------------------------------- */

static int may_attach(struct run *r, const struct seen *s, struct lease *new)
{
	struct utsname name = { 0 };

	new->generation = s->lease.generation;
	if (seen_is_ours(s))
		return 0;
	if (seen_is_taken(s) && !s->damaged && s->lease.kind == LEASE_MARK && s->known.here) {
		snprintf(new->owner, sizeof(new->owner), "%s", s->lease.owner);
		new->marked = true;
		return 1;
	}
	uname(&name);
	snprintf(new->owner, sizeof(new->owner), "%s", name.nodename);
	new->marked = false;
	return seen_is_taken(s) ? seen_refuse(r, -E_VDI_IN_USE, s) : 1;
}

int lease_after_boot(struct run *r)
{
	struct lease_list l = { 0 };
	struct lease_look me;
	int err = leases(r) ? leases(r)->list(&r->sr, &l) : 0;

	if (err || !l.n)
		return err;
	err = lease_who(r->ctx, &me);
	for (size_t i = 0; !err && i < l.n; i++) {
		const struct lease *s = &l.v[i].lease;

		if (s->of.s[0] && uuid_equal(&s->host, &me.host) && !uuid_equal(&s->boot, &me.boot))
			err = leases(r)->forget(&r->sr, &s->vdi);
	}
	return err;
}

static int start_writing(struct run *r)
{
	struct lease l;
	int err = lease_fill_in(r, &l, LEASE_BOOT, "", 0);

	if (!err)
		err = lease_replace(r, &l, may_attach);
	if (WITH_KEEPER && !err && r->sr.shared)
		r->vdi.at.lease = l.generation;
	return err ? err : must_be_unread(r);
}

int lease_attach(struct run *r, bool writable)
{
	struct seen s;
	int err;

	if (!lease_is_shared(r))
		return 0;
	if (!leases(r))
		return fail(r->ctx, -E_UNSUPPORTED, "locks on type %s", r->sr.type->names[0]);
	if (!WITH_READERS && !writable) {
		err = seen_look(r, &s);
		return !err && seen_is_elsewhere(&s) ? seen_refuse(r, -E_VDI_IN_USE, &s) : err;
	}
	err = lease_need_name(r->ctx);
	if (WITH_KEEPER && !err)
		err = keeper_admit(r);
	if (err)
		return err;
	err = WITH_READERS && !writable ? lease_start_reading(r) : start_writing(r);
	/* What could not be made sure of is not kept; but who attaches again has it already. */
	if (err && !r->vdi.at.attached)
		give_back(r, true);
	return err;
}

static int may_detach(struct run *r, const struct seen *s, struct lease *new)
{
	if (!seen_is_ours(s))
		return 0;
	lease_make_free(new);
	if (s->lease.marked) {
		/* Its owner has to unlock it yet, or to renew it. */
		new->state = LEASE_HELD;
		new->kind = LEASE_MARK;
		new->term = LEASE_TERM;
		snprintf(new->owner, sizeof(new->owner), "%s", s->lease.owner);
	}
	return 1;
}

int lease_detach(struct run *r)
{
	struct lease l;
	int err = leases(r) ? lease_fill_in(r, &l, LEASE_BOOT, "", 0) : 0;

	if (err || !leases(r))
		return err;
	err = lease_replace(r, &l, may_detach);
	/* What is attached to be written may have been activated to be read. */
	return err || !WITH_READERS ? err : lease_stop_reading(r);
}
