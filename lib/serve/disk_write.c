/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/cbt/cbt.h"
#include "lib/err.h"
#include "lib/kconfig.h"
#include "lib/serve/disk_impl.h"
#include "lib/vhd/batch.h"
#include "lib/vhd/vhd.h"

#define ZEROES		((size_t)64 << 10)

/* --- one alone ----------------------------------------------------------- */

static int enter_alone(struct disk *d)
{
	int err;

	pthread_mutex_lock(&d->lock);
	err = disk_turn(d);
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
	if (WITH_ROOM && is_new)
		disk_room_look(d, err == -E_VHD_NO_ROOM);
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
		err = disk_flush_locked(d);
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
		err = disk_flush_locked(d);
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
	return is_shared(d) && !d->volume && d->unit == DISK_PAGE && (pos | len) % DISK_PAGE &&
	       !((pos | len) % VHD_SECTOR) && range_ok(pos, len, d->io->size);
}

/* Where the disk below has no such sectors (-EINVAL) nobody does. */
static int write_data(struct disk *d, uint64_t pos, const void *buf, size_t len)
{
	void *aligned;
	int err;

	if (!is_tight(d, pos, len))
		return io_write(d->io, pos, buf, len);
	if (posix_memalign(&aligned, DISK_PAGE, len))
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
	err = disk_read_inside(d, from, whole, (size_t)(to - from));
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

static int write_once(struct disk *d, uint64_t at, const void *buf, size_t len)
{
	int err = disk_enter(d);
	bool whole;

	if (err)
		return err;
	err = check_write(d, at, len);
	whole = !((at | len) % d->unit);
	if (!err && whole)
		err = write_inside(d, at, buf, len);
	disk_leave(d, !err && whole);
	return err || whole || !len ? err : write_alone(d, at, buf, len);
}

/* Waiting for room ends a write: what it has done is done once more. */
static bool shall_repeat(struct disk *d, int err)
{
	return WITH_ROOM && err == -E_VHD_NO_ROOM && d->room.fd >= 0 && disk_room_await(d);
}

int disk_write(struct disk *d, uint64_t at, const void *buf, size_t len)
{
	int err;

	do
		err = write_once(d, at, buf, len);
	while (shall_repeat(d, err));
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
		int err = disk_plan(d, at, &n, &p, 1);

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
	int err = disk_enter(d);

	if (err)
		return err;
	err = check_write(d, at, len);
	*head = (d->unit - at % d->unit) % d->unit;
	*body = len > *head ? (len - *head) / d->unit * d->unit : 0;
	if (!err && *body)
		err = zero_inside(d, at + *head, *body);
	disk_leave(d, true);
	return err;
}

int disk_zero(struct disk *d, uint64_t at, uint64_t len, bool room)
{
	uint64_t head = 0, body = 0;
	int err = 0;

	if (room)
		return write_zeroes(d, at, len);
	do
		err = zero_units(d, at, len, &head, &body);
	while (shall_repeat(d, err));
	if (!err && !body)
		return write_zeroes(d, at, len);
	if (!err)
		err = write_zeroes(d, at, head);
	return err ? err : write_zeroes(d, at + head + body, len - head - body);
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
		int err = disk_plan(d, at, &n, &p, 1);

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
	uint64_t head = (DISK_PAGE - at % DISK_PAGE) % DISK_PAGE;
	int err = disk_enter(d);

	if (err)
		return err;
	err = check_write(d, at, len);
	/* On a volume there is nothing to give back, and zeroes would be written for it. */
	if (!err && !d->volume && len >= head + DISK_PAGE)
		err = trim_inside(d, at + head, (len - head) / DISK_PAGE * DISK_PAGE);
	disk_leave(d, true);
	return err;
}
