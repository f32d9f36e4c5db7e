/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dieat N CMD [ARG...]: run a program and kill it before its N-th system call.
 * Status 137 when it was killed, else its own: then it has less than N.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int status, count = 0, at = argc > 2 ? atoi(argv[1]) : 0;
	bool in = false, first = true;
	pid_t pid;

	if (at < 1) {
		fprintf(stderr, "usage: dieat N CMD [ARG...]\n");
		return 2;
	}
	pid = fork();
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		execvp(argv[2], argv + 2);
		_exit(126);
	}
	while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
		if (!first)		/* execve comes back */
			in = !in;
		first = false;
		if (in && ++count == at)
			kill(pid, SIGKILL);
		ptrace(PTRACE_SYSCALL, pid, 0, 0);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
