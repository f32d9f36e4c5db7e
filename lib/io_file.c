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
#include "lib/kconfig.h"

/*
 * O_DIRECT wants memory, offset and length aligned: on a device to its sector,
 * so that a sector is written alone; under a file any device may lie.
 */
#define FILE_ALIGN	4096
#define DIRECT_CHUNK	((size_t)1 << 20)

struct file {
	struct io io;
	bool device;
	bool direct;
	uint32_t align;
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
		if (!n)
			return -ENOSPC;
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

static bool is_aligned(const struct file *f, const void *buf, uint64_t at, size_t len)
{
	return !(((uintptr_t)buf | at | len) % f->align);
}

/* A part of an unaligned transfer, and the whole blocks it lies in. */
struct part {
	uint64_t start;		/* of the blocks */
	size_t whole;		/* bytes of the blocks, at most DIRECT_CHUNK */
	size_t skip;		/* where the part begins in them */
	size_t n;		/* bytes of the part */
};

static struct part part_of(const struct file *f, uint64_t at, size_t len)
{
	size_t skip = (size_t)(at % f->align);
	size_t n = len < DIRECT_CHUNK - skip ? len : DIRECT_CHUNK - skip;

	return (struct part){
		.start = at - skip,
		.whole = (skip + n + f->align - 1) / f->align * f->align,
		.skip = skip,
		.n = n,
	};
}

/* The blocks as far as they exist: those at the end of a file are cut short by it. */
static int fill(struct file *f, const struct part *p, char *bounce)
{
	uint64_t left = f->io.size > p->start ? f->io.size - p->start : 0;
	size_t want = left < p->whole ? (size_t)left : p->whole;

	for (size_t got = 0; got < want; ) {
		ssize_t n = pread(f->io.fd, bounce + got, p->whole - got, (off_t)(p->start + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -E_SHORT;
		got += (size_t)n;
	}
	return 0;
}

/*
 * The last block of a file may be no whole one.  Written as one it would make
 * the file too long for a moment, and for good if we died then: whoever looks
 * for a footer at the end would not find it.  So this part goes by way of the
 * page cache, which the kernel keeps in step with direct transfers.
 */
static int write_tail(struct file *f, uint64_t at, const char *out, size_t n)
{
	int flags = fcntl(f->io.fd, F_GETFL), err;

	if (flags < 0 || fcntl(f->io.fd, F_SETFL, flags & ~O_DIRECT))
		return -errno;
	err = pwrite_all(f->io.fd, out, n, at);
	if (fcntl(f->io.fd, F_SETFL, flags) && !err)
		err = -errno;
	return err;
}

static int write_part(struct file *f, const struct part *p, const char *out, char *bounce)
{
	uint64_t at = p->start + p->skip;
	uint64_t end = at + p->n > f->io.size ? at + p->n : f->io.size;
	int err = 0;

	if (p->start + p->whole > end)
		return write_tail(f, at, out, p->n);
	if (p->n != p->whole)
		err = fill(f, p, bounce);
	if (err)
		return err;
	memcpy(bounce + p->skip, out, p->n);
	return pwrite_all(f->io.fd, bounce, p->whole, p->start);
}

/* A direct transfer of any alignment, in (a read) or out (a write). */
static int unaligned(struct file *f, uint64_t at, char *in, const char *out, size_t len)
{
	size_t room = DIRECT_CHUNK;
	void *bounce;
	int err = 0;

	/* Most such transfers are small: one part, with a block more at each end. */
	if (len < DIRECT_CHUNK / 2)
		room = len + 2 * (size_t)f->align;
	if (posix_memalign(&bounce, FILE_ALIGN, room))
		return -ENOMEM;
	while (len && !err) {
		struct part p = part_of(f, at, len);

		if (in) {
			err = fill(f, &p, bounce);
			if (!err)
				memcpy(in, (char *)bounce + p.skip, p.n);
			in += p.n;
		} else {
			err = write_part(f, &p, out, bounce);
			out += p.n;
		}
		at += p.n;
		len -= p.n;
	}
	free(bounce);
	return err;
}

static int file_read(struct io *io, uint64_t at, void *buf, size_t len)
{
	struct file *f = (struct file *)io;

	if (f->direct && !is_aligned(f, buf, at, len))
		return unaligned(f, at, buf, NULL, len);
	return pread_all(io->fd, buf, len, at);
}

static int file_write(struct io *io, uint64_t at, const void *buf, size_t len)
{
	struct file *f = (struct file *)io;
	uint64_t end = at + len;
	struct stat st;
	int err;

	if (f->device && end > io->size)
		return -ENOSPC;
	if (f->direct && !is_aligned(f, buf, at, len))
		err = unaligned(f, at, NULL, buf, len);
	else
		err = pwrite_all(io->fd, buf, len, at);
	if (end <= io->size)
		return err;
	/* A write that failed may have grown the file all the same. */
	if (!err)
		io->size = end;
	else if (!fstat(io->fd, &st))
		io->size = (uint64_t)st.st_size;
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

static void file_hint(struct io *io, uint64_t at, uint64_t len, enum io_hint what)
{
	if (((struct file *)io)->direct)
		return;
	/* Whoever cannot do it just goes on without. */
	if (what == IO_WILL_READ)
		(void)!posix_fadvise(io->fd, (off_t)at, (off_t)len, POSIX_FADV_WILLNEED);
	else if (IS_ENABLED(CONFIG_GC) && what == IO_LOST)
		(void)!posix_fadvise(io->fd, (off_t)at, (off_t)len, POSIX_FADV_DONTNEED);
	else
		(void)!sync_file_range(io->fd, (off_t)at, (off_t)len, SYNC_FILE_RANGE_WRITE);
}

static void file_close(struct io *io)
{
	close(io->fd);
	free(io);
}

static const struct io_ops file_ops = {
	.read = file_read, .write = file_write, .flush = file_flush, .zero = file_zero,
	.resize = file_resize, .extent = file_extent, .hint = file_hint, .close = file_close,
};

int io_share(struct io *to, uint64_t at, struct io *from, uint64_t from_at, uint64_t len)
{
	struct file_clone_range range = {
		.src_fd = from->fd, .src_offset = from_at, .src_length = len, .dest_offset = at,
	};

	if (to->read_only)
		return -EROFS;
	if (to->ops != &file_ops || from->ops != &file_ops)
		return -EOPNOTSUPP;
	if (!range_ok(from_at, len, from->size) || !range_ok(at, len, to->size))
		return -EINVAL;
	if (!ioctl(to->fd, FICLONERANGE, &range))
		return 0;
	/* A device has no such call, nor has an older kernel; and none of it is there then. */
	return errno == ENOTTY || errno == ENOSYS ? -EOPNOTSUPP : -errno;
}

int io_from_fd(struct io **io, int fd, int flags)
{
	_close_ int own = fd;
	struct file *f;
	struct stat st;
	uint64_t size;
	int sector = 512, how = fcntl(fd, F_GETFL);

	if (how < 0 || fstat(fd, &st))
		return -errno;
	if (S_ISBLK(st.st_mode)) {
		if (ioctl(fd, BLKGETSIZE64, &size) || ioctl(fd, BLKSSZGET, &sector))
			return -errno;
	} else if (S_ISREG(st.st_mode)) {
		size = (uint64_t)st.st_size;
	} else {
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	}
	/* Where there is no such thing (tmpfs), the page cache has to do. */
	if (flags & IO_DIRECT && !fcntl(fd, F_SETFL, how | O_DIRECT))
		how |= O_DIRECT;
	f = must_alloc(sizeof(*f));
	*f = (struct file){
		.io = {
			.ops = &file_ops, .size = size, .sector = (uint32_t)sector,
			.read_only = !(flags & IO_RDWR), .fd = take_fd(&own),
		},
		.device = S_ISBLK(st.st_mode),
		.direct = how & O_DIRECT,
		.align = S_ISBLK(st.st_mode) ? (uint32_t)sector : FILE_ALIGN,
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
	/* O_DIRECT comes later: refused here, it would leave a new file behind. */
	fd = openat(dir, path, o, 0600);
	if (fd < 0)
		return -errno;
	return io_from_fd(io, fd, flags);
}
