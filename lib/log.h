/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an operator would ask about: the request as it comes in, each durable
 * change as it is committed, the reply as it leaves.
 *
 *	logf_info(ctx, "%s: lock held by pid %d", sr->uuid, pid);
 *
 * A message is one line: control characters and backslashes in it are shown as
 * \n, \x1b, \\, and what exceeds the limit is cut off, ending in "...".
 * Nothing is logged before main() has set a sink, except to stderr with
 * ctx->verbose; debug messages exist only with that.  Logging keeps errno.
 */
#ifndef LIB_LOG_H
#define LIB_LOG_H

#include <stddef.h>

struct ctx;

#define LOG_LINE_MAX 2048

/* As syslog numbers them. */
enum log_level { LOG_LEVEL_ERR = 3, LOG_LEVEL_WARN = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

/* tag is ctx->tag, made fit to print too; "" if there is none. */
typedef void log_sink(void *arg, enum log_level level, const char *tag, const char *line);

/* Where lines go from now on; NULL for nowhere. */
void log_set_sink(log_sink *sink, void *arg);

/* ctx may be NULL. */
void logf_at(const struct ctx *ctx, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define logf_err(ctx, ...)	logf_at(ctx, LOG_LEVEL_ERR, __VA_ARGS__)
#define logf_warn(ctx, ...)	logf_at(ctx, LOG_LEVEL_WARN, __VA_ARGS__)
#define logf_info(ctx, ...)	logf_at(ctx, LOG_LEVEL_INFO, __VA_ARGS__)
#define logf_debug(ctx, ...)	logf_at(ctx, LOG_LEVEL_DEBUG, __VA_ARGS__)

/*
 * s as it may appear in a line, in out of size n (at least 4), with its NUL;
 * the length.  Bytes from 0x80 on are passed as they are, but for the control
 * characters U+0080 to U+009F.
 */
size_t log_escape(char *out, size_t n, const char *s);

#endif
