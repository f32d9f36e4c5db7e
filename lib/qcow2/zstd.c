/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames, blocks and sequences: section 3.1 of RFC 8878. */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/qcow2/zstd.h"

#define MAGIC		0xfd2fb528u
#define MAGIC_SKIP	0x184d2a50u		/* to ...5f */
#define BLOCK_MAX	((size_t)128 << 10)

enum { LITERALS, OFFSETS, MATCHES, N_CODES };

/* What one kind of code may be, and what it is when a block does not say. */
struct code_kind {
	uint32_t log_max, log;
	size_t symbols, n;
	const int16_t *prob;
};

static const int16_t literal_prob[36] = {
	4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1,
	1, 1, -1, -1, -1, -1,
};
static const int16_t offset_prob[29] = {
	1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1,
};
static const int16_t match_prob[53] = {
	1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
};
static const struct code_kind kinds[N_CODES] = {
	[LITERALS] = { 9, 6, 36, ARRAY_SIZE(literal_prob), literal_prob },
	[OFFSETS]  = { 8, 5, 32, ARRAY_SIZE(offset_prob), offset_prob },
	[MATCHES]  = { 9, 6, 53, ARRAY_SIZE(match_prob), match_prob },
};

/* Codes 16 and 32 onwards: a base, and so many bits more. */
static const struct { uint32_t base; uint8_t bits; } literal_len[20] = {
	{ 16, 1 }, { 18, 1 }, { 20, 1 }, { 22, 1 }, { 24, 2 }, { 28, 2 }, { 32, 3 }, { 40, 3 },
	{ 48, 4 }, { 64, 6 }, { 128, 7 }, { 256, 8 }, { 512, 9 }, { 1024, 10 }, { 2048, 11 },
	{ 4096, 12 }, { 8192, 13 }, { 16384, 14 }, { 32768, 15 }, { 65536, 16 },
};
static const struct { uint32_t base; uint8_t bits; } match_len[21] = {
	{ 35, 1 }, { 37, 1 }, { 39, 1 }, { 41, 1 }, { 43, 2 }, { 47, 2 }, { 51, 3 }, { 59, 3 },
	{ 67, 4 }, { 83, 4 }, { 99, 5 }, { 131, 7 }, { 259, 8 }, { 515, 9 }, { 1027, 10 },
	{ 2051, 11 }, { 4099, 12 }, { 8195, 13 }, { 16387, 14 }, { 32771, 15 }, { 65539, 16 },
};

struct decoder {
	const uint8_t *in;		/* what is left of it */
	size_t n_in;
	uint8_t *out;
	size_t n_out, done;
	size_t frame_from;		/* nothing from before it may be repeated */
	struct zstd_huff huff;
	struct zstd_fse fse[N_CODES], scratch;
	uint64_t again[3];		/* offsets used before */
	uint8_t literals[BLOCK_MAX];
};

static bool take(struct decoder *d, size_t n, const uint8_t **p)
{
	if (n > d->n_in)
		return false;
	*p = d->in;
	d->in += n;
	d->n_in -= n;
	return true;
}

static uint64_t little(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | p[n];
	return v;
}

static bool is_full(const struct decoder *d)
{
	return d->done == d->n_out;
}

static void put(struct decoder *d, const uint8_t *p, size_t n)
{
	if (n > d->n_out - d->done)
		n = d->n_out - d->done;
	memcpy(d->out + d->done, p, n);
	d->done += n;
}

static void put_same(struct decoder *d, uint8_t byte, size_t n)
{
	if (n > d->n_out - d->done)
		n = d->n_out - d->done;
	memset(d->out + d->done, byte, n);
	d->done += n;
}

/* It may reach into what it writes itself. */
static bool repeat(struct decoder *d, uint64_t offset, size_t n)
{
	if (!offset || offset > d->done - d->frame_from)
		return false;
	if (n > d->n_out - d->done)
		n = d->n_out - d->done;
	if (offset >= n) {
		memcpy(d->out + d->done, d->out + d->done - offset, n);
		d->done += n;
		return true;
	}
	for (; n; n--, d->done++)
		d->out[d->done] = d->out[d->done - offset];
	return true;
}

/* --- literals ---------------------------------------------------------------- */

/* Four streams, of which the lengths of three are told. */
static bool decode_four(struct decoder *d, const uint8_t *p, size_t len, size_t n)
{
	size_t each = (n + 3) / 4, at = 6;

	if (len < 6 || n < 6)
		return false;
	for (size_t i = 0; i < 4; i++) {
		size_t size = i < 3 ? (size_t)little(p + 2 * i, 2) : len - at;
		size_t count = i < 3 ? each : n - 3 * each;

		if (size > len - at || 3 * each > n ||
		    !zstd_huff_decode(&d->huff, p + at, size, d->literals + i * each, count))
			return false;
		at += size;
	}
	return true;
}

static bool packed_literals(struct decoder *d, const uint8_t *head, uint32_t type, size_t *n)
{
	static const uint8_t widths[4] = { 10, 10, 14, 18 }, lens[4] = { 3, 3, 4, 5 };
	uint32_t format = head[0] >> 2 & 3, width = widths[format];
	uint64_t v;
	size_t len, used;
	const uint8_t *p;

	if (!take(d, lens[format] - 1u, &p))
		return false;
	v = little(head, lens[format]) >> 4;
	*n = (size_t)(v & ((1u << width) - 1));
	len = (size_t)(v >> width & ((1u << width) - 1));
	if (*n > BLOCK_MAX || !take(d, len, &p))
		return false;
	if (type == 2) {
		used = zstd_huff_read(&d->huff, p, len, &d->scratch);
		if (!used)
			return false;
		p += used;
		len -= used;
	}
	if (format)
		return decode_four(d, p, len, *n);
	return zstd_huff_decode(&d->huff, p, len, d->literals, *n);
}

/* All literals of a block, *n of them. */
static bool read_literals(struct decoder *d, size_t *n)
{
	static const uint8_t lens[4] = { 1, 2, 1, 3 }, shifts[4] = { 3, 4, 3, 4 };
	const uint8_t *head, *p;
	uint32_t type, format;

	if (!take(d, 1, &head))
		return false;
	type = head[0] & 3;
	format = head[0] >> 2 & 3;
	if (type >= 2)				/* with a table, or with the one from before */
		return packed_literals(d, head, type, n);
	if (!take(d, lens[format] - 1u, &p))
		return false;
	*n = (size_t)little(head, lens[format]) >> shifts[format];
	if (*n > BLOCK_MAX || !take(d, type ? 1 : *n, &p))
		return false;
	if (type)
		memset(d->literals, p[0], *n);
	else
		memcpy(d->literals, p, *n);
	return true;
}

/* --- sequences --------------------------------------------------------------- */

static bool read_codes(struct decoder *d, uint32_t mode, const struct code_kind *k,
		       struct zstd_fse *f)
{
	const uint8_t *p;
	size_t used;

	switch (mode) {
	case 0:
		return zstd_fse_build(f, k->log, k->prob, k->n);
	case 1:
		if (!take(d, 1, &p) || p[0] >= k->symbols)
			return false;
		zstd_fse_single(f, p[0]);
		return true;
	case 2:
		used = zstd_fse_read(f, d->in, d->n_in, k->log_max, k->symbols);
		return used && take(d, used, &p);
	}
	return f->ready;
}

/* The offset meant by a value: one of the last three, or a new one. */
static uint64_t offset_of(struct decoder *d, uint64_t value, bool no_literals)
{
	uint64_t offset, *a = d->again;
	uint64_t which = value - 1 + no_literals;

	if (value > 3) {
		offset = value - 3;
		which = 2;
	} else if (which == 0) {
		return a[0];
	} else if (which == 3) {
		offset = a[0] - 1;
		which = 2;
	} else {
		offset = a[which];
	}
	if (which == 2)
		a[2] = a[1];
	a[1] = a[0];
	a[0] = offset;
	return offset;
}

/* One sequence: literals, then what is repeated. */
static bool run_one(struct decoder *d, const uint32_t state[N_CODES], struct zstd_bits *b,
		    size_t *at, size_t n_literals)
{
	uint32_t literal = d->fse[LITERALS].t[state[LITERALS]].symbol;
	uint32_t offset = d->fse[OFFSETS].t[state[OFFSETS]].symbol;
	uint32_t match = d->fse[MATCHES].t[state[MATCHES]].symbol;
	uint64_t value = (1ull << offset) + zstd_bits_take(b, offset);
	uint32_t len = match + 3, take = literal;

	if (match >= 32)
		len = match_len[match - 32].base + zstd_bits_take(b, match_len[match - 32].bits);
	if (literal >= 16)
		take = literal_len[literal - 16].base +
			zstd_bits_take(b, literal_len[literal - 16].bits);
	if (b->left < 0 || take > n_literals - *at)
		return false;
	put(d, d->literals + *at, take);
	*at += take;
	return is_full(d) || repeat(d, offset_of(d, value, !take), len);
}

static bool run_sequences(struct decoder *d, size_t count, size_t n_literals)
{
	static const uint8_t update[N_CODES] = { LITERALS, MATCHES, OFFSETS };
	uint32_t state[N_CODES];
	struct zstd_bits b;
	size_t at = 0;

	if (!zstd_bits_start(&b, d->in, d->n_in))
		return false;
	/* They begin in the order of their tables, and go on in another. */
	for (size_t i = 0; i < N_CODES; i++)
		state[i] = zstd_bits_take(&b, d->fse[i].log);
	while (count-- && !is_full(d)) {
		if (!run_one(d, state, &b, &at, n_literals))
			return false;
		for (size_t i = 0; i < N_CODES && count; i++)
			state[update[i]] = zstd_fse_next(&d->fse[update[i]], state[update[i]], &b);
	}
	if (!is_full(d) && b.left)
		return false;
	put(d, d->literals + at, n_literals - at);
	return true;
}

static bool read_count(struct decoder *d, size_t *count)
{
	const uint8_t *p, *more;

	if (!take(d, 1, &p))
		return false;
	*count = p[0];
	if (p[0] < 128)
		return true;
	if (!take(d, p[0] < 255 ? 1 : 2, &more))
		return false;
	*count = p[0] < 255 ? (p[0] - 128u) << 8 | more[0] : (size_t)little(more, 2) + 0x7f00;
	return true;
}

/* d->in is the block alone. */
static bool run_block(struct decoder *d)
{
	size_t n_literals, count;
	const uint8_t *modes;

	if (!read_literals(d, &n_literals) || !read_count(d, &count))
		return false;
	if (!count) {
		put(d, d->literals, n_literals);
		return !d->n_in;
	}
	if (!take(d, 1, &modes) || modes[0] & 3)
		return false;
	for (uint32_t i = 0; i < N_CODES; i++)
		if (!read_codes(d, modes[0] >> (6 - 2 * i) & 3, &kinds[i], &d->fse[i]))
			return false;
	return run_sequences(d, count, n_literals);
}

/* --- blocks and frames ------------------------------------------------------- */

static bool read_block(struct decoder *d, bool *last)
{
	const uint8_t *head, *p, *in;
	uint32_t v, type;
	size_t n_in;
	bool ok;

	if (!take(d, 3, &head))
		return false;
	v = (uint32_t)little(head, 3);
	*last = v & 1;
	type = v >> 1 & 3;
	v >>= 3;
	if (v > BLOCK_MAX || type == 3 || !take(d, type == 1 ? 1 : v, &p))
		return false;
	if (type == 0)
		put(d, p, v);
	if (type == 1)
		put_same(d, p[0], v);
	if (type != 2)
		return true;
	in = d->in;
	n_in = d->n_in;
	d->in = p;
	d->n_in = v;
	ok = run_block(d);
	d->in = in;
	d->n_in = n_in;
	return ok;
}

/* Window, dictionary and size; of these only a dictionary matters, for there is none. */
static bool read_head(struct decoder *d)
{
	static const uint8_t dict[4] = { 0, 1, 2, 4 }, size[4] = { 0, 2, 4, 8 };
	const uint8_t *p, *id;
	bool single;
	uint8_t desc;

	if (!take(d, 1, &p))
		return false;
	desc = p[0];
	single = desc & 0x20;
	if (desc & 8 || !take(d, !single, &p) || !take(d, dict[desc & 3], &id) ||
	    little(id, dict[desc & 3]))
		return false;
	return take(d, desc >> 6 ? size[desc >> 6] : single, &p);
}

static bool read_frame(struct decoder *d)
{
	const uint8_t *p;
	uint32_t magic;
	bool checksum, last = false;

	if (!take(d, 4, &p))
		return false;
	magic = (uint32_t)little(p, 4);
	if ((magic & ~15u) == MAGIC_SKIP)
		return take(d, 4, &p) && take(d, (size_t)little(p, 4), &p);
	if (magic != MAGIC || !d->n_in)
		return false;
	checksum = d->in[0] & 4;
	if (!read_head(d))
		return false;
	d->frame_from = d->done;
	d->huff.log = 0;
	for (size_t i = 0; i < N_CODES; i++)
		d->fse[i].ready = false;
	d->again[0] = 1;
	d->again[1] = 4;
	d->again[2] = 8;
	while (!last && !is_full(d))
		if (!read_block(d, &last))
			return false;
	return is_full(d) || take(d, checksum ? 4 : 0, &p);
}

int zstd_decode(const uint8_t *in, size_t n_in, uint8_t *out, size_t n_out)
{
	struct decoder *d = must_alloc(sizeof(*d));
	bool ok = true;

	d->in = in;
	d->n_in = n_in;
	d->out = out;
	d->n_out = n_out;
	while (ok && !is_full(d))
		ok = read_frame(d);
	free(d);
	return ok ? 0 : -E_QCOW2_DEFLATE;
}
