/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How far a long piece of work has come, for whoever waits.
 *
 *	struct progress p;
 *
 *	progress_start(&p, PROGRESS_AUTO, "copy", total);
 *	while (...)
 *		progress_step(&p, done);
 *	progress_end(&p);
 *
 * Nothing is shown in the first second.  Then a terminal gets a bar that is
 * drawn again ten times a second, and --progress=json a line a second on
 * standard error.  SIGUSR1 prints one status line in any mode; the signal is
 * blocked between start and end and read from a descriptor, so that there is
 * no handler and no state outside the struct.
 */
#ifndef SM_FRONT_PROGRESS_H
#define SM_FRONT_PROGRESS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

enum progress_mode {
	PROGRESS_AUTO,		/* a bar when standard error is a terminal */
	PROGRESS_NONE,
	PROGRESS_BAR,
	PROGRESS_JSON,
};

struct progress {
	enum progress_mode mode;
	const char *what;	/* "copy": one word or two, no quotes */
	uint64_t done, total;	/* bytes; total 0 = unknown */
	uint64_t started;	/* monotonic clock, ns */
	uint64_t shown;		/* when last, 0 = never */
	int signals;		/* descriptor that tells of SIGUSR1, or -1 */
	sigset_t old;
};

void progress_start(struct progress *p, enum progress_mode mode, const char *what, uint64_t total);
/* Cheap enough for every block: most calls only read the clock. */
void progress_step(struct progress *p, uint64_t done);
/* Takes the bar away again. */
void progress_end(struct progress *p);

/* What the two forms look like at a moment; the bar is fitted to so many columns. */
void progress_bar(const struct progress *p, uint64_t now, size_t columns, struct buf *b);
void progress_json(const struct progress *p, uint64_t now, struct buf *b);

#endif
