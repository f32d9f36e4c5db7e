/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a server exports, and which SRs are below an export. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "drivers/dir.h"
#include "drivers/layout.h"
#include "drivers/sr.h"
#include "drivers/transport.h"
#include "drivers/transport/nfs.h"
#include "lib/bytes.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/kconfig.h"
#include "lib/rpc/mountd.h"
#include "lib/rpc/nfs4.h"

/* --- exports ------------------------------------------------------------------- */

struct offers {
	struct sr *sr;
	const struct nfs_server *s;
	struct offer *v;
	size_t n, room;
	unsigned calls;			/* of NFS 4, so that no tree is too large */
	uint64_t until;			/* and no server too slow */
};

#define CALLS_MOST	64
#define WALK_NS		(10 * NS_PER_S)
#define OFFERS_MOST	4096

static void add(struct offers *o, const char *path, const char *hosts)
{
	struct arena *a = &o->sr->ctx->arena;

	if (o->n == o->room) {
		size_t room = o->room ? o->room * 2 : 16;

		o->v = arena_grow(a, o->v, o->n, room, sizeof(*o->v));
		o->room = room;
	}
	o->v[o->n++] = (struct offer){ o->s->name, path, hosts };
}

static int ask_mountd(struct offers *o)
{
	struct ctx *ctx = o->sr->ctx;
	_buf_free_ struct buf out = { 0 };
	struct rpc_in in = { .left = 0 };
	struct rpc_export *v = NULL;
	uint32_t port = o->s->mount_port;
	struct xdr x;
	size_t n = 0;
	int err = port ? 0 : nfs_find_port(ctx, o->s, MOUNT_PROGRAM, &port);

	if (!err && !port) {
		if (IS_ENABLED(CONFIG_NFS_GUARD))
			hint(ctx, "is rpc.mountd running there?");
		err = fail_say(ctx, -E_NFS_SERVER, "server %s has no mountd, which says what it exports",
			       nfs_who(ctx, o->s));
	}
	if (err)
		return err;
	mountd_ask_exports(&out, NFS_XID);
	err = nfs_call(ctx, o->s, port, &out, &in, &x, NULL);
	if (!err) {
		err = mountd_exports(&ctx->arena, &x, &v, &n);
		if (err)
			fail(ctx, err, "server %s, its list of exports", nfs_who(ctx, o->s));
	}
	rpc_in_free(&in);
	for (size_t i = 0; i < n && !err; i++)
		add(o, v[i].path, v[i].hosts);
	return err;
}

static int ask_dir(struct offers *o, const char *path, struct nfs4_dir *d)
{
	struct ctx *ctx = o->sr->ctx;
	_buf_free_ struct buf out = { 0 };
	struct rpc_in in = { .left = 0 };
	struct xdr x;
	int err = nfs4_ask_dir(&out, NFS_XID, path);

	if (!err)
		err = nfs_call(ctx, o->s, o->s->port ? o->s->port : NFS_PORT, &out, &in, &x, NULL);
	if (!err) {
		err = nfs4_dir(&ctx->arena, &x, d);
		if (err)
			fail(ctx, err, "server %s, its directory %s", nfs_who(ctx, o->s), path);
	}
	rpc_in_free(&in);
	return err;
}

/* Where the file system changes an export begins; the rest is the server's own. */
static int walk(struct offers *o, const char *path, const struct nfs4_fsid *root, unsigned depth)
{
	struct nfs4_dir d;
	int err = ask_dir(o, path, &d);

	if (err)
		return err;
	for (size_t i = 0; i < d.n && o->n < OFFERS_MOST; i++) {
		const struct nfs4_entry *e = &d.v[i];
		const char *below = arena_printf(&o->sr->ctx->arena, "%s/%s", path[1] ? path : "", e->name);

		if (!e->is_dir)
			continue;
		if (memcmp(&e->fsid, root ? root : &d.fsid, sizeof(e->fsid))) {
			add(o, below, "");
		} else if (depth < NFS4_DEPTH && o->calls++ < CALLS_MOST && clock_left(o->until)) {
			if (walk(o, below, root ? root : &d.fsid, depth + 1))
				fail_clear(o->sr->ctx);	/* a branch that is not for us */
		}
	}
	return 0;
}

static int ask_nfs4(struct offers *o)
{
	int err;

	o->until = clock_now_mono() + WALK_NS;
	err = walk(o, "/", NULL, 1);
	if (!err && !o->n)
		add(o, "/", "");	/* the root is an export itself */
	return err;
}

/*
 * mountd says who may use what; a server of NFS 4 alone has none.  Its root says
 * only what there is.
 */
static int ask_address(struct offers *o)
{
	struct ctx *ctx = o->sr->ctx;
	struct fail_words words;
	int err = ask_mountd(o);

	if (!err && o->n)
		return 0;
	fail_keep(ctx, &words);
	fail_clear(ctx);
	if (!ask_nfs4(o))
		return 0;
	if (err)
		fail_again(ctx, &words);
	return err;
}

/* --- versions ------------------------------------------------------------------- */

/* Those that can be mounted from here: version 3 needs a mountd as well.  Without any, why not the last. */
static int versions_of(struct sr *sr, const struct nfs_options *o, const char **versions)
{
	static const char *const all[] = { "", "3", "4", "3,4" };
	unsigned has = 0;
	int err = 0;

	for (unsigned v = 3; v <= 4; v++) {
		struct nfs_server s = { .name = kv_get(&sr->dconf, "server"), .version = v, .port = o->port,
					.mount_port = o->mount_port };

		fail_clear(sr->ctx);
		err = nfs_reach(sr->ctx, &s);
		if (!err)
			has |= v == 3 ? 1 : 2;
	}
	*versions = all[has];
	if (has)
		fail_clear(sr->ctx);
	return has ? 0 : err;
}

int nfs_offers(struct sr *sr, struct offer **v, size_t *n, const char **versions)
{
	struct ctx *ctx = sr->ctx;
	struct nfs_server s = { .name = kv_get(&sr->dconf, "server") };
	struct offers o = { .sr = sr, .s = &s };
	struct net_addr addr[NET_ADDRS];
	struct nfs_options with;
	int err = nfs_options(sr, &with), count = err ? 0 : nfs_resolve(ctx, s.name, addr);

	s.port = with.port;
	s.mount_port = with.mount_port;
	err = count < 0 ? count : err;
	/* The first address may be one by which the server cannot be reached from here. */
	for (int i = 0; i < count; i++) {
		fail_clear(ctx);
		s.addr = addr[i];
		net_show(&s.addr, s.text);
		err = ask_address(&o);
		if (!err)
			break;
	}
	if (!err && versions) {
		versions_of(sr, &with, versions);
		fail_clear(ctx);
	}
	*v = o.v;
	*n = o.n;
	return err;
}

/* What dconf asks for, where the server has it; else the first of those that it has. */
static int choose_version(struct sr *sr, const char **versions)
{
	struct nfs_options o;
	int err = nfs_options(sr, &o);

	if (!err)
		err = versions_of(sr, &o, versions);
	if (!err && !strchr(*versions, o.version[0]))
		kv_set(&sr->ctx->arena, &sr->dconf, "nfsversion",
		       arena_strndup(&sr->ctx->arena, *versions, 1));
	return err;
}

/* --- SRs below an export ---------------------------------------------------------- */

/* One of ours has a marker; one of upstream's is known by its directory's name alone. */
static int look_into(struct sr *sr, int up, const char *name, const struct uuid *u,
		     struct sr_info *found)
{
	int err;

	*found = (struct sr_info){ .name = "" };
	sr->dir = openat(up, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (sr->dir < 0)
		return -errno;
	err = sr->type->layout->probe(sr, found);
	close(sr->dir);
	sr->dir = -1;
	if (err == -E_SR_MISSING && u)
		err = 0;
	if (u)
		found->uuid = *u;
	fail_clear(sr->ctx);
	return err;
}

int nfs_inhabitants(struct sr *sr, struct sr_info **v, size_t *n, const char **versions)
{
	struct arena *a = &sr->ctx->arena;
	struct dir_seen seen = dir_begin(sr->ctx->watched);
	_close_ int up = -1;
	_closedir_ DIR *d = NULL;
	struct sr_info info;
	struct dirent *e;
	struct uuid u;
	size_t room = 0, looked = 0;
	int err = versions ? choose_version(sr, versions) : 0;

	*v = NULL;
	*n = 0;
	if (!err)
		err = nfs_borrow(sr, nfs_serverpath(sr), &up);
	if (err)
		return err;
	if (!look_into(sr, up, ".", NULL, &info)) {
		*v = arena_grow(a, NULL, 0, room = 1, sizeof(info));
		kv_set(a, &info.dconf, "nosubdir", "true");
		(*v)[(*n)++] = info;
	}
	d = dir_entries(up);
	while (d && (e = dir_next(d, &seen))) {
		if (uuid_parse(&u, e->d_name))
			continue;
		if (IS_ENABLED(CONFIG_NFS_GUARD) && looked++ == OFFERS_MOST)
			return fail_say(sr->ctx, -EOVERFLOW, "%s has more than %d SRs",
					sr->type->transport->where(sr), OFFERS_MOST);
		if (look_into(sr, up, e->d_name, &u, &info))
			continue;
		if (*n == room) {
			size_t more = room ? room * 2 : 8;

			*v = arena_grow(a, *v, *n, more, sizeof(info));
			room = more;
		}
		(*v)[(*n)++] = info;
	}
	return dir_ended(sr);
}
