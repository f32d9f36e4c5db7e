/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "arch/blk.h"
#include "lib/arena.h"
#include "lib/cleanup.h"
#include "lib/num.h"

/* No device has more; one that claims so is not believed. */
#define HOLDERS_MOST 4096

#define SYSFS_PATH 96

static void sysfs_path(char path[SYSFS_PATH], dev_t dev, const char *file)
{
	snprintf(path, SYSFS_PATH, "/sys/dev/block/%u:%u%s", major(dev), minor(dev), file);
}

bool blk_parse_dev(const char *s, dev_t *dev)
{
	uint64_t ma, mi;

	if (!num_take(&s, &ma) || *s++ != ':' || !num_take(&s, &mi) || ma > UINT_MAX || mi > UINT_MAX)
		return false;
	*dev = makedev((unsigned)ma, (unsigned)mi);
	return true;
}

/* These four answer from memory, without touching the medium. */
int blk_info(int fd, struct blk_info *b)
{
	int sector, read_only;
	unsigned physical;
	uint64_t size;
	char path[SYSFS_PATH];
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISBLK(st.st_mode))
		return -ENOTBLK;
	if (ioctl(fd, BLKGETSIZE64, &size) || ioctl(fd, BLKSSZGET, &sector) ||
	    ioctl(fd, BLKPBSZGET, &physical) || ioctl(fd, BLKROGET, &read_only))
		return -errno;
	sysfs_path(path, st.st_rdev, "/partition");
	*b = (struct blk_info){
		.dev = st.st_rdev,
		.size = size,
		.sector = (uint32_t)sector,
		.physical = physical,
		.read_only = read_only,
		.partition = !access(path, F_OK),
	};
	return 0;
}

/* For a block device, and for nothing else, O_EXCL has a meaning without O_CREAT. */
int blk_open_excl(const char *path, bool write)
{
	_close_ int fd = -1;
	struct stat st;

	fd = open(path, (write ? O_RDWR : O_RDONLY) | O_EXCL | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		return -errno;
	return S_ISBLK(st.st_mode) ? take_fd(&fd) : -ENOTBLK;
}

int blk_is_held(const char *path)
{
	_close_ int fd = blk_open_excl(path, false);

	if (fd == -EBUSY)
		return 1;
	return fd < 0 ? fd : 0;
}

/* /sys/dev/block/MAJOR:MINOR is a link whose last component is the name. */
int blk_name(dev_t dev, char *name, size_t n)
{
	char path[SYSFS_PATH], target[PATH_MAX];
	const char *last;
	ssize_t len;

	sysfs_path(path, dev, "");
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return errno == ENOENT ? -ENODEV : -errno;
	target[len] = '\0';
	last = strrchr(target, '/');
	last = last ? last + 1 : target;
	if (strlen(last) >= n)
		return -ENAMETOOLONG;
	strcpy(name, last);
	return 0;
}

int blk_holders(dev_t dev, struct arena *a, const char ***names, size_t *n)
{
	const char **v = NULL;
	size_t count = 0, room = 0;
	struct dirent *e;
	char path[SYSFS_PATH];
	DIR *d;

	sysfs_path(path, dev, "/holders");
	d = opendir(path);
	if (!d)
		return errno == ENOENT ? -ENODEV : -errno;
	while ((e = readdir(d)) && count < HOLDERS_MOST) {
		if (e->d_name[0] == '.')
			continue;
		if (count == room) {
			room = room ? room * 2 : 4;
			v = arena_grow(a, v, count, room, sizeof(*v));
		}
		v[count++] = arena_strdup(a, e->d_name);
	}
	closedir(d);
	*names = v;
	*n = count;
	return 0;
}

int blk_drop_cache(int fd)
{
	return ioctl(fd, BLKFLSBUF, 0) ? -errno : 0;
}

int blk_reread_partitions(int fd)
{
	return ioctl(fd, BLKRRPART) ? -errno : 0;
}

int blk_forget_partitions(int fd)
{
	int err = 0;

	/* Numbers of msdos and GPT; a guest's may be higher, which finds no more of them. */
	for (int i = 1; i < 256; i++) {
		struct blkpg_partition p = { .pno = i };
		struct blkpg_ioctl_arg arg = {
			.op = BLKPG_DEL_PARTITION, .datalen = sizeof(p), .data = &p,
		};

		if (ioctl(fd, BLKPG, &arg) && errno != ENXIO)
			err = -errno;
	}
	return err;
}

int blk_stat(const char *path, struct blk_stat *s)
{
	/* Reads, merged ones, sectors, time; then the same of writes, and more. */
	uint64_t field[7];
	char file[SYSFS_PATH], text[512];
	const char *p = text;
	struct stat st;
	_close_ int fd = -1;
	ssize_t got;

	*s = (struct blk_stat){ 0 };
	if (stat(path, &st))
		return -errno;
	if (!S_ISBLK(st.st_mode))
		return -ENOENT;
	sysfs_path(file, st.st_rdev, "/stat");
	fd = open(file, O_RDONLY | O_CLOEXEC);
	got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (got < 0)
		return -errno;
	text[got] = '\0';
	for (size_t i = 0; i < sizeof(field) / sizeof(field[0]); i++) {
		p += strspn(p, " ");
		if (!num_take(&p, &field[i]))
			return -EPROTO;
	}
	/* Sectors of 512 bytes, whatever the device has. */
	*s = (struct blk_stat){ field[0], field[4], field[2] * 512, field[6] * 512 };
	return 0;
}

int blk_node(const char *path, mode_t type, dev_t dev)
{
	struct stat st;

	/* devtmpfs and udev may be at it too: whoever comes first is right. */
	if (lstat(path, &st) && mknod(path, type | 0600, dev) && errno != EEXIST)
		return -errno;
	if (stat(path, &st))
		return -errno;
	return (st.st_mode & S_IFMT) == type && st.st_rdev == dev ? 0 : -EEXIST;
}

int blk_sector_below(int file, uint32_t *sector)
{
	/* A partition has no queue of its own: its disk is the directory above. */
	static const char *const where[] = {
		"/queue/logical_block_size", "/../queue/logical_block_size",
	};
	struct stat st;

	if (fstat(file, &st))
		return -errno;
	for (size_t i = 0; i < sizeof(where) / sizeof(where[0]); i++) {
		_close_ int fd = -1;
		char path[SYSFS_PATH], text[16];
		const char *s = text;
		uint64_t n;
		ssize_t got;

		sysfs_path(path, st.st_dev, where[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
		if (got <= 0)
			continue;
		text[got] = '\0';
		if (!num_take(&s, &n) || n < 512 || n > 4096 || n & (n - 1))
			return -EINVAL;
		*sector = (uint32_t)n;
		return 0;
	}
	return -ENODEV;
}
