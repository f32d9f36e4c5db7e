/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a file system can tell and do beyond reading and writing.
 *
 * On a mount whose server is gone each of these may wait for ever: call them
 * in a child with a deadline (arch/proc.h) where that can happen.
 */
#ifndef ARCH_FS_H
#define ARCH_FS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct fs_space {
	uint64_t size;		/* bytes in all */
	uint64_t free;		/* bytes not in use */
	uint64_t avail;		/* bytes that may still be used by us */
};

struct fs_id {
	uint64_t dev;		/* as st_dev */
	uint64_t ino;
};

/* Magic numbers that fs_type() may give. */
#define FS_NFS		0x6969u
#define FS_SMB		0x517bu
#define FS_CIFS		0xff534d42u
#define FS_SMB2		0xfe534d42u
#define FS_EXT		0xef53u
#define FS_XFS		0x58465342u
#define FS_BTRFS	0x9123683eu
#define FS_TMPFS	0x01021994u

int fs_space(int fd, struct fs_space *s);
int fs_type(int fd, uint32_t *magic);

/*
 * Until direct writes of this host to that file have ended, also those of processes that are
 * dead: on NFS they go on after their end, and may come to the server, or be done there, after what others
 * write later.  It waits as long as the server does not answer, and no signal ends that.
 */
int fs_settle(int fd);

/* Is the name there, and which object is it?  A link itself, not what it leads to. */
int fs_id(int dir, const char *name, struct fs_id *id);
int fs_id_fd(int fd, struct fs_id *id);
bool fs_id_equal(const struct fs_id *a, const struct fs_id *b);

/* Reserve the space of [at, at + len); the file grows.  -EOPNOTSUPP where that is unknown. */
int fs_allocate(int fd, uint64_t at, uint64_t len);
/* Bytes the file really occupies. */
int fs_used(int fd, uint64_t *bytes);
/* These bytes will be read soon: fetch them meanwhile.  A hint, so it cannot fail. */
void fs_will_read(int fd, uint64_t at, uint64_t len);
/* Let dst share all of src's blocks: -EOPNOTSUPP, -EXDEV or -EINVAL where it cannot. */
int fs_clone(int dst, int src);

/*
 * Bytes that the storage itself copies between two files, without our reading
 * them: NFS 4.2 has that.  Whether it may be is told by a file that holds no
 * data yet; fs_offload() returns how many of at most len bytes were copied, from
 * and to the same place.
 */
#define FS_OFFLOAD	(16u << 20)	/* in one call: each is a time without a word */
bool fs_may_offload(int fd);
int fs_offload(int dst, int src, uint64_t at, uint64_t len);

/* Make the names in a directory durable. */
int fs_sync_dir(int dir);
/* Make everything on the file system of fd durable, and say when that failed. */
int fs_sync_all(int fd);

/*
 * A file without a name, which a death leaves nothing of, and its name once it
 * is whole: -EEXIST when that is taken.  -EOPNOTSUPP where the file system has
 * no such thing (NFS).
 */
int fs_tmpfile(int dir, mode_t mode);
int fs_tmpfile_name(int fd, int dir, const char *name);

/*
 * Rename, but never over something: -EEXIST.  Where the file system does not
 * know how (NFS), link and unlink: a death between leaves both names.
 */
int fs_rename_new(int from_dir, const char *from, int to_dir, const char *to);

#endif
