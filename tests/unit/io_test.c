/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "lib/err.h"
#include "lib/io_test.h"
#include "tests/unit/t.h"

/* The first byte of each of the first n sectors, as a string. */
static const char *heads(struct io *disk, size_t n)
{
	static char s[32];

	for (size_t i = 0; i < n; i++)
		if (io_read(disk, i * 512, s + i, 1))
			s[i] = '!';
	for (size_t i = 0; i < n; i++)
		if (!s[i])
			s[i] = '.';
	s[n] = '\0';
	return s;
}

static int put(struct io *io, size_t sector, char c, size_t n)
{
	char data[512 * 8];

	memset(data, c, sizeof(data));
	return io_write(io, sector * 512, data, n * 512);
}

/* Two writes, a flush, a write over the first, a hole, two sectors more. */
static struct io *history(struct io *disk)
{
	struct io *log;

	EQ(put(disk, 3, 'z', 1), 0);
	log = io_log(disk);
	EQ(put(log, 0, 'a', 1), 0);
	EQ(put(log, 1, 'b', 2), 0);
	EQ(io_flush(log), 0);
	EQ(put(log, 0, 'c', 1), 0);
	EQ(io_zero(log, 512, 512), 0);
	EQ(io_resize(log, 6 * 512), 0);
	EQ(put(log, 4, 'd', 2), 0);
	return log;
}

TEST(io_log_replays_every_moment)
{
	static const char *const want[] = {
		"...z", "a..z", "abbz", "abbz", "cbbz", "c.bz", "c.bz..", "c.bzdd",
	};
	struct io *disk = io_mem(4 * 512, 1 << 20), *log = history(disk);

	EQ(io_log_len(log), 7);
	EQ(io_log_writes(log), 5);
	EQ(io_log_flushes(log), 1);
	for (size_t n = 0; n <= io_log_len(log); n++) {
		struct io *after = io_log_replay(log, n);

		EQ(after->size / 512, strlen(want[n]));
		OK(!strcmp(heads(after, strlen(want[n])), want[n]));
		io_close(after);
	}
	OK(!strcmp(heads(log, 6), "c.bzdd"));
	EQ(io_log_reads(log), 6);
	EQ(io_log_len(log), 7);
	EQ(log->size, disk->size);
	io_close(log);
	OK(!strcmp(heads(disk, 6), "c.bzdd"));
	io_close(disk);
}

TEST(io_log_notes_only_what_was_accepted)
{
	struct io *disk = io_mem(1024, 1024), *log = io_log(disk);

	EQ(put(log, 2, 'x', 1), -ENOSPC);
	EQ(io_resize(log, 4096), -ENOSPC);
	EQ(io_log_len(log), 0);
	EQ(log->size, 1024);
	io_close(log);
	io_close(disk);
}

TEST(io_log_loses_nothing_that_was_flushed)
{
	struct io *disk = io_mem(4 * 512, 1 << 20), *log = history(disk);
	bool lost[7] = { 0 }, kept[7] = { 0 };

	for (uint64_t seed = 0; seed < 200; seed++) {
		for (size_t n = 3; n <= 7; n++) {
			struct io *after = io_log_lose(log, n, seed);
			const char *s = heads(after, 6);

			OK(s[0] == 'a' || (n > 3 && s[0] == 'c'));
			OK(s[1] == 'b' || (n > 4 && s[1] == '.'));
			OK(s[2] == 'b' && s[3] == 'z');
			kept[n - 1] |= n == 4 && s[0] == 'c';
			lost[n - 1] |= n == 4 && s[0] == 'a';
			io_close(after);
		}
	}
	OK(kept[3] && lost[3]);
	io_close(log);
	io_close(disk);
}

TEST(io_log_loses_by_seed_and_seed_0_loses_all)
{
	struct io *disk = io_mem(4 * 512, 1 << 20), *log = history(disk), *x, *y;
	char first[32];

	x = io_log_lose(log, 7, 0);
	OK(!strcmp(heads(x, 4), "abbz"));
	EQ(x->size, 4 * 512);
	io_close(x);
	for (uint64_t seed = 1; seed < 20; seed++) {
		x = io_log_lose(log, 7, seed);
		y = io_log_lose(log, 7, seed);
		strcpy(first, heads(x, 6));
		EQ(x->size, y->size);
		OK(!strcmp(first, heads(y, 6)));
		io_close(x);
		io_close(y);
	}
	io_close(log);
	io_close(disk);
}

TEST(io_log_tears_the_last_write_at_a_sector)
{
	struct io *disk = io_mem(8 * 512, 1 << 20), *log = io_log(disk);
	bool head = false, tail = false, whole = false, none = false;

	/* From the middle of one sector to the middle of another. */
	EQ(io_write(log, 100, "0123456789", 10), 0);
	EQ(put(log, 2, 'x', 4), 0);
	for (uint64_t seed = 1; seed < 200; seed++) {
		struct io *after = io_log_lose(log, 2, seed);
		const char *s = heads(after, 8);
		char part[10];

		OK(!strncmp(s, "..", 2) && !strncmp(s + 6, "..", 2));
		none |= !strncmp(s + 2, "....", 4);
		whole |= !strncmp(s + 2, "xxxx", 4);
		head |= s[2] == 'x' && s[5] == '.';
		tail |= s[2] == '.' && s[5] == 'x';
		EQ(io_read(after, 100, part, 10), 0);
		OK(!memcmp(part, "0123456789", 10) || !memcmp(part, "\0\0\0\0\0\0\0\0\0", 10));
		io_close(after);
	}
	OK(none && whole && head && tail);
	io_close(log);
	io_close(disk);
}

TEST(io_fault_strikes_once)
{
	struct io *disk = io_mem(4 * 512, 1 << 20), *f;
	char c;

	for (size_t at = 0; at <= 5; at++) {
		f = io_fault(disk, at, -EIO, false);
		EQ(put(f, 0, 'a', 1), at == 1 ? -EIO : 0);
		EQ(io_read(f, 0, &c, 1), at == 2 ? -EIO : 0);
		EQ(io_flush(f), at == 3 ? -EIO : 0);
		EQ(io_resize(f, 5 * 512), at == 4 ? -EIO : 0);
		EQ(io_zero(f, 0, 512), at == 5 ? -EIO : 0);
		EQ(io_fault_calls(f), 5);
		io_close(f);
		EQ(io_resize(disk, 4 * 512), 0);
	}
	/* What the wrapper refuses by itself reaches nobody. */
	f = io_fault(disk, 1, -EIO, false);
	EQ(io_read(f, 4 * 512, &c, 1), -E_SHORT);
	EQ(io_fault_calls(f), 0);
	io_close(f);
	io_close(disk);
}

TEST(io_fault_tears_a_write_in_its_middle)
{
	struct io *disk = io_mem(4 * 512, 1 << 20), *f = io_fault(disk, 1, -EIO, true);

	EQ(put(f, 1, 'x', 3), -EIO);
	OK(!strcmp(heads(disk, 4), ".x.."));
	io_close(f);
	f = io_fault(disk, 1, -EIO, true);
	EQ(put(f, 0, 'y', 1), -EIO);
	OK(!strcmp(heads(disk, 4), ".x.."));
	EQ(put(f, 5, 'e', 1), 0);
	EQ(f->size, 6 * 512);
	io_close(f);
	io_close(disk);
}

TEST(io_sparse_reads_what_was_written_and_copies_do_not_follow)
{
	struct io *io = io_sparse(0, 1 << 20, 0), *copy, *volume = io_sparse(8192, 8192, 0xee);
	uint8_t b[6], page[4096];

	EQ(io_write(io, 4090, "abcdefghijkl", 12), 0);
	EQ(io->size, 4102);
	copy = io_sparse_copy(io);
	EQ(io_write(io, 4095, "XY", 2), 0);
	EQ(io_read(copy, 4094, b, 6), 0);
	MEM_EQ(b, "efghij", 6);
	EQ(io_read(io, 4094, b, 6), 0);
	MEM_EQ(b, "eXYhij", 6);
	EQ(io_resize(io, 4096), 0);
	EQ(io_resize(io, 12288), 0);
	EQ(io_read(io, 4094, b, 6), 0);
	MEM_EQ(b, "eX\0\0\0\0", 6);		/* what was cut off does not come back */
	EQ(io_write(io, 1 << 20, "x", 1), -ENOSPC);
	EQ(io_read(volume, 4094, b, 6), 0);
	MEM_EQ(b, "\xee\xee\xee\xee\xee\xee", 6);
	EQ(io_zero(volume, 1, 8190), 0);
	EQ(io_read(volume, 0, b, 2), 0);
	MEM_EQ(b, "\xee\0", 2);
	EQ(io_read(volume, 4096, page, 4096), 0);
	EQ(page[4094], 0);
	EQ(page[4095], 0xee);
	EQ(io_resize(volume, 4096), -EOPNOTSUPP);
	OK(io_sparse_changes(volume) == 1 && *(const uint8_t *)io_sparse_at(volume, 4097) == 0);
	OK(!io_sparse_copy(&(struct io){ 0 }));
	io_close(volume);
	io_close(copy);
	io_close(io);
}
