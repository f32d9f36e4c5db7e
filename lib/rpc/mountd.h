/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a server of NFS 3 tells about itself: the portmapper knows the ports of
 * its programs (RFC 1833, version 2), mountd what it exports to whom (RFC 1813,
 * appendix I).
 */
#ifndef LIB_RPC_MOUNTD_H
#define LIB_RPC_MOUNTD_H

#include "lib/arena.h"
#include "lib/rpc/rpc.h"

struct rpc_export {
	const char *path;
	const char *hosts;	/* "10.0.0.0/8,@group", or "*" for everyone */
};

/*
 * At which TCP port is the program?  Each family of addresses has its own;
 * version 2 knows that of IPv4 alone, version 3 (rpcbind) is asked for the other.
 */
void portmap_ask(struct buf *b, uint32_t xid, uint32_t program, uint32_t version, bool v6);
/* 0 = it is not registered; -E_RPC for what is no port. */
int portmap_port(struct xdr *x, bool v6, uint32_t *port);

void mountd_ask_exports(struct buf *b, uint32_t xid);
/* -E_RPC when the list is cut off, or holds what cannot be a path. */
int mountd_exports(struct arena *a, struct xdr *x, struct rpc_export **v, size_t *n);

#endif
