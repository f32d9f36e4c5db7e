/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Block servers: processes of ours that serve one disk each.
 *
 * A server holds a lock on /run/sm/server/<VDI>, in which it says who it is and
 * how the disk can be reached.  The lock ends with the process, so the kernel
 * knows who is alive, and a note without a lock means nothing.
 */
#ifndef DRIVERS_SERVER_H
#define DRIVERS_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sr;
struct uuid;

struct server_note {
	pid_t pid;
	bool writable;
	char backend[16];	/* name of the datapath */
	char device[256];	/* a socket, or a block device */
};

/* Become the server of a disk: the lock.  -E_VDI_IN_USE when there is one. */
int server_lock(struct sr *sr, const struct uuid *vdi, int *lock);
/* Tell the world; pid is filled in. */
int server_tell(struct sr *sr, int lock, const struct server_note *n);
/* Let go, and take the note away. */
void server_unlock(struct sr *sr, const struct uuid *vdi, int *lock);

/*
 * Before that, of one that could not store the last of what it had acknowledged: the lock
 * is to be closed then, and what stays of the note tells who waits for its end, or the
 * next who does.
 */
void server_tell_lost(struct sr *sr, const struct uuid *vdi, int lock);

/* Who serves the disk?  1, 0 for nobody, or an error. */
int server_find(struct sr *sr, const struct uuid *vdi, struct server_note *n);

/* Until there is no server; -E_DEADLINE (monotonic clock, ns).  -E_VDI_LOST: there is none, as above. */
int server_await_end(struct sr *sr, const struct uuid *vdi, uint64_t deadline);

/* The note of one that is dead goes; whoever starts one has the SR's lock, as the caller has. */
int server_forget(struct sr *sr, const struct uuid *vdi);

#endif
