/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/buf.h"

char *buf_room(struct buf *b, size_t more)
{
	size_t need;

	/* One byte on top for the NUL. */
	if (__builtin_add_overflow(b->n, more, &need) || need == SIZE_MAX)
		need = SIZE_MAX;	/* no allocation of that size succeeds */
	else
		need++;
	if (need > b->room) {
		size_t room = b->room < SIZE_MAX / 2 ? b->room * 2 : SIZE_MAX;

		if (room < 64)
			room = 64;
		if (room < need)
			room = need;
		b->p = must_realloc(b->p, room);
		b->room = room;
	}
	return b->p + b->n;
}

void buf_pages(struct buf *b, size_t room)
{
	void *p;

	buf_free(b);
	/* When there is no memory, whoever adds to the buffer finds that out. */
	p = room < SIZE_MAX ? large_alloc(room + 1) : NULL;
	if (!p)
		return;
	*b = (struct buf){ .p = p, .room = room + 1 };
	b->p[0] = '\0';
}

void buf_add(struct buf *b, const void *p, size_t n)
{
	char *to = buf_room(b, n);

	if (n)
		memcpy(to, p, n);
	b->n += n;
	b->p[b->n] = '\0';
}

void buf_puts(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_putc(struct buf *b, char c)
{
	*buf_room(b, 1) = c;
	b->p[++b->n] = '\0';
}

void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n <= 0)
		return;
	vsnprintf(buf_room(b, (size_t)n), (size_t)n + 1, fmt, ap);
	b->n += (size_t)n;
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
}

const char *buf_str(const struct buf *b)
{
	return b->n ? b->p : "";
}

void buf_reset(struct buf *b)
{
	b->n = 0;
	if (b->p)
		b->p[0] = '\0';
}

void buf_free(struct buf *b)
{
	free(b->p);
	*b = (struct buf){ 0 };
}
