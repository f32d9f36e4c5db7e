/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "arch/clock.h"
#include "lib/buf.h"
#include "lib/bytes.h"
#include "sm/front/cli.h"
#include "sm/front/progress.h"
#include "sm/front/table.h"
#include "tests/unit/t.h"

#define SAYS(b, want) OK(!strcmp(buf_str(b), want))

/* --- words ----------------------------------------------------------------- */

TEST(cli_nearest_word)
{
	static const char *const words[] = { "create", "clone", "vdi", "--size", "--sr" };
	const size_t n = ARRAY_SIZE(words);
	char huge[4096];

	OK(cli_nearest("creat", words, n) == words[0]);
	OK(cli_nearest("craete", words, n) == words[0]);
	OK(cli_nearest("clon", words, n) == words[1]);
	OK(cli_nearest("vid", words, n) == words[2]);
	OK(cli_nearest("--siez", words, n) == words[3]);
	OK(!cli_nearest("frobnicate", words, n));
	OK(!cli_nearest("", words + 3, 1));
	OK(!cli_nearest("x", words, 0));
	memset(huge, 'a', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	OK(!cli_nearest(huge, words, n));
}

/* What the parser and help rely on in the tables. */
TEST(cli_every_row_is_parseable)
{
	for (size_t i = 0; i < n_ops; i++) {
		struct cli_grammar g;

		if (!ops[i].object)
			continue;
		OK(ops[i].verb && ops[i].usage && ops[i].summary && ops[i].example);
		cli_grammar(&g, &ops[i]);
		OK(g.n < CLI_WORDS);
		for (size_t w = 0; w < g.n; w++) {
			const struct arg *arg = arg_find(g.w[w].word);

			OK(arg != NULL);
			if (arg && g.w[w].word[0] == '-')
				EQ(!g.w[w].value[0], arg->kind == ARG_SWITCH);
			for (size_t k = 0; k < w; k++)
				OK(strcmp(g.w[k].word, g.w[w].word));
		}
	}
}

TEST(cli_where_options_come_with_an_sr)
{
	struct cli_grammar g;

	cli_grammar(&g, op_by_verb("vdi", "show"));
	EQ(g.n, g.n_usage + 3);
	cli_grammar(&g, op_by_verb("sr", "create"));	/* has two of its own */
	EQ(g.n, g.n_usage + 1);
	cli_grammar(&g, op_by_verb("sr", "list"));
	EQ(g.n, 0);
}

/* --- tables ---------------------------------------------------------------- */

static const struct column cols[] = {
	{ "NAME", COL_SHRINK }, { "SIZE", COL_RIGHT }, { "WHERE", COL_LEFT },
};

static void print(const struct term *term, const char *const *cells, size_t n, struct buf *b)
{
	struct arena a = { 0 };
	struct table t = { .arena = &a, .cols = cols, .n_cols = ARRAY_SIZE(cols) };

	for (size_t i = 0; i < n; i++)
		table_cell(&t, cells[i]);
	table_print(&t, term, b);
	arena_free(&a);
}

TEST(table_aligns_by_what_is_seen)
{
	static const char *const cells[] = { "p\xc3\xa4\xc3\x9fw", "1 GiB", "/dev/loop0",
					     "\xe6\x97\xa5\xe6\x9c\xac", "512 B", NULL };
	const struct term plain = { 0 };
	_buf_free_ struct buf b = { 0 };

	print(&plain, cells, ARRAY_SIZE(cells), &b);
	SAYS(&b, "NAME   SIZE  WHERE\n"
		 "p\xc3\xa4\xc3\x9fw  1 GiB  /dev/loop0\n"
		 "\xe6\x97\xa5\xe6\x9c\xac  512 B  -\n");
}

TEST(table_shows_no_control_characters)
{
	static const char *const cells[] = { "a\033[2J\nb", "", "\xff" };
	const struct term plain = { 0 };
	_buf_free_ struct buf b = { 0 };
	size_t lines = 0;

	print(&plain, cells, ARRAY_SIZE(cells), &b);
	for (size_t i = 0; i < b.n; i++) {
		lines += b.p[i] == '\n';
		OK(b.p[i] == '\n' || (unsigned char)b.p[i] >= 0x20);
	}
	EQ(lines, 2);
}

TEST(table_shrinks_on_a_narrow_terminal)
{
	static const char *const cells[] = { "abcdefghijklmnopqrstuvwxyz", "1 GiB", "/dev/loop0" };
	const struct term narrow = { .is_tty = true, .colour = true, .columns = 31 };
	_buf_free_ struct buf b = { 0 };

	print(&narrow, cells, ARRAY_SIZE(cells), &b);
	SAYS(&b, "\033[1mNAME           SIZE  WHERE\033[0m\n"
		 "abcdefghijk…  1 GiB  /dev/loop0\n");
}

TEST(table_keeps_eight_columns_of_a_name)
{
	static const char *const cells[] = { "abcdefghijklmnopqrstuvwxyz", "1 GiB", "/dev/loop0" };
	const struct term tiny = { .is_tty = true, .columns = 5 };
	_buf_free_ struct buf b = { 0 };

	print(&tiny, cells, ARRAY_SIZE(cells), &b);
	SAYS(&b, "NAME       SIZE  WHERE\n"
		 "abcdefg…  1 GiB  /dev/loop0\n");
}

/* --- progress -------------------------------------------------------------- */

TEST(progress_bar_says_what_is_left)
{
	struct progress p = { .what = "copy", .started = NS_PER_S, .total = 4 * GiB, .done = GiB };
	_buf_free_ struct buf b = { 0 };

	progress_bar(&p, 11 * NS_PER_S, 72, &b);
	SAYS(&b, "copy [####...............]  25 %  1 GiB of 4 GiB  102.4 MiB/s  30 s left");
	EQ(b.n, 72);
	buf_reset(&b);
	progress_bar(&p, 11 * NS_PER_S, 20, &b);	/* no room: no bar, but the numbers */
	SAYS(&b, "copy  25 %  1 GiB of 4 GiB  102.4 MiB/s  30 s left");
}

TEST(progress_of_unknown_size)
{
	struct progress p = { .what = "scan", .started = NS_PER_S, .done = 10 * MiB };
	_buf_free_ struct buf b = { 0 };

	progress_bar(&p, 2 * NS_PER_S, 80, &b);
	SAYS(&b, "scan  10 MiB  10 MiB/s");
	buf_reset(&b);
	progress_json(&p, 2 * NS_PER_S, &b);
	SAYS(&b, "{\"progress\":{\"what\":\"scan\",\"done\":10485760,\"total\":null,"
		 "\"rate\":10485760,\"seconds_left\":null}}\n");
}

TEST(progress_json_is_a_line)
{
	struct progress p = { .what = "copy", .started = NS_PER_S, .total = 3000, .done = 1000 };
	_buf_free_ struct buf b = { 0 };

	progress_json(&p, 2 * NS_PER_S, &b);
	SAYS(&b, "{\"progress\":{\"what\":\"copy\",\"done\":1000,\"total\":3000,"
		 "\"rate\":1000,\"seconds_left\":2}}\n");
}

TEST(progress_survives_any_numbers)
{
	static const uint64_t some[] = { 0, 1, 99, (uint64_t)1 << 53, INT64_MAX, UINT64_MAX };

	for (size_t d = 0; d < ARRAY_SIZE(some); d++)
		for (size_t t = 0; t < ARRAY_SIZE(some); t++)
			for (size_t n = 0; n < ARRAY_SIZE(some); n++) {
				struct progress p = {
					.what = "x", .done = some[d], .total = some[t],
				};
				_buf_free_ struct buf b = { 0 };

				progress_bar(&p, some[n], 80, &b);
				progress_json(&p, some[n], &b);
				OK(b.n > 0 && b.n < 400);
			}
}

TEST(progress_start_and_end_leave_the_signals_as_they_were)
{
	sigset_t before, after;
	struct progress p;

	sigprocmask(SIG_SETMASK, NULL, &before);
	progress_start(&p, PROGRESS_NONE, "x", 1);
	progress_step(&p, 1);
	progress_end(&p);
	sigprocmask(SIG_SETMASK, NULL, &after);
	EQ(sigismember(&before, SIGUSR1), sigismember(&after, SIGUSR1));
}
