/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/clock.h"
#include "arch/lock.h"
#include "lib/cleanup.h"
#include "lib/file.h"

/*
 * The kernel has no lock with a time limit: ask again, ever more rarely, and more often
 * again the less time is left: who has come last is not to be served first.
 */
#define PAUSE_FIRST	(1 * NS_PER_MS)
#define PAUSE_SHARE	600
#define PAUSE_MOST	(50 * NS_PER_MS)
/* Whoever unlinks the file that often under us does nothing else. */
#define UNLINKED_MOST	1000

static int open_file(const char *path)
{
	const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
	const char *name = strrchr(path, '/');
	char dir[PATH_MAX];
	int fd, err;

	/* A few rounds, because the directory may be removed at the same time. */
	for (int round = 0; round < 10; round++) {
		fd = open(path, flags, 0600);
		if (fd >= 0 || errno != ENOENT || !name || name == path)
			break;
		if ((size_t)(name - path) >= sizeof(dir))
			return -ENAMETOOLONG;
		memcpy(dir, path, (size_t)(name - path));
		dir[name - path] = '\0';
		err = mkdir_p(dir, 0755);
		if (err)
			return err;
		errno = ENOENT;
	}
	return fd < 0 ? -errno : fd;
}

/*
 * F_OFD_SETLK answers at once: EAGAIN or EACCES when a lock of another open
 * file or another process is in the way.  l_pid must be 0.
 */
static int try_lock(int fd, short type)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET };

	if (!fcntl(fd, F_OFD_SETLK, &l))
		return 0;
	return errno == EACCES ? -EAGAIN : -errno;
}

static int lock_until(int fd, short type, uint64_t deadline)
{
	uint64_t pause = PAUSE_FIRST, left;
	int err;

	for (;;) {
		err = try_lock(fd, type);
		if (err != -EAGAIN && err != -EINTR)
			return err;
		left = clock_left(deadline);
		if (!left)
			return -ETIMEDOUT;
		clock_sleep(left < pause ? left : pause);
		pause = pause * 2 < PAUSE_MOST ? pause * 2 : PAUSE_MOST;
		if (pause > left / PAUSE_SHARE)
			pause = left / PAUSE_SHARE + PAUSE_FIRST;
	}
}

/* Does the path still lead to this open file? */
static bool is_linked(int fd, const char *path)
{
	struct stat here, there;

	return !fstat(fd, &here) && !lstat(path, &there) &&
	       here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

int lock_take(int *lock, const char *path, bool shared, uint64_t deadline)
{
	*lock = -1;
	for (int round = 0; round < UNLINKED_MOST; round++) {
		_close_ int fd = open_file(path);
		int err;

		if (fd < 0)
			return fd;
		err = lock_until(fd, shared ? F_RDLCK : F_WRLCK, deadline);
		if (err)
			return err;
		if (is_linked(fd, path)) {
			*lock = take_fd(&fd);
			return 0;
		}
	}
	return -ETIMEDOUT;
}

void lock_drop(int *fd)
{
	if (*fd < 0)
		return;
	/*
	 * Said aloud, since a child may hold a copy of the descriptor.  If it
	 * fails, the close still gives up our share, and there is no other way.
	 */
	try_lock(*fd, F_UNLCK);
	cleanup_close(fd);
	*fd = -1;
}

/*
 * F_GETLK names the process that holds a record lock; for a lock of an open
 * file l_pid is -1.  It does not need the right to write.
 */
int lock_holder(const char *path, pid_t *pid)
{
	_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	*pid = 0;
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fcntl(fd, F_GETLK, &l))
		return -errno;
	if (l.l_type != F_UNLCK)
		*pid = l.l_pid;
	return 0;
}
