/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "arch/clock.h"
#include "arch/proc.h"
#include "lib/bytes.h"
#include "lib/ctx.h"

#define PERIOD_S	2	/* between two questions */

/* A killed child that sleeps in the kernel is left behind; init reaps it. */
#define KILL_WAIT	NS_PER_S

static const int passed_on[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1 };

static _Noreturn void end_like(int status)
{
	sigset_t all;

	if (WIFSIGNALED(status)) {
		signal(WTERMSIG(status), SIG_DFL);
		sigfillset(&all);
		raise(WTERMSIG(status));
		sigprocmask(SIG_UNBLOCK, &all, NULL);
		_exit(128 + WTERMSIG(status));
	}
	_exit(WEXITSTATUS(status));
}

static void give_up(pid_t pid)
{
	uint64_t until = clock_now_mono() + KILL_WAIT;
	int status;

	kill(pid, SIGKILL);
	while (waitpid(pid, &status, WNOHANG) != pid && clock_left(until))
		clock_sleep(10 * NS_PER_MS);
}

/* Returns when the patience is at its end. */
static int watch(struct ctx *ctx, pid_t pid, const sigset_t *set,
		 int (*alive)(struct ctx *ctx, void *arg), void *arg, uint64_t patience)
{
	const struct timespec period = { .tv_sec = PERIOD_S };
	uint64_t dead_since = 0;
	int status, err;

	for (;;) {
		int sig = sigtimedwait(set, NULL, &period);

		if (waitpid(pid, &status, WNOHANG) == pid)
			end_like(status);
		if (sig > 0 && sig != SIGCHLD)
			kill(pid, sig);
		if (sig > 0 || errno != EAGAIN)
			continue;
		fail_clear(ctx);
		err = alive(ctx, arg);
		if (!err)
			dead_since = 0;
		else if (!dead_since)
			dead_since = clock_now_mono();
		else if (clock_now_mono() - dead_since >= patience)
			return err;
	}
}

int proc_watched(struct ctx *ctx, int (*alive)(struct ctx *ctx, void *arg), void *arg,
		 uint64_t patience)
{
	pid_t parent = getpid(), pid;
	sigset_t set, old;
	int err;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (size_t i = 0; i < ARRAY_SIZE(passed_on); i++)
		sigaddset(&set, passed_on[i]);
	signal(SIGCHLD, SIG_DFL);	/* ignored, a child leaves no status behind */
	sigprocmask(SIG_BLOCK, &set, &old);
	pid = fork();
	if (pid > 0) {
		err = watch(ctx, pid, &set, alive, arg, patience);
		give_up(pid);
		sigprocmask(SIG_SETMASK, &old, NULL);
		return err;
	}
	err = pid < 0 ? -errno : 0;
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
	}
	return err;
}
