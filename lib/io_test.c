/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/io_test.h"

/* --- log: what was done, so that it can be done again in part ---------------- */

enum what { WRITE, ZERO, RESIZE, FLUSH };

struct event {
	enum what what;
	uint64_t at;		/* RESIZE: the new size */
	uint64_t len;
	void *data;		/* WRITE only */
};

struct log {
	struct io io;
	struct io *base;
	struct io *before;	/* base as it was when the log was started */
	struct event *v;
	size_t n, room;
	size_t reads;
};

static struct log *log_of(const struct io *io)
{
	return (struct log *)io;
}

/* Note what base has accepted, and follow its size. */
static int note(struct log *l, int err, struct event e)
{
	l->io.size = l->base->size;
	if (err) {
		free(e.data);
		return err;
	}
	if (l->n == l->room) {
		l->room = l->room ? l->room * 2 : 64;
		l->v = must_realloc(l->v, l->room * sizeof(*l->v));
	}
	l->v[l->n++] = e;
	return 0;
}

static int log_read(struct io *io, uint64_t at, void *buf, size_t len)
{
	log_of(io)->reads++;
	return io_read(log_of(io)->base, at, buf, len);
}

static int log_write(struct io *io, uint64_t at, const void *buf, size_t len)
{
	struct event e = { WRITE, at, len, must_realloc(NULL, len) };

	memcpy(e.data, buf, len);
	return note(log_of(io), io_write(log_of(io)->base, at, buf, len), e);
}

static int log_zero(struct io *io, uint64_t at, uint64_t len)
{
	struct event e = { .what = ZERO, .at = at, .len = len };

	return note(log_of(io), io_zero(log_of(io)->base, at, len), e);
}

static int log_resize(struct io *io, uint64_t size)
{
	struct event e = { .what = RESIZE, .at = size };

	return note(log_of(io), io_resize(log_of(io)->base, size), e);
}

static int log_flush(struct io *io)
{
	struct event e = { .what = FLUSH };

	return note(log_of(io), io_flush(log_of(io)->base), e);
}

static int log_extent(struct io *io, uint64_t at, uint64_t *len, bool *is_data)
{
	return io_extent(log_of(io)->base, at, len, is_data);
}

static void log_close(struct io *io)
{
	struct log *l = log_of(io);

	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].data);
	free(l->v);
	io_close(l->before);
	free(l);
}

static const struct io_ops log_ops = {
	.read = log_read, .write = log_write, .flush = log_flush, .zero = log_zero,
	.resize = log_resize, .extent = log_extent, .close = log_close,
};

/* A program that only tests use may stop where a test itself is wrong. */
static void must(int err)
{
	if (err)
		abort();
}

static struct io *copy_of(struct io *of)
{
	struct io *copy = io_sparse_copy(of);
	uint8_t *all;

	if (copy)
		return copy;
	copy = io_mem(of->size, INT64_MAX);
	all = must_alloc((size_t)of->size);
	must(io_read(of, 0, all, (size_t)of->size));
	must(io_write(copy, 0, all, (size_t)of->size));
	copy->sector = of->sector;
	free(all);
	return copy;
}

struct io *io_log(struct io *base)
{
	struct log *l = must_alloc(sizeof(*l));

	*l = (struct log){
		.io = {
			.ops = &log_ops, .size = base->size, .sector = base->sector,
			.read_only = base->read_only, .fd = -1,
		},
		.base = base,
		.before = copy_of(base),
	};
	return &l->io;
}

size_t io_log_len(const struct io *log)
{
	return log_of(log)->n;
}

static size_t count(const struct log *l, enum what from, enum what to)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		n += l->v[i].what >= from && l->v[i].what <= to;
	return n;
}

size_t io_log_writes(const struct io *log)
{
	return count(log_of(log), WRITE, ZERO);
}

size_t io_log_flushes(const struct io *log)
{
	return count(log_of(log), FLUSH, FLUSH);
}

size_t io_log_reads(const struct io *log)
{
	return log_of(log)->reads;
}

static void redo(struct io *disk, const struct event *e)
{
	switch (e->what) {
	case WRITE:
		must(io_write(disk, e->at, e->data, (size_t)e->len));
		break;
	case ZERO:
		must(io_zero(disk, e->at, e->len));
		break;
	case RESIZE:
		must(io_resize(disk, e->at));
		break;
	case FLUSH:
		break;
	}
}

struct io *io_log_replay(const struct io *log, size_t n)
{
	const struct log *l = log_of(log);
	struct io *disk = copy_of(l->before);

	for (size_t i = 0; i < n && i < l->n; i++)
		redo(disk, &l->v[i]);
	return disk;
}

/* splitmix64: the same choices from the same seed, on every machine. */
static uint64_t next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* Some of a write arrives: all before a sector border of the disk, or all behind it. */
static void redo_torn(struct io *disk, const struct event *e, uint64_t random)
{
	uint64_t first = e->at / disk->sector + 1;
	uint64_t last = (e->at + e->len - 1) / disk->sector;
	struct event part = *e;
	uint64_t head;

	if (first > last) {		/* within one sector: all or nothing */
		redo(disk, e);
		return;
	}
	head = (first + random % (last - first + 1)) * disk->sector - e->at;
	if (random >> 63) {
		part.at += head;
		part.len -= head;
		part.data = part.data ? (uint8_t *)part.data + head : NULL;
	} else {
		part.len = head;
	}
	redo(disk, &part);
}

struct io *io_log_lose(const struct io *log, size_t n, uint64_t seed)
{
	const struct log *l = log_of(log);
	size_t safe, last = SIZE_MAX;
	struct io *disk;
	uint64_t state;
	bool *kept;

	if (n > l->n)
		n = l->n;
	for (safe = n; safe && l->v[safe - 1].what != FLUSH; safe--)
		;
	disk = io_log_replay(log, safe);
	if (!seed)
		return disk;

	state = seed;
	kept = must_alloc(n);
	for (size_t i = safe; i < n; i++) {
		kept[i] = next(&state) & 1;
		if (kept[i])
			last = i;
	}
	for (size_t i = safe; i < n; i++) {
		if (!kept[i])
			continue;
		if (i == last && l->v[i].what <= ZERO && next(&state) & 1)
			redo_torn(disk, &l->v[i], next(&state));
		else
			redo(disk, &l->v[i]);
	}
	free(kept);
	return disk;
}

/* --- fault: the n-th call fails ----------------------------------------------- */

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
