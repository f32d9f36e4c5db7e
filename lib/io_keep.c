/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/io_keep.h"

#define PART	((size_t)256 << 10)	/* a multiple of IO_KEPT */

struct keep {
	struct io io;
	struct io *of, *side;
	uint64_t size;		/* of `of` when it began: what came later is not kept */
	uint8_t *kept;		/* a bit for each block */
	char *buf;
};

static bool is_kept(const struct keep *k, uint64_t block)
{
	return k->kept[block / 8] & 1u << block % 8;
}

/* One stretch of blocks, all of them whole but for the last of the file. */
static int keep_blocks(struct keep *k, uint64_t first, uint64_t end)
{
	uint64_t at = first * IO_KEPT, stop = end * IO_KEPT;
	int err = 0;

	if (stop > k->size)
		stop = k->size;
	while (at < stop && !err) {
		size_t n = stop - at < PART ? (size_t)(stop - at) : PART;

		err = io_read(k->of, at, k->buf, n);
		if (!err)
			err = io_write(k->side, at, k->buf, n);
		at += n;
	}
	for (uint64_t i = first; i < end && !err; i++)
		k->kept[i / 8] |= (uint8_t)(1u << i % 8);
	return err;
}

/* Whatever of these bytes was there at the beginning and is not kept yet. */
static int keep_bytes(struct keep *k, uint64_t at, uint64_t len)
{
	uint64_t end = at + len < k->size ? at + len : k->size;
	bool changed = false;
	int err = 0;

	for (uint64_t i = at / IO_KEPT; i * IO_KEPT < end && !err; i++) {
		uint64_t first = i;

		while (i * IO_KEPT < end && !is_kept(k, i))
			i++;
		if (i == first)
			continue;
		err = keep_blocks(k, first, i);
		changed = true;
	}
	return !err && changed ? io_flush(k->side) : err;
}

static int keep_read(struct io *io, uint64_t at, void *buf, size_t len)
{
	return io_read(((struct keep *)io)->of, at, buf, len);
}

static int keep_write(struct io *io, uint64_t at, const void *buf, size_t len)
{
	struct keep *k = (struct keep *)io;
	int err = keep_bytes(k, at, len);

	if (!err)
		err = io_write(k->of, at, buf, len);
	io->size = k->of->size;
	return err;
}

static int keep_zero(struct io *io, uint64_t at, uint64_t len)
{
	struct keep *k = (struct keep *)io;
	int err = keep_bytes(k, at, len);

	if (!err)
		err = io_zero(k->of, at, len);
	io->size = k->of->size;
	return err;
}

static int keep_resize(struct io *io, uint64_t size)
{
	struct keep *k = (struct keep *)io;
	int err = size < k->size ? keep_bytes(k, size, k->size - size) : 0;

	if (!err)
		err = io_resize(k->of, size);
	io->size = k->of->size;
	return err;
}

static int keep_flush(struct io *io)
{
	return io_flush(((struct keep *)io)->of);
}

static int keep_extent(struct io *io, uint64_t at, uint64_t *len, bool *is_data)
{
	return io_extent(((struct keep *)io)->of, at, len, is_data);
}

static void keep_close(struct io *io)
{
	struct keep *k = (struct keep *)io;

	free(k->kept);
	free(k->buf);
	free(k);
}

static const struct io_ops keep_ops = {
	.read = keep_read, .write = keep_write, .flush = keep_flush, .zero = keep_zero,
	.resize = keep_resize, .extent = keep_extent, .close = keep_close,
};

struct io *io_keep(struct io *of, struct io *side)
{
	struct keep *k = must_alloc(sizeof(*k));

	*k = (struct keep){
		.io = {
			.ops = &keep_ops, .size = of->size, .sector = of->sector,
			.read_only = of->read_only, .fd = of->fd,
		},
		.of = of, .side = side, .size = of->size,
		.kept = must_alloc((size_t)(of->size / IO_KEPT / 8 + 1)),
		.buf = must_alloc(PART),
	};
	return &k->io;
}
