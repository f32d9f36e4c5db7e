/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Verbs and the locks that live with the storage (drivers/lease.h).
 *
 * Three kinds of holders:
 *
 *	mark	vdi_lock's user string.  Ends with its lease, if it has one, unless
 *		its owner locks again; nobody but the owner or force takes it earlier.
 *	boot	a disk that is attached to a host for writing, where the SR is
 *		shared.  It is not renewed and so does not run out: a host that hangs
 *		may still have writes under way.  It ends with the detach; that its
 *		host was started anew is seen there; anybody else must know, and break it.
 *	process	a verb at work.
 *
 * Who attaches a disk of a shared SR for reading has a lock of his own beside the
 * disk's, of kind boot: as many hosts as like may read, and while one does, nobody
 * elsewhere writes, changes, deletes or merges the disk or what it stands on.
 *
 * A mark by this host's hand is no obstacle to attaching here: the lock is then
 * the attachment's, under the owner's name, and a mark again after the detach.
 *
 * Storage locks are taken under the SR lock of this host, and not waited for.
 */
#ifndef SM_LEASE_H
#define SM_LEASE_H

#include "lib/lease.h"
#include "sm/core.h"

#define WITH_LOCKS	IS_ENABLED(CONFIG_STORAGE_LOCKS)
#define WITH_READERS	IS_ENABLED(CONFIG_SHARED_SR)

/* --- handlers --- */

int do_vdi_lock(struct run *r);
int do_vdi_unlock(struct run *r);
int do_lock_list(struct run *r);
int do_lock_show(struct run *r);
int do_lock_break(struct run *r);
int do_lock_renew(struct run *r);

/* --- for the other verbs --- */

/* `lock break` with the uuid of the SR: of the SR's own lock, and its collector's. */
bool lease_breaks_sr(const struct run *r);
/* `lock break` with the uuid of a lock that is of no disk: that is r->vdi then. */
bool lease_is_alone(struct run *r);

/*
 * May the verb change the found VDI, as far as its lock says?  What another
 * host has attached nobody changes, copies or attaches, also where this one was not told
 * of others and takes no lock; what is locked is not cloned or deleted.
 */
int lease_admit(struct run *r);
/* The SR is about to go: which locks of other hosts stay where it was. */
int lease_before_destroy(struct run *r);
/* Nobody may lock what is about to go; and what is gone has no lock. */
int lease_before_delete(struct run *r);
int lease_after_delete(struct run *r, int err);
/*
 * A disk, r->vdi, is copied and then replaced: what its lock was before; has
 * nobody had it since, and nobody may until the end.  -EAGAIN: somebody has.
 */
int lease_before_copy(struct run *r, struct lease *was);
int lease_before_replace(struct run *r, struct lease *was);
void lease_after_replace(struct run *r);
/* Or it was changed, and the copy goes on: what its lock is now is what it was before. */
int lease_after_change(struct run *r, struct lease *was);
/*
 * Without the SR, where hosts share it: has anybody had the lock of a disk since, or can
 * that not be known?
 */
bool lease_has_changed(struct run *r, const struct uuid *vdi, const struct lease *was);
/*
 * A disk, r->vdi, is about to change in another way than by being written: where another
 * host copies it that is over now.
 */
int lease_disturb(struct run *r);
/*
 * Without the SR: has this host the lock that it took when it attached the disk,
 * for reading or, by the request, for writing?  1; 0: it is another's now, or
 * nobody's; -1: it cannot be read.
 */
int lease_is_ours(struct run *r);
/*
 * The lock for an attachment, where the SR is shared, if it is not ours yet; for
 * reading: is there no writer elsewhere?
 */
int lease_attach(struct run *r, bool writable);
/* The SR is attached anew: what this host read before it was started anew it does not read now. */
int lease_after_boot(struct run *r);
/* By dconf, or by --shared. */
bool lease_is_shared(const struct run *r);
/* Give it back; nothing to do when it is not ours any more. */
int lease_detach(struct run *r);
/* A disk that another host has attached counts as attached: for who changes trees. */
int lease_mark_elsewhere(struct sr *sr, struct vdis *l);
/*
 * A lock that a long verb takes in a shared SR and renews while it has the SR
 * neither open nor locked: what is copied, what a copy goes to, and that of the
 * one collector.  Nothing of all that where the SR is not shared.
 */
#define LEASE_HOLD_MOST	((LEASE_TERM - 5) * NS_PER_S)	/* so long after it was renewed it is ours for sure */
struct lease_hold {
	bool held;
	bool alone;		/* no other process of this host has it: a record that says so is of one that ends */
	bool looks;		/* it is not taken */
	struct lease l;
	uint64_t renewed;
};
/* The SR is open to be changed.  of: as in a record; NULL = none.  -E_BUSY names who has it. */
int lease_hold(struct run *r, const struct uuid *what, const struct uuid *of, struct lease_hold *h);
/* Without the SR: renew it when that is due.  -E_NOT_LOCKED: stop. */
int lease_hold_on(struct run *r, struct lease_hold *h);
/* With it, of a process of whose lock another renews: is it still held? */
int lease_hold_look(struct run *r, const struct lease_hold *h);
/* With it: renew it now. */
int lease_hold_open(struct run *r, struct lease_hold *h);
/* Either way. */
void lease_let_go(struct run *r, struct lease_hold *h);
/* vdi->owners. */
int lease_owners(struct run *r);

#endif
