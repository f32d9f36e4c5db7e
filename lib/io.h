/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Block I/O as a table: what a format reads and writes without knowing
 * whether it is a file, a device, memory, a part of another, or a test.
 *
 *	_io_close_ struct io *disk = NULL;
 *
 *	err = io_open(&disk, AT_FDCWD, "/dev/sdb", IO_RDONLY);
 *	err = io_read(disk, 512, sector, sizeof(sector));
 *
 * Offsets and sizes are bytes.  Nothing is cached above the kernel: io_write()
 * has reached the medium only once io_flush() has returned 0.  Transfers are
 * whole or an error; a read past the end is -E_SHORT and a write past the end
 * grows a file, and is -ENOSPC on anything else.
 *
 * The members of this header do no locking.  An io is used by one thread,
 * except that io_read() and io_write() of a file or device may run in several,
 * as long as no write makes a file grow and, with IO_DIRECT, no two of them
 * touch the same 4 KiB at once: a part of a block is written by reading it first.
 */
#ifndef LIB_IO_H
#define LIB_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct io;

enum io_hint {
	IO_WILL_READ,		/* soon: begin reading it ahead */
	IO_WROTE,		/* and not again soon: begin writing it to the medium */
	IO_LOST,		/* a flush failed: what memory has of it may differ from the medium */
};

struct io_ops {
	int (*read)(struct io *io, uint64_t at, void *buf, size_t len);
	int (*write)(struct io *io, uint64_t at, const void *buf, size_t len);
	int (*flush)(struct io *io);
	/* Optional: the default writes zeroes, answers -EOPNOTSUPP, says "all data", or is deaf. */
	int (*zero)(struct io *io, uint64_t at, uint64_t len);
	int (*resize)(struct io *io, uint64_t size);
	int (*extent)(struct io *io, uint64_t at, uint64_t *len, bool *is_data);
	void (*hint)(struct io *io, uint64_t at, uint64_t len, enum io_hint what);
	void (*close)(struct io *io);
};

struct io {
	const struct io_ops *ops;
	uint64_t size;		/* bytes, kept up to date by write and resize */
	uint32_t sector;	/* smallest unit the device writes whole: 512 or 4096 */
	bool read_only;
	int fd;			/* the file or device behind it, borrowed; or -1 */
};

enum io_flags {
	IO_RDONLY   = 0,
	IO_RDWR     = 1 << 0,
	IO_CREATE   = 1 << 1,	/* a new file; -EEXIST when there is one */
	IO_DIRECT   = 1 << 2,	/* bypass the page cache; any alignment is accepted */
	IO_EXCL     = 1 << 3,	/* a block device nobody else holds, or -EBUSY */
	IO_NOFOLLOW = 1 << 4,	/* the last component must not be a symbolic link */
};

/* A regular file or block device; anything else is -EINVAL. */
int io_open(struct io **io, int dir, const char *path, int flags);
/* The same for an open descriptor, which is owned from here on, also on failure. */
int io_from_fd(struct io **io, int fd, int flags);
/* Memory of the given size, all zero; written past the end it grows up to max. */
struct io *io_mem(uint64_t size, uint64_t max);
/* Bytes [at, at + len) of another, which must outlive it and is not closed with it. */
int io_window(struct io **io, struct io *of, uint64_t at, uint64_t len);

int io_read(struct io *io, uint64_t at, void *buf, size_t len);
int io_write(struct io *io, uint64_t at, const void *buf, size_t len);
int io_flush(struct io *io);
/* Make [at, at + len) read as zeroes, without writing them where that is possible. */
int io_zero(struct io *io, uint64_t at, uint64_t len);
/*
 * Let bytes of one file be those of another as well, without a byte being moved, where
 * their file system can: -EOPNOTSUPP, -EXDEV or -EINVAL where it cannot, and nothing has
 * been changed.  Offsets and length are multiples of its block.
 */
int io_share(struct io *to, uint64_t at, struct io *from, uint64_t from_at, uint64_t len);
/* Change the size of a file; -EOPNOTSUPP for a device. */
int io_resize(struct io *io, uint64_t size);
/*
 * Is there data at this offset, and for how many bytes does that answer hold?
 * (SEEK_DATA and SEEK_HOLE; where they are missing, all is data.)
 */
int io_extent(struct io *io, uint64_t at, uint64_t *len, bool *is_data);
/*
 * What comes next, so that the medium works while we do: several requests are
 * then in flight without a thread.  Nothing is promised by it, and it may wait
 * where the medium's queue is full.
 */
void io_hint(struct io *io, uint64_t at, uint64_t len, enum io_hint what);
/* NULL is allowed. */
void io_close(struct io *io);

static inline void cleanup_io(struct io **io)
{
	io_close(*io);
}
#define _io_close_ __attribute__((cleanup(cleanup_io)))

/* write(2) and pread(2) until all is done; 0 or -errno, -E_SHORT at the end of the file. */
int write_all(int fd, const void *buf, size_t len);
int pread_all(int fd, void *buf, size_t len, uint64_t at);
int pwrite_all(int fd, const void *buf, size_t len, uint64_t at);

#endif
