/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/qcow2/header.h"
#include "lib/qcow2/qcow2.h"
#include "lib/utf8.h"

static uint64_t cluster(const struct qcow2 *q)
{
	return (uint64_t)1 << q->cluster_bits;
}

static uint64_t entry_len(const struct qcow2 *q)
{
	return q->incompatible & QCOW2_EXTENDED_L2 ? 16 : 8;
}

static bool is_place(const struct qcow2 *q, uint64_t at, uint64_t len)
{
	return at && at % cluster(q) == 0 && range_ok(at, len, q->io->size);
}

static int decode_features(struct qcow2 *q, const struct qcow2_header_disk *d, uint32_t *len)
{
	*len = QCOW2_V2_LEN;
	if (q->version == 2)
		return 0;
	*len = be32_get(d->len);
	q->incompatible = be64_get(d->incompatible);
	if (q->incompatible & ~(uint64_t)QCOW2_KNOWN)
		return -E_QCOW2_FEATURE;
	if (q->incompatible & QCOW2_EXTERNAL)
		return -E_QCOW2_EXTERNAL;
	if (*len < QCOW2_V3_LEN || *len % 8 || *len > cluster(q) || be32_get(d->refcount_order) > 6)
		return -E_QCOW2_HEADER;
	if (q->incompatible & QCOW2_EXTENDED_L2 && q->cluster_bits < 14)
		return -E_QCOW2_HEADER;
	q->zstd = *len > QCOW2_V3_LEN && d->compression;
	if (*len > QCOW2_V3_LEN && d->compression > 1)
		return -E_QCOW2_FEATURE;
	if (q->zstd != !!(q->incompatible & QCOW2_COMPRESSION))
		return -E_QCOW2_HEADER;
	return 0;
}

static int check_tables(const struct qcow2 *q, const struct qcow2_header_disk *d)
{
	uint64_t need, span = cluster(q) / entry_len(q) * cluster(q);
	uint64_t refcounts = be32_get(d->refcount_clusters) * cluster(q);
	uint32_t n = be32_get(d->n_snapshots);

	need = q->size / span + !!(q->size % span);
	if (q->l1_size < need || q->l1_size * 8ull > QCOW2_L1_MAX)
		return -E_QCOW2_HEADER;
	if (q->l1_size && !is_place(q, q->l1_at, q->l1_size * 8ull))
		return -E_QCOW2_HEADER;
	if (refcounts > QCOW2_REFCOUNT_MAX || !is_place(q, be64_get(d->refcount_at), refcounts))
		return -E_QCOW2_HEADER;
	if (n > QCOW2_SNAPSHOTS_MAX || (n && !is_place(q, be64_get(d->snapshots_at), n * 40ull)))
		return -E_QCOW2_HEADER;
	return 0;
}

static int decode(struct qcow2 *q, const struct qcow2_header_disk *d, uint32_t *len)
{
	int err;

	if (memcmp(d->magic, "QFI\xfb", 4))
		return -E_QCOW2_MAGIC;
	q->version = be32_get(d->version);
	if (q->version != 2 && q->version != 3)
		return -E_QCOW2_VERSION;
	q->cluster_bits = be32_get(d->cluster_bits);
	q->size = be64_get(d->size);
	if (q->cluster_bits < 9 || q->cluster_bits > 21 || q->size > QCOW2_SIZE_MAX)
		return -E_QCOW2_HEADER;
	if (be32_get(d->crypt))
		return -E_QCOW2_CRYPT;
	err = decode_features(q, d, len);
	if (err)
		return err;
	q->l1_size = be32_get(d->l1_size);
	q->l1_at = be64_get(d->l1_at);
	q->n_snapshots = be32_get(d->n_snapshots);
	return check_tables(q, d);
}

/* Text in the header: no zeroes, no control characters. */
static char *text(const uint8_t *p, size_t n)
{
	char *s;

	if (!n || utf8_good((const char *)p, n) != n)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (p[i] < 0x20 || p[i] == 0x7f)
			return NULL;
	s = must_alloc(n + 1);
	memcpy(s, p, n);
	return s;
}

/* json:, nbd: and the like are a program's words; a colon before any slash says so. */
static bool is_protocol(const char *s)
{
	size_t n = strcspn(s, ":/");

	return s[n] == ':';
}

static int read_extensions(struct qcow2 *q, const uint8_t *p, size_t at, size_t end)
{
	while (end - at >= 8) {
		be32 d[2];
		uint32_t type, len;
		uint64_t padded;

		memcpy(d, p + at, sizeof(d));
		type = be32_get(d[0]);
		len = be32_get(d[1]);
		padded = ((uint64_t)len + 7) / 8 * 8;
		if (type == QCOW2_EXT_END)
			return 0;
		at += 8;
		if (padded > end - at)
			return -E_QCOW2_HEADER;
		if (type == QCOW2_EXT_FORMAT && !q->backing_format)
			q->backing_format = text(p + at, len);
		if (type == QCOW2_EXT_XCPNG && len)
			q->hidden = p[at];
		at += (size_t)padded;
	}
	return 0;
}

/* Everything else that is said in the first cluster. */
static int read_words(struct qcow2 *q, const struct qcow2_header_disk *d, uint32_t header_len)
{
	uint64_t at = be64_get(d->backing_at), end = cluster(q);
	uint32_t len = be32_get(d->backing_len);
	uint8_t *p;
	int err;

	if (at && (len > QCOW2_BACKING_MAX || at < header_len || !range_ok(at, len, end)))
		return -E_QCOW2_HEADER;
	if (end > q->io->size)
		end = q->io->size;
	if (at && !range_ok(at, len, end))
		return -E_QCOW2_HEADER;
	p = must_alloc((size_t)end);
	err = io_read(q->io, 0, p, (size_t)end);
	if (!err && header_len <= end)
		err = read_extensions(q, p, header_len, (size_t)(at ? at : end));
	if (!err && at && len) {
		q->backing = text(p + at, len);
		if (!q->backing || is_protocol(q->backing))
			err = -E_QCOW2_BACKING;
	}
	free(p);
	return err;
}

static int open_parts(struct qcow2 *q)
{
	struct qcow2_header_disk d = { 0 };
	size_t n = q->io->size < sizeof(d) ? (size_t)q->io->size : sizeof(d);
	uint32_t len = 0;
	int err = io_read(q->io, 0, &d, n);

	if (!err)
		err = n < QCOW2_V2_LEN ? -E_QCOW2_MAGIC : decode(q, &d, &len);
	if (!err)
		err = read_words(q, &d, len);
	if (err)
		return err;
	q->l1 = must_alloc(q->l1_size * sizeof(*q->l1));
	q->slices = must_alloc(QCOW2_SLICES * sizeof(*q->slices));
	return io_read(q->io, q->l1_at, q->l1, q->l1_size * sizeof(*q->l1));
}

int qcow2_open(struct qcow2 **out, struct io *io)
{
	struct qcow2 *q = must_alloc(sizeof(*q));
	int err;

	q->io = io;
	err = open_parts(q);
	if (err) {
		qcow2_close(q);
		return err;
	}
	*out = q;
	return 0;
}

void qcow2_close(struct qcow2 *q)
{
	if (!q)
		return;
	free(q->backing);
	free(q->backing_format);
	free(q->l1);
	free(q->slices);
	free(q->packed);
	free(q);
}
