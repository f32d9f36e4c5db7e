/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/kconfig.h"
#include "lib/serve/disk_impl.h"
#include "lib/vhd/batch.h"
#include "lib/vhd/batmap.h"
#include "lib/vhd/vhd.h"

/* --- who may go ---------------------------------------------------------- */

int disk_enter(struct disk *d)
{
	int err;

	pthread_mutex_lock(&d->lock);
	err = disk_turn(d);
	if (!err)
		d->inside++;
	pthread_mutex_unlock(&d->lock);
	return err;
}

bool disk_wait(struct disk *d)
{
	struct timespec began, now;

	if (!__atomic_load_n(&d->held, __ATOMIC_RELAXED))
		return false;
	clock_gettime(CLOCK_MONOTONIC, &began);
	pthread_mutex_lock(&d->lock);
	disk_turn(d);
	pthread_mutex_unlock(&d->lock);
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > began.tv_sec + 1 || (now.tv_sec > began.tv_sec && now.tv_nsec >= began.tv_nsec);
}

void disk_leave(struct disk *d, bool wrote)
{
	pthread_mutex_lock(&d->lock);
	d->dirty |= wrote;
	if (!--d->inside && (d->alone || d->held))
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

int disk_flush_locked(struct disk *d)
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

/* others: data may have been written that did not come through here. */
static int flush_inside(struct disk *d, bool others)
{
	int err;

	pthread_mutex_lock(&d->lock);
	err = d->broken;
	if (!err && (d->dirty || others || d->flushing || (d->vhd && d->vhd->dirty)))
		err = disk_flush_locked(d);
	pthread_mutex_unlock(&d->lock);
	return err;
}

int disk_flush(struct disk *d)
{
	int err = disk_enter(d);

	if (err)
		return err;
	err = flush_inside(d, d->shared);
	disk_leave(d, false);
	return err;
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
	return d->io && d->direct ? d->io->fd : -1;
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

static bool is_direct(const struct io *io)
{
	int flags = io->fd < 0 ? 0 : fcntl(io->fd, F_GETFL);

	return flags > 0 && flags & O_DIRECT;
}

static uint32_t unit_of(const struct io *io, bool vhd, bool device, bool direct)
{
	if (device)
		return io->sector;
	if (direct)
		return DISK_PAGE;
	return vhd ? VHD_SECTOR : 1;
}

/* A hole behind the end of a file changes nothing, and tells whether it may have any. */
static bool has_holes(const struct io *io, const struct stat *st)
{
	return !fallocate(io->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, st->st_size, DISK_PAGE);
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
	d->direct = is_direct(io);
	d->unit = unit_of(io, im->levels[0].vhd, d->volume, d->direct);
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

	*d = (struct disk){ .size = size, .writable = writable, .unit = DISK_PAGE, .held = true, .room.fd = -1 };
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
	if (WITH_ROOM)
		disk_room_begin(d);
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
	if (!d->vhd) {			/* none are taken, but a VHD may be pushed on it */
		d->notes = notes;
		return 0;
	}
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
	int err = drain(d, ms);

	/* Others have ended before we began, and what they wrote has been flushed. */
	if (!err)
		err = flush_inside(d, false);
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
		err = flush_inside(d, d->shared);
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
