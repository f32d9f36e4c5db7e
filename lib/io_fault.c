/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The n-th call fails. */
#include <stdlib.h>

#include "lib/arena.h"
#include "lib/io_test.h"

struct fault {
	struct io io;
	struct io *base;
	size_t calls, at;
	int err;
	bool tear;
};

static struct fault *fault_of(const struct io *io)
{
	return (struct fault *)io;
}

static bool strikes(struct io *io)
{
	struct fault *f = fault_of(io);

	return ++f->calls == f->at;
}

/* Pass on what base said, and follow its size. */
static int said(struct io *io, int err)
{
	io->size = fault_of(io)->base->size;
	return err;
}

static int fault_read(struct io *io, uint64_t at, void *buf, size_t len)
{
	struct fault *f = fault_of(io);

	return strikes(io) ? f->err : io_read(f->base, at, buf, len);
}

/* The first half of a transfer, in whole sectors: no disk tears one of those. */
static uint64_t half(const struct io *io, uint64_t len)
{
	return len / 2 - len / 2 % io->sector;
}

static int fault_write(struct io *io, uint64_t at, const void *buf, size_t len)
{
	struct fault *f = fault_of(io);

	if (!strikes(io))
		return said(io, io_write(f->base, at, buf, len));
	if (f->tear)
		said(io, io_write(f->base, at, buf, (size_t)half(io, len)));
	return f->err;
}

static int fault_zero(struct io *io, uint64_t at, uint64_t len)
{
	struct fault *f = fault_of(io);

	if (!strikes(io))
		return said(io, io_zero(f->base, at, len));
	if (f->tear)
		said(io, io_zero(f->base, at, half(io, len)));
	return f->err;
}

static int fault_flush(struct io *io)
{
	struct fault *f = fault_of(io);

	return strikes(io) ? f->err : io_flush(f->base);
}

static int fault_resize(struct io *io, uint64_t size)
{
	struct fault *f = fault_of(io);

	return strikes(io) ? f->err : said(io, io_resize(f->base, size));
}

static int fault_extent(struct io *io, uint64_t at, uint64_t *len, bool *is_data)
{
	struct fault *f = fault_of(io);

	return strikes(io) ? f->err : io_extent(f->base, at, len, is_data);
}

static void fault_close(struct io *io)
{
	free(io);
}

static const struct io_ops fault_ops = {
	.read = fault_read, .write = fault_write, .flush = fault_flush, .zero = fault_zero,
	.resize = fault_resize, .extent = fault_extent, .close = fault_close,
};

struct io *io_fault(struct io *base, size_t at, int err, bool tear)
{
	struct fault *f = must_alloc(sizeof(*f));

	*f = (struct fault){
		.io = {
			.ops = &fault_ops, .size = base->size, .sector = base->sector,
			.read_only = base->read_only, .fd = -1,
		},
		.base = base,
		.at = at,
		.err = err,
		.tear = tear,
	};
	return &f->io;
}

size_t io_fault_calls(const struct io *fault)
{
	return fault_of(fault)->calls;
}
