/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/clock.h"
#include "arch/proc.h"
#include "lib/ctx.h"
#include "lib/err.h"
#include "tests/unit/t.h"

struct work {
	int in, out;
	char text[100000];	/* more than a pipe holds */
};

static int good(struct ctx *ctx, void *arg)
{
	struct work *w = arg;

	w->out = w->in * 2;
	memset(w->text, 'x', sizeof(w->text));
	return 7;
}

static int bad(struct ctx *ctx, void *arg)
{
	hint(ctx, "try that");
	return fail(ctx, -E_SR_MISSING, "mount %s", (const char *)arg);
}

static int forever(struct ctx *ctx, void *arg)
{
	signal(SIGTERM, SIG_IGN);
	while (pause())
		;
	return 0;
}

static int dies(struct ctx *ctx, void *arg)
{
	*(int *)arg = 9;
	raise(SIGKILL);
	return 0;
}

static int nothing(struct ctx *ctx, void *arg)
{
	return 0;
}

static int open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static bool has_no_children(void)
{
	return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD;
}

TEST(proc_brings_back_result_and_data)
{
	static struct work w = { .in = 21 };
	struct ctx ctx = { 0 };
	int files = open_files();

	EQ(proc_run(&ctx, good, &w, sizeof(w), clock_now_mono() + 20 * NS_PER_S), 7);
	EQ(w.out, 42);
	EQ(w.text[sizeof(w.text) - 1], 'x');
	EQ(proc_run(&ctx, nothing, NULL, 0, 0), 0);
	OK(has_no_children());
	EQ(open_files(), files);
	arena_free(&ctx.arena);
}

TEST(proc_brings_back_the_sentence)
{
	struct ctx ctx = { 0 };

	EQ(proc_run(&ctx, bad, "nas:/x", 0, 0), -E_SR_MISSING);
	STR_EQ(ctx.why, "mount nas:/x: no such SR");
	STR_EQ(ctx.hint, "try that");
	fail(&ctx, -E_SR_MISSING, "sr attach");
	STR_EQ(ctx.why, "sr attach: mount nas:/x: no such SR");
	OK(has_no_children());
	arena_free(&ctx.arena);
}

TEST(proc_ends_what_is_late)
{
	struct ctx ctx = { 0 };
	uint64_t from = clock_now_mono(), took;
	int files = open_files();

	EQ(proc_run(&ctx, forever, NULL, 0, from + 60 * NS_PER_MS), -E_DEADLINE);
	took = clock_now_mono() - from;
	OK(took >= 60 * NS_PER_MS);
	OK(took < 5 * NS_PER_S);
	OK(has_no_children());
	EQ(proc_run(&ctx, forever, NULL, 0, 1), -E_DEADLINE);
	OK(has_no_children());
	EQ(open_files(), files);
	STR_EQ(ctx.why, "");
	arena_free(&ctx.arena);
}

TEST(proc_notices_a_child_that_died)
{
	struct ctx ctx = { 0 };
	int value = 1;

	EQ(proc_run(&ctx, dies, &value, sizeof(value), 0), -EIO);
	EQ(value, 1);
	OK(has_no_children());
	arena_free(&ctx.arena);
}

static int tell_pid(struct ctx *ctx, void *arg)
{
	pid_t pid = getpid();

	if (write(*(int *)arg, &pid, sizeof(pid)) != sizeof(pid))
		return -EIO;
	return forever(ctx, arg);
}

TEST(proc_dies_with_its_parent)
{
	struct ctx ctx = { 0 };
	uint64_t ticks;
	pid_t parent, child = 0;
	int ends[2];

	OK(!pipe2(ends, O_CLOEXEC));
	parent = fork();
	if (!parent) {
		proc_run(&ctx, tell_pid, &ends[1], 0, 0);
		_exit(0);
	}
	EQ(read(ends[0], &child, sizeof(child)), sizeof(child));
	EQ(pid_started(child, &ticks), 0);
	kill(parent, SIGKILL);
	waitpid(parent, NULL, 0);
	/* The other end is closed once the last of the two is gone. */
	close(ends[1]);
	EQ(read(ends[0], &child, sizeof(child)), 0);
	close(ends[0]);
}

TEST(proc_that_knows_a_secret_leaves_no_core)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		proc_keep_secret();
		if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0))
			_exit(1);
		signal(SIGQUIT, SIG_DFL);
		raise(SIGQUIT);
		_exit(2);
	}
	EQ(waitpid(pid, &status, 0), pid);
	OK(WIFSIGNALED(status) && WTERMSIG(status) == SIGQUIT && !WCOREDUMP(status));
}
