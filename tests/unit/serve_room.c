/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A disk in a volume that gets more room while it is in use, or does not get any. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/kconfig.h"
#include "lib/serve/disk.h"
#include "lib/vhd/check.h"
#include "lib/vhd/create.h"
#include "lib/vhd/vhd.h"
#include "tests/unit/vhd_util.h"

#define SIZE	(32 * MiB)
#define BLOCK	(2 * MiB)
#define FULL	(40 * MiB)	/* of the volume, for all blocks */

struct world {
	struct io *all, *volume;	/* the second is the image's */
	uint64_t bytes;			/* of the volume, by now */
	struct disk *d;
	int fd;				/* which asks for room */
	bool stop;
	size_t given;
};

static struct disk *open_image(struct world *w)
{
	struct image *im = NULL;
	struct disk *d = NULL;

	EQ(io_window(&w->volume, w->all, 0, w->bytes), 0);
	if (EQ(image_open(&im, w->volume, IMAGE_VHD, IMAGE_RDWR, NULL, NULL), 0))
		disk_open(&d, im);
	return d;
}

static void begin(struct world *w, uint64_t bytes)
{
	struct vhd_create how = { .type = VHD_DYNAMIC, .size = SIZE, .uuid = { 1 } };
	_io_close_ struct io *io = NULL;

	*w = (struct world){ .all = io_mem(FULL, FULL), .bytes = bytes, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	EQ(io_window(&io, w->all, 0, bytes), 0);
	EQ(vhd_create(io, &how), 0);
	w->d = open_image(w);
	disk_watch_room(w->d, w->fd);
}

static void end(struct world *w)
{
	struct arena a = { 0 };
	struct vhd_findings f = { .arena = &a };
	_io_close_ struct io *io = NULL;

	EQ(disk_close(w->d), 0);
	EQ(io_window(&io, w->all, 0, w->bytes), 0);
	EQ(vhd_check(io, VHD_CHECK_BITMAPS, 0, &f), 0);
	OK(f.worst < VHD_DAMAGE);
	arena_free(&a);
	io_close(w->all);
	close(w->fd);
}

static void enlarge(struct world *w, uint64_t by)
{
	uint8_t footer[512];

	EQ(io_read(w->all, 0, footer, sizeof(footer)), 0);
	w->bytes += by;
	EQ(io_write(w->all, w->bytes - sizeof(footer), footer, sizeof(footer)), 0);
}

/* The window that the disk has is larger from now on, as a device is. */
static void grow(struct world *w, uint64_t by)
{
	enlarge(w, by);
	disk_room(w->d, w->bytes);
	w->given++;
}

static bool is_asked(struct world *w)
{
	eventfd_t n;

	return !eventfd_read(w->fd, &n);
}

static int put(struct disk *d, uint64_t block, int c)
{
	uint8_t buf[4096];

	memset(buf, c, sizeof(buf));
	return disk_write(d, block * BLOCK + 8192, buf, sizeof(buf));
}

static int get(struct disk *d, uint64_t block)
{
	uint8_t buf[4096];
	int err = disk_read(d, block * BLOCK + 8192, buf, sizeof(buf));

	return err ? err : buf[0] == buf[4095] ? buf[0] : -EIO;
}

TEST(serve_asks_for_room_in_time)
{
	struct world w;
	uint64_t block = 0;

	if (!IS_ENABLED(CONFIG_LVM_THIN_GROW))
		return;
	begin(&w, 12 * MiB);
	while (block < 5 && !is_asked(&w))
		EQ(put(w.d, block++, 1), 0);
	EQ(block, 3);				/* half of it */
	EQ(put(w.d, block++, 1), 0);
	OK(!is_asked(&w));			/* once is enough */
	OK(disk_held(w.d) > 4 * BLOCK && disk_held(w.d) < w.bytes);
	grow(&w, FULL - w.bytes);
	EQ(disk_held(w.d), 0);
	while (block < SIZE / BLOCK)
		EQ(put(w.d, block++, 1), 0);
	OK(!is_asked(&w));
	for (block = 0; block < SIZE / BLOCK; block++)
		EQ(get(w.d, block), 1);
	end(&w);
}

static void *keep_growing(void *arg)
{
	struct world *w = arg;

	while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
		if (is_asked(w) && disk_held(w->d))
			grow(w, 4 * MiB);
		else
			usleep(100);
	}
	return NULL;
}

struct writer {
	struct world *w;
	unsigned int n;
	int err;
};

#define WRITERS 4u

static void *write_blocks(void *arg)
{
	struct writer *me = arg;

	for (uint64_t b = me->n; b < SIZE / BLOCK && !me->err; b += WRITERS)
		me->err = b % 3 ? put(me->w->d, b, (int)b + 1) : disk_zero(me->w->d, b * BLOCK, BLOCK, true);
	return NULL;
}

TEST(serve_writes_while_its_volume_grows)
{
	struct writer me[WRITERS];
	pthread_t grower, t[WRITERS];
	struct world w;

	if (!IS_ENABLED(CONFIG_LVM_THIN_GROW))
		return;
	begin(&w, 4 * MiB);
	EQ(pthread_create(&grower, NULL, keep_growing, &w), 0);
	for (unsigned int i = 0; i < WRITERS; i++) {
		me[i] = (struct writer){ .w = &w, .n = i };
		EQ(pthread_create(&t[i], NULL, write_blocks, &me[i]), 0);
	}
	for (unsigned int i = 0; i < WRITERS; i++) {
		pthread_join(t[i], NULL);
		EQ(me[i].err, 0);
	}
	__atomic_store_n(&w.stop, true, __ATOMIC_RELEASE);
	pthread_join(grower, NULL);
	OK(w.given > 4);
	for (int round = 0; round < 2; round++) {
		for (uint64_t b = 0; b < SIZE / BLOCK; b++)
			EQ(get(w.d, b), b % 3 ? (int)b + 1 : 0);
		if (round)
			break;
		EQ(disk_close(w.d), 0);		/* and as another one finds it */
		w.d = open_image(&w);
	}
	end(&w);
}

/* As many as there is room for; the first that finds none has been refused. */
static uint64_t fill(struct world *w)
{
	uint64_t n = 0;

	disk_no_room(w->d);
	while (n < SIZE / BLOCK && !put(w->d, n, 7))
		n++;
	return n;
}

TEST(serve_without_room_serves_what_it_has)
{
	struct world w;
	uint64_t n;

	if (!IS_ENABLED(CONFIG_LVM_THIN_GROW))
		return;
	begin(&w, 8 * MiB);
	n = fill(&w);
	EQ(n, 3);
	is_asked(&w);
	EQ(put(w.d, n, 8), -E_VHD_NO_ROOM);
	disk_no_room(w.d);
	EQ(put(w.d, n, 8), -E_VHD_NO_ROOM);	/* and each of them asks again */
	OK(is_asked(&w));
	EQ(get(w.d, n), 0);
	EQ(put(w.d, 1, 9), 0);
	EQ(disk_flush(w.d), 0);
	EQ(get(w.d, 0), 7);
	EQ(get(w.d, 1), 9);
	EQ(disk_zero(w.d, n * BLOCK, BLOCK, false), 0);	/* as it is already */
	EQ(disk_zero(w.d, n * BLOCK, BLOCK, true), -E_VHD_NO_ROOM);
	grow(&w, 4 * MiB);
	EQ(put(w.d, n, 8), 0);
	EQ(get(w.d, n), 8);
	end(&w);
}

struct one {
	struct world *w;
	uint64_t block;
	int err;
};

static void *put_one(void *arg)
{
	struct one *o = arg;

	o->err = put(o->w->d, o->block, 8);
	return NULL;
}

TEST(serve_can_be_paused_while_a_write_waits_for_room)
{
	struct world w;
	struct one o = { .w = &w };
	struct image *im = NULL;
	pthread_t t;

	if (!IS_ENABLED(CONFIG_LVM_THIN_GROW))
		return;
	begin(&w, 8 * MiB);
	o.block = fill(&w);
	is_asked(&w);
	disk_watch_room(w.d, w.fd);		/* it is not known whether there is any */
	OK(is_asked(&w));
	OK(disk_may_wait(w.d));
	EQ(pthread_create(&t, NULL, put_one, &o), 0);
	EQ(get(w.d, 0), 7);
	EQ(put(w.d, 0, 6), 0);
	EQ(disk_pause(w.d, 10000, true), 0);
	disk_go_on(w.d);			/* it tries again, and waits again */
	EQ(put(w.d, 1, 6), 0);
	EQ(disk_pause(w.d, 10000, false), 0);
	enlarge(&w, 4 * MiB);			/* as in a pause in which it was given some */
	EQ(io_window(&w.volume, w.all, 0, w.bytes), 0);
	EQ(image_open(&im, w.volume, IMAGE_VHD, IMAGE_RDWR, NULL, NULL), 0);
	EQ(disk_resume(w.d, im, NULL), 0);
	pthread_join(t, NULL);
	EQ(o.err, 0);
	EQ(get(w.d, o.block), 8);
	EQ(get(w.d, 0), 6);
	end(&w);
}
