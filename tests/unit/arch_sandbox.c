/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A child in the sandbox tries what a hostile image might want of it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/sandbox.h"
#include "lib/kconfig.h"
#include "tests/unit/t.h"

#if IS_ENABLED(CONFIG_SECCOMP_SANDBOX)
static const char *refused_not;

static void refused(const char *what, long got)
{
	if ((got != -1 || errno != EPERM) && !refused_not)
		refused_not = what;
}
#define REFUSED(call) refused(#call, (long)(call))

static void try_to_harm(void)
{
	char *const argv[] = { (char *)"true", NULL };
	struct stat st;

	REFUSED(open("/dev/null", O_WRONLY));
	REFUSED(open("/dev/null", O_RDWR));
	REFUSED(openat(AT_FDCWD, "/dev/null", O_RDONLY | O_TRUNC));
	REFUSED(open("/tmp/sandbox-made-it", O_RDONLY | O_CREAT, 0600));
	REFUSED(open("/tmp", O_TMPFILE | O_RDWR, 0600));
	REFUSED(execv("/bin/true", argv));
	REFUSED(fork());
	REFUSED(mkdir("/tmp/sandbox-made-it", 0700));
	REFUSED(unlink("/tmp/sandbox-made-it"));
	REFUSED(rename("/tmp/sandbox-made-it", "/tmp/x"));
	REFUSED(symlink("/etc/shadow", "/tmp/sandbox-made-it"));
	REFUSED(link("/etc/passwd", "/tmp/sandbox-made-it"));
	REFUSED(mknod("/tmp/sandbox-made-it", S_IFIFO | 0600, 0));
	REFUSED(chmod("/tmp", 0777));
	REFUSED(mount("none", "/tmp", "tmpfs", 0, NULL));
	REFUSED(kill(getppid(), 0));
	REFUSED(ptrace(PTRACE_ATTACH, getppid(), 0, 0));
	REFUSED(socket(AF_INET, SOCK_STREAM, 0));
	REFUSED(socket(AF_UNIX, SOCK_STREAM, 0));
	REFUSED(ioctl(0, LOOP_CLR_FD, 0));
	REFUSED(ioctl(0, TIOCSTI, "x"));
	REFUSED(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	/* musl makes ENOMEM of what mmap() cannot do */
	REFUSED(syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	if (!lstat("/tmp/sandbox-made-it", &st))
		refused_not = "something was made";
}

static void live_on(void)
{
	char text[16];
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	void *p = malloc(4 << 20);

	if (fd < 0 || read(fd, text, sizeof(text)) != sizeof(text) || close(fd) || !p ||
	    socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) < 0)
		refused_not = "reading, memory and the log should go on";
	free(p);
}

/* The leak detector, for one, has system calls of its own: there is no filter then. */
static bool is_confined(void)
{
	return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0 && errno == EPERM;
}

TEST(sandbox_refuses_all_but_reading)
{
	bool kernel_can = !prctl(PR_GET_SECCOMP, 0, 0, 0, 0);
	int status, err;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		err = sandbox_enter(false);
		if (err || !is_confined())
			_exit(err ? 3 : 2);
		try_to_harm();
		if (!refused_not)
			live_on();
		if (refused_not)
			printf("# in the sandbox: %s\n", refused_not);
		fflush(stdout);
		_exit(refused_not ? 1 : 0);
	}
	EQ(waitpid(pid, &status, 0), pid);
	if (!OK(WIFEXITED(status)))
		return;
#if defined(__GLIBC__) || defined(OWN_CALLS)
	OK(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 2);
#else
	EQ(WEXITSTATUS(status), kernel_can ? 0 : 2);
#endif
	(void)kernel_can;
}

/* Calls by another ABI have other numbers: none of them is looked at. */
#if defined(__x86_64__) && !defined(__GLIBC__)
TEST(sandbox_kills_who_calls_by_another_abi)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (sandbox_enter(false) || !is_confined())
			_exit(2);
		__asm__ volatile("int $0x80" : : "a"(20) : "memory");	/* getpid of i386 */
		_exit(0);
	}
	EQ(waitpid(pid, &status, 0), pid);
	OK((WIFSIGNALED(status) && (WTERMSIG(status) == SIGSYS || WTERMSIG(status) == SIGSEGV)) ||
	   (WIFEXITED(status) && WEXITSTATUS(status) == 2));
}
#endif
#endif
