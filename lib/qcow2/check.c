/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/qcow2/check.h"
#include "lib/qcow2/header.h"

#define REFCOUNT_OFFSET	(~(uint64_t)511)

struct tally {
	struct qcow2 *q;
	struct qcow2_findings *f;
	struct qcow2_header_disk d;
	uint64_t cluster;	/* bytes */
	uint64_t n;		/* clusters of the file, the last one perhaps in part */
	uint16_t *uses;		/* found in the tables; sticks at the top */
	uint8_t *table;		/* a cluster of some table */
};

/* One more use of each cluster that the bytes lie in. */
static void use(struct tally *t, uint64_t at, uint64_t len)
{
	uint64_t first = at / t->cluster, last, end;

	if (!len || !add_ok(at, len - 1, &end) || end / t->cluster >= t->n) {
		t->f->bad += len != 0;
		return;
	}
	last = end / t->cluster;
	for (uint64_t i = first; i <= last; i++)
		if (t->uses[i] < UINT16_MAX)
			t->uses[i]++;
}

static void use_packed(struct tally *t, uint64_t entry)
{
	uint32_t x = 62 - (t->q->cluster_bits - 8);
	uint64_t at = entry & ((1ull << x) - 1);
	uint64_t sectors = (entry >> x & ((1ull << (62 - x)) - 1)) + 1;
	uint64_t len = sectors * 512 - at % 512;

	/* The sectors counted may reach past the end of the file: the last one is not padded. */
	if (at < t->q->io->size && len > t->n * t->cluster - at)
		len = t->n * t->cluster - at;
	use(t, at, len);
}

static int use_l2(struct tally *t, uint64_t at)
{
	size_t step = t->q->incompatible & QCOW2_EXTENDED_L2 ? 16 : 8;
	bool again = at / t->cluster < t->n && t->uses[at / t->cluster];
	int err;

	use(t, at, t->cluster);
	/* Read once only: a million entries may name one table, to keep us busy. */
	if (again || !range_ok(at, t->cluster, t->q->io->size))
		return 0;
	err = io_read(t->q->io, at, t->table, (size_t)t->cluster);
	for (size_t i = 0; i < t->cluster && !err; i += step) {
		const be64 *p = (const be64 *)(const void *)(t->table + i);
		uint64_t entry = be64_get(*p);

		if (entry & QCOW2_L2_PACKED)
			use_packed(t, entry);
		else if (entry & QCOW2_L2_RESERVED || (entry & QCOW2_OFFSET) % t->cluster)
			t->f->bad++;
		else if (entry & QCOW2_OFFSET)
			use(t, entry & QCOW2_OFFSET, t->cluster);
	}
	return err;
}

static int use_tables(struct tally *t)
{
	struct qcow2 *q = t->q;
	int err = 0;

	use(t, 0, t->cluster);
	use(t, q->l1_at, q->l1_size * 8ull);
	use(t, be64_get(t->d.refcount_at), be32_get(t->d.refcount_clusters) * t->cluster);
	for (uint32_t i = 0; i < q->l1_size && !err; i++) {
		uint64_t l1 = be64_get(q->l1[i]), at = l1 & QCOW2_OFFSET;

		if (l1 & QCOW2_L1_RESERVED || at % t->cluster)
			t->f->bad++;
		else if (at)
			err = use_l2(t, at);
	}
	return err;
}

/* The i-th count of a refcount block; counts below a byte fill it from the low end. */
static uint64_t count(const uint8_t *p, uint64_t i, uint32_t order)
{
	uint64_t v = 0;

	if (order < 3)
		return p[i >> (3 - order)] >> ((i << order) % 8) & ((1u << (1u << order)) - 1);
	for (uint32_t k = 0; k < 1u << (order - 3); k++)
		v = v << 8 | p[(i << (order - 3)) + k];
	return v;
}

static void compare(struct tally *t, uint64_t first, uint64_t n, const uint8_t *block,
		    uint32_t order)
{
	for (uint64_t i = 0; i < n && first + i < t->n; i++) {
		uint64_t counted = block ? count(block, i, order) : 0;

		t->f->clusters++;
		t->f->low += counted < t->uses[first + i];
		t->f->leaks += !t->f->partly && counted > t->uses[first + i];
	}
}

typedef int block_fn(struct tally *t, uint64_t at, uint64_t first, uint64_t n, uint32_t order);

static int use_block(struct tally *t, uint64_t at, uint64_t first, uint64_t n, uint32_t order)
{
	if (at % t->cluster)
		t->f->bad++;
	else if (at)
		use(t, at, t->cluster);
	return 0;
}

static int compare_block(struct tally *t, uint64_t at, uint64_t first, uint64_t n, uint32_t order)
{
	bool there = at && at % t->cluster == 0 && range_ok(at, t->cluster, t->q->io->size);
	int err = there ? io_read(t->q->io, at, t->table, (size_t)t->cluster) : 0;

	if (!err)
		compare(t, first, n, there ? t->table : NULL, order);
	return err;
}

/* Each refcount block that the file's clusters can need, there or not. */
static int for_each_block(struct tally *t, block_fn *fn)
{
	uint32_t order = t->q->version == 2 ? 4 : be32_get(t->d.refcount_order);
	uint64_t per = t->cluster * 8 >> order;
	uint64_t entries = be32_get(t->d.refcount_clusters) * t->cluster / 8;
	int err = 0;

	for (uint64_t i = 0; i * per < t->n && !err; i++) {
		be64 at = { { 0 } };

		if (i < entries)
			err = io_read(t->q->io, be64_get(t->d.refcount_at) + i * 8, &at, sizeof(at));
		if (!err)
			err = fn(t, be64_get(at) & REFCOUNT_OFFSET, i * per, per, order);
	}
	return err;
}

int qcow2_check(struct qcow2 *q, struct qcow2_findings *f)
{
	struct tally t = { .q = q, .f = f, .cluster = (uint64_t)1 << q->cluster_bits };
	size_t head = q->version == 2 ? QCOW2_V2_LEN : QCOW2_V3_LEN;
	int err = io_read(q->io, 0, &t.d, head);

	*f = (struct qcow2_findings){ .partly = q->n_snapshots || be64_get(t.d.autoclear) };
	t.n = q->io->size / t.cluster + !!(q->io->size % t.cluster);
	if (err)
		return err;
	if (t.n > QCOW2_CHECK_MAX)
		return -EFBIG;
	t.uses = must_alloc((size_t)t.n * sizeof(*t.uses));
	t.table = must_alloc((size_t)t.cluster);
	err = use_tables(&t);
	if (!err)
		err = for_each_block(&t, use_block);
	if (!err)
		err = for_each_block(&t, compare_block);
	free(t.uses);
	free(t.table);
	return err;
}
