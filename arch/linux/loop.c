/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "arch/blk.h"
#include "arch/clock.h"
#include "arch/loop.h"
#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/num.h"

/* Kernel headers may be older than the kernel. */
#ifndef LOOP_CONFIGURE
#define LOOP_CONFIGURE 0x4c0a
struct loop_config {
	__u32 fd;
	__u32 block_size;
	struct loop_info64 info;
	__u64 __reserved[8];
};
#endif

#define CONTROL_MAJOR	10
#define CONTROL_MINOR	237
#define LOOP_MAJOR	7

/* Others take the number we were given: how often before it looks like a fault. */
#define RACES_MOST	64
/* EAGAIN of the old calls: the device's cache is being read by somebody. */
#define AGAIN_MOST	64
#define NUMBER_MOST	((1 << 20) - 1)
/* What sysfs puts behind the path of a file without a name. */
#define DELETED		" (deleted)"

static void node_path(char path[32], int n)
{
	snprintf(path, 32, "/dev/loop%d", n);
}

static int open_control(void)
{
	int fd = open("/dev/loop-control", O_RDWR | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT) {
		dev_t dev = makedev(CONTROL_MAJOR, CONTROL_MINOR);
		int err = blk_node("/dev/loop-control", S_IFCHR, dev);

		if (err)
			return err;
		fd = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	}
	return fd < 0 ? -errno : fd;
}

/* The minor is not the number where partitions are numbered with max_part=. */
static dev_t device_of(int n)
{
	struct arena a = { 0 };
	struct view v;
	char path[64];
	dev_t dev = makedev(LOOP_MAJOR, (unsigned)n);

	snprintf(path, sizeof(path), "/sys/block/loop%d/dev", n);
	if (!file_read_small(AT_FDCWD, path, &a, 64, &v))
		blk_parse_dev(v.p, &dev);
	arena_free(&a);
	return dev;
}

static int open_node(int n, int flags, bool create)
{
	char path[32];
	int fd, err;

	node_path(path, n);
	fd = open(path, flags | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT && create) {
		err = blk_node(path, S_IFBLK, device_of(n));
		if (err)
			return err;
		fd = open(path, flags | O_CLOEXEC | O_NONBLOCK);
	}
	return fd < 0 ? -errno : fd;
}

/* --- attach --------------------------------------------------------------- */

static void fill_info(struct loop_info64 *i, const struct loop_options *o)
{
	*i = (struct loop_info64){
		.lo_offset = o->offset,
		.lo_sizelimit = o->size_limit,
		.lo_flags = (o->read_only ? LO_FLAGS_READ_ONLY : 0) |
			    (o->held ? LO_FLAGS_AUTOCLEAR : 0),
	};
	if (o->name)
		snprintf((char *)i->lo_file_name, sizeof(i->lo_file_name), "%s", o->name);
}

/*
 * EAGAIN: pages of the device appeared in the cache (udev reading) between the
 * flush the kernel did and its check.
 */
static int call_again(int dev, unsigned long cmd, void *arg)
{
	int err = 0;

	for (int i = 0; i < AGAIN_MOST; i++) {
		err = ioctl(dev, cmd, arg) ? -errno : 0;
		if (err != -EAGAIN && err != -EINTR)
			break;
		clock_sleep(10 * NS_PER_MS);
	}
	return err;
}

/*
 * The way before 5.8, four calls: the device shows the whole file until the
 * second is done.  Direct I/O that is refused is dropped, as the new call does.
 */
static int bind_old(int dev, int file, const struct loop_options *o)
{
	struct loop_info64 info;
	int err;

	if (ioctl(dev, LOOP_SET_FD, file))
		return -errno;
	fill_info(&info, o);
	err = call_again(dev, LOOP_SET_STATUS64, &info);
	if (!err && o->block_size && o->block_size != 512)
		err = call_again(dev, LOOP_SET_BLOCK_SIZE, (void *)(uintptr_t)o->block_size);
	if (!err && o->direct_io)
		call_again(dev, LOOP_SET_DIRECT_IO, (void *)1);
	if (err)
		ioctl(dev, LOOP_CLR_FD, 0);	/* err is what matters */
	return err;
}

/*
 * LOOP_CONFIGURE does all in one.  Kernels without it answer EINVAL or ENOTTY,
 * and EINVAL is also what it says of a bad request: the old way then finds the
 * same fault.  EBUSY: somebody else was faster.
 */
static int bind(int dev, int file, const struct loop_options *o)
{
	struct loop_config c = { .fd = (uint32_t)file, .block_size = o->block_size };

	fill_info(&c.info, o);
	if (o->direct_io)
		c.info.lo_flags |= LO_FLAGS_DIRECT_IO;
	if (!ioctl(dev, LOOP_CONFIGURE, &c))
		return 0;
	if (errno != EINVAL && errno != ENOTTY)
		return -errno;
	return bind_old(dev, file, o);
}

int loop_attach(int file, const struct loop_options *o, bool *direct)
{
	_close_ int control = open_control();
	struct loop_info_now now;
	int n, err = -EBUSY;

	if (control < 0)
		return control;
	for (int race = 0; race < RACES_MOST && err == -EBUSY; race++) {
		_close_ int dev = -1;

		n = ioctl(control, LOOP_CTL_GET_FREE);
		if (n < 0)
			return -errno;
		/* A device opened for reading only is bound read-only. */
		dev = open_node(n, o->read_only ? O_RDONLY : O_RDWR, true);
		if (dev < 0)
			return dev;
		err = bind(dev, file, o);
		if (err == -EBUSY)
			clock_sleep(NS_PER_MS);
		if (!err && o->held)
			*o->held = take_fd(&dev);
	}
	if (err)
		return err;
	if (direct)
		*direct = !loop_info(n, &now) && now.direct_io;
	return n;
}

/* --- look ----------------------------------------------------------------- */

/* ENXIO: not bound. */
static int get_info(int dev, int n, struct loop_info_now *now)
{
	struct loop_info64 i;

	if (ioctl(dev, LOOP_GET_STATUS64, &i))
		return -errno;
	*now = (struct loop_info_now){
		.n = n,
		.file = { i.lo_device, i.lo_inode },
		.offset = i.lo_offset,
		.size_limit = i.lo_sizelimit,
		.read_only = i.lo_flags & LO_FLAGS_READ_ONLY,
		.direct_io = i.lo_flags & LO_FLAGS_DIRECT_IO,
		.autoclear = i.lo_flags & LO_FLAGS_AUTOCLEAR,
	};
	memcpy(now->name, i.lo_file_name, LOOP_NAME_MAX);
	return 0;
}

int loop_info(int n, struct loop_info_now *now)
{
	_close_ int dev = open_node(n, O_RDONLY, false);

	if (dev == -ENOENT || dev == -ENODEV)
		return -ENXIO;
	return dev < 0 ? dev : get_info(dev, n, now);
}

/* The number in "loop12"; -1 for any other name. */
static int number_of(const char *name)
{
	uint64_t n;

	if (strncmp(name, "loop", 4))
		return -1;
	name += 4;
	return !num_take(&name, &n) || *name || n > NUMBER_MOST ? -1 : (int)n;
}

static int by_number(const void *a, const void *b)
{
	const struct loop_info_now *x = a, *y = b;

	return (x->n > y->n) - (x->n < y->n);
}

/* Does a path of sysfs, which may say that the file has been unlinked, end so? */
static bool ends_with(const char *path, const char *end)
{
	size_t n = strlen(path), m = strlen(end), d = strlen(DELETED);

	if (n > d && !strcmp(path + n - d, DELETED))
		n -= d;
	return n >= m && !memcmp(path + n - m, end, m);
}

/*
 * /sys/block/loopN/loop/ is there while the device is bound; it saves opening
 * the others.  1 when it was, 0 when it is not bound or no longer.
 */
static int look(struct arena *a, int n, const char *end, struct loop_info_now *now)
{
	struct view path = { 0 };
	char file[64];
	int err;

	snprintf(file, sizeof(file), "/sys/block/loop%d/loop/backing_file", n);
	err = file_read_small(AT_FDCWD, file, a, 64 << 10, &path);
	/* ENODEV: it went away between the open and the read.  ENAMETOOLONG: not ours. */
	if (err)
		return err == -ENOENT || err == -ENODEV || err == -ENAMETOOLONG ? 0 : err;
	((char *)path.p)[strcspn(path.p, "\n")] = '\0';
	if (end && !ends_with(path.p, end))
		return 0;
	err = loop_info(n, now);
	if (err)
		return err == -ENXIO ? 0 : err;
	now->path = path.p;
	return 1;
}

int loop_list(struct arena *a, const char *end, struct loop_info_now **list, size_t *count)
{
	struct loop_info_now *v = NULL, now;
	size_t n = 0, room = 0;
	struct dirent *e;
	DIR *d = opendir("/sys/block");
	int got = 0, number;

	if (!d)
		return -errno;
	while (got >= 0 && (errno = 0, e = readdir(d))) {
		number = number_of(e->d_name);
		got = number < 0 ? 0 : look(a, number, end, &now);
		if (got <= 0)
			continue;
		if (n == room) {
			room = room ? room * 2 : 16;
			v = arena_grow(a, v, n, room, sizeof(*v));
		}
		v[n++] = now;
	}
	if (got >= 0 && errno)
		got = -errno;
	closedir(d);
	if (got < 0)
		return got;
	if (n)
		num_sort(v, n, sizeof(*v), by_number);
	*list = v;
	*count = n;
	return 0;
}

int loop_find(const struct fs_id *file)
{
	struct arena a = { 0 };
	struct loop_info_now *v;
	size_t n;
	int found = loop_list(&a, NULL, &v, &n);

	if (!found) {
		found = -ENOENT;
		for (size_t i = n; i-- > 0; )
			if (fs_id_equal(&v[i].file, file))
				found = v[i].n;
	}
	arena_free(&a);
	return found;
}

/* --- detach, resize ------------------------------------------------------- */

/*
 * LOOP_CLR_FD with other users of the device answers 0 and only marks it (and
 * so does any kernel from 6.11 on: it frees at the last close).  Our exclusive
 * open keeps mounts and device-mapper out from the check until it is marked.
 */
static int mark(int n, const struct fs_id *file)
{
	_close_ int dev = open_node(n, O_RDONLY | O_EXCL, false);
	struct loop_info_now now;
	int err;

	if (dev < 0)
		return dev;
	err = get_info(dev, n, &now);
	if (err)
		return err;
	if (file && !fs_id_equal(&now.file, file))
		return -ENXIO;
	return ioctl(dev, LOOP_CLR_FD, 0) ? -errno : 0;
}

/*
 * Take the order to free it back.  It was kept until now, so whoever has it
 * open still has it open; if that ends just here, the device is free.
 */
int loop_keep(int n, const struct fs_id *file)
{
	_close_ int dev = open_node(n, O_RDONLY, false);
	struct loop_info64 info;

	if (dev < 0)
		return dev;
	if (ioctl(dev, LOOP_GET_STATUS64, &info))
		return -errno;
	if (info.lo_device != file->dev || info.lo_inode != file->ino)
		return -ENXIO;
	info.lo_flags &= ~(uint32_t)LO_FLAGS_AUTOCLEAR;
	return call_again(dev, LOOP_SET_STATUS64, &info);
}

int loop_detach(int n, const struct fs_id *file)
{
	uint64_t until = clock_now_mono() + NS_PER_S;
	struct loop_info_now before, now;
	int err = loop_info(n, &before);

	if (!err && file && !fs_id_equal(&before.file, file))
		return 0;
	if (!err)
		err = mark(n, file);
	if (err)
		return err == -ENXIO || err == -ENOENT || err == -ENODEV ? 0 : err;
	for (;;) {
		err = loop_info(n, &now);
		if (err)
			return err == -ENXIO ? 0 : err;
		/* Freed, and bound again by somebody else. */
		if (!fs_id_equal(&before.file, &now.file) || !now.autoclear)
			return 0;
		if (!clock_left(until)) {
			err = loop_keep(n, &before.file);
			return err == -ENXIO ? 0 : err ? err : -EBUSY;
		}
		clock_sleep(5 * NS_PER_MS);
	}
}

int loop_resize(int n)
{
	_close_ int dev = open_node(n, O_RDONLY, false);

	if (dev < 0)
		return dev;
	return ioctl(dev, LOOP_SET_CAPACITY, 0) ? -errno : 0;
}
