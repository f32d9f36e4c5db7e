/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The text by which a child names its parent.
 *
 * libvhd writes the same relative path three times: MacX "file://./x.vhd",
 * W2ku and W2ru ".\x.vhd", and the last component alone into the header.
 * What is read comes out as UTF-8 with slashes.  Such text is a hint from a
 * stranger: text with control characters, embedded zeros or broken UTF-16 is
 * refused here, and whether a path may be followed is for the caller.
 */
#ifndef LIB_VHD_LOCATOR_H
#define LIB_VHD_LOCATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/vhd/header.h"

#define VHD_TEXT_MAX	2048u	/* bytes of a locator's text that are read */
#define VHD_PATH_MAX	(VHD_TEXT_MAX * 3 / 2 + 1)
#define VHD_NAME_MAX	(VHD_NAME_UNITS * 3 + 1)

/* The path in a locator's text; -E_VHD_PARENT_NAME when it has none to offer. */
int vhd_locator_path(uint32_t code, const void *text, size_t len, char path[VHD_PATH_MAX]);
/* The text of a locator for a relative path: its length, or -ENAMETOOLONG, -E_TEXT_UTF8. */
int vhd_locator_text(uint32_t code, const char *path, uint8_t *text, size_t room);
/* The name in a header; "" is none. */
int vhd_header_name(const struct vhd_header *h, char name[VHD_NAME_MAX]);
int vhd_header_set_name(struct vhd_header *h, const char *name);
/* The last component of a path. */
const char *vhd_basename(const char *path);

#endif
