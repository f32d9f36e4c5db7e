/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A program, with all its threads, is disturbed at one of the system calls that
 * it makes after exec:
 *
 *	kill		SIGKILL before the call
 *	EIO		the call fails, once (or ENOSPC, EINTR, …)
 *	EIO+		this call and all behind it fail
 *	short		a read or write does half of what it was asked for
 *	only		nothing happens to it; the shell does what AT_DO says before the call
 *
 * Where a kernel lets a tracer set registers; all can kill.
 */
#ifndef DISTURB_H
#define DISTURB_H

#include <stdbool.h>

struct disturb {
	long n;			/* at which call; 0: at none */
	int err;		/* 0, and not cut: kill */
	bool on, cut;
	const char *only;
	bool watch;		/* count the changes, too */
	bool family;		/* what it forks, too; what goes on by itself is let go when it ends */

	/* What came of it. */
	bool hit;		/* there was such a call */
	long calls;		/* that it made */
	long changes;		/* of the calls before the n-th: how many may have changed something that lasts */
	long nr;		/* the call that was disturbed last */
	char open[512];		/* a descriptor that it did not close before its end */
};

/* HOW, as above; false: it is no such word. */
bool disturb_how(struct disturb *d, const char *how);

/* Run what child() execs; the status is that of waitpid(). */
int disturb(struct disturb *d, void (*child)(void *), void *arg);

#endif
