/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of a backup have in common: keep.c writes it, keep_left.c and keep_undo.c read it. */
#ifndef DRIVERS_KEEP_IMPL_H
#define DRIVERS_KEEP_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/keep.h"

#define KEEP_PART	((size_t)256 << 10)

/* A line of a list. */
struct piece {
	uint64_t at, len, size;
	bool there;
	bool skip;		/* there is nothing to put back */
	const char *name;
};

/*
 * All of a list, before anything is written: it may be cut off, or a stranger's.
 * sum is how many bytes belong to it.
 */
int keep_read_list(struct sr *sr, int dir, const char *file, struct piece **v, size_t *n, uint64_t *sum);
/* How many of them, from the first on, are of one name. */
size_t keep_group(const struct piece *v, size_t n);

/* size is NULL for what is not there. */
void keep_line(struct keep *k, uint64_t at, uint64_t len, const uint64_t *size, const char *name);
/* Say that this file of the folder cannot be written. */
int keep_cannot(struct keep *k, int err, const char *file);

/*
 * Is all that would be put back as the repair left it, or put back already?  What the
 * repair has not changed is skipped from now on.  bytes holds those of v.  With force
 * only what has grown is refused, and what must not come back.
 */
int keep_compare(struct sr *sr, int dir, struct piece *v, size_t n, struct io *bytes, bool force);

#endif
