/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/clock.h"
#include "arch/proc.h"
#include "lib/bytes.h"
#include "lib/cleanup.h"
#include "lib/ctx.h"
#include "lib/err.h"
#include "lib/io.h"

/* How long a killed child may take to go. */
#define KILL_WAIT	NS_PER_S
#define FDS_MOST	1024		/* descriptors of another process that are looked at */

struct answer {
	int err;
	char why[sizeof(((struct ctx *)0)->why)];
	char hint[sizeof(((struct ctx *)0)->hint)];
};

static _Noreturn void child(struct ctx *ctx, int (*fn)(struct ctx *, void *), void *arg,
			    size_t size, int out, pid_t parent)
{
	struct answer ans = { 0 };

	/* Asked for too late if the parent died already: then look. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);

	ans.err = fn(ctx, arg);
	memcpy(ans.why, ctx->why, sizeof(ans.why));
	memcpy(ans.hint, ctx->hint, sizeof(ans.hint));
	if (write_all(out, &ans, sizeof(ans)) || write_all(out, arg, size))
		_exit(1);
	_exit(0);
}

/* Exactly n bytes, or -EIO at the end of the pipe, or -E_DEADLINE. */
static int read_until(int fd, void *buf, size_t n, uint64_t deadline)
{
	char *p = buf;

	while (n) {
		struct pollfd f = { .fd = fd, .events = POLLIN };
		uint64_t left = clock_left(deadline);
		uint64_t ms = left / NS_PER_MS + (left % NS_PER_MS != 0);
		ssize_t got;
		int ready = poll(&f, 1, left == UINT64_MAX ? -1 : ms > INT_MAX ? INT_MAX : (int)ms);

		if (ready < 0 && errno != EINTR)
			return -errno;
		if (!ready && !clock_left(deadline))
			return -E_DEADLINE;
		if (ready <= 0)
			continue;
		got = read(fd, p, n);
		if (got < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (!got)
			return -EIO;
		if (got > 0) {
			p += got;
			n -= (size_t)got;
		}
	}
	return 0;
}

/* What the child has to say, in arg and ctx only once all of it has arrived. */
static int listen_to(struct ctx *ctx, int fd, void *arg, size_t size, uint64_t deadline)
{
	struct answer ans;
	void *fresh = arena_alloc(&ctx->arena, size);
	int err = read_until(fd, &ans, sizeof(ans), deadline);

	if (!err)
		err = read_until(fd, fresh, size, deadline);
	if (err)
		return err;
	if (size)
		memcpy(arg, fresh, size);
	memcpy(ctx->why, ans.why, sizeof(ctx->why));
	memcpy(ctx->hint, ans.hint, sizeof(ctx->hint));
	return ans.err;
}

static void reap(pid_t pid)
{
	uint64_t until = clock_now_mono() + KILL_WAIT;
	pid_t got;

	/* It has answered and ends by itself, or it has not and is ended. */
	kill(pid, SIGKILL);
	for (uint64_t pause = NS_PER_MS / 10; ; pause += pause) {
		got = waitpid(pid, NULL, WNOHANG);
		if (got == pid || (got < 0 && errno != EINTR))
			return;
		if (!clock_left(until))
			return;
		clock_sleep(pause < 20 * NS_PER_MS ? pause : 20 * NS_PER_MS);
	}
}

int proc_run(struct ctx *ctx, int (*fn)(struct ctx *ctx, void *arg), void *arg, size_t size,
	     uint64_t deadline)
{
	_close_ int in = -1;
	_close_ int out = -1;
	pid_t parent = getpid(), pid;
	int ends[2], err;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	in = ends[0];
	out = ends[1];
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		close(take_fd(&in));
		child(ctx, fn, arg, size, out, parent);
	}
	close(take_fd(&out));
	err = listen_to(ctx, in, arg, size, deadline);
	reap(pid);
	return err;
}

void *proc_shared(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void proc_keep_secret(void)
{
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

bool proc_may_have(pid_t pid, const char *path)
{
	struct stat want, st;
	char fd[40];

	snprintf(fd, sizeof(fd), "/proc/%d/fd", (int)pid);
	if (access(fd, F_OK) || stat(path, &want))
		return true;
	for (int i = 0; i < FDS_MOST; i++) {
		snprintf(fd, sizeof(fd), "/proc/%d/fd/%d", (int)pid, i);
		if (!stat(fd, &st) && st.st_dev == want.st_dev && st.st_ino == want.st_ino)
			return true;
	}
	return false;
}
