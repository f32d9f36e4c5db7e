/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the NFS transport share.
 *
 *	nfs.c		the transport: mounts of an SR, made and taken away
 *	nfs_ask.c	is the server there, which ports and versions has it?
 *	nfs_mount.c	options, mount(2), umount(2), each with a deadline
 *	nfs_list.c	what a server exports, which SRs are below an export
 *
 * No call here waits for a server for longer than its deadline: sockets do not
 * block, and what the kernel does runs in a child that can be killed.
 */
#ifndef DRIVERS_TRANSPORT_NFS_H
#define DRIVERS_TRANSPORT_NFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/clock.h"
#include "arch/net.h"
#include "lib/rpc/rpc.h"

struct ctx;
struct mount_entry;
struct sr;

#define NFS_ASK_NS	(3 * NS_PER_S)		/* a question on the wire */
#define NFS_DNS_NS	(8 * NS_PER_S)
#define NFS_MOUNT_NS	(15 * NS_PER_S)
#define NFS_UMOUNT_NS	(5 * NS_PER_S)

/* A server to mount from, as far as it has answered. */
struct nfs_server {
	const char *name;		/* as dconf says it */
	struct net_addr addr;
	char text[NET_TEXT];		/* the address */
	uint32_t version;		/* 3 or 4 */
	uint32_t port, mount_port;	/* given by an option, or found; 0 = not yet */
};

/* --- nfs_ask.c --- */

/*
 * Find the first address of the name that has the version, and its ports.  The
 * sentence says which server, which step, and what to check.
 */
int nfs_reach(struct ctx *ctx, struct nfs_server *s);
/* The server, by the name it was given and its address, for a sentence. */
const char *nfs_who(struct ctx *ctx, const struct nfs_server *s);
/* Only that name's address; the port may be shut. */
int nfs_resolve(struct ctx *ctx, const char *name, struct net_addr v[NET_ADDRS]);
/* The NULL procedure of a program: it is there, and has the version. */
int nfs_null(struct ctx *ctx, const struct nfs_server *s, unsigned port, uint32_t program,
	     uint32_t version, struct rpc_range *range);
/* At which port is the program?  0 = it is not registered. */
int nfs_find_port(struct ctx *ctx, const struct nfs_server *s, uint32_t program, uint32_t *port);
/*
 * Send a call, which is in out, and wait for its results, in x and owned by in.
 * The error is told in terms of server, port and what is asked.
 */
int nfs_call(struct ctx *ctx, const struct nfs_server *s, unsigned port, struct buf *out,
	     struct rpc_in *in, struct xdr *x, struct rpc_range *range);
#define NFS_XID		0x736d626fu	/* one call a connection needs but one */

/* --- nfs_mount.c --- */

struct nfs_options {
	char version[8];		/* "3", "4", "4.1": asked for; "" = the default */
	uint32_t port, mount_port;	/* of the options given; 0 = none */
	uint32_t timeo, retrans;
	unsigned long flags;		/* MS_ of mount(2) */
	const char *rest;		/* what is for NFS itself, with a comma in front of each */
};

/* dconf's nfsversion and options, taken apart; -E_DCONF_BAD, -E_NFS_VERSION. */
int nfs_options(struct sr *sr, struct nfs_options *o);
/* Mount server:path at an existing directory. */
int nfs_mount(struct sr *sr, const struct nfs_server *s, const struct nfs_options *o,
	      const char *path, const char *target);
/*
 * Take a mount away.  -EBUSY while it is in use; a server that does not answer is
 * not waited for, and what was not written to it is lost.
 */
int nfs_umount(struct ctx *ctx, const char *target);
/* Out of sight at once, for good when nobody has it open: for mounts of ours alone. */
int nfs_umount_lazy(struct ctx *ctx, const char *target);
/* "server:path", with brackets around an address of IPv6. */
const char *nfs_source(struct ctx *ctx, const char *server, const char *path);
/* The server of a mount, by what the kernel says of it; false: it is no mount of NFS. */
bool nfs_of_mount(const struct mount_entry *m, struct nfs_server *s);

/* --- nfs.c --- */

const char *nfs_serverpath(const struct sr *sr);
/* The SR is serverpath itself, not a directory below it with its uuid. */
bool nfs_is_whole(const struct sr *sr);
/*
 * Mount a directory of the server where nobody sees it, and open it: it goes
 * when the descriptor is closed.  *given says the server, and its options.
 */
int nfs_borrow(struct sr *sr, const char *path, int *fd);

/* --- nfs_list.c --- */

struct offer;
struct sr_info;
int nfs_offers(struct sr *sr, struct offer **v, size_t *n, const char **versions);
int nfs_inhabitants(struct sr *sr, struct sr_info **v, size_t *n, const char **versions);

#endif
