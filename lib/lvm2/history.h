/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Old texts of a VG that are still in the ring.  A commit overwrites nothing but
 * the oldest, so the ring remembers what came before: to look at, and to go back
 * to when what is committed is damaged.
 */
#ifndef LIB_LVM2_HISTORY_H
#define LIB_LVM2_HISTORY_H

#include "lib/lvm2/scan.h"

struct lvm_past {
	struct lvm_past *next;
	struct lvm_summary is;
	struct view text;		/* whole and readable */
	const char *path;		/* the device it was found on */
	const char *cause;		/* "Created *after* executing ...", or "" */
	uint64_t time;			/* seconds; 0 unknown */
	bool committed;			/* a header points to it */
	bool damaged;			/* and its checksum is wrong: do not go back to this one */
};

/*
 * All of a set's devices, newest first, each text once.  Only of the VG with
 * this name or uuid; NULL: of all.  Areas that cannot be read are passed over.
 */
struct lvm_past *lvm_history(struct lvm_set *set, const char *vg);

#endif
