/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The collector: what snapshots leave is deleted and merged (sm/gc_plan.h).
 *
 *	gc.c		the verbs, and the loop: look, take the first step, again
 *	gc_look.c	the trees of an SR, and what is known of them
 *	gc_step.c	one step
 *	gc_merge.c	the copying ones
 *	gc_live.c	disks in use meanwhile
 *	gc_state.c	who collects here, who wants him to stop, how far he is
 *	gc_plan.c	which steps
 *
 * One collector an SR, by upstream's lock <SR>/gc_active, and <SR>/running while
 * it works; it ends when somebody makes /run/sm/ipc/<SR>/abort.  The SR's lock is
 * held to look and to change names, some milliseconds each time, and never while
 * data is copied; so nobody waits for the copy, and nobody has to stop it: a copy
 * changes only what the child that is copied overrides for every reader.
 *
 * There is no state but on the disk.  After a death the next collector looks at
 * what is there: a copy is done again, one that a journal calls complete is not.
 *
 * While one is at work nobody else may remove or mend hidden images: gc_quiet().
 */
#ifndef SM_GC_H
#define SM_GC_H

#include "lib/kconfig.h"
#include "sm/core.h"
#include "sm/front/progress.h"
#include "sm/gc_plan.h"
#include "sm/lease.h"

/* REPLY_GC_PLAN: of one SR. */
struct gc_report {
	struct uuid sr;
	const char *name;
	struct gc_plan plan;
	uint64_t rate;		/* bytes a second, as measured last; 0 = never */
};

/* /run/sm/gc/<SR>/status, KEY=VALUE lines; and REPLY_GC_STATUS: of one SR. */
struct gc_status {
	struct uuid sr;
	const char *name;	/* of the SR; not in the file */
	bool running;		/* by the lock; the rest is then what it said last */
	uint64_t pid;
	const char *state;	/* "looking", "copying", "waiting", "done", "stopped", "failed" */
	const char *action;	/* what it is at: as in a plan; "" = nothing */
	struct uuid vdi, parent;
	uint64_t done, total;	/* bytes of this copy */
	uint64_t rate;		/* bytes a second of the last copy */
	uint64_t deleted, merged, copied, failed;	/* VDIs, VDIs, bytes, VDIs; of this run */
	uint64_t retry;		/* seconds until it tries again, when waiting */
	const char *why;	/* what failed last; "" = nothing */
};

int do_gc_run(struct run *r);
int do_gc_plan(struct run *r);
int do_gc_status(struct run *r);
int do_gc_stop(struct run *r);

/* --- for other verbs, which hold the SR's lock -------------------------------- */

/* Nobody collects here until the lock is let go of; whoever does is asked to stop.  -E_BUSY. */
int gc_quiet(struct run *r);
/* The same, but -EAGAIN and no word when somebody does. */
int gc_try_quiet(struct run *r);
/* A disk is about to be written: what was copied of it is worth nothing. */
void gc_disturb(struct sr *sr, const struct uuid *vdi);
/* After a verb, without any lock: start a collector where it may have left work. */
void gc_kick(struct run *r);

/* --- between its files -------------------------------------------------------- */

struct gc_failure {
	struct uuid vdi;
	const char *why;
	unsigned int tries;
	uint64_t again;		/* when, by the monotonic clock; 0 = not in this run */
};

struct gc {
	struct run *r;		/* whose SR is bound and not open */
	int active, running;	/* locks */
	struct lease_hold hold;	/* the collector's among hosts */
	struct clock_alarm alarm;	/* ends us when that is lost while we write */
	bool open;		/* the SR is, while data is copied */
	bool detached;		/* nobody waits for us */
	bool signalled;		/* to stop */
	uint64_t cap;		/* bytes a second; 0 = as the disk can */
	struct gc_status st;
	uint64_t told;		/* when the status was written last */
	uint64_t started;	/* this copy */
	struct progress progress;
	struct gc_failure *failures;
	size_t n_failures;
	struct gc_round {	/* attached disks on which new data comes while it is merged */
		struct uuid vdi;
		unsigned int n, idle;	/* rounds, and those that made it no smaller */
		uint64_t least;
	} *rounds;
	size_t n_rounds;
	struct gc_known { struct uuid vdi; uint64_t data; } *known;
	size_t n_known;
};

/* One look at the SR, and what it needs: freed as a whole. */
struct gc_look {
	struct gc *g;
	struct ctx ctx;		/* an arena of its own */
	struct run run;		/* with the SR open */
	int lock;		/* of the SR */
	struct vdis l;
	struct gc_fact *facts;
	struct gc_plan plan;
};

/* Open the SR and look; to write, under its lock.  Closed also after a failure. */
int gc_look(struct gc *g, struct gc_look *k, bool write);
/* One collector among all hosts, from the first change on: at a look, we are that, or still are. */
int gc_hold(struct gc_look *k);
/* Work out the plan. */
int gc_look_plan(struct gc_look *k);
/* Let go of the locks and keep the volumes that are open. */
void gc_look_unlock(struct gc_look *k);
/* err's sentence goes to the request. */
int gc_look_close(struct gc_look *k, int err);
/* What was known of its data is no longer true. */
void gc_forget(struct gc *g, const struct uuid *vdi);

/* The SR is open and locked by the look, and let go of when this returns. */
int gc_step(struct gc_look *k, const struct gc_step *s);
/* The same for those that copy. */
int gc_merge(struct gc_look *k, const struct gc_step *s);

/*
 * What is attached in the subtree of a VDI waits, until gc_go_on() says what it is
 * now, or the look is over; of two images in use nobody has anything open then.
 */
int gc_hold_below(struct gc_look *k, const struct vdi *top);
int gc_hold_pair(struct gc_look *k, const struct vdi *vdi, const struct vdi *parent);
/* Nor what holds this volume active. */
int gc_hold_not(struct gc_look *k, const struct vdi *vdi);
void gc_go_on(void *look);
/* Is there too much in a disk in use to merge it while it waits?  1, 0, or an error. */
int gc_too_much(struct gc_look *k, const struct vdi *vdi, uint64_t *data);
/* Then a new image on top of it. */
int gc_split(struct gc_look *k, const struct vdi *vdi, uint64_t data);

int gc_begin(struct gc *g);
void gc_end(struct gc *g, int err);
/* -EINTR when we are to stop. */
int gc_must_stop(struct gc *g);
void gc_tell(struct gc *g, const char *state);
int gc_status_read(struct ctx *ctx, const struct uuid *sr, struct gc_status *st);
/* Ask whoever collects to stop and wait until he has; then *lock is ours. */
int gc_abort(struct ctx *ctx, const struct uuid *sr, int *lock);
/* What marks that a disk is as it was when its copy began; take: and no longer. */
int gc_mark(struct gc *g, const struct uuid *vdi);
bool gc_is_marked(struct gc *g, const struct uuid *vdi, bool take);

#endif
