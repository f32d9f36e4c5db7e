/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A lock as files of a directory, on NFS too.
 *
 *	.STEM.xenlk.GGGGGGGGGGGGGGGG	the record of generation G, in hex
 *	.STEM.xenlk.new.RRRRRRRRRRRRRRRR	one that is being written, or a probe
 *	NAME.xenlk			a second name of the record, while it is held
 *
 * Of the records that are not merely wanted, the one with the highest
 * generation counts.  It is never removed, only followed.
 *
 * To follow it:
 *
 *  0. Nobody else wants it; who has died wanting it is taken away.
 *  1. A record that says "wanted" is written whole under a name of its own and
 *     flushed, and by link(2) gets the next generation for its second name.  A server lets one process alone do that; the answer may
 *     be lost on the way, so the number of its links says whether it was us.
 *  2. The directory is read again.  Unless there is nothing but what counted
 *     before, unchanged, and ours above it, ours is taken away again.
 *  3. Its state is written into it (commit), and what is below it is removed.
 *
 * Of two who come to 3, the one who linked later has read the directory after
 * the other had linked, has seen that, and is not at 3.  So nobody has to wait,
 * and nothing depends on how long a step takes, but for this: one who has died
 * between 1 and 3 is in the way until that is proven, by his process, or by who
 * has seen his record unchanged for a term and the grace.  Therefore who needs
 * longer than a term from 1 to 3 takes his record away: that nobody believes in
 * it but him is the same as if he had not come to 3.  No clock of a server is in
 * this: they are set, and what was renewed would look old at once.
 *
 * A sleeper who wakes up and links a generation that has long come and gone
 * sees the higher one in 2.  A late holder writes to the file of his own
 * generation, which is nobody's any more, so he can spoil nothing; then he sees
 * that there is a higher one.
 *
 * NAME.xenlk is where programs of 2007 look for a lock.  It is for show: made
 * after the commit, removed after a release, and decides nothing here.
 */
#ifndef DRIVERS_LAYOUT_LEASE_FILE_H
#define DRIVERS_LAYOUT_LEASE_FILE_H

#include <stdint.h>

#include "lib/lease.h"

struct ctx;
struct watched;

#define LEASE_NAME	256

/* ".STEM.xenlk.", the beginning of the names of its files. */
struct lease_stem {
	char s[LEASE_NAME - 24];
	struct watched *watched;	/* where the directory is a server's, or NULL */
};

/*
 * "UUID.raw.xenlk" and "UUID.vhd.xenlk" are the same lock, since a disk may
 * change its format while it is locked; any other name is a lock of its own.
 * -ENAMETOOLONG.
 */
int lease_file_stem(struct lease_stem *stem, const char *name);

/*
 * As in struct lease_ops.  age, unless it is NULL: seconds since it was written,
 * all by the server's clock, and -1 when that does not say; it proves nothing.
 */
int lease_file_read(int dir, const struct lease_stem *stem, struct lease *now, int64_t *age);
/* name is what to show it as. */
int lease_file_swap(struct ctx *ctx, int dir, const struct lease_stem *stem, const char *name,
		    const struct lease *was, struct lease *now);
/* -EAGAIN: somebody wants it, and it is not clear yet who has it. */
int lease_file_renew(struct ctx *ctx, int dir, const struct lease_stem *stem, struct lease *held);
int lease_file_forget(int dir, const struct lease_stem *stem);

#define LEASE_FILE_MOST	16	/* records at once: one that counts, and contenders, most of them dead */
/*
 * For who has read the directory for many locks at once: what counts of these
 * generations of a disk's, the highest first, at most so many.  -ENOENT, -ESTALE
 * and -E_DAMAGED also while it is just changing.
 */
int lease_file_pick(int dir, const struct uuid *vdi, const uint64_t *g, size_t n, struct lease *now);

/* "….xenlk.GGGG…": is this the record of a disk's lock, and which generation of it? */
bool lease_file_is(const char *name, struct uuid *vdi, uint64_t *generation);

#endif
