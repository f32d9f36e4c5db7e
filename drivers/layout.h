/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A layout keeps volumes on storage that a transport has made reachable:
 * files in a directory, logical volumes in a volume group, LUNs.
 *
 * A volume is named by the VDI's uuid and its format.  What a VDI is called
 * (name, description, type) is kept beside the volumes by the layout too.
 */
#ifndef DRIVERS_LAYOUT_H
#define DRIVERS_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct format;
struct uuid;
struct sr;
struct sr_info;
struct vdi;
struct vdis;

/* What vdi_create wants. */
struct volume_spec {
	const struct format *format;
	uint64_t virtual_size;	/* already rounded by the format */
	bool thick;		/* give it all its space now */
};

/* A device-mapper device: lib/lvm2/dm.h says how names, uuids and tables look. */
struct volume_map {
	char name[128];
	char uuid[129];
	const char *group, *volume;	/* /dev/GROUP/VOLUME is a link to it; or NULL */
	const char *table;		/* lines "START LENGTH TARGET ARGUMENTS\n", sectors */
};

struct layout {
	const char *name;
	uint64_t unit;		/* volumes are multiples of it, bytes; 0 = as the format says */
	/*
	 * On staged storage.  create() refuses storage that already holds an SR
	 * (-E_SR_EXISTS) or anything else, and ends with one committing write.
	 */
	int (*create)(struct sr *sr);
	/* Remove the SR; refuses while VDIs are left (-E_SR_NOT_EMPTY). */
	int (*destroy)(struct sr *sr);
	/* Which SR lives on this staged storage?  -E_SR_MISSING when none. */
	int (*probe)(struct sr *sr, struct sr_info *found);
	/*
	 * Bind an attached SR and finish or undo what a dead process left half
	 * done.  Called under the SR lock when the verb changes something
	 * (recover), without it otherwise.
	 */
	int (*open)(struct sr *sr, bool recover);
	void (*close)(struct sr *sr);
	/*
	 * Before the transport lets go: take away what is still active of the
	 * SR, whoever activated it.  Works on a struct sr that is not open, since
	 * the storage may be gone.  -E_SR_IN_USE while any of it is open.
	 */
	int (*quiesce)(struct sr *sr);
	int (*rename)(struct sr *sr, const char *name, const char *description);

	/* size and used of the substrate. */
	int (*stat)(struct sr *sr, struct sr_info *info);
	/* Every VDI; what cannot be read goes to the list's problems. */
	int (*list)(struct sr *sr, struct vdis *l);
	/* One VDI; -E_VDI_MISSING, or what is wrong with it. */
	int (*find)(struct sr *sr, const struct uuid *uuid, struct vdi *vdi);

	/*
	 * Make a volume for vdi (uuid, name, description, type are given) and
	 * format it, committing with one write; on any failure nothing is left.
	 * Fills in what the VDI has become.
	 */
	int (*volume_create)(struct sr *sr, struct vdi *vdi, const struct volume_spec *spec);
	int (*volume_delete)(struct sr *sr, const struct vdi *vdi);
	/* Grow to the given virtual size; the image's own metadata included. */
	int (*volume_resize)(struct sr *sr, struct vdi *vdi, uint64_t virtual_size);
	/* Keep vdi's name, description and type; what is NULL stays as it is. */
	int (*volume_describe)(struct sr *sr, const struct vdi *vdi);
	/*
	 * How device-mapper shows the volume, for layouts whose volumes are parts
	 * of block devices; NULL for the others.
	 */
	int (*volume_map)(struct sr *sr, const struct vdi *vdi, struct volume_map *map);
	/* An open descriptor of the volume; owned by the caller. */
	int (*volume_open)(struct sr *sr, const struct vdi *vdi, bool writable, int *fd);
	/* What sr_check finds beyond list(); repair what can be when asked to. */
	int (*check)(struct sr *sr, bool repair, struct vdis *found);
};

extern const struct layout layout_dir;
extern const struct layout layout_lvm;

#endif
