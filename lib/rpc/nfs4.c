/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/err.h"
#include "lib/rpc/nfs4.h"

enum { COMPOUND = 1 };
enum { OP_GETATTR = 9, OP_LOOKUP = 15, OP_PUTROOTFH = 24, OP_READDIR = 26 };
enum { ATTR_TYPE = 1 << 1, ATTR_FSID = 1 << 8, DIRECTORY = 2 };

#define NAME_MOST	255
#define LIST_MOST	((uint32_t)64 << 10)	/* bytes of a directory in one answer */
#define TAG_MOST	64

/* --- asking ---------------------------------------------------------------- */

static void put_attrs(struct buf *b, uint32_t bits)
{
	xdr_put_u32(b, 1);		/* words of the bitmap */
	xdr_put_u32(b, bits);
}

static size_t next_name(const char **p)
{
	*p += strspn(*p, "/");
	return strcspn(*p, "/");
}

int nfs4_ask_dir(struct buf *b, uint32_t xid, const char *path)
{
	uint32_t depth = 0;
	size_t n;

	for (const char *p = path; (n = next_name(&p)); p += n)
		if (++depth > NFS4_DEPTH || n > NAME_MOST)
			return -ENAMETOOLONG;
	rpc_begin_root(b, xid, NFS_PROGRAM, 4, COMPOUND);
	xdr_put_opaque(b, "", 0);	/* tag */
	xdr_put_u32(b, 0);		/* minor version */
	xdr_put_u32(b, depth + 3);
	xdr_put_u32(b, OP_PUTROOTFH);
	for (const char *p = path; (n = next_name(&p)); p += n) {
		xdr_put_u32(b, OP_LOOKUP);
		xdr_put_opaque(b, p, n);
	}
	xdr_put_u32(b, OP_GETATTR);
	put_attrs(b, ATTR_FSID);
	xdr_put_u32(b, OP_READDIR);
	xdr_put_u64(b, 0);		/* from the first entry on */
	xdr_put_u64(b, 0);
	xdr_put_u32(b, LIST_MOST / 4);
	xdr_put_u32(b, LIST_MOST);
	put_attrs(b, ATTR_TYPE | ATTR_FSID);
	rpc_end(b);
	return 0;
}

/* --- the answer ------------------------------------------------------------ */

/* Of the attributes only those that were asked for, in the order of their numbers. */
static void read_attrs(struct xdr *x, bool *is_dir, struct nfs4_fsid *fsid)
{
	uint32_t words = xdr_u32(x), bits = words ? xdr_u32(x) : 0;
	struct view list;
	struct xdr in;

	for (uint32_t i = 1; i < words && !x->bad; i++)
		if (xdr_u32(x))
			x->bad = true;
	list = xdr_opaque(x, 64);
	in = (struct xdr){ list.p, list.n, false };
	if (bits & ~(uint32_t)(ATTR_TYPE | ATTR_FSID))
		x->bad = true;
	if (bits & ATTR_TYPE)
		*is_dir = xdr_u32(&in) == DIRECTORY;
	if (bits & ATTR_FSID) {
		fsid->major = xdr_u64(&in);
		fsid->minor = xdr_u64(&in);
	}
	x->bad |= in.bad;
}

static int error_of(uint32_t status)
{
	switch (status) {
	case 1:		return -EPERM;
	case 2:		return -ENOENT;
	case 13:	return -EACCES;
	case 20:	return -ENOTDIR;
	case 10016:	return -EACCES;		/* another security flavour is wanted */
	case 10021:	return -EPROTONOSUPPORT;	/* not this minor version */
	default:	return -EIO;
	}
}

static void read_entries(struct arena *a, struct xdr *x, struct nfs4_dir *d)
{
	size_t room = 0;

	xdr_u64(x);			/* verifier */
	while (xdr_more(x)) {
		struct nfs4_entry e = { .fsid = d->fsid };
		struct view name;

		xdr_u64(x);		/* cookie */
		name = xdr_opaque(x, NAME_MOST);
		read_attrs(x, &e.is_dir, &e.fsid);
		if (!name.n || memchr(name.p, '\0', name.n) || memchr(name.p, '/', name.n))
			x->bad = true;
		if (x->bad)
			return;
		e.name = arena_strndup(a, name.p, name.n);
		if (d->n == room) {
			room = room ? room * 2 : 16;
			d->v = arena_grow(a, d->v, d->n, room, sizeof(*d->v));
		}
		d->v[d->n++] = e;
	}
	d->whole = xdr_more(x);
}

int nfs4_dir(struct arena *a, struct xdr *x, struct nfs4_dir *d)
{
	bool is_dir;
	uint32_t status = xdr_u32(x), n;

	*d = (struct nfs4_dir){ .v = NULL };
	xdr_opaque(x, TAG_MOST);
	n = xdr_u32(x);
	if (x->bad || (!status && n > NFS4_DEPTH + 3))
		return -E_RPC;
	if (status)
		return error_of(status);
	for (uint32_t i = 0; i < n && !x->bad; i++) {
		uint32_t op = xdr_u32(x);

		if (xdr_u32(x))
			x->bad = true;		/* it said that all had gone well */
		if (op == OP_GETATTR)
			read_attrs(x, &is_dir, &d->fsid);
		else if (op == OP_READDIR && !d->v)	/* it was asked for once */
			read_entries(a, x, d);
		else if (op != OP_PUTROOTFH && op != OP_LOOKUP)
			x->bad = true;
	}
	return x->bad ? -E_RPC : 0;
}
