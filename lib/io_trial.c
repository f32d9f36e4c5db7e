/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/io_trial.h"

struct piece {
	uint64_t at;
	size_t len;
	const char *p;
};

struct trial {
	struct io io;
	struct arena *arena;
	struct io *of;
	uint64_t whole;		/* of its bytes, so many are not cut off */
	io_lost lost;
	void *arg;
	struct piece *v;	/* in the order in which they were written */
	size_t n;
};

static uint64_t less(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static int tell(struct trial *t, uint64_t at, uint64_t len)
{
	if (at >= t->of->size || !len)
		return 0;
	return t->lost(t->arg, t->of, at, less(len, t->of->size - at));
}

static int trial_read(struct io *io, uint64_t at, void *buf, size_t len)
{
	struct trial *t = (struct trial *)io;
	size_t old = at < t->whole ? (size_t)less(len, t->whole - at) : 0;
	int err = io_read(t->of, at, buf, old);

	memset((char *)buf + old, 0, len - old);
	for (size_t i = 0; i < t->n && !err; i++) {
		const struct piece *p = &t->v[i];
		uint64_t from = p->at > at ? p->at : at;
		uint64_t end = less(p->at + p->len, at + len);

		if (from < end)
			memcpy((char *)buf + (from - at), p->p + (from - p->at), (size_t)(end - from));
	}
	return err;
}

static int trial_write(struct io *io, uint64_t at, const void *buf, size_t len)
{
	struct trial *t = (struct trial *)io;
	int err;

	if (at + len > io->size && !t->of->ops->resize)
		return -ENOSPC;			/* a volume does not grow by being written */
	err = tell(t, at, len);
	if (err)
		return err;
	t->v = arena_grow(t->arena, t->v, t->n, t->n + 1, sizeof(*t->v));
	t->v[t->n++] = (struct piece){ .at = at, .len = len, .p = arena_copy(t->arena, buf, len) };
	if (at + len > io->size)
		io->size = at + len;
	return 0;
}

/* What was written behind the new end is gone, also for who grows it again. */
static int trial_resize(struct io *io, uint64_t size)
{
	struct trial *t = (struct trial *)io;
	int err;

	err = size < t->whole ? tell(t, size, t->whole - size) : 0;
	if (err)
		return err;
	for (size_t i = 0; i < t->n; i++) {
		struct piece *p = &t->v[i];

		p->len = p->at >= size ? 0 : (size_t)less(p->len, size - p->at);
	}
	t->whole = less(t->whole, size);
	io->size = size;
	return 0;
}

static int trial_flush(struct io *io)
{
	(void)io;
	return 0;
}

static void trial_close(struct io *io)
{
	(void)io;
}

/* Who has no resize is a volume, for whoever asks that (vhd_io_is_fixed()). */
static const struct io_ops file_ops = {
	.read = trial_read, .write = trial_write, .flush = trial_flush,
	.resize = trial_resize, .close = trial_close,
};

static const struct io_ops volume_ops = {
	.read = trial_read, .write = trial_write, .flush = trial_flush, .close = trial_close,
};

struct io *io_trial(struct arena *a, struct io *of, io_lost lost, void *arg)
{
	struct trial *t = arena_alloc(a, sizeof(*t));

	*t = (struct trial){
		.io = { .ops = of->ops->resize ? &file_ops : &volume_ops,
			.size = of->size, .sector = of->sector, .fd = of->fd },
		.arena = a, .of = of, .whole = of->size, .lost = lost, .arg = arg,
	};
	return &t->io;
}
