/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Old texts of a VG that are still in the ring.  A commit overwrites nothing but
 * the oldest, so the ring remembers what came before: to look at, and to go back
 * to when what is committed is damaged.
 *
 * Texts are looked for in every sector of every area, also where the label or
 * the header of the area is lost (lib/lvm2/lost.h).
 */
#ifndef LIB_LVM2_HISTORY_H
#define LIB_LVM2_HISTORY_H

#include "lib/lvm2/scan.h"

struct lvm_place {
	struct lvm_place *next;
	const struct lvm_dev *dev;
	uint64_t area;			/* where its area begins, bytes of the device */
	uint64_t at;			/* where it begins, bytes of the area */
};

struct lvm_past {
	struct lvm_past *next;
	struct lvm_summary is;
	struct view text;
	uint32_t sum;			/* of the text as it is, to tell it from others */
	const char *why;		/* what is wrong with it; NULL: whole and readable */
	const char *cause;		/* "Created *after* executing ...", or "" */
	const char *host;		/* where it was written, or "" */
	uint64_t time;			/* seconds; 0 unknown */
	bool committed;			/* a header points to it */
	bool damaged;			/* and its checksum is wrong: do not go back to this one */
	bool announced;			/* a header says that it was about to be committed */
	struct lvm_place *place;	/* at least one */
	struct lvm_place *last;		/* of them: a ring may hold one text in every sector */
};

/*
 * All of a set's devices, newest first, each text once.  Only of the VG with
 * this name or uuid; NULL: of all.  Areas that cannot be searched become
 * problems of the set.
 */
struct lvm_past *lvm_history(struct lvm_set *set, const char *vg);

/* Could one go back to it? */
static inline bool lvm_past_is_good(const struct lvm_past *p)
{
	return !p->why && !p->damaged;
}

/*
 * The version of that seqno to go back to: a committed one, else the good one
 * that was written last.  NULL: there is none.  All must be of one VG.
 */
const struct lvm_past *lvm_past_find(const struct lvm_past *all, uint64_t seqno);
/*
 * Others with that seqno and time say something else, and no header points to
 * any: one of them is damaged, and nothing tells which.
 */
bool lvm_past_is_doubtful(const struct lvm_past *all, const struct lvm_past *p);
/* The newest good one; NULL: none. */
const struct lvm_past *lvm_past_newest(const struct lvm_past *all);
/* Do all belong to one VG? */
bool lvm_past_is_one_vg(const struct lvm_past *all);

#endif
