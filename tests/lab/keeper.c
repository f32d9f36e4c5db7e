/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * keeper [-r DIR]... DIR OWNER CMD [ARG...]: keep one guest for the process OWNER.
 *
 * CMD is linux.uml with its arguments.  It finds its command line (see
 * guestd.c) on descriptor 3 and a terminal line on descriptor 4; its console
 * goes to DIR/console.  Programs talk to the keeper through sockets in DIR, one
 * request a connection (see ask.c):
 *
 *	run	"TIMEOUT_MS MERGE LEN\n" + LEN bytes
 *			-> "ok STATUS OUT ERR\n" + output
 *			-> "gone WHY\n", if there is no guest to answer
 *	power	"on\n", "off\n" (a power cut), "stop\n" (a shutdown), "quit\n",
 *		"freeze\n", "thaw\n" (its kernel sleeps, and wakes up)
 *			-> "ok 0 0 0\n"
 *	tty	passes bytes to and from the terminal line
 *
 * Commands wait for each other; power is heard at any time.
 *
 * The guest lives in a PID namespace where the system allows it, so that one
 * SIGKILL ends the kernel, its helpers and its processes in the same moment;
 * else in a process group.  When OWNER dies, the guest is cut off and every
 * -r DIR removed.  keeper returns when it can be talked to and goes on in the
 * background.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

enum {
	BOOT_MS = 60000,	/* from power on to guestd's "ready" */
	STOP_MS = 5000,		/* from the request to power off to the end */
	ANSWER_MS = 20000,	/* guestd's own time, added to that of the command */
	PEER_S = 10,		/* for a peer to take or give what it must */
	MAX_REQUEST = 1 << 20,
	MAX_DIRS = 4,
};

enum phase { OFF, BOOTING, IDLE, BUSY, STOPPING };

struct keeper {
	char **argv;
	const char *dirs[MAX_DIRS];
	int n_dirs;

	int signals, owner;
	int run, power, tty;		/* listening sockets */

	enum phase phase;
	pid_t guest;			/* first process of the namespace or group */
	int line, terminal;		/* our ends of the guest's lines */
	long deadline;			/* of this phase, 0 for none */
	char why[128];			/* why the guest is not there */

	int client;			/* who waits for the output of a command, or -1 */
	char *request;			/* frame to send when the guest is ready */
	size_t request_len;
	char header[64];		/* of the reply, as far as it arrived */
	size_t header_len;
	unsigned long long left;	/* bytes of output still to come */

	int stopper;			/* who waits for the end of a shutdown, or -1 */
	int viewer;			/* connected to the terminal line, or -1 */
	bool quit;
};

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000L + t.tv_nsec / 1000000;
}

static void drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void patience(int fd)
{
	struct timeval t = { .tv_sec = PEER_S };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

static void answer(int *peer, const char *text)
{
	if (*peer >= 0)
		write_all(*peer, text, strlen(text));
	drop(peer);
}

static void answer_gone(struct keeper *k)
{
	char text[sizeof(k->why) + 16];

	snprintf(text, sizeof(text), "gone %s\n", k->why);
	answer(&k->client, text);
}

static void enter(struct keeper *k, enum phase phase, long ms)
{
	k->phase = phase;
	k->deadline = ms ? now_ms() + ms : 0;
}

/* --- power --------------------------------------------------------------- */

/* First process of the guest's namespace: when it ends, all in there is killed. */
static void guest_first(struct keeper *k, int line, int terminal)
{
	int nothing = open("/dev/null", O_RDONLY);
	int console = open("console", O_WRONLY | O_CREAT | O_APPEND, 0600);
	int wstatus = 0;
	pid_t pid;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid();
	give_signals_back();
	/* Move the lines out of the way of 0..4 before those are set. */
	line = fcntl(line, F_DUPFD, 10);
	terminal = fcntl(terminal, F_DUPFD, 10);
	dup2(nothing, 0);
	dup2(console, 1);
	dup2(console, 2);
	dup2(line, 3);
	dup2(terminal, 4);
	close_from(5);
	pid = fork();
	if (!pid) {
		execvp(k->argv[0], k->argv);
		perror(k->argv[0]);
		_exit(127);
	}
	close(3);
	close(4);
	while (waitpid(-1, &wstatus, 0) != pid)
		;
	_exit(WIFEXITED(wstatus) ? WEXITSTATUS(wstatus) : 128 + WTERMSIG(wstatus));
}

static void power_on(struct keeper *k)
{
	int line[2], terminal[2];

	if (k->phase != OFF)
		return;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, terminal))
		return;
	k->guest = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
	if (k->guest < 0)
		k->guest = fork();
	if (!k->guest)
		guest_first(k, line[1], terminal[1]);
	close(line[1]);
	close(terminal[1]);
	k->line = line[0];
	k->terminal = terminal[0];
	patience(k->line);
	patience(k->terminal);
	k->header_len = 0;
	enter(k, BOOTING, BOOT_MS);
}

/* What the guest still had to say on the terminal line, then hang up. */
static void viewer_end(struct keeper *k)
{
	char buf[16 << 10];
	ssize_t n;

	while (k->terminal >= 0 && k->viewer >= 0 &&
	       (n = recv(k->terminal, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		if (!write_all(k->viewer, buf, n))
			break;
	drop(&k->viewer);
}

static void guest_gone(struct keeper *k, int wstatus)
{
	int code = WIFEXITED(wstatus) ? WEXITSTATUS(wstatus) : 128 + WTERMSIG(wstatus);

	if (!*k->why)
		snprintf(k->why, sizeof(k->why), code == 134 ? "it panicked" :
			 code ? "it ended with status %d" : "it powered off", code);
	viewer_end(k);
	drop(&k->line);
	drop(&k->terminal);
	answer(&k->stopper, "ok 0 0 0\n");
	answer_gone(k);
	free(k->request);
	k->request = NULL;
	enter(k, OFF, 0);
}

/*
 * Kill until none of the guest's processes is left, so that nobody writes to
 * a disk afterwards; the status of the first.
 */
static int end_group(pid_t first)
{
	int wstatus = 0;

	kill(first, SIGKILL);		/* it may not have its group yet */
	while (!kill(-first, SIGKILL) || !kill(first, 0)) {
		waitpid(first, &wstatus, WNOHANG);
		while (waitpid(-first, NULL, WNOHANG) > 0)
			;
		usleep(1000);
	}
	return wstatus;
}

static void power_off(struct keeper *k, const char *why)
{
	if (k->phase == OFF)
		return;
	snprintf(k->why, sizeof(k->why), "%s", why);
	guest_gone(k, end_group(k->guest));
}

/* The kernel alone: what it traces must not be seen to stop. */
static void signal_kernel(struct keeper *k, int signal)
{
	char path[64];
	FILE *f;
	int pid;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)k->guest, (int)k->guest);
	f = fopen(path, "re");
	if (f && k->phase != OFF && fscanf(f, "%d", &pid) == 1)
		kill(pid, signal);
	if (f)
		fclose(f);
}

static void reap(struct keeper *k)
{
	int wstatus;
	pid_t pid;

	while ((pid = waitpid(-1, &wstatus, WNOHANG)) > 0) {
		if (pid != k->guest || k->phase == OFF)
			continue;
		end_group(pid);
		guest_gone(k, wstatus);
	}
}

/* --- requests ------------------------------------------------------------ */

static void forward(struct keeper *k)
{
	long timeout_ms = strtol(k->request, NULL, 10);

	if (!write_all(k->line, k->request, k->request_len)) {
		power_off(k, "it does not listen any more");
		return;
	}
	free(k->request);
	k->request = NULL;
	k->header_len = 0;
	k->left = 0;
	enter(k, BUSY, timeout_ms + ANSWER_MS);
}

/* Read what to run and make guestd's frame of it. */
static bool take_request(struct keeper *k, const char *header)
{
	long timeout_ms;
	size_t len;
	int merge, n;

	if (sscanf(header, "%ld %d %zu", &timeout_ms, &merge, &len) != 3 ||
	    timeout_ms <= 0 || !len || len > MAX_REQUEST)
		return false;
	k->request = malloc(len + 64);
	if (!k->request)
		return false;
	n = snprintf(k->request, 64, "%ld %d %zu\n", timeout_ms, merge, len);
	k->request_len = n + len;
	if (read_all(k->client, k->request + n, len))
		return true;
	free(k->request);
	k->request = NULL;
	return false;
}

static int accept_line(int listener, char *line, size_t room)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	size_t n = 0;

	if (fd < 0)
		return -1;
	patience(fd);
	while (n < room - 1 && read_all(fd, line + n, 1) && line[n] != '\n')
		n++;
	line[n] = '\0';
	return fd;
}

static void run(struct keeper *k)
{
	char header[128];

	k->client = accept_line(k->run, header, sizeof(header));
	if (k->client < 0)
		return;
	if (!take_request(k, header)) {
		answer(&k->client, "gone request not understood\n");
	} else if (k->phase == OFF) {
		answer_gone(k);
		free(k->request);
		k->request = NULL;
	} else if (k->phase == IDLE) {
		forward(k);
	}				/* else when it is up */
}

static void power(struct keeper *k)
{
	char verb[16];
	int peer = accept_line(k->power, verb, sizeof(verb));

	if (peer < 0)
		return;
	if (!strcmp(verb, "stop") && k->phase == IDLE && write_all(k->line, "0 0 0\n", 6)) {
		snprintf(k->why, sizeof(k->why), "it was shut down");
		enter(k, STOPPING, STOP_MS);
		k->stopper = peer;
		return;
	}
	if (!strcmp(verb, "freeze") || !strcmp(verb, "thaw"))
		signal_kernel(k, verb[0] == 'f' ? SIGSTOP : SIGCONT);
	else if (!strcmp(verb, "on"))
		power_on(k);
	else
		power_off(k, strcmp(verb, "off") ? "it was shut down" : "its power was cut");
	if (!strcmp(verb, "quit")) {
		/* The answer is that we are gone; what to remove is the asker's. */
		k->stopper = peer;
		k->n_dirs = 0;
		k->quit = true;
	} else {
		answer(&peer, "ok 0 0 0\n");
	}
}

/* --- replies ------------------------------------------------------------- */

static void ready(struct keeper *k)
{
	*k->why = '\0';
	enter(k, IDLE, 0);
	if (k->request)
		forward(k);
}

/* A whole header line arrived. */
static void header(struct keeper *k)
{
	char text[sizeof(k->header) + 8];
	unsigned long long out, err;
	int status;

	k->header[k->header_len - 1] = '\0';
	k->header_len = 0;
	if (k->phase == BOOTING && strstr(k->header, "ready")) {
		ready(k);
		return;
	}
	if (k->phase != BUSY || sscanf(k->header, "%d %llu %llu", &status, &out, &err) != 3)
		return;
	k->left = out + err;
	snprintf(text, sizeof(text), "ok %s\n", k->header);
	if (k->client >= 0 && !write_all(k->client, text, strlen(text)))
		drop(&k->client);
	if (!k->left) {
		drop(&k->client);
		enter(k, IDLE, 0);
	}
}

static void reply(struct keeper *k)
{
	char buf[64 << 10], *p = buf;
	ssize_t n = recv(k->line, buf, sizeof(buf), MSG_DONTWAIT);

	while (n > 0) {
		if (k->left) {
			ssize_t part = (unsigned long long)n < k->left ? n : (ssize_t)k->left;

			/* Nobody may be waiting any more: the bytes must come out anyway. */
			if (k->client >= 0 && !write_all(k->client, p, part))
				drop(&k->client);
			p += part;
			n -= part;
			k->left -= part;
			if (!k->left) {
				drop(&k->client);
				enter(k, IDLE, 0);
			}
			continue;
		}
		if (k->header_len == sizeof(k->header))
			k->header_len = 0;
		k->header[k->header_len++] = *p++;
		n--;
		if (k->header[k->header_len - 1] == '\n')
			header(k);
	}
}

static void pass(int *from, int *to)
{
	char buf[16 << 10];
	ssize_t n = recv(*from, buf, sizeof(buf), MSG_DONTWAIT);

	if (n == 0)
		drop(from);
	if (n > 0 && *to >= 0 && !write_all(*to, buf, n))
		drop(to);
}

/* --- the loop ------------------------------------------------------------ */

static void signals(struct keeper *k)
{
	struct signalfd_siginfo si;

	while (read(k->signals, &si, sizeof(si)) == sizeof(si))
		if (si.ssi_signo != SIGCHLD)
			k->quit = true;
	reap(k);
}

static void overdue(struct keeper *k)
{
	switch (k->phase) {
	case BOOTING:
		power_off(k, "it did not come up in time");
		break;
	case STOPPING:
		power_off(k, "it had to be cut off");
		break;
	default:
		power_off(k, "it does not answer");
	}
}

static void loop(struct keeper *k)
{
	bool busy = k->client >= 0 || k->phase == BUSY || k->phase == STOPPING;
	struct pollfd p[] = {
		{ k->signals, POLLIN, 0 },
		{ k->owner, POLLIN, 0 },
		{ k->line, POLLIN, 0 },
		{ busy ? -1 : k->run, POLLIN, 0 },
		{ k->terminal, k->viewer >= 0 ? POLLIN : 0, 0 },
		{ k->viewer, POLLIN, 0 },
		{ k->viewer < 0 ? k->tty : -1, POLLIN, 0 },
		{ k->stopper < 0 ? k->power : -1, POLLIN, 0 },
	};
	long left = k->deadline ? k->deadline - now_ms() : -1;

	poll(p, 8, left < -1 ? 0 : left);
	if (p[1].revents)
		k->quit = true;
	if (p[2].revents && k->line >= 0)
		reply(k);
	if (p[4].revents && k->terminal >= 0)
		pass(&k->terminal, &k->viewer);
	if (p[5].revents && k->viewer >= 0)
		pass(&k->viewer, &k->terminal);
	if (p[0].revents)
		signals(k);
	if (p[6].revents)
		k->viewer = accept4(k->tty, NULL, NULL, SOCK_CLOEXEC);
	if (p[3].revents)
		run(k);
	if (p[7].revents)
		power(k);
	if (k->deadline && now_ms() >= k->deadline)
		overdue(k);
}

static int listen_at(const char *name)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", name);
	unlink(name);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 64)) {
		perror(name);
		exit(1);
	}
	return fd;
}

/* Held as long as we live: who can lock it may remove what we could not. */
static void stay_alive(void)
{
	int fd = open("../.alive", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd >= 0)
		flock(fd, LOCK_SH);
}

/* Into the background: no terminal, no descriptor of the caller's kept open. */
static void detach(void)
{
	int log = open("keeper.log", O_WRONLY | O_CREAT | O_APPEND, 0600);
	int nothing = open("/dev/null", O_RDONLY);

	if (fork())
		_exit(0);
	setsid();
	dup2(nothing, 0);
	dup2(log, 1);
	dup2(log, 2);
}

int main(int argc, char **argv)
{
	struct keeper k = { .line = -1, .terminal = -1,
			    .client = -1, .stopper = -1, .viewer = -1 };
	int at = 1;

	for (; at + 1 < argc && !strcmp(argv[at], "-r") && k.n_dirs < MAX_DIRS; at += 2)
		k.dirs[k.n_dirs++] = argv[at + 1];
	if (argc - at < 3) {
		fprintf(stderr, "usage: keeper [-r DIR]... DIR OWNER CMD [ARG...]\n");
		return 2;
	}
	close_from(3);
	if (chdir(argv[at])) {
		perror(argv[at]);
		return 1;
	}
	k.argv = argv + at + 2;
	k.run = listen_at("run");
	k.power = listen_at("power");
	k.tty = listen_at("tty");
	detach();
	stay_alive();
	adopt_orphans();
	k.signals = take_signals();
	k.owner = watch_process(atoi(argv[at + 1]));
	k.quit = k.owner < 0;
	while (!k.quit)
		loop(&k);

	power_off(&k, "its keeper went");
	for (int i = 0; i < k.n_dirs; i++)
		remove_tree(k.dirs[i]);
	answer(&k.stopper, "ok 0 0 0\n");
	return 0;
}
