/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CRC-32 by multiplication without carries, 64 bytes at a time.
 *
 * A block that stands n bits in front of the end counts as itself times x^n
 * modulo the polynomial.  So the blocks at the front are multiplied by such
 * powers and added to those behind them, until 16 bytes are left, whose remainder
 * is found by Barrett's method.  All is bit-reflected, as the sum itself is.
 * (Intel, "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ", 2009.)
 */
#include <cpuid.h>
#include <wmmintrin.h>

#include "lib/crc32.h"

#define PCLMUL __attribute__((target("pclmul")))

/* Powers of x modulo the polynomial, reflected: x^(n + 32) and x^(n - 32). */
#define X512	_mm_set_epi64x(0x1c6e41596, 0x154442bd4)
#define X128	_mm_set_epi64x(0x0ccaa009e, 0x1751997d0)
#define X64	_mm_set_epi64x(0, 0x163cd6124)
#define BARRETT	_mm_set_epi64x(0x1f7011641, 0x1db710641)	/* the inverse, the polynomial */

PCLMUL static inline __m128i fold(__m128i x, __m128i by, __m128i onto)
{
	__m128i low = _mm_clmulepi64_si128(x, by, 0x00), high = _mm_clmulepi64_si128(x, by, 0x11);

	return _mm_xor_si128(_mm_xor_si128(low, high), onto);
}

static inline __m128i load(const void *p, int i)
{
	return _mm_loadu_si128((const __m128i *)p + i);
}

PCLMUL static uint32_t remainder_of(__m128i x)
{
	const __m128i low = _mm_setr_epi32(-1, 0, -1, 0), barrett = BARRETT;
	__m128i q;

	x = _mm_xor_si128(_mm_srli_si128(x, 8), _mm_clmulepi64_si128(x, X128, 0x10));
	x = _mm_xor_si128(_mm_srli_si128(x, 4),
			  _mm_clmulepi64_si128(_mm_and_si128(x, low), X64, 0x00));
	q = _mm_clmulepi64_si128(_mm_and_si128(x, low), barrett, 0x10);
	q = _mm_clmulepi64_si128(_mm_and_si128(q, low), barrett, 0x00);
	return (uint32_t)_mm_cvtsi128_si32(_mm_srli_si128(_mm_xor_si128(x, q), 4));
}

PCLMUL static uint32_t pclmul_sum(uint32_t crc, const void *p, size_t n)
{
	const uint8_t *at = p;
	__m128i x[4], by = X512;

	for (int i = 0; i < 4; i++)
		x[i] = load(at, i);
	x[0] = _mm_xor_si128(x[0], _mm_cvtsi32_si128((int)crc));
	for (at += 64, n -= 64; n; at += 64, n -= 64) {
		x[0] = fold(x[0], by, load(at, 0));
		x[1] = fold(x[1], by, load(at, 1));
		x[2] = fold(x[2], by, load(at, 2));
		x[3] = fold(x[3], by, load(at, 3));
	}
	for (int i = 1; i < 4; i++)
		x[i] = fold(x[i - 1], X128, x[i]);
	return remainder_of(x[3]);
}

static bool pclmul_usable(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_PCLMUL);
}

static const struct crc32_engine pclmul = { .usable = pclmul_usable, .sum = pclmul_sum };
REGISTER(crc32_engines, pclmul);
