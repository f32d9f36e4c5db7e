/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * LVHD: disks in logical volumes as XenServer and XCP-ng lay them out.  What an
 * LV is, by its name alone, and how large it has to be.
 *
 *	MGT			names of the SR and its VDIs (lib/mgt.h)
 *	LV-<uuid>		a raw disk; hidden when it has the tag "hidden"
 *	VHD-<uuid>		an image with its metadata prepared for 2 TiB;
 *				hidden when its footers say so
 *	VHD-OLD_<uuid>		a leaf that is being merged into its parent
 *	<type>_<uuid>_<value>	a journal, with the tag "journaler" (journal.h)
 *	jvhd_<uuid>		what libvhd needs to undo a resize, with the tag "jvhd"
 *	<uuid>.cbtlog		a log of changed blocks
 *
 * A name is all that is believed: what a guest writes into its disk never
 * makes an image of it.
 */
#ifndef LIB_LVHD_NAME_H
#define LIB_LVHD_NAME_H

#include <stdint.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/uuid.h"

#define LVHD_UNIT	(4 * MiB)	/* of an LV's size */
#define LVHD_AHEAD_LEAST (64 * MiB)	/* of lvhd_size_ahead() */
#define LVHD_AHEAD_MOST	(4 * GiB)
#define LVHD_DEPTH_MAX	30u		/* images in a chain; a raw base counts */
#define LVHD_TAG_HIDDEN	"hidden"
#define LVHD_TAG_JOURNAL "journaler"
#define LVHD_TAG_RESIZE	"jvhd"

enum lvhd_kind {
	LVHD_OTHER,		/* nothing of ours */
	LVHD_MGT, LVHD_RAW, LVHD_VHD, LVHD_OLD, LVHD_JOURNAL, LVHD_RESIZE, LVHD_CBT,
};

enum lvhd_journal_type {
	LVHD_INFLATE,		/* value: bytes the LV had before */
	LVHD_CLONE,		/* <base>_<clone>, or <base>_ for one new leaf */
	LVHD_LEAF,		/* the parent of a leaf that is being merged into it */
	LVHD_COALESCE,		/* "1": a node is being copied into its parent */
	LVHD_RELINK,		/* "1": and its children are getting a new parent */
	LVHD_ZERO,		/* first byte of a grown raw parent that is to be zero */
};
extern const char *const lvhd_journal_names[];	/* by that enum; NULL behind the last */

struct lvhd_name {
	enum lvhd_kind kind;
	struct uuid uuid;
	enum lvhd_journal_type journal;
	const char *value;	/* of a journal, as far as the name has it; in the name */
};

void lvhd_name_parse(const char *lv, struct lvhd_name *n);
/* The name of a disk's LV: kind is LVHD_RAW, LVHD_VHD, LVHD_OLD, LVHD_RESIZE. */
char *lvhd_name(struct arena *a, enum lvhd_kind kind, const struct uuid *u);
/*
 * Which disk of the VG a child means by its parent's path, "./VG--X-VHD--<uuid>".
 * -E_VHD_PARENT_NAME for anything that is no disk of this VG.
 */
int lvhd_parent_parse(struct arena *a, const char *vg, const char *path, struct lvhd_name *n);
/* That path for a disk's LV. */
int lvhd_parent_path(struct arena *a, const char *vg, const char *lv, char **path);

/* --- sizes, bytes; all but the last as upstream reckons ------------------------ */

/* Of the LV that holds so many bytes. */
uint64_t lvhd_size_lv(uint64_t bytes);
/* Of an image of that virtual size which can never run out of room ("thick", inflated). */
uint64_t lvhd_size_full(uint64_t virtual_size);
/* Of an empty one ("thin"). */
uint64_t lvhd_size_thin(void);
/*
 * What one that holds so many bytes is given beyond them, if it asks for more before that
 * is used up.  A part of its size, so that a large one has few segments.
 */
uint64_t lvhd_size_ahead(uint64_t held);

#endif
