/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arch/fs.h"
#include "lib/bytes.h"
#include "lib/cleanup.h"

/* Counts are in f_frsize, not f_bsize.  EINTR may come from a network file system. */
int fs_space(int fd, struct fs_space *s)
{
	struct statvfs v;
	int err;

	do {
		err = fstatvfs(fd, &v) ? -errno : 0;
	} while (err == -EINTR);
	if (err)
		return err;
	if (!mul_ok(v.f_blocks, v.f_frsize, &s->size) ||
	    !mul_ok(v.f_bfree, v.f_frsize, &s->free) ||
	    !mul_ok(v.f_bavail, v.f_frsize, &s->avail))
		return -EOVERFLOW;
	return 0;
}

int fs_type(int fd, uint32_t *magic)
{
	struct statfs s;

	if (fstatfs(fd, &s))
		return -errno;
	*magic = (uint32_t)s.f_type;	/* the field is signed, the numbers are not */
	return 0;
}

/* Before it reads by way of its page cache, NFS waits for what goes past that (since Linux 4.8). */
int fs_settle(int fd)
{
	_close_ int cached = -1;
	char path[32], byte;
	uint32_t magic;

	if (fs_type(fd, &magic) || magic != FS_NFS)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	cached = open(path, O_RDONLY | O_CLOEXEC);
	return cached < 0 || pread(cached, &byte, 1, 0) < 0 ? -errno : 0;
}

int fs_id(int dir, const char *name, struct fs_id *id)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	*id = (struct fs_id){ st.st_dev, st.st_ino };
	return 0;
}

int fs_id_fd(int fd, struct fs_id *id)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	*id = (struct fs_id){ st.st_dev, st.st_ino };
	return 0;
}

bool fs_id_equal(const struct fs_id *a, const struct fs_id *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

/*
 * fallocate(2) itself: the library's posix_fallocate() may write zeroes instead
 * where the file system cannot, which is worse than knowing.
 */
int fs_allocate(int fd, uint64_t at, uint64_t len)
{
	int err;

	if (!range_ok(at, len, INT64_MAX))
		return -EFBIG;
	if (!len)
		return 0;
	do {
		err = fallocate(fd, 0, (off_t)at, (off_t)len) ? -errno : 0;
	} while (err == -EINTR);
	return err == -ENOSYS ? -EOPNOTSUPP : err;
}

/* st_blocks counts 512 bytes whatever st_blksize says. */
int fs_used(int fd, uint64_t *bytes)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	*bytes = (uint64_t)st.st_blocks * 512;
	return 0;
}

void fs_will_read(int fd, uint64_t at, uint64_t len)
{
	if (range_ok(at, len, INT64_MAX))
		posix_fadvise(fd, (off_t)at, (off_t)len, POSIX_FADV_WILLNEED);
}

int fs_clone(int dst, int src)
{
	if (!ioctl(dst, FICLONE, src))
		return 0;
	return errno == ENOTTY || errno == ENOSYS ? -EOPNOTSUPP : -errno;
}

/* Of the versions of NFS the one that copies is the one that knows of holes. */
bool fs_may_offload(int fd)
{
	uint32_t magic;

	return !fs_type(fd, &magic) && magic == FS_NFS && lseek(fd, 0, SEEK_DATA) < 0 && errno == ENXIO;
}

int fs_offload(int dst, int src, uint64_t at, uint64_t len)
{
	loff_t from = (loff_t)at, to = from;
	ssize_t n = copy_file_range(src, &from, dst, &to, len < FS_OFFLOAD ? len : FS_OFFLOAD, 0);

	return n < 0 ? errno == ENOSYS ? -EOPNOTSUPP : -errno : (int)n;
}

/* EINVAL is a file system that keeps no directory to make durable. */
int fs_sync_dir(int dir)
{
	return fsync(dir) && errno != EINVAL ? -errno : 0;
}

/* Errors of writeback are reported by 5.8 and later; before, 0 says "started and waited". */
int fs_sync_all(int fd)
{
	return syncfs(fd) ? -errno : 0;
}

/* EISDIR comes from a kernel, EOPNOTSUPP from a file system, that lacks it. */
int fs_tmpfile(int dir, mode_t mode)
{
	int fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode);

	if (fd >= 0)
		return fd;
	return errno == EISDIR || errno == ENOENT ? -EOPNOTSUPP : -errno;
}

/* By way of /proc: AT_EMPTY_PATH would ask for a capability. */
int fs_tmpfile_name(int fd, int dir, const char *name)
{
	char self[32];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, self, dir, name, AT_SYMLINK_FOLLOW) ? -errno : 0;
}

/* The flag is EINVAL on a file system, ENOSYS on a kernel, that does not know it. */
int fs_rename_new(int from_dir, const char *from, int to_dir, const char *to)
{
	if (!syscall(SYS_renameat2, from_dir, from, to_dir, to, RENAME_NOREPLACE))
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	if (linkat(from_dir, from, to_dir, to, 0))
		return -errno;
	return unlinkat(from_dir, from, 0) ? -errno : 0;
}
