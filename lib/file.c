/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/io.h"

static int write_new(int dir, const char *name, const void *data, size_t len, mode_t mode, bool keep)
{
	_close_ int fd = -1;
	int err = unlink_quiet(dir, name);

	if (err)
		return err;
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = write_all(fd, data, len);
	if (!err && mode != 0600 && fchmod(fd, mode))
		err = -errno;
	if (!err && keep && fsync(fd))
		err = -errno;
	/* NFS may report a failed write here and nowhere else. */
	if (close(take_fd(&fd)) && !err)
		err = -errno;
	if (err)
		unlinkat(dir, name, 0);		/* harmless if it stays */
	return err;
}

int file_write_new(int dir, const char *name, const void *data, size_t len, mode_t mode)
{
	return write_new(dir, name, data, len, mode, true);
}

static int replace(int dir, const char *name, const void *data, size_t len, mode_t mode, bool keep)
{
	char tmp[NAME_MAX + 1];
	int err;

	if (snprintf(tmp, sizeof(tmp), ".%s.new", name) >= (int)sizeof(tmp))
		return -ENAMETOOLONG;
	err = write_new(dir, tmp, data, len, mode, keep);
	if (err)
		return err;
	if (renameat(dir, tmp, dir, name)) {	/* commit */
		err = -errno;
		unlinkat(dir, tmp, 0);		/* harmless if it stays */
		return err;
	}
	return keep && fsync(dir) && errno != EINVAL ? -errno : 0;	/* as fs_sync_dir() */
}

int file_replace(int dir, const char *name, const void *data, size_t len, mode_t mode)
{
	return replace(dir, name, data, len, mode, true);
}

int file_show(int dir, const char *name, const void *data, size_t len, mode_t mode)
{
	return replace(dir, name, data, len, mode, false);
}

/* Read to the end, which a file of /proc does not announce by its size. */
static int read_to_end(int fd, struct buf *b, size_t max)
{
	for (;;) {
		size_t room = b->n ? b->n : 4096;
		ssize_t n;

		if (room > max - b->n)
			room = max - b->n + 1;	/* one more would be too many */
		n = read(fd, buf_room(b, room), room);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return 0;
		b->n += (size_t)n;
		if (b->n > max)
			return -EFBIG;
	}
}

int file_read_small(int dir, const char *name, struct arena *a, size_t max, struct view *out)
{
	/*
	 * A link in a directory leads nowhere: by one, whoever can write there could show a file of
	 * somebody else.  A path is the host's own.  O_NONBLOCK: a FIFO in this place must not stop us.
	 */
	_close_ int fd = openat(dir, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC |
				(dir == AT_FDCWD ? 0 : O_NOFOLLOW));
	_buf_free_ struct buf b = { 0 };
	struct stat st;
	char *text;
	int err;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	err = read_to_end(fd, &b, max);
	if (err)
		return err;
	text = arena_alloc(a, b.n + 1);
	if (b.n)
		memcpy(text, b.p, b.n);
	*out = (struct view){ text, b.n };
	return 0;
}

int mkdir_p(const char *path, mode_t mode)
{
	char part[PATH_MAX];
	size_t n = strlen(path);
	struct stat st;

	if (!n)
		return -ENOENT;
	if (n >= sizeof(part))
		return -ENAMETOOLONG;
	memcpy(part, path, n + 1);
	while (n > 1 && part[n - 1] == '/')
		part[--n] = '\0';

	if (lstat(part, &st)) {
		for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
			*slash = '\0';
			if (mkdir(part, mode) && errno != EEXIST)
				return -errno;
			*slash = '/';
		}
		if (mkdir(part, mode) && errno != EEXIST)
			return -errno;
		if (lstat(part, &st))
			return -errno;
	}
	if (S_ISLNK(st.st_mode))
		return -ELOOP;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int unlink_quiet(int dir, const char *name)
{
	return unlinkat(dir, name, 0) && errno != ENOENT ? -errno : 0;
}

int rmdir_quiet(int dir, const char *name)
{
	return unlinkat(dir, name, AT_REMOVEDIR) && errno != ENOENT ? -errno : 0;
}

bool name_is_safe(const char *s)
{
	size_t n = strnlen(s, NAME_MAX + 1);

	if (!n || n > NAME_MAX || !strcmp(s, ".") || !strcmp(s, ".."))
		return false;
	for (size_t i = 0; i < n; i++)
		if (s[i] == '/' || (unsigned char)s[i] < ' ' || s[i] == 0x7f)
			return false;
	return true;
}

bool path_is_absolute_clean(const char *path)
{
	if (path[0] != '/' || strnlen(path, PATH_MAX) >= PATH_MAX)
		return false;
	for (const char *p = path; p; p = strchr(p + 1, '/'))
		if (!strncmp(p, "/..", 3) && (p[3] == '/' || !p[3]))
			return false;
	return true;
}
