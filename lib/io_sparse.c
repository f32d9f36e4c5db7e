/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory in pages that copies share until one of them writes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/io_test.h"

#define PAGE 4096u

struct page {
	uint64_t refs;		/* of a size that aligns what follows */
	uint8_t b[PAGE];
};

struct sparse {
	struct io io;
	uint64_t max;
	uint64_t changes;
	struct page **v;	/* NULL: never written */
	size_t n;
	struct page *never, *zero;	/* what such a page holds, and one of zeroes */
};

static struct sparse *sparse_of(const struct io *io)
{
	return (struct sparse *)io;
}

static struct page *new_page(uint8_t fill)
{
	struct page *p = must_alloc(sizeof(*p));

	p->refs = 1;
	memset(p->b, fill, PAGE);
	return p;
}

static void put_page(struct page *p)
{
	if (p && !--p->refs)
		free(p);
}

static size_t pages(uint64_t size)
{
	return (size_t)((size + PAGE - 1) / PAGE);
}

const void *io_sparse_at(const struct io *io, uint64_t at)
{
	const struct sparse *s = sparse_of(io);
	const struct page *p = s->v[at / PAGE];

	return (p ? p : s->never)->b + at % PAGE;
}

uint64_t io_sparse_changes(const struct io *io)
{
	return sparse_of(io)->changes;
}

/* A page that nobody else has, to write to. */
static uint8_t *own(struct sparse *s, uint64_t i)
{
	struct page *p = s->v[i], *mine;

	if (p && p->refs == 1)
		return p->b;
	mine = must_realloc(NULL, sizeof(*mine));
	memcpy(mine, p ? p : s->never, sizeof(*mine));
	mine->refs = 1;
	put_page(p);
	s->v[i] = mine;
	return mine->b;
}

static int sparse_read(struct io *io, uint64_t at, void *buf, size_t len)
{
	char *to = buf;

	while (len) {
		size_t n = PAGE - at % PAGE < len ? (size_t)(PAGE - at % PAGE) : len;

		memcpy(to, io_sparse_at(io, at), n);
		to += n;
		at += n;
		len -= n;
	}
	return 0;
}

static int sparse_resize(struct io *io, uint64_t size)
{
	struct sparse *s = sparse_of(io);
	size_t n = pages(size);

	if (size > s->max)
		return -ENOSPC;
	s->changes++;
	if (n > s->n) {
		s->v = must_realloc(s->v, n * sizeof(*s->v));
		memset(s->v + s->n, 0, (n - s->n) * sizeof(*s->v));
	}
	for (size_t i = n; i < s->n; i++) {
		put_page(s->v[i]);
		s->v[i] = NULL;
	}
	if (size < io->size && size % PAGE)
		memset(own(s, size / PAGE) + size % PAGE, 0, PAGE - size % PAGE);
	s->n = n;
	io->size = size;
	return 0;
}

/* From a buffer, or zeroes for want of one. */
static int store(struct io *io, uint64_t at, const char *from, uint64_t len)
{
	struct sparse *s = sparse_of(io);
	int err = at + len > io->size ? sparse_resize(io, at + len) : 0;

	if (err)
		return err;
	s->changes++;
	while (len) {
		size_t n = PAGE - at % PAGE < len ? (size_t)(PAGE - at % PAGE) : (size_t)len;

		if (from) {
			memcpy(own(s, at / PAGE) + at % PAGE, from, n);
			from += n;
		} else if (n == PAGE) {
			put_page(s->v[at / PAGE]);
			s->v[at / PAGE] = s->zero;
			s->zero->refs++;
		} else {
			memset(own(s, at / PAGE) + at % PAGE, 0, n);
		}
		at += n;
		len -= n;
	}
	return 0;
}

static int sparse_write(struct io *io, uint64_t at, const void *buf, size_t len)
{
	return store(io, at, buf, len);
}

static int sparse_zero(struct io *io, uint64_t at, uint64_t len)
{
	return store(io, at, NULL, len);
}

static int sparse_flush(struct io *io)
{
	return 0;
}

static void sparse_close(struct io *io)
{
	struct sparse *s = sparse_of(io);

	for (size_t i = 0; i < s->n; i++)
		put_page(s->v[i]);
	put_page(s->never);
	put_page(s->zero);
	free(s->v);
	free(s);
}

static const struct io_ops file_ops = {
	.read = sparse_read, .write = sparse_write, .flush = sparse_flush, .zero = sparse_zero,
	.resize = sparse_resize, .close = sparse_close,
};

static const struct io_ops volume_ops = {
	.read = sparse_read, .write = sparse_write, .flush = sparse_flush, .zero = sparse_zero,
	.close = sparse_close,
};

struct io *io_sparse(uint64_t size, uint64_t max, uint8_t fill)
{
	struct sparse *s = must_alloc(sizeof(*s));

	*s = (struct sparse){
		.io = {
			.ops = size == max ? &volume_ops : &file_ops, .size = size, .sector = 512,
			.fd = -1,
		},
		.max = max, .n = pages(size),
		.never = new_page(size == max ? fill : 0), .zero = new_page(0),
	};
	s->v = must_alloc(s->n * sizeof(*s->v) + 1);
	return &s->io;
}

struct io *io_sparse_copy(const struct io *io)
{
	const struct sparse *of = sparse_of(io);
	struct sparse *s = must_alloc(sizeof(*s));

	if (io->ops != &file_ops && io->ops != &volume_ops) {
		free(s);
		return NULL;
	}
	*s = *of;
	s->v = must_alloc(s->n * sizeof(*s->v) + 1);
	for (size_t i = 0; i < s->n; i++) {
		s->v[i] = of->v[i];
		if (s->v[i])
			s->v[i]->refs++;
	}
	s->never->refs++;
	s->zero->refs++;
	return &s->io;
}
