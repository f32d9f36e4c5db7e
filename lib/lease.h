/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The record of a lock that lives with the storage, and what may be concluded
 * from one.  Bytes and decisions only; who writes them where, and how exactly
 * one of two writers wins, is drivers/lease.h.
 *
 *	byte  0   8  "SMLEASE1"
 *	      8   4  CRC-32 (zlib) of the 512 bytes with this field zero
 *	     12   1  state: 0 free, 1 wanted, 2 held
 *	     13   1  kind: 0 mark, 1 process, 2 boot
 *	     14   1  1 = marked before it was attached
 *	     15   1  bytes of the owner's text
 *	     16   8  generation
 *	     24   8  stamp, another one with each write
 *	     32   4  term, seconds; 0 = it does not end by itself
 *	     36   4  process
 *	     40   8  when that was started, clock ticks since its host's boot
 *	     48   8  the namespace in which it has this number
 *	     56   8  since when, seconds since 1970
 *	     64  16  disk
 *	     80  16  host
 *	     96  16  boot of that host
 *	    112  32  verb, filled up with NULs
 *	    144 256  owner, likewise
 *	    400  16  a disk that it is about beside others of the same: then "disk" is
 *		     a name made of this one and the host; else zero
 *	    416  96  zero
 *
 * Numbers are big-endian.
 *
 * A lock has one record that counts, so one holder.  Who only reads a disk, of
 * whom there may be many, has a lock of his own beside the disk's, by a name
 * that tells which disk and which host it is of: lease_key().  So has the SR as
 * a whole, under its own uuid, and its collector.
 */
#ifndef LIB_LEASE_H
#define LIB_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/uuid.h"

#define LEASE_BYTES	((size_t)512)
#define LEASE_OWNER	256		/* with the NUL */
#define LEASE_VERB	33
#define LEASE_TERM	30u		/* seconds, where nobody says otherwise */
#define LEASE_GRACE	5u		/* what clocks may differ by in one term */
/* None follows this generation, to which nobody counts: it is damage, and broken like that. */
#define LEASE_LAST	((uint64_t)INT64_MAX - 1)
#define LEASE_TERM_MOST	(366u * 86400)

enum lease_state { LEASE_FREE, LEASE_WANTED, LEASE_HELD };

/* With what does it end by itself, if its owner does not give it back? */
enum lease_kind {
	LEASE_MARK,	/* somebody's word: only with its term */
	LEASE_PROCESS,	/* the process that wrote it */
	LEASE_BOOT,	/* the boot of the host that wrote it: an attached disk */
};

struct lease {
	enum lease_state state;
	enum lease_kind kind;
	bool marked;
	uint64_t generation, stamp;
	uint32_t term;
	int32_t pid;
	uint64_t started, pid_space;
	int64_t since;
	struct uuid vdi, host, boot;
	struct uuid of;		/* the disk that is read; "": a lock that only one can have */
	char verb[LEASE_VERB];
	char owner[LEASE_OWNER];
};

/* Locks beside that of a disk or an SR itself. */
enum lease_beside {
	LEASE_READER = 1,	/* a disk is attached to a host for reading */
	LEASE_COPIED,		/* a host reads it to copy it */
	LEASE_COLLECTOR,	/* of an SR: of and host are its uuid */
};
void lease_key(const struct uuid *of, const struct uuid *host, enum lease_beside what, struct uuid *key);

/* May this be an owner's text?  One that is shorter than LEASE_OWNER, and does nothing to a terminal. */
bool lease_owner_good(const char *owner);
/* What lease_decode() would not take, of an owner or a verb, becomes "?". */
void lease_encode(const struct lease *l, void *out);
/*
 * -E_SHORT, -ENOENT for bytes that are all zero, and -E_DAMAGED for anything
 * that lease_encode() would not have written.
 */
int lease_decode(const void *p, size_t n, struct lease *l);
/* The same writing of the same record? */
bool lease_same(const struct lease *a, const struct lease *b);

/* Who looks at it, and what is known beside the record. */
struct lease_look {
	struct uuid host, boot;		/* of the one who looks */
	uint64_t pid_space;
	int alive;	/* the process: 1, 0; -1 not known, or not of this host and boot */
	int64_t watched;	/* seconds for which we saw it unchanged, by our own clock; -1 never */
};

enum lease_verdict {
	LEASE_IS_FREE,
	LEASE_LIVES,	/* or nobody can say */
	LEASE_IS_DEAD,	/* that is proven: it may be taken */
};

#define LEASE_WHY	128

/*
 * May it be taken from its holder?  Dead is only what is proven so:
 *
 *  - on the holder's own host its boot is over, or its process, which can be
 *    told from a later one of the same number;
 *  - it has a term, and was not written again for that and the grace, by the
 *    clock of who looks alone: he has read it twice, that long apart, and it was
 *    the same.  What a server's clock shows proves nothing: it may be set.
 *
 * One without a term that is of another host never is.  why gets a sentence.
 */
enum lease_verdict lease_judge(const struct lease *l, const struct lease_look *look,
			       char why[LEASE_WHY]);

/*
 * What the holder goes by, whose host may have slept: both are of a clock that
 * went on meanwhile, in nanoseconds.  Seconds for which he may still count on a
 * lock of LEASE_TERM that he has written at renewed; 0: others may have it now,
 * or in a moment.  And has a change that began at start taken too long to end?
 */
uint32_t lease_left(uint64_t renewed, uint64_t now);
bool lease_is_late(uint64_t start, uint64_t now);

/* For how long must it be seen unchanged, to be stolen?  Seconds; 0 = never by that. */
uint32_t lease_patience(const struct lease *l);

#endif
