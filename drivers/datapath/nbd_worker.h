/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The process that serves a disk to the kernel, and its life:
 *
 *	            pause                  resume, or the commander has gone
 *	running ───────────▶ paused ──────────────────────▶ opening ──▶ running
 *	   ▲                     ▲          pause              │ ▲
 *	 the first one           └─────────────────────────────┘ │ one that follows a dead one
 *
 * The first one gets its images from who attaches the disk.  All others, and
 * each after a pause, open them as drivers/control.h says: under the SR's lock,
 * by the disk's uuid.  While it opens, requests wait; when that is not going to
 * be, they fail, and it goes on trying.
 */
#ifndef DRIVERS_DATAPATH_NBD_WORKER_H
#define DRIVERS_DATAPATH_NBD_WORKER_H

#include <stdbool.h>
#include <stddef.h>

#include "arch/nbd.h"
#include "drivers/cbt.h"
#include "drivers/chain.h"
#include "lib/serve/disk.h"

struct ctx;
struct sr;
struct vdi;

/* What the keeper and all its workers have in common. */
struct nbd_shared {
	struct disk_notes notes;
	int n;				/* of the device; -1 until it is connected */
	struct cbt_live cbt;		/* so a worker that dies takes no mark with it */
	bool locked;			/* other hosts have been told that we write it */
	bool lost;			/* the last of it could not be written */
	bool given_up;			/* and one of them has broken that lock: no worker follows */
};

struct nbd_disk {
	struct sr *sr;			/* which SR: not open any more */
	const struct vdi *vdi;
	struct nbd_setup setup;
	struct chain chain;		/* for the first worker; empty later */
	struct nbd_shared *shared;
	bool writable;
	int control;			/* where commanders come; -1: nowhere */
};

/* Until the kernel has let go of all sockets, which are taken: the exit status. */
int nbd_work(struct nbd_disk *k, int *ends, size_t n_ends);

/*
 * The marks into the log of changed blocks, if there is one: the last of them
 * once nobody writes any more, or all so far.  Who has the SR's lock waits for
 * this, so none is taken.  A failure is logged: then the log is not whole.
 */
int nbd_log(struct nbd_disk *k, bool last);

/*
 * Room for a thin disk that fills (nbd_grow.c): fd tells that it needs some, next is
 * when to get it, 0 = never.
 */
struct nbd_room {
	int fd;				/* an eventfd; -1: the disk never needs any */
	uint64_t next, pause, tried;
	int failed;			/* with this, as has been told */
};
/* Before the disk is used. */
void nbd_room_open(struct nbd_room *r, struct nbd_disk *k, struct disk *d);
void nbd_room_hear(struct nbd_room *r);
/* Neither paused nor without an image.  What fails is tried again; -E_NOT_LOCKED as of nbd_lock_check(). */
int nbd_room_get(struct nbd_room *r, struct nbd_disk *k, struct disk *d);

/* The same SR once more, for a server that opens it by itself. */
struct sr nbd_same_sr(const struct sr *was, struct ctx *ctx);
/*
 * Where hosts share the SR (nbd_lock.c): -E_NOT_LOCKED when the disk's lock was
 * ours and has been broken, after which not a byte may be written.  With the SR
 * open, or by opening it.
 */
int nbd_lock_check(struct nbd_disk *k, struct sr *sr);
int nbd_lock_look(struct nbd_disk *k);

#endif
