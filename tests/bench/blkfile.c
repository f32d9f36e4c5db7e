/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * To be preloaded into lvm2: the file $BLKFILE passes for a block device, so that
 * lvm2 can be measured on the host, on the same file as we, where there is no
 * device to spare and no right to make one.
 */
#include <dlfcn.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define LOOP 7				/* a major number lvm2 takes for a disk's */

static int pass(int err, struct stat64 *st)
{
	static __thread int inside;
	static ino_t node;
	static dev_t dev;

	if (!node && !inside) {
		struct stat64 own;

		inside = 1;
		if (getenv("BLKFILE") && !stat64(getenv("BLKFILE"), &own)) {
			node = own.st_ino;
			dev = own.st_dev;
		}
		inside = 0;
	}
	if (!err && !inside && node && st->st_ino == node && st->st_dev == dev) {
		st->st_mode = (st->st_mode & ~(mode_t)S_IFMT) | S_IFBLK;
		st->st_rdev = makedev(LOOP, 77);
	}
	return err;
}

int stat64(const char *path, struct stat64 *st)
{
	static int (*real)(const char *, struct stat64 *);

	if (!real)
		real = (int (*)(const char *, struct stat64 *))dlsym(RTLD_NEXT, "stat64");
	return pass(real(path, st), st);
}

int lstat64(const char *path, struct stat64 *st)
{
	static int (*real)(const char *, struct stat64 *);

	if (!real)
		real = (int (*)(const char *, struct stat64 *))dlsym(RTLD_NEXT, "lstat64");
	return pass(real(path, st), st);
}

int fstat64(int fd, struct stat64 *st)
{
	static int (*real)(int, struct stat64 *);

	if (!real)
		real = (int (*)(int, struct stat64 *))dlsym(RTLD_NEXT, "fstat64");
	return pass(real(fd, st), st);
}

/* The few questions one asks a disk, answered for the file. */
int ioctl(int fd, unsigned long request, ...)
{
	static int (*real)(int, unsigned long, ...);
	struct stat64 st;
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (!real)
		real = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
	if (fstat64(fd, &st) || !S_ISBLK(st.st_mode) || st.st_rdev != makedev(LOOP, 77))
		return real(fd, request, arg);
	switch (request) {
	case BLKGETSIZE64:
		*(uint64_t *)arg = (uint64_t)st.st_size;
		return 0;
	case BLKSSZGET:
	case BLKPBSZGET:
		*(int *)arg = 512;
		return 0;
	case BLKRAGET:
		*(long *)arg = 256;
		return 0;
	case BLKROGET:
		*(int *)arg = 0;
		return 0;
	default:
		return real(fd, request, arg);
	}
}
