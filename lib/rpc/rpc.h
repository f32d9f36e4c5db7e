/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ONC RPC (RFC 5531) over a stream, and XDR (RFC 4506): the bytes of a call and
 * of its answer.  Who connects, sends and waits is somebody else.
 *
 *	call:	mark, xid, CALL, 2, program, version, procedure, credential, verifier, arguments
 *	answer:	mark, xid, REPLY, accepted, verifier, success, results
 *
 * A mark is four bytes: the length of the fragment that follows, and a bit that
 * says that it is the last of the record.  All integers are big-endian, and
 * every opaque is padded to a multiple of four.
 *
 *	rpc_begin(&out, xid, NFS_PROGRAM, 3, 0);
 *	rpc_end(&out);				... is sent, and into in comes:
 *	while ((want = rpc_want(&in)) > 0)
 *		rpc_take(&in, bytes, want or fewer);
 *	err = rpc_answer(&in, xid, &x, &range);
 *	value = xdr_u32(&x);
 *
 * An answer is a stranger's: reading behind its end gives zeroes and makes the
 * reader bad, which is asked once, at the end.
 */
#ifndef LIB_RPC_RPC_H
#define LIB_RPC_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/bytes.h"

#define RPC_RECORD_MOST	((size_t)1 << 20)	/* of an answer, all fragments together */

enum {
	PORTMAP_PROGRAM	= 100000,
	NFS_PROGRAM	= 100003,
	MOUNT_PROGRAM	= 100005,
	PORTMAP_PORT	= 111,
	NFS_PORT	= 2049,
};

/* --- XDR ------------------------------------------------------------------- */

struct xdr {
	const uint8_t *p;
	size_t n;		/* bytes left */
	bool bad;		/* more was asked for than there is, or than is allowed */
};

uint32_t xdr_u32(struct xdr *x);
uint64_t xdr_u64(struct xdr *x);
/* Does another member of a list follow?  (A boolean: 1, or 0 at the end.) */
bool xdr_more(struct xdr *x);
/* A counted opaque or string of at most that many bytes, and its padding. */
struct view xdr_opaque(struct xdr *x, size_t most);

void xdr_put_u32(struct buf *b, uint32_t v);
void xdr_put_u64(struct buf *b, uint64_t v);
void xdr_put_opaque(struct buf *b, const void *p, size_t n);

/* --- calls ----------------------------------------------------------------- */

/* The header of a call, as nobody; arguments are added behind it. */
void rpc_begin(struct buf *b, uint32_t xid, uint32_t program, uint32_t version, uint32_t procedure);
/* The same as root of this host (AUTH_SYS), which is believed from a reserved port. */
void rpc_begin_root(struct buf *b, uint32_t xid, uint32_t program, uint32_t version,
		    uint32_t procedure);
/* Put the mark in front: one fragment. */
void rpc_end(struct buf *b);

/* --- answers --------------------------------------------------------------- */

struct rpc_in {
	struct buf record;	/* the fragments so far, without marks */
	uint8_t mark[4];
	size_t n_mark;		/* bytes of the mark that have come */
	size_t left;		/* of this fragment */
	bool last, whole;
};

/* Bytes that may be read next: 0 when the record is whole, or -E_RPC, -E_RPC_BIG. */
int rpc_want(const struct rpc_in *in);
/* Take n > 0 of them, at most what rpc_want() said. */
int rpc_take(struct rpc_in *in, const void *p, size_t n);
void rpc_in_free(struct rpc_in *in);

/* Versions that a server has, when it has not the one asked for. */
struct rpc_range {
	uint32_t low, high;
};

/*
 * Is the whole record a good answer to that call?  Then its results are in x.
 * -E_RPC_VERSION fills in range; -E_RPC_PROGRAM, -E_RPC_DENIED; -E_RPC for what
 * is no answer, or one to another call, or to say that the server erred.
 */
int rpc_answer(const struct rpc_in *in, uint32_t xid, struct xdr *x, struct rpc_range *range);

#endif
