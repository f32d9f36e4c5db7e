/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/image.h"
#include "lib/serve/disk.h"
#include "lib/vhd/batch.h"
#include "lib/vhd/vhd.h"

#define PIECES		16		/* looked up under one lock */
#define PAGE		4096u		/* what io_open() aligns direct transfers of files to */
#define ZEROES		((size_t)64 << 10)

struct disk {
	struct image *im;
	struct io *io;			/* of the leaf */
	struct vhd *vhd;		/* the leaf's format; NULL: plain bytes */
	uint32_t unit;
	bool volume;			/* the leaf is a block device */
	bool holes;			/* the leaf is a file whose parts can be given back */

	/*
	 * lock guards the image's metadata and everything below.  It is held
	 * for reading a bitmap or making a block, never for data or a flush of
	 * data.
	 */
	pthread_mutex_t lock;
	pthread_cond_t turn;		/* the last one inside has left, or the one alone */
	size_t inside;			/* requests at work */
	bool alone;			/* one waits for them, or is at work by itself */

	pthread_cond_t flushed;		/* a flush has ended */
	bool flushing;
	uint64_t flushes;		/* that have ended */
	bool dirty;			/* data was written since the last one began */
	int broken;			/* a flush failed with this */
	struct vhd_batch *batch;	/* of the flush at work */
	struct disk_notes *notes;	/* what is not yet published; or NULL */
	const uint32_t *veiled;		/* see there; or NULL */

	/*
	 * Taken after lock.  With O_DIRECT a sector of a file is written by
	 * reading and writing its page, and the bitmap of a new block may share
	 * one with what a flush is writing.
	 */
	pthread_mutex_t metadata_io;
};

/* --- who may go ---------------------------------------------------------- */

static void enter(struct disk *d)
{
	pthread_mutex_lock(&d->lock);
	while (d->alone)
		pthread_cond_wait(&d->turn, &d->lock);
	d->inside++;
	pthread_mutex_unlock(&d->lock);
}

static void leave(struct disk *d, bool wrote)
{
	pthread_mutex_lock(&d->lock);
	d->dirty |= wrote;
	if (!--d->inside && d->alone)
		pthread_cond_broadcast(&d->turn);
	pthread_mutex_unlock(&d->lock);
}

static void enter_alone(struct disk *d)
{
	pthread_mutex_lock(&d->lock);
	while (d->alone)
		pthread_cond_wait(&d->turn, &d->lock);
	d->alone = true;
	while (d->inside)
		pthread_cond_wait(&d->turn, &d->lock);
	pthread_mutex_unlock(&d->lock);
}

static void leave_alone(struct disk *d)
{
	pthread_mutex_lock(&d->lock);
	d->dirty = true;
	d->alone = false;
	pthread_cond_broadcast(&d->turn);
	pthread_mutex_unlock(&d->lock);
}

/* --- flushing ------------------------------------------------------------ */

static int flush_batch(struct disk *d)
{
	int err = io_flush(d->io);

	if (err || !d->vhd || !d->batch->n)
		return err;
	pthread_mutex_lock(&d->metadata_io);
	err = vhd_batch_write(d->vhd, d->batch);
	pthread_mutex_unlock(&d->metadata_io);
	return err ? err : io_flush(d->io);
}

/* The lock is held on entry and on exit, and let go in between. */
static void flush_once(struct disk *d)
{
	int err = d->vhd ? vhd_batch_take(d->vhd, d->batch) : 0;
	uint64_t noted = d->notes ? d->notes->to : 0;

	d->flushing = true;
	d->dirty = false;
	pthread_mutex_unlock(&d->lock);
	if (!err)
		err = flush_batch(d);
	pthread_mutex_lock(&d->lock);
	if (d->vhd)
		vhd_batch_done(d->vhd, d->batch, err);
	if (d->notes && !err)
		d->notes->from = noted;		/* the kernel has it in the file */
	if (err && !d->broken)
		d->broken = err;
	d->flushing = false;
	d->flushes++;
	pthread_cond_broadcast(&d->flushed);
}

/* Until a flush has ended that began after this call; the lock is held. */
static int flush_locked(struct disk *d)
{
	uint64_t want = d->flushes + 1 + d->flushing;

	while (d->flushes < want && !d->broken) {
		if (d->flushing)
			pthread_cond_wait(&d->flushed, &d->lock);
		else
			flush_once(d);
	}
	return d->broken;
}

int disk_flush(struct disk *d)
{
	int err;

	pthread_mutex_lock(&d->lock);
	err = d->broken;
	if (!err && (d->dirty || d->flushing || (d->vhd && d->vhd->dirty)))
		err = flush_locked(d);
	pthread_mutex_unlock(&d->lock);
	return err;
}

/* --- reading ------------------------------------------------------------- */

/* What to read, by the tables; when no bitmap can be dropped, a flush makes room. */
static int plan(struct disk *d, uint64_t at, uint64_t *len, struct image_piece *p, size_t room)
{
	uint64_t asked = *len;
	int n;

	pthread_mutex_lock(&d->lock);
	while ((n = image_plan(d->im, at, len, 0, p, room)) == -EAGAIN) {
		*len = asked;
		n = flush_locked(d);
		if (n)
			break;
	}
	pthread_mutex_unlock(&d->lock);
	return n;
}

static int read_inside(struct disk *d, uint64_t at, void *buf, size_t len)
{
	struct image_piece p[PIECES];
	char *to = buf;

	while (len) {
		uint64_t got = len;
		int n = plan(d, at, &got, p, PIECES);
		int err = n < 0 ? n : image_fetch(d->im, at, to, p, (size_t)n);

		if (err)
			return err;
		to += got;
		at += got;
		len -= (size_t)got;
	}
	return 0;
}

int disk_read(struct disk *d, uint64_t at, void *buf, size_t len)
{
	int err;

	if (!range_ok(at, len, d->im->size))
		return -EINVAL;
	if (d->veiled && __atomic_load_n(d->veiled, __ATOMIC_ACQUIRE)) {
		memset(buf, 0, len);
		return 0;
	}
	enter(d);
	err = read_inside(d, at, buf, len);
	leave(d, false);
	return err;
}

/* --- writing ------------------------------------------------------------- */

static int begin_locked(struct disk *d, uint64_t at, uint64_t *len, uint64_t *pos)
{
	bool is_new = d->vhd->footer.type != VHD_FIXED &&
		vhd_entry(d->vhd, (uint32_t)(at / VHD_BLOCK)) == VHD_UNUSED;
	int err;

	if (is_new)
		pthread_mutex_lock(&d->metadata_io);
	err = vhd_write_begin(d->vhd, at, len, pos);
	if (is_new)
		pthread_mutex_unlock(&d->metadata_io);
	/* A flush may have been a part of that, and its error is told only once. */
	if (is_new && err_kind(err) == -EIO)
		d->broken = err;
	return err;
}

/* Where do the next bytes go? */
static int begin(struct disk *d, uint64_t at, uint64_t *len, uint64_t *pos)
{
	int err;

	*pos = at;
	pthread_mutex_lock(&d->lock);
	err = d->broken;
	while (d->vhd && !err) {
		err = begin_locked(d, at, len, pos);
		if (err != -EAGAIN)
			break;
		err = flush_locked(d);
	}
	pthread_mutex_unlock(&d->lock);
	return err;
}

/* For who comes after us; bits that are set already were noted, or published. */
static int note_locked(struct disk *d, uint64_t at, uint64_t len)
{
	struct disk_notes *n = d->notes;
	uint64_t got = len, pos;
	int where;

	if (!n || d->vhd->footer.type == VHD_FIXED)
		return 0;
	where = vhd_lookup(d->vhd, at, &got, &pos);
	if (where < 0 || (where == VHD_HERE && got == len))
		return where < 0 ? where : 0;
	if (n->to - n->from == DISK_NOTES)
		return -EAGAIN;
	n->note[n->to % DISK_NOTES] = (struct vhd_note){
		.block = (uint32_t)(at / VHD_BLOCK),
		.entry = vhd_entry(d->vhd, (uint32_t)(at / VHD_BLOCK)),
		.sector = (uint16_t)(at % VHD_BLOCK / VHD_SECTOR),
		.n = (uint16_t)(len / VHD_SECTOR),
	};
	__atomic_store_n(&n->to, n->to + 1, __ATOMIC_RELEASE);
	return 0;
}

/* They are there. */
static int end(struct disk *d, uint64_t at, uint64_t len)
{
	int err;

	if (!d->vhd)
		return 0;
	pthread_mutex_lock(&d->lock);
	for (;;) {
		err = note_locked(d, at, len);
		if (!err)
			err = vhd_write_end(d->vhd, at, len);
		if (err != -EAGAIN)
			break;
		err = flush_locked(d);
		if (err)
			break;
	}
	pthread_mutex_unlock(&d->lock);
	return err;
}

static int write_inside(struct disk *d, uint64_t at, const void *buf, size_t len)
{
	const char *from = buf;

	while (len) {
		uint64_t n = len, pos;
		int err = begin(d, at, &n, &pos);

		if (!err)
			err = io_write(d->io, pos, from, (size_t)n);
		if (!err)
			err = end(d, at, n);
		if (err)
			return err;
		from += n;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static int check_write(const struct disk *d, uint64_t at, uint64_t len)
{
	if (d->io->read_only)
		return -EROFS;
	return range_ok(at, len, d->im->size) ? 0 : -ENOSPC;
}

/* Whole units, with what is there around the bytes. */
static int write_alone(struct disk *d, uint64_t at, const void *buf, size_t len)
{
	uint64_t from = at - at % d->unit, to = at + len;
	char *whole;
	int err;

	to += (d->unit - to % d->unit) % d->unit;
	if (to > d->im->size)
		to = d->im->size;
	whole = must_alloc((size_t)(to - from));
	enter_alone(d);
	err = read_inside(d, from, whole, (size_t)(to - from));
	if (!err) {
		memcpy(whole + (at - from), buf, len);
		err = write_inside(d, from, whole, (size_t)(to - from));
	}
	leave_alone(d);
	free(whole);
	return err;
}

int disk_write(struct disk *d, uint64_t at, const void *buf, size_t len)
{
	int err = check_write(d, at, len);

	if (err || !len)
		return err;
	if ((at | len) % d->unit)
		return write_alone(d, at, buf, len);
	enter(d);
	err = write_inside(d, at, buf, len);
	leave(d, true);
	return err;
}

/* --- zeroes -------------------------------------------------------------- */

/* One run that is all alike; afterwards it reads as zeroes. */
static int zero_piece(struct disk *d, const struct image_piece *p, uint64_t *len)
{
	uint64_t pos = p->pos;
	int err;

	if (p->kind == IMAGE_ZERO)
		return 0;
	if (p->kind == IMAGE_PLAIN && !p->level)
		return io_zero(d->io, pos, p->len);
	/* It shines through from below. */
	err = begin(d, p->at, len, &pos);
	if (!err)
		err = io_zero(d->io, pos, *len);
	return err ? err : end(d, p->at, *len);
}

static int zero_inside(struct disk *d, uint64_t at, uint64_t len)
{
	while (len) {
		struct image_piece p;
		uint64_t n = len;
		int err = plan(d, at, &n, &p, 1);

		if (err > 0)
			err = zero_piece(d, &p, &n);
		if (err)
			return err;
		at += n;
		len -= n;
	}
	return 0;
}

/* Zeroes as data, of any alignment. */
static int write_zeroes(struct disk *d, uint64_t at, uint64_t len)
{
	char *zeroes = len ? must_alloc(ZEROES) : NULL;
	int err = 0;

	while (len && !err) {
		/* The first part ends with a unit, so that all others are whole. */
		uint64_t n = ZEROES - at % d->unit;

		if (n > len)
			n = len;
		err = disk_write(d, at, zeroes, (size_t)n);
		at += n;
		len -= n;
	}
	free(zeroes);
	return err;
}

int disk_zero(struct disk *d, uint64_t at, uint64_t len, bool room)
{
	uint64_t head = (d->unit - at % d->unit) % d->unit, body;
	int err = check_write(d, at, len);

	if (err || room || len <= head)
		return err ? err : write_zeroes(d, at, len);
	body = (len - head) / d->unit * d->unit;
	err = write_zeroes(d, at, head);
	if (!err) {
		enter(d);
		err = zero_inside(d, at + head, body);
		leave(d, true);
	}
	return err ? err : write_zeroes(d, at + head + body, len - head - body);
}

/* A hole behind the end of a file changes nothing, and tells whether it may have any. */
static bool has_holes(const struct io *io, const struct stat *st)
{
	return !fallocate(io->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, st->st_size, PAGE);
}

bool disk_zeroes_fast(const struct disk *d)
{
	return d->holes;
}

/*
 * The holes are made in the file, below the VHD: its blocks keep their places.
 * A block that gave its place up would need a new one at the next write, and
 * the file would grow a little with each turn until no entry can reach its end.
 */
static int trim_inside(struct disk *d, uint64_t at, uint64_t len)
{
	while (len) {
		struct image_piece p;
		uint64_t n = len;
		int err = plan(d, at, &n, &p, 1);

		if (err > 0)
			err = p.kind == IMAGE_PLAIN && !p.level ? io_zero(d->io, p.pos, p.len) : 0;
		if (err)
			return err;
		at += n;
		len -= n;
	}
	return 0;
}

int disk_trim(struct disk *d, uint64_t at, uint64_t len)
{
	uint64_t head = (PAGE - at % PAGE) % PAGE;
	int err = check_write(d, at, len);

	/* On a volume there is nothing to give back, and zeroes would be written for it. */
	if (err || d->volume || len <= head + PAGE)
		return err;
	enter(d);
	err = trim_inside(d, at + head, (len - head) / PAGE * PAGE);
	leave(d, true);
	return err;
}

/* --- mapping ------------------------------------------------------------- */

static int map_one(struct disk *d, uint64_t at, struct image_run *r)
{
	int err;

	pthread_mutex_lock(&d->lock);
	while ((err = image_map(d->im, at, 0, r)) == -EAGAIN) {
		err = flush_locked(d);
		if (err)
			break;
	}
	pthread_mutex_unlock(&d->lock);
	return err;
}

int disk_map(struct disk *d, uint64_t at, uint64_t len, struct disk_run *runs, int n)
{
	int i = 0, err = 0;

	if (!len || !range_ok(at, len, d->im->size))
		return -EINVAL;
	enter(d);
	while (i < n && len) {
		struct image_run r;

		err = map_one(d, at, &r);
		if (err)
			break;
		if (r.length > len)
			r.length = len;
		runs[i++] = (struct disk_run){ r.length, !r.data, r.zero };
		at += r.length;
		len -= r.length;
	}
	leave(d, false);
	return i ? i : err;
}

/* --- life ---------------------------------------------------------------- */

uint64_t disk_size(const struct disk *d)
{
	return d->im->size;
}

bool disk_is_writable(const struct disk *d)
{
	return !d->io->read_only;
}

uint32_t disk_unit(const struct disk *d)
{
	return d->unit;
}

static uint32_t unit_of(const struct io *io, bool vhd, bool device)
{
	int flags = io->fd < 0 ? 0 : fcntl(io->fd, F_GETFL);

	if (device)
		return io->sector;
	if (flags > 0 && flags & O_DIRECT)
		return PAGE;
	return vhd ? VHD_SECTOR : 1;
}

void disk_open(struct disk **out, struct image *im)
{
	struct disk *d = must_alloc(sizeof(*d));
	struct io *io = im->levels[0].io;
	struct stat st;

	*d = (struct disk){ .im = im, .io = io, .vhd = im->levels[0].vhd };
	if (io->fd >= 0 && !fstat(io->fd, &st)) {
		d->volume = S_ISBLK(st.st_mode);
		d->holes = !d->volume && !io->read_only && has_holes(io, &st);
	}
	d->unit = unit_of(io, d->vhd, d->volume);
	if (io->read_only)
		d->vhd = NULL;
	if (d->vhd) {
		d->vhd->batched = true;
		d->batch = must_alloc(sizeof(*d->batch));
	}
	pthread_mutex_init(&d->lock, NULL);
	pthread_mutex_init(&d->metadata_io, NULL);
	pthread_cond_init(&d->turn, NULL);
	pthread_cond_init(&d->flushed, NULL);
	*out = d;
}

int disk_recover(struct disk *d, struct disk_notes *notes)
{
	int err = 0;

	d->veiled = &notes->veiled;
	if (!d->vhd)
		return 0;
	d->vhd->batched = false;		/* nobody else is here yet */
	for (uint64_t i = notes->from; i < notes->to && !err; i++)
		err = vhd_redo(d->vhd, &notes->note[i % DISK_NOTES]);
	if (!err)
		err = vhd_flush(d->vhd);
	d->vhd->batched = true;
	if (err)
		return err;
	notes->from = notes->to;
	d->notes = notes;
	return 0;
}

int disk_close(struct disk *d)
{
	int err;

	if (!d)
		return 0;
	err = disk_flush(d);
	if (!err && d->vhd) {
		d->vhd->batched = false;
		err = vhd_finish(d->vhd);
	}
	image_close(d->im);
	pthread_mutex_destroy(&d->lock);
	pthread_mutex_destroy(&d->metadata_io);
	pthread_cond_destroy(&d->turn);
	pthread_cond_destroy(&d->flushed);
	free(d->batch);
	free(d);
	return err;
}
