/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tree of names that a server of NFS 4 shows to everybody (RFC 7530), one
 * directory a call: version 4.0 needs no session for that.
 *
 * A server joins its exports by directories of its own, the pseudo file system.
 * Where the file system changes an export begins.
 */
#ifndef LIB_RPC_NFS4_H
#define LIB_RPC_NFS4_H

#include "lib/arena.h"
#include "lib/rpc/rpc.h"

struct nfs4_fsid {
	uint64_t major, minor;
};

struct nfs4_entry {
	const char *name;
	bool is_dir;
	struct nfs4_fsid fsid;
};

struct nfs4_dir {
	struct nfs4_fsid fsid;
	struct nfs4_entry *v;
	size_t n;
	bool whole;		/* else there are more, which are not asked for */
};

#define NFS4_DEPTH	8	/* names of a path, at most */

/* Read a directory: path is "/" or "/a/b".  -ENAMETOOLONG beyond NFS4_DEPTH. */
int nfs4_ask_dir(struct buf *b, uint32_t xid, const char *path);
/* -EACCES and the like when the server refuses, -E_RPC for what is no answer to it. */
int nfs4_dir(struct arena *a, struct xdr *x, struct nfs4_dir *d);

#endif
