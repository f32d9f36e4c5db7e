/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Questions to a server before anything is mounted: a dead one costs seconds, not minutes. */
#include <errno.h>
#include <string.h>

#include "drivers/transport/nfs.h"
#include "lib/cleanup.h"
#include "lib/ctx.h"
#include "lib/err.h"
#include "lib/rpc/mountd.h"

/* --- names --------------------------------------------------------------------- */

int nfs_resolve(struct ctx *ctx, const char *name, struct net_addr v[NET_ADDRS])
{
	size_t n = strlen(name);
	int found;

	if (n > 2 && name[0] == '[' && name[n - 1] == ']')
		name = arena_strndup(&ctx->arena, name + 1, n - 2);
	if (strpbrk(name, "/, \t"))
		return fail_say(ctx, -E_DCONF_BAD, "dconf server=%.64s is neither a name nor an address",
				name);
	found = net_resolve(name, v, clock_now_mono() + NFS_DNS_NS);
	if (found > 0)
		return found;
	hint(ctx, "look at /etc/hosts and /etc/resolv.conf, or give the server's address");
	if (found == -ENOENT)
		return fail(ctx, -E_DNS, "server %.256s", name);
	return fail_say(ctx, -E_DNS, found == -EAGAIN ? "server %.256s: the name servers cannot say" :
			"server %.256s: no name server answers", name);
}

/* --- calls --------------------------------------------------------------------- */

static const char *program_at(unsigned port)
{
	return port == PORTMAP_PORT ? "portmapper" : port == NFS_PORT ? "NFS" : "TCP";
}

const char *nfs_who(struct ctx *ctx, const struct nfs_server *s)
{
	return s->name && strcmp(s->name, s->text) ?
		arena_printf(&ctx->arena, "%s (%s)", s->name, s->text) : s->text;
}

/* What went wrong on the way, for a person who has to find out why. */
static int tell(struct ctx *ctx, const struct nfs_server *s, unsigned port, int err)
{
	const char *where = nfs_who(ctx, s);

	switch (err) {
	case -ETIMEDOUT:
		hint(ctx, "ping %s; does a firewall drop what is for its port %u?", s->text, port);
		return fail_say(ctx, -E_NFS_SERVER,
				"server %s does not answer at port %u (%s) within %u s", where, port,
				program_at(port), (unsigned)(NFS_ASK_NS / NS_PER_S));
	case -ECONNREFUSED:
		hint(ctx, "is the NFS server running there?");
		return fail_say(ctx, -E_NFS_SERVER, "server %s: nothing listens at port %u (%s)", where,
				port, program_at(port));
	case -ENETUNREACH:
	case -EHOSTUNREACH:
		hint(ctx, "ip route get %s", s->text);
		return fail_say(ctx, -E_NFS_SERVER, "server %s cannot be reached: no way to that host",
				where);
	case -E_RPC_VERSION:
	case -E_RPC_PROGRAM:
		return err;			/* the caller knows what was asked */
	default:
		return fail(ctx, err_kind(err) == -EPROTO || err == -E_RPC_DENIED ? err : -E_NFS_SERVER,
			    "server %s, port %u (%s)%s%s", where, port, program_at(port),
			    err < -E_BASE ? "" : ": ", err < -E_BASE ? "" : strerror(-err));
	}
}

static int receive(int fd, struct rpc_in *in, uint64_t deadline)
{
	char piece[4096];
	int want, got, err = 0;

	while (!err && (want = rpc_want(in)) > 0) {
		got = net_recv(fd, piece, want < (int)sizeof(piece) ? (size_t)want : sizeof(piece),
			       deadline);
		if (got <= 0)
			return got ? got : -E_RPC;
		err = rpc_take(in, piece, (size_t)got);
	}
	return err;
}

int nfs_call(struct ctx *ctx, const struct nfs_server *s, unsigned port, struct buf *out,
	     struct rpc_in *in, struct xdr *x, struct rpc_range *range)
{
	uint64_t deadline = clock_now_mono() + NFS_ASK_NS;
	_close_ int fd = -1;
	int err = net_connect(&s->addr, port, true, deadline, &fd);

	if (!err)
		err = net_send(fd, out->p, out->n, deadline);
	if (!err)
		err = receive(fd, in, deadline);
	if (!err)
		err = rpc_answer(in, NFS_XID, x, range);
	return err ? tell(ctx, s, port, err) : 0;
}

int nfs_null(struct ctx *ctx, const struct nfs_server *s, unsigned port, uint32_t program,
	     uint32_t version, struct rpc_range *range)
{
	_buf_free_ struct buf out = { 0 };
	struct rpc_in in = { .left = 0 };
	struct xdr x;
	int err;

	rpc_begin(&out, NFS_XID, program, version, 0);
	rpc_end(&out);
	err = nfs_call(ctx, s, port, &out, &in, &x, range);
	rpc_in_free(&in);
	return err;
}

int nfs_find_port(struct ctx *ctx, const struct nfs_server *s, uint32_t program, uint32_t *port)
{
	_buf_free_ struct buf out = { 0 };
	struct rpc_in in = { .left = 0 };
	struct xdr x;
	int err;

	portmap_ask(&out, NFS_XID, program, 3, net_is_v6(&s->addr));
	err = nfs_call(ctx, s, PORTMAP_PORT, &out, &in, &x, NULL);
	if (!err && portmap_port(&x, net_is_v6(&s->addr), port))
		err = tell(ctx, s, PORTMAP_PORT, -E_RPC);
	rpc_in_free(&in);
	return err;
}

/* --- reaching a server ----------------------------------------------------------- */

/* Version 3 has its ports from the portmapper, and a second program that mounts. */
static int find_ports(struct ctx *ctx, struct nfs_server *s)
{
	int err = 0;

	if (!s->port)
		err = nfs_find_port(ctx, s, NFS_PROGRAM, &s->port);
	if (!err && !s->port)
		s->port = NFS_PORT;		/* whether it is there is asked next */
	if (!err && !s->mount_port)
		err = nfs_find_port(ctx, s, MOUNT_PROGRAM, &s->mount_port);
	if (err || s->mount_port)
		return err;
	hint(ctx, "is rpc.mountd running there?  NFS 4 does without: --dconf nfsversion=4.2");
	return fail_say(ctx, -E_NFS_SERVER, "server %s has no mountd, which NFS 3 needs", nfs_who(ctx, s));
}

static int ask_version(struct ctx *ctx, struct nfs_server *s)
{
	struct rpc_range range = { 0, 0 };
	int err = nfs_null(ctx, s, s->port, NFS_PROGRAM, s->version, &range);

	if (err == -E_RPC_VERSION || err == -E_RPC_PROGRAM) {
		if (range.high)
			hint(ctx, "--dconf nfsversion=%u", range.high > 4 ? 4 : range.high);
		err = range.high && range.high < 100 ?
			fail_say(ctx, -E_NFS_VERSION, "server %s has NFS %u to %u, not %u", nfs_who(ctx, s),
				 range.low, range.high, s->version) :
			fail_say(ctx, -E_NFS_VERSION, "server %s does not have NFS %u", nfs_who(ctx, s),
				 s->version);
	}
	return err;
}

static int reach_at(struct ctx *ctx, struct nfs_server *s)
{
	int err = 0;

	net_show(&s->addr, s->text);
	if (s->version == 3)
		err = find_ports(ctx, s);
	else if (!s->port)
		s->port = NFS_PORT;
	if (!err)
		err = ask_version(ctx, s);
	if (!err && s->version == 3) {
		err = nfs_null(ctx, s, s->mount_port, MOUNT_PROGRAM, 3, NULL);
		if (err == -E_RPC_VERSION || err == -E_RPC_PROGRAM)
			err = fail(ctx, -E_NFS_VERSION, "server %s: mountd of NFS 3", nfs_who(ctx, s));
	}
	return err;
}

int nfs_reach(struct ctx *ctx, struct nfs_server *s)
{
	const struct nfs_server given = *s;
	struct net_addr v[NET_ADDRS];
	int n = nfs_resolve(ctx, s->name, v), err = n;

	for (int i = 0; i < n; i++) {
		fail_clear(ctx);
		*s = given;
		s->addr = v[i];
		err = reach_at(ctx, s);
		if (!err)
			return 0;
	}
	return err;
}
