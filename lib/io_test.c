/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What was done, so that it can be done again in part. */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/io_test.h"

enum what { WRITE, ZERO, RESIZE, FLUSH };

struct event {
	enum what what;
	uint8_t file;
	uint64_t at;		/* RESIZE: the new size */
	uint64_t len;
	void *data;		/* WRITE only */
};

struct log {
	struct io io;
	struct io *base;
	struct io *before;	/* base as it was when the log was started */
	struct log *first;	/* who has the list: this one, or the log that this one joined */
	uint8_t file, n_files;
	struct log *files[IO_LOG_FILES];
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
	struct log *to = l->first;

	l->io.size = l->base->size;
	if (err) {
		free(e.data);
		return err;
	}
	if (to->n == to->room) {
		to->room = to->room ? to->room * 2 : 64;
		to->v = must_realloc(to->v, to->room * sizeof(*to->v));
	}
	e.file = l->file;
	to->v[to->n++] = e;
	return 0;
}

static int log_read(struct io *io, uint64_t at, void *buf, size_t len)
{
	log_of(io)->reads++;
	return io_read(log_of(io)->base, at, buf, len);
}

static int log_write(struct io *io, uint64_t at, const void *buf, size_t len)
{
	struct event e = { .what = WRITE, .at = at, .len = len, .data = must_realloc(NULL, len) };

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

/* The same for a base that cannot be resized either. */
static const struct io_ops fixed_log_ops = {
	.read = log_read, .write = log_write, .flush = log_flush, .zero = log_zero,
	.extent = log_extent, .close = log_close,
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
			.ops = base->ops->resize ? &log_ops : &fixed_log_ops, .size = base->size,
			.sector = base->sector, .read_only = base->read_only, .fd = -1,
		},
		.base = base,
		.before = copy_of(base),
		.first = l, .n_files = 1, .files = { l },
	};
	return &l->io;
}

struct io *io_log_join(struct io *log, struct io *base)
{
	struct log *first = log_of(log), *l = log_of(io_log(base));

	if (first->n_files == IO_LOG_FILES)
		abort();
	l->first = first;
	l->file = first->n_files;
	first->files[first->n_files++] = l;
	return &l->io;
}

size_t io_log_len(const struct io *log)
{
	return log_of(log)->first->n;
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

/* --- every power cut ------------------------------------------------------------ */

#define FEW	6u	/* events of which every choice is tried */
#define SOME	16u	/* of more, so many that lack one, and so many at random */

struct sweep {
	const struct log *l;
	io_sweep_fn *fn;
	void *arg;
	size_t n, states;
	struct io *safe[IO_LOG_FILES];	/* what flushes have covered */
	size_t *open, n_open;		/* the others, by their numbers */
	bool *kept;			/* of those */
	uint64_t random;
};

static void emit(struct sweep *s, bool torn)
{
	struct io *files[IO_LOG_FILES];
	size_t last = SIZE_MAX;

	for (size_t i = 0; i < s->n_open; i++)
		if (s->kept[i])
			last = i;
	if (torn && (last == SIZE_MAX || s->l->v[s->open[last]].what > ZERO ||
		     s->l->v[s->open[last]].len <= 512))
		return;
	for (uint8_t f = 0; f < s->l->n_files; f++)
		files[f] = copy_of(s->safe[f]);
	for (size_t i = 0; i < s->n_open; i++) {
		const struct event *e = &s->l->v[s->open[i]];

		if (torn && i == last)
			redo_torn(files[e->file], e, next(&s->random));
		else if (s->kept[i])
			redo(files[e->file], e);
	}
	s->fn(files, s->n, s->arg);
	s->states++;
	for (uint8_t f = 0; f < s->l->n_files; f++)
		io_close(files[f]);
}

static void cut_power(struct sweep *s)
{
	emit(s, false);
	emit(s, true);
	emit(s, true);
}

/* Choices without the newest event were those of a moment ago. */
static void lose_of_few(struct sweep *s, bool flushed)
{
	uint32_t all = (1u << s->n_open) - 1, newest = flushed ? 0 : 1u << (s->n_open - 1);

	for (uint32_t mask = 0; mask < all; mask++) {
		if ((mask & newest) != newest)
			continue;
		for (size_t i = 0; i < s->n_open; i++)
			s->kept[i] = mask >> i & 1;
		cut_power(s);
	}
}

static void lose_of_many(struct sweep *s)
{
	for (size_t k = 0; k < SOME; k++) {
		size_t lost = s->n_open <= SOME ? k % s->n_open : next(&s->random) % s->n_open;

		for (size_t i = 0; i < s->n_open; i++)
			s->kept[i] = i != lost;
		cut_power(s);
		for (size_t i = 0; i < s->n_open; i++)
			s->kept[i] = i == lost;
		cut_power(s);
		for (size_t i = 0; i < s->n_open; i++)
			s->kept[i] = next(&s->random) & 1;
		cut_power(s);
	}
}

/* One event more was issued. */
static bool advance(struct sweep *s, size_t i)
{
	const struct event *e = &s->l->v[i];
	size_t left = 0;

	if (e->what != FLUSH) {
		s->open[s->n_open++] = i;
		return false;
	}
	for (size_t k = 0; k < s->n_open; k++) {
		const struct event *o = &s->l->v[s->open[k]];

		if (o->file == e->file)
			redo(s->safe[o->file], o);
		else
			s->open[left++] = s->open[k];
	}
	s->n_open = left;
	return true;
}

size_t io_log_sweep(const struct io *log, io_sweep_fn *fn, void *arg)
{
	const struct log *l = log_of(log);
	struct sweep s = {
		.l = l, .fn = fn, .arg = arg, .random = 1,
		.open = must_alloc((l->n + 1) * sizeof(*s.open)), .kept = must_alloc(l->n + 1),
	};

	for (uint8_t f = 0; f < l->n_files; f++)
		s.safe[f] = copy_of(l->files[f]->before);
	for (s.n = 0; s.n <= l->n; s.n++) {
		bool flushed = !s.n || advance(&s, s.n - 1);

		memset(s.kept, true, l->n + 1);
		cut_power(&s);			/* a death: all has arrived, but maybe the end of the last */
		if (s.n_open && s.n_open <= FEW)
			lose_of_few(&s, flushed);
		else if (s.n_open)
			lose_of_many(&s);
	}
	for (uint8_t f = 0; f < l->n_files; f++)
		io_close(s.safe[f]);
	free(s.open);
	free(s.kept);
	return s.states;
}
