/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What one request carries from the front end to the last driver and back. */
#ifndef LIB_CTX_H
#define LIB_CTX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/arena.h"

struct watched;

struct ctx {
	struct arena arena;	/* everything that lives as long as the request */
	char why[1024];		/* the sentence, outermost clause first */
	char hint[256];		/* what to do next, without "try:"; empty when unknown */
	const char *tag;	/* who asks, for the log: a task reference, a host; or NULL */
	const char *root;	/* SM_ROOT without a slash at the end; "" normally */
	uint64_t deadline;	/* on the monotonic clock, ns; 0 = none */
	struct watched *watched; /* drivers/transport.h; NULL = nobody watches */
	bool dry_run;		/* say what would be done, write nothing */
	bool verbose;		/* the log also goes to stderr */
};

/*
 * Note why err happened and return err, so that a failure is one line:
 *
 *	return fail(ctx, -errno, "open %s", path);
 *
 * Each caller on the way out may put a clause of its own in front.  The first
 * call ends the sentence with err_text(err).
 */
int fail(struct ctx *ctx, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same, but fmt is the whole sentence so far: err_text() is not appended. */
int fail_say(struct ctx *ctx, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Of a path that cannot be opened; a device that is not there gets its own words and a hint. */
int fail_path(struct ctx *ctx, int err, const char *path);

/* What a person could do next.  The innermost hint wins: the first is kept. */
void hint(struct ctx *ctx, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Forget the sentence and the hint, for an error that was dealt with. */
void fail_clear(struct ctx *ctx);

/* Keep them over an undo that may have something to say too. */
struct fail_words {
	char why[1024], hint[256];
};

void fail_keep(const struct ctx *ctx, struct fail_words *w);
void fail_again(struct ctx *ctx, const struct fail_words *w);

#endif
