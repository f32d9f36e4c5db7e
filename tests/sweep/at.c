/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * at N HOW PROGRAM ARGUMENT...: run a program, with all its threads, and
 * disturb the N-th system call that it makes after exec:
 *
 *	kill		SIGKILL before the call
 *	EIO, ENOSPC	the call fails, once
 *	EIO+		this call and all behind it fail
 *	short		a write is cut to half its length
 *
 * The exit status is that of the program, 128 and the signal if one ended it.
 * How many calls there were is written to the file that AT_COUNT names; N = 0
 * disturbs none of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS	64

static struct { pid_t pid; bool broken; } threads[THREADS];
static long count, n;
static int err;
static bool on, cut;

/* Memory, waiting, signals and the end must work; what fails there is another test's. */
static bool is_spared(long nr)
{
	switch (nr) {
	case SYS_brk: case SYS_mmap: case SYS_munmap: case SYS_mprotect: case SYS_madvise: case SYS_mremap:
	case SYS_rt_sigaction: case SYS_rt_sigprocmask: case SYS_exit_group: case SYS_exit:
	case SYS_close: case SYS_getpid: case SYS_gettid: case SYS_arch_prctl: case SYS_execve:
	case SYS_set_tid_address: case SYS_nanosleep: case SYS_clock_nanosleep: case SYS_futex:
	case SYS_clock_gettime: case SYS_tkill: case SYS_writev: case SYS_membarrier:
		return true;
	}
	return false;
}

static bool *broken(pid_t pid)
{
	for (size_t i = 0; i < THREADS; i++) {
		if (!threads[i].pid)
			threads[i].pid = pid;
		if (threads[i].pid == pid)
			return &threads[i].broken;
	}
	abort();
}

static void enter(pid_t pid, pid_t leader)
{
	struct user_regs_struct r;
	long at = ++count;

	if (!n || (at != n && !(on && at > n)))
		return;
	if (!err && !cut) {
		kill(leader, SIGKILL);
		return;
	}
	ptrace(PTRACE_GETREGS, pid, 0, &r);
	if (cut) {
		if (((long)r.orig_rax == SYS_write || (long)r.orig_rax == SYS_pwrite64) && r.rdx > 1)
			r.rdx /= 2;
		ptrace(PTRACE_SETREGS, pid, 0, &r);
		return;
	}
	if (is_spared((long)r.orig_rax))
		return;
	*broken(pid) = true;
	r.orig_rax = (unsigned long long)-1;
	ptrace(PTRACE_SETREGS, pid, 0, &r);
}

static void leave(pid_t pid)
{
	struct user_regs_struct r;

	if (!*broken(pid))
		return;
	*broken(pid) = false;
	ptrace(PTRACE_GETREGS, pid, 0, &r);
	r.rax = (unsigned long long)-err;
	ptrace(PTRACE_SETREGS, pid, 0, &r);
}

/* Handle one stop; the signal to go on with. */
static int stopped(pid_t pid, int status, pid_t leader)
{
	struct __ptrace_syscall_info info;
	int sig = WSTOPSIG(status);

	if (sig == (SIGTRAP | 0x80)) {
		if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) > 0) {
			if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
				enter(pid, leader);
			else if (info.op == PTRACE_SYSCALL_INFO_EXIT)
				leave(pid);
		}
		return 0;
	}
	/* Events of clone and exec, and the stop with which a thread is born. */
	return sig == SIGTRAP || sig == SIGSTOP ? 0 : sig;
}

static int run(char **argv)
{
	int status = 0, end = 126;
	pid_t leader = fork(), pid;

	if (!leader) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		execv(argv[0], argv);
		_exit(126);
	}
	waitpid(leader, &status, 0);
	ptrace(PTRACE_SETOPTIONS, leader, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_TRACECLONE |
	       PTRACE_O_EXITKILL);
	ptrace(PTRACE_CONT, leader, 0, 0);
	waitpid(leader, &status, 0);		/* the exec */
	ptrace(PTRACE_SYSCALL, leader, 0, 0);
	while ((pid = waitpid(-1, &status, __WALL)) > 0) {
		if (WIFSTOPPED(status))
			ptrace(PTRACE_SYSCALL, pid, 0, (long)stopped(pid, status, leader));
		else if (pid == leader)
			end = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
	return end;
}

int main(int argc, char **argv)
{
	const char *to = getenv("AT_COUNT");
	int end;

	if (argc < 4)
		return fprintf(stderr, "usage: at N kill|EIO|EIO+|ENOSPC|short PROGRAM ARGUMENT...\n"), 2;
	n = atol(argv[1]);
	err = !strncmp(argv[2], "EIO", 3) ? EIO : !strncmp(argv[2], "ENOSPC", 6) ? ENOSPC : 0;
	on = strchr(argv[2], '+') != NULL;
	cut = !strcmp(argv[2], "short");
	end = run(argv + 3);
	if (to) {
		FILE *f = fopen(to, "w");

		if (!f || fprintf(f, "%ld\n", count) < 0 || fclose(f))
			return 126;
	}
	return end;
}
