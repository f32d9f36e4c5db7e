/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One connection, between server.c and session.c. */
#ifndef LIB_SERVE_SESSION_H
#define LIB_SERVE_SESSION_H

#include <pthread.h>
#include <stdbool.h>

#include "lib/nbd/hello.h"

struct claims;
struct disk;

struct session {
	struct disk *disk;
	struct claims *claims;	/* of all connections */
	const struct nbd_export *e;
	struct nbd_terms terms;
	int fd;

	pthread_mutex_t in;	/* held by the thread that reads */
	uint8_t ahead[16384];	/* what was read and not yet understood */
	size_t at, n;
	bool over;		/* nothing more will be read */
	uint64_t seen;		/* when the client was last seen to be there, in turns (claims.h) */

	pthread_mutex_t out;	/* held by the thread that writes an answer */
	unsigned int busy;	/* requests that were read and whose answer has not begun */
};

/* Talk about the options; 1 when requests follow, 0 when the client has left. */
int session_hello(struct session *s);

/* A request, and what its thread needs to work on it. */
struct task {
	struct nbd_request rq;
	int err;		/* it cannot be done */
	bool answered;		/* reading it was all the work */
	uint8_t *buf;		/* SERVER_CHUNK bytes, aligned for direct I/O */
};

/*
 * The next request, with its data; in is held.  False when there is none: the
 * client has left, or what it sends makes no sense.
 */
bool session_next(struct session *s, struct task *t);
/* When this one was read, had all before been answered, and did no other one come with it? */
bool session_is_alone(const struct session *s);
/* Has another one come since, or the beginning of it?  The kernel is asked. */
bool session_has_more(const struct session *s);
/* It takes no longer than its data do: no flush, no large range. */
bool session_is_short(const struct task *t);
/* Do it and answer.  False when the answer cannot be sent: the connection is over. */
bool session_do(struct session *s, struct task *t);

#endif
