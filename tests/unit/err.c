/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/err.h"
#include "tests/unit/t.h"

TEST(err_of_ours_has_a_text_a_kind_and_a_fault)
{
	for (int e = E_BASE + 1; e < E_END; e++) {
		OK(err_text(-e) && *err_text(-e));
		OK(err_kind(-e) < 0 && err_kind(-e) > -E_BASE);
		OK(err_smapi(-e) >= 0);
		/* A kind without a name would show as EIO, which it is not. */
		OK(strcmp(err_name(-e), "EIO") || err_kind(-e) == -EIO);
	}
	EQ(err_kind(-E_SR_NO_SPACE), -ENOSPC);
	OK(!strcmp(err_name(-E_SR_NO_SPACE), "ENOSPC"));
	EQ(err_smapi(-E_SR_NO_SPACE), 44);
}

TEST(err_of_the_kernel_passes_through)
{
	EQ(err_kind(-ENOENT), -ENOENT);
	EQ(err_kind(0), 0);
	EQ(err_smapi(-ENOENT), 0);
	OK(!strcmp(err_text(-ENOENT), strerror(ENOENT)));
	OK(!strcmp(err_name(-EUCLEAN), "EUCLEAN"));
	OK(!strcmp(err_name(-3999), "EIO"));
}

TEST(err_outside_every_table)
{
	EQ(err_kind(-E_BASE), -E_BASE);
	EQ(err_kind(-E_END), -E_END);
	EQ(err_smapi(-E_END), 0);
	OK(err_text(-E_END));
	EQ(err_kind(E_SHORT), E_SHORT);
	OK(err_text(-99999));
}
