/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/blkid.h"
#include "lib/bytes.h"
#include "lib/io.h"
#include "lib/io_test.h"
#include "tests/unit/t.h"

#define SIZE (8 * MiB)

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
	STR_EQ(look(1080, "\x53\xef", 2), "an ext2 file system");
	OK(strstr(look(0, "XFSB", 4), "XFS"));
	OK(strstr(look(65600, "_BHRfS_M", 8), "btrfs"));
	OK(strstr(look((1 << 20) - 512, "EFI PART", 8), "GPT"));
	OK(strstr(look(4086, "SWAPSPACE2", 10), "swap"));
	OK(strstr(look(0, "conectix", 8), "VHD"));
	OK(!look(300, "nothing", 7));
	OK(!look(512, "LABELONE\1\0\0\0\0\0\0\0\0\0\0\0\x20\0\0\0LVM2 001", 32));
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
	io_write(io, 446, "\x90", 1);
	EQ(blkid_find(io, &what), 0);
	OK(!what);
	io_close(io);
}

/* --- each signature ----------------------------------------------------------- */

static const struct {
	const char *name;
	int64_t at;			/* from the end if negative */
	const char *bytes;
	size_t n;
} known[] = {
	{ "xfs", 0, "XFSB", 4 },
	{ "btrfs", 0x10040, "_BHRfS_M", 8 },
	{ "ntfs", 3, "NTFS    ", 8 },
	{ "exfat", 3, "EXFAT   ", 8 },
	{ "vfat", 0x52, "FAT32   ", 8 },
	{ "vfat", 0x36, "FAT16   ", 8 },
	{ "vfat", 0x36, "FAT12   ", 8 },
	{ "iso9660", 0x8001, "CD001", 5 },
	{ "udf", 0x8001, "BEA01", 5 },
	{ "ext2", 0x438, "\x53\xef", 2 },
	{ "reiserfs", 0x10034, "ReIsEr2Fs", 9 },
	{ "gfs2", 0x10000, "\x01\x16\x19\x70\0\0\0\1", 8 },
	{ "VMFS", 0x200000, "\x5e\xf1\xab\x2f", 4 },
	{ "VMFS_volume_member", 0x100000, "\x0d\xd0\x01\xc0", 4 },
	{ "bcache", 0x1018, "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81", 16 },
	{ "crypto_LUKS", 0, "LUKS\xba\xbe", 6 },
	{ "crypto_LUKS", 0x400000, "SKUL\xba\xbe", 6 },
	{ "swap", 4086, "SWAPSPACE2", 10 },
	{ "swap", 65526, "SWAP-SPACE", 10 },
	{ "swap", 16374, "S1SUSPEND", 9 },
	{ "LVM2_member", 1024, "LABELONE\2\0\0\0\0\0\0\0\0\0\0\0\x20\0\0\0LVM2 001", 32 },
	{ "linux_raid_member", 0, "\xfc\x4e\x2b\xa9\1\0\0\0", 8 },
	{ "linux_raid_member", 4096, "\xfc\x4e\x2b\xa9\1\0\0\0", 8 },
	{ "linux_raid_member", -8192, "\xfc\x4e\x2b\xa9\1\0\0\0", 8 },
	{ "linux_raid_member", -65536, "\xfc\x4e\x2b\xa9\0\0\0\0", 8 },
	{ "linux_raid_member", -65536, "\xa9\x2b\x4e\xfc\0\0\0\0", 8 },
	{ "isw_raid_member", -1024, "Intel Raid ISM Cfg Sig. 1.0", 27 },
	{ "ddf_raid_member", -512, "\xde\x11\xde\x11", 4 },
	{ "zfs_member", 0x20000, "\x0c\xb1\xba\0\0\0\0\0", 8 },
	{ "zfs_member", 0x7fc00, "\0\0\0\0\0\xba\xb1\x0c", 8 },
	{ "zfs_member", -1024, "\x0c\xb1\xba\0\0\0\0\0", 8 },
	{ "gpt", 512, "EFI PART", 8 },
	{ "gpt", 4096, "EFI PART", 8 },
	{ "gpt", -512, "EFI PART", 8 },
	{ "gpt", -4096, "EFI PART", 8 },
	{ "qcow2", 0, "QFI\xfb", 4 },
};

TEST(blkid_each_is_found_where_it_lies_and_gone_when_wiped)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		uint64_t at = known[i].at < 0 ? SIZE - (uint64_t)-known[i].at : (uint64_t)known[i].at;
		struct io *io = io_mem(SIZE, SIZE);
		struct arena a = { 0 };
		struct blkid_sign *v;
		size_t n;

		EQ(io_write(io, at, known[i].bytes, known[i].n), 0);
		EQ(blkid_probe(io, &a, &v, &n), 0);
		if (EQ((long long)n, 1)) {
			STR_EQ(v->name, known[i].name);
			EQ((long long)v->at, (long long)at);
			OK(v->wipe_at <= at && v->wipe_at + v->wipe_len > at);
		}
		EQ(blkid_wipe(io, v, n), 0);
		EQ(blkid_probe(io, &a, &v, &n), 0);
		EQ((long long)n, 0);
		io_close(io);
		arena_free(&a);
	}
}

TEST(blkid_all_at_once_in_the_order_of_the_device)
{
	struct io *io = io_mem(SIZE, SIZE);
	struct arena a = { 0 };
	struct blkid_sign *v;
	uint64_t before = 0;
	size_t n;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		io_write(io, known[i].at < 0 ? SIZE - (uint64_t)-known[i].at : (uint64_t)known[i].at,
			 known[i].bytes, known[i].n);
	EQ(blkid_probe(io, &a, &v, &n), 0);
	OK(n > 15 && n <= BLKID_MOST);
	for (size_t i = 0; i < n; before = v[i++].at)
		OK(v[i].at >= before);
	EQ(blkid_wipe(io, v, n), 0);
	EQ(blkid_probe(io, &a, &v, &n), 0);
	EQ((long long)n, 0);
	io_close(io);
	arena_free(&a);
}

TEST(blkid_ext_by_its_features)
{
	static const struct { const char *name; uint8_t compat, incompat, ro; } ext[] = {
		{ "ext2", 0x38, 0x02, 0x03 }, { "ext3", 0x3c, 0x06, 0x03 },
		{ "ext4", 0x3c, 0x42, 0x03 }, { "ext4", 0x3c, 0x02, 0x7b }, { "jbd", 0, 0x08, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ext); i++) {
		struct io *io = io_mem(SIZE, SIZE);
		struct arena a = { 0 };
		struct blkid_sign *v;
		size_t n;

		io_write(io, 0x438, "\x53\xef", 2);
		io_write(io, 0x45c, &ext[i].compat, 1);
		io_write(io, 0x460, &ext[i].incompat, 1);
		io_write(io, 0x464, &ext[i].ro, 1);
		EQ(blkid_probe(io, &a, &v, &n), 0);
		if (EQ((long long)n, 1))
			STR_EQ(v->name, ext[i].name);
		io_close(io);
		arena_free(&a);
	}
}

TEST(blkid_a_protective_table_belongs_to_gpt)
{
	struct io *io = io_mem(SIZE, SIZE);
	struct arena a = { 0 };
	struct blkid_sign *v;
	size_t n;

	io_write(io, 446, "\0\0\2\0\xee\xff\xff\xff\1\0\0\0\xff\x3f\0\0", 16);
	io_write(io, 510, "\x55\xaa", 2);
	io_write(io, 512, "EFI PART", 8);
	EQ(blkid_probe(io, &a, &v, &n), 0);
	if (EQ((long long)n, 2)) {
		STR_EQ(v[0].name, "PMBR");
		STR_EQ(v[1].name, "gpt");
		STR_EQ(v[0].what, v[1].what);
	}
	io_close(io);
	arena_free(&a);
}

TEST(blkid_devices_of_every_small_size)
{
	for (uint64_t size = 0; size < 70000; size += size < 5000 ? 37 : 1009) {
		struct io *io = io_mem(size, size);
		struct arena a = { 0 };
		struct blkid_sign *v;
		size_t n;

		EQ(blkid_probe(io, &a, &v, &n), 0);
		EQ((long long)n, 0);
		/* Every byte may be the start of something. */
		for (uint64_t at = 0; at + 8 <= size; at += 512)
			io_write(io, at, "EFI PART", 8);
		EQ(blkid_probe(io, &a, &v, &n), 0);
		EQ(blkid_wipe(io, v, n), 0);
		EQ((long long)io->size, (long long)size);
		io_close(io);
		arena_free(&a);
	}
}

TEST(blkid_a_disk_that_cannot_be_read)
{
	struct io *disk = io_mem(SIZE, SIZE), *io;
	struct arena a = { 0 };
	struct blkid_sign *v;
	size_t n = 0, calls;

	io = io_fault(disk, 0, 0, false);
	EQ(blkid_probe(io, &a, &v, &n), 0);
	calls = io_fault_calls(io);
	OK(calls >= 2 && calls < 10);
	io_close(io);
	for (size_t at = 1; at <= calls; at++) {
		io = io_fault(disk, at, -EIO, false);
		EQ(blkid_probe(io, &a, &v, &n), -EIO);
		io_close(io);
	}
	io_close(disk);
	arena_free(&a);
}
