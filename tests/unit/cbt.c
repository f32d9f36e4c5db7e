/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Logs of changed blocks, against what cbt-util and tapdisk wrote (tests/vectors/cbt). */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/cbt/cbt.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/io_test.h"
#include "tests/unit/t.h"

#define SIZE ((uint64_t)34 * MiB)

static struct io *vector(const char *name)
{
	char path[64];
	struct io *file, *io;
	uint8_t *all;

	snprintf(path, sizeof(path), "tests/vectors/cbt/%s.cbtlog", name);
	if (!OK(!io_open(&file, AT_FDCWD, path, 0)))
		exit(1);
	all = must_alloc((size_t)file->size);
	io = io_mem(file->size, CBT_LOG_MAX);
	EQ(io_read(file, 0, all, (size_t)file->size), 0);
	EQ(io_write(io, 0, all, (size_t)file->size), 0);
	free(all);
	io_close(file);
	return io;
}

static void same(struct io *got, const char *name)
{
	_io_close_ struct io *want = vector(name);
	uint8_t a[4096], b[4096];

	if (!EQ((long long)got->size, (long long)want->size))
		return;
	EQ(io_read(got, 0, a, (size_t)got->size), 0);
	EQ(io_read(want, 0, b, (size_t)want->size), 0);
	MEM_EQ(a, b, (size_t)got->size);
}

static void marked(struct cbt *c, const uint64_t *runs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		cbt_mark(c->bits, NULL, runs[2 * i] * 512, runs[2 * i + 1] * 512);
}

TEST(cbt_logs_are_those_of_cbt_util_and_tapdisk)
{
	static const uint64_t a[] = { 0, 1, 127, 2, 1024, 300, 69631, 1 }, b[] = { 256, 1, 40000, 4096 };
	static const char *const names[] = { "empty", "a", "b", "ab", "a-meta", "a-resized" };
	_io_close_ struct io *io = io_mem(0, CBT_LOG_MAX);
	__attribute__((cleanup(arena_free))) struct arena arena = { 0 };
	struct cbt c = { .size = SIZE, .n = cbt_bytes(SIZE) }, other, grown;

	EQ(cbt_create(io, &c), 0);
	same(io, "empty");
	EQ(cbt_read(io, &arena, &c), 0);
	other = c;
	other.bits = arena_alloc(&arena, c.n);
	marked(&c, a, 4);
	EQ(cbt_write_bits(io, &c, NULL), 0);
	same(io, "a");
	EQ((long long)cbt_count(&c), 6);
	marked(&other, b, 2);
	EQ(cbt_write_bits(io, &other, NULL), 0);
	same(io, "b");
	EQ(cbt_merge(&other, &c), 0);
	EQ(cbt_write_bits(io, &other, NULL), 0);
	same(io, "ab");
	uuid_parse(&c.parent, "11111111-2222-4333-8444-555555555555");
	uuid_parse(&c.child, "66666666-7777-4888-9999-aaaaaaaaaaaa");
	c.consistent = true;
	EQ(cbt_write_bits(io, &c, NULL), 0);
	EQ(cbt_write_head(io, &c), 0);
	same(io, "a-meta");
	grown = c;
	EQ(cbt_grow(io, &grown, 100 * MiB), 0);
	same(io, "a-resized");
	EQ(cbt_grow(io, &grown, SIZE), -E_CBT_LOG);
	EQ(cbt_read(io, &arena, &grown), 0);
	STR_EQ(grown.child.s, "66666666-7777-4888-9999-aaaaaaaaaaaa");
	OK(grown.consistent);
	EQ(cbt_merge(&c, &grown), -E_CBT_LOG);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_io_close_ struct io *v = vector(names[i]);
		uint8_t head[CBT_HEAD], again[CBT_HEAD];

		EQ(cbt_read(v, &arena, &c), 0);
		EQ(io_read(v, 0, head, sizeof(head)), 0);
		cbt_encode(&c, again);
		MEM_EQ(again, head, sizeof(head));
	}
}

TEST(cbt_what_is_no_log_is_refused)
{
	__attribute__((cleanup(arena_free))) struct arena a = { 0 };
	_io_close_ struct io *io = vector("a-meta");
	uint8_t head[CBT_HEAD];
	struct cbt c;

	EQ(io_read(io, 0, head, sizeof(head)), 0);
	EQ(cbt_decode(&c, head, 47), -E_SHORT);
	EQ(io_resize(io, io->size - 1), 0);
	EQ(cbt_read(io, &a, &c), -E_SHORT);
	EQ(cbt_read_head(io, &c), 0);
	head[32] = 2;					/* only 1 is yes */
	EQ(cbt_decode(&c, head, sizeof(head)), 0);
	OK(!c.consistent);
	memset(head + 40, 0, 8);
	EQ(cbt_decode(&c, head, sizeof(head)), -E_CBT_LOG);
	memset(head + 40, 0xff, 8);
	EQ(cbt_decode(&c, head, sizeof(head)), -E_CBT_LOG);
	OK(cbt_size_ok(2 * TiB - 24 * MiB));
	OK(!cbt_size_ok(2 * TiB - 24 * MiB + 1));
	EQ((long long)cbt_bytes(UINT64_MAX), (long long)1 << 45);
}

TEST(cbt_marks_each_block_that_a_write_touches)
{
	uint8_t bits[2 * CBT_CHUNK] = { 0 }, touched[2] = { 0 };
	struct cbt c = { .size = (uint64_t)2 * CBT_CHUNK * 8 * CBT_BLOCK, .n = sizeof(bits), .bits = bits };
	uint64_t at = 0, len;

	OK(!cbt_next(&c, &at, &len));
	cbt_mark(bits, touched, 5 * CBT_BLOCK, 0);
	EQ((long long)cbt_count(&c), 0);
	cbt_mark(bits, touched, CBT_BLOCK - 1, 1);
	EQ(bits[0], 1);
	cbt_mark(bits, touched, 9 * CBT_BLOCK - 1, 2);
	EQ(bits[1], 3);
	EQ(touched[0], 1);
	EQ(touched[1], 0);
	cbt_mark(bits, touched, c.size - 1, 1);
	EQ(touched[1], 1);
	OK(cbt_next(&c, &at, &len));
	EQ((long long)len, CBT_BLOCK);
	at += len;
	OK(cbt_next(&c, &at, &len));
	EQ((long long)at, 8 * CBT_BLOCK);
	EQ((long long)len, 2 * CBT_BLOCK);
	EQ((long long)cbt_count(&c), 4);
	cbt_mark_all(&c);
	OK(bits[0] == 0xff && bits[sizeof(bits) - 1] == 0xff);
	at = 0;
	OK(cbt_next(&c, &at, &len));
	EQ((long long)len, (long long)c.size);
}

TEST(cbt_sums_follow_a_disk_that_grows)
{
	__attribute__((cleanup(arena_free))) struct arena a = { 0 };
	struct cbt sum = { 0 }, one, two;

	one = (struct cbt){ .size = 8 * CBT_BLOCK, .n = 1, .bits = (uint8_t[]){ 0x05 } };
	two = (struct cbt){ .size = 17 * CBT_BLOCK, .n = 3, .bits = (uint8_t[]){ 0x02, 0, 0x01 } };
	EQ(cbt_add(&a, &sum, &one), 0);
	STR_EQ(cbt_publish(&a, &sum), "oA==");		/* 1010 0000 */
	EQ(cbt_add(&a, &sum, &two), 0);
	EQ(sum.bits[0], 7);
	STR_EQ(cbt_publish(&a, &sum), "4ACA");
	EQ(cbt_add(&a, &sum, &one), -E_CBT_LOG);
	sum.n = 2;
	STR_EQ(cbt_publish(&a, &sum), "4AA=");
	sum.n = 0;
	STR_EQ(cbt_publish(&a, &sum), "");
}

/* --- power cuts ------------------------------------------------------------------- */

struct sweep { size_t had, new, grown; };

/* Whatever arrives of it: all that was in the old log is, with its size or the new one. */
static void look_grown(struct io **files, size_t n, void *arg)
{
	struct sweep *s = arg;
	__attribute__((cleanup(arena_free))) struct arena a = { 0 };
	struct cbt c;
	int err = cbt_read(files[0], &a, &c);

	if (!EQ(err, 0))
		return;
	OK(c.size == SIZE || c.size == 100 * MiB);
	EQ((long long)cbt_count(&c), 6);
	OK(c.consistent);
	s->grown += c.size == 100 * MiB;
	s->had += c.size == SIZE;
}

TEST(cbt_growing_leaves_the_old_log_or_the_new)
{
	__attribute__((cleanup(arena_free))) struct arena a = { 0 };
	_io_close_ struct io *base = vector("a-meta");
	_io_close_ struct io *log = io_log(base);
	struct sweep s = { 0 };
	struct cbt c;

	EQ(cbt_read(log, &a, &c), 0);
	EQ(cbt_grow(log, &c, 100 * MiB), 0);
	OK(io_log_sweep(log, look_grown, &s) > 4);
	OK(s.grown && s.had);
}

/* The head says that it is whole only where the bits are. */
static void look_ended(struct io **files, size_t n, void *arg)
{
	struct sweep *s = arg;
	__attribute__((cleanup(arena_free))) struct arena a = { 0 };
	struct cbt c;

	EQ(cbt_read(files[0], &a, &c), 0);
	if (c.consistent)
		EQ((long long)cbt_count(&c), 544);
	s->new += c.consistent;
	s->had += !c.consistent;
}

TEST(cbt_a_log_is_whole_once_it_says_so)
{
	__attribute__((cleanup(arena_free))) struct arena a = { 0 };
	_io_close_ struct io *base = vector("a");
	_io_close_ struct io *log = io_log(base);
	struct sweep s = { 0 };
	struct cbt c;

	EQ(cbt_read(log, &a, &c), 0);
	cbt_mark_all(&c);
	c.consistent = true;
	EQ(cbt_write_bits(log, &c, NULL), 0);
	EQ(cbt_write_head(log, &c), 0);
	OK(io_log_sweep(log, look_ended, &s) > 2);
	OK(s.new && s.had);
}
