/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Changes of a disk that are under way, by all its connections.
 *
 * A client that has no answer for long asks again by another connection, as the kernel
 * does after half a minute, while the storage still has what was asked first.  That may
 * end at any time, and would then lie over what the client has written since.  So
 *
 *  - a change waits for those of the same bytes that were claimed before it: what was
 *    asked first ends first, whoever asked again has his answer after that;
 *  - what lies unread in a connection that is dead must not be claimed at all.  The turns
 *    count how often another connection has claimed than the one before.  Only if one did
 *    since his client was last seen can it have been asked again and been done, and only
 *    then has he who claims to look whether his client is there: one who is, once the
 *    claim is made, asks again later, and waits for it.
 */
#ifndef LIB_SERVE_CLAIMS_H
#define LIB_SERVE_CLAIMS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct claim {
	uint64_t from, to;		/* bytes [from, to) */
	struct claim *older;
};

/* Zeroes, but for lock and gone. */
struct claims {
	pthread_mutex_t lock;
	pthread_cond_t gone;
	struct claim *newest;		/* as many as there are threads, at most */
	const void *last;		/* who made it, or one that is gone */
	uint64_t turns;
};

/*
 * Until its turn comes; true: look whether the client is there.  *turn is what the turns
 * were when it was last seen to be, and becomes what they are: for who sees it there now.
 */
bool claim_make(struct claims *c, struct claim *mine, const void *who, uint64_t *turn);
/* May somebody have to wait?  As it is at any time, without the lock. */
static inline bool claims_any(const struct claims *c)
{
	return __atomic_load_n(&c->newest, __ATOMIC_RELAXED);
}
void claim_drop(struct claims *c, struct claim *mine);

#endif
