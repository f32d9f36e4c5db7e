/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An SR type: one row that says which parts a repository is made of.
 *
 *	static const struct sr_type file = {
 *		.names     = (const char *const[]){ "file", "FileSR", NULL },
 *		.transport = &transport_local,
 *		.layout    = &layout_dir,
 *		.formats   = (const char *const[]){ "raw", NULL },
 *		.datapaths = (const char *const[]){ "loop", NULL },
 *		...
 *	};
 *	REGISTER(sr_types, file);
 *
 * The transport makes the storage reachable, the layout keeps volumes on it, a
 * format says what is inside a volume, a datapath gives a volume a block device.
 * Formats and datapaths are named: one that is not built in is not offered.
 * An empty slot anywhere means "cannot", and that is the only list of what an
 * SR type can do: sr_can() and the capabilities of driver_info follow from it.
 *
 * An operation runs like this (sm/run.c): the lock is taken, sr_open() binds
 * a struct sr to the row and the storage, the slots are called, sr_close()
 * lets go.  Slots call fail() with a clause that names their object.
 */
#ifndef DRIVERS_SR_H
#define DRIVERS_SR_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/clock.h"
#include "drivers/vdi.h"
#include "lib/ctx.h"
#include "lib/kv.h"
#include "lib/registry.h"
#include "lib/uuid.h"

struct datapath;
struct format;
struct layout;
struct lease;
struct sr;
struct sr_reached;
struct transport;

/* One dconf key. */
struct key {
	const char *name;
	enum key_flags {
		KEY_TEXT   = 0,
		KEY_PATH   = 1 << 0,	/* absolute, without ".." */
		KEY_DEVICE = 1 << 1,	/* a block device, or several with commas */
		KEY_HOST   = 1 << 2,
		KEY_MUST   = 1 << 3,	/* needed by every operation on the SR */
	} flags;
	const char *help;
	int missing;			/* error when a KEY_MUST is missing: -E_DCONF_LOCATION */
};

struct sr_type {
	const char *const *names;	/* the first is shown and kept in smtab; then "FileSR" … */
	const char *desc;		/* a line for people */
	const char *api_name;		/* SMAPIv1 driver_info: name, description */
	const char *api_desc;
	const char *api_version;	/* required_api_version; NULL = "1.0" */
	const char *srapi1;		/* SR-API 1.0 type: "FILE", "LVM" */
	const char *content;		/* SMAPIv1 sr_content_type */
	const char *storage_type;	/* xenstore_data storage-type: "ext", "nfs", "lvm" */
	const struct key *keys;		/* ends with an empty name */
	/* SR-API 1.0: turn the dconf string into keys; NULL = the type is not in that API. */
	int (*dconf_srapi1)(struct ctx *ctx, const char *text, const struct uuid *sr,
			    struct kvs *dconf);
	const struct transport *transport;
	const struct layout *layout;
	const char *const *formats;	/* by name; the first that is built in is the default */
	const char *const *datapaths;	/* by name, the best first */
	bool thin;			/* space is taken as disks fill */
	bool shared;			/* several hosts may attach it */
};

DECLARE_REGISTRY(sr_types, struct sr_type);

/* An opened repository; lives for one operation. */
struct sr {
	struct ctx *ctx;
	const struct sr_type *type;
	struct uuid uuid;
	const char *name;		/* as the SR itself or smtab knows it; "" */
	const char *description;
	struct kvs dconf;
	struct kvs sm_config, other_config;
	bool opened;			/* by sr_open(): transport and layout are bound */
	bool write;			/* the verb may change something */
	bool force;			/* create: a file system may be overwritten */
	bool confine;			/* give up rights before anything of it is read: sr_confine() */
	const struct sr_reached *reached; /* sr_reach() */
	bool shared;			/* other hosts change it too: dconf shared=true */
	const char *verb;		/* what to tell them that we do */
	struct lease *lease;		/* the SR's, while we have it (drivers/lease.h) */
	uint64_t entered;		/* when we took or renewed it last, by clock_now_boot() */
	struct clock_alarm alarm;	/* ends us before others may take it */
	bool moved;			/* dconf says where the storage is now, not what was given */
	int dir;			/* the SR's directory, for layouts of files; or -1 */
	char path[160];			/* where it is mounted; "" while detached */
	void *transport_data;		/* each part's own, from the arena */
	void *layout_data;
};

/* What people and APIs ask of an SR. */
struct sr_info {
	struct uuid	uuid;
	const char	*name, *description;
	const char	*type;		/* names[0] */
	const char	*srapi1;
	bool		attached;
	bool		unreachable;	/* attached, but its server does not answer: health says why */
	const char	*path;		/* NULL while detached */
	struct kvs	dconf;
	uint64_t	size, used;	/* of the substrate, bytes; 0 while detached */
	uint64_t	allocated;	/* sum of the virtual sizes of visible VDIs */
	size_t		n_vdis;		/* visible ones */
	int		fast_clone;	/* files can share blocks: 1; -1 = no, 0 = not known (yet) */
	int		server_copy;	/* the server copies by itself, likewise */
	const char	*health;	/* "ok", "detached", or a sentence */
	const char	*location;	/* what SR-API 1.0 shows: "/dev/sdb", "/srv/sr" */
};

/* Find a row by any of its names, ignoring case; NULL = none. */
const struct sr_type *sr_type_find(const char *name);

/*
 * Does dconf suit the type?  Missing keys and malformed values fail with the
 * key's name; unknown ones only where a person gave them (strict), since xapi
 * and its tools add keys of their own.
 */
int sr_check_dconf(struct ctx *ctx, const struct sr_type *t, const struct kvs *dconf, bool strict);

/* The format of that name, if the type offers it; NULL else. */
const struct format *sr_format(const struct sr_type *t, const char *name);
/* What is built in of the type's formats and datapaths, by number; NULL behind the last. */
const struct format *sr_format_at(const struct sr_type *t, size_t i);
const struct datapath *sr_datapath_at(const struct sr_type *t, size_t i);
/* Of a new disk when nobody says which: the first that can be attached here, or else the first. */
const struct format *sr_format_default(const struct sr_type *t);
/* Open an attached SR, and finish what a dead process left when recover is set: locked. */
int sr_open(struct sr *sr, bool recover);
/*
 * Into the sandbox (arch/sandbox.h), when sr->confine says so.  sr_open() does it once
 * the transport is there and the layout has its locks.
 */
int sr_confine(struct sr *sr);
/*
 * Only that, of several SRs that are to be looked at in one sandbox: sr_open() of this
 * struct, or of copies of it, goes on from there, as often as it likes, or says what it
 * would have said.  It lasts as long as the process.
 */
void sr_reach(struct sr *sr);
/* The struct may be opened again. */
void sr_close(struct sr *sr);

/* A path below SM_ROOT, in the arena: sm_path(ctx, "/run/sr-mount/%s", uuid). */
char *sm_path(struct ctx *ctx, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
