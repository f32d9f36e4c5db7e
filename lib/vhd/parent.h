/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a child says about its parent. */
#ifndef LIB_VHD_PARENT_H
#define LIB_VHD_PARENT_H

#include "lib/arena.h"
#include "lib/vhd/locator.h"
#include "lib/vhd/vhd.h"

struct vhd_parent {
	bool raw;			/* not a VHD: nothing can be checked about it */
	uint8_t uuid[16];
	size_t n;
	const char *paths[VHD_LOCATORS + 1];	/* of the locators; the header's name last */
};

/*
 * -E_VHD_PARENT_NAME when no text is usable; locators that are not are skipped.
 * The paths are a stranger's: whether one may be followed is for the caller.
 */
int vhd_parent(const struct vhd *v, struct arena *a, struct vhd_parent *p);
/* Would a parent of this id be the image itself?  A raw one, all zero, is not, whatever id the image has. */
bool vhd_is_own_parent(const struct vhd *v, const uint8_t parent_uuid[16]);
/* The text of one locator as a path. */
int vhd_parent_path(const struct vhd *v, int i, char path[VHD_PATH_MAX]);

#endif
