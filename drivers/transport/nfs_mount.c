/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mount(2) and umount(2) of NFS, in children that can be killed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "arch/mount.h"
#include "arch/proc.h"
#include "drivers/sr.h"
#include "drivers/transport/nfs.h"
#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/num.h"

/* --- options ------------------------------------------------------------------- */

/* Words that are flags of mount(2), and those that only mount(8) understands. */
static const struct {
	const char *word;
	unsigned long set, clear;
} flags[] = {
	{ "ro", MS_RDONLY, 0 }, { "rw", 0, MS_RDONLY }, { "sync", MS_SYNCHRONOUS, 0 },
	{ "noexec", MS_NOEXEC, 0 }, { "noatime", MS_NOATIME, 0 }, { "nodiratime", MS_NODIRATIME, 0 },
	{ "relatime", MS_RELATIME, 0 }, { "nosuid", 0, 0 }, { "nodev", 0, 0 }, { "defaults", 0, 0 },
	{ "_netdev", 0, 0 }, { "auto", 0, 0 }, { "noauto", 0, 0 }, { "nofail", 0, 0 }, { "bg", 0, 0 },
	{ "fg", 0, 0 },
};

static bool take_flag(struct nfs_options *o, const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		if (strcmp(word, flags[i].word))
			continue;
		o->flags = (o->flags | flags[i].set) & ~flags[i].clear;
		return true;
	}
	return false;
}

static const char *value_of(const char *word, const char *key)
{
	size_t n = strlen(key);

	return !strncmp(word, key, n) && word[n] == '=' ? word + n + 1 : NULL;
}

static void take_version(struct nfs_options *o, const char *text)
{
	snprintf(o->version, sizeof(o->version), "%s", strlen(text) < sizeof(o->version) ? text : "?");
}

static int take_port(struct sr *sr, const char *word, const char *text, uint32_t *port)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end || !n || n > 65535)
		return fail_say(sr->ctx, -E_DCONF_BAD, "dconf options: '%.64s' is no port", word);
	*port = (uint32_t)n;
	return 0;
}

/*
 * What else may be asked of the kernel's client, as far as it is about how it
 * talks to the server and what it keeps; with "=" it has a number or a word.
 */
static const char known[] =
	" hard soft softerr softreval nosoftreval intr nointr posix noposix cto nocto ac noac sharecache"
	" nosharecache rdirplus nordirplus resvport noresvport acl noacl fsc nofsc migration nomigration"
	" lock nolock acregmin= acregmax= acdirmin= acdirmax= actimeo= timeo= retrans= rsize= wsize= bsize="
	" nconnect= max_connect= lookupcache= local_lock= sec= clientaddr= xprtsec= ";

static bool is_known(struct ctx *ctx, const char *word)
{
	size_t key = strcspn(word, "="), n = strlen(word);

	/* Nothing that could be taken for a second option, or for more than one name. */
	if (!key || strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789_=.:-") != n ||
	    strchr(word + key + !!word[key], '=') || (word[key] && !word[key + 1]))
		return false;
	return strstr(known, arena_printf(&ctx->arena, word[key] ? " %.*s= " : " %.*s ", (int)key, word));
}

static int take_option(struct sr *sr, struct nfs_options *o, struct buf *rest, const char *word)
{
	const char *s;

	if (!*word || take_flag(o, word) || value_of(word, "retry"))
		return 0;
	if ((s = value_of(word, "vers")) || (s = value_of(word, "nfsvers")))
		return take_version(o, s), 0;
	if ((s = value_of(word, "port")))
		return take_port(sr, word, s, &o->port);
	if ((s = value_of(word, "mountport")))
		return take_port(sr, word, s, &o->mount_port);
	if (value_of(word, "addr") || value_of(word, "mountaddr") || value_of(word, "proto") ||
	    value_of(word, "mountproto"))
		return fail_say(sr->ctx, -E_DCONF_BAD, "dconf options: '%.64s' is not for you to set: "
				"the server's address decides", word);
	if (!is_known(sr->ctx, word)) {
		hint(sr->ctx, "sm help types");
		return fail_say(sr->ctx, -E_DCONF_BAD, "dconf options: '%.64s' is no option of NFS that is known here",
				word);
	}
	buf_printf(rest, ",%s", word);
	return 0;
}

/*
 * As upstream, of SR.other_config too, where what makes no sense is passed over.
 * What a person has set he is told of.
 */
static int take_number(struct sr *sr, const char *key, uint32_t least, uint32_t most, uint32_t *n)
{
	const char *d = kv_get(&sr->dconf, key), *s = d ? d : kv_get(&sr->other_config, key);
	const char *end = s;
	uint64_t v = 0;
	bool good = s && num_take(&end, &v) && !*end && v >= least && v <= most;

	if (good)
		*n = (uint32_t)v;
	return !d || good ? 0 : fail_say(sr->ctx, -E_DCONF_BAD, "dconf %s: '%.64s' is no number from %u to %u", key,
					 d, least, most);
}

static int check_version(struct sr *sr, const char *v)
{
	static const char *const known[] = { "3", "4", "4.0", "4.1", "4.2" };

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(v, known[i]))
			return 0;
	hint(sr->ctx, "nfsversion is one of 3, 4, 4.0, 4.1, 4.2");
	return fail_say(sr->ctx, -E_NFS_VERSION, "there is no NFS version '%s'", v);
}

int nfs_options(struct sr *sr, struct nfs_options *o)
{
	const char *version = kv_get(&sr->dconf, "nfsversion");
	const char *s = kv_get(&sr->dconf, "options");
	_buf_free_ struct buf rest = { 0 };
	char *words = arena_strdup(&sr->ctx->arena, s ? s : ""), *next;
	int err = 0;

	*o = (struct nfs_options){ .flags = MS_NOSUID | MS_NODEV, .timeo = 200, .retrans = 4 };
	take_version(o, version && *version ? version : "3");
	if (kv_is(&sr->dconf, "useUDP", "true"))
		return fail_say(sr->ctx, -E_DCONF_BAD, "NFS over UDP is not offered: kernels have it no more");
	for (char *word = words; !err && word; word = next) {
		next = strchr(word, ',');
		if (next)
			*next++ = '\0';
		err = take_option(sr, o, &rest, word);
	}
	o->rest = arena_strdup(&sr->ctx->arena, buf_str(&rest));
	if (!err)
		err = take_number(sr, "nfs-timeout", 1, 6000, &o->timeo);
	if (!err)
		err = take_number(sr, "nfs-retrans", 0, 1000, &o->retrans);
	return err ? err : check_version(sr, o->version);
}

const char *nfs_source(struct ctx *ctx, const char *server, const char *path)
{
	bool bare = strchr(server, ':') && server[0] != '[';

	return arena_printf(&ctx->arena, bare ? "[%s]:%s" : "%s:%s", server, path);
}

/* --- mounting ------------------------------------------------------------------ */

struct job {
	const char *source, *target, *data;
	unsigned long flags;
	int umount_flags;
};

static int do_mount(struct ctx *ctx, void *arg)
{
	const struct job *j = arg;

	(void)ctx;
	return mount_fs(j->source, j->target, "nfs", j->flags, j->data);
}

/*
 * Upstream's options: soft, so that a guest is told of a server that is away for
 * minutes rather than waiting for ever; no caching of names, since other hosts
 * change them.  What dconf says comes last, and wins.  Locks stay local to this
 * host: none are taken by way of the server.
 */
static char *data_of(struct sr *sr, const struct nfs_server *s, const struct nfs_options *o,
		     const char *version)
{
	const char *six = net_is_v6(&s->addr) ? "6" : "";
	_buf_free_ struct buf b = { 0 };

	buf_printf(&b, "soft,proto=tcp%s,vers=%s,acdirmin=0,acdirmax=0,timeo=%u,retrans=%u,port=%u",
		   six, version, o->timeo, o->retrans, s->port);
	if (s->version == 3)
		buf_printf(&b, ",nolock,mountproto=tcp%s,mountport=%u", six, s->mount_port);
	buf_printf(&b, "%s,addr=%s", o->rest, s->text);
	return arena_strdup(&sr->ctx->arena, b.p);
}

static int tell(struct sr *sr, const struct nfs_server *s, const struct nfs_options *o,
		const char *path, int err)
{
	const char *what = nfs_source(sr->ctx, s->name, path);

	switch (err) {
	case -EACCES:
		/* Version 3 says the same of a directory that is not there. */
		hint(sr->ctx, "what is exported to whom: sm sr probe --type nfs --dconf server=%s", s->name);
		return fail_say(sr->ctx, -E_NFS_ACCESS, "the server does not export %s to this host%s",
				what, s->version == 3 ? ", or has no such directory" : "");
	case -EPERM:
		hint(sr->ctx, "exports of that server may want a port below 1024: is 'noresvport' set?");
		return fail_say(sr->ctx, -E_NFS_ACCESS, "the server refuses this host at %s", what);
	case -ENOENT:
		hint(sr->ctx, "what is exported: sm sr probe --type nfs --dconf server=%s", s->name);
		return fail_say(sr->ctx, -E_NFS_PATH, "the server has no directory %s", what);
	case -EPROTONOSUPPORT:
		hint(sr->ctx, "--dconf nfsversion=%s", s->version == 3 ? "4" : "3");
		return fail_say(sr->ctx, -E_NFS_VERSION, "server %s does not have NFS %s, or this kernel "
				"has not", s->name, o->version);
	case -EINVAL:
		return fail_say(sr->ctx, -E_DCONF_BAD, "the kernel does not take the options of %s: '%s'",
				what, *o->rest ? o->rest + 1 : "");
	case -ENODEV:
		hint(sr->ctx, "modprobe nfs");
		return fail_say(sr->ctx, -E_NFS_MOUNT, "this kernel has no NFS client");
	case -E_DEADLINE:
		hint(sr->ctx, "the server answers, but does not let %s be mounted: see its log", what);
		return fail_say(sr->ctx, -E_NFS_MOUNT, "%s is not mounted after %u s", what,
				(unsigned)(NFS_MOUNT_NS / NS_PER_S));
	default:
		return fail(sr->ctx, -E_NFS_MOUNT, "mount %s (%s)", what, strerror(-err_kind(err)));
	}
}

/* "4" is the highest that both have, as mount.nfs takes it. */
int nfs_mount(struct sr *sr, const struct nfs_server *s, const struct nfs_options *o,
	      const char *path, const char *target)
{
	static const char *const four[] = { "4.2", "4.1", "4.0" };
	struct job j = { .target = target, .flags = o->flags,
			 .source = nfs_source(sr->ctx, s->name, path) };
	bool any = !strcmp(o->version, "4");
	int err = -EPROTONOSUPPORT;

	for (size_t i = 0; err == -EPROTONOSUPPORT && i < (any ? ARRAY_SIZE(four) : 1); i++) {
		j.data = data_of(sr, s, o, any ? four[i] : o->version);
		err = proc_run(sr->ctx, do_mount, &j, 0, clock_now_mono() + NFS_MOUNT_NS);
	}
	/* A child that was killed may just have done it. */
	if (err == -E_DEADLINE && mount_is_point(target) > 0)
		err = 0;
	return err ? tell(sr, s, o, path, err) : 0;
}

/* --- and back ------------------------------------------------------------------ */

static int do_umount(struct ctx *ctx, void *arg)
{
	const struct job *j = arg;

	(void)ctx;
	return umount2(j->target, j->umount_flags | UMOUNT_NOFOLLOW) ? -errno : 0;
}

/* 0 once nothing is mounted there, whatever the call said or did not say. */
static int umount_with(struct ctx *ctx, const char *target, int how, uint64_t ns)
{
	struct job j = { .target = target, .umount_flags = how };
	int err = proc_run(ctx, do_umount, &j, 0, clock_now_mono() + ns);

	if (err && err != -EBUSY && mount_is_point(target) == 0)
		err = 0;
	return err;
}

/*
 * MNT_FORCE ends the requests that wait for the server, and so what waits for
 * them; it does not unmount while somebody has it open.
 */
int nfs_umount(struct ctx *ctx, const char *target)
{
	int err = umount_with(ctx, target, 0, NFS_UMOUNT_NS);

	if (!err || err == -EBUSY)
		return err;
	umount_with(ctx, target, MNT_FORCE, NS_PER_S);
	return nfs_umount_lazy(ctx, target);
}

int nfs_umount_lazy(struct ctx *ctx, const char *target)
{
	int err = umount_with(ctx, target, MNT_DETACH, NFS_UMOUNT_NS);

	if (err == -E_DEADLINE)
		err = umount_with(ctx, target, MNT_FORCE | MNT_DETACH, NS_PER_S);
	return err ? fail(ctx, -E_NFS_UNMOUNT, "unmount %s (%s)", target, strerror(-err_kind(err))) : 0;
}

/* --- what is mounted ------------------------------------------------------------- */

/* The value of a key in "rw,vers=4.2,addr=10.0.0.2,…", or "". */
static void option(const char *list, const char *key, char *out, size_t room)
{
	size_t n = strlen(key);

	*out = '\0';
	for (const char *p = list; *p; p += strcspn(p, ","), p += *p == ',')
		if (!strncmp(p, key, n) && p[n] == '=')
			snprintf(out, room, "%.*s", (int)strcspn(p + n + 1, ","), p + n + 1);
}

bool nfs_of_mount(const struct mount_entry *m, struct nfs_server *s)
{
	char text[NET_TEXT];

	*s = (struct nfs_server){ .name = NULL };
	if (strcmp(m->type, "nfs") && strcmp(m->type, "nfs4"))
		return false;
	option(m->super, "vers", text, sizeof(text));
	s->version = text[0] == '4' ? 4 : 3;
	option(m->super, "port", text, sizeof(text));
	s->port = (uint32_t)strtoul(text, NULL, 10);
	if (!s->port)
		s->port = NFS_PORT;
	option(m->super, "addr", s->text, sizeof(s->text));
	return net_parse(s->text, &s->addr);
}
