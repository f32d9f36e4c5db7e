/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/blkid.h"
#include "lib/bytes.h"
#include "lib/io.h"

#define HEAD		(512 * KiB)	/* both first labels of ZFS */
#define TAIL		(512 * KiB)	/* both last ones */
#define LABELS		(2 * KiB)	/* an LVM2 label is in one of four sectors */

/* Bytes at a fixed place; the sector they are in is wiped. */
struct magic {
	enum blkid_use use;
	const char *name, *what;
	uint32_t at;
	uint8_t n;
	const char *bytes;
};

static const struct magic magics[] = {
	{ BLKID_FS, "xfs", "an XFS file system", 0, 4, "XFSB" },
	{ BLKID_FS, "btrfs", "a btrfs file system", 0x10040, 8, "_BHRfS_M" },
	{ BLKID_FS, "ntfs", "an NTFS file system", 3, 8, "NTFS    " },
	{ BLKID_FS, "exfat", "an exFAT file system", 3, 8, "EXFAT   " },
	{ BLKID_FS, "vfat", "a FAT file system", 0x52, 5, "FAT32" },
	{ BLKID_FS, "vfat", "a FAT file system", 0x52, 5, "MSWIN" },
	{ BLKID_FS, "vfat", "a FAT file system", 0x36, 4, "FAT1" },
	{ BLKID_FS, "vfat", "a FAT file system", 0x36, 5, "MSDOS" },
	{ BLKID_FS, "iso9660", "an ISO 9660 file system", 0x8001, 5, "CD001" },
	{ BLKID_FS, "udf", "a UDF file system", 0x8001, 5, "BEA01" },
	{ BLKID_FS, "squashfs", "a squashfs file system", 0, 4, "hsqs" },
	{ BLKID_FS, "erofs", "an EROFS file system", 0x400, 4, "\xe2\xe1\xf5\xe0" },
	{ BLKID_FS, "f2fs", "an F2FS file system", 0x400, 4, "\x10\x20\xf5\xf2" },
	{ BLKID_FS, "reiserfs", "a ReiserFS file system", 0x10034, 6, "ReIsEr" },
	{ BLKID_FS, "jfs", "a JFS file system", 0x8000, 4, "JFS1" },
	{ BLKID_FS, "gfs2", "a GFS2 file system", 0x10000, 8, "\x01\x16\x19\x70\0\0\0\1" },
	{ BLKID_FS, "ocfs2", "an OCFS2 file system", 0x1000, 6, "OCFSV2" },
	{ BLKID_FS, "ocfs2", "an OCFS2 file system", 0x2000, 6, "OCFSV2" },
	{ BLKID_FS, "bcachefs", "a bcachefs file system", 0x1018, 16,
	  "\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef" },
	{ BLKID_FS, "VMFS", "a VMFS file system", 0x200000, 4, "\x5e\xf1\xab\x2f" },
	{ BLKID_MEMBER, "VMFS_volume_member", "a part of a VMFS", 0x100000, 4, "\x0d\xd0\x01\xc0" },
	{ BLKID_MEMBER, "bcache", "a bcache device", 0x1018, 16,
	  "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81" },
	{ BLKID_MEMBER, "stratis", "a part of a Stratis pool", 0x204, 16,
	  "!Stra0tis\x86\xff\x02^\x41rh" },
	{ BLKID_MEMBER, "oracleasm", "an Oracle ASM disk", 32, 8, "ORCLDISK" },
	{ BLKID_MEMBER, "ceph_bluestore", "a Ceph BlueStore", 0, 22, "bluestore block device" },
	{ BLKID_CRYPT, "crypto_LUKS", "a LUKS volume", 0, 6, "LUKS\xba\xbe" },
	{ BLKID_CRYPT, "BitLocker", "a BitLocker volume", 3, 8, "-FVE-FS-" },
	{ BLKID_IMAGE, "vhd", "a VHD image", 0, 8, "conectix" },
	{ BLKID_IMAGE, "qcow2", "a QCOW2 image", 0, 4, "QFI\xfb" },
};

struct probe {
	struct io *io;
	struct arena *a;
	struct blkid_sign *v;
	size_t n;
	uint8_t *head, *tail;		/* what lies outside the device reads as zeroes */
	uint64_t tail_at;
	int err;
};

static void found(struct probe *p, enum blkid_use use, const char *name, const char *what,
		  uint64_t at, uint64_t wipe_at, uint64_t wipe_len)
{
	if (p->n == BLKID_MOST || !range_ok(wipe_at, 1, p->io->size))
		return;
	if (wipe_len > p->io->size - wipe_at)
		wipe_len = p->io->size - wipe_at;
	p->v[p->n++] = (struct blkid_sign){ use, name, what, at, wipe_at, wipe_len };
}

/* n bytes, n <= 64; NULL where the device has none, or they cannot be read. */
static const uint8_t *bytes_at(struct probe *p, uint64_t at, size_t n, uint8_t own[64])
{
	int err;

	if (!range_ok(at, n, p->io->size))
		return NULL;
	if (range_ok(at, n, HEAD))
		return p->head + at;
	if (at >= p->tail_at)
		return p->tail + (at - p->tail_at);
	err = io_read(p->io, at, own, n);
	if (err && !p->err)
		p->err = err;
	return err ? NULL : own;
}

static bool has(struct probe *p, uint64_t at, const char *bytes, size_t n)
{
	uint8_t own[64];
	const uint8_t *b = bytes_at(p, at, n, own);

	return b && !memcmp(b, bytes, n);
}

static uint32_t le32_at(struct probe *p, uint64_t at)
{
	uint8_t own[64];
	const uint8_t *b = bytes_at(p, at, 4, own);

	return b ? le32_get((le32){ { b[0], b[1], b[2], b[3] } }) : 0;
}

/* --- by kind -------------------------------------------------------------------- */

static void probe_magics(struct probe *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
		const struct magic *m = &magics[i];

		if (has(p, m->at, m->bytes, m->n))
			found(p, m->use, m->name, m->what, m->at, m->at & ~(uint64_t)511, 512);
	}
}

/* Sorted out as the kernel does, by what an older one could not mount. */
static void probe_ext(struct probe *p)
{
	const uint64_t sb = 1024;
	uint32_t compat = le32_at(p, sb + 0x5c), incompat = le32_at(p, sb + 0x60);
	uint32_t ro = le32_at(p, sb + 0x64);
	const char *name = "ext2", *what = "an ext2 file system";

	if (!has(p, sb + 0x38, "\x53\xef", 2))
		return;
	if (incompat & 0x8) {
		name = "jbd";
		what = "the journal of an ext4 file system";
	} else if (incompat & ~0x16u || ro & ~0x7u) {
		name = "ext4";
		what = "an ext4 file system";
	} else if (compat & 0x4) {
		name = "ext3";
		what = "an ext3 file system";
	}
	found(p, BLKID_FS, name, what, sb + 0x38, sb, 1024);
}

/* At the end of the first page, whose size is the architecture's. */
static void probe_swap(struct probe *p)
{
	static const char *const marks[] = { "SWAPSPACE2", "SWAP-SPACE", "S1SUSPEND\0", "LINHIB0001" };

	for (uint64_t page = 4096; page <= 65536; page *= 2)
		for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
			if (has(p, page - 10, marks[i], i == 2 ? 9 : 10))
				found(p, BLKID_SWAP, "swap", "swap space", page - 10, page - 512, 512);
}

static void probe_lvm(struct probe *p)
{
	for (uint64_t at = 0; at < LABELS; at += 512)
		if (has(p, at, "LABELONE", 8) && has(p, at + 24, "LVM2 001", 8))
			found(p, BLKID_MEMBER, "LVM2_member", "an LVM2 physical volume", at, at, 512);
}

/* 0.90 lies in the last whole 64 KiB but one, 1.0 near the end, 1.1 and 1.2 in front. */
static void probe_md(struct probe *p)
{
	static const char le[] = "\xfc\x4e\x2b\xa9", be[] = "\xa9\x2b\x4e\xfc";
	static const char what[] = "a member of a Linux RAID";
	uint64_t size = p->io->size, at;

	if (size >= 128 * KiB) {
		at = (size & ~(64 * KiB - 1)) - 64 * KiB;
		if (has(p, at, le, 4) || has(p, at, be, 4))
			found(p, BLKID_MEMBER, "linux_raid_member", what, at, at, 4096);
	}
	for (int minor = 0; minor < 3; minor++) {
		at = minor == 1 ? 0 : 4096;
		if (!minor && size < 16 * KiB)
			continue;
		if (!minor)
			at = (size / 512 - 16) / 8 * 4096;
		if (has(p, at, le, 4) && le32_at(p, at + 4) == 1)
			found(p, BLKID_MEMBER, "linux_raid_member", what, at, at, 4096);
	}
}

/* Metadata of RAID controllers, in the last sectors. */
static void probe_bios_raid(struct probe *p)
{
	uint64_t size = p->io->size & ~(uint64_t)511;

	if (size < 64 * KiB)
		return;
	if (has(p, size - 1024, "Intel Raid ISM Cfg Sig. ", 24))
		found(p, BLKID_MEMBER, "isw_raid_member", "a member of an Intel RAID", size - 1024,
		      size - 1024, 1024);
	if (has(p, size - 512, "\xde\x11\xde\x11", 4))
		found(p, BLKID_MEMBER, "ddf_raid_member", "a member of a DDF RAID", size - 512,
		      size - 512, 512);
}

/* The second header of LUKS 2, from which the first one is repaired. */
static void probe_luks2(struct probe *p)
{
	for (uint64_t at = 16 * KiB; at <= 4 * MiB; at *= 2)
		if (has(p, at, "SKUL\xba\xbe", 6))
			found(p, BLKID_CRYPT, "crypto_LUKS", "a LUKS volume", at, at, 512);
}

/* A label is 256 KiB, and its second half a ring of uberblocks. */
static void probe_zfs(struct probe *p)
{
	uint64_t label = 256 * KiB, size = p->io->size / label * label;
	const uint64_t at[4] = { 0, label, size - 2 * label, size - label };

	for (int i = 0; i < 4 && size >= 4 * label; i++) {
		for (uint64_t u = at[i] + label / 2; u < at[i] + label; u += 1024) {
			if (!has(p, u, "\x0c\xb1\xba\0\0\0\0\0", 8) &&
			    !has(p, u, "\0\0\0\0\0\xba\xb1\x0c", 8))
				continue;
			found(p, BLKID_MEMBER, "zfs_member", "a part of a ZFS pool", u, at[i], label);
			break;
		}
	}
}

/* --- partition tables -------------------------------------------------------------- */

/*
 * Boot sectors of FAT and NTFS end in the same two bytes; what they have in
 * place of the four entries is code or zeroes.
 */
static void probe_mbr(struct probe *p)
{
	bool any = false, gpt = false;

	if (!has(p, 510, "\x55\xaa", 2))
		return;
	for (uint64_t at = 446; at < 510; at += 16) {
		if (p->head[at] & 0x7f)
			return;			/* neither bootable nor not */
		any = any || (p->head[at + 4] && le32_at(p, at + 12));
		gpt = gpt || p->head[at + 4] == 0xee;
	}
	if (!any)
		return;
	found(p, BLKID_TABLE, gpt ? "PMBR" : "dos",
	      gpt ? "a GPT partition table" : "an MBR partition table", 510, 446, 66);
}

static void probe_gpt(struct probe *p)
{
	static const char what[] = "a GPT partition table";

	for (uint64_t sector = 512; sector <= 4096; sector *= 8) {
		uint64_t last = p->io->size / sector * sector;

		if (has(p, sector, "EFI PART", 8))
			found(p, BLKID_TABLE, "gpt", what, sector, sector, 512);
		if (last >= 4 * sector && has(p, last - sector, "EFI PART", 8))
			found(p, BLKID_TABLE, "gpt", what, last - sector, last - sector, 512);
	}
}

/* --- all of it ------------------------------------------------------------------------ */

static int by_place(const void *a, const void *b)
{
	const struct blkid_sign *x = a, *y = b;

	return (x->at > y->at) - (x->at < y->at);
}

static int read_ends(struct probe *p)
{
	uint64_t size = p->io->size, head = size < HEAD ? size : HEAD;
	int err;

	p->tail_at = size < TAIL ? 0 : size - TAIL;
	err = head ? io_read(p->io, 0, p->head, (size_t)head) : 0;
	return err ? err : io_read(p->io, p->tail_at, p->tail, (size_t)(size - p->tail_at));
}

int blkid_probe(struct io *io, struct arena *a, struct blkid_sign **sign, size_t *n)
{
	struct probe p = { .io = io, .a = a };

	p.head = must_alloc(HEAD);
	p.tail = must_alloc(TAIL);
	memset(p.head, 0, HEAD);
	memset(p.tail, 0, TAIL);
	p.v = arena_array(a, BLKID_MOST, sizeof(*p.v));
	p.err = read_ends(&p);
	if (!p.err) {
		probe_mbr(&p);
		probe_gpt(&p);
		probe_ext(&p);
		probe_magics(&p);
		probe_lvm(&p);
		probe_md(&p);
		probe_bios_raid(&p);
		probe_swap(&p);
		probe_luks2(&p);
		probe_zfs(&p);
	}
	free(p.head);
	free(p.tail);
	qsort(p.v, p.n, sizeof(*p.v), by_place);
	*sign = p.v;
	*n = p.n;
	return p.err;
}

int blkid_find(struct io *io, const char **what)
{
	struct arena a = { 0 };
	struct blkid_sign *v;
	size_t n;
	int err = blkid_probe(io, &a, &v, &n);

	*what = NULL;
	for (size_t i = 0; !err && !*what && i < n; i++)
		if (strcmp(v[i].name, "LVM2_member"))
			*what = v[i].what;
	arena_free(&a);
	return err;
}

int blkid_wipe(struct io *io, const struct blkid_sign *sign, size_t n)
{
	int err = 0;

	/* Backups first: what is repaired from them must not come back. */
	for (size_t i = n; i-- > 0 && !err; )
		err = io_zero(io, sign[i].wipe_at, sign[i].wipe_len);
	return err ? err : io_flush(io);
}
