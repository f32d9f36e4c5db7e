/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the vg verbs share: the devices and files a person named, opened and
 * scanned.
 *
 *	_vg_close_ struct vg_look v = { 0 };
 *
 *	err = vg_look(r, IO_RDONLY, &v);
 */
#ifndef SM_VG_H
#define SM_VG_H

#include "lib/lvm2/history.h"
#include "lib/lvm2/scan.h"
#include "sm/core.h"

struct vg_look {
	struct run *r;
	struct lvm_dev *dev;		/* those that could be opened */
	size_t n;
	struct lvm_set set;
	struct lvm_problem *bad;	/* those that could not */
	size_t n_bad;
	const char *names;		/* of all paths, for a sentence and for a command */
	struct lvm_past *past;		/* vg_history() */
	bool dug;
};

/*
 * Open every path and scan what opens; the others become problems of the set.
 * An error, said, when a path is given twice or none can be opened.
 */
int vg_look(struct run *r, int io_flags, struct vg_look *v);
/* The descriptors only: what was read stays as long as the request. */
void vg_look_close(struct vg_look *v);
#define _vg_close_ __attribute__((cleanup(vg_look_close)))

/* All texts of all VGs; found once. */
const struct lvm_past *vg_history(struct vg_look *v);
/* The same of the one VG that is meant: --vg, or the only one.  Else an error, said. */
int vg_history_of_one(struct vg_look *v, const struct lvm_past **past);
/* Of that VG, the version of --seqno. */
int vg_version(struct vg_look *v, const struct lvm_past *past, const struct lvm_past **version);

/* -E_LVM_NO_LABEL, said, when there is nothing of LVM on any of the devices. */
int vg_must_be_there(struct vg_look *v);
/* Paths that did not open, and what the scan has met, as problems of the reply. */
void vg_bad_paths(struct vg_look *v);
void vg_problems(struct vg_look *v);
/* A command that mends what is damaged; NULL: none is known. */
const char *vg_way_out(struct vg_look *v);

#endif
