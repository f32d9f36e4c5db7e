/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* struct io over a regular file or a block device. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/io.h"

/* O_DIRECT wants memory, offset and length aligned; 4096 suits every device. */
#define DIRECT_ALIGN	((size_t)4096)
#define DIRECT_CHUNK	((size_t)1 << 20)

struct file {
	struct io io;
	bool device;
	bool direct;
};

int write_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int pread_all(int fd, void *buf, size_t len, uint64_t at)
{
	char *p = buf;

	while (len) {
		ssize_t n = pread(fd, p, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -E_SHORT;
		p += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int pwrite_all(int fd, const void *buf, size_t len, uint64_t at)
{
	const char *p = buf;

	while (len) {
		ssize_t n = pwrite(fd, p, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -ENOSPC;
		p += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static bool is_aligned(const void *buf, uint64_t at, size_t len)
{
	return !(((uintptr_t)buf | at | len) % DIRECT_ALIGN);
}

/*
 * A direct transfer of any alignment goes through a bounce buffer of whole
 * blocks; a write reads the blocks it covers in part first.  The end of a
 * device or file that is no multiple of the block is read short: the caller's
 * range was checked against the size, so what is missing was not asked for.
 */
static int direct(struct file *f, uint64_t at, char *in, const char *out, size_t len)
{
	void *bounce;
	int err = 0;

	if (posix_memalign(&bounce, DIRECT_ALIGN, DIRECT_CHUNK))
		return -ENOMEM;
	while (len && !err) {
		uint64_t start = at - at % DIRECT_ALIGN;
		size_t skip = (size_t)(at - start);
		size_t n = DIRECT_CHUNK - skip;
		size_t whole;
		ssize_t got;

		if (n > len)
			n = len;
		whole = (skip + n + DIRECT_ALIGN - 1) / DIRECT_ALIGN * DIRECT_ALIGN;
		/* A device's last block may be half one of ours. */
		if (f->device && start + whole > f->io.size)
			whole = (size_t)(f->io.size - start);
		got = whole;
		if (in || skip || n != whole) {
			do {
				got = pread(f->io.fd, bounce, whole, (off_t)start);
			} while (got < 0 && errno == EINTR);
			if (got < 0)
				err = -errno;
		}
		if (!err && in) {
			if ((size_t)got < skip + n)
				err = -E_SHORT;
			else
				memcpy(in, (char *)bounce + skip, n);
			in += n;
		} else if (!err) {
			if ((size_t)got < whole)
				memset((char *)bounce + got, 0, whole - (size_t)got);
			memcpy((char *)bounce + skip, out, n);
			err = pwrite_all(f->io.fd, bounce, whole, start);
			out += n;
		}
		at += n;
		len -= n;
	}
	free(bounce);
	return err;
}

static int file_read(struct io *io, uint64_t at, void *buf, size_t len)
{
	struct file *f = (struct file *)io;

	if (f->direct && !is_aligned(buf, at, len))
		return direct(f, at, buf, NULL, len);
	return pread_all(io->fd, buf, len, at);
}

static int file_write(struct io *io, uint64_t at, const void *buf, size_t len)
{
	struct file *f = (struct file *)io;
	uint64_t end = at + len;
	int err;

	if (f->device && end > io->size)
		return -ENOSPC;
	if (f->direct && !is_aligned(buf, at, len)) {
		err = direct(f, at, NULL, buf, len);
		/* Whole blocks were written: give the file its size back. */
		if (!err && !f->device && end % DIRECT_ALIGN &&
		    ftruncate(io->fd, (off_t)(end > io->size ? end : io->size)))
			err = -errno;
	} else {
		err = pwrite_all(io->fd, buf, len, at);
	}
	if (!err && end > io->size)
		io->size = end;
	return err;
}

static int file_flush(struct io *io)
{
	return fdatasync(io->fd) ? -errno : 0;
}

static int file_zero(struct io *io, uint64_t at, uint64_t len)
{
	struct file *f = (struct file *)io;

	if (f->device) {
		uint64_t range[2] = { at, len };

		if (at + len > io->size)
			return -ENOSPC;
		if ((at | len) % io->sector || ioctl(io->fd, BLKZEROOUT, range))
			return -EOPNOTSUPP;
		return 0;
	}
	if (fallocate(io->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)len))
		return errno == ENOSYS || errno == EINVAL ? -EOPNOTSUPP : -errno;
	if (at + len > io->size) {
		if (ftruncate(io->fd, (off_t)(at + len)))
			return -errno;
		io->size = at + len;
	}
	return 0;
}

static int file_resize(struct io *io, uint64_t size)
{
	if (((struct file *)io)->device)
		return -EOPNOTSUPP;
	if (ftruncate(io->fd, (off_t)size))
		return -errno;
	io->size = size;
	return 0;
}

static int file_extent(struct io *io, uint64_t at, uint64_t *len, bool *is_data)
{
	off_t data = -1, hole;

	*is_data = true;
	*len = io->size - at;
	if (((struct file *)io)->device)
		return 0;
	data = lseek(io->fd, (off_t)at, SEEK_DATA);
	if (data < 0 && errno == ENXIO) {	/* a hole up to the end */
		*is_data = false;
		return 0;
	}
	if (data < 0)
		return 0;			/* no such call here: all is data */
	if ((uint64_t)data > at) {
		*is_data = false;
		if ((uint64_t)data - at < *len)
			*len = (uint64_t)data - at;
		return 0;
	}
	hole = lseek(io->fd, (off_t)at, SEEK_HOLE);
	if (hole > 0 && (uint64_t)hole > at && (uint64_t)hole - at < *len)
		*len = (uint64_t)hole - at;
	return 0;
}

static void file_close(struct io *io)
{
	close(io->fd);
	free(io);
}

static const struct io_ops file_ops = {
	.read = file_read, .write = file_write, .flush = file_flush, .zero = file_zero,
	.resize = file_resize, .extent = file_extent, .close = file_close,
};

int io_from_fd(struct io **io, int fd, int flags)
{
	_close_ int own = fd;
	struct file *f;
	struct stat st;
	uint64_t size;
	int sector = 512;

	if (fstat(fd, &st))
		return -errno;
	if (S_ISBLK(st.st_mode)) {
		if (ioctl(fd, BLKGETSIZE64, &size) || ioctl(fd, BLKSSZGET, &sector))
			return -errno;
	} else if (S_ISREG(st.st_mode)) {
		size = (uint64_t)st.st_size;
	} else {
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	}
	f = must_alloc(sizeof(*f));
	*f = (struct file){
		.io = {
			.ops = &file_ops, .size = size, .sector = (uint32_t)sector,
			.read_only = !(flags & IO_RDWR), .fd = take_fd(&own),
		},
		.device = S_ISBLK(st.st_mode),
		.direct = flags & IO_DIRECT,
	};
	*io = &f->io;
	return 0;
}

int io_open(struct io **io, int dir, const char *path, int flags)
{
	/* O_NONBLOCK: a FIFO or a drive without a medium must not stop us here. */
	int o = O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (flags & IO_RDWR ? O_RDWR : O_RDONLY);
	int fd;

	if (flags & IO_CREATE)
		o |= O_CREAT | O_EXCL;
	else if (flags & IO_EXCL)
		o |= O_EXCL;
	if (flags & IO_NOFOLLOW)
		o |= O_NOFOLLOW;
	fd = openat(dir, path, o | (flags & IO_DIRECT ? O_DIRECT : 0), 0600);
	if (fd < 0 && errno == EINVAL && flags & IO_DIRECT) {	/* tmpfs has none */
		flags &= ~IO_DIRECT;
		fd = openat(dir, path, o, 0600);
	}
	if (fd < 0)
		return -errno;
	return io_from_fd(io, fd, flags);
}
