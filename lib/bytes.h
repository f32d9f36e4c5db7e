/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Integers as they lie on a disk or a wire, and arithmetic on numbers that
 * came from one.
 *
 * A field of type be32 is four bytes, not a number: it has no alignment, adds
 * no padding, and does not compile where a number is wanted.  So a struct of
 * such fields *is* the specification's table, and a forgotten byte swap is an
 * error at build time rather than a corrupt disk at run time.
 */
#ifndef LIB_BYTES_H
#define LIB_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KiB ((uint64_t)1 << 10)
#define MiB ((uint64_t)1 << 20)
#define GiB ((uint64_t)1 << 30)
#define TiB ((uint64_t)1 << 40)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Bytes somebody else owns. */
struct view {
	const void *p;
	size_t n;
};

typedef struct { uint8_t b[2]; } be16, le16;
typedef struct { uint8_t b[4]; } be32, le32;
typedef struct { uint8_t b[8]; } be64, le64;

static inline uint16_t be16_get(be16 x)
{
	return (uint16_t)(x.b[0] << 8 | x.b[1]);
}

static inline be16 be16_put(uint16_t v)
{
	return (be16){ { (uint8_t)(v >> 8), (uint8_t)v } };
}

static inline uint32_t be32_get(be32 x)
{
	return (uint32_t)x.b[0] << 24 | (uint32_t)x.b[1] << 16 |
	       (uint32_t)x.b[2] << 8 | x.b[3];
}

static inline be32 be32_put(uint32_t v)
{
	return (be32){ { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v } };
}

static inline uint64_t be64_get(be64 x)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | x.b[i];
	return v;
}

static inline be64 be64_put(uint64_t v)
{
	be64 x;

	for (int i = 7; i >= 0; i--, v >>= 8)
		x.b[i] = (uint8_t)v;
	return x;
}

static inline uint16_t le16_get(le16 x)
{
	return (uint16_t)(x.b[1] << 8 | x.b[0]);
}

static inline le16 le16_put(uint16_t v)
{
	return (le16){ { (uint8_t)v, (uint8_t)(v >> 8) } };
}

static inline uint32_t le32_get(le32 x)
{
	return (uint32_t)x.b[3] << 24 | (uint32_t)x.b[2] << 16 |
	       (uint32_t)x.b[1] << 8 | x.b[0];
}

static inline le32 le32_put(uint32_t v)
{
	return (le32){ { (uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24) } };
}

static inline uint64_t le64_get(le64 x)
{
	uint64_t v = 0;

	for (int i = 7; i >= 0; i--)
		v = v << 8 | x.b[i];
	return v;
}

static inline le64 le64_put(uint64_t v)
{
	le64 x;

	for (int i = 0; i < 8; i++, v >>= 8)
		x.b[i] = (uint8_t)v;
	return x;
}

/* Each stores the result and says whether it is the true one. */
static inline bool add_ok(uint64_t a, uint64_t b, uint64_t *sum)
{
	return !__builtin_add_overflow(a, b, sum);
}

static inline bool mul_ok(uint64_t a, uint64_t b, uint64_t *product)
{
	return !__builtin_mul_overflow(a, b, product);
}

/* Up to a multiple of unit, which need not be a power of two but not 0. */
static inline bool round_up_ok(uint64_t v, uint64_t unit, uint64_t *up)
{
	uint64_t rest = v % unit;

	*up = v;
	return !rest || add_ok(v, unit - rest, up);
}

/* Does [at, at + len) lie within [0, size)? */
static inline bool range_ok(uint64_t at, uint64_t len, uint64_t size)
{
	return at <= size && len <= size - at;
}

/* Are n bytes zero? */
static inline bool is_zero(const void *p, size_t n)
{
	const uint8_t *b = p;

	/* The first byte is zero, and each byte equals the one before it. */
	return !n || (!b[0] && !__builtin_memcmp(b, b + 1, n - 1));
}

#endif
