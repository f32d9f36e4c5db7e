/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A file that a stranger made: a byte says what it is like, the rest is its
 * beginning.  Checksums are made right, or nothing would get past them.
 */
#ifndef TESTS_FUZZ_VHD_FILE_H
#define TESTS_FUZZ_VHD_FILE_H

#include <string.h>

#include "lib/bytes.h"
#include "lib/io_test.h"
#include "lib/vhd/batmap.h"
#include "tests/fuzz/fuzz.h"

enum {
	LARGE	= 1 << 0,	/* there is room for two blocks behind the beginning */
	FOOTER	= 1 << 1,	/* the copy of the footer stands at the end too */
	SHORT	= 1 << 2,	/* less its last byte */
	RAW_SUM	= 1 << 3,	/* leave the sums alone */
	BATMAP	= 1 << 4,	/* mend the batmap's sum */
	WRITE	= 1 << 5,
};

static inline void put_sum(uint8_t *p, size_t at, size_t len)
{
	be32 sum = be32_put(0);

	memcpy(p + at, &sum, 4);
	sum = be32_put(vhd_sum(p, len));
	memcpy(p + at, &sum, 4);
}

static inline void mend_batmap(struct io *io, const uint8_t *header)
{
	struct vhd_header h;
	struct vhd_batmap_disk d;
	uint8_t map[512];
	uint64_t at;

	if (vhd_header_decode(&h, header, 1024))
		return;
	at = vhd_batmap_place(&h);
	if (io_read(io, at, &d, sizeof(d)) || io_read(io, be64_get(d.at), map, sizeof(map)))
		return;
	d.sum = be32_put(vhd_sum(map, sizeof(map)));
	io_write(io, at, &d, sizeof(d));
}

static inline struct io *make_file(uint8_t how, const uint8_t *data, size_t size)
{
	uint8_t head[1536] = { 0 };
	uint64_t end = how & LARGE ? 2 * (VHD_BLOCK + 4096) + 8192 : (size + 511) / 512 * 512;
	struct io *io = io_sparse(end, end + 64 * MiB, 0);

	CHECK(!io_write(io, 0, data, size));
	memcpy(head, data, size < sizeof(head) ? size : sizeof(head));
	if (!(how & RAW_SUM)) {
		put_sum(head, 64, 512);
		put_sum(head + 512, 36, 1024);
		CHECK(!io_write(io, 0, head, sizeof(head)));
	}
	if (how & BATMAP)
		mend_batmap(io, head + 512);
	if (how & FOOTER)
		CHECK(!io_write(io, io->size, head, how & SHORT ? 511 : 512));
	return io;
}

#endif
