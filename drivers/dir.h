/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The names in a directory.
 *
 * One on a server may go on for ever: with new names, with the same ones again, or
 * slowly, or with one call in which the kernel looks for a place that is not there any
 * more.  So the names are counted, one of them is remembered, and who watches the verb
 * can see that it reads (struct watched).
 */
#ifndef DRIVERS_DIR_H
#define DRIVERS_DIR_H

#include <dirent.h>
#include <errno.h>
#include <stdint.h>

#include "arch/clock.h"
#include "drivers/sr.h"
#include "drivers/transport.h"
#include "lib/kconfig.h"

#define DIR_MOST	1000000u		/* names in one, … */
#define DIR_PATIENCE	(300 * NS_PER_S)	/* … with what is done for each */

/* How far one has come in a directory. */
struct dir_seen {
	struct watched *watched;	/* NULL = nobody watches */
	unsigned n, again;
	uint64_t until;			/* monotonic clock, ns */
	/* The last whose number was a power of two: a circle comes by it. */
	char mark[IS_ENABLED(CONFIG_NFS_GUARD) ? 256 : 1];
};

/* At the beginning of one. */
static inline struct dir_seen dir_begin(struct watched *watched)
{
	struct dir_seen seen;

	seen.n = 0;
	seen.until = 0;
	if (IS_ENABLED(CONFIG_NFS_GUARD)) {
		seen.watched = watched;
		seen.again = 0;
		seen.mark[0] = '\0';
	}
	return seen;
}

/* The entries of an open directory, without moving that descriptor; NULL with errno. */
DIR *dir_entries(int dir);

/*
 * The next name.  NULL: errno is 0 at the end, EOVERFLOW after DIR_MOST of them, ELOOP
 * when they go in circles, and ETIMEDOUT when they have taken longer than DIR_PATIENCE.
 */
struct dirent *dir_next_of(DIR *d, struct dir_seen *seen);
static inline struct dirent *dir_next(DIR *d, struct dir_seen *seen)
{
	if (IS_ENABLED(CONFIG_TRANSPORT_NFS))
		return dir_next_of(d, seen);
	errno = 0;
	return readdir(d);
}

/* What errno says after dir_next() or dir_entries(). */
int dir_ended(struct sr *sr);

static inline void cleanup_dir(DIR **d)
{
	if (*d)
		closedir(*d);
}
#define _closedir_ __attribute__((cleanup(cleanup_dir)))

#endif
