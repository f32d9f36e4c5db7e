/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How often this host uses an LV, as the Python storage managers count it in
 * /run/sm/refcount/lvm-<SR>/<VDI>: "<normal> <binary>\n".  binary is 1 while the
 * disk is attached, normal counts the chains and the operations that it is part
 * of.  A file that would say "0 0" is removed.
 */
#ifndef LIB_REFCOUNT_H
#define LIB_REFCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/bytes.h"

#define REFCOUNT_TEXT 32

struct refcount {
	uint32_t normal;
	bool binary;
};

/* Text of anything else is what a death may have left, and counts as nothing. */
void refcount_decode(struct view text, struct refcount *c);
/* Bytes of the text; 0: the file is to go. */
int refcount_encode(const struct refcount *c, char text[REFCOUNT_TEXT]);

#endif
