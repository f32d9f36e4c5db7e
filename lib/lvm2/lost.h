/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where metadata is, or may be, on a device that has lost its label or the
 * header of an area.  What is said here is a guess: text found there must
 * confirm it.
 */
#ifndef LIB_LVM2_LOST_H
#define LIB_LVM2_LOST_H

#include "lib/lvm2/scan.h"

struct lvm_site {
	struct lvm_mda mda;		/* without slots unless the header is good */
	bool sound;			/* the header is good */
};

/*
 * The areas that the label names; those that a damaged label names; an area with
 * a good header where pvcreate puts the first; else what is in front of the data
 * by what a text there says, or of the first MiB.  Only those that lie on the
 * device.  Returns how many.
 */
uint32_t lvm_sites(const struct lvm_dev *dev, struct lvm_site site[LVM_LABEL_AREAS]);

/*
 * What a device without a good label was, as far as it tells: areas as above, and
 * the PV's uuid where a damaged label has it ("" otherwise).
 */
void lvm_lost_label(const struct lvm_dev *dev, struct lvm_label *label);

/* "name {", and a name we could have written: so a text begins. */
bool lvm_text_begins(const char *s, size_t n);

#define LVM_FIRST_MDA	4096		/* behind the label, on a page: where pvcreate puts it */

#endif
