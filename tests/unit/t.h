/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Unit tests of code that needs no kernel.
 *
 *	TEST(vhd_footer_survives_a_round_trip)
 *	{
 *		OK(vhd_footer_decode(&f, buf, 512) == 0);
 *		EQ(f.size, 4096);
 *	}
 *
 * A failed check is reported and the test goes on; the program prints TAP.
 */
#ifndef TESTS_UNIT_T_H
#define TESTS_UNIT_T_H

#include <stdio.h>
#include "lib/registry.h"

struct test { const char *name; void (*run)(void); };
DECLARE_REGISTRY(unit_tests, struct test);

void t_fail(const char *file, int line, const char *what, long long got, long long want);

#define TEST(id)							\
	static void id(void);						\
	static const struct test test_##id = { #id, id };		\
	REGISTER(unit_tests, test_##id);				\
	static void id(void)

#define OK(e) ((e) ? (void)0 : t_fail(__FILE__, __LINE__, #e, 0, 1))
#define EQ(got, want) do {						\
	long long g_ = (got), w_ = (want);				\
	if (g_ != w_)							\
		t_fail(__FILE__, __LINE__, #got " == " #want, g_, w_);	\
} while (0)

#endif
