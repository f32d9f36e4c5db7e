/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/kconfig.h"
#include "lib/qcow2/header.h"
#include "lib/qcow2/inflate.h"
#include "lib/qcow2/qcow2.h"
#include "lib/qcow2/zstd.h"

/* What the tables say about one subcluster; without extended entries a cluster is one. */
struct answer {
	enum qcow2_where where;
	uint64_t pos;
};

static bool is_extended(const struct qcow2 *q)
{
	return q->incompatible & QCOW2_EXTENDED_L2;
}

static uint64_t cluster(const struct qcow2 *q)
{
	return (uint64_t)1 << q->cluster_bits;
}

static uint64_t per_table(const struct qcow2 *q)
{
	return cluster(q) / (is_extended(q) ? 16 : 8);
}

static uint64_t sub_len(const struct qcow2 *q)
{
	return is_extended(q) ? cluster(q) / 32 : cluster(q);
}

/* The piece of an L2 table that holds the byte at `at` of the file. */
static int slice(struct qcow2 *q, uint64_t at, const uint8_t **p)
{
	uint64_t unit = cluster(q) < QCOW2_SLICE ? cluster(q) : QCOW2_SLICE;
	uint64_t start = at - at % unit;
	struct qcow2_slice *s = NULL;
	int err;

	for (uint32_t i = 0; i < QCOW2_SLICES && !s; i++)
		if (q->slices[i].at == start)
			s = &q->slices[i];
	if (!s) {
		s = &q->slices[q->next_slice++ % QCOW2_SLICES];
		s->at = 0;
		err = io_read(q->io, start, s->b, (size_t)unit);
		if (err)
			return err == -E_SHORT ? -E_QCOW2_TABLE : err;
		s->at = start;
	}
	*p = s->b + (at - start);
	return 0;
}

/* The L2 entry of a cluster; *entry is 0 when there is no table. */
static int read_entry(struct qcow2 *q, uint64_t n, uint64_t *entry, uint64_t *bitmap)
{
	uint64_t l1 = be64_get(q->l1[n / per_table(q)]), table = l1 & QCOW2_OFFSET;
	const uint8_t *p;
	be64 d[2];
	int err;

	*entry = *bitmap = 0;
	if (l1 & QCOW2_L1_RESERVED || table % cluster(q))
		return -E_QCOW2_TABLE;
	if (!table)
		return 0;
	err = slice(q, table + n % per_table(q) * (is_extended(q) ? 16 : 8), &p);
	if (err)
		return err;
	memcpy(d, p, is_extended(q) ? 16 : 8);
	*entry = be64_get(d[0]);
	if (is_extended(q))
		*bitmap = be64_get(d[1]);
	return 0;
}

static int judge_subcluster(uint64_t at, uint64_t bitmap, uint64_t sub, struct answer *a)
{
	bool here = bitmap >> sub & 1, zero = bitmap >> (32 + sub) & 1;

	if ((here && zero) || (here && !at))
		return -E_QCOW2_TABLE;
	if (here)
		a->where = QCOW2_HERE;
	else if (zero)
		a->where = at ? QCOW2_ZERO_HERE : QCOW2_ZERO;
	else
		a->where = at ? QCOW2_BELOW_HERE : QCOW2_BELOW;
	return 0;
}

static int judge(struct qcow2 *q, uint64_t entry, uint64_t bitmap, uint64_t in, struct answer *a)
{
	uint64_t at = entry & QCOW2_OFFSET;
	int err = 0;

	a->pos = at + in;
	if (entry & QCOW2_L2_PACKED) {
		a->where = QCOW2_PACKED;
		a->pos = entry;
		return is_extended(q) && bitmap ? -E_QCOW2_TABLE : 0;
	}
	if (entry & QCOW2_L2_RESERVED || at % cluster(q))
		return -E_QCOW2_TABLE;
	if (entry & QCOW2_L2_ZERO && (is_extended(q) || q->version < 3))
		return -E_QCOW2_TABLE;
	if (is_extended(q))
		err = judge_subcluster(at, bitmap, in / sub_len(q), a);
	else if (entry & QCOW2_L2_ZERO)
		a->where = at ? QCOW2_ZERO_HERE : QCOW2_ZERO;
	else
		a->where = at ? QCOW2_HERE : QCOW2_BELOW;
	if (!err && a->where == QCOW2_HERE && at >= q->io->size)
		return -E_QCOW2_TABLE;
	return err;
}

/* Is the next one more of the same? */
static bool goes_on(const struct answer *a, uint64_t len, const struct answer *next)
{
	if (a->where != next->where || a->where == QCOW2_PACKED)
		return false;
	return a->where == QCOW2_BELOW || a->where == QCOW2_ZERO || a->pos + len == next->pos;
}

/* The tail of the last cluster may lie past the end of the file, and reads as zero. */
static int clip(const struct qcow2 *q, struct answer *a, uint64_t *len, uint64_t *pos)
{
	*pos = a->pos;
	if (a->where != QCOW2_HERE)
		return a->where;
	if (a->pos >= q->io->size)
		return QCOW2_ZERO;
	if (*len > q->io->size - a->pos)
		*len = q->io->size - a->pos;
	return QCOW2_HERE;
}

static int ask(struct qcow2 *q, uint64_t at, struct answer *a)
{
	uint64_t entry, bitmap;
	int err = read_entry(q, at >> q->cluster_bits, &entry, &bitmap);

	return err ? err : judge(q, entry, bitmap, at % cluster(q), a);
}

int qcow2_lookup(struct qcow2 *q, uint64_t at, uint64_t *len, uint64_t *pos)
{
	uint64_t span = per_table(q) << q->cluster_bits, n, stop = span - at % span;
	struct answer first, next;
	int err;

	if (!*len || !range_ok(at, *len, q->size))
		return -E_RANGE;
	err = ask(q, at, &first);
	if (err)
		return err;
	if (stop > *len)
		stop = *len;
	n = sub_len(q) - at % sub_len(q);
	if (first.where == QCOW2_PACKED)
		n = cluster(q) - at % cluster(q);
	if (!(be64_get(q->l1[at / span]) & QCOW2_OFFSET))
		n = stop;			/* no table: none of its clusters is here */
	/* An error further on is for whoever asks from there. */
	while (n < stop && !ask(q, at + n, &next) && goes_on(&first, n, &next))
		n += sub_len(q);
	*len = n < stop ? n : stop;
	return clip(q, &first, len, pos);
}

int qcow2_unpack(const struct qcow2 *q, uint64_t entry, uint8_t *out)
{
	uint32_t x = 62 - (q->cluster_bits - 8);
	uint64_t at = entry & ((1ull << x) - 1);
	uint64_t sectors = (entry >> x & ((1ull << (62 - x)) - 1)) + 1;
	uint64_t n = sectors * 512 - at % 512;
	uint8_t *in;
	int err;

	if (q->zstd && !IS_ENABLED(CONFIG_QCOW2_ZSTD))
		return -E_QCOW2_ZSTD;
	if (!at || at >= q->io->size)
		return -E_QCOW2_TABLE;
	if (n > q->io->size - at)	/* the last one ends with the file */
		n = q->io->size - at;
	in = must_alloc((size_t)n);
	err = io_read(q->io, at, in, (size_t)n);
	if (!err && IS_ENABLED(CONFIG_QCOW2_ZSTD) && q->zstd)
		err = zstd_decode(in, (size_t)n, out, (size_t)cluster(q));
	else if (!err)
		err = inflate(in, (size_t)n, out, (size_t)cluster(q));
	free(in);
	return err;
}

int qcow2_unpack_part(const struct qcow2 *q, uint64_t entry, uint64_t at, void *buf, size_t len)
{
	uint64_t in = at % cluster(q);
	uint8_t *all;
	int err;

	if (len == cluster(q) && !in)
		return qcow2_unpack(q, entry, buf);
	if (!range_ok(in, len, cluster(q)))
		return -E_RANGE;
	all = must_alloc((size_t)cluster(q));
	err = qcow2_unpack(q, entry, all);
	if (!err)
		memcpy(buf, all + in, len);
	free(all);
	return err;
}

int qcow2_read_packed(struct qcow2 *q, uint64_t at, void *buf, size_t len)
{
	uint64_t in = at % cluster(q), entry, bitmap;
	int err = read_entry(q, at >> q->cluster_bits, &entry, &bitmap);

	if (!err && (!(entry & QCOW2_L2_PACKED) || !range_ok(in, len, cluster(q))))
		err = -E_RANGE;
	if (err)
		return err;
	if (q->packed_entry != entry) {
		if (!q->packed)
			q->packed = must_alloc((size_t)cluster(q));
		q->packed_entry = 0;
		err = qcow2_unpack(q, entry, q->packed);
		if (err)
			return err;
		q->packed_entry = entry;
	}
	memcpy(buf, q->packed + in, len);
	return 0;
}
