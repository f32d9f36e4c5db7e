/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Unit tests of code that needs no kernel.
 *
 *	TEST(vhd_footer_survives_a_round_trip)
 *	{
 *		OK(vhd_footer_decode(&f, buf, 512) == 0);
 *		EQ(f.size, 4096);
 *		STR_EQ(f.name, "disk");
 *		MEM_EQ(out, in, 512);
 *	}
 *
 * A failed check is reported and the test goes on; each check is also true
 * or false, to stop where going on makes no sense:
 *
 *		if (!OK(p))
 *			return;
 *
 * The program prints TAP.  Its arguments are parts of names: only tests whose
 * names contain one of them are run.
 */
#ifndef TESTS_UNIT_T_H
#define TESTS_UNIT_T_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include "lib/registry.h"

struct test { const char *name; void (*run)(void); };
DECLARE_REGISTRY(unit_tests, struct test);

bool t_ok(const char *file, int line, const char *what, bool ok);
bool t_eq(const char *file, int line, const char *what, long long got, long long want);
bool t_str_eq(const char *file, int line, const char *what, const char *got, const char *want);
bool t_mem_eq(const char *file, int line, const char *what, const void *got, const void *want,
	      size_t n);

/*
 * So many states after a death or a power cut were recovered from, "lvm vg rename"
 * being where and in what: a line for tests/sweep/table.sh.
 */
void t_cuts(const char *what, size_t states);

#define TEST(id)							\
	static void id(void);						\
	static const struct test test_##id = { #id, id };		\
	REGISTER(unit_tests, test_##id);				\
	static void id(void)

#define OK(e)			t_ok(__FILE__, __LINE__, #e, (e))
#define EQ(got, want)		t_eq(__FILE__, __LINE__, #got " == " #want, (got), (want))
#define STR_EQ(got, want)	t_str_eq(__FILE__, __LINE__, #got, (got), (want))
#define MEM_EQ(got, want, n)	t_mem_eq(__FILE__, __LINE__, #got, (got), (want), (n))

#endif
