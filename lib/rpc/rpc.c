/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/err.h"
#include "lib/rpc/rpc.h"

enum { CALL = 0, REPLY = 1, RPC_VERSION = 2, AUTH_SYS = 1 };
enum { ACCEPTED = 0, DENIED = 1 };
enum { SUCCESS = 0, PROG_UNAVAIL = 1, PROG_MISMATCH = 2, PROC_UNAVAIL = 3 };

#define LAST_FRAGMENT	0x80000000u
#define AUTH_MOST	400		/* of a verifier, RFC 5531 §8.2 */

/* --- XDR ------------------------------------------------------------------- */

static const uint8_t *take(struct xdr *x, size_t n)
{
	const uint8_t *p = x->p;

	if (x->bad || n > x->n) {
		x->bad = true;
		x->n = 0;
		return NULL;
	}
	x->p += n;
	x->n -= n;
	return p;
}

uint32_t xdr_u32(struct xdr *x)
{
	const uint8_t *p = take(x, 4);
	be32 v;

	if (!p)
		return 0;
	memcpy(&v, p, sizeof(v));
	return be32_get(v);
}

uint64_t xdr_u64(struct xdr *x)
{
	uint64_t high = xdr_u32(x);

	return high << 32 | xdr_u32(x);
}

bool xdr_more(struct xdr *x)
{
	uint32_t v = xdr_u32(x);

	x->bad |= v > 1;
	return v && !x->bad;
}

struct view xdr_opaque(struct xdr *x, size_t most)
{
	size_t n = xdr_u32(x);
	const uint8_t *p;

	if (n > most)
		x->bad = true;
	p = take(x, x->bad ? 0 : (n + 3) & ~(size_t)3);
	return p ? (struct view){ p, n } : (struct view){ "", 0 };
}

void xdr_put_u32(struct buf *b, uint32_t v)
{
	be32 x = be32_put(v);

	buf_add(b, &x, sizeof(x));
}

void xdr_put_u64(struct buf *b, uint64_t v)
{
	xdr_put_u32(b, (uint32_t)(v >> 32));
	xdr_put_u32(b, (uint32_t)v);
}

void xdr_put_opaque(struct buf *b, const void *p, size_t n)
{
	xdr_put_u32(b, (uint32_t)n);
	buf_add(b, p, n);
	buf_add(b, "\0\0", -n & 3);
}

/* --- calls ----------------------------------------------------------------- */

static void put_header(struct buf *b, uint32_t xid, uint32_t program, uint32_t version,
		       uint32_t procedure)
{
	buf_reset(b);
	xdr_put_u32(b, 0);		/* the mark */
	xdr_put_u32(b, xid);
	xdr_put_u32(b, CALL);
	xdr_put_u32(b, RPC_VERSION);
	xdr_put_u32(b, program);
	xdr_put_u32(b, version);
	xdr_put_u32(b, procedure);
}

void rpc_begin(struct buf *b, uint32_t xid, uint32_t program, uint32_t version, uint32_t procedure)
{
	put_header(b, xid, program, version, procedure);
	xdr_put_u64(b, 0);		/* AUTH_NONE, of no length */
	xdr_put_u64(b, 0);
}

void rpc_begin_root(struct buf *b, uint32_t xid, uint32_t program, uint32_t version,
		    uint32_t procedure)
{
	put_header(b, xid, program, version, procedure);
	xdr_put_u32(b, AUTH_SYS);
	xdr_put_u32(b, 6 * 4);
	xdr_put_u32(b, 0);		/* stamp */
	xdr_put_opaque(b, "sm", 2);	/* the name of the machine */
	xdr_put_u64(b, 0);		/* uid, gid */
	xdr_put_u32(b, 0);		/* other groups */
	xdr_put_u64(b, 0);
}

void rpc_end(struct buf *b)
{
	be32 mark = be32_put(LAST_FRAGMENT | (uint32_t)(b->n - 4));

	memcpy(b->p, &mark, sizeof(mark));
}

/* --- answers --------------------------------------------------------------- */

int rpc_want(const struct rpc_in *in)
{
	if (in->whole)
		return 0;
	return in->left ? (int)in->left : (int)(sizeof(in->mark) - in->n_mark);
}

/* A fragment of no bytes that is not the last tells nothing, and might be one of endlessly many. */
static int take_mark(struct rpc_in *in)
{
	be32 v;
	uint32_t mark;

	memcpy(&v, in->mark, sizeof(v));
	mark = be32_get(v);
	in->n_mark = 0;
	in->last = mark & LAST_FRAGMENT;
	in->left = mark & ~LAST_FRAGMENT;
	if (in->left > RPC_RECORD_MOST - in->record.n)
		return -E_RPC_BIG;
	if (!in->left && !in->last)
		return -E_RPC;
	in->whole = !in->left;
	return 0;
}

int rpc_take(struct rpc_in *in, const void *p, size_t n)
{
	if (!in->left) {
		memcpy(in->mark + in->n_mark, p, n);
		in->n_mark += n;
		return in->n_mark == sizeof(in->mark) ? take_mark(in) : 0;
	}
	buf_add(&in->record, p, n);
	in->left -= n;
	in->whole = !in->left && in->last;
	return 0;
}

void rpc_in_free(struct rpc_in *in)
{
	buf_free(&in->record);
}

int rpc_answer(const struct rpc_in *in, uint32_t xid, struct xdr *x, struct rpc_range *range)
{
	uint32_t status;

	*x = (struct xdr){ (const uint8_t *)in->record.p, in->record.n, false };
	if (xdr_u32(x) != xid || xdr_u32(x) != REPLY)
		return -E_RPC;
	status = xdr_u32(x);
	if (status == DENIED && !x->bad)
		return -E_RPC_DENIED;
	xdr_u32(x);
	xdr_opaque(x, AUTH_MOST);
	if (status != ACCEPTED || x->bad)
		return -E_RPC;
	status = xdr_u32(x);
	if (status == PROG_MISMATCH && range) {
		range->low = xdr_u32(x);
		range->high = xdr_u32(x);
	}
	if (x->bad || status > PROC_UNAVAIL)
		return -E_RPC;
	return status == SUCCESS ? 0 : status == PROG_MISMATCH ? -E_RPC_VERSION : -E_RPC_PROGRAM;
}
