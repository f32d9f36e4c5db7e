/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * killat NR N PID [stop]: wait until the thread PID makes the system call NR, and kill
 * its process before its N-th call after that, or stop it after that one.  0: done so;
 * 1: it has come to poll(2) before, so what it had to do was done, by as many calls as is
 * printed.  "ready": it is watched from now on.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* To the next call that it begins: its number, -1 when it has ended. */
static int next_call(pid_t pid)
{
	struct user_regs_struct regs;
	int status, sig = 0;

	for (;;) {
		if (ptrace(PTRACE_SYSCALL, pid, 0, sig) || waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status))
			return -1;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
			if (ptrace(PTRACE_GETREGS, pid, 0, &regs))
				return -1;
			if ((long)regs.rax == -ENOSYS)		/* else it ends */
				return (int)regs.orig_rax;
			sig = 0;
			continue;
		}
		sig = status >> 16 ? 0 : WSTOPSIG(status);
	}
}

int main(int argc, char **argv)
{
	int status, nr, at, call, count = 0, seen = 0;
	pid_t pid;

	if (argc < 4)
		return 2;
	nr = atoi(argv[1]);
	at = atoi(argv[2]);
	pid = atoi(argv[3]);
	if (ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD) || ptrace(PTRACE_INTERRUPT, pid, 0, 0) ||
	    waitpid(pid, &status, __WALL) != pid)
		return 2;
	puts("ready");
	fflush(stdout);
	while ((call = next_call(pid)) >= 0) {
		if (!seen) {
			seen = call == nr;
			continue;
		}
		if (call == SYS_poll) {
			printf("%d\n", count);
			ptrace(PTRACE_DETACH, pid, 0, 0);
			return 1;
		}
		if (++count == at) {
			kill(pid, argc > 4 ? SIGSTOP : SIGKILL);
			return 0;
		}
	}
	return 2;
}
