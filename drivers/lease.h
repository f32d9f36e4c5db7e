/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Locks that live with the storage, one for each disk, so that every host that
 * reaches the SR sees the same.  What is in one: lib/lease.h.
 *
 * There is one operation that changes who has a lock: swap().  It puts a record
 * in the place of the one that was read, and of two who try exactly one wins.
 * The generation grows by one with it, and a holder who was thought dead is
 * told by that, wherever he wakes up: renew() and swap() refuse a record that
 * does not count any more, and touch nothing of the one that does.
 *
 * What a lock that is not free means to a verb is decided in sm/lease.h.
 */
#ifndef DRIVERS_LEASE_H
#define DRIVERS_LEASE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/lease.h"

struct clock_alarm;
struct ctx;
struct sr;
struct vdi;

struct lease_seen {
	struct lease lease;
	int err;		/* why the record cannot be read: then only the disk is known */
};

struct lease_list {
	struct lease_seen *v;
	size_t n, room;
};

struct lease_ops {
	/*
	 * The record that counts; a free one of generation 0 when there is none.
	 * -E_DAMAGED: it cannot be read; it counts as held, and its generation is in
	 * it.
	 */
	int (*read)(struct sr *sr, const struct uuid *vdi, struct lease *now);
	/*
	 * now, whose generation and stamp are filled in, in the place of was.
	 * -EAGAIN when was does not count any more, or somebody else was faster.
	 * After a death at any step it is as before, or now counts.
	 */
	int (*swap)(struct sr *sr, const struct vdi *vdi, const struct lease *was, struct lease *now);
	/*
	 * Write the record again that we hold.  -E_NOT_LOCKED when it does not count
	 * any more; -EAGAIN while somebody wants it and nobody knows who has it.
	 */
	int (*renew)(struct sr *sr, const struct vdi *vdi, struct lease *held);
	/* The disk is gone: remove what there is of its lock. */
	int (*forget)(struct sr *sr, const struct uuid *vdi);
	/* All that are not free. */
	int (*list)(struct sr *sr, struct lease_list *l);
};

struct lease_seen *lease_list_add(struct sr *sr, struct lease_list *l);

/* Who we are: host, boot, namespace of pids.  Nothing is known of others yet. */
int lease_who(struct ctx *ctx, struct lease_look *look);
/*
 * Refuses a host that has no name of its own: it is another one after each boot,
 * and of what it held then nobody could ever say that it is over.
 */
int lease_need_name(struct ctx *ctx);
/* The fields that say who writes a record, and since when. */
int lease_sign(struct ctx *ctx, struct lease *l);

struct lease_known {
	enum lease_verdict verdict;
	bool here;		/* this host wrote it, in this boot */
	uint32_t left;		/* seconds until it is dead, should nobody renew it; 0 = that is not known */
	char why[LEASE_WHY];
};
/*
 * lease_judge() with all that can be found out here: whether its process lives,
 * and for how long this host has seen the record unchanged (/run/sm/seen).  It
 * was read after as_of, by clock_now_mono().
 */
int lease_check(struct ctx *ctx, const struct lease *l, uint64_t as_of, struct lease_known *k);
/* The disk is gone: so are the notes of who was seen with its lock. */
void lease_unwatch(struct ctx *ctx, const struct uuid *vdi);
/* A hint for who is refused: when to come again. */
void lease_hint(struct ctx *ctx, const struct lease_known *k);
/* A moment, another one each time, before somebody who was not fast enough tries again. */
void lease_pause(unsigned int attempt);

/* --- the SR as a whole ------------------------------------------------------------ */

/*
 * Where several hosts change an SR (sr->shared), one at a time does, by a lock of
 * the same kind under the SR's own uuid.  A layout takes it when it opens the SR
 * to change something, after it has found its storage and before it finishes what
 * a dead process left; what it has read until then it reads again.  sr_close()
 * gives it back.
 *
 *	host's lock of the SR ── SR readable ── sr_enter() ── read again ── change ── sr_leave()
 *
 * Nobody else takes it while we live and until the term and the grace are over
 * without a renewal.  sr_renew(), before each commit and between the steps of
 * long work, says whether it is ours yet.  Should we not come to that in time,
 * a timer of the kernel ends the process before anybody may think it dead: so
 * one who was stopped, and wakes up late, writes nothing more.  Any verb may die
 * anywhere, and the next one mends it.
 */

/* 0 also where nothing is shared, or nothing can be written; -E_BUSY names who has it. */
int sr_enter(struct sr *sr);
/* -E_NOT_LOCKED: it has been taken from us, and nothing may be changed any more. */
int sr_renew(struct sr *sr);
void sr_leave(struct sr *sr);
/*
 * For who writes where others may, by a lock of his own and without the SR's: such
 * an end when that was written at renewed, by clock_now_boot(), and not again in
 * time.  A host that has slept does not come to its next write.
 */
void lease_alarm(struct clock_alarm *a, uint64_t renewed);

#endif
