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

struct sr;

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
};

extern const struct transport transport_local;
extern const struct transport transport_devices;

#endif
