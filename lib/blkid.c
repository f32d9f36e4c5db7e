/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdbool.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/blkid.h"
#include "lib/io.h"

/* Offsets from the start; a negative one counts from the end. */
static const struct mark {
	int64_t at;
	uint8_t n;
	const char *magic;
	const char *what;
} marks[] = {
	{ 1080, 2, "\x53\xef", "an ext2, ext3 or ext4 file system" },
	{ 0, 4, "XFSB", "an XFS file system" },
	{ 65600, 8, "_BHRfS_M", "a btrfs file system" },
	{ 3, 8, "NTFS    ", "an NTFS file system" },
	{ 54, 5, "FAT16", "a FAT file system" },
	{ 54, 5, "FAT12", "a FAT file system" },
	{ 82, 5, "FAT32", "a FAT file system" },
	{ 3, 8, "EXFAT   ", "an exFAT file system" },
	{ 32769, 5, "CD001", "an ISO 9660 file system" },
	{ 32769, 5, "BEA01", "a UDF file system" },
	{ 0, 4, "hsqs", "a squashfs file system" },
	{ 1024, 4, "\x10\x20\xf5\xf2", "an F2FS file system" },
	{ 65588, 8, "ReIsErFs", "a ReiserFS file system" },
	{ 65588, 9, "ReIsEr2Fs", "a ReiserFS file system" },
	{ 32768, 4, "JFS1", "a JFS file system" },
	{ 65536, 4, "\x01\x16\x19\x70", "a GFS2 file system" },
	{ 8192, 6, "OCFSV2", "an OCFS2 file system" },
	{ 4086, 10, "SWAPSPACE2", "swap space" },
	{ 65526, 10, "SWAPSPACE2", "swap space" },
	{ 0, 6, "LUKS\xba\xbe", "an encrypted volume (LUKS)" },
	{ 4096, 4, "\xfc\x4e\x2b\xa9", "a member of a RAID (md)" },
	{ 0, 4, "\xfc\x4e\x2b\xa9", "a member of a RAID (md)" },
	{ -65536, 4, "\xfc\x4e\x2b\xa9", "a member of a RAID (md)" },
	{ 4120, 16, "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81",
	  "a cache or backing disk of bcache" },
	{ 131072, 8, "\x0c\xb1\xba\x00\x00\x00\x00\x00", "a ZFS pool" },
	{ 512, 8, "EFI PART", "a partition table (GPT)" },
	{ 4096, 8, "EFI PART", "a partition table (GPT)" },
	{ -512, 8, "EFI PART", "a partition table (GPT)" },
	{ 0, 8, "conectix", "a VHD image" },
	{ 0, 4, "QFI\xfb", "a QCOW2 image" },
};

/* A boot sector alone is no table: it takes an entry that has a type and a size. */
static int find_mbr(struct io *io, bool *found)
{
	uint8_t s[512];
	int err = io->size < sizeof(s) ? 0 : io_read(io, 0, s, sizeof(s));

	*found = false;
	if (err || io->size < sizeof(s) || s[510] != 0x55 || s[511] != 0xaa)
		return err;
	for (size_t i = 0; i < 4; i++) {
		const uint8_t *e = s + 446 + 16 * i;

		if (e[0] & 0x7f)
			return 0;	/* neither active nor not: some boot code */
		*found |= e[4] && !is_zero(e + 12, 4);
	}
	return 0;
}

int blkid_find(struct io *io, const char **what)
{
	uint8_t got[16];
	bool mbr;
	int err;

	*what = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
		const struct mark *m = &marks[i];
		uint64_t back = m->at < 0 ? (uint64_t)-m->at : 0;
		uint64_t at = back ? io->size - back : (uint64_t)m->at;

		if (back > io->size || !range_ok(at, m->n, io->size))
			continue;
		err = io_read(io, at, got, m->n);
		if (err)
			return err;
		if (!memcmp(got, m->magic, m->n)) {
			*what = m->what;
			return 0;
		}
	}
	err = find_mbr(io, &mbr);
	if (!err && mbr)
		*what = "a partition table (MBR)";
	return err;
}
