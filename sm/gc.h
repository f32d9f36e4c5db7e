/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The collector: what snapshots leave is deleted and merged (sm/gc_plan.h).
 *
 *	gc.c		the verbs, and the loop: look, take the first step, again
 *	gc_look.c	the trees of an SR, and what is known of them
 *	gc_step.c	one step
 *	gc_merge.c	the copying ones
 *	gc_live.c	disks in use meanwhile
 *	gc_jobs.c	several of those at a time
 *	gc_state.c	who collects here, who wants him to stop, how far he is
 *	gc_plan.c	which steps
 *
 * One collector an SR, by upstream's lock <SR>/gc_active, and <SR>/running while
 * it works; it ends when somebody makes /run/sm/ipc/<SR>/abort.  The SR's lock is
 * held to look and to change names, some milliseconds each time, and never while
 * data is copied; so nobody waits for the copy, and nobody has to stop it: a copy
 * changes only what the child that is copied overrides for every reader.
 *
 * Copies of trees that have nothing in common are made by processes of their own, one
 * step each; all that is short, and what is done first, is left to the one who began.
 * He alone tells how far it is, and holds the collector's lock among hosts.  They have
 * his locks of this host open too, so as long as one of them is left there is a
 * collector, and die with him.
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

#define WITH_JOBS	IS_ENABLED(CONFIG_GC_PARALLEL)
#define GC_JOBS		4u		/* processes that copy */

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
	struct gc_part {	/* what processes of its own are at; the sums are above */
		const char *action;
		struct uuid vdi, parent;
		uint64_t done, total, rate;
	} parts[GC_JOBS];
	size_t n_parts;
	const char *why;	/* what failed last; "" = nothing */
};

int do_gc_run(struct run *r);
int do_gc_plan(struct run *r);
int do_gc_status(struct run *r);
int do_gc_stop(struct run *r);

/* --- for other verbs, which hold the SR's lock -------------------------------- */

/* Nobody collects on this host until the lock is let go of; whoever does is asked to stop.  -E_BUSY. */
int gc_quiet_here(struct run *r);
/* Nor on another one; of one that does it is told, with -E_BUSY. */
int gc_quiet(struct run *r);
/* The same, but nobody is asked to stop: -EAGAIN when somebody collects here. */
int gc_try_quiet(struct run *r);
/* A disk is about to be written, or to grow: what was copied of it is worth nothing. */
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

/* In memory that all of its processes share. */
struct gc_share {
	uint64_t due;		/* when what has been copied may have been, by the rate; monotonic */
	int stop;		/* why all are to stop */
	uint64_t renewed;	/* when the collector's lock was, by the boot clock */
	struct gc_job {
		int pid;		/* 0 = nobody's */
		enum gc_action action;
		struct uuid vdi, parent;
		uint64_t need, copy;	/* as in the step */
		uint64_t done, total, rate, copied, merged;
		bool ended;		/* with err: else it was killed */
		int err;
		char why[1024], hint[256];
	} jobs[GC_JOBS];
};

struct gc {
	struct run *r;		/* whose SR is bound and not open */
	int active, running;	/* locks */
	struct lease_hold hold;	/* the collector's among hosts */
	struct clock_alarm alarm;	/* ends us when that is lost while we write, … */
	uint64_t armed;			/* … of what was written then: hold.renewed */
	bool open;		/* the SR is, while data is copied */
	bool detached;		/* nobody waits for us */
	bool signalled;		/* to stop */
	uint64_t cap;		/* bytes a second; 0 = as the disk can */
	struct gc_share *share;	/* NULL = it works alone */
	struct gc_job *me;	/* one of its processes */
	uint64_t due;		/* without a share */
	uint64_t past, past_total;	/* copied by processes that have ended since one was at work */
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
	uint64_t reserved;	/* bytes that others of its processes still need */
	const struct vdi *trees[2 * GC_JOBS];	/* roots of what they are at; or of what we are */
	size_t n_trees;
};

/* Open the SR and look; to write, under its lock.  Closed also after a failure. */
int gc_look(struct gc *g, struct gc_look *k, bool write);
/* One collector among all hosts, from the first change on: at a look, we are that, or still are. */
int gc_hold(struct gc_look *k);
/* With the SR's lock among hosts: does no other one collect?  -E_BUSY names it. */
int gc_none_elsewhere(struct run *r);
/* Work out the plan. */
int gc_look_plan(struct gc_look *k);
/* Has the VDI all that its parent holds? */
int gc_covers(struct gc_look *k, const struct vdi *vdi, const struct vdi *parent, bool *covers);
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

/* --- several processes: gc_jobs.c --- */

/* Before there is any; what was begun is not waited for. */
void gc_jobs_begin(struct gc *g);
/* A step for a process of its own; then start it, without the SR.  -EAGAIN: all are at work. */
bool gc_is_job(struct gc_look *k, const struct gc_step *s);
int gc_job_start(struct gc *g, const struct gc_step *s);
bool gc_jobs_busy(const struct gc *g);
/* They hear that the collector's lock has been renewed. */
void gc_jobs_renewed(struct gc *g);
/* One that has ended, its errors in the request: 1; 0: none has. */
int gc_job_take(struct gc *g, struct gc_job *job);
/* The same, by then (0 = never), or half a minute.  An error: all are to stop. */
int gc_jobs_wait(struct gc *g, uint64_t until, struct gc_job *job);
/* At a look: whose are the trees?  And that of a VDI or journal is not for this process. */
void gc_jobs_look(struct gc_look *k);
bool gc_is_others(const struct gc_look *k, const struct vdi *vdi, const struct uuid *uuid);
/* What one of them says of itself, and -E_NOT_LOCKED when nobody has renewed the lock. */
void gc_job_tell(struct gc *g);
int gc_job_hold_on(struct gc *g);
/* What the collector says of all of them. */
void gc_jobs_sum(struct gc *g);

int gc_begin(struct gc *g);
void gc_end(struct gc *g, int err);
/* -EINTR when we are to stop. */
int gc_must_stop(struct gc *g);
void gc_tell(struct gc *g, const char *state);
int gc_status_read(struct ctx *ctx, const struct uuid *sr, struct gc_status *st);
/* Ask whoever collects to stop and wait until he has; then *lock is ours. */
int gc_abort(struct ctx *ctx, const struct uuid *sr, int *lock);
/* What marks that a disk is as it was when its copy began; asked at its end, and before. */
int gc_mark(struct gc *g, const struct uuid *vdi);
bool gc_is_marked(struct gc *g, const struct uuid *vdi);
bool gc_is_still_marked(struct gc *g, const struct uuid *vdi);

#endif
