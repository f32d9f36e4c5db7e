/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The xenstore of a Xen host, as a client: a tree of small values.
 *
 *	struct xenstore x;
 *
 *	err = xenstore_open(&x, getenv("XENSTORED_PATH"), deadline);
 *	err = xenstore_read(&x, &ctx->arena, "/local/domain/0/name", &value);
 *	do {
 *		err = xenstore_begin(&x);
 *		... xenstore_write(&x, path, value) ...		several values, seen at once
 *	} while (xenstore_end(&x, !err) == -EAGAIN);
 *	xenstore_close(&x);
 *
 * A request and its answer, one after the other, through the daemon's Unix
 * socket or the kernel's device:
 *
 *	16 bytes	type, number of the request, transaction, length; host order
 *	<= 4096 bytes	path NUL value; an error's name
 *
 * Who answers is not believed: an answer that is too long, of the wrong kind,
 * with another number or not there at the deadline ends the connection, and
 * every later call fails with -ENOTCONN.
 */
#ifndef ARCH_XENSTORE_H
#define ARCH_XENSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

#define XENSTORE_VALUE	2048u	/* bytes; what daemons allow in one node by default */

struct xenstore {
	int fd;			/* non-blocking; -1 once it is of no use */
	uint32_t number;	/* of the last request */
	uint32_t transaction;	/* 0 = none */
	uint64_t deadline;	/* of everything; monotonic clock, ns */
};

/*
 * The socket at `path`, which may be NULL, or where xenstored has it, or the
 * kernel's device.  -ENOENT where there is no xenstore.
 */
int xenstore_open(struct xenstore *x, const char *path, uint64_t deadline);
/* A transaction that was not ended has no effect. */
void xenstore_close(struct xenstore *x);

/* The value, a string: -EPROTO for one that holds a NUL.  -ENOENT: no such node. */
int xenstore_read(struct xenstore *x, struct arena *a, const char *path, const char **value);
/* -E2BIG for a path or a value that no daemon takes. */
int xenstore_write(struct xenstore *x, const char *path, const char *value);
/* The node and all below it; 0 too when there is none. */
int xenstore_remove(struct xenstore *x, const char *path);
/* The names of the children. */
int xenstore_list(struct xenstore *x, struct arena *a, const char *path, const char ***names,
		  size_t *n);

/* Until xenstore_end() nobody else sees what is written. */
int xenstore_begin(struct xenstore *x);
/* Commit it, or forget it.  -EAGAIN: somebody else changed what was read; do it all again. */
int xenstore_end(struct xenstore *x, bool commit);

#endif
