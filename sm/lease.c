/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "arch/clock.h"
#include "drivers/lease.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/time.h"
#include "sm/lease.h"
#include "sm/state.h"

#define TRIES	64u	/* some seconds: each attempt loses to one that won */

static const struct lease_ops *leases(const struct run *r)
{
	return r->sr.type->layout->leases;
}

static bool is_shared(const struct run *r)
{
	const char *s = kv_get(&r->sr.dconf, "shared");

	return r->rq->shared || (s && !strcmp(s, "true"));
}

/* --- one lock, as it is now ------------------------------------------------------- */

/* A lock, and what is known of its holder. */
struct seen {
	struct lease lease;
	enum lease_verdict verdict;
	bool damaged;
	bool here;		/* this host wrote it, in this boot */
	char why[LEASE_WHY];
};

static int judge(struct sr *sr, struct seen *s, int64_t age)
{
	struct lease_look me;
	int err = lease_who(sr->ctx, &me);

	if (!err)
		err = lease_check(sr->ctx, &s->lease, age, &s->verdict, s->why);
	s->here = !err && uuid_equal(&s->lease.host, &me.host) && uuid_equal(&s->lease.boot, &me.boot);
	return err;
}

/* What is written there; its age, where that is asked for, is found out by writing. */
static int read_record(struct run *r, struct seen *s, int64_t *age)
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

static int look(struct run *r, struct seen *s)
{
	int64_t age;
	int err = read_record(r, s, &age);

	return err || s->damaged ? err : judge(&r->sr, s, age);
}

static bool is_ours(const struct seen *s)
{
	return s->lease.state == LEASE_HELD && s->lease.kind == LEASE_BOOT && s->here;
}

static bool is_taken(const struct seen *s)
{
	return s->verdict == LEASE_LIVES;
}

static int refuse(struct run *r, int err, const struct seen *s)
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

static int fill_in(struct run *r, struct lease *l, enum lease_kind kind, const char *owner, uint32_t term)
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

/*
 * Put a record in the place of the one that is there, if may() says so of it:
 * 1 to go on, 0 when there is nothing to do, or an error.
 */
static int replace(struct run *r, struct lease *new,
		   int (*may)(struct run *r, const struct seen *s, struct lease *new))
{
	struct seen s;

	for (unsigned int i = 0; i < TRIES; i++) {
		int err = look(r, &s);

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

/* Free it, with the words of who held it last. */
static void make_free(struct lease *l)
{
	l->state = LEASE_FREE;
	l->marked = false;
}

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
	if (!s->here)
		return 1;
	held.term = new->term;
	err = leases(r)->renew(&r->sr, &r->vdi, &held);
	/* Somebody thought it dead: then it is as for anybody else. */
	return err == -E_NOT_LOCKED ? 1 : err;
}

static int may_lock(struct run *r, const struct seen *s, struct lease *new)
{
	if (is_taken(s) && is_owner(r, s))
		return again(r, s, new);
	if (is_taken(s) && !r->rq->force)
		return refuse(r, -E_LOCKED, s);
	return 1;
}

int do_vdi_lock(struct run *r)
{
	struct lease l;
	int err = fill_in(r, &l, LEASE_MARK, r->rq->owner, r->rq->lease);

	if (err)
		return err;
	if (r->ctx->dry_run)
		return plan(r, 0, "lock VDI %s for '%s'", r->vdi.uuid.s, r->rq->owner);
	return replace(r, &l, may_lock);
}

static int may_unlock(struct run *r, const struct seen *s, struct lease *new)
{
	if (s->verdict == LEASE_IS_FREE)
		return fail_say(r->ctx, -E_NOT_LOCKED, "VDI %s is not locked", r->vdi.uuid.s);
	if (!r->rq->force && !is_owner(r, s))
		return refuse(r, -E_NOT_LOCKED, s);
	if (!r->rq->force && s->lease.kind == LEASE_BOOT) {
		hint(r->ctx, "sm vdi detach %s", r->vdi.uuid.s);
		return fail_say(r->ctx, -E_VDI_IN_USE, "VDI %s is attached to %s%s", r->vdi.uuid.s,
				s->here ? "this host" : "host ", s->here ? "" : s->lease.host.s);
	}
	return 1;
}

int do_vdi_unlock(struct run *r)
{
	struct lease l;
	int err = fill_in(r, &l, LEASE_MARK, r->rq->owner, 0);

	if (err)
		return err;
	if (r->ctx->dry_run)
		return plan(r, 0, "unlock VDI %s", r->vdi.uuid.s);
	make_free(&l);
	return replace(r, &l, may_unlock);
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
		.vdi = *vdi, .sr = *sr, .here = s->here, .damaged = s->damaged,
		.dead = s->verdict == LEASE_IS_DEAD, .why = arena_strdup(a, s->why),
		.lease = arena_copy(a, &s->lease, sizeof(s->lease)),
	};
}

/* An attachment of this host that this host knows nothing of. */
static int is_forgotten(struct sr *sr, const struct seen *s, const struct uuid *vdi, bool *forgotten)
{
	struct attachment at = { 0 };
	int err = 0;

	*forgotten = false;
	if (is_ours(s))
		err = state_get(sr, vdi, &at);
	*forgotten = !err && is_ours(s) && !at.attached;
	return err;
}

static int add_forgotten(struct sr *sr, struct seen *s, const struct uuid *vdi)
{
	bool forgotten;
	int err = is_forgotten(sr, s, vdi, &forgotten);

	if (!err && forgotten)
		snprintf(s->why, sizeof(s->why), "it is not attached here any more, or not yet");
	return err;
}

int do_lock_show(struct run *r)
{
	struct seen s;
	int err = look(r, &s);

	r->rp->kind = REPLY_LOCK;
	if (!err)
		err = add_forgotten(&r->sr, &s, &r->vdi.uuid);
	if (!err && s.verdict != LEASE_IS_FREE)
		report(r, &s, &r->vdi.uuid, &r->sr.uuid);
	return err;
}

static int list_sr(struct run *r)
{
	struct sr *sr = &r->sr;
	struct lease_list l = { 0 };
	int err = sr_open(sr, false);

	if (!err && sr->type->layout->leases)
		err = sr->type->layout->leases->list(sr, &l);
	for (size_t i = 0; !err && i < l.n; i++) {
		struct seen s = {
			.lease = l.v[i].lease, .damaged = l.v[i].err, .verdict = LEASE_LIVES,
			.why = "its record cannot be read",
		};

		const struct uuid *vdi = s.lease.of.s[0] ? &s.lease.of : &s.lease.vdi;

		if (uuid_equal(vdi, &sr->uuid))
			continue;		/* the SR's own: a verb at work */
		if (!s.damaged)
			err = judge(sr, &s, l.v[i].age);
		if (!err)
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

	if (err || s->verdict == LEASE_IS_FREE)
		return err;
	/* We have the SR's lock, so nobody is about to attach it, or in the middle of a detach. */
	if (s->verdict == LEASE_IS_DEAD || forgotten || r->rq->force)
		return 1;
	hint(r->ctx, "sm lock break %s --force, when you know that its holder is gone", r->vdi.uuid.s);
	refuse(r, -E_LOCKED, s);
	return fail(r->ctx, -E_LOCKED, "not proven dead, %s", s->why);
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
		err = replace(&as, is_free, may_break);
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
	err = leases(r)->read(&r->sr, &u, &l, NULL);
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
	return replace(&as, is_free, may_break);
}

int do_lock_break(struct run *r)
{
	struct lease l;
	int err = fill_in(r, &l, LEASE_MARK, "", 0);

	if (err)
		return err;
	if (r->ctx->dry_run)
		return plan(r, 0, "break the lock of VDI %s", r->vdi.uuid.s);
	make_free(&l);
	err = replace(r, &l, may_break);
	if (err || !WITH_READERS)
		return err;
	return lease_breaks_sr(r) ? break_collector(r, &l) : break_readers(r, &l);
}

static int may_renew(struct run *r, const struct seen *s, struct lease *new)
{
	if (s->verdict == LEASE_IS_FREE)
		return fail_say(r->ctx, -E_NOT_LOCKED, "VDI %s is not locked", r->vdi.uuid.s);
	if (!is_owner(r, s))
		return refuse(r, -E_NOT_LOCKED, s);
	if (!r->rq->has_lease)
		new->term = s->lease.term;
	return again(r, s, new);
}

int do_lock_renew(struct run *r)
{
	struct lease l;
	int err = fill_in(r, &l, LEASE_MARK, r->rq->owner, r->rq->lease);

	if (err)
		return err;
	if (r->ctx->dry_run)
		return plan(r, 0, "renew the lock of VDI %s", r->vdi.uuid.s);
	return replace(r, &l, may_renew);
}

int lease_owners(struct run *r)
{
	struct vdi *vdi = &r->vdi;
	struct seen s;
	int err;

	if (!leases(r))
		return 0;
	err = read_record(r, &s, NULL);
	if (err || (!s.damaged && s.lease.state == LEASE_FREE))
		return err;
	vdi->owners = arena_alloc(&r->ctx->arena, sizeof(*vdi->owners));
	vdi->owners[0] = arena_strdup(&r->ctx->arena, s.damaged ? "?" : s.lease.owner);
	vdi->n_owners = 1;
	return 0;
}

/* --- what other verbs ask ---------------------------------------------------------------- */

static bool is_elsewhere(const struct seen *s)
{
	return is_taken(s) && (s->damaged || s->lease.kind != LEASE_MARK) && !s->here;
}

/* The next of the list that lives, from *i on, and the disk that it is about: attached, read, or at work on. */
static int next_elsewhere(struct sr *sr, const struct lease_list *l, size_t *i, struct seen *s)
{
	for (; *i < l->n; (*i)++) {
		int err = 0;

		*s = (struct seen){ .lease = l->v[*i].lease, .damaged = l->v[*i].err, .verdict = LEASE_LIVES };
		if (!s->damaged)
			err = judge(sr, s, l->v[*i].age);
		if (err)
			return err;
		if (s->lease.of.s[0])
			s->lease.vdi = s->lease.of;
		if (is_elsewhere(s)) {
			(*i)++;
			return 1;
		}
	}
	return 0;
}

static int list_of(struct sr *sr, struct lease_list *l)
{
	*l = (struct lease_list){ 0 };
	return sr->type->layout->leases ? sr->type->layout->leases->list(sr, l) : 0;
}

/* --- who only reads ------------------------------------------------------------------------ */

static int refuse_read(struct run *r, const struct seen *s)
{
	hint(r->ctx, "sm lock list %s", r->sr.uuid.s);
	return fail_say(r->ctx, -E_VDI_IN_USE, "VDI %s is being read by '%s' (host %s, %s)", r->vdi.uuid.s,
			s->lease.owner, s->lease.host.s, s->lease.verb);
}

/* Refuses when another host reads the disk. */
static int must_be_unread(struct run *r)
{
	struct lease_list l;
	struct seen s;
	size_t i = 0;
	int err = WITH_READERS && leases(r) ? list_of(&r->sr, &l) : 0;

	while (WITH_READERS && leases(r) && !err && (err = next_elsewhere(&r->sr, &l, &i, &s)) > 0)
		err = s.lease.of.s[0] && uuid_equal(&s.lease.of, &r->vdi.uuid) ? refuse_read(r, &s) : 0;
	return err;
}

/* r about the lock that this host has as a reader of the disk. */
static int as_reader(const struct run *r, struct run *as)
{
	struct lease_look me;
	int err = lease_who(r->ctx, &me);

	*as = *r;
	as->vdi = (struct vdi){ 0 };
	if (!err)
		lease_key(&r->vdi.uuid, &me.host, LEASE_READER, &as->vdi.uuid);
	return err;
}

static int may_read(struct run *r, const struct seen *s, struct lease *new)
{
	return !is_ours(s);		/* nobody but this host writes it */
}

static int stop_reading(struct run *r)
{
	struct run as;
	struct seen s;
	int err = as_reader(r, &as);

	if (!err)
		err = look(&as, &s);
	return err || !is_ours(&s) ? err : leases(r)->forget(&as.sr, &as.vdi.uuid);
}

/*
 * The record first, then a look at the disk's lock, as who wants to write takes
 * that first and then looks for readers: of two who come together at least one
 * sees the other.
 */
static int start_reading(struct run *r)
{
	struct utsname name = { 0 };
	struct lease l;
	struct seen s;
	struct run as;
	int err = as_reader(r, &as);

	uname(&name);
	if (!err)
		err = fill_in(&as, &l, LEASE_BOOT, name.nodename, 0);
	l.of = r->vdi.uuid;
	if (!err)
		err = replace(&as, &l, may_read);
	if (err == -E_SR_READ_ONLY) {
		logf_warn(r->ctx, "VDI %s: other hosts cannot be told that it is read here: %s", r->vdi.uuid.s,
			  r->ctx->why);
		fail_clear(r->ctx);
		err = 0;
	}
	if (!err)
		err = look(r, &s);
	if (!err && is_elsewhere(&s)) {
		stop_reading(r);
		err = refuse(r, -E_VDI_IN_USE, &s);
	}
	return err;
}

static int refuse_unread(struct sr *sr, const struct uuid *lock)
{
	hint(sr->ctx, "sm lock break %s --sr %s --force, when that is not so", lock->s, sr->uuid.s);
	return fail_say(sr->ctx, -E_LOCKED, "lock %s cannot be read, and may be of a disk that another host reads",
			lock->s);
}

int lease_mark_elsewhere(struct sr *sr, struct vdis *l)
{
	struct lease_list locks;
	struct seen s;
	size_t i = 0;
	int err = list_of(sr, &locks);

	while (!err && (err = next_elsewhere(sr, &locks, &i, &s)) > 0) {
		struct vdi *vdi = vdis_find(l, &s.lease.vdi);

		err = 0;
		if (vdi)
			vdi->at.attached = vdi->at.elsewhere = true;
		else if (WITH_READERS && s.damaged && !uuid_equal(&s.lease.vdi, &sr->uuid))
			err = refuse_unread(sr, &s.lease.vdi);
	}
	return err;
}

int lease_admit(struct run *r)
{
	enum op op = r->rq->op;
	bool all = op == OP_VDI_CLONE || op == OP_VDI_DELETE;
	struct seen s;
	int err;

	if (!leases(r) || (!all && op != OP_VDI_RESIZE && op != OP_VDI_SNAPSHOT && op != OP_VDI_COMPOSE &&
			   op != OP_VDI_REVERT && op != OP_VDI_SERVE && op != OP_VDI_COPY &&
			   op != OP_VDI_ENABLE_CBT && op != OP_VDI_DISABLE_CBT &&
			   op != OP_VDI_DATA_DESTROY))
		return 0;
	err = look(r, &s);
	if (!err && (is_elsewhere(&s) || (all && is_taken(&s) && !is_ours(&s))))
		err = refuse(r, -E_VDI_IN_USE, &s);
	/* Who reads beside us does no harm; nothing may change below who reads elsewhere. */
	if (!err && op != OP_VDI_COPY && op != OP_VDI_SERVE)
		err = must_be_unread(r);
	return err;
}

static int may_take(struct run *r, const struct seen *s, struct lease *new)
{
	return is_taken(s) ? refuse(r, -E_VDI_IN_USE, s) : 1;
}

int lease_before_delete(struct run *r)
{
	struct lease l;
	struct seen s;
	int err = leases(r) ? look(r, &s) : 0;

	/* What nobody ever locked nobody is about to lock, unless there are other hosts. */
	if (err || !leases(r) || (!s.lease.generation && !is_shared(r)))
		return err;
	err = fill_in(r, &l, LEASE_PROCESS, "", 0);
	if (!err)
		err = replace(r, &l, may_take);
	if (!err && must_be_unread(r))			/* somebody has come since */
		err = lease_after_delete(r, -E_VDI_IN_USE);
	return err;
}

static int may_give_back(struct run *r, const struct seen *s, struct lease *new)
{
	return s->lease.kind == LEASE_PROCESS && s->here && s->verdict != LEASE_IS_FREE;
}

int lease_after_delete(struct run *r, int err)
{
	struct lease l;

	if (!leases(r))
		return err;
	if (!err)
		return leases(r)->forget(&r->sr, &r->vdi.uuid);
	if (!fill_in(r, &l, LEASE_PROCESS, "", 0)) {
		make_free(&l);
		replace(r, &l, may_give_back);		/* err is what matters; it ends with us anyway */
	}
	return err;
}

int lease_before_copy(struct run *r, struct lease *was)
{
	return leases(r) ? leases(r)->read(&r->sr, &r->vdi.uuid, was, NULL) : 0;
}

int lease_before_replace(struct run *r, const struct lease *was)
{
	struct lease l;
	int err = lease_before_copy(r, &l);

	if (!err && leases(r) && l.generation != was->generation)
		err = fail_say(r->ctx, -EAGAIN, "VDI %s has been locked by somebody", r->vdi.uuid.s);
	/* A mark stays whose it is. */
	if (err || !leases(r) || l.state != LEASE_FREE || (!l.generation && !is_shared(r)))
		return err;
	err = fill_in(r, &l, LEASE_PROCESS, "", 0);
	return err ? err : leases(r)->swap(&r->sr, &r->vdi, was, &l);
}

void lease_after_replace(struct run *r)
{
	char why[sizeof(r->ctx->why)];

	memcpy(why, r->ctx->why, sizeof(why));
	lease_after_delete(r, -EAGAIN);		/* given back, and not forgotten */
	memcpy(r->ctx->why, why, sizeof(why));	/* that of the verb matters; the lock ends with us anyway */
}

/* --- attached disks of shared SRs ----------------------------------------------------------- */

static int may_attach(struct run *r, const struct seen *s, struct lease *new)
{
	struct utsname name = { 0 };

	if (is_ours(s))
		return 0;
	if (is_taken(s) && !s->damaged && s->lease.kind == LEASE_MARK && s->here) {
		snprintf(new->owner, sizeof(new->owner), "%s", s->lease.owner);
		new->marked = true;
		return 1;
	}
	uname(&name);
	snprintf(new->owner, sizeof(new->owner), "%s", name.nodename);
	new->marked = false;
	return is_taken(s) ? refuse(r, -E_VDI_IN_USE, s) : 1;
}

/* We were not to have it; why has been said. */
static void give_back(struct run *r)
{
	char why[sizeof(r->ctx->why)], what[sizeof(r->ctx->hint)];

	memcpy(why, r->ctx->why, sizeof(why));
	memcpy(what, r->ctx->hint, sizeof(what));
	lease_detach(r);
	memcpy(r->ctx->why, why, sizeof(why));
	memcpy(r->ctx->hint, what, sizeof(what));
}

int lease_after_boot(struct run *r)
{
	struct lease_list l;
	struct lease_look me;
	int err = leases(r) ? list_of(&r->sr, &l) : 1;

	if (err)
		return err < 0 ? err : 0;
	err = lease_who(r->ctx, &me);
	for (size_t i = 0; !err && i < l.n; i++) {
		const struct lease *s = &l.v[i].lease;

		if (s->of.s[0] && uuid_equal(&s->host, &me.host) && !uuid_equal(&s->boot, &me.boot))
			err = leases(r)->forget(&r->sr, &s->vdi);
	}
	return err;
}

int lease_attach(struct run *r, bool writable)
{
	struct lease l;
	struct seen s;
	int err;

	if (!is_shared(r))
		return 0;
	if (!leases(r))
		return fail(r->ctx, -E_UNSUPPORTED, "locks on type %s", r->sr.type->names[0]);
	if (WITH_READERS && !writable)
		return start_reading(r);
	if (!writable) {
		err = look(r, &s);
		return !err && is_elsewhere(&s) ? refuse(r, -E_VDI_IN_USE, &s) : err;
	}
	err = fill_in(r, &l, LEASE_BOOT, "", 0);
	if (!err)
		err = replace(r, &l, may_attach);
	if (!err)
		err = must_be_unread(r);
	/* Who attaches again has it already. */
	if (err == -E_VDI_IN_USE && !r->vdi.at.attached)
		give_back(r);
	return err;
}

static int may_detach(struct run *r, const struct seen *s, struct lease *new)
{
	if (!is_ours(s))
		return 0;
	make_free(new);
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
	int err = leases(r) ? fill_in(r, &l, LEASE_BOOT, "", 0) : 0;

	if (err || !leases(r))
		return err;
	err = replace(r, &l, may_detach);
	return err || !WITH_READERS || r->vdi.at.writable ? err : stop_reading(r);
}
