/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A VHD in a volume that is given more room while it is in use.
 *
 *	half of the room is used ──▶ the eventfd ──▶ its owner makes the volume larger
 *	a write finds none ────────▶ the same      ──▶ disk_room(), or disk_no_room()
 *
 * Who waits for room is not inside of the disk: it can be paused, and all that
 * needs no new block goes on.  A write that had to wait begins anew, as if it had
 * just come.
 */
#include <sys/eventfd.h>
#include <time.h>

#include "lib/err.h"
#include "lib/lease.h"
#include "lib/serve/disk_impl.h"
#include "lib/vhd/bat.h"
#include "lib/vhd/write.h"

/*
 * Seconds.  A host that has died with the SR's lock has it for the first two.  It is less than
 * the kernel's own: one that asks again does so by the other socket, and gives up this one.
 */
#define PATIENCE	(LEASE_TERM + LEASE_GRACE + 15)
#define SPAN		(VHD_BLOCK + DISK_PAGE)	/* that a block takes, at most */

static bool is_volume(const struct disk *d)
{
	return d->room.fd >= 0 && d->vhd && d->vhd->fixed_size && d->vhd->footer.type != VHD_FIXED;
}

static uint64_t room_left(const struct disk *d)
{
	uint64_t end = d->io->size - VHD_SECTOR, from = vhd_blocks_from(d->vhd);

	return from < end ? end - from : 0;
}

/* Of all blocks that may still be made. */
static bool is_enough(const struct disk *d)
{
	return (uint64_t)(d->vhd->n_blocks - vhd_allocated(d->vhd)) * SPAN <= room_left(d);
}

/* Before anybody waits: disk_may_wait() */
static void ask(struct disk *d)
{
	if (!d->room.asked)
		eventfd_write(d->room.fd, 1);
	__atomic_store_n(&d->room.asked, true, __ATOMIC_RELAXED);
}

void disk_room_begin(struct disk *d)
{
	uint64_t half = is_volume(d) ? room_left(d) / 2 : 0;

	d->room.low = half < SPAN ? SPAN : half;
	d->room.until = 0;
	d->room.asked = d->room.is_short = d->room.none = false;
	disk_room_look(d, false);
}

void disk_room_look(struct disk *d, bool is_short)
{
	if (!is_volume(d))
		return;
	d->room.is_short |= is_short;
	if (!is_short && (room_left(d) >= d->room.low || d->room.asked))
		return;
	if (!is_short && is_enough(d))
		d->room.low = 0;
	else
		ask(d);
}

static void set_patience(struct disk *d)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!d->room.until)
		d->room.until = now.tv_sec + PATIENCE;
	d->room.none |= now.tv_sec >= d->room.until;
}

/* From the first one on that waits, so that none of them waits longer than that. */
bool disk_room_await(struct disk *d)
{
	bool again;

	pthread_mutex_lock(&d->lock);
	while (d->room.is_short && !d->room.none && !d->refused) {
		struct timespec until;

		set_patience(d);
		until = (struct timespec){ .tv_sec = d->room.until };
		if (d->room.none)
			pthread_cond_broadcast(&d->turn);
		else
			pthread_cond_timedwait(&d->turn, &d->lock, &until);
	}
	again = !d->room.is_short || d->refused;
	/* Whoever finds none later asks again. */
	if (!again)
		d->room.asked = false;
	pthread_mutex_unlock(&d->lock);
	return again;
}

bool disk_may_wait(const struct disk *d)
{
	return __atomic_load_n(&d->room.asked, __ATOMIC_RELAXED);
}

void disk_watch_room(struct disk *d, int fd)
{
	pthread_mutex_lock(&d->lock);
	d->room.fd = fd;
	disk_room_begin(d);
	pthread_mutex_unlock(&d->lock);
}

uint64_t disk_held(struct disk *d)
{
	uint64_t held = 0;

	pthread_mutex_lock(&d->lock);
	if (is_volume(d) && (d->room.is_short || !is_enough(d)))
		held = vhd_blocks_from(d->vhd) + VHD_SECTOR;
	pthread_mutex_unlock(&d->lock);
	return held;
}

void disk_room(struct disk *d, uint64_t size)
{
	pthread_mutex_lock(&d->lock);
	if (is_volume(d) && size > d->io->size) {
		d->io->size = size;
		d->vhd->footer_at = size - VHD_SECTOR;
		disk_room_begin(d);
	} else {			/* to ask again at once would be in vain */
		d->room.low /= 2;
		d->room.asked = false;
		d->room.none |= d->room.is_short;
	}
	pthread_cond_broadcast(&d->turn);
	pthread_mutex_unlock(&d->lock);
}

void disk_no_room(struct disk *d)
{
	pthread_mutex_lock(&d->lock);
	d->room.none = true;
	d->room.asked = false;
	pthread_cond_broadcast(&d->turn);
	pthread_mutex_unlock(&d->lock);
}
