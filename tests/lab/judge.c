/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * judge CMD [ARG...]: run a program of the host's system inside the guest.
 *
 * The host's root directory is there read-only; judge-root makes it, at the
 * first call, into a root of its own at /judge: changes go to memory, while
 * /dev /proc /sys /run /tmp /mnt /share are the guest's.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROOT "/judge"

static int make_root(void)
{
	int wstatus = -1;
	pid_t pid = fork();

	if (!pid) {
		execl("/lib/lab/judge-root", "judge-root", ROOT, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, &wstatus, 0);
	return WIFEXITED(wstatus) ? WEXITSTATUS(wstatus) : 1;
}

int main(int argc, char **argv)
{
	char cwd[PATH_MAX];

	if (argc < 2) {
		fprintf(stderr, "usage: judge CMD [ARG...]\n");
		return 2;
	}
	if (!getcwd(cwd, sizeof(cwd)))
		strcpy(cwd, "/");
	if (access("/lib/lab/judge-root", X_OK) == 0) {		/* else we are inside already */
		if (access("/run/judge.ready", F_OK) && make_root())
			return 125;
		if (chroot(ROOT) || (chdir(cwd) && chdir("/"))) {
			fprintf(stderr, "judge: %s: %s\n", ROOT, strerror(errno));
			return 125;
		}
	}
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	setenv("DM_DISABLE_UDEV", "1", 1);
	execvp(argv[1], argv + 1);
	fprintf(stderr, "judge: %s: %s\n", argv[1], strerror(errno));
	return errno == ENOENT ? 127 : 126;
}
