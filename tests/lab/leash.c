/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * leash [-r DIR [-p PARENT]] OWNER CMD [ARG...]: run CMD for the process OWNER.
 *
 * When CMD ends, when OWNER dies (even by SIGKILL), or when leash itself is
 * asked to end, every process started below CMD is ended too, in whatever
 * session or group it is, and DIR is removed, and PARENT if nothing else is in
 * it.  The status is that of CMD.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"

enum { GRACE_MS = 2000 };	/* for traps and teardown functions after SIGTERM */

static pid_t start(char **argv)
{
	pid_t pid = fork();

	if (!pid) {
		give_signals_back();
		setpgid(0, 0);
		execvp(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
	return pid;
}

/* Did the process end?  Orphans are reaped by the way. */
static bool ended(pid_t pid, int *wstatus)
{
	pid_t got;
	int st;
	bool yes = false;

	while ((got = waitpid(-1, &st, WNOHANG)) > 0) {
		if (got == pid) {
			*wstatus = st;
			yes = true;
		}
	}
	return yes;
}

/* Wait for the end of the process, or for a reason to end it ourselves: its signal. */
static int wait_for(pid_t pid, int signals, int owner, int *wstatus, int timeout_ms)
{
	struct pollfd p[] = { { signals, POLLIN, 0 }, { owner, POLLIN, 0 } };
	struct signalfd_siginfo si;

	for (;;) {
		int n = poll(p, owner < 0 ? 1 : 2, timeout_ms);

		while (read(signals, &si, sizeof(si)) == sizeof(si))
			if (si.ssi_signo != SIGCHLD && owner >= 0)
				return si.ssi_signo;
		if (ended(pid, wstatus))
			return 0;
		if (n == 0 || (owner >= 0 && p[1].revents))
			return SIGTERM;
	}
}

int main(int argc, char **argv)
{
	const char *dir = NULL, *parent = NULL;
	int signals, owner, why, wstatus = 0, c;
	pid_t pid;

	while ((c = getopt(argc, argv, "+r:p:")) != -1) {
		if (c == 'r')
			dir = optarg;
		if (c == 'p')
			parent = optarg;
	}
	argc -= optind;
	argv += optind;
	if (argc < 2) {
		fprintf(stderr, "usage: leash [-r DIR [-p PARENT]] OWNER CMD [ARG...]\n");
		return 2;
	}
	adopt_orphans();
	signals = take_signals();
	owner = watch_process(atoi(argv[0]));
	if (owner < 0)
		return 143;
	pid = start(argv + 1);
	why = wait_for(pid, signals, owner, &wstatus, -1);
	if (why) {
		kill(-pid, SIGTERM);
		wait_for(pid, signals, -1, &wstatus, GRACE_MS);
		kill(-pid, SIGKILL);
	}
	kill_descendants();
	if (dir)
		remove_tree(dir);
	if (parent)
		rmdir(parent);
	if (why)
		return 128 + why;
	return WIFEXITED(wstatus) ? WEXITSTATUS(wstatus) : 128 + WTERMSIG(wstatus);
}
