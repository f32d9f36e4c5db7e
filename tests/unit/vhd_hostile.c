/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every field a stranger may have set, and what must come of it. */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/vhd/batmap.h"
#include "lib/io_test.h"
#include "lib/vhd/check.h"
#include "lib/vhd/create.h"
#include "lib/vhd/edit.h"
#include "lib/vhd/locator.h"
#include "lib/vhd/parent.h"
#include "lib/vhd/resize.h"
#include "lib/vhd/vhd.h"
#include "tests/unit/vhd_util.h"

enum part { FOOTERS, PRIMARY, BACKUP, HEADER, TABLE, BATMAP, TEXT };

struct hostile {
	const char *name;
	enum part part;
	size_t at, n;		/* bytes changed within that part */
	uint64_t value;		/* big endian */
	int rd, rw;		/* of opening to read and to write */
};

static const struct hostile cases[] = {
	{ "cookie", FOOTERS, 0, 8, 0x1122334455667788, -E_VHD_MAGIC, -E_VHD_MAGIC },
	{ "version 2.0", FOOTERS, 12, 4, 0x00020000, -E_VHD_VERSION, -E_VHD_VERSION },
	{ "tap 0.1", FOOTERS, 32, 4, 1, -E_VHD_VERSION, -E_VHD_VERSION },
	{ "tap 1.4", FOOTERS, 32, 4, 0x00010004, -E_VHD_VERSION, -E_VHD_VERSION },
	{ "size -512", FOOTERS, 48, 8, UINT64_MAX - 511, -E_VHD_SIZE, -E_VHD_SIZE },
	{ "size 2040 GiB + 512", FOOTERS, 48, 8, 2190433321472, -E_VHD_SIZE, -E_VHD_SIZE },
	{ "size not whole sectors", FOOTERS, 48, 8, 4 * MiB + 1, -E_VHD_SIZE, -E_VHD_SIZE },
	{ "size beyond the table", FOOTERS, 48, 8, 2040 * GiB,
	  -E_VHD_TABLE_SMALL, -E_VHD_TABLE_SMALL },
	{ "size 0", FOOTERS, 48, 8, 0, 0, 0 },
	{ "type 0", FOOTERS, 60, 4, 0, -E_VHD_TYPE, -E_VHD_TYPE },
	{ "type 5", FOOTERS, 60, 4, 5, -E_VHD_TYPE, -E_VHD_TYPE },
	{ "header at 0", FOOTERS, 16, 8, 0, -E_VHD_HEADER_AT, -E_VHD_HEADER_AT },
	{ "header at 511", FOOTERS, 16, 8, 511, -E_VHD_HEADER_AT, -E_VHD_HEADER_AT },
	{ "header unaligned", FOOTERS, 16, 8, 513, -E_VHD_HEADER_AT, -E_VHD_HEADER_AT },
	{ "header past the end", FOOTERS, 16, 8, 1 * GiB, -E_VHD_HEADER_AT, -E_VHD_HEADER_AT },
	{ "header negative", FOOTERS, 16, 8, UINT64_MAX - 511, -E_VHD_HEADER_AT, -E_VHD_HEADER_AT },
	{ "header elsewhere", FOOTERS, 16, 8, 1536, -E_VHD_HEADER_MAGIC, -E_VHD_HEADER_MAGIC },
	{ "hidden 0xff", FOOTERS, 85, 1, 0xff, 0, 0 },
	{ "saved 7", FOOTERS, 84, 1, 7, 0, 0 },
	{ "features", FOOTERS, 8, 4, UINT32_MAX, 0, 0 },
	{ "reserved", FOOTERS, 300, 8, UINT64_MAX, 0, 0 },
	{ "time", FOOTERS, 24, 4, UINT32_MAX, 0, 0 },
	{ "geometry", FOOTERS, 56, 4, UINT32_MAX, 0, 0 },
	{ "footers that differ", BACKUP, 48, 8, 4 * MiB, 0, -E_VHD_FOOTERS },
	{ "backup that is none", BACKUP, 0, 8, 0, 0, -E_VHD_FOOTERS },
	{ "primary that is none", PRIMARY, 0, 8, 0, 0, -E_VHD_FOOTERS },
	{ "poison", PRIMARY, 0, 8, 0x765f706f69736f6e, -E_VHD_POISON, -E_VHD_POISON },
	{ "header cookie", HEADER, 0, 8, 0, -E_VHD_HEADER_MAGIC, -E_VHD_HEADER_MAGIC },
	{ "header data offset", HEADER, 8, 8, 0, -E_VHD_HEADER, -E_VHD_HEADER },
	{ "header version", HEADER, 24, 4, 0, -E_VHD_HEADER, -E_VHD_HEADER },
	{ "table at 0", HEADER, 16, 8, 0, -E_VHD_TABLE, -E_VHD_TABLE },
	{ "table over the header", HEADER, 16, 8, 1024, -E_VHD_TABLE, -E_VHD_TABLE },
	{ "table over the backup", HEADER, 16, 8, 256, -E_VHD_TABLE, -E_VHD_TABLE },
	{ "table unaligned", HEADER, 16, 8, 1537, -E_VHD_TABLE, -E_VHD_TABLE },
	{ "table past the end", HEADER, 16, 8, 1 * TiB, -E_VHD_TABLE, -E_VHD_TABLE },
	{ "table wraps", HEADER, 16, 8, UINT64_MAX - 511, -E_VHD_TABLE, -E_VHD_TABLE },
	{ "table of 16 GiB", HEADER, 28, 4, UINT32_MAX, -E_VHD_TABLE, -E_VHD_TABLE },
	{ "table over the blocks", HEADER, 28, 4, 1 << 18, 0, -E_VHD_ENTRY },
	{ "table whose length wraps", HEADER, 28, 4, 1 << 30, -E_VHD_TABLE, -E_VHD_TABLE },
	{ "table of no entries", HEADER, 28, 4, 0, -E_VHD_TABLE_SMALL, -E_VHD_TABLE_SMALL },
	{ "block size 0", HEADER, 32, 4, 0, -E_VHD_BLOCK_SIZE, -E_VHD_BLOCK_SIZE },
	{ "block size odd", HEADER, 32, 4, 0x200001, -E_VHD_BLOCK_SIZE, -E_VHD_BLOCK_SIZE },
	{ "block size 512 KiB", HEADER, 32, 4, 0x80000, -E_VHD_BLOCK_SIZE, -E_VHD_BLOCK_SIZE },
	{ "locator code", HEADER, 576, 4, 0x61626364, -E_VHD_LOCATOR, -E_VHD_LOCATOR },
	{ "entry over the header", TABLE, 0, 4, 1, 0, -E_VHD_ENTRY },
	{ "entry over the table", TABLE, 0, 4, 3, 0, -E_VHD_ENTRY },
	{ "entry past the end", TABLE, 0, 4, 0x100000, 0, -E_VHD_ENTRY },
	{ "entry that is almost unused", TABLE, 0, 4, 0xfffffffe, 0, -E_VHD_ENTRY },
	{ "entry over the footer", TABLE, 4, 4, 4120, 0, -E_VHD_ENTRY },
	{ "entries that overlap", TABLE, 4, 4, 4111, 0, -E_VHD_ENTRY },
	{ "batmap cookie", BATMAP, 0, 8, 0, 0, 0 },
	{ "batmap far away", BATMAP, 8, 8, UINT64_MAX - 511, 0, 0 },
	{ "batmap over the header", BATMAP, 8, 8, 512, 0, 0 },
	{ "batmap of size 0", BATMAP, 16, 4, 0, 0, 0 },
	{ "batmap of 2 TiB", BATMAP, 16, 4, UINT32_MAX, 0, 0 },
	{ "batmap version", BATMAP, 20, 4, 0x00020000, 0, 0 },
	{ "batmap sum", BATMAP, 24, 4, 0, 0, 0 },
	{ "locator length", HEADER, 576 + 8, 4, UINT32_MAX, 0, 0 },
	{ "locator space", HEADER, 576 + 4, 4, 0x80000000, 0, 0 },
	{ "locator space odd", HEADER, 576 + 4, 4, 513, 0, 0 },
	{ "locator offset", HEADER, 576 + 16, 8, UINT64_MAX - 100, 0, 0 },
	{ "locator over the footer's copy", HEADER, 576 + 16, 8, 0, 0, 0 },
	{ "no parent id", HEADER, 40, 8, 0, 0, 0 },
};

/* A differencing image of 6 MiB with the blocks 0 and 1 in use. */
static struct io *new_victim(void)
{
	struct vhd_create how = {
		.type = VHD_DIFF, .size = 6 * MiB, .max_size = 8 * MiB, .uuid = { 1, 2, 3 },
		.parent_path = "./parent.vhd", .parent_uuid = { 7 },
	};
	struct io *io = io_mem(0, 64 * MiB);
	struct vhd *v = NULL;
	uint8_t b[512] = { 1 };

	EQ(vhd_create(io, &how), 0);
	EQ(vhd_open(&v, io, VHD_RDWR), 0);
	EQ(vhd_write(v, 0, b, 512), 0);
	EQ(vhd_write(v, 2 * MiB, b, 512), 0);
	EQ(vhd_finish(v), 0);
	vhd_close(v);
	return io;
}

static void put_be(uint8_t *p, uint64_t v, size_t n)
{
	while (n--) {
		p[n] = (uint8_t)v;
		v >>= 8;
	}
}

/* Change a structure and give it the sum that fits, as an attacker would. */
static void spoil(struct io *io, uint64_t at, size_t len, size_t sum_at, const struct hostile *h)
{
	uint8_t b[1024];

	EQ(io_read(io, at, b, len), 0);
	put_be(b + h->at, h->value, h->n);
	if (sum_at) {
		put_be(b + sum_at, 0, 4);
		put_be(b + sum_at, vhd_sum(b, len), 4);
	}
	EQ(io_write(io, at, b, len), 0);
}

static void apply(struct io *io, const struct hostile *h)
{
	uint64_t end = io->size - 512;

	if (h->part == FOOTERS || h->part == PRIMARY)
		spoil(io, end, 512, 64, h);
	if (h->part == FOOTERS || h->part == BACKUP)
		spoil(io, 0, 512, 64, h);
	if (h->part == HEADER)
		spoil(io, 512, 1024, 36, h);
	if (h->part == TABLE)
		spoil(io, 1536, 512, 0, h);
	if (h->part == BATMAP)
		spoil(io, 2048, 512, 0, h);
}

/* Whatever opened must be readable without harm: data, or an error for the block. */
static void read_all(struct vhd *v, bool bad_ok)
{
	uint8_t *p = must_alloc(64 << 10);

	for (uint64_t at = 0; at < v->footer.size; at += 64 << 10) {
		int err = vhd_read_alone(v, at, p, 64 << 10);

		OK(!err || (bad_ok && err == -E_VHD_BLOCK));
	}
	free(p);
}

TEST(vhd_hostile_fields_are_refused_ignored_or_kept_from_writing)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct hostile *h = &cases[i];
		struct io *io = new_victim();
		struct arena a = { 0 };
		struct vhd_findings f = { .arena = &a };
		struct vhd *v = NULL;
		int err;

		apply(io, h);
		err = vhd_open(&v, io, 0);
		t_eq(h->name, 0, "open to read", err, h->rd);
		if (!err)
			read_all(v, h->rw == -E_VHD_ENTRY);
		vhd_close(v);
		v = NULL;
		err = vhd_open(&v, io, VHD_RDWR);
		t_eq(h->name, 0, "open to write", err, h->rw);
		if (!err)
			EQ(vhd_finish(v), 0);
		vhd_close(v);
		EQ(vhd_check(io, VHD_CHECK_BITMAPS, 800000000, &f), 0);
		if (h->rd || h->rw == -E_VHD_ENTRY)
			t_ok(h->name, 0, "check calls it damage", f.worst == VHD_DAMAGE);
		arena_free(&a);
		io_close(io);
	}
}

TEST(vhd_block_with_a_bad_entry_answers_eio_and_the_others_are_read)
{
	struct hostile dup = { .part = TABLE, .at = 4, .n = 4, .value = 15 };
	struct io *io = new_victim();
	struct vhd *v = NULL;
	uint8_t b[512];

	apply(io, &dup);			/* the same place twice: neither can be believed */
	EQ(vhd_open(&v, io, 0), 0);
	EQ(v->n_bad, 2);
	EQ(vhd_read_alone(v, 0, b, 512), -E_VHD_BLOCK);
	EQ(err_kind(-E_VHD_BLOCK), -EIO);
	EQ(vhd_read_alone(v, 2 * MiB, b, 512), -E_VHD_BLOCK);
	EQ(vhd_read_alone(v, 4 * MiB, b, 512), 0);
	vhd_close(v);
	EQ(vhd_repair(io, NULL), -E_VHD_ENTRY);
	io_close(io);
}

TEST(vhd_that_was_cut_off_reads_as_far_as_it_goes)
{
	struct io *io = vec_open("vhd", "truncated-data.vhd");
	struct vhd *v = NULL;
	uint32_t last = 0;
	uint8_t b[512];

	if (!io)
		return;
	EQ(vhd_open(&v, io, 0), 0);
	OK(v->degraded);
	EQ(v->n_bad, 1);
	for (uint32_t i = 0; i < v->n_blocks; i++)
		if (vhd_in_use(vhd_entry(v, i)) && (!last || vhd_entry(v, i) > vhd_entry(v, last)))
			last = i;
	EQ(vhd_read_alone(v, (uint64_t)last * VHD_BLOCK, b, 512), 0);
	vhd_close(v);
	io_close(io);
}

/* The footer stands where the rest of the last block would be: it must not show when that grows. */
TEST(vhd_whose_last_block_ends_with_the_disk_grows_all_the_same)
{
	for (int how = 0; how < 3; how++) {
		struct vhd_create c = { .type = VHD_DYNAMIC, .size = 3 * MiB, .uuid = { 1 } };
		struct io *io = io_mem(0, 64 * MiB), *journal = io_mem(0, 64 * MiB);
		uint8_t b[1024], footer[512], *p = must_alloc((size_t)MiB);
		struct vhd *v = NULL;
		uint64_t cut;

		c.max_size = how ? 64 * MiB : 0;
		memset(p, 7, (size_t)MiB);
		EQ(vhd_create(io, &c), 0);
		EQ(vhd_open(&v, io, VHD_RDWR), 0);
		EQ(vhd_write(v, 2 * MiB, p, (size_t)MiB), 0);
		EQ(vhd_finish(v), 0);
		cut = vhd_entry(v, 1) * VHD_SECTOR + VHD_SECTOR + 1 * MiB;
		vhd_close(v);
		EQ(io_read(io, io->size - 512, footer, 512), 0);
		memset(b, 0xff, 512);
		EQ(io_write(io, cut - 1 * MiB - 512, b, 512), 0);	/* qemu's: all bits */
		EQ(io_write(io, cut, footer, 512), 0);
		EQ(io_resize(io, cut + 512), 0);

		EQ(vhd_open(&v, io, VHD_RDWR), 0);
		EQ(v->n_bad, 0);
		if (how == 2)
			EQ(vhd_write(v, 0, p, 512), 0);		/* the file grows before the disk */
		EQ(vhd_resize(v, how ? 8 * MiB : 600 * MiB, journal), 0);
		EQ(vhd_finish(v), 0);
		vhd_close(v);
		EQ(vhd_open(&v, io, VHD_RDWR), 0);
		EQ(vhd_read_alone(v, 3 * MiB - 512, b, 1024), 0);
		EQ(b[511], 7);
		OK(is_zero(b + 512, 512));
		vhd_close(v);
		io_close(io);
		io_close(journal);
		free(p);
	}
}

/* Between the two footers nothing but the copy speaks of the new size, and the next change goes on. */
TEST(vhd_resize_that_died_needs_no_repair)
{
	bool died = true, differed = false;

	for (size_t n = 1; died; n++) {
		struct io *io = new_victim(), *fault = io_fault(io, n, -EIO, false);
		uint64_t old, size;
		struct vhd *v = NULL;

		EQ(vhd_open(&v, io, VHD_RDWR), 0);
		old = v->footer.size;
		v->io = fault;
		died = vhd_resize(v, old + VHD_BLOCK, NULL);
		vhd_close(v);
		v = NULL;
		EQ(vhd_open(&v, io, 0), 0);
		differed |= v->differ;
		vhd_close(v);
		v = NULL;
		EQ(vhd_open_settled(&v, io), 0);
		size = v->footer.size;
		OK(size == old || size == old + VHD_BLOCK);
		vhd_close(v);
		v = NULL;
		EQ(vhd_open(&v, io, VHD_RDWR), 0);
		EQ(v->footer.size, size);
		vhd_close(v);
		io_close(fault);
		io_close(io);
	}
	OK(differed);
}

/* Relinking writes one sector of the header, and the checksum is of both. */
TEST(vhd_with_odd_reserved_fields_is_relinked_and_keeps_them)
{
	static const size_t at[] = { 60, 576 + 24 + 12, 576 + 24 + 4, 1000 };

	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		struct hostile h = { .part = HEADER, .at = at[i], .n = 4, .value = 0x12345 };
		struct io *io = new_victim();
		struct vhd *v = NULL;
		be32 got;

		apply(io, &h);
		EQ(vhd_open(&v, io, VHD_RDWR), 0);
		EQ(vhd_reparent(v, "./tnerap.vhd", (uint8_t[16]){ 9 }, 1),
		   at[i] == 604 ? -E_VHD_LOCATOR : 0);
		vhd_close(v);
		EQ(vhd_open(&v, io, VHD_RDWR), 0);
		EQ(v && v->header.parent_uuid[0] == 9, at[i] != 604);
		vhd_close(v);
		EQ(io_read(io, 512 + at[i], &got, sizeof(got)), 0);
		EQ(be32_get(got), 0x12345);
		io_close(io);
	}
}

TEST(vhd_text_of_strangers_is_refused_when_it_is_not_text)
{
	char path[VHD_PATH_MAX];

	EQ(vhd_locator_path(VHD_CODE_W2RU, ".\0\\\0a\0", 6, path), 0);
	STR_EQ(path, "./a");
	EQ(vhd_locator_path(VHD_CODE_W2KU, "C\0:\0\\\0a\0\0\0", 10, path), 0);
	STR_EQ(path, "/a");
	EQ(vhd_locator_path(VHD_CODE_MACX, "file://./a", 10, path), 0);
	STR_EQ(path, "./a");
	EQ(vhd_locator_path(VHD_CODE_W2RU, "a\0\n\0", 4, path), -E_VHD_PARENT_NAME);
	EQ(vhd_locator_path(VHD_CODE_W2RU, "a\0\0\0b\0", 6, path), -E_VHD_PARENT_NAME);
	EQ(vhd_locator_path(VHD_CODE_W2RU, "a\0\x00\xd8", 4, path), -E_VHD_PARENT_NAME);
	EQ(vhd_locator_path(VHD_CODE_W2RU, "\x00\xdc\x00\xdc", 4, path), -E_VHD_PARENT_NAME);
	EQ(vhd_locator_path(VHD_CODE_W2RU, "\x3d\xd8\x00\xde", 4, path), 0);
	STR_EQ(path, "\xf0\x9f\x98\x80");
	EQ(vhd_locator_path(VHD_CODE_W2RU, "a\0b", 3, path), -E_VHD_PARENT_NAME);
	EQ(vhd_locator_path(VHD_CODE_MACX, "file://a/", 9, path), -E_VHD_PARENT_NAME);
	EQ(vhd_locator_path(VHD_CODE_MACX, "a\x1b[2J", 5, path), -E_VHD_PARENT_NAME);
	EQ(vhd_locator_path(VHD_CODE_MACX, "a\xff", 2, path), -E_VHD_PARENT_NAME);
	EQ(vhd_locator_path(VHD_CODE_MAC, "a", 1, path), -E_VHD_PARENT_NAME);
	EQ(vhd_locator_path(VHD_CODE_MACX, "", 0, path), -E_VHD_PARENT_NAME);
}

TEST(vhd_batmap_bits_of_unused_blocks_are_forgotten_before_writing)
{
	struct io *io = new_victim();
	struct vhd *v = NULL;
	uint8_t b[512] = { 5 };

	EQ(vhd_open(&v, io, VHD_RDWR), 0);
	v->batmap.bits[0] |= 0x20;		/* block 2, not in use */
	v->batmap.dirty = true;
	EQ(vhd_finish(v), 0);
	vhd_close(v);
	EQ(vhd_open(&v, io, VHD_RDWR), 0);
	EQ(vhd_batmap_get(v, 2), false);
	EQ(vhd_write(v, 4 * MiB, b, 512), 0);
	EQ(vhd_read_alone(v, 4 * MiB + 512, b, 512), 0);
	EQ(b[0], 0);
	vhd_close(v);
	io_close(io);
}

/* --- chains -------------------------------------------------------------- */

static int itself(void *arg, const struct image_parent *want, struct io **io, enum image_format *f)
{
	*f = IMAGE_VHD;
	return io_window(io, arg, 0, ((struct io *)arg)->size);
}

TEST(vhd_that_is_its_own_parent_is_a_loop)
{
	struct io *io = new_victim(), *window = NULL;
	struct vhd_create how = {
		.type = VHD_DIFF, .size = 2 * MiB, .uuid = { 7 }, .parent_uuid = { 7 },
		.parent_path = "./me.vhd",
	};
	struct image *im = NULL;

	EQ(vhd_create(io, &how), 0);
	EQ(io_window(&window, io, 0, io->size), 0);
	EQ(image_open(&im, window, IMAGE_VHD, 0, itself, io), -E_IMAGE_LOOP);
	io_close(io);
}

static int endless(void *arg, const struct image_parent *want, struct io **io, enum image_format *f)
{
	uint32_t *n = arg;
	struct vhd_create how = {
		.type = VHD_DIFF, .size = 2 * MiB, .parent_path = "./next.vhd",
	};

	*io = io_mem(0, 1 * MiB);
	memcpy(how.uuid, want->uuid, 16);
	++*n;
	memcpy(how.parent_uuid, n, sizeof(*n));
	how.parent_uuid[15] = 1;
	*f = IMAGE_VHD;
	return vhd_create(*io, &how);
}

TEST(vhd_chain_without_end_is_refused)
{
	struct image *im = NULL;
	uint32_t n = 0;

	EQ(image_open(&im, new_victim(), IMAGE_VHD, 0, endless, &n), -E_IMAGE_DEEP);
	EQ(n, IMAGE_DEPTH_MAX);
}

static int a_raw_one(void *arg, const struct image_parent *want, struct io **io,
		     enum image_format *f)
{
	*f = IMAGE_RAW;
	*io = io_mem(1 * MiB, 0);
	return 0;
}

TEST(vhd_parent_must_be_what_the_child_says)
{
	struct io *other = new_victim();
	struct image *im = NULL;
	uint8_t b[512];

	EQ(image_open(&im, new_victim(), IMAGE_VHD, 0, itself, other), -E_IMAGE_LOOP);
	EQ(image_open(&im, new_victim(), IMAGE_VHD, 0, a_raw_one, NULL), -E_VHD_PARENT_UUID);
	EQ(image_open(&im, new_victim(), IMAGE_VHD, 0, NULL, NULL), 0);
	OK(im->cut && im->n == 1);
	STR_EQ(im->parent.paths[0], "./parent.vhd");
	EQ(image_read(im, 0, b, 512), 0);
	EQ(image_read(im, 512, b, 512), -E_IMAGE_PARENT);
	image_close(im);
	io_close(other);
}

TEST(vhd_repair_mends_footers_batmap_and_id)
{
	static const char *const names[] = {
		"footer-missing.vhd", "footer-killed.vhd", "footer-zeroed.vhd", "footer-short.vhd",
		"footer-badsum.vhd", "backup-badsum.vhd", "batmap-badsum.vhd", "footer-ok.vhd",
	};
	static const uint8_t id[16] = { 0xab };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct io *io = vec_open("vhd", names[i]);
		struct arena a = { 0 };
		struct vhd_findings f = { .arena = &a };
		struct image *im = NULL;
		char hex[65];

		if (!io)
			return;
		t_eq(names[i], 0, "repair", vhd_repair(io, id), 0);
		EQ(vhd_check(io, VHD_CHECK_BITMAPS, 0, &f), 0);
		for (size_t k = 0; k < f.n; k++)
			t_str_eq(names[i], 0, "finding", f.v[k].what, "none");
		EQ(image_open(&im, io, IMAGE_VHD, IMAGE_RDWR, NULL, NULL), 0);
		EQ(im->levels[0].vhd->batmap.state, BATMAP_GOOD);
		EQ(hash_blocks(im, hex), 0);
		image_close(im);
		arena_free(&a);
	}
}

/* What a guest writes last lies where the footer was, until the image is closed. */
TEST(vhd_footer_written_by_the_guest)
{
	static const uint64_t sizes[] = { 1 * TiB, UINT64_MAX };
	struct vhd_create how = { .type = VHD_DYNAMIC, .size = 4 * MiB, .uuid = "0123456789abcde" };
	struct io *io = io_mem(0, 16 * MiB);
	struct vhd_footer_disk d;
	struct vhd *v = NULL;

	EQ(vhd_create(io, &how), 0);
	EQ(vhd_open(&v, io, VHD_RDWR), 0);
	EQ(vhd_write(v, VHD_BLOCK - 512, (char[512]){ 1 }, 512), 0);
	EQ(vhd_finish(v), 0);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct vhd_footer f = v->footer;

		memcpy(f.uuid, "somebody else's", 16);
		f.size = sizes[i];
		f.header_at = 4096;
		vhd_footer_encode(&f, &d);
		EQ(io_resize(io, vhd_physical_size(v) - 512), 0);
		EQ(io_write(io, io->size - 512, &d, 512), 0);
		vhd_close(v);
		v = NULL;
		EQ(vhd_open(&v, io, VHD_RDWR), -E_VHD_FOOTERS);
		if (!EQ(vhd_open(&v, io, 0), 0))
			return;
		EQ(v->footer.size, 4 * MiB);
		EQ(v->footer.header_at, 512);
		OK(v->degraded);
	}
	vhd_close(v);
	EQ(vhd_repair(io, NULL), 0);
	EQ(vhd_open(&v, io, VHD_RDWR), 0);
	MEM_EQ(v->footer.uuid, how.uuid, 16);
	EQ(v->footer.size, 4 * MiB);
	vhd_close(v);
	io_close(io);
}
