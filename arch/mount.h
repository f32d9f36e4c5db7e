/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mounts.  Questions are answered from /proc/self/mountinfo, not by comparing
 * devices: a bind mount may be of the same file system as what it covers.
 *
 * No question here touches the mounted file system itself, so a dead server
 * stops nobody; mount_fs() and umount_dir() of a network file system may wait
 * for ever and belong into a child with a deadline (arch/proc.h).
 */
#ifndef ARCH_MOUNT_H
#define ARCH_MOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct arena;

struct mount_entry {
	dev_t dev;		/* of the file system, as st_dev */
	const char *root;	/* what of that file system is mounted: "/", or of a bind a path */
	const char *point;
	const char *options;	/* of this mount: "rw,nosuid,relatime" */
	const char *type;
	const char *source;	/* "/dev/sda1", "server:/path", "none" */
	const char *super;	/* options of the file system */
	bool read_only;		/* this mount, or the file system */
};

/* A new mount: flags are MS_ of mount(2), data is the file system's own text. */
int mount_fs(const char *source, const char *target, const char *type, unsigned long flags,
	     const char *data);
/* Show the directory source at target too. */
int mount_bind(const char *source, const char *target, bool read_only);
/* The same for an open directory, which cannot be exchanged between check and use. */
int mount_bind_fd(int source, const char *target, bool read_only);
/* Make one mount, not the file system, read-only or writable. */
int mount_set_read_only(const char *target, bool read_only);

/*
 * What is mounted there, the topmost if several are?  -ENOENT when nothing is
 * (also when the path does not exist).  Links above the last component are
 * followed; a mount point itself is none.
 */
int mount_find(struct arena *a, const char *path, struct mount_entry *m);
/* 1, 0 or -errno. */
int mount_is_point(const char *path);
/* The same for a text in the form of mountinfo; the path is taken as it is. */
int mount_find_in(struct arena *a, const char *mountinfo, const char *path,
		  struct mount_entry *m);

/*
 * Take away what is mounted there: 0 too when nothing is, -EBUSY while it is in
 * use.  With lazy it vanishes from the tree at once, and for good when its last
 * user is done.
 */
int umount_dir(const char *path, bool lazy);

#endif
