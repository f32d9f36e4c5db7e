/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Huffman coding: section 4.2 of RFC 8878. */
#include <string.h>

#include "lib/qcow2/zstd.h"

#define WEIGHTS_MAX	255u
#define WEIGHT_LOG	6u	/* of their own table */

/* Two states take turns until the bits are used up. */
static size_t read_weights(uint8_t w[WEIGHTS_MAX + 1], const uint8_t *p, size_t n,
			   struct zstd_fse *f)
{
	size_t used = zstd_fse_read(f, p, n, WEIGHT_LOG, ZSTD_HUFF_LOG + 2), count = 0;
	struct zstd_bits b;
	uint32_t state[2];

	if (!used || !zstd_bits_start(&b, p + used, n - used))
		return 0;
	state[0] = zstd_bits_take(&b, f->log);
	state[1] = zstd_bits_take(&b, f->log);
	if (b.left < 0)
		return 0;
	for (uint32_t turn = 0; count < WEIGHTS_MAX - 1; turn ^= 1) {
		w[count++] = f->t[state[turn]].symbol;
		state[turn] = zstd_fse_next(f, state[turn], &b);
		if (b.left < 0) {		/* that was the last; the other one has one more */
			w[count++] = f->t[state[turn ^ 1]].symbol;
			return count;
		}
	}
	return 0;
}

/* The weight of the last symbol is what is missing to a power of two. */
static bool last_weight(uint8_t *w, size_t *n, uint32_t *log)
{
	uint32_t sum = 0, left;

	for (size_t i = 0; i < *n; i++) {
		if (w[i] > ZSTD_HUFF_LOG)
			return false;
		sum += w[i] ? 1u << (w[i] - 1) : 0;
	}
	if (!sum)
		return false;
	*log = 32 - (uint32_t)__builtin_clz(sum);
	if (*log > ZSTD_HUFF_LOG)
		return false;
	left = (1u << *log) - sum;
	if (left & (left - 1))
		return false;
	w[(*n)++] = (uint8_t)(32 - (uint32_t)__builtin_clz(left));
	return true;
}

/* Symbols of low weight have the long codes, which come first in the table. */
static void build(struct zstd_huff *h, uint32_t log, const uint8_t *w, size_t n)
{
	uint32_t at = 0;

	h->log = log;
	for (uint32_t weight = 1; weight <= log; weight++)
		for (size_t s = 0; s < n; s++) {
			if (w[s] != weight)
				continue;
			for (uint32_t k = 0; k < 1u << (weight - 1); k++, at++) {
				h->t[at].symbol = (uint8_t)s;
				h->t[at].bits = (uint8_t)(log + 1 - weight);
			}
		}
}

size_t zstd_huff_read(struct zstd_huff *h, const uint8_t *p, size_t n, struct zstd_fse *scratch)
{
	uint8_t w[WEIGHTS_MAX + 1];
	size_t len, count;
	uint32_t log;

	if (!n)
		return 0;
	len = p[0];
	if (len >= 128) {			/* four bits each */
		count = len - 127;
		len = (count + 1) / 2;
		if (len > n - 1)
			return 0;
		for (size_t i = 0; i < count; i++)
			w[i] = i % 2 ? p[1 + i / 2] & 15 : p[1 + i / 2] >> 4;
	} else {
		count = len <= n - 1 ? read_weights(w, p + 1, len, scratch) : 0;
	}
	if (!count || !last_weight(w, &count, &log))
		return 0;
	build(h, log, w, count);
	return 1 + len;
}

bool zstd_huff_decode(const struct zstd_huff *h, const uint8_t *p, size_t len,
		      uint8_t *out, size_t n)
{
	struct zstd_bits b;
	size_t left = n;

	if (!h->log || !zstd_bits_start(&b, p, len))
		return false;
	for (size_t i = 0; i < n && b.left > 0; i++) {
		uint32_t k = zstd_bits_look(&b, h->log);

		out[i] = h->t[k].symbol;
		b.left -= h->t[k].bits;
		left--;
	}
	return !left && !b.left;
}
