/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QCOW2 headers and tables as a stranger may set them, and the inflater. */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/qcow2/inflate.h"
#include "lib/qcow2/qcow2.h"
#include "tests/unit/vhd_util.h"

struct hostile {
	const char *name;
	size_t at, n;
	uint64_t value;
	int err;
};

static const struct hostile cases[] = {
	{ "nothing", 0, 0, 0, 0 },
	{ "magic", 0, 4, 0, -E_QCOW2_MAGIC },
	{ "version 1", 4, 4, 1, -E_QCOW2_VERSION },
	{ "version 4", 4, 4, 4, -E_QCOW2_VERSION },
	{ "cluster bits 8", 20, 4, 8, -E_QCOW2_HEADER },
	{ "cluster bits 22", 20, 4, 22, -E_QCOW2_HEADER },
	{ "cluster bits 2^31", 20, 4, 1u << 31, -E_QCOW2_HEADER },
	{ "size above 16 TiB", 24, 8, 16 * TiB + 512, -E_QCOW2_HEADER },
	{ "size 2^64 - 1", 24, 8, UINT64_MAX, -E_QCOW2_HEADER },
	{ "size beyond L1", 24, 8, 1 * TiB, -E_QCOW2_HEADER },
	{ "size 0", 24, 8, 0, 0 },
	{ "encrypted", 32, 4, 1, -E_QCOW2_CRYPT },
	{ "L1 of 2^32 entries", 36, 4, UINT32_MAX, -E_QCOW2_HEADER },
	{ "L1 of no entry", 36, 4, 0, -E_QCOW2_HEADER },
	{ "L1 unaligned", 40, 8, 512, -E_QCOW2_HEADER },
	{ "L1 past the end", 40, 8, 1 * TiB, -E_QCOW2_HEADER },
	{ "L1 that wraps", 40, 8, UINT64_MAX - 65535, -E_QCOW2_HEADER },
	{ "refcounts at 0", 48, 8, 0, -E_QCOW2_HEADER },
	{ "refcounts past the end", 48, 8, 1 * TiB, -E_QCOW2_HEADER },
	{ "refcounts of 2^32 clusters", 56, 4, UINT32_MAX, -E_QCOW2_HEADER },
	{ "70000 snapshots", 60, 4, 70000, -E_QCOW2_HEADER },
	{ "snapshots nowhere", 60, 4, 1, -E_QCOW2_HEADER },
	{ "unknown feature", 72, 8, 1 << 5, -E_QCOW2_FEATURE },
	{ "data elsewhere", 72, 8, 1 << 2, -E_QCOW2_EXTERNAL },
	{ "marked corrupt", 72, 8, 1 << 1, 0 },
	{ "compression without a type", 72, 8, 1 << 3, -E_QCOW2_HEADER },
	{ "refcount order 7", 96, 4, 7, -E_QCOW2_HEADER },
	{ "header length 103", 100, 4, 103, -E_QCOW2_HEADER },
	{ "header length 2^31", 100, 4, 1u << 31, -E_QCOW2_HEADER },
	{ "backing beyond the first cluster", 8, 8, 65537, -E_QCOW2_HEADER },
	{ "backing inside the header", 8, 8, 16, -E_QCOW2_HEADER },
	{ "backing name without a length", 8, 8, 1024, 0 },
	{ "extension that is too long", 116, 4, UINT32_MAX, -E_QCOW2_HEADER },
};

static void put(struct io *io, uint64_t at, uint64_t v, size_t n)
{
	uint8_t b[8];

	for (size_t i = n; i--; v >>= 8)
		b[i] = (uint8_t)v;
	EQ(io_write(io, at, b, n), 0);
}

TEST(qcow2_hostile_headers_are_refused)
{
	struct io *good = vec_open("qcow2", "v3-default.qcow2");

	for (size_t i = 0; i < ARRAY_SIZE(cases) && good; i++) {
		const struct hostile *h = &cases[i];
		struct io *io = io_copy(good);
		struct qcow2 *q = NULL;

		put(io, h->at, h->value, h->n);
		t_eq(h->name, 0, "open", qcow2_open(&q, io), h->err);
		qcow2_close(q);
		io_close(io);
	}
	io_close(good);
}

TEST(qcow2_backing_names_that_are_no_files_are_refused)
{
	static const struct { const char *name; int err; } names[] = {
		{ "base.qcow2", 0 }, { "../x/base.qcow2", 0 }, { "/etc/shadow", 0 },
		{ "json:{\"driver\":\"file\"}", -E_QCOW2_BACKING },
		{ "nbd:host:10809", -E_QCOW2_BACKING },
		{ "a\nb", -E_QCOW2_BACKING }, { "a\xff", -E_QCOW2_BACKING },
	};
	struct io *good = vec_open("qcow2", "v3-default.qcow2");

	for (size_t i = 0; i < ARRAY_SIZE(names) && good; i++) {
		struct io *io = io_copy(good);
		struct qcow2 *q = NULL;

		put(io, 8, 1024, 8);
		put(io, 16, strlen(names[i].name), 4);
		EQ(io_write(io, 1024, names[i].name, strlen(names[i].name)), 0);
		t_eq(names[i].name, 0, "open", qcow2_open(&q, io), names[i].err);
		if (q)
			STR_EQ(q->backing, names[i].name);
		qcow2_close(q);
		io_close(io);
	}
	io_close(good);
}

TEST(qcow2_tables_that_lead_nowhere_answer_eio)
{
	static const uint64_t bad[] = {
		1ull << 40, 65536 + 512, 0x7f00000000000000, 1, (1ull << 62) | (1ull << 50),
	};
	struct io *good = vec_open("qcow2", "v3-default.qcow2");
	struct qcow2 *q = NULL;
	uint64_t l1, l2, len, pos;
	be64 entry;

	if (!good || !EQ(qcow2_open(&q, good), 0))
		return;
	l1 = q->l1_at;
	l2 = be64_get(q->l1[0]) & 0x00fffffffffffe00;
	qcow2_close(q);
	EQ(err_kind(-E_QCOW2_TABLE), -EIO);
	for (size_t i = 0; i < ARRAY_SIZE(bad) - 1; i++) {
		struct io *io = io_copy(good);

		put(io, l1, bad[i], 8);
		EQ(qcow2_open(&q, io), 0);
		len = 512;
		EQ(qcow2_lookup(q, 0, &len, &pos), -E_QCOW2_TABLE);
		qcow2_close(q);
		io_close(io);
	}
	for (size_t i = 0; i < 2; i++) {
		struct io *io = io_copy(good);

		put(io, l2, bad[i], 8);
		EQ(qcow2_open(&q, io), 0);
		len = 512;
		EQ(qcow2_lookup(q, 0, &len, &pos), -E_QCOW2_TABLE);
		qcow2_close(q);
		io_close(io);
	}
	EQ(io_read(good, l2, &entry, 8), 0);
	put(good, l2, (1ull << 62) | (1ull << 45), 8);	/* packed, far beyond the end */
	EQ(qcow2_open(&q, good), 0);
	len = 512;
	EQ(qcow2_lookup(q, 0, &len, &pos), QCOW2_PACKED);
	EQ(qcow2_read_packed(q, 0, &entry, 8), -E_QCOW2_TABLE);
	qcow2_close(q);
	io_close(good);
}

TEST(qcow2_hidden_of_xcpng_is_read)
{
	static const char *const names[] = { "xcpng-hidden0.qcow2", "xcpng-hidden1.qcow2" };

	for (int i = 0; i < 2; i++) {
		struct io *io = vec_open("qcow2", names[i]);
		struct qcow2 *q = NULL;

		if (io && EQ(qcow2_open(&q, io), 0))
			EQ(q->hidden, i);
		qcow2_close(q);
		io_close(io);
	}
}

TEST(inflate_reads_the_three_kinds_of_blocks_and_refuses_broken_ones)
{
	static const uint8_t kept[] = { 1, 3, 0, 0xfc, 0xff, 'a', 'b', 'c' };
	static const uint8_t fixed[] = {
		0x4b, 0x4c, 0x4a, 0x4e, 0x49, 0x4d, 0x4b, 0x04, 0x93, 0x00,
	};
	uint8_t out[64];

	EQ(inflate(kept, sizeof(kept), out, 3), 0);
	MEM_EQ(out, "abc", 3);
	EQ(inflate(kept, sizeof(kept), out, 2), 0);
	EQ(inflate(kept, sizeof(kept), out, 4), -E_QCOW2_DEFLATE);
	EQ(inflate(kept, sizeof(kept) - 1, out, 3), -E_QCOW2_DEFLATE);
	EQ(inflate(fixed, sizeof(fixed), out, 12), 0);
	MEM_EQ(out, "abcdefabcdef", 12);
	EQ(inflate((const uint8_t *)"\x07", 1, out, 1), -E_QCOW2_DEFLATE);	/* a fourth kind */
	EQ(inflate((const uint8_t *)"\x03\x02", 2, out, 9), -E_QCOW2_DEFLATE);	/* back too far */
	EQ(inflate(NULL, 0, out, 1), -E_QCOW2_DEFLATE);
	for (size_t n = 0; n < sizeof(fixed) - 1; n++)
		(void)!inflate(fixed, n, out, 12);
}
