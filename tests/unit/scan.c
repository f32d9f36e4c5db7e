/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "arch/scan.h"
#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/file.h"
#include "lib/io.h"
#include "tests/unit/t.h"

static char top[64];

/* A file below the tree, with the directories above it. */
__attribute__((format(printf, 2, 3)))
static void put(const char *text, const char *fmt, ...)
{
	char path[512], dir[512];
	va_list ap;
	int n, fd;

	n = snprintf(path, sizeof(path), "%s/", top);
	va_start(ap, fmt);
	vsnprintf(path + n, sizeof(path) - (size_t)n, fmt, ap);
	va_end(ap);
	strcpy(dir, path);
	*strrchr(dir, '/') = '\0';
	mkdir_p(dir, 0755);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (OK(fd >= 0)) {
		EQ(write_all(fd, text, strlen(text)), 0);
		close(fd);
	}
}

/* A link to a device's directory. */
__attribute__((format(printf, 2, 3)))
static void link_to(const char *where, const char *fmt, ...)
{
	char path[512], dir[512], target[512];
	va_list ap;
	int n;

	n = snprintf(path, sizeof(path), "%s/", top);
	va_start(ap, fmt);
	vsnprintf(path + n, sizeof(path) - (size_t)n, fmt, ap);
	va_end(ap);
	strcpy(dir, path);
	*strrchr(dir, '/') = '\0';
	mkdir_p(dir, 0755);
	snprintf(target, sizeof(target), "%s/sys/block/%s", top, where);
	EQ(symlink(target, path), 0);
}

/* where is below sys/block: "sda", "sda/sda1". */
static void device(const char *where, const char *number, uint64_t mib)
{
	char size[32];

	snprintf(size, sizeof(size), "%llu\n", (unsigned long long)mib * 2048);
	put(number, "sys/block/%s/dev", where);
	put(size, "sys/block/%s/size", where);
	put("0\n", "sys/block/%s/ro", where);
	if (!strchr(where, '/'))
		put("512\n", "sys/block/%s/queue/logical_block_size", where);
	link_to(where, "sys/class/block/%s", strrchr(where, '/') ? strrchr(where, '/') + 1 : where);
	link_to(where, "sys/dev/block/%.*s", (int)strcspn(number, "\n"), number);
}

static void dm(const char *where, const char *number, const char *name, const char *uuid,
	       const char *slave)
{
	device(where, number, 100);
	put(name, "sys/block/%s/dm/name", where);
	put(uuid, "sys/block/%s/dm/uuid", where);
	put("0\n", "sys/block/%s/dm/suspended", where);
	if (slave) {
		put("", "sys/block/%s/slaves/%s", where, strrchr(slave, '/') ?
		    strrchr(slave, '/') + 1 : slave);
		put("", "sys/block/%s/holders/%s", slave, where);
	}
}

static void fresh(const char *mountinfo, const char *swaps)
{
	strcpy(top, "/tmp/smscan.XXXXXX");
	OK(mkdtemp(top));
	put(mountinfo, "proc/self/mountinfo");
	put(swaps, "proc/swaps");
}

static int gone(const char *path, const struct stat *st, int type, struct FTW *w)
{
	return remove(path);
}

static void done(struct arena *a)
{
	arena_free(a);
	EQ(nftw(top, gone, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static const char *refused(const struct scan *s, const char *name)
{
	const struct scan_device *d = scan_find_name(s, name);
	const char *why = d ? scan_refuses(s, d, false) : "missing";

	return why ? why : "(no)";
}

static const char *used(struct arena *a, const struct scan *s, const char *name)
{
	const struct scan_device *d = scan_find_name(s, name);
	const char *why = d ? scan_in_use(a, s, d) : "missing";

	return why ? why : "(no)";
}

/* The rule for one device, from what scan_around() has read of it. */
static const char *alone(struct arena *a, unsigned ma, unsigned mi)
{
	struct scan s;
	const struct scan_device *d;
	const char *why;

	EQ(scan_around(a, top, makedev(ma, mi), &s), 0);
	d = scan_find(&s, makedev(ma, mi));
	if (!OK(d))
		return "";
	why = scan_refuses(&s, d, false);
	return why ? why : "(no)";
}

TEST(scan_of_a_plain_host)
{
	struct arena a = { 0 };
	const struct scan_device *d;
	struct scan s;

	fresh("22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
	      "30 22 0:25 / /run rw - tmpfs tmpfs rw\n"
	      "31 22 8:3 / /srv/a\\040b rw - xfs /dev/sda3 rw\n"
	      "32 22 0:40 / /b rw - btrfs /dev/sdc rw\n"
	      "33 22 8:3 / /again rw - xfs /dev/sda3 rw\n"
	      "garbage\n",
	      "Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2\n/swapfile file 1 0 -3\n");
	device("sda", "8:0\n", 1000);
	put("naa.600a0b80\n", "sys/block/sda/device/wwid");
	for (int i = 1; i <= 4; i++) {
		char name[32], number[32];

		snprintf(name, sizeof(name), "sda/sda%d", i);
		snprintf(number, sizeof(number), "8:%d\n", i);
		device(name, number, 10);
		put("1\n", "sys/block/%s/partition", name);
	}
	put("4\n", "sys/block/sda/sda4/partition");
	device("sdb", "8:16\n", 100);
	put("T10 VENDOR  serial 1  \n", "sys/block/sdb/device/wwid");
	device("sdc", "8:32\n", 100);
	device("sdd", "8:48\n", 1);
	device("sr0", "11:0\n", 700);
	device("loop0", "7:0\n", 0);
	device("loop1", "7:1\n", 50);
	put("/root/image with blank\n", "sys/block/loop1/loop/backing_file");
	device("cciss!c0d0", "104:0\n", 50);
	put("1\n", "sys/block/cciss!c0d0/ro");

	EQ(scan_devices(&a, top, &s), 0);
	EQ((long long)s.n, 12);
	d = scan_find(&s, makedev(8, 4));
	if (OK(d)) {
		STR_EQ(d->path, "/dev/sda4");
		STR_EQ(d->disk, "sda");
		STR_EQ(d->wwid, "naa.600a0b80");
		EQ(d->partition, 4);
		EQ((long long)d->size, 10 << 20);
		EQ(d->sector, 512);
		OK(!d->root && !d->mounted && !d->swap && !d->guest);
	}
	STR_EQ(scan_find_name(&s, "sdb")->wwid, "T10_VENDOR_serial_1");
	STR_EQ(scan_find_name(&s, "loop1")->loop_file, "/root/image with blank");
	STR_EQ(scan_find_name(&s, "cciss!c0d0")->path, "/dev/cciss/c0d0");
	OK(scan_find_name(&s, "cciss!c0d0")->read_only);
	OK(scan_find_name(&s, "sda")->root && scan_find_name(&s, "sda1")->root);
	OK(!scan_find_name(&s, "sda2")->root);

	STR_EQ(alone(&a, 8, 0), "a whole disk with partitions");
	STR_EQ(alone(&a, 8, 4), "(no)");
	STR_EQ(alone(&a, 8, 16), "(no)");
	STR_EQ(alone(&a, 104, 0), "(no)");
	EQ(scan_around(&a, top, makedev(8, 99), &s), -ENODEV);
	EQ(scan_devices(&a, top, &s), 0);
	STR_EQ(scan_find_id(&s, "scsi-3600a0b80")->name, "sda");
	STR_EQ(scan_find_id(&s, "wwn-0x600a0b80-part4")->name, "sda4");
	OK(!scan_find_id(&s, "scsi-2600a0b80") && !scan_find_id(&s, "scsi-3") &&
	   !scan_find_id(&s, "wwn-0x600a0b80-part9") && !scan_find_id(&s, "wwn-0x600a0b8"));

	STR_EQ(refused(&s, "sda"), "a whole disk with partitions");
	STR_EQ(refused(&s, "sda4"), "(no)");
	STR_EQ(refused(&s, "sdb"), "(no)");
	STR_EQ(refused(&s, "sdd"), "smaller than 2 MiB");
	STR_EQ(refused(&s, "sr0"), "a drive for removable media");
	STR_EQ(refused(&s, "loop0"), "empty: it has no size");
	STR_EQ(refused(&s, "loop1"), "(no)");
	STR_EQ(used(&a, &s, "sda"), "/dev/sda holds the root file system");
	STR_EQ(used(&a, &s, "sda2"), "/dev/sda2 is used as swap");
	STR_EQ(used(&a, &s, "sda3"), "/dev/sda3 is mounted at /srv/a\\040b");
	STR_EQ(used(&a, &s, "sda4"), "(no)");
	STR_EQ(used(&a, &s, "sdb"), "(no)");
	STR_EQ(used(&a, &s, "sdc"), "/dev/sdc is mounted at /b");
	done(&a);
}

TEST(scan_knows_what_is_a_guests)
{
	struct arena a = { 0 };
	struct scan s;

	fresh("22 1 0:2 / / rw - rootfs rootfs rw\n", "Filename\n");
	device("sda", "8:0\n", 100);
	dm("dm-0", "254:0\n", "vg-lv\n", "LVM-0123\n", "sda");
	dm("dm-1", "254:1\n", "vg-lv1\n", "part1-LVM-0123\n", "dm-0");
	device("md127", "9:127\n", 100);
	put("raid1\n", "sys/block/md127/md/level");
	put("", "sys/block/md127/slaves/dm-1");
	put("", "sys/block/dm-1/holders/md127");
	dm("dm-2", "254:2\n", "sm-1234\n", "", "nbd0");
	device("nbd0", "43:0\n", 100);
	device("nbd1", "43:1\n", 100);
	device("nbd2", "43:2\n", 100);
	put("6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11\n", "sys/block/nbd2/backend");
	device("nbd3", "43:3\n", 100);
	put("a disk of mine\n", "sys/block/nbd3/backend");
	device("loop0", "7:0\n", 100);
	put("/run/sr-mount/1/2.raw\n", "sys/block/loop0/loop/backing_file");
	device("loop0/loop0p1", "259:0\n", 10);
	put("1\n", "sys/block/loop0/loop0p1/partition");
	device("tda", "250:0\n", 100);

	EQ(scan_devices(&a, top, &s), 0);
	STR_EQ(refused(&s, "sda"), "(no)");
	STR_EQ(refused(&s, "dm-0"), "a guest's disk");
	STR_EQ(refused(&s, "dm-1"), "a guest's disk");
	STR_EQ(refused(&s, "md127"), "a guest's disk");
	STR_EQ(refused(&s, "dm-2"), "a guest's disk");
	STR_EQ(refused(&s, "nbd0"), "a guest's disk");
	STR_EQ(refused(&s, "nbd1"), "(no)");
	STR_EQ(refused(&s, "nbd2"), "a guest's disk");
	STR_EQ(refused(&s, "nbd3"), "(no)");
	STR_EQ(alone(&a, 43, 2), "a guest's disk");
	STR_EQ(refused(&s, "loop0"), "a guest's disk");
	STR_EQ(refused(&s, "loop0p1"), "a guest's disk");
	STR_EQ(refused(&s, "tda"), "a guest's disk");
	STR_EQ(alone(&a, 8, 0), "(no)");
	STR_EQ(alone(&a, 254, 1), "a guest's disk");
	STR_EQ(alone(&a, 9, 127), "a guest's disk");
	STR_EQ(alone(&a, 254, 2), "a guest's disk");
	STR_EQ(alone(&a, 43, 0), "a guest's disk");
	STR_EQ(alone(&a, 259, 0), "a guest's disk");
	OK(scan_find_name(&s, "dm-0")->partitioned);
	STR_EQ(scan_refuses(&s, scan_find_name(&s, "dm-0"), true), "a whole disk with partitions");
	STR_EQ(scan_refuses(&s, scan_find_name(&s, "dm-1"), true), "a member of an md array");
	OK(!scan_refuses(&s, scan_find_name(&s, "md127"), true));
	STR_EQ(used(&a, &s, "sda"), "/dev/sda is a part of /dev/mapper/vg-lv");
	done(&a);
}

TEST(scan_of_multipath_md_and_a_root_on_top_of_them)
{
	struct arena a = { 0 };
	struct scan s;

	fresh("22 1 254:2 / / rw - ext4 /dev/mapper/vg-root rw\n", "Filename\n/dev/dm-3 partition 1 0 -2\n");
	device("sda", "8:0\n", 100);
	device("sdb", "8:16\n", 100);
	dm("dm-0", "254:0\n", "mpatha\n", "mpath-3600a\n", "sda");
	put("", "sys/block/dm-0/slaves/sdb");
	put("", "sys/block/sdb/holders/dm-0");
	dm("dm-1", "254:1\n", "mpatha-part2\n", "part2-mpath-3600a\n", "dm-0");
	dm("dm-2", "254:2\n", "vg-root\n", "LVM-1\n", "dm-1");
	dm("dm-3", "254:3\n", "vg-swap\n", "LVM-2\n", "dm-1");
	device("sdc", "8:32\n", 100);
	device("sdc/sdc1", "8:33\n", 50);
	put("1\n", "sys/block/sdc/sdc1/partition");
	device("md0", "9:0\n", 100);
	put("raid1\n", "sys/block/md0/md/level");
	put("", "sys/block/md0/slaves/sdc1");
	put("", "sys/block/sdc/sdc1/holders/md0");
	device("nvme0c0n1", "259:5\n", 100);
	put("1\n", "sys/block/nvme0c0n1/hidden");
	dm("dm-4", "254:4\n", "asleep\n", "X\n", NULL);
	put("1\n", "sys/block/dm-4/dm/suspended");

	EQ(scan_devices(&a, top, &s), 0);
	STR_EQ(refused(&s, "sda"), "a path of a multipath device");
	STR_EQ(refused(&s, "sdb"), "a path of a multipath device");
	STR_EQ(refused(&s, "dm-0"), "a whole disk with partitions");
	STR_EQ(refused(&s, "dm-1"), "(no)");
	STR_EQ(refused(&s, "sdc1"), "a member of an md array");
	STR_EQ(refused(&s, "md0"), "(no)");
	STR_EQ(refused(&s, "nvme0c0n1"), "a path of a multipath device");
	STR_EQ(refused(&s, "dm-4"), "suspended");
	STR_EQ(alone(&a, 8, 0), "a path of a multipath device");
	STR_EQ(alone(&a, 8, 33), "a member of an md array");
	STR_EQ(alone(&a, 254, 0), "a whole disk with partitions");
	put("naa.600a\n", "sys/block/sda/device/wwid");
	EQ(scan_devices(&a, top, &s), 0);
	STR_EQ(scan_find_id(&s, "scsi-3600a")->name, "dm-0");
	STR_EQ(scan_find_id(&s, "wwn-0x600a")->name, "dm-0");
	STR_EQ(scan_find_id(&s, "dm-uuid-mpath-3600a")->name, "dm-0");
	STR_EQ(scan_find_name(&s, "dm-0")->wwid, "3600a");
	STR_EQ(scan_find_name(&s, "dm-0")->path, "/dev/mapper/mpatha");
	OK(scan_find_name(&s, "sda")->root && scan_find_name(&s, "sdb")->root);
	OK(scan_find_name(&s, "dm-1")->root && !scan_find_name(&s, "dm-3")->root);
	OK(scan_find_name(&s, "dm-3")->swap);
	STR_EQ(used(&a, &s, "sdb"), "/dev/sdb holds the root file system");
	STR_EQ(used(&a, &s, "sdc"), "/dev/sdc1 is a part of /dev/md0");
	STR_EQ(used(&a, &s, "dm-3"), "/dev/mapper/vg-swap is used as swap");
	done(&a);
}

TEST(scan_survives_devices_that_hold_each_other)
{
	struct arena a = { 0 };
	struct scan s;

	fresh("22 1 254:0 / / rw - ext4 /dev/mapper/a rw\n", "Filename\n");
	dm("dm-0", "254:0\n", "a\n", "LVM-a\n", NULL);
	dm("dm-1", "254:1\n", "b\n", "B\n", "dm-0");
	put("", "sys/block/dm-0/slaves/dm-1");
	put("", "sys/block/dm-1/holders/dm-0");
	put("nonsense\n", "sys/block/sdx/dev");
	put("", "sys/block/sdy/size");
	EQ(scan_devices(&a, top, &s), 0);
	EQ((long long)s.n, 2);
	OK(scan_find_name(&s, "dm-1")->guest && scan_find_name(&s, "dm-1")->root);
	done(&a);
}

TEST(scan_without_proc_is_no_answer)
{
	struct arena a = { 0 };
	struct scan s;

	fresh("", "");
	device("sda", "8:0\n", 100);
	unlink(arena_printf(&a, "%s/proc/self/mountinfo", top));
	EQ(scan_devices(&a, top, &s), -ENOSYS);
	/* A kernel without swap has no such file. */
	put("", "proc/self/mountinfo");
	unlink(arena_printf(&a, "%s/proc/swaps", top));
	EQ(scan_devices(&a, top, &s), 0);
	EQ((long long)s.n, 1);
	done(&a);
}

TEST(scan_and_lvm2s_list_of_devices)
{
	static const char list[] =
		"# LVM uses devices listed in this file.\n"
		"VERSION=1.1.2\n"
		"IDTYPE=sys_wwid IDNAME=naa.5000 DEVNAME=/dev/sda PVID=x PART=2\n"
		"IDTYPE=mpath_uuid IDNAME=mpath-3600a DEVNAME=/dev/dm-0 PVID=y\n"
		"IDTYPE=loop_file IDNAME=/root/image DEVNAME=/dev/loop3 PVID=z\n"
		"IDTYPE=devname IDNAME=/dev/vdb DEVNAME=/dev/vdb PVID=.";
	struct scan_device d = { .path = "/dev/sdz", .wwid = "naa.5000", .partition = 2 };

	OK(scan_is_listed(list, &d));
	d.partition = 1;
	OK(!scan_is_listed(list, &d));
	d = (struct scan_device){ .path = "/dev/mapper/mpatha", .dm_uuid = "mpath-3600a" };
	OK(scan_is_listed(list, &d));
	d = (struct scan_device){ .path = "/dev/loop0", .loop_file = "/root/image" };
	OK(scan_is_listed(list, &d));
	d = (struct scan_device){ .path = "/dev/vdb" };
	OK(scan_is_listed(list, &d));
	d = (struct scan_device){ .path = "/dev/vd" };
	OK(!scan_is_listed(list, &d));
	d = (struct scan_device){ .path = "/dev/sda" };
	OK(!scan_is_listed(list, &d));
	OK(!scan_is_listed("", &d));
}
