/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a repair has left behind, noted as soon as it has ended, so that an undo
 * knows what is its own to take back and what somebody has written since.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/keep_impl.h"
#include "drivers/layout.h"
#include "drivers/sr.h"
#include "lib/arena.h"
#include "lib/cleanup.h"
#include "lib/ctx.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/io.h"

#define SECTOR	512u	/* what a power cut leaves whole */

static int peek(struct sr *sr, const char *name, struct io **io)
{
	int err = sr->type->layout->backup->peek(sr, name, io);

	return err == -ENOENT ? 0 : err ? fail(sr->ctx, err, "look at %.128s", name) : 0;
}

/* How many of n bytes from here on there are. */
static size_t there(const struct io *io, uint64_t at, size_t n)
{
	if (!io || at >= io->size)
		return 0;
	return io->size - at < n ? (size_t)(io->size - at) : n;
}

/* What is there now; zeroes for what is not. */
static int fetch(struct io *io, uint64_t at, char *buf, size_t n)
{
	size_t some = there(io, at, n);

	memset(buf + some, 0, n - some);
	return some ? io_read(io, at, buf, some) : 0;
}

/* A volume has its size from elsewhere, and is not cut off. */
static uint64_t tail_of(const struct io *io, uint64_t size)
{
	return io && io->ops->resize && io->size > size ? io->size - size : 0;
}

static size_t part(uint64_t left)
{
	return left < KEEP_PART ? (size_t)left : KEEP_PART;
}

/* --- after the repair -------------------------------------------------------------- */

/* What is not there becomes a hole. */
static int append(struct keep *k, struct io *io, uint64_t at, uint64_t len, char *buf)
{
	int err = 0;

	for (size_t n; len && !err; at += n, len -= n) {
		uint64_t end = k->bytes->size;

		n = part(len);
		if (!there(io, at, n)) {
			err = io_resize(k->bytes, end + n);
		} else {
			err = fetch(io, at, buf, n);
			if (!err)
				err = io_write(k->bytes, end, buf, n);
		}
	}
	return err;
}

static int note(struct sr *sr, struct keep *k, const struct piece *v, size_t n)
{
	_io_close_ struct io *io = NULL;
	char *buf = must_alloc(KEEP_PART);
	int err = peek(sr, v->name, &io);
	uint64_t tail = err ? 0 : tail_of(io, v->size), len = tail;

	for (size_t i = 0; i < n && !err; len += v[i++].len)
		err = append(k, io, v[i].at, v[i].len, buf);
	if (!err)
		err = append(k, io, v->size, tail, buf);
	if (!err)
		keep_line(k, tail, len, io ? &io->size : NULL, v->name);
	free(buf);
	return err;
}

int keep_left(struct sr *sr, const char *path)
{
	struct keep k = { .ctx = sr->ctx, .path = path };
	struct piece *v = NULL;
	size_t n = 0, m;
	uint64_t sum;
	int err;

	k.dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	err = k.dir < 0 ? -errno : keep_read_list(sr, k.dir, "list", &v, &n, &sum);
	if (!err)
		err = io_open(&k.bytes, k.dir, "left.bytes", IO_RDWR | IO_CREATE);
	buf_printf(&k.list, "kept 1 %s\n", sr->uuid.s);
	for (size_t i = 0; i < n && !err; i += m) {
		m = keep_group(v + i, n - i);
		err = note(sr, &k, v + i, m);
	}
	if (!err)
		err = io_flush(k.bytes);
	if (!err)
		err = keep_file(&k, "left", k.list.p, k.list.n);	/* commit */
	io_close(k.bytes);
	buf_free(&k.list);
	if (k.dir >= 0)
		close(k.dir);
	return err ? fail(sr->ctx, err, "note in %s what the repair has left", path) : 0;
}

/* --- before it is undone ------------------------------------------------------------ */

struct look {
	struct sr *sr;
	struct io *bytes, *left;	/* the pieces, and what the repair made of them */
	uint64_t from, at;		/* how far we are in these */
	char *kept, *was, *now;		/* a part of each: to put back, left by the repair, of today */
	bool force;
	bool changed;			/* by the repair */
	bool used;			/* by somebody since */
};

/* An undo that died has put back some sectors, and of one the beginning. */
static bool is_on_the_way(const struct look *k, size_t n)
{
	for (size_t i = 0; i < n; ) {
		size_t end = i + SECTOR < n ? i + SECTOR : n;

		while (i < end && k->now[i] == k->kept[i])
			i++;
		if (memcmp(k->now + i, k->was + i, end - i))
			return false;
		i = end;
	}
	return true;
}

static int compare_piece(struct look *k, struct io *io, uint64_t at, uint64_t len)
{
	int err = 0;

	for (size_t n; len && !err; at += n, len -= n, k->from += n, k->at += n) {
		n = part(len);
		err = io_read(k->bytes, k->from, k->kept, n);
		if (!err)
			err = io_read(k->left, k->at, k->was, n);
		if (!err)
			err = fetch(io, at, k->now, n);
		if (err)
			break;
		k->changed |= memcmp(k->kept, k->was, n) != 0;
		k->used |= !is_on_the_way(k, n);
	}
	return err;
}

/* What the repair has appended goes at once, or not at all. */
static int compare_tail(struct look *k, struct io *io, uint64_t at, uint64_t len)
{
	bool is_cut = !tail_of(io, at);
	int err = 0;

	k->changed |= len != 0;
	for (size_t n; len && !err; at += n, len -= n, k->at += n) {
		n = part(len);
		err = io_read(k->left, k->at, k->was, n);
		if (!err)
			err = fetch(io, at, k->now, n);
		if (!err && !is_cut)
			k->used |= memcmp(k->was, k->now, n) != 0;
	}
	return err;
}

/* Is it as long as it was, or as it was left, or a file that an undo has just made? */
static bool size_is_known(const struct piece *v, const struct piece *left, const struct io *io)
{
	if (!io)
		return !v->there || !left->there;
	if (!io->ops->resize)
		return left->there || v->there;		/* fits() knows about volumes */
	return (v->there && (io->size == v->size || (!left->there && !io->size))) ||
	       (left->there && io->size == left->size);
}

/* > 0: it stays as it is. */
static int skip(struct piece *v, size_t n, int err)
{
	for (size_t i = 0; i < n; i++)
		v[i].skip = err > 0;
	return err < 0 ? err : 0;
}

static int fits(struct sr *sr, const struct piece *v, bool removed)
{
	return v->there ? sr->type->layout->backup->fits(sr, v->name, v->size, removed) : 0;
}

static int compare(struct look *k, struct piece *v, size_t n, const struct piece *left)
{
	_io_close_ struct io *io = NULL;
	int err = peek(k->sr, v->name, &io);

	k->changed = v->there != left->there || v->size != left->size;
	k->used = false;
	for (size_t i = 0; i < n && !err; i++)
		err = compare_piece(k, io, v[i].at, v[i].len);
	if (!err)
		err = compare_tail(k, io, v->size, left->at);
	if (err)
		return err;
	err = k->changed ? fits(k->sr, v, !left->there || (k->force && !io)) : 1;
	if (err)
		return skip(v, n, err);
	if (k->force || (!k->used && size_is_known(v, left, io)))
		return 0;
	hint(k->sr->ctx, "--force, when that is worth less than what the repair has overwritten");
	return fail_say(k->sr->ctx, -E_VDI_LOAD, "%.128s has changed since: what was written would be lost",
			v->name);
}

/* Each name of the list has its line there, and that its bytes. */
static int all(struct look *k, struct piece *v, size_t n, const struct piece *left, size_t n_left)
{
	size_t j = 0, m;
	int err = 0;

	for (size_t i = 0; i < n && !err; i += m, j++) {
		uint64_t len = j < n_left ? left[j].at : 0;

		m = keep_group(v + i, n - i);
		for (size_t x = 0; x < m; x++)
			if (!add_ok(len, v[i + x].len, &len))
				return -E_SHORT;
		if (j == n_left || strcmp(v[i].name, left[j].name) || left[j].len != len)
			return fail_say(k->sr->ctx, -E_ARG, "line %zu of the list and what is left of it "
					"do not belong together", i + 2);
		err = compare(k, v + i, m, &left[j]);
	}
	return err || j == n_left ? err : -E_SHORT;
}

/* Nobody has noted what the repair left, and all is to be put back nevertheless. */
static int by_force(struct sr *sr, struct piece *v, size_t n)
{
	int err = 0;

	for (size_t i = 0, m; i < n && !err; i += m) {
		_io_close_ struct io *io = NULL;

		m = keep_group(v + i, n - i);
		err = peek(sr, v[i].name, &io);
		if (!err)
			err = skip(v + i, m, fits(sr, &v[i], !io));
	}
	return err;
}

int keep_compare(struct sr *sr, int dir, struct piece *v, size_t n, struct io *bytes, bool force)
{
	_io_close_ struct io *from = NULL;
	struct look k = { .sr = sr, .bytes = bytes, .force = force };
	struct piece *left;
	uint64_t sum;
	size_t n_left;
	int err = keep_read_list(sr, dir, "left", &left, &n_left, &sum);

	if (err == -ENOENT && force)
		return by_force(sr, v, n);
	if (err == -ENOENT) {
		hint(sr->ctx, "--force, when nothing of it was changed since");
		return fail_say(sr->ctx, -E_VDI_LOAD, "the repair did not end, or there was no room "
				"to note what it left");
	}
	if (!err)
		err = io_open(&from, dir, "left.bytes", IO_RDONLY);
	if (!err && sum != from->size)
		err = -E_SHORT;
	if (err)
		return err;
	k.left = from;
	k.kept = must_alloc(3 * KEEP_PART);
	k.was = k.kept + KEEP_PART;
	k.now = k.was + KEEP_PART;
	err = all(&k, v, n, left, n_left);
	free(k.kept);
	return err;
}
