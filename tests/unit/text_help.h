/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of the text readers share. */
#ifndef TESTS_UNIT_TEXT_HELP_H
#define TESTS_UNIT_TEXT_HELP_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

/* Append tests/data/text/NAME; false, and a failed check, when it is missing. */
bool text_data(const char *name, struct buf *b);
/* s, n times over. */
void text_repeat(struct buf *b, const char *s, size_t n);
/* A copy of exactly n bytes, so that a read behind them is seen; free() it. */
char *text_exact(const void *p, size_t n);

#endif
