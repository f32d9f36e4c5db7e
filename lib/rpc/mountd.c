/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/err.h"
#include "lib/rpc/mountd.h"

enum { PORTMAP_GETPORT = 3, MOUNT_EXPORT = 5, MOUNT_V3 = 3, TCP = 6 };

#define PATH_MOST	1024	/* MNTPATHLEN, MNTNAMLEN */
#define NAME_MOST	255

/* The procedure has the same number in both versions. */
void portmap_ask(struct buf *b, uint32_t xid, uint32_t program, uint32_t version, bool v6)
{
	rpc_begin(b, xid, PORTMAP_PROGRAM, v6 ? 3 : 2, PORTMAP_GETPORT);
	xdr_put_u32(b, program);
	xdr_put_u32(b, version);
	if (v6) {
		xdr_put_opaque(b, "tcp6", 4);
		xdr_put_u64(b, 0);	/* no address, no owner */
	} else {
		xdr_put_u32(b, TCP);
		xdr_put_u32(b, 0);
	}
	rpc_end(b);
}

/* "fd77::2.78.80": the last two numbers are the port's bytes; "" = not registered. */
static uint32_t port_of(struct xdr *x)
{
	struct view v = xdr_opaque(x, NAME_MOST);
	const char *p = v.p;
	uint32_t part[2] = { 0, 0 };
	size_t at = v.n;

	for (int i = 1; i >= 0 && v.n && !x->bad; i--) {
		uint32_t unit = 1;

		for (; at && p[at - 1] >= '0' && p[at - 1] <= '9' && unit <= 100; unit *= 10)
			part[i] += (uint32_t)(p[--at] - '0') * unit;
		x->bad = unit == 1 || part[i] > 255 || !at || p[--at] != '.';
	}
	return part[0] << 8 | part[1];
}

int portmap_port(struct xdr *x, bool v6, uint32_t *port)
{
	*port = v6 ? port_of(x) : xdr_u32(x);
	return x->bad || *port > 65535 ? -E_RPC : 0;
}

void mountd_ask_exports(struct buf *b, uint32_t xid)
{
	rpc_begin(b, xid, MOUNT_PROGRAM, MOUNT_V3, MOUNT_EXPORT);
	rpc_end(b);
}

/*
 * Lists are chains: 1 and a member, or 0.  Each member takes bytes of a record
 * that is bounded, so there is no endless one.
 */
static const char *read_hosts(struct arena *a, struct xdr *x)
{
	_buf_free_ struct buf b = { 0 };

	while (xdr_more(x)) {
		struct view name = xdr_opaque(x, NAME_MOST);

		if (b.n)
			buf_putc(&b, ',');
		buf_add(&b, name.p, name.n);
	}
	return b.n ? arena_strndup(a, b.p, b.n) : "*";
}

int mountd_exports(struct arena *a, struct xdr *x, struct rpc_export **v, size_t *n)
{
	size_t room = 0;

	*v = NULL;
	*n = 0;
	while (xdr_more(x)) {
		struct view path = xdr_opaque(x, PATH_MOST);
		const char *hosts = read_hosts(a, x);

		if (x->bad || !path.n || *(const char *)path.p != '/' || memchr(path.p, '\0', path.n))
			return -E_RPC;
		if (*n == room) {
			room = room ? room * 2 : 16;
			*v = arena_grow(a, *v, *n, room, sizeof(**v));
		}
		(*v)[(*n)++] = (struct rpc_export){ arena_strndup(a, path.p, path.n), hosts };
	}
	return x->bad ? -E_RPC : 0;
}
