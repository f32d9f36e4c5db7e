/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Digits of a longer text, and order: what the C library does too, but with
 * some 5 KiB of what nobody here needs.
 */
#ifndef LIB_NUM_H
#define LIB_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The decimal digits at *s, past which it is moved.  False, and nothing moved,
 * when there are none or they do not fit.
 */
bool num_take(const char **s, uint64_t *n);

/* Sort n members in place, with qsort()'s kind of order; equal ones in any order. */
void num_sort(void *v, size_t n, size_t size, int (*order)(const void *a, const void *b));

#endif
