/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdbool.h>
#include <string.h>

#include "lib/err.h"
#include "lib/qcow2/inflate.h"

#define BITS_MAX	15
#define SYMBOLS_MAX	288
#define CODES_MAX	30

struct stream {
	const uint8_t *in;
	size_t n_in, at;	/* at may run past n_in: then bad is set */
	uint32_t acc, n_acc;	/* bits taken from in and not yet used */
	uint8_t *out;
	size_t n_out, done;
	bool bad;
};

/* Canonical Huffman codes: how many of each length, and the symbols in order. */
struct codes {
	uint16_t count[BITS_MAX + 1];
	uint16_t symbol[SYMBOLS_MAX];
};

static uint32_t bits(struct stream *s, uint32_t n)
{
	uint32_t v;

	while (s->n_acc < n) {
		if (s->at >= s->n_in) {
			s->bad = true;
			return 0;
		}
		s->acc |= (uint32_t)s->in[s->at++] << s->n_acc;
		s->n_acc += 8;
	}
	v = s->acc & ((1u << n) - 1);
	s->acc >>= n;
	s->n_acc -= n;
	return v;
}

/* False when the lengths promise more codes than there are. */
static bool make_codes(struct codes *c, const uint8_t *lens, size_t n)
{
	uint16_t next[BITS_MAX + 1];
	int left = 1;

	memset(c->count, 0, sizeof(c->count));
	for (size_t i = 0; i < n; i++)
		c->count[lens[i]]++;
	c->count[0] = 0;
	for (int len = 1; len <= BITS_MAX; len++) {
		left = left * 2 - c->count[len];
		if (left < 0)
			return false;
	}
	next[1] = 0;
	for (int len = 1; len < BITS_MAX; len++)
		next[len + 1] = (uint16_t)(next[len] + c->count[len]);
	for (size_t i = 0; i < n; i++)
		if (lens[i])
			c->symbol[next[lens[i]]++] = (uint16_t)i;
	return true;
}

/* A code grows bit by bit until it is below the number of codes of its length. */
static uint32_t symbol(struct stream *s, const struct codes *c)
{
	int code = 0, first = 0, index = 0;

	for (int len = 1; len <= BITS_MAX; len++) {
		code |= (int)bits(s, 1);
		if (s->bad)
			return 0;
		if (code - first < c->count[len])
			return c->symbol[index + code - first];
		index += c->count[len];
		first = (first + c->count[len]) << 1;
		code <<= 1;
	}
	s->bad = true;
	return 0;
}

static void copy_back(struct stream *s, size_t back, size_t len)
{
	if (back > s->done) {
		s->bad = true;
		return;
	}
	if (len > s->n_out - s->done)
		len = s->n_out - s->done;
	for (; len; len--, s->done++)
		s->out[s->done] = s->out[s->done - back];
}

static void coded(struct stream *s, const struct codes *lit, const struct codes *dist)
{
	static const uint16_t len_base[] = {
		3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31,
		35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
	};
	static const uint8_t len_bits[] = {
		0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2,
		3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
	};
	static const uint16_t dist_base[] = {
		1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769,
		1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577,
	};

	while (!s->bad && s->done < s->n_out) {
		uint32_t sym = symbol(s, lit), len, d;

		if (s->bad || sym == 256)
			return;
		if (sym < 256) {
			s->out[s->done++] = (uint8_t)sym;
			continue;
		}
		if (sym > 285) {
			s->bad = true;
			return;
		}
		len = len_base[sym - 257] + bits(s, len_bits[sym - 257]);
		d = symbol(s, dist);
		if (s->bad || d >= CODES_MAX) {
			s->bad = true;
			return;
		}
		d = dist_base[d] + bits(s, d < 2 ? 0 : d / 2 - 1);
		if (!s->bad)
			copy_back(s, d, len);
	}
}

static void fixed(struct stream *s)
{
	struct codes lit, dist;
	uint8_t lens[SYMBOLS_MAX];

	for (int i = 0; i < SYMBOLS_MAX; i++)
		lens[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
	make_codes(&lit, lens, SYMBOLS_MAX);
	memset(lens, 5, CODES_MAX);
	make_codes(&dist, lens, CODES_MAX);
	coded(s, &lit, &dist);
}

/* The code lengths, themselves coded; false when they make no sense. */
static bool read_lens(struct stream *s, const struct codes *c, uint8_t *lens, size_t n)
{
	size_t i = 0;

	while (i < n) {
		uint32_t sym = symbol(s, c), times = 1;
		uint8_t len = (uint8_t)sym;

		if (s->bad || (sym == 16 && !i))
			return false;
		if (sym == 16) {
			len = lens[i - 1];
			times = 3 + bits(s, 2);
		} else if (sym > 16) {
			len = 0;
			times = sym == 17 ? 3 + bits(s, 3) : 11 + bits(s, 7);
		}
		if (times > n - i)
			return false;
		memset(lens + i, len, times);
		i += times;
	}
	return !s->bad;
}

static void dynamic(struct stream *s)
{
	static const uint8_t order[19] = {
		16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
	};
	struct codes lit, dist;
	uint8_t lens[SYMBOLS_MAX + 32] = { 0 };
	uint32_t n_lit = bits(s, 5) + 257, n_dist = bits(s, 5) + 1, n_len = bits(s, 4) + 4;

	for (uint32_t i = 0; i < n_len; i++)
		lens[order[i]] = (uint8_t)bits(s, 3);
	if (s->bad || n_lit > 286 || n_dist > CODES_MAX || !make_codes(&lit, lens, 19) ||
	    !read_lens(s, &lit, lens, n_lit + n_dist) || !lens[256] ||
	    !make_codes(&dist, lens + n_lit, n_dist) || !make_codes(&lit, lens, n_lit)) {
		s->bad = true;
		return;
	}
	coded(s, &lit, &dist);
}

static void stored(struct stream *s)
{
	size_t n, check;

	s->acc = s->n_acc = 0;		/* the rest of the byte is padding */
	n = bits(s, 16);
	check = bits(s, 16);
	if (s->bad || n != (check ^ 0xffff) || n > s->n_in - s->at) {
		s->bad = true;
		return;
	}
	if (n > s->n_out - s->done)
		n = s->n_out - s->done;
	memcpy(s->out + s->done, s->in + s->at, n);
	s->at += n;
	s->done += n;
}

int inflate(const uint8_t *in, size_t n_in, uint8_t *out, size_t n_out)
{
	struct stream s = { .in = in, .n_in = n_in, .out = out, .n_out = n_out };
	bool last = false;

	while (!last && !s.bad && s.done < s.n_out) {
		last = bits(&s, 1);
		switch (bits(&s, 2)) {
		case 0: stored(&s); break;
		case 1: fixed(&s); break;
		case 2: dynamic(&s); break;
		default: s.bad = true;
		}
	}
	return s.bad || s.done < s.n_out ? -E_QCOW2_DEFLATE : 0;
}
