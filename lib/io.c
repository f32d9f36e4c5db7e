/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table's wrappers and its plain members: memory and window. lib/io_file.c has the file. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/io.h"

#define ZERO_CHUNK ((size_t)256 << 10)

int io_read(struct io *io, uint64_t at, void *buf, size_t len)
{
	if (!range_ok(at, len, io->size))
		return -E_SHORT;
	return len ? io->ops->read(io, at, buf, len) : 0;
}

int io_write(struct io *io, uint64_t at, const void *buf, size_t len)
{
	uint64_t end;

	if (io->read_only)
		return -EROFS;
	if (!add_ok(at, len, &end) || end > INT64_MAX)
		return -EFBIG;
	return len ? io->ops->write(io, at, buf, len) : 0;
}

int io_flush(struct io *io)
{
	return io->read_only ? 0 : io->ops->flush(io);
}

static int write_zeroes(struct io *io, uint64_t at, uint64_t len)
{
	size_t room = len < ZERO_CHUNK ? (size_t)len : ZERO_CHUNK;
	void *zeroes = must_alloc(room);
	int err = 0;

	while (len && !err) {
		size_t n = len < room ? (size_t)len : room;

		err = io->ops->write(io, at, zeroes, n);
		at += n;
		len -= n;
	}
	free(zeroes);
	return err;
}

int io_zero(struct io *io, uint64_t at, uint64_t len)
{
	uint64_t end;
	int err = -EOPNOTSUPP;

	if (io->read_only)
		return -EROFS;
	if (!add_ok(at, len, &end) || end > INT64_MAX)
		return -EFBIG;
	if (!len)
		return 0;
	if (io->ops->zero)
		err = io->ops->zero(io, at, len);
	return err == -EOPNOTSUPP ? write_zeroes(io, at, len) : err;
}

int io_resize(struct io *io, uint64_t size)
{
	if (io->read_only)
		return -EROFS;
	if (size > INT64_MAX)
		return -EFBIG;
	return io->ops->resize ? io->ops->resize(io, size) : -EOPNOTSUPP;
}

int io_extent(struct io *io, uint64_t at, uint64_t *len, bool *is_data)
{
	if (at >= io->size)
		return -E_SHORT;
	if (io->ops->extent)
		return io->ops->extent(io, at, len, is_data);
	*len = io->size - at;
	*is_data = true;
	return 0;
}

void io_hint(struct io *io, uint64_t at, uint64_t len, enum io_hint what)
{
	if (at < io->size && io->ops->hint)
		io->ops->hint(io, at, len < io->size - at ? len : io->size - at, what);
}

void io_close(struct io *io)
{
	if (io)
		io->ops->close(io);
}

/* --- memory -------------------------------------------------------------- */

struct mem {
	struct io io;
	uint8_t *p;
	uint64_t max;
};

static int mem_read(struct io *io, uint64_t at, void *buf, size_t len)
{
	memcpy(buf, ((struct mem *)io)->p + at, len);
	return 0;
}

static int mem_resize(struct io *io, uint64_t size)
{
	struct mem *m = (struct mem *)io;

	if (size > m->max)
		return -ENOSPC;
	if (size > SIZE_MAX)
		return -EFBIG;
	m->p = must_realloc(m->p, (size_t)size);
	if (size > io->size)
		memset(m->p + io->size, 0, (size_t)(size - io->size));
	io->size = size;
	return 0;
}

static int mem_write(struct io *io, uint64_t at, const void *buf, size_t len)
{
	int err = at + len > io->size ? mem_resize(io, at + len) : 0;

	if (!err)
		memcpy(((struct mem *)io)->p + at, buf, len);
	return err;
}

static int mem_zero(struct io *io, uint64_t at, uint64_t len)
{
	int err = at + len > io->size ? mem_resize(io, at + len) : 0;

	if (!err)
		memset(((struct mem *)io)->p + at, 0, (size_t)len);
	return err;
}

static int mem_flush(struct io *io)
{
	return 0;
}

static int mem_extent(struct io *io, uint64_t at, uint64_t *len, bool *is_data)
{
	const uint8_t *p = ((struct mem *)io)->p;
	uint64_t end = at;

	/* A run of whole 4 KiB blocks of the same kind, as a sparse file has. */
	do {
		uint64_t n = 4096 - end % 4096;
		bool data;

		if (n > io->size - end)
			n = io->size - end;
		data = !is_zero(p + end, (size_t)n);
		if (end == at)
			*is_data = data;
		else if (data != *is_data)
			break;
		end += n;
	} while (end < io->size);
	*len = end - at;
	return 0;
}

static void mem_close(struct io *io)
{
	free(((struct mem *)io)->p);
	free(io);
}

static const struct io_ops mem_ops = {
	.read = mem_read, .write = mem_write, .flush = mem_flush, .zero = mem_zero,
	.resize = mem_resize, .extent = mem_extent, .close = mem_close,
};

struct io *io_mem(uint64_t size, uint64_t max)
{
	struct mem *m = must_alloc(sizeof(*m));

	*m = (struct mem){
		.io = { .ops = &mem_ops, .size = size, .sector = 512, .fd = -1 },
		.p = must_alloc((size_t)size),
		.max = max > size ? max : size,
	};
	return &m->io;
}

/* --- window -------------------------------------------------------------- */

struct window {
	struct io io;
	struct io *of;
	uint64_t at;
};

static int window_read(struct io *io, uint64_t at, void *buf, size_t len)
{
	struct window *w = (struct window *)io;

	return io_read(w->of, w->at + at, buf, len);
}

static int window_write(struct io *io, uint64_t at, const void *buf, size_t len)
{
	struct window *w = (struct window *)io;

	if (!range_ok(at, len, io->size))
		return -ENOSPC;
	return io_write(w->of, w->at + at, buf, len);
}

static int window_flush(struct io *io)
{
	return io_flush(((struct window *)io)->of);
}

static int window_zero(struct io *io, uint64_t at, uint64_t len)
{
	struct window *w = (struct window *)io;

	if (!range_ok(at, len, io->size))
		return -ENOSPC;
	return io_zero(w->of, w->at + at, len);
}

static int window_extent(struct io *io, uint64_t at, uint64_t *len, bool *is_data)
{
	struct window *w = (struct window *)io;
	int err = io_extent(w->of, w->at + at, len, is_data);

	if (!err && *len > io->size - at)
		*len = io->size - at;
	return err;
}

static void window_hint(struct io *io, uint64_t at, uint64_t len, enum io_hint what)
{
	struct window *w = (struct window *)io;

	io_hint(w->of, w->at + at, len, what);
}

static void window_close(struct io *io)
{
	free(io);
}

static const struct io_ops window_ops = {
	.read = window_read, .write = window_write, .flush = window_flush,
	.zero = window_zero, .extent = window_extent, .hint = window_hint,
	.close = window_close,
};

int io_window(struct io **io, struct io *of, uint64_t at, uint64_t len)
{
	struct window *w;

	if (!range_ok(at, len, of->size))
		return -E_SHORT;
	w = must_alloc(sizeof(*w));
	*w = (struct window){
		.io = {
			.ops = &window_ops, .size = len, .sector = of->sector,
			.read_only = of->read_only, .fd = -1,
		},
		.of = of,
		.at = at,
	};
	*io = &w->io;
	return 0;
}
