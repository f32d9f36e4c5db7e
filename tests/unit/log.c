/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/ctx.h"
#include "lib/log.h"
#include "tests/unit/t.h"

struct seen {
	int n, level;
	char tag[64], line[LOG_LINE_MAX];
};

static void note(void *arg, enum log_level level, const char *tag, const char *line)
{
	struct seen *s = arg;

	s->n++;
	s->level = level;
	snprintf(s->tag, sizeof(s->tag), "%s", tag);
	snprintf(s->line, sizeof(s->line), "%s", line);
	errno = EBADF;
}

TEST(log_goes_to_its_sink_as_one_harmless_line)
{
	struct ctx ctx = { .tag = "task\n7" };
	struct seen s = { 0 };

	log_set_sink(note, &s);
	errno = ENOENT;
	logf_info(&ctx, "name %s", "a\nb\t\x1b[2J\\ \x7f\xc2\x9b \xc3\xa4");
	EQ(errno, ENOENT);
	EQ(s.n, 1);
	EQ(s.level, LOG_LEVEL_INFO);
	OK(!strcmp(s.tag, "task\\n7"));
	OK(!strcmp(s.line, "name a\\nb\\t\\x1b[2J\\\\ \\x7f\\xc2\\x9b \xc3\xa4"));
	logf_err(NULL, "no context");
	EQ(s.n, 2);
	OK(!strcmp(s.tag, ""));
	logf_debug(&ctx, "not asked for");
	EQ(s.n, 2);
	log_set_sink(NULL, NULL);
	logf_info(&ctx, "nobody there");
	EQ(s.n, 2);
}

TEST(log_cuts_what_is_too_long)
{
	struct seen s = { 0 };
	char big[3 * LOG_LINE_MAX];

	memset(big, '\n', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	log_set_sink(note, &s);
	logf_warn(NULL, "%s", big);
	/* An escape is not cut in two. */
	OK(!strcmp(s.line + strlen(s.line) - 5, "\\n..."));
	memset(big, 'x', sizeof(big) - 1);
	logf_warn(NULL, "%s", big);
	EQ(strlen(s.line), LOG_LINE_MAX - 1);
	OK(!strcmp(s.line + LOG_LINE_MAX - 4, "..."));
	log_set_sink(NULL, NULL);
}

TEST(log_escape_at_every_length)
{
	char out[32];
	size_t len;

	for (size_t n = 4; n < sizeof(out); n++) {
		memset(out, '#', sizeof(out));
		len = log_escape(out, n, "ab\xc3\xa4\n\\x\x01yz");
		EQ(len, strlen(out));
		OK(strlen(out) < n);
		OK(!strncmp(out, "ab\xc3\xa4\\n\\\\x\\x01yz", strlen(out)) ||
		   !strcmp(out + strlen(out) - 3, "..."));
	}
	EQ(log_escape(out, sizeof(out), ""), 0);
	EQ(log_escape(out, 6, "abcde"), 5);
	OK(!strcmp(out, "abcde"));
	EQ(log_escape(out, 6, "abcdef"), 5);
	OK(!strcmp(out, "ab..."));
	EQ(log_escape(out, 7, "ab\xc3\xa4xyz"), 5);
	OK(!strcmp(out, "ab..."));
}

TEST(log_is_also_on_stderr_when_verbose)
{
	struct ctx ctx = { .verbose = true };
	int ends[2], keep = dup(STDERR_FILENO);
	char got[64] = "";

	OK(!pipe(ends));
	dup2(ends[1], STDERR_FILENO);
	logf_debug(&ctx, "look: %d", 7);
	dup2(keep, STDERR_FILENO);
	close(keep);
	close(ends[1]);
	OK(read(ends[0], got, sizeof(got) - 1) > 0);
	OK(!strcmp(got, "sm: look: 7\n"));
	close(ends[0]);
}
