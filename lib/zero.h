/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Long stretches of zeroes, found at the speed of memory. */
#ifndef LIB_ZERO_H
#define LIB_ZERO_H

#include <stdbool.h>
#include <stddef.h>

/* As is_zero() of lib/bytes.h, for more than a few hundred bytes; ends at the first other one. */
bool is_all_zero(const void *p, size_t n);

#endif
