/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The NBD protocol as it lies on the wire, from the server's side.
 *
 *	client			server
 *	       <── hello ──	magic, "IHAVEOPT", 16 flags		lib/nbd/hello.h
 *	── flags ──>
 *	── option ──>		repeated, each answered
 *	── GO ──>		the last; from here on:
 *	── request ──>		28 bytes, the data of a write behind them
 *	       <── reply ──	simple, or structured in chunks; in any order
 *
 * Integers are big endian.  The kernel's client has no options: its requests
 * begin at once, and its replies are simple.
 *
 * Here is what a server sends and receives once the options are done.  Nothing
 * reads or writes a socket.
 */
#ifndef LIB_NBD_NBD_H
#define LIB_NBD_NBD_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bytes.h"

/* What an export can do, as the client is told. */
enum nbd_export_flags {
	NBD_HAS_FLAGS	= 1 << 0,
	NBD_READ_ONLY	= 1 << 1,
	NBD_CAN_FLUSH	= 1 << 2,
	NBD_CAN_FUA	= 1 << 3,
	NBD_CAN_TRIM	= 1 << 5,
	NBD_CAN_ZERO	= 1 << 6,
	NBD_CAN_DF	= 1 << 7,	/* a read may ask not to be cut in pieces */
	NBD_MULTI_CONN	= 1 << 8,	/* a flush on one connection covers all */
	NBD_CAN_FAST	= 1 << 11,	/* zeroes may be asked for only where they cost nothing */
};

struct nbd_export {
	const char *name;	/* answered to besides "" */
	const char *description;
	uint64_t size;
	uint16_t flags;
	uint32_t min_block, best_block, max_block;
};

#define NBD_ALLOCATION		"base:allocation"
#define NBD_ALLOCATION_ID	1u		/* our number for it */
#define NBD_STATE_HOLE		(1u << 0)
#define NBD_STATE_ZERO		(1u << 1)

enum nbd_command {
	NBD_READ = 0, NBD_WRITE = 1, NBD_DISC = 2, NBD_FLUSH = 3, NBD_TRIM = 4,
	NBD_WRITE_ZEROES = 6, NBD_BLOCK_STATUS = 7,
};

enum nbd_command_flags {
	NBD_FUA		= 1 << 0,
	NBD_NO_HOLE	= 1 << 1,
	NBD_DF		= 1 << 2,
	NBD_REQ_ONE	= 1 << 3,
	NBD_FAST	= 1 << 4,
};

struct nbd_request_disk {
	be32	magic;
	be16	flags;
	be16	type;
	uint8_t	cookie[8];	/* the client's, given back as it came */
	be64	at;
	be32	len;
};
static_assert(sizeof(struct nbd_request_disk) == 28, "an NBD request has 28 bytes");

struct nbd_request {
	uint16_t flags, type;
	uint8_t cookie[8];
	uint64_t at;
	uint32_t len;
};

/* -E_SHORT or -E_NBD: no request, and there is no way to find the next one. */
int nbd_request_decode(struct nbd_request *rq, const void *buf, size_t len);
void nbd_request_encode(const struct nbd_request *rq, struct nbd_request_disk *d);
/* How many bytes follow the request. */
static inline uint32_t nbd_payload(const struct nbd_request *rq)
{
	return rq->type == NBD_WRITE ? rq->len : 0;
}

/* What was agreed upon with a client. */
struct nbd_terms {
	bool structured;	/* replies in chunks */
	bool allocation;	/* block status may be asked for */
};

/* May it be done?  0, or the negative errno to answer with; the payload must be read anyhow. */
int nbd_request_check(const struct nbd_request *rq, const struct nbd_export *e,
		      const struct nbd_terms *t);

/* The number on the wire for one of our errors, negative as ever; 0 for 0. */
uint32_t nbd_errno(int err);

struct nbd_reply_disk {
	be32	magic;
	be32	error;
	uint8_t	cookie[8];
};
static_assert(sizeof(struct nbd_reply_disk) == 16, "a simple NBD reply has 16 bytes");

void nbd_reply_encode(struct nbd_reply_disk *d, const struct nbd_request *rq, int err);

enum nbd_chunk_type {
	NBD_CHUNK_NONE = 0, NBD_CHUNK_DATA = 1, NBD_CHUNK_HOLE = 2, NBD_CHUNK_STATUS = 5,
	NBD_CHUNK_ERROR = 0x8001,
};

/* The header of a chunk with the fields that each type has; n says how many bytes are sent. */
struct nbd_chunk {
	struct nbd_chunk_disk {
		be32	magic;
		be16	flags;		/* 1: the last of this reply */
		be16	type;
		uint8_t	cookie[8];
		be32	len;		/* of what follows */
		uint8_t	body[12];
	} d;
	size_t n;
};
static_assert(sizeof(struct nbd_chunk_disk) == 32, "no padding in a chunk");

/* Bytes at `at`, len of them, follow the chunk. */
void nbd_chunk_data(struct nbd_chunk *c, const struct nbd_request *rq, uint64_t at, uint32_t len,
		    bool last);
/* len bytes at `at` are zeroes. */
void nbd_chunk_hole(struct nbd_chunk *c, const struct nbd_request *rq, uint64_t at, uint32_t len,
		    bool last);
/* The end of a reply: done, or failed. */
void nbd_chunk_end(struct nbd_chunk *c, const struct nbd_request *rq, int err);

/* One run of block status, as it follows nbd_chunk_status(). */
struct nbd_run_disk {
	be32	len;
	be32	state;
};
void nbd_chunk_status(struct nbd_chunk *c, const struct nbd_request *rq, uint32_t runs);

#endif
