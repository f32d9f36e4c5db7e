/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/ctx.h"
#include "lib/err.h"
#include "tests/unit/t.h"

TEST(fail_puts_each_clause_in_front_and_the_cause_last)
{
	struct ctx ctx = { 0 };

	EQ(fail(&ctx, -E_SR_MISSING, "open %s", "/sr"), -E_SR_MISSING);
	OK(!strcmp(ctx.why, "open /sr: no such SR"));
	EQ(fail(&ctx, -E_SR_MISSING, "vdi create"), -E_SR_MISSING);
	OK(!strcmp(ctx.why, "vdi create: open /sr: no such SR"));
	fail_clear(&ctx);
	OK(!strcmp(ctx.why, ""));
	EQ(fail_say(&ctx, -E_USAGE, "what is %s?", "this"), -E_USAGE);
	OK(!strcmp(ctx.why, "what is this?"));
}

TEST(fail_may_quote_the_sentence_so_far)
{
	struct ctx ctx = { 0 };

	fail(&ctx, -E_BUSY, "lock");
	fail(&ctx, -E_BUSY, "twice (%s)", ctx.why);
	OK(!strcmp(ctx.why, "twice (lock: somebody else is at work here): "
			    "lock: somebody else is at work here"));
}

TEST(fail_keeps_the_cause_when_the_sentence_is_full)
{
	struct ctx ctx = { 0 };
	char big[3000];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	fail(&ctx, -E_BUSY, "%s", big);
	EQ(strlen(ctx.why), sizeof(ctx.why) - 1);
	OK(strstr(ctx.why, "xxx: somebody else is at work here"));
	fail(&ctx, -E_BUSY, "%s", "outer");
	OK(strlen(ctx.why) < sizeof(ctx.why));
	fail_clear(&ctx);
	for (int i = 0; i < 1000; i++)
		fail(&ctx, -E_BUSY, "level %d", i);
	OK(strstr(ctx.why, "level 0: somebody else is at work here"));
}

TEST(hint_of_the_innermost_wins)
{
	struct ctx ctx = { 0 };

	hint(&ctx, "sm sr attach %s", "x");
	hint(&ctx, "something else");
	OK(!strcmp(ctx.hint, "sm sr attach x"));
	fail_clear(&ctx);
	OK(!strcmp(ctx.hint, ""));
}
