/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dieall N CMD [ARG...]: dieat for a family: run a program and kill it, with all the processes that it
 * has forked, before their N-th system call.  Status 137 when it was killed, else
 * its own: then it has less than N.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST 64

static struct task {
	pid_t pid;
	bool in;
} task[MOST];

/* A new one stops for the first time outside of a call. */
static struct task *task_of(pid_t pid, bool *is_new)
{
	struct task *empty = NULL;

	*is_new = false;
	for (int i = 0; i < MOST; i++) {
		if (task[i].pid == pid)
			return &task[i];
		if (!task[i].pid && !empty)
			empty = &task[i];
	}
	*is_new = true;
	if (!empty)
		abort();
	*empty = (struct task){ .pid = pid };
	return empty;
}

static void kill_all(void)
{
	for (int i = 0; i < MOST; i++)
		if (task[i].pid)
			kill(task[i].pid, SIGKILL);
}

int main(int argc, char **argv)
{
	int status, count = 0, at = argc > 2 ? atoi(argv[1]) : 0;
	pid_t leader, pid;
	bool is_new;

	if (at < 1) {
		fprintf(stderr, "usage: dieall N CMD [ARG...]\n");
		return 2;
	}
	leader = fork();
	if (!leader) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		execvp(argv[2], argv + 2);
		_exit(126);
	}
	waitpid(leader, &status, 0);
	task_of(leader, &is_new);
	/* Without EXITKILL: what goes on by itself is let go when we end. */
	ptrace(PTRACE_SETOPTIONS, leader, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEFORK |
	       PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE);
	ptrace(PTRACE_SYSCALL, leader, 0, 0);
	while ((pid = waitpid(-1, &status, __WALL)) > 0) {
		struct task *t = task_of(pid, &is_new);
		int sig = 0;

		if (!WIFSTOPPED(status)) {
			t->pid = 0;
			if (pid == leader)
				break;
			continue;
		}
		if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
			t->in = !t->in;
			if (t->in && ++count == at)
				kill_all();
		} else if (!(status >> 16) && !is_new) {
			sig = WSTOPSIG(status);
		}
		ptrace(PTRACE_SYSCALL, pid, 0, sig);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
