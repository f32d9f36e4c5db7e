/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/arena.h"

struct arena_chunk {
	struct arena_chunk *below;
	size_t room;
	alignas(max_align_t) char data[];
};

/* Small enough to start a verb cheaply, doubled until this many bytes. */
#define CHUNK_FIRST	((size_t)4 << 10)
#define CHUNK_MOST	((size_t)1 << 20)
#define PAGE		((size_t)4096)
#define LARGE_PAGE	((size_t)2 << 20)

static __attribute__((noreturn)) void out_of_memory(void)
{
	static const char text[] = "sm: out of memory; nothing that was promised is lost\n";

	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(1);
	_exit(1);
}

void *must_realloc(void *p, size_t n)
{
	p = realloc(p, n ? n : 1);
	if (!p)
		out_of_memory();
	return p;
}

void *must_alloc(size_t n)
{
	void *p = calloc(1, n ? n : 1);

	if (!p)
		out_of_memory();
	return p;
}

/* What does not fill a large page lies in small ones, so that no memory is taken for nothing. */
void *large_alloc(size_t n)
{
	size_t whole = n / LARGE_PAGE * LARGE_PAGE;
	void *p = NULL;

	if (posix_memalign(&p, whole ? LARGE_PAGE : PAGE, n))
		return NULL;
	if (whole)
		madvise(p, whole, MADV_HUGEPAGE);
	return p;
}

static void put_on_top(struct arena *a, struct arena_chunk *c, size_t room)
{
	if (!c)
		out_of_memory();
	c->below = a->top;
	c->room = room;
	a->top = c;
	a->used = 0;
}

static void push(struct arena *a, size_t need)
{
	size_t room = a->top ? a->top->room * 2 : CHUNK_FIRST;

	if (room > CHUNK_MOST)
		room = CHUNK_MOST;
	if (room < need)
		room = need;
	if (room > SIZE_MAX - sizeof(struct arena_chunk))
		out_of_memory();
	put_on_top(a, malloc(sizeof(struct arena_chunk) + room), room);
}

void arena_expect(struct arena *a, size_t n)
{
	if (n < LARGE_PAGE || n > SIZE_MAX / 2 || (a->top && a->top->room - a->used >= n))
		return;
	put_on_top(a, large_alloc(sizeof(struct arena_chunk) + n), n);
}

static void *take(struct arena *a, size_t n)
{
	size_t up = (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	void *p;

	if (up < n)
		out_of_memory();
	if (!a->top || up > a->top->room - a->used)
		push(a, up);
	p = a->top->data + a->used;
	a->used += up;
	return p;
}

void *arena_alloc(struct arena *a, size_t n)
{
	return memset(take(a, n), 0, n);
}

void *arena_pages(struct arena *a, size_t n)
{
	size_t room;
	char *p;

	if (__builtin_add_overflow(n, PAGE - 1, &room))
		out_of_memory();
	p = take(a, room);
	return p + (-(uintptr_t)p & (PAGE - 1));
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		out_of_memory();
	return arena_alloc(a, bytes);
}

void *arena_grow(struct arena *a, const void *old, size_t n_old, size_t n, size_t size)
{
	void *p = arena_array(a, n, size);

	if (n_old > n)
		n_old = n;
	if (n_old)
		memcpy(p, old, n_old * size);
	return p;
}

void *arena_copy(struct arena *a, const void *p, size_t n)
{
	void *copy = arena_alloc(a, n);

	return n ? memcpy(copy, p, n) : copy;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	size_t len = n ? strnlen(s, n) : 0;
	char *copy = arena_alloc(a, len + 1);

	if (len)
		memcpy(copy, s, len);
	return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
	va_list again;
	char *s;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0)
		out_of_memory();
	s = arena_alloc(a, (size_t)n + 1);
	vsnprintf(s, (size_t)n + 1, fmt, ap);
	return s;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = arena_vprintf(a, fmt, ap);
	va_end(ap);
	return s;
}

void arena_reset(struct arena *a)
{
	while (a->top && a->top->below) {
		struct arena_chunk *below = a->top->below;

		/* The newest is large enough for most of what came: keep that one. */
		a->top->below = below->below;
		free(below);
	}
	a->used = 0;
}

void arena_free(struct arena *a)
{
	while (a->top) {
		struct arena_chunk *c = a->top;

		a->top = c->below;
		free(c);
	}
	a->used = 0;
}
