/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

/* Kernels before 5.3: a child that looks every fifth of a second. */
static int watch_by_polling(pid_t pid)
{
	int p[2];

	if (pipe(p))
		return -1;
	if (!fork()) {
		close(p[0]);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (!kill(pid, 0) || errno == EPERM)
			usleep(200000);
		_exit(0);
	}
	close(p[1]);
	return p[0];
}

int watch_process(pid_t pid)
{
	int fd = syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0 && errno == ENOSYS)
		fd = watch_by_polling(pid);
	if (fd >= 0)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	return fd;
}

static void our_signals(sigset_t *set)
{
	static const int ours[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT };

	sigemptyset(set);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		sigaddset(set, ours[i]);
}

int take_signals(void)
{
	sigset_t set;

	our_signals(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

void give_signals_back(void)
{
	sigset_t set;

	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	sigemptyset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
}

void close_from(int first)
{
	if (!syscall(SYS_close_range, first, ~0U, 0))
		return;
	for (int fd = first; fd < 1024; fd++)	/* kernels before 5.9 */
		close(fd);
}

void adopt_orphans(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static pid_t parent_of(const char *pid)
{
	char path[64], buf[512], *p;
	int fd, parent = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return 0;
	buf[n] = '\0';
	p = strrchr(buf, ')');
	return p && sscanf(p + 1, " %*c %d", &parent) == 1 ? parent : 0;
}

/*
 * Children that die hand their own children to us, so killing our children
 * again and again reaches every generation, whatever session it fled to.
 */
void kill_descendants(void)
{
	for (int round = 0; round < 100; round++) {
		DIR *proc = opendir("/proc");
		struct dirent *d;
		int found = 0;

		while (proc && (d = readdir(proc))) {
			if (isdigit((unsigned char)d->d_name[0]) &&
			    parent_of(d->d_name) == getpid()) {
				kill(atoi(d->d_name), SIGKILL);
				found++;
			}
		}
		if (proc)
			closedir(proc);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (!found)
			return;
		usleep(10000);
	}
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	remove(path);
	return 0;
}

void remove_tree(const char *dir)
{
	nftw(dir, remove_one, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

bool write_all(int fd, const void *from, size_t len)
{
	const char *p = from;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

bool read_all(int fd, void *to, size_t len)
{
	char *p = to;

	while (len) {
		ssize_t n = read(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= n;
	}
	return true;
}
