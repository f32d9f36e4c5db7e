/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Raw deflate (RFC 1951) from memory to memory. */
#ifndef LIB_QCOW2_INFLATE_H
#define LIB_QCOW2_INFLATE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Fill out with n_out bytes, no less and no more: what a stream would add is
 * left.  -E_QCOW2_DEFLATE when it is malformed or ends before.
 */
int inflate(const uint8_t *in, size_t n_in, uint8_t *out, size_t n_out);

#endif
