/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/proc.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/num.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

static bool is_kept(int fd, const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fds[i] == fd)
			return true;
	return fd <= 2;
}

static void close_others(const int *fds, size_t n)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;

	while (d && (e = readdir(d))) {
		const char *s = e->d_name;
		uint64_t fd;

		if (num_take(&s, &fd) && !*s && (int)fd != dirfd(d) && !is_kept((int)fd, fds, n))
			close((int)fd);
	}
	if (d)
		closedir(d);
}

static void settle(const int *fds, size_t n)
{
	const int deaf[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2, SIGTSTP };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (size_t i = 0; i < sizeof(deaf) / sizeof(deaf[0]); i++)
		signal(deaf[i], SIG_IGN);
	for (int fd = 0; null >= 0 && fd <= 2; fd++)
		dup2(null, fd);
	close_others(fds, n);
	/* No mount is kept busy by where we stand. */
	if (chdir("/"))
		return;
}

pid_t proc_detach(const int *fds, size_t n)
{
	_close_ int in = -1;
	_close_ int out = -1;
	int ends[2], status;
	pid_t pid, child;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	in = ends[0];
	out = ends[1];
	child = fork();
	if (child < 0)
		return -errno;
	if (!child) {
		setsid();
		pid = fork();
		if (pid) {
			if (write_all(out, &pid, sizeof(pid)))
				_exit(1);
			_exit(0);
		}
		take_fd(&in);
		take_fd(&out);
		settle(fds, n);
		return 0;
	}
	close(take_fd(&out));
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (read(in, &pid, sizeof(pid)) != sizeof(pid))
		return -EAGAIN;
	return pid < 0 ? -EAGAIN : pid;
}

/* The kernel's numbers: IOPRIO_WHO_PROCESS, and IOPRIO_CLASS_IDLE above its 13 bits of level. */
void proc_idle(void)
{
	syscall(SYS_ioprio_set, 1, 0, 3 << 13);
	if (nice(19) < 0)
		return;
}

void proc_guard(void)
{
	_close_ int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		write_all(fd, "-1000", 5);
	mlockall(MCL_CURRENT | MCL_FUTURE);
	prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
}
