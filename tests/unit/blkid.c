/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/blkid.h"
#include "lib/io.h"
#include "tests/unit/t.h"

static const char *look(uint64_t at, const char *magic, size_t n)
{
	struct io *io = io_mem(1 << 20, 1 << 20);
	const char *what;

	EQ(io_write(io, at, magic, n), 0);
	EQ(blkid_find(io, &what), 0);
	io_close(io);
	return what;
}

TEST(blkid_knows_what_people_keep)
{
	OK(strstr(look(1080, "\x53\xef", 2), "ext4"));
	OK(strstr(look(0, "XFSB", 4), "XFS"));
	OK(strstr(look(65600, "_BHRfS_M", 8), "btrfs"));
	OK(strstr(look((1 << 20) - 512, "EFI PART", 8), "GPT"));
	OK(strstr(look(4086, "SWAPSPACE2", 10), "swap"));
	OK(!look(300, "nothing", 7));
}

TEST(blkid_a_boot_sector_is_a_partition_table_only_with_partitions)
{
	struct io *io = io_mem(1 << 20, 1 << 20);
	const char *what;

	io_write(io, 510, "\x55\xaa", 2);
	EQ(blkid_find(io, &what), 0);
	OK(!what);
	io_write(io, 446, "\x80\1\1\0\x83\xfe\xff\xff\0\x08\0\0\0\0\x10\0", 16);
	EQ(blkid_find(io, &what), 0);
	OK(what && strstr(what, "MBR"));
	io_close(io);
}

TEST(blkid_a_tiny_device)
{
	struct io *io = io_mem(100, 100);
	const char *what;

	EQ(blkid_find(io, &what), 0);
	OK(!what);
	io_close(io);
}
