/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <linux/dm-ioctl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "arch/linux/dm_impl.h"
#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "tests/unit/t.h"

static struct dm_target two[] = {
	{ 0, 8192, "linear", "7:0 2048" },
	{ 8192, 16384, "striped", "2 128 7:1 0 7:2 8" },
};
static const struct dm_table table = { two, 2 };

TEST(dm_devices_in_the_kernels_word)
{
	EQ((long long)dm_dev_put(makedev(254, 3)), 254 << 8 | 3);
	EQ((long long)dm_dev_put(makedev(8, 0x123)), 0x100000 | 8 << 8 | 0x23);
	OK(dm_dev_get(dm_dev_put(makedev(259, 70000))) == makedev(259, 70000));
}

/* The distance to the next one is counted differently in each direction. */
static void as_the_kernel_answers(struct buf *b)
{
	uint32_t at = 0;

	while (at < b->n) {
		struct dm_target_spec s;

		memcpy(&s, b->p + at, sizeof(s));
		s.next += at;
		memcpy(b->p + at, &s, sizeof(s));
		at = s.next;
	}
}

TEST(dm_table_to_the_kernel_and_back)
{
	_buf_free_ struct buf b = { 0 };
	struct arena a = { 0 };
	struct dm_target_spec s;
	struct dm_table t;

	EQ(dm_table_encode(&b, &table), 0);
	EQ((long long)b.n % 8, 0);
	memcpy(&s, b.p, sizeof(s));
	EQ((long long)s.next, 40 + 16);		/* "7:0 2048" and its NUL, rounded up */
	memcpy(&s, b.p + s.next, sizeof(s));
	EQ((long long)s.sector_start, 8192);
	EQ((long long)s.next, 40 + 24);
	as_the_kernel_answers(&b);
	EQ(dm_table_decode(&a, (struct view){ b.p, b.n }, 2, &t), 0);
	OK(dm_table_equal(&t, &table));
	EQ(dm_table_decode(&a, (struct view){ b.p, b.n }, 1, &t), 0);
	OK(!dm_table_equal(&t, &table));
	arena_free(&a);
}

TEST(dm_table_that_is_cut_off_is_refused_at_every_length)
{
	_buf_free_ struct buf b = { 0 };
	struct arena a = { 0 };
	struct dm_table t;

	dm_table_encode(&b, &table);
	as_the_kernel_answers(&b);
	for (size_t n = 0; n < b.n; n++) {
		void *copy = must_alloc(n + 1);
		int err;

		memcpy(copy, b.p, n);
		err = dm_table_decode(&a, (struct view){ copy, n }, 2, &t);
		/* Only the padding behind the last string may be missing. */
		OK(err == -EPROTO || n > b.n - 8);
		free(copy);
	}
	EQ(dm_table_decode(&a, (struct view){ b.p, b.n }, 0xffffffff, &t), -EPROTO);
	arena_free(&a);
}

TEST(dm_table_that_cannot_be_sent)
{
	_buf_free_ struct buf b = { 0 };
	struct dm_target bad = { 0, 8, "sixteen-letters-", "" };

	EQ(dm_table_encode(&b, &(struct dm_table){ 0 }), -EINVAL);
	EQ(dm_table_encode(&b, &(struct dm_table){ &bad, 1 }), -EINVAL);
	bad.type = "";
	EQ(dm_table_encode(&b, &(struct dm_table){ &bad, 1 }), -EINVAL);
}

TEST(dm_table_as_text)
{
	_buf_free_ struct buf b = { 0 };
	struct arena a = { 0 };
	struct dm_table t;

	dm_table_print(&table, &b);
	STR_EQ(buf_str(&b), "0 8192 linear 7:0 2048\n8192 16384 striped 2 128 7:1 0 7:2 8\n");
	EQ(dm_table_parse(&a, b.p, &t), 0);
	OK(dm_table_equal(&t, &table));
	EQ(dm_table_parse(&a, "\n 0\t8 zero \n\n", &t), 0);
	EQ((long long)t.n, 1);
	STR_EQ(t.target[0].type, "zero");
	STR_EQ(t.target[0].params, "");
	arena_free(&a);
}

TEST(dm_table_text_that_is_none)
{
	static const char *const bad[] = {
		"", "\n\n", "0", "0 8", "0 8 ", "x 8 zero", "0 8zero", "-1 8 zero",
		"0 99999999999999999999 zero", "0 8 sixteen-letters-", "0 8 zero\n8",
	};
	struct arena a = { 0 };
	struct dm_table t;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		EQ(dm_table_parse(&a, bad[i], &t), -E_DM_TABLE);
	arena_free(&a);
}

/* A record as the kernel of the given age writes it; returns where the next begins. */
static void record(struct buf *b, dev_t dev, const char *name, const char *uuid, bool last)
{
	static const char zero[8] = "";
	size_t start = b->n;
	struct dm_name_list rec = { .dev = dm_dev_put(dev) };
	uint32_t event[2] = { 7, uuid && *uuid ? 1 : 2 };

	buf_add(b, &rec, offsetof(struct dm_name_list, name));
	buf_add(b, name, strlen(name) + 1);
	buf_add(b, zero, (8 - b->n % 8) % 8);
	buf_add(b, event, uuid ? 8 : 4);
	if (uuid && *uuid)
		buf_add(b, uuid, strlen(uuid) + 1);
	buf_add(b, zero, (8 - b->n % 8) % 8);
	rec.next = last ? 0 : (uint32_t)(b->n - start);
	memcpy(b->p + start, &rec, offsetof(struct dm_name_list, name));
}

TEST(dm_list_with_and_without_uuids)
{
	struct arena a = { 0 };
	struct buf b = { 0 };
	struct dm_entry *v;
	bool has;
	size_t n;

	record(&b, makedev(254, 0), "vg-a\\x20b", "LVM-x", false);
	record(&b, makedev(254, 1), "b", "", true);
	EQ(dm_list_decode(&a, (struct view){ b.p, b.n }, 47, &v, &n, &has), 0);
	EQ((long long)n, 2);
	OK(has);
	STR_EQ(v[0].name, "vg-a b");
	STR_EQ(v[0].uuid, "LVM-x");
	STR_EQ(v[1].name, "b");
	STR_EQ(v[1].uuid, "");
	OK(v[1].dev == makedev(254, 1));
	for (size_t cut = 0; cut < 24; cut++)
		EQ(dm_list_decode(&a, (struct view){ b.p, cut }, 47, &v, &n, &has), -EPROTO);

	buf_reset(&b);
	record(&b, makedev(253, 0), "old", NULL, true);
	EQ(dm_list_decode(&a, (struct view){ b.p, b.n }, 39, &v, &n, &has), 0);
	EQ((long long)n, 1);
	OK(!has);

	buf_reset(&b);
	memset(buf_room(&b, 16), 0, 16);
	EQ(dm_list_decode(&a, (struct view){ b.p, 16 }, 47, &v, &n, &has), 0);
	EQ((long long)n, 0);
	buf_free(&b);
	arena_free(&a);
}

TEST(dm_deps_are_counted)
{
	struct { uint32_t count, padding; uint64_t dev[2]; } in = {
		2, 0, { dm_dev_put(makedev(7, 0)), dm_dev_put(makedev(8, 17)) },
	};
	struct arena a = { 0 };
	dev_t *devs;
	size_t n;

	EQ(dm_deps_decode(&a, (struct view){ &in, sizeof(in) }, &devs, &n), 0);
	EQ((long long)n, 2);
	OK(devs[1] == makedev(8, 17));
	in.count = 3;
	EQ(dm_deps_decode(&a, (struct view){ &in, sizeof(in) }, &devs, &n), -EPROTO);
	EQ(dm_deps_decode(&a, (struct view){ &in, 7 }, &devs, &n), -EPROTO);
	arena_free(&a);
}
