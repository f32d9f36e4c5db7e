/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/io.h"
#include "tests/unit/t.h"

static char path[64];

static void fresh(void)
{
	int fd;

	strcpy(path, "/tmp/smio.XXXXXX");
	fd = mkstemp(path);
	OK(fd >= 0);
	close(fd);
}

static off_t size_on_disk(void)
{
	struct stat st = { 0 };

	stat(path, &st);
	return st.st_size;
}

/* What every member promises, whatever it lies on. */
static void contract(struct io *io, bool grows)
{
	uint64_t size = io->size, len;
	bool is_data;
	char b[8];

	EQ(io_read(io, size, b, 0), 0);
	EQ(io_read(io, size - 4, b, 4), 0);
	EQ(io_read(io, size - 4, b, 5), -E_SHORT);
	EQ(io_read(io, size + 1, b, 0), -E_SHORT);
	EQ(io_read(io, UINT64_MAX, b, 2), -E_SHORT);
	EQ(io_write(io, UINT64_MAX, b, 2), -EFBIG);
	EQ(io_write(io, INT64_MAX, b, 1), -EFBIG);
	EQ(io_zero(io, INT64_MAX, 1), -EFBIG);
	EQ(io_resize(io, UINT64_MAX), -EFBIG);
	EQ(io_write(io, size, b, 0), 0);
	EQ(io_zero(io, 0, 0), 0);
	EQ(io_extent(io, size, &len, &is_data), -E_SHORT);
	EQ(io->size, size);

	EQ(io_write(io, 1, "abc", 3), 0);
	EQ(io_read(io, 0, b, 5), 0);
	OK(!memcmp(b, "\0abc\0", 5));
	EQ(io_zero(io, 2, 1), 0);
	EQ(io_read(io, 0, b, 5), 0);
	OK(!memcmp(b, "\0a\0c\0", 5));
	EQ(io_write(io, size - 2, "tail", 4), grows ? 0 : -ENOSPC);
	EQ(io->size, grows ? size + 2 : size);
	if (grows) {
		EQ(io_zero(io, size, 10), 0);
		EQ(io->size, size + 10);
		EQ(io_read(io, size - 4, b, 8), 0);
		OK(!memcmp(b, "\0\0ta\0\0\0\0", 8));
		EQ(io_resize(io, size), 0);
		EQ(io->size, size);
	} else {
		EQ(io_zero(io, size - 2, 4), -ENOSPC);
	}
	EQ(io_flush(io), 0);
}

TEST(io_contract_of_memory)
{
	struct io *io = io_mem(10000, 20000);

	contract(io, true);
	EQ(io_zero(io, 0, 20001), -ENOSPC);
	EQ(io->size, 10000);
	EQ(io_write(io, 20000, "x", 1), -ENOSPC);
	io_close(io);
	io = io_mem(0, 0);
	EQ(io_write(io, 0, "x", 1), -ENOSPC);
	EQ(io_resize(io, 0), 0);
	io_close(io);
	io_close(NULL);
}

TEST(io_contract_of_a_window)
{
	struct io *io = io_mem(10000, 20000), *w;
	char b[2];

	EQ(io_window(&w, io, 1000, 5000), 0);
	contract(w, false);
	EQ(io_resize(w, 100), -EOPNOTSUPP);
	EQ(io_read(io, 1001, b, 1), 0);
	EQ(b[0], 'a');
	io_close(w);
	EQ(io_window(&w, io, 10000, 0), 0);
	io_close(w);
	EQ(io_window(&w, io, 10000, 1), -E_SHORT);
	EQ(io_window(&w, io, 10001, 0), -E_SHORT);
	EQ(io_window(&w, io, 5000, UINT64_MAX), -E_SHORT);
	EQ(io_window(&w, io, UINT64_MAX, 5000), -E_SHORT);
	/* One that its base has left behind. */
	EQ(io_window(&w, io, 9000, 1000), 0);
	EQ(io_resize(io, 9500), 0);
	EQ(io_read(w, 499, b, 2), -E_SHORT);
	EQ(io_read(w, 499, b, 1), 0);
	io_close(w);
	io_close(io);
}

TEST(io_contract_of_a_file)
{
	static const int how[] = { IO_RDWR, IO_RDWR | IO_DIRECT };
	struct io *io;

	for (size_t i = 0; i < 2; i++) {
		fresh();
		EQ(truncate(path, 10000), 0);
		EQ(io_open(&io, AT_FDCWD, path, how[i]), 0);
		EQ(io->size, 10000);
		contract(io, true);
		EQ(size_on_disk(), 10000);
		io_close(io);
		unlink(path);
	}
}

TEST(io_read_only_stays_so)
{
	struct io *io, *w;

	fresh();
	EQ(truncate(path, 4096), 0);
	EQ(io_open(&io, AT_FDCWD, path, IO_RDONLY), 0);
	EQ(io_write(io, 0, "x", 1), -EROFS);
	EQ(io_zero(io, 0, 1), -EROFS);
	EQ(io_resize(io, 1), -EROFS);
	EQ(io_flush(io), 0);
	EQ(io_window(&w, io, 0, 512), 0);
	EQ(io_write(w, 0, "x", 1), -EROFS);
	io_close(w);
	io_close(io);
	unlink(path);
}

TEST(io_opens_files_and_devices_only)
{
	struct io *io;
	int fd;

	fresh();
	EQ(io_open(&io, AT_FDCWD, "/tmp", IO_RDONLY), -EISDIR);
	EQ(io_open(&io, AT_FDCWD, "/dev/null", IO_RDWR), -EINVAL);
	EQ(io_open(&io, AT_FDCWD, path, IO_RDWR | IO_CREATE), -EEXIST);
	EQ(io_open(&io, AT_FDCWD, path, IO_RDWR | IO_CREATE | IO_DIRECT), -EEXIST);
	unlink(path);
	EQ(io_open(&io, AT_FDCWD, path, IO_RDWR), -ENOENT);
	EQ(mkfifo(path, 0600), 0);
	EQ(io_open(&io, AT_FDCWD, path, IO_RDONLY), -EINVAL);
	unlink(path);
	EQ(symlink("/etc/passwd", path), 0);
	EQ(io_open(&io, AT_FDCWD, path, IO_RDONLY | IO_NOFOLLOW), -ELOOP);
	unlink(path);
	EQ(io_open(&io, AT_FDCWD, path, IO_RDWR | IO_CREATE | IO_DIRECT), 0);
	OK(fcntl(io->fd, F_GETFD) & FD_CLOEXEC);
	io_close(io);
	unlink(path);
	/* The descriptor is gone although it was refused. */
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	EQ(io_from_fd(&io, fd, IO_RDONLY), -EINVAL);
	EQ(fcntl(fd, F_GETFD), -1);
}

TEST(io_direct_of_any_alignment_equals_memory)
{
	struct io *file, *mem = io_mem(0, 1 << 23);
	char *data = malloc(3 << 20), *got = malloc(3 << 20);
	uint64_t seed = 1;

	for (size_t i = 0; i < 3 << 20; i++)
		data[i] = (char)(i * 31 + (i >> 9));
	fresh();
	EQ(io_open(&file, AT_FDCWD, path, IO_RDWR | IO_DIRECT), 0);
	for (int i = 0; i < 200; i++) {
		uint64_t at, len;

		seed = seed * 6364136223846793005 + 1442695040888963407;
		at = (seed >> 33) % (4 << 20);
		len = (seed >> 13) % (i % 10 ? 9000 : 3 << 20);
		if (i % 3 == 0)
			at -= at % 512, len -= len % 512;
		EQ(io_write(file, at, data + i, len - (len > (size_t)i ? (size_t)i : len)), 0);
		EQ(io_write(mem, at, data + i, len - (len > (size_t)i ? (size_t)i : len)), 0);
		EQ(file->size, mem->size);
		EQ(size_on_disk(), mem->size);
	}
	for (uint64_t at = 0; at < mem->size; at += 777777) {
		size_t len = mem->size - at < 2 << 20 ? mem->size - at : 2 << 20;

		EQ(io_read(file, at, data, len), 0);
		EQ(io_read(mem, at, got, len), 0);
		OK(!memcmp(data, got, len));
	}
	io_close(file);
	io_close(mem);
	free(data);
	free(got);
	unlink(path);
}

TEST(io_direct_never_makes_a_file_longer_than_was_written)
{
	struct io *io;
	char b[512];

	fresh();
	EQ(truncate(path, 4096 + 512), 0);
	EQ(io_open(&io, AT_FDCWD, path, IO_RDWR | IO_DIRECT), 0);
	memset(b, 'f', sizeof(b));
	EQ(io_write(io, 4096, b, 512), 0);
	EQ(size_on_disk(), 4096 + 512);
	EQ(io_write(io, 8192, b, 512), 0);
	EQ(size_on_disk(), 8192 + 512);
	EQ(io_write(io, 8192 + 100, "xyz", 3), 0);
	EQ(size_on_disk(), 8192 + 512);
	EQ(io_read(io, 8192 + 99, b, 5), 0);
	OK(!memcmp(b, "fxyzf", 5));
	EQ(io_read(io, 4096 + 512, b, 512), 0);
	EQ(b[0], 0);
	io_close(io);
	unlink(path);
}

/* The lengths of alternating hole and data, which must cover all there is. */
static void holes(struct io *io, bool exact)
{
	uint64_t at = 0, len, data = 0;
	bool is_data;

	while (at < io->size) {
		EQ(io_extent(io, at, &len, &is_data), 0);
		OK(len > 0 && len <= io->size - at);
		if (!len)
			return;
		if (is_data)
			data += len;
		else
			OK(at + len <= 1 << 20 || at >= (1 << 20) + 8192);
		at += len;
	}
	OK(data >= 8192);
	if (exact)
		EQ(data, 8192);
}

TEST(io_extent_finds_the_holes)
{
	struct io *io, *w;
	uint64_t len;
	bool is_data;
	char b[8192];

	memset(b, 'd', sizeof(b));
	fresh();
	EQ(io_open(&io, AT_FDCWD, path, IO_RDWR), 0);
	EQ(io_resize(io, 4 << 20), 0);
	EQ(io_write(io, 1 << 20, b, sizeof(b)), 0);
	holes(io, false);
	io_close(io);
	unlink(path);

	io = io_mem(4 << 20, 0);
	EQ(io_write(io, 1 << 20, b, sizeof(b)), 0);
	holes(io, true);
	EQ(io_extent(io, (1 << 20) + 100, &len, &is_data), 0);
	OK(is_data);
	EQ(len, 8192 - 100);
	EQ(io_window(&w, io, (1 << 20) - 100, 200), 0);
	EQ(io_extent(w, 0, &len, &is_data), 0);
	OK(!is_data);
	EQ(len, 100);
	EQ(io_extent(w, 100, &len, &is_data), 0);
	OK(is_data);
	EQ(len, 100);
	io_close(w);
	io_close(io);
}

/* A member without the optional calls: all it writes goes to one place. */
struct plain {
	struct io io;
	struct io *to;
	size_t calls;
};

static int plain_write(struct io *io, uint64_t at, const void *buf, size_t len)
{
	struct plain *p = (struct plain *)io;

	p->calls++;
	return io_write(p->to, at, buf, len);
}

TEST(io_zero_by_writing_where_there_is_no_better_way)
{
	static const struct io_ops ops = { .write = plain_write };
	struct plain p = { { .ops = &ops, .size = 1 << 20, .fd = -1 }, io_mem(1 << 20, 0), 0 };
	char *b = malloc(1 << 20);
	uint64_t len;
	bool is_data;

	memset(b, 'x', 1 << 20);
	EQ(io_write(p.to, 0, b, 1 << 20), 0);
	EQ(io_zero(&p.io, 1, (1 << 20) - 2), 0);
	OK(p.calls > 1);
	EQ(io_read(p.to, 0, b, 1 << 20), 0);
	EQ(b[0], 'x');
	EQ(b[(1 << 20) - 1], 'x');
	for (size_t i = 1; i < (1 << 20) - 1; i++)
		if (b[i])
			EQ(i, 0);
	EQ(io_resize(&p.io, 1), -EOPNOTSUPP);
	EQ(io_extent(&p.io, 10, &len, &is_data), 0);
	OK(is_data && len == (1 << 20) - 10);
	free(b);
	io_close(p.to);
}

TEST(io_whole_transfers_of_descriptors)
{
	char b[4];
	int fd;

	fresh();
	fd = open(path, O_RDWR | O_CLOEXEC);
	EQ(write_all(fd, "abcd", 4), 0);
	EQ(pwrite_all(fd, "X", 1, 1), 0);
	EQ(pread_all(fd, b, 4, 0), 0);
	OK(!memcmp(b, "aXcd", 4));
	EQ(pread_all(fd, b, 4, 1), -E_SHORT);
	EQ(pread_all(-1, b, 4, 0), -EBADF);
	EQ(write_all(-1, b, 4), -EBADF);
	EQ(write_all(-1, b, 0), 0);
	close(fd);
	unlink(path);
}
