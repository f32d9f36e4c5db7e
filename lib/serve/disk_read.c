/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/serve/disk_impl.h"

#define PIECES		16		/* looked up under one lock */

/* --- reading ------------------------------------------------------------- */

int disk_plan(struct disk *d, uint64_t at, uint64_t *len, struct image_piece *p, size_t room)
{
	uint64_t asked = *len;
	int n;

	pthread_mutex_lock(&d->lock);
	while ((n = image_plan(d->im, at, len, 0, p, room)) == -EAGAIN) {
		*len = asked;
		n = disk_flush_locked(d);
		if (n)
			break;
	}
	pthread_mutex_unlock(&d->lock);
	return n;
}

int disk_read_inside(struct disk *d, uint64_t at, void *buf, size_t len)
{
	struct image_piece p[PIECES];
	char *to = buf;

	while (len) {
		uint64_t got = len;
		int n = disk_plan(d, at, &got, p, PIECES);
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
	int err = disk_enter(d);

	if (err)
		return err;
	if (!range_ok(at, len, d->size))
		err = -EINVAL;
	else if (d->veiled && __atomic_load_n(d->veiled, __ATOMIC_ACQUIRE))
		memset(buf, 0, len);
	else
		err = disk_read_inside(d, at, buf, len);
	disk_leave(d, false);
	return err;
}

/* --- mapping ------------------------------------------------------------- */

static int map_one(struct disk *d, uint64_t at, struct image_run *r)
{
	int err;

	pthread_mutex_lock(&d->lock);
	while ((err = image_map(d->im, at, 0, r)) == -EAGAIN) {
		err = disk_flush_locked(d);
		if (err)
			break;
	}
	pthread_mutex_unlock(&d->lock);
	return err;
}

int disk_map(struct disk *d, uint64_t at, uint64_t len, struct disk_run *runs, int n)
{
	int i = 0, err = disk_enter(d);

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
	disk_leave(d, false);
	return i ? i : err;
}
