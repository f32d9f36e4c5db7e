/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * holdat NR[/NR] FILE CMD [ARG...]: run a program and hold it before the first system
 * call of that number, or of the second after one of the first: FILE appears, and when
 * that is gone the program goes on.
 * Its own status, or 128 and the signal that ended it.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static int go_on(pid_t pid, int *status)
{
	ptrace(PTRACE_SYSCALL, pid, 0, 0);
	return waitpid(pid, status, 0) == pid && WIFSTOPPED(*status);
}

int main(int argc, char **argv)
{
	struct user_regs_struct regs;
	int status, held = 0, nr;
	const char *then;
	pid_t pid;

	if (argc < 4)
		return 2;
	nr = atoi(argv[1]);
	then = strchr(argv[1], '/');
	pid = fork();
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		execvp(argv[3], argv + 3);
		_exit(126);
	}
	waitpid(pid, &status, 0);
	while (!held && go_on(pid, &status)) {
		if (ptrace(PTRACE_GETREGS, pid, 0, &regs) || (int)regs.orig_rax != nr)
			continue;
		if (then) {
			nr = atoi(then + 1);
			then = NULL;
			continue;
		}
		held = 1;
		close(open(argv[2], O_CREAT | O_CLOEXEC, 0600));
		while (!access(argv[2], F_OK) && !waitpid(pid, &status, WNOHANG | __WALL))
			usleep(10000);
	}
	if (WIFSTOPPED(status)) {
		ptrace(PTRACE_DETACH, pid, 0, 0);
		waitpid(pid, &status, 0);
	}
	unlink(argv[2]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
