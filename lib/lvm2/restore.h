/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Put a text back on the devices it speaks of: an older one of the ring, or one
 * from a backup.
 *
 *	struct lvm_restore r = { .set = &set, .past = lvm_history(&set, NULL), .text = … };
 *
 *	err = lvm_restore_plan(&r);		in memory only
 *	... show r.step, look whether somebody uses r.vg->dev ...
 *	err = lvm_restore_commit(&r, &stamp);
 *
 * The VG becomes what the text says, under a seqno above all that was found.
 * PVs are told by their uuids.  A device that has lost its label is taken for a
 * PV that is missing when the remains of the label say so, texts of the VG that
 * lie on it, or the caller; its label is made anew.  So are damaged headers.
 *
 * Order of the writes, so that a death leaves the old state or the new one:
 *
 *	texts	beside the committed one and the one that is restored, in every
 *		area; flush.  Nothing points to them
 *	headers, then labels, of devices that have no label: none of them counted
 *		before.  The first label is the commit where there are any
 *	headers of the others: the first one is the commit otherwise; flush
 *	headers of PVs that leave the VG
 *	foreign signatures on devices that got a new label, unless they lie in
 *		what the VG has there
 *
 * What a death left in between is finished by restoring once more.
 */
#ifndef LIB_LVM2_RESTORE_H
#define LIB_LVM2_RESTORE_H

#include "lib/lvm2/commit.h"
#include "lib/lvm2/history.h"

struct lvm_restore {
	struct lvm_set *set;
	const struct lvm_past *past;	/* all that was found, of all VGs */
	struct view text;
	const struct lvm_past *version;	/* the text is this one of the past; NULL: it is a file's */
	const struct lvm_said {
		struct lvm_id pv;
		const char *path;	/* of a device of the set, without a label */
	} *said;			/* what the caller knows of such devices */
	size_t n_said;
	bool force;			/* PVs may be missing, signatures go, pools be older, the text odd */

	struct lvm_vg *vg;		/* what is to be; vg->dev are the devices it is written to */
	const struct lvm_vg *now;	/* the good VG that is there now, or NULL */
	struct lvm_dev **lost;		/* of vg->dev, those that get a new label */
	uint32_t n_lost;
	const char **step;		/* one sentence for each thing that is done */
	size_t n_steps;
	const char *why, *try;		/* of a refusal: why, and a way around or NULL */
};

int lvm_restore_plan(struct lvm_restore *r);
/* The errors of lib/lvm2/commit.h. */
int lvm_restore_commit(struct lvm_restore *r, const struct lvm_stamp *stamp);

#endif
