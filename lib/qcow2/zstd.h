/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Zstandard (RFC 8878) from memory to memory, without dictionaries.
 *
 * A frame is blocks of at most 128 KiB.  A compressed one holds literals, mostly
 * Huffman coded (zstd_huff.c), and sequences that say how many of them to take
 * and what to repeat from before, in codes of finite state entropy (zstd_fse.c).
 */
#ifndef LIB_QCOW2_ZSTD_H
#define LIB_QCOW2_ZSTD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Fill out with n_out bytes, no less and no more: what frames would add is
 * left.  -E_QCOW2_DEFLATE when they are malformed, want a dictionary, or end
 * before.  The content's checksum is not looked at.  Takes 200 KiB for as long
 * as it runs; the time is linear in n_in and n_out.
 */
int zstd_decode(const uint8_t *in, size_t n_in, uint8_t *out, size_t n_out);

/* --- for the parts of the decoder alone -------------------------------------- */

#define ZSTD_FSE_LOG	9u	/* of the largest table */
#define ZSTD_HUFF_LOG	11u

/* Bits read from the end of some bytes to their beginning; before it there are zeroes. */
struct zstd_bits {
	const uint8_t *p;
	size_t n;
	int64_t left;		/* negative: so many were read that do not exist */
};

/* False when there is no end mark. */
bool zstd_bits_start(struct zstd_bits *b, const uint8_t *p, size_t n);
/* The next n bits, at most 32; looking does not take them. */
uint32_t zstd_bits_look(const struct zstd_bits *b, uint32_t n);
uint32_t zstd_bits_take(struct zstd_bits *b, uint32_t n);

struct zstd_fse {
	uint32_t log;
	bool ready;
	struct {
		uint8_t symbol, bits;
		uint16_t base;
	} t[1 << ZSTD_FSE_LOG];
};

/* A table for probabilities of n symbols; -1 is "less than one". */
bool zstd_fse_build(struct zstd_fse *f, uint32_t log, const int16_t *prob, size_t n);
/* All codes are this one, and cost no bits. */
void zstd_fse_single(struct zstd_fse *f, uint8_t symbol);
/* A table as it stands in a stream: the bytes it took, or 0. */
size_t zstd_fse_read(struct zstd_fse *f, const uint8_t *p, size_t n, uint32_t log_max,
		     size_t symbols);
/* Take the next state. */
static inline uint32_t zstd_fse_next(const struct zstd_fse *f, uint32_t state, struct zstd_bits *b)
{
	return f->t[state].base + zstd_bits_take(b, f->t[state].bits);
}

struct zstd_huff {
	uint32_t log;			/* 0: none yet */
	struct {
		uint8_t symbol, bits;
	} t[1 << ZSTD_HUFF_LOG];
};

/* A table as it stands in a stream: the bytes it took, or 0. */
size_t zstd_huff_read(struct zstd_huff *h, const uint8_t *p, size_t n, struct zstd_fse *scratch);
/* Exactly n symbols out of exactly these bytes. */
bool zstd_huff_decode(const struct zstd_huff *h, const uint8_t *p, size_t len,
		      uint8_t *out, size_t n);

#endif
