/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finite state entropy: section 4.1 of RFC 8878. */
#include <string.h>

#include "lib/qcow2/zstd.h"

static uint32_t log2_of(uint32_t n)
{
	return 31 - (uint32_t)__builtin_clz(n);
}

/* --- bits, backwards --------------------------------------------------------- */

bool zstd_bits_start(struct zstd_bits *b, const uint8_t *p, size_t n)
{
	if (!n || !p[n - 1])
		return false;
	/* The highest bit that is set marks the end. */
	*b = (struct zstd_bits){ .p = p, .n = n, .left = (int64_t)(n * 8 - 8 + log2_of(p[n - 1])) };
	return true;
}

/* The n bits from bit `at` on, of which all exist. */
static uint32_t extract(const struct zstd_bits *b, uint64_t at, uint32_t n)
{
	uint64_t v = 0;
	size_t first = (size_t)(at / 8), last = (size_t)((at + n + 7) / 8);

	for (size_t i = last; i-- > first; )
		v = v << 8 | b->p[i];
	return (uint32_t)(v >> at % 8 & ((1ull << n) - 1));
}

uint32_t zstd_bits_look(const struct zstd_bits *b, uint32_t n)
{
	if (b->left >= (int64_t)n)
		return extract(b, (uint64_t)b->left - n, n);
	if (b->left <= 0)
		return 0;
	return extract(b, 0, (uint32_t)b->left) << (n - (uint32_t)b->left);
}

uint32_t zstd_bits_take(struct zstd_bits *b, uint32_t n)
{
	uint32_t v = zstd_bits_look(b, n);

	b->left -= n;
	return v;
}

/* --- tables ------------------------------------------------------------------ */

/* Symbols of low probability from the end, the others in steps over the rest. */
static bool spread(struct zstd_fse *f, const int16_t *prob, size_t n)
{
	uint32_t size = 1u << f->log, high = size, at = 0;

	for (size_t s = 0; s < n; s++)
		if (prob[s] == -1)
			f->t[--high].symbol = (uint8_t)s;
	for (size_t s = 0; s < n; s++)
		for (int16_t i = 0; i < prob[s]; i++) {
			f->t[at].symbol = (uint8_t)s;
			do {
				at = (at + (size >> 1) + (size >> 3) + 3) & (size - 1);
			} while (at >= high);
		}
	return !at;
}

bool zstd_fse_build(struct zstd_fse *f, uint32_t log, const int16_t *prob, size_t n)
{
	uint16_t next[256];
	uint32_t size = 1u << log, sum = 0;

	for (size_t s = 0; s < n; s++) {
		next[s] = prob[s] == -1 ? 1 : (uint16_t)prob[s];
		sum += next[s];
	}
	if (sum != size)
		return false;
	f->log = log;
	if (!spread(f, prob, n))
		return false;
	for (uint32_t i = 0; i < size; i++) {
		uint32_t k = next[f->t[i].symbol]++;

		f->t[i].bits = (uint8_t)(log - log2_of(k));
		f->t[i].base = (uint16_t)((k << f->t[i].bits) - size);
	}
	f->ready = true;
	return true;
}

void zstd_fse_single(struct zstd_fse *f, uint8_t symbol)
{
	f->log = 0;
	f->t[0].symbol = symbol;
	f->t[0].bits = 0;
	f->t[0].base = 0;
	f->ready = true;
}

/* Bits forwards; behind the end there are zeroes, and the caller looks how far it got. */
static uint32_t forward(const uint8_t *p, size_t n, size_t at, uint32_t count)
{
	uint32_t v = 0;

	for (uint32_t i = 0; i < count; i++, at++)
		if (at / 8 < n)
			v |= (uint32_t)(p[at / 8] >> at % 8 & 1) << i;
	return v;
}

size_t zstd_fse_read(struct zstd_fse *f, const uint8_t *p, size_t n, uint32_t log_max,
		     size_t symbols)
{
	int16_t prob[256] = { 0 };
	uint32_t log = forward(p, n, 0, 4) + 5, left = 1u << log;
	size_t at = 4, s = 0;

	if (log > log_max)
		return 0;
	while (left && s < symbols && at < n * 8) {
		uint32_t bits = log2_of(left + 1) + 1, v = forward(p, n, at, bits);
		uint32_t low = v & ((1u << (bits - 1)) - 1);
		uint32_t spare = (1u << bits) - 1 - (left + 1);

		at += bits;
		if (low < spare) {		/* small ones are a bit shorter */
			at--;
			v = low;
		} else if (v >= 1u << (bits - 1)) {
			v -= spare;
		}
		prob[s++] = (int16_t)(v - 1);
		left -= v ? v - 1 : 1;
		for (uint32_t more = 3; v == 1 && more == 3; at += 2) {
			more = forward(p, n, at, 2);
			s += more;		/* of them the probability is 0 too */
		}
	}
	if (left || s > symbols || at > n * 8 || !zstd_fse_build(f, log, prob, s))
		return 0;
	return (at + 7) / 8;
}
