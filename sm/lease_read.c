/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The locks of hosts that only read a disk (lease.h). */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "lib/err.h"
#include "lib/log.h"
#include "sm/lease_impl.h"

static int refuse_read(struct run *r, const struct seen *s)
{
	lease_hint(r->ctx, &s->known);
	hint(r->ctx, "sm lock list %s", r->sr.uuid.s);
	return fail_say(r->ctx, -E_VDI_IN_USE, "VDI %s is being read by '%s' (host %s, %s)", r->vdi.uuid.s,
			s->lease.owner, s->lease.host.s, s->lease.verb);
}

/* The lock of a disk by its name, the SR's own or its collector's is nobody's who reads. */
int lease_refuse_damaged(struct sr *sr, const struct uuid *lock)
{
	struct uuid collector;
	struct vdi there;

	lease_key(&sr->uuid, &sr->uuid, LEASE_COLLECTOR, &collector);
	if (uuid_equal(lock, &sr->uuid) || uuid_equal(lock, &collector) ||
	    sr->type->layout->find(sr, lock, &there) != -E_VDI_MISSING) {
		fail_clear(sr->ctx);
		return 0;
	}
	hint(sr->ctx, "sm lock break %s --sr %s --force, when that is not so", lock->s, sr->uuid.s);
	return fail_say(sr->ctx, -E_LOCKED, "lock %s cannot be read, and may be of a disk that another host reads",
			lock->s);
}

int lease_must_be_unread(struct run *r)
{
	struct seen_all all;
	struct seen s;
	int err = seen_all(&r->sr, &all);

	while (!err && (err = seen_next_elsewhere(&r->sr, &all, &s)) > 0)
		err = s.damaged ? lease_refuse_damaged(&r->sr, &s.lease.vdi) :
			s.lease.of.s[0] && uuid_equal(&s.lease.of, &r->vdi.uuid) ? refuse_read(r, &s) : 0;
	return err;
}

int lease_as_reader(const struct run *r, struct run *as)
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
	return !seen_is_ours(s);		/* nobody but this host writes it */
}

int lease_stop_reading(struct run *r)
{
	struct run as;
	struct seen s;
	int err = lease_as_reader(r, &as);

	if (!err)
		err = seen_look(&as, &s);
	return err || !seen_is_ours(&s) ? err : leases(r)->forget(&as.sr, &as.vdi.uuid);
}

/*
 * The record first, then a look at the disk's lock, as who wants to write takes
 * that first and then looks for readers: of two who come together at least one
 * sees the other.
 */
int lease_start_reading(struct run *r)
{
	struct utsname name = { 0 };
	struct lease l;
	struct seen s;
	struct run as;
	int err = lease_as_reader(r, &as);

	uname(&name);
	if (!err)
		err = lease_fill_in(&as, &l, LEASE_BOOT, "", 0);
	snprintf(l.owner, sizeof(l.owner), "%s", name.nodename);
	l.of = r->vdi.uuid;
	if (!err)
		err = lease_replace(&as, &l, may_read);
	if (err == -E_SR_READ_ONLY) {
		logf_warn(r->ctx, "VDI %s: other hosts cannot be told that it is read here: %s", r->vdi.uuid.s,
			  r->ctx->why);
		fail_clear(r->ctx);
		err = 0;
	}
	if (!err)
		err = seen_look(r, &s);
	return !err && seen_is_elsewhere(&s) ? seen_refuse(r, -E_VDI_IN_USE, &s) : err;
}
