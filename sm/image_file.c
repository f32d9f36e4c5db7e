/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A new file has no name until it is whole, so neither death nor a signal
 * leaves anything of it.  Where the file system knows no such files (NFS) it is
 * ".NAME.new", and what a death leaves of that, the next attempt replaces.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/fs.h"
#include "lib/bytes.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/file.h"
#include "sm/image.h"

static int temp_name(struct image_making *n)
{
	const char *name = arena_printf(&n->ctx->arena, ".%s.new", n->p->name);

	if (strlen(name) > NAME_MAX)
		return -ENAMETOOLONG;
	n->temp = name;
	return unlink_quiet(n->dir, name);
}

/* A named one, for where there are no others. */
static int open_temp(struct image_making *n)
{
	int err = temp_name(n), fd;

	if (err)
		return err;
	fd = openat(n->dir, n->temp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	n->temp = NULL;
	return -errno;
}

/* What is replaced hands on its mode and, if we may, its owner. */
static int take_after(struct image_making *n, int fd)
{
	struct stat st;

	if (fstatat(n->dir, n->p->name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -errno;
	if (fchown(fd, st.st_uid, st.st_gid) && errno != EPERM)
		return -errno;
	return fchmod(fd, st.st_mode & 0777) ? -errno : 0;
}

/* The same file once more, because O_DIRECT belongs to the open file. */
static int open_cached(struct image_making *n, int fd)
{
	char self[32];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return io_open(&n->small, AT_FDCWD, self, IO_RDWR);
}

int image_making_open(struct image_making *n, const struct image_place *p, bool replace)
{
	_close_ int fd = -1;
	int err = 0;

	*n = (struct image_making){ .ctx = p->ctx, .p = p };
	n->dir = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (n->dir < 0)
		return fail(p->ctx, -errno, "%s", p->dir);
	if (p->exists && !replace)
		return fail(p->ctx, -EEXIST, "%s", p->path);
	fd = fs_tmpfile(n->dir, 0600);
	if (fd == -EOPNOTSUPP)
		fd = open_temp(n);
	if (fd < 0)
		return fail(p->ctx, fd, "%s", p->path);
	if (replace)
		err = take_after(n, fd);
	if (!err)
		err = open_cached(n, fd);
	if (!err)
		err = io_from_fd(&n->io, take_fd(&fd), IO_RDWR | IO_DIRECT);
	return err ? fail(p->ctx, err, "%s", p->path) : 0;
}

static int give_name(struct image_making *n, bool replace)
{
	const char *name = n->p->name;
	int err;

	if (n->temp && !replace)
		return fs_rename_new(n->dir, n->temp, n->dir, name);		/* commit */
	if (!n->temp && !replace)
		return fs_tmpfile_name(n->io->fd, n->dir, name);		/* commit */
	if (!n->temp) {
		err = temp_name(n);
		if (!err)
			err = fs_tmpfile_name(n->io->fd, n->dir, n->temp);
		if (err)
			return err;
	}
	return renameat(n->dir, n->temp, n->dir, name) ? -errno : 0;		/* commit */
}

int image_making_commit(struct image_making *n)
{
	int err = fsync(n->io->fd) ? -errno : 0;

	if (!err)
		err = give_name(n, n->p->exists);
	if (!err) {
		n->temp = NULL;
		err = fs_sync_dir(n->dir);
	}
	return err ? fail(n->ctx, err, "%s", n->p->path) : 0;
}

void image_making_close(struct image_making *n)
{
	if (n->temp)
		unlinkat(n->dir, n->temp, 0);
	io_close(n->io);
	io_close(n->small);
	if (n->dir > 0)
		close(n->dir);
	*n = (struct image_making){ 0 };
}
