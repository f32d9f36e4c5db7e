/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A datapath gives a volume a block device in dom0.
 *
 * The kernel is the record of what is active: find() asks it, so a process that
 * died half way leaves nothing that the next call does not see.  What is handed
 * out is the VDI's port (drivers/port.h), and what serves it lies below.
 */
#ifndef DRIVERS_DATAPATH_H
#define DRIVERS_DATAPATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/registry.h"

struct attachment;
struct chain;
struct ctx;
struct sr;
struct vdi;
struct vdis;

struct datapath {
	const char *name;
	/*
	 * It serves what is only read, and not all of that: -ENOTBLK from activate()
	 * leaves the disk to the next datapath, and why to the log.
	 */
	bool read_only;
	/* Can this datapath serve a VDI of such a format? */
	bool (*serves)(const struct vdi *vdi);
	/* Fill at->active, writable, device from the kernel; not active is no error. */
	int (*find)(struct sr *sr, const struct vdi *vdi, struct attachment *at);
	/* The same for every member of the list in one look at the kernel. */
	int (*find_all)(struct sr *sr, struct vdis *l);
	/* Make the device.  Idempotent for the same mode. */
	int (*activate)(struct sr *sr, const struct vdi *vdi, bool writable,
			struct attachment *at);
	/*
	 * Remove it, and, also when it is not active any more, what a removal that
	 * died has left; -E_VDI_IN_USE while somebody has it open.  -E_VDI_LOST: it is
	 * removed, but what was written last could not be stored.
	 */
	int (*deactivate)(struct sr *sr, const struct vdi *vdi, const struct attachment *at);
	/*
	 * Of an active one: show the size that the volume has now, and finish an
	 * activate that died.  Fills in at again.
	 */
	int (*refresh)(struct sr *sr, const struct vdi *vdi, struct attachment *at);
	/*
	 * Let go of all its volumes, for as long as *hold is open; what a guest asks
	 * waits.  resume() is called after the SR's lock has been dropped and the SR
	 * closed: what the disk is then is found anew (drivers/control.h), and a new
	 * size is shown.  NULL = not while it is active.
	 */
	int (*pause)(struct sr *sr, const struct vdi *vdi, int *hold);
	int (*resume)(struct sr *sr, const struct vdi *vdi, int *hold);
	/*
	 * The short way.  A disk whose image becomes another's parent is held with
	 * nothing made inactive.  After that or a pause, go() lets it go on under the SR's
	 * lock with the images that it is told, or as it was, and shows a new size.  When
	 * that fails and *hold is still open, resume() does it.  NULL = the long one.
	 */
	int (*hold)(struct sr *sr, const struct vdi *vdi, int *hold);
	int (*go)(struct sr *sr, const struct vdi *vdi, const struct chain *c, int *hold);
	/*
	 * A disk moves while it is in use, from a datapath that cannot hold it to one that
	 * can.  take() is for one that is active on another: its device below the same
	 * port, which changes in one step; on failure before that the other goes on.
	 * Fills in at.  Then the other, told to give_way(), lets go of what no port lies on.
	 * Who dies in between leaves what the one that has the port does not know of: that
	 * is what give_way() is for too.  Both may be repeated; 0 when there is nothing.
	 */
	int (*take)(struct sr *sr, const struct vdi *vdi, struct attachment *at);
	int (*give_way)(struct sr *sr, const struct vdi *vdi);
};

DECLARE_REGISTRY(datapaths, struct datapath);

#endif
