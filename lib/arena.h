/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory that lives as long as a request and is never freed singly.
 *
 *	struct arena a = { 0 };
 *	char *name = arena_printf(&a, "%s.raw", uuid);
 *	...
 *	arena_free(&a);
 *
 * A zeroed struct is an empty arena.  Everything returned is zeroed, aligned
 * for any type, and valid until arena_free() (or arena_reset(), which keeps one
 * chunk for the next round).  Allocation does not fail: when there is no
 * memory the program says so and ends with status 1, as a kill at that point
 * would end it.
 */
#ifndef LIB_ARENA_H
#define LIB_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct arena_chunk;

struct arena {
	struct arena_chunk *top;
	size_t used;		/* bytes handed out of top */
};

void *arena_alloc(struct arena *a, size_t n);
/* The same, but on a page boundary and not zeroed: for large transfers. */
void *arena_pages(struct arena *a, size_t n);
/*
 * So many bytes will be wanted soon: make room for them at once.  A large room
 * lies in large pages where the kernel has such, which costs a tenth of
 * meeting its pages one by one.
 */
void arena_expect(struct arena *a, size_t n);
/* n elements of the given size; the product is checked. */
void *arena_array(struct arena *a, size_t n, size_t size);
/* A larger copy of an array that has grown from n_old to n elements. */
void *arena_grow(struct arena *a, const void *old, size_t n_old, size_t n, size_t size);
void *arena_copy(struct arena *a, const void *p, size_t n);
char *arena_strdup(struct arena *a, const char *s);
/* Up to n bytes or the first NUL. */
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));
void arena_reset(struct arena *a);
void arena_free(struct arena *a);

/* malloc() and realloc() by the same rule: they return memory or do not return. */
void *must_alloc(size_t n);
void *must_realloc(void *p, size_t n);
/* Not zeroed, on a page boundary, in large pages as above; for free().  NULL: there is no memory. */
void *large_alloc(size_t n);

#endif
