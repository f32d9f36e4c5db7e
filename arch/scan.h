/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The block devices of this host, and which of them may be looked into.
 *
 *	struct scan s;
 *
 *	err = scan_devices(&arena, "", &s);
 *	for (size_t i = 0; i < s.n; i++)
 *		if (!scan_refuses(&s, &s.dev[i], false))
 *			... open s.dev[i].path ...
 *
 * All of it is read from sysfs and /proc; no device is opened here.  That
 * matters most for guests' disks: what a guest wrote there, a PV label say,
 * must not become visible to the host.
 */
#ifndef ARCH_SCAN_H
#define ARCH_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct arena;

struct scan_device {
	dev_t dev;
	const char *name;		/* as in /sys/class/block */
	const char *path;		/* /dev/NAME, or /dev/mapper/... of a dm device */
	const char *disk;		/* a partition's whole disk; NULL for others */
	unsigned partition;		/* its number there, from 1; 0 for others */
	uint64_t size;			/* bytes */
	uint32_t sector;
	bool read_only;
	bool removable;
	bool cdrom;
	bool hidden;			/* a path of a native multipath device */
	bool partitioned;		/* the kernel, or kpartx, has found partitions on it */
	const char **holders, **slaves;	/* names; what is made of it, what it is made of */
	size_t n_holders, n_slaves;
	const char *dm_name, *dm_uuid;	/* NULL if it is none */
	bool dm_suspended;
	const char *md_level;		/* NULL if it is none */
	const char *loop_file;		/* what a loop device shows; NULL if it is none */
	const char *nbd_label;		/* what an nbd's maker calls it; NULL if nothing */
	const char *wwid;		/* "naa.…", "eui.…", "t10.…"; NULL if unknown */
	const char *mounted;		/* where, in the words of mountinfo; NULL if it is not, here */
	bool swap;
	bool root;			/* the file system at / needs it */
	bool guest;			/* a guest's disk, or made of one */
};

struct scan {
	struct scan_device *dev;	/* whole disks before their partitions */
	size_t n;
	struct scan_device **by_name;	/* the same, sorted, for scan_find_name() */
};

/* root: where /sys, /proc and /dev are looked for; "" but in tests. */
int scan_devices(struct arena *a, const char *root, struct scan *s);

/*
 * The same for one device alone, with its disk, its partitions, what it is made
 * of and some of what is made of it: enough for scan_refuses(), whatever else
 * the host has.  Mounts, swap, wwids and sectors are not looked at.
 */
int scan_around(struct arena *a, const char *root, dev_t dev, struct scan *s);

const struct scan_device *scan_find(const struct scan *s, dev_t dev);
const struct scan_device *scan_find_name(const struct scan *s, const char *name);
/*
 * What udev would link as /dev/disk/by-id/ID, where nobody has made that link:
 * "scsi-3600…", "wwn-0x600…", "nvme-eui.…", "dm-uuid-…", with "-part1" for a
 * partition.  A multipath device before its paths; NULL when there is none.
 */
const struct scan_device *scan_find_id(const struct scan *s, const char *id);

/*
 * Why a device cannot hold a PV and must not even be opened to look for one, as
 * the end of the sentence "/dev/sda is …"; NULL when it may.  A device that a
 * person has named may be a guest's disk, if that is said.
 */
const char *scan_refuses(const struct scan *s, const struct scan_device *d, bool guests_too);

/*
 * Why nothing may be written over a device, as a sentence: mounted, swap, held,
 * below the root file system, or any of that for a part of it.  NULL when
 * nobody is seen to use it; an open with O_EXCL is still to be tried.
 */
const char *scan_in_use(struct arena *a, const struct scan *s, const struct scan_device *d);

/*
 * LVM2's list of devices that it may use (/etc/lvm/devices/system.devices), as
 * text: is this device on it?  By its wwid, dm uuid or loop file where the list
 * names it so, else by its path.
 */
bool scan_is_listed(const char *list, const struct scan_device *d);

#endif
