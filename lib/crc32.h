/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The reflected CRC-32 of polynomial 0xedb88320 in its two dialects.  Both go
 * on where an earlier call ended, so that data in pieces is summed as one:
 *
 *	sum = crc32_lvm2(CRC32_LVM2, ring_end, n1);
 *	sum = crc32_lvm2(sum, ring_start, n2);
 */
#ifndef LIB_CRC32_H
#define LIB_CRC32_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/registry.h"

/* As in zlib, Ethernet and gzip: begin with 0; "123456789" gives 0xcbf43926. */
uint32_t crc32_zlib(uint32_t crc, const void *p, size_t n);

/* As in lvm2: begin with this value; nothing is inverted, before or after. */
#define CRC32_LVM2 0xf597a6cfu
uint32_t crc32_lvm2(uint32_t crc, const void *p, size_t n);

/*
 * A faster way, of one kind of processor; arch/ may have one.  It is asked for
 * large amounts only: usable() may take microseconds.
 */
struct crc32_engine {
	bool (*usable)(void);
	/* As crc32_lvm2(); n is a multiple of 64, and not 0. */
	uint32_t (*sum)(uint32_t crc, const void *p, size_t n);
};
DECLARE_REGISTRY(crc32_engines, struct crc32_engine);

#endif
