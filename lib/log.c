/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/ctx.h"
#include "lib/log.h"

/* The one thing a library of this program keeps: main() fills it in. */
static struct {
	log_sink *fn;
	void *arg;
} sink;

void log_set_sink(log_sink *fn, void *arg)
{
	sink.fn = fn;
	sink.arg = arg;
}

/* How one character is shown; how many bytes of s that took is returned. */
static size_t show(char to[9], const char *s)
{
	static const char names[] = "abtnvfr";	/* 7 to 13 */
	unsigned char c = (unsigned char)s[0], d = c ? (unsigned char)s[1] : 0;

	if (c == 0xc2 && d >= 0x80 && d <= 0x9f) {
		snprintf(to, 9, "\\xc2\\x%02x", d);
		return 2;
	}
	if (c == '\\')
		strcpy(to, "\\\\");
	else if (c >= 7 && c <= 13)
		snprintf(to, 9, "\\%c", names[c - 7]);
	else if (c < ' ' || c == 0x7f)
		snprintf(to, 9, "\\x%02x", c);
	else
		snprintf(to, 9, "%c", c);
	return 1;
}

size_t log_escape(char *out, size_t n, const char *s)
{
	char shown[9];
	size_t at = 0, fits = 0;	/* fits: what leaves room for the dots */

	while (*s) {
		size_t took = show(shown, s), len = strlen(shown);

		if (at + len >= n) {
			/* Not within a character of UTF-8. */
			while (fits && (out[fits] & 0xc0) == 0x80)
				fits--;
			strcpy(out + fits, "...");
			return fits + 3;
		}
		memcpy(out + at, shown, len);
		at += len;
		s += took;
		if (at + 4 <= n)
			fits = at;
	}
	out[at] = '\0';
	return at;
}

static void to_stderr(const char *line)
{
	char text[LOG_LINE_MAX + 8];
	int n = snprintf(text, sizeof(text), "sm: %s\n", line);

	/* One write, so that lines of several processes do not mix; if nobody
	 * reads it there is nobody to tell. */
	if (write(STDERR_FILENO, text, (size_t)n) < 0)
		return;
}

void logf_at(const struct ctx *ctx, enum log_level level, const char *fmt, ...)
{
	char raw[LOG_LINE_MAX] = "", line[LOG_LINE_MAX], tag[128] = "";
	bool verbose = ctx && ctx->verbose;
	int keep = errno;
	va_list ap;

	if (!verbose && (level == LOG_LEVEL_DEBUG || !sink.fn))
		return;
	va_start(ap, fmt);
	if (vsnprintf(raw, sizeof(raw), fmt, ap) >= (int)sizeof(raw))
		strcpy(raw + sizeof(raw) - 4, "...");
	va_end(ap);
	log_escape(line, sizeof(line), raw);
	if (ctx && ctx->tag)
		log_escape(tag, sizeof(tag), ctx->tag);
	if (verbose)
		to_stderr(line);
	if (sink.fn)
		sink.fn(sink.arg, level, tag, line);
	errno = keep;
}
