/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/ctx.h"
#include "lib/err.h"

__attribute__((format(printf, 3, 0)))
static void prepend(struct ctx *ctx, const char *rest, const char *fmt, va_list ap)
{
	char inner[sizeof(ctx->why)];
	size_t n;

	snprintf(inner, sizeof(inner), "%s", ctx->why[0] ? ctx->why : rest);
	vsnprintf(ctx->why, sizeof(ctx->why), fmt, ap);
	n = strlen(ctx->why);
	if (inner[0])
		snprintf(ctx->why + n, sizeof(ctx->why) - n, ": %s", inner);
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
