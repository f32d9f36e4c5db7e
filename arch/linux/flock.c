/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/clock.h"
#include "arch/flock.h"
#include "lib/cleanup.h"
#include "lib/file.h"

#define STEP_FIRST	NS_PER_MS
#define STEP_MOST	(50 * NS_PER_MS)

static bool same_file(int fd, const char *path)
{
	struct stat a, b;

	return !fstat(fd, &a) && !stat(path, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* flock() has no timeout: ask again and again, less and less often. */
static int lock_file(int *fd, const char *path, int how, uint64_t deadline)
{
	uint64_t step = STEP_FIRST;
	int err;

	for (;;) {
		*fd = open(path, O_CREAT | O_APPEND | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (*fd < 0)
			return -errno;
		if (!flock(*fd, how | LOCK_NB)) {
			if (same_file(*fd, path))
				return 0;
			close(*fd);	/* removed by its last holder: the path is free again */
			*fd = -1;
			continue;
		}
		err = -errno;
		close(*fd);
		*fd = -1;
		if (err != -EWOULDBLOCK && err != -EINTR)
			return err;
		if (!clock_left(deadline))
			return -ETIMEDOUT;
		clock_sleep(step < clock_left(deadline) ? step : clock_left(deadline));
		step = step * 2 < STEP_MOST ? step * 2 : STEP_MOST;
	}
}

/*
 * Everybody may write to /run/lock.  Whoever made lvm2's folder there before us, or can write to
 * it, would take locks away from under those who hold them.
 */
static int make_directory(const char *path)
{
	struct stat st;
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int err;

	if (!slash || slash == path)
		return 0;
	if ((size_t)(slash - path) >= sizeof(dir))
		return -ENAMETOOLONG;
	memcpy(dir, path, (size_t)(slash - path));
	dir[slash - path] = '\0';
	err = mkdir_p(dir, 0700);
	if (!err && stat(dir, &st))
		err = -errno;
	if (!err && ((st.st_uid && st.st_uid != geteuid()) || (st.st_mode & S_IWOTH)))
		err = -EPERM;
	return err;
}

void flock_drop(int *fd, const char *path)
{
	if (*fd < 0)
		return;
	flock(*fd, LOCK_UN);
	/* Only if nobody has taken it in between, and it is still this file. */
	if (!flock(*fd, LOCK_EX | LOCK_NB) && same_file(*fd, path))
		unlink(path);
	close(*fd);
	*fd = -1;
}

int flock_take(int *fd, const char *path, bool shared, uint64_t deadline)
{
	char aux[PATH_MAX];
	int waiting = -1;
	int err = make_directory(path);

	if (err)
		return err;
	if (snprintf(aux, sizeof(aux), "%s:aux", path) >= (int)sizeof(aux))
		return -ENAMETOOLONG;
	err = lock_file(&waiting, aux, LOCK_EX, deadline);
	if (err)
		return err;
	if (shared)
		flock_drop(&waiting, aux);
	err = lock_file(fd, path, shared ? LOCK_SH : LOCK_EX, deadline);
	flock_drop(&waiting, aux);
	return err;
}
