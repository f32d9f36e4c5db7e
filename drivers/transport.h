/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A transport makes storage reachable: a directory that is bind-mounted, block
 * devices of this host, an NFS export, an iSCSI session.
 *
 *	create ─▶ attach ⇄ detach ─▶ destroy
 *
 * All four may be repeated and succeed when there is nothing left to do.
 */
#ifndef DRIVERS_TRANSPORT_H
#define DRIVERS_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ctx;
struct sr;
struct sr_info;

/*
 * What a verb is about to touch that may never answer, in memory shared with the
 * process that watches the verb (ctx->watched; NULL = nobody does).
 */
struct watched {
	const struct transport *transport;	/* NULL = nothing; set last */
	uint64_t moved;				/* 0, but while data is copied: grows with it */
	uint64_t seen, since;			/* the watcher's: when it had grown last … */
	uint64_t began;				/* … and when it looked first */
	bool listing;				/* a directory is being read just now, and … */
	unsigned listed;			/* … the watcher's: how often it has been when he looked */
	char data[128];				/* the transport's own, for alive() */
};

/* What a server has that could be the storage of an SR. */
struct offer {
	const char *server, *path;
	const char *hosts;		/* who may use it, as the server says it */
};

struct transport {
	const char *name;
	/*
	 * For a new SR or a deletion: reach the bare storage without attaching
	 * it, filling sr->dir (or the layout's view of devices).  With create
	 * it may make what is missing (one directory level).
	 */
	int (*stage)(struct sr *sr, bool create);
	/* Creation failed: remove what stage(create) made, and only that. NULL = nothing. */
	void (*unstage)(struct sr *sr);
	int (*attach)(struct sr *sr);
	/* -E_SR_IN_USE while anybody has something of it open. */
	int (*detach)(struct sr *sr);
	/* Bind an attached SR: fill sr->dir and sr->path; -E_SR_DETACHED when it is not. */
	int (*open)(struct sr *sr);
	/* Let go of what stage() and open() hold. NULL = only sr->dir. */
	void (*close)(struct sr *sr);
	/*
	 * Everything on this host that might hold an SR, as values of the row's
	 * first key; NULL = what to probe must be said.
	 */
	int (*survey)(struct sr *sr, const char ***values, size_t *n);
	/*
	 * Storage that holds several SRs beside each other, each below its uuid:
	 * which?  NULL = stage() and the layout's probe() find the one there is.
	 * With versions, as of offers(), it asks for these first, and where the server
	 * lacks what dconf says, that becomes the first that it has.
	 */
	int (*inhabitants)(struct sr *sr, struct sr_info **v, size_t *n, const char **versions);
	/*
	 * dconf names a server, but nothing on it: what is there?  versions, which
	 * may be NULL, become the protocol's versions that it has, by commas.
	 */
	int (*offers)(struct sr *sr, struct offer **v, size_t *n, const char **versions);
	/*
	 * After the layout's destroy(): remove what stage(create) made and the SR
	 * has left.  What else lies there stays.  NULL = nothing.
	 */
	int (*discard)(struct sr *sr);
	/*
	 * Does what a verb has said in struct watched still answer, and to what the
	 * kernel asks for it too?  Within seconds, and without touching a mount.  A
	 * transport that has this is only used by verbs that are watched: the server
	 * may go at any moment.
	 */
	int (*alive)(struct ctx *ctx, struct watched *w);
	/* What SR-API 1.0 shows as location, where that is more than one key. */
	const char *(*where)(const struct sr *sr);
};

extern const struct transport transport_local;
extern const struct transport transport_devices;
extern const struct transport transport_nfs;

#endif
