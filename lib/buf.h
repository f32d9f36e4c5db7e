/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes that grow.
 *
 *	_buf_free_ struct buf b = { 0 };
 *	buf_printf(&b, "<%s>", name);
 *	write_all(fd, b.p, b.n);
 *
 * A zeroed struct is an empty buffer.  There is always a NUL behind the last
 * byte once anything was added, so b.p may be used as a string; buf_str() is
 * right for an empty one too.  Allocation does not fail (lib/arena.h).
 */
#ifndef LIB_BUF_H
#define LIB_BUF_H

#include <stdarg.h>
#include <stddef.h>

struct buf {
	char *p;
	size_t n;		/* bytes in use */
	size_t room;		/* bytes allocated */
};

/* Make room for more bytes behind those in use; returns where they go. */
char *buf_room(struct buf *b, size_t more);
/* For an empty buffer: room that lies on a page boundary, as long as it suffices. */
void buf_pages(struct buf *b, size_t room);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));
const char *buf_str(const struct buf *b);
void buf_reset(struct buf *b);		/* empty again, memory kept */
void buf_free(struct buf *b);

#define _buf_free_ __attribute__((cleanup(buf_free)))

#endif
