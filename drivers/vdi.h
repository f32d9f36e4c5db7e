/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A virtual disk as any API may ask for it.  Plain data: strings and lists
 * belong to the request's arena, nothing here is open or owned.
 */
#ifndef DRIVERS_VDI_H
#define DRIVERS_VDI_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "arch/blk.h"
#include "lib/kv.h"
#include "lib/uuid.h"

/* Who serves an active disk, and how much was done with it. */
struct usage {
	pid_t pid;		/* of the server; 0 = the kernel does it alone */
	bool counted;		/* the device tells that: */
	struct blk_stat io;
};

/* How a VDI is attached to this host.  Zeroed: it is not. */
struct attachment {
	bool attached;		/* somebody called attach and not yet detach */
	bool active;		/* and there is a block device */
	bool writable;
	uint64_t lease;		/* generation of the lock that it was attached with; 0: none that is looked after */
	bool lost;		/* for the verbs that show it: and that lock has been broken */
	bool grows;		/* who serves it asks for room when he needs it (volume_grow()) */
	const char *elsewhere;	/* on which other host, by the lock that lives with the storage; so attached is set */
	char device[256];	/* that device, /dev/loop3; "" while not active */
	const char *link;	/* /dev/sm/backend/<SR>/<VDI>, under SM_ROOT; or NULL */
	const char *backend;	/* name of the datapath that serves it: "loop" */
	const struct usage *usage;	/* for the verbs that show it; or NULL */
};

struct vdi {
	struct uuid	uuid;
	struct uuid	sr;		/* which SR holds it; filled in by the core */
	const char	*location;	/* key of a scan; the uuid but for ISO and the like */
	const char	*name;		/* "" when there is none */
	const char	*description;
	const char	*format;	/* name of a struct format: "raw", "vhd" */
	const char	*type;		/* SMAPI's vdi_type: "user", "system" …; "" unknown */
	uint64_t	virtual_size;	/* bytes a guest sees */
	uint64_t	physical_size;	/* bytes the substrate has given to it */
	uint32_t	sector_size;
	bool		hidden;		/* an inner node of a tree */
	bool		shown;		/* its record says that it is somebody's disk, and no such node */
	bool		mend;		/* its image can be read, and wants to be mended */
	bool		linked;		/* its file has another name, maybe outside of the SR */
	bool		read_only;
	bool		cbt;		/* it has a log of changed blocks (drivers/cbt.h) */
	struct uuid	parent;		/* "" = none */
	const char	*parent_name;	/* what the image calls it, when that is no volume here; or NULL */
	struct uuid	snapshot_of;	/* "" = none: a snapshot never changes */
	uint8_t		image_id[16];	/* what the image calls itself; zero = a raw one */
	uint8_t		parent_id[16];	/* and its parent; zero = a raw one, or none */
	struct uuid	*children;	/* filled in by tree_fill() */
	size_t		n_children;
	uint32_t	depth;		/* below the root, by tree_order() */
	struct kvs	sm_config;	/* what SMAPIv1 calls so */
	const char	**owners;	/* holders of vdi_lock, "host1:dom3" */
	size_t		n_owners;
	struct attachment at;

	/* The layout's own: the volume that holds the image. */
	char		volume[128];	/* name in the layout: "<uuid>.raw", "LV-<uuid>" */
};

/* Something wrong with one object that does not stop the others. */
struct problem {
	const char *object;	/* a uuid, a file name */
	const char *what;	/* one sentence */
	const char *severity;	/* "error" or "warning" */
	const char *repair;	/* what mends it, or NULL */
};

/* A list that grows in an arena. */
struct vdis {
	struct vdi *v;
	size_t n, room;
	struct problem *problems;
	size_t n_problems, problems_room;
};

struct arena;

/* A new zeroed member; the pointer holds until the next one is added. */
struct vdi *vdis_add(struct arena *a, struct vdis *l);
/* There will be so many more; it grows without this too, by copying what is there. */
void vdis_expect(struct arena *a, struct vdis *l, size_t n);
void vdis_problem(struct arena *a, struct vdis *l, const struct problem *p);
struct vdi *vdis_find(const struct vdis *l, const struct uuid *u);

#endif
