/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From devices to volume groups.
 *
 *	struct lvm_dev dev[] = { { .io = a, .path = "/dev/sda" }, ... };
 *	struct lvm_set set;
 *
 *	lvm_scan(&arena, dev, n, &(struct lvm_scan_how){ .system_id = ... }, &set);
 *	err = lvm_vg_get(&set, "vg0", &vg);
 *
 * Every PV may hold the text of its VG once, twice or not at all.  Of all good
 * copies the one with the highest seqno counts; a PV that text does not name is
 * outdated and none of ours.  Nothing is written here, and one bad device or
 * copy never hides another: what is odd becomes a problem, one sentence each.
 *
 * Another host may be committing while we read.  Then the text we were on our
 * way to is gone, and the header says where the new one is: we look again, a
 * few times, with a pause in between.
 */
#ifndef LIB_LVM2_SCAN_H
#define LIB_LVM2_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/lvm2/label.h"
#include "lib/lvm2/mda.h"
#include "lib/lvm2/vg.h"

struct io;

/* A text, and all copies that are the same. */
struct lvm_version {
	struct lvm_version *next;
	uint64_t size;
	uint32_t sum;
	struct view text;
	struct lvm_summary is;
	const char *path;		/* the device it was first found on */
	struct lvm_found *found;
};

struct lvm_copy {
	struct lvm_mda mda;
	int err; /* 0; -E_LVM_MDA: header, not to be written to; else the text */
	struct lvm_version *version;	/* NULL: there is no text here, or no good one */
	struct lvm_slot keep;		/* a text that the next commit shall not overwrite */
};

struct lvm_dev {
	struct io *io;			/* the caller's; it must outlive the set */
	const char *path;
	uint64_t size;			/* bytes */

	int err; /* 0: a PV.  -E_LVM_NO_LABEL, -E_LVM_LABEL, or an I/O error */
	struct lvm_label label;
	struct lvm_copy copy[LVM_LABEL_AREAS];	/* label.n_mda of them */
	struct lvm_vg *vg;		/* NULL: in none */
	struct lvm_pv *pv;
	bool duplicate;			/* the same PV is on another device too */
	bool outdated;			/* it holds the text of a VG that knows it no more */
	/*
	 * The label and a copy above are where an area is to be after the next
	 * commit; here it still is (lvm_pv_resize()).  Size 0: none moves.
	 */
	struct lvm_area left;
	uint32_t moves;			/* which */
};

/* A VG by what its best text says of itself. */
struct lvm_found {
	struct lvm_version *best;
	struct lvm_vg *vg;		/* NULL when that text is no good: */
	int err;
	const char *why;
	bool twice;			/* two have this name */
};

struct lvm_problem {
	struct lvm_problem *next;
	const char *path;		/* of the device; the VG's name when it is about none */
	const char *what;
	int err;
};

struct lvm_set {
	struct arena *arena;
	struct lvm_dev *dev;
	size_t n_devs;
	struct lvm_found **found;
	size_t n_found;
	struct lvm_version *versions;
	struct lvm_problem *problem, **end;
};

struct lvm_scan_how {
	const char *system_id;			/* of this host, or NULL */
	bool verify;				/* read every copy, also those that seem known */
	void (*pause)(unsigned int attempt);	/* before looking again; NULL: at once */
};

void lvm_scan(struct arena *a, struct lvm_dev *dev, size_t n, const struct lvm_scan_how *how,
	      struct lvm_set *set);

/* By name or dashed uuid.  -E_LVM_VG_MISSING, -E_LVM_VG_TWICE, or why its text is no good. */
int lvm_vg_get(const struct lvm_set *set, const char *name, struct lvm_vg **vg);

/*
 * Is what we read still what is committed, on every device of the VG?  One
 * sector per metadata area; 0, or -E_LVM_CHANGED.
 */
int lvm_vg_is_current(const struct lvm_vg *vg);

void lvm_problem(struct lvm_set *set, const char *path, int err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
