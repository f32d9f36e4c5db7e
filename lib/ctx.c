/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/ctx.h"
#include "lib/err.h"

__attribute__((format(printf, 3, 0)))
static void prepend(struct ctx *ctx, const char *rest, const char *fmt, va_list ap)
{
	char clause[sizeof(ctx->why)] = "";
	const char *inner = ctx->why[0] ? ctx->why : rest;
	size_t n, len = strlen(inner);

	/* Formatted aside: the sentence so far may be among the arguments. */
	vsnprintf(clause, sizeof(clause), fmt, ap);
	n = strlen(clause);
	/* Clauses that are too long give way: the cause stands at the end. */
	if (len + 2 + n >= sizeof(clause))
		n = len + 2 < sizeof(clause) ? sizeof(clause) - 3 - len : 0;
	if (len && n) {
		memcpy(clause + n, ": ", 2);
		n += 2;
	}
	if (len)
		memcpy(clause + n, inner, len + 1);
	memcpy(ctx->why, clause, sizeof(clause));
}

int fail(struct ctx *ctx, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	prepend(ctx, err_text(err), fmt, ap);
	va_end(ap);
	return err;
}

int fail_say(struct ctx *ctx, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	prepend(ctx, "", fmt, ap);
	va_end(ap);
	return err;
}

int fail_path(struct ctx *ctx, int err, const char *path)
{
	if (err == -ENOENT && !strncmp(path, "/dev/", 5))
		err = -E_DEVICE_MISSING;
	if (err == -E_DEVICE_MISSING)
		hint(ctx, "is the disk connected? ls -l %.128s", path);
	return fail(ctx, err, "%s", path);
}

void hint(struct ctx *ctx, const char *fmt, ...)
{
	va_list ap;

	if (ctx->hint[0])
		return;
	va_start(ap, fmt);
	vsnprintf(ctx->hint, sizeof(ctx->hint), fmt, ap);
	va_end(ap);
}

void fail_clear(struct ctx *ctx)
{
	ctx->why[0] = ctx->hint[0] = '\0';
}

void fail_keep(const struct ctx *ctx, struct fail_words *w)
{
	memcpy(w->why, ctx->why, sizeof(w->why));
	memcpy(w->hint, ctx->hint, sizeof(w->hint));
}

void fail_again(struct ctx *ctx, const struct fail_words *w)
{
	memcpy(ctx->why, w->why, sizeof(ctx->why));
	memcpy(ctx->hint, w->hint, sizeof(ctx->hint));
}
