/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/cbt/cbt.h"
#include "lib/err.h"
#include "lib/image.h"
#include "lib/kconfig.h"
#include "lib/serve/disk.h"
#include "lib/vhd/batch.h"
#include "lib/vhd/batmap.h"
#include "lib/vhd/vhd.h"

#define PIECES		16		/* looked up under one lock */
#define PAGE		4096u		/* what io_open() aligns direct transfers of files to */
#define ZEROES		((size_t)64 << 10)

struct disk {
	struct image *im;		/* NULL: there is none now */
	struct io *io;			/* of the leaf */
	struct vhd *vhd;		/* the leaf's format; NULL: plain bytes */
	uint64_t size;			/* these two stay while there is no image */
	bool writable;
	uint32_t unit;
	bool volume;			/* the leaf is a block device */
	bool holes;			/* the leaf is a file whose parts can be given back */

	/*
	 * lock guards the image's metadata and everything below.  It is held
	 * for reading a bitmap or making a block, never for data or a flush of
	 * data.
	 */
	pthread_mutex_t lock;
	pthread_cond_t turn;		/* who is inside, and who may go in, has changed */
	size_t inside;			/* requests at work */
	bool alone;			/* one waits for them, or is at work by itself */
	bool held;			/* nobody goes in; without an image nobody can */
	int refused;			/* what is asked fails with this, rather than wait */

	pthread_cond_t flushed;		/* a flush has ended */
	bool flushing;
	uint64_t flushes;		/* that have ended */
	bool dirty;			/* data was written since the last one began */
	bool shared;			/* maybe by others */
	int broken;			/* a flush failed with this */
	struct vhd_batch *batch;	/* of the flush at work */
	struct disk_notes *notes;	/* what is not yet published; or NULL */
	const uint32_t *veiled;		/* see there; or NULL */
	uint8_t *bits, *touched;	/* marks of what is written; or NULL */

	/*
	 * Taken after lock.  With O_DIRECT a sector of a file is written by
	 * reading and writing its page, and the bitmap of a new block may share
	 * one with what a flush is writing.
	 */
	pthread_mutex_t metadata_io;
};

/* --- who may go ---------------------------------------------------------- */

static int enter(struct disk *d)
{
	int err;

	pthread_mutex_lock(&d->lock);
	while ((d->alone || d->held) && !d->refused)
		pthread_cond_wait(&d->turn, &d->lock);
	err = d->refused;
	if (!err)
		d->inside++;
	pthread_mutex_unlock(&d->lock);
	return err;
}

static void leave(struct disk *d, bool wrote)
{
	pthread_mutex_lock(&d->lock);
	d->dirty |= wrote;
	if (!--d->inside && (d->alone || d->held))
		pthread_cond_broadcast(&d->turn);
	pthread_mutex_unlock(&d->lock);
}

static int enter_alone(struct disk *d)
{
	int err;

	pthread_mutex_lock(&d->lock);
	while ((d->alone || d->held) && !d->refused)
		pthread_cond_wait(&d->turn, &d->lock);
	err = d->refused;
	if (!err)
		d->alone = true;
	while (!err && d->inside)
		pthread_cond_wait(&d->turn, &d->lock);
	pthread_mutex_unlock(&d->lock);
	return err;
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

static int flush_inside(struct disk *d)
{
	int err;

	pthread_mutex_lock(&d->lock);
	err = d->broken;
	if (!err && (d->dirty || d->shared || d->flushing || (d->vhd && d->vhd->dirty)))
		err = flush_locked(d);
	pthread_mutex_unlock(&d->lock);
	return err;
}

int disk_flush(struct disk *d)
{
	int err = enter(d);

	if (err)
		return err;
	err = flush_inside(d);
	leave(d, false);
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
	int err = enter(d);

	if (err)
		return err;
	if (!range_ok(at, len, d->size))
		err = -EINVAL;
	else if (d->veiled && __atomic_load_n(d->veiled, __ATOMIC_ACQUIRE))
		memset(buf, 0, len);
	else
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

static bool is_shared(const struct disk *d)
{
	return IS_ENABLED(CONFIG_DATAPATH_HYBRID) && d->shared;
}

/* A part of a page, around which others may be writing just now. */
static bool is_tight(const struct disk *d, uint64_t pos, size_t len)
{
	return is_shared(d) && !d->volume && d->unit == PAGE && (pos | len) % PAGE &&
	       !((pos | len) % VHD_SECTOR) && range_ok(pos, len, d->io->size);
}

/* Where the disk below has no such sectors (-EINVAL) nobody does. */
static int write_data(struct disk *d, uint64_t pos, const void *buf, size_t len)
{
	void *aligned;
	int err;

	if (!is_tight(d, pos, len))
		return io_write(d->io, pos, buf, len);
	if (posix_memalign(&aligned, PAGE, len))
		return -ENOMEM;
	memcpy(aligned, buf, len);
	err = pwrite_all(d->io->fd, aligned, len, pos);
	free(aligned);
	return err == -EINVAL ? io_write(d->io, pos, buf, len) : err;
}

static int write_inside(struct disk *d, uint64_t at, const void *buf, size_t len)
{
	const char *from = buf;

	while (len) {
		uint64_t n = len, pos;
		int err = begin(d, at, &n, &pos);

		if (!err)
			err = write_data(d, pos, from, (size_t)n);
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

/* By who is inside: an image comes and goes with its size.  What may be written is marked. */
static int check_write(const struct disk *d, uint64_t at, uint64_t len)
{
	if (!d->writable)
		return -EROFS;
	if (!range_ok(at, len, d->size))
		return -ENOSPC;
	if (IS_ENABLED(CONFIG_CBT) && d->bits)
		cbt_mark(d->bits, d->touched, at, len);
	return 0;
}

/* Whole units, with what is there around the bytes. */
static int write_around(struct disk *d, uint64_t at, const void *buf, size_t len)
{
	uint64_t from = at - at % d->unit, to = at + len;
	char *whole;
	int err;

	to += (d->unit - to % d->unit) % d->unit;
	if (to > d->size)
		to = d->size;
	whole = must_alloc((size_t)(to - from));
	err = read_inside(d, from, whole, (size_t)(to - from));
	if (!err) {
		memcpy(whole + (at - from), buf, len);
		err = write_inside(d, from, whole, (size_t)(to - from));
	}
	free(whole);
	return err;
}

static int write_alone(struct disk *d, uint64_t at, const void *buf, size_t len)
{
	int err = enter_alone(d);

	if (err)
		return err;
	err = check_write(d, at, len);
	if (!err && is_shared(d) && !((at | len) % VHD_SECTOR))
		err = write_inside(d, at, buf, len);
	else if (!err)
		err = write_around(d, at, buf, len);
	leave_alone(d);
	return err;
}

int disk_write(struct disk *d, uint64_t at, const void *buf, size_t len)
{
	int err = enter(d);
	bool whole;

	if (err)
		return err;
	err = check_write(d, at, len);
	whole = !((at | len) % d->unit);
	if (!err && whole)
		err = write_inside(d, at, buf, len);
	leave(d, !err && whole);
	return err || whole || !len ? err : write_alone(d, at, buf, len);
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

/* The whole units of it; *head bytes before them are not, and *body are done. */
static int zero_units(struct disk *d, uint64_t at, uint64_t len, uint64_t *head, uint64_t *body)
{
	int err = enter(d);

	if (err)
		return err;
	err = check_write(d, at, len);
	*head = (d->unit - at % d->unit) % d->unit;
	*body = len > *head ? (len - *head) / d->unit * d->unit : 0;
	if (!err && *body)
		err = zero_inside(d, at + *head, *body);
	leave(d, true);
	return err;
}

int disk_zero(struct disk *d, uint64_t at, uint64_t len, bool room)
{
	uint64_t head = 0, body = 0;
	int err = 0;

	if (room)
		return write_zeroes(d, at, len);
	err = zero_units(d, at, len, &head, &body);
	if (!err && !body)
		return write_zeroes(d, at, len);
	if (!err)
		err = write_zeroes(d, at, head);
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
	int err = enter(d);

	if (err)
		return err;
	err = check_write(d, at, len);
	/* On a volume there is nothing to give back, and zeroes would be written for it. */
	if (!err && !d->volume && len > head + PAGE)
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
	int i = 0, err = enter(d);

	if (err)
		return err;
	if (!len || !range_ok(at, len, d->size))
		err = -EINVAL;
	while (!err && i < n && len) {
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

/* --- what others may write ------------------------------------------------ */

static size_t count_full(const struct vhd *v)
{
	size_t n = 0, bytes = (v->n_blocks + 7) / 8;

	if (v->batmap.state != BATMAP_GOOD)
		return 0;
	if (bytes > v->batmap.covered)
		bytes = v->batmap.covered;
	for (size_t i = 0; i < bytes; i++)
		n += (size_t)__builtin_popcount(v->batmap.bits[i]);
	return n;
}

size_t disk_full_blocks(struct disk *d, struct disk_block *v, size_t room)
{
	const struct vhd *vhd;
	size_t n = 0;

	pthread_mutex_lock(&d->lock);
	vhd = d->vhd && d->vhd->footer.type != VHD_FIXED ? d->vhd : NULL;
	if (vhd && !v)
		n = count_full(vhd);
	for (uint32_t i = 0; vhd && i < vhd->n_blocks && n < room; i++) {
		if (!vhd_batmap_get(vhd, i) || !vhd_in_use(vhd_entry(vhd, i)))
			continue;
		v[n++] = (struct disk_block){ i, (vhd_entry(vhd, i) + (uint64_t)1) * VHD_SECTOR };
	}
	pthread_mutex_unlock(&d->lock);
	return n;
}

int disk_direct_fd(const struct disk *d)
{
	int flags = d->io && d->io->fd >= 0 ? fcntl(d->io->fd, F_GETFL) : -1;

	return flags >= 0 && flags & O_DIRECT ? d->io->fd : -1;
}

void disk_shared(struct disk *d)
{
	d->shared = true;
}

/* --- life ---------------------------------------------------------------- */

uint64_t disk_size(const struct disk *d)
{
	return d->size;
}

bool disk_is_writable(const struct disk *d)
{
	return d->writable;
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

/* Nobody is inside. */
static void take_image(struct disk *d, struct image *im)
{
	struct io *io = im->levels[0].io;
	struct stat st;

	d->im = im;
	d->io = io;
	d->vhd = io->read_only ? NULL : im->levels[0].vhd;
	d->size = im->size;
	d->writable = !io->read_only;
	d->volume = d->holes = false;
	if (io->fd >= 0 && !fstat(io->fd, &st)) {
		d->volume = S_ISBLK(st.st_mode);
		d->holes = !d->volume && !io->read_only && has_holes(io, &st);
	}
	d->unit = unit_of(io, im->levels[0].vhd, d->volume);
	d->dirty = false;
	d->broken = 0;
	if (!d->vhd)
		return;
	d->vhd->batched = true;
	if (!d->batch)
		d->batch = must_alloc(sizeof(*d->batch));
}

static void drop_image(struct disk *d)
{
	image_close(d->im);
	d->im = NULL;
	d->io = NULL;
	d->vhd = NULL;
}

void disk_prepare(struct disk **out, uint64_t size, bool writable)
{
	struct disk *d = must_alloc(sizeof(*d));
	pthread_condattr_t clock;

	*d = (struct disk){ .size = size, .writable = writable, .unit = PAGE, .held = true };
	pthread_mutex_init(&d->lock, NULL);
	pthread_mutex_init(&d->metadata_io, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&d->turn, &clock);
	pthread_condattr_destroy(&clock);
	pthread_cond_init(&d->flushed, NULL);
	*out = d;
}

static void let_go(struct disk *d)
{
	pthread_mutex_lock(&d->lock);
	d->held = false;
	d->refused = 0;
	pthread_cond_broadcast(&d->turn);
	pthread_mutex_unlock(&d->lock);
}

void disk_open(struct disk **out, struct image *im)
{
	disk_prepare(out, im->size, false);
	take_image(*out, im);
	let_go(*out);
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
	if (!err && notes->from != notes->to)
		err = vhd_flush(d->vhd);
	d->vhd->batched = true;
	if (err)
		return err;
	notes->from = notes->to;
	d->notes = notes;
	return 0;
}

void disk_track(struct disk *d, uint8_t *bits, uint8_t *touched)
{
	d->bits = bits;
	d->touched = touched;
}

static int finish(struct disk *d)
{
	int err;

	if (!d->vhd)
		return 0;
	d->vhd->batched = false;
	err = vhd_finish(d->vhd);
	d->vhd->batched = true;
	return err;
}

/* Until nobody is inside any more, for so long at most. */
static int drain(struct disk *d, unsigned int ms)
{
	struct timespec until;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_mutex_lock(&d->lock);
	d->held = true;
	while (!err && (d->inside || d->alone))
		err = -pthread_cond_timedwait(&d->turn, &d->lock, &until);
	pthread_mutex_unlock(&d->lock);
	return err;
}

int disk_pause(struct disk *d, unsigned int ms, bool keep)
{
	int err = disk_flush(d);	/* most of it, while all goes on */
	bool shared = d->shared;

	if (!err)
		err = drain(d, ms);
	d->shared = false;		/* others have ended before we began */
	if (!err)
		err = flush_inside(d);
	d->shared = shared;
	if (!err)
		err = finish(d);
	if (err) {
		let_go(d);
		return err;
	}
	if (d->notes)
		d->notes->from = d->notes->to;	/* all of it is in the image */
	if (!keep)
		drop_image(d);
	return 0;
}

void disk_go_on(struct disk *d)
{
	let_go(d);
}

void disk_forget(struct disk *d)
{
	drop_image(d);
}

int disk_push(struct disk *d, struct disk_top *top)
{
	struct image *im = NULL;
	int err = image_push(&im, top->leaf, top->leaf_format, d->writable ? IMAGE_RDWR : 0, d->im,
			     top->base, top->base_format);

	if (err)
		return err;
	take_image(d, im);
	return 0;
}

int disk_resume(struct disk *d, struct image *im, struct disk_notes *notes)
{
	uint64_t size = d->size;
	int err = im->size < size || (d->writable && im->levels[0].io->read_only) ? -E_RANGE : 0;

	if (err) {
		image_close(im);
		return err;
	}
	take_image(d, im);
	err = notes ? disk_recover(d, notes) : 0;
	if (err) {
		drop_image(d);
		d->size = size;
		return err;
	}
	let_go(d);
	return 0;
}

void disk_refuse(struct disk *d, int err)
{
	pthread_mutex_lock(&d->lock);
	d->refused = err;
	pthread_cond_broadcast(&d->turn);
	pthread_mutex_unlock(&d->lock);
}

int disk_close(struct disk *d)
{
	int err = 0;

	if (!d)
		return 0;
	if (d->im)
		err = flush_inside(d);
	if (!err && d->im)
		err = finish(d);
	image_close(d->im);
	pthread_mutex_destroy(&d->lock);
	pthread_mutex_destroy(&d->metadata_io);
	pthread_cond_destroy(&d->turn);
	pthread_cond_destroy(&d->flushed);
	free(d->batch);
	free(d);
	return err;
}
