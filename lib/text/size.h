/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sizes and durations as people write and read them.
 *
 *	SIZE	4096   512M   1.5G   20GiB   "3.5 TiB"   17B
 *
 * Units are powers of 1024 and may be upper or lower case: K, M, G, T, P, each
 * also as KiB and so on.  KB is refused: half of those who write it mean 1000.
 */
#ifndef LIB_TEXT_SIZE_H
#define LIB_TEXT_SIZE_H

#include <stdint.h>

/*
 * Bytes in *bytes and 0, or -E_SIZE (not a size at all), -E_SIZE_NEGATIVE,
 * -E_SIZE_FRACTION (1.3K is not a whole number of bytes) or -E_SIZE_BIG (2^63
 * and above: no kernel call takes more).
 */
int size_parse(const char *s, uint64_t *bytes);

#define SIZE_TEXT 16
/*
 * "3.1 GiB", "512 MiB", "17 B" in out, which is returned.  One digit behind
 * the point, rounded to the nearest; a number without a point is exact.
 */
char *size_text(char out[SIZE_TEXT], uint64_t bytes);
/* The same as an argument: fail(ctx, err, "%s free", SIZE_STR(free)). */
#define SIZE_STR(bytes) size_text((char [SIZE_TEXT]){ 0 }, bytes)

#define DURATION_TEXT 32
/* "42 s", "2 min 5 s", "3 h 20 min", "12 d 4 h": the two largest units. */
char *duration_text(char out[DURATION_TEXT], uint64_t seconds);
#define DURATION_STR(seconds) duration_text((char [DURATION_TEXT]){ 0 }, seconds)

#endif
