/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Logs of changed blocks, as cbt-util and tapdisk keep them: which blocks of
 * 64 KiB of a disk were written since the log was begun.
 *
 *	 0	parent: whose log ends where this one begins; zero = none
 *	16	child: whose log begins where this one ends; zero = none
 *	32	1: every change is in it; 0: somebody is writing the disk now, or
 *		died while he did (little endian, as all here)
 *	36	padding
 *	40	size of the disk, bytes
 *	48	a bit for each block, the least significant first
 *
 * There is no magic: what is a log is known by its name.  Tapdisk sets whole
 * words, so bytes behind the bitmap may be there and mean nothing.
 *
 * Chains of logs have no place for doubt: who changes one writes the bits
 * first, flushes, and then the head, which is one sector (commit).  More bits
 * than needed are never wrong, fewer always are.
 */
#ifndef LIB_CBT_CBT_H
#define LIB_CBT_CBT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bytes.h"
#include "lib/uuid.h"

#define CBT_BLOCK	(64 * KiB)
#define CBT_HEAD	48u
#define CBT_LOG_MAX	(4 * MiB)	/* the volume upstream makes for one: 2 TiB less 24 MiB */
#define CBT_CHUNK	4096u		/* bytes of a bitmap that are written back together */
#define CBT_CHUNKS	(CBT_LOG_MAX / CBT_CHUNK)

struct arena;
struct io;

struct cbt {
	struct uuid parent, child;
	bool consistent;
	uint64_t size;
	size_t n;		/* bytes of the bitmap: follows from size */
	uint8_t *bits;		/* NULL while only the head was read */
};

/* Bytes of the bitmap of a disk. */
size_t cbt_bytes(uint64_t size);
/* Is there a log for a disk of that size? */
bool cbt_size_ok(uint64_t size);

/* The head.  -E_SHORT, or -E_CBT_LOG for a size that no log has. */
int cbt_decode(struct cbt *c, const void *buf, size_t len);
void cbt_encode(const struct cbt *c, uint8_t head[CBT_HEAD]);

/* --- the log ------------------------------------------------------------------ */

int cbt_read_head(struct io *io, struct cbt *c);
/* And the bits, in the arena; -E_SHORT when they are not all there. */
int cbt_read(struct io *io, struct arena *a, struct cbt *c);
/* On the disk once it returns. */
int cbt_write_head(struct io *io, const struct cbt *c);
/* Likewise; touched: one for each CBT_CHUNK of bits, which need no write while 0.  NULL: all. */
int cbt_write_bits(struct io *io, const struct cbt *c, const uint8_t *touched);
/* A new log with no block changed, over whatever lies there. */
int cbt_create(struct io *io, const struct cbt *c);
/* The disk has grown; its new blocks are not changed until they are written. */
int cbt_grow(struct io *io, struct cbt *c, uint64_t size);

/* --- bits ------------------------------------------------------------------------ */

/* A write of len bytes at `at`, within the size.  touched as above, or NULL.  From any thread. */
void cbt_mark(uint8_t *bits, uint8_t *touched, uint64_t at, uint64_t len);
void cbt_mark_all(struct cbt *c);
/* What one log says, said by the other as well; -E_CBT_LOG when it is of a larger disk. */
int cbt_merge(struct cbt *into, const struct cbt *from);
/* Marked blocks. */
uint64_t cbt_count(const struct cbt *c);

/*
 * What has changed from one end of a chain to the other: begin with a zeroed
 * sum, and add each log in its order.  -E_CBT_LOG when the disk has shrunk.
 */
int cbt_add(struct arena *a, struct cbt *sum, const struct cbt *next);
/* As list_changed_blocks answers: the most significant bit first, in base64. */
char *cbt_publish(struct arena *a, const struct cbt *sum);
/* The next run of changed bytes from *at on; false when there is none. */
bool cbt_next(const struct cbt *c, uint64_t *at, uint64_t *len);

#endif
