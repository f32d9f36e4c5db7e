/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guestd LINE: process 1 of a lab guest.  It runs commands that arrive over a
 * serial line, one after the other, and answers with what they printed.
 *
 *	guestd  -> "ready\n"					once, the line is raw now
 *	request <- "TIMEOUT_MS MERGE LEN\n" + LEN bytes		arguments, each ended by NUL
 *	reply   -> "STATUS OUT ERR\n" + OUT bytes + ERR bytes	stdout, then stderr
 *
 * MERGE 1 sends stderr where stdout goes.  LEN 0 is a request to power off.
 *
 * STATUS is that of the command, or 128 + signal.  A command that is not done
 * in time is killed with its whole session: 124.  If it sits in the kernel and
 * cannot be killed it is left behind, the guest goes on, and STATUS is 125.
 *
 * Output goes to memory files and not through pipes, so that a server started
 * in the background by a command neither delays the reply nor dies of SIGPIPE.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum {
	MAX_REQUEST = 1 << 20,
	MAX_ARGS = 4096,
	KILL_WAIT_MS = 3000,	/* how long a killed process may take to go */
};

struct line {
	int fd;
	int children;		/* signalfd of SIGCHLD */
	char buf[4096];
	size_t have, used;
};

struct job {
	pid_t pid;
	int out, err;		/* memory files; the same one if merged */
	int wstatus;
	bool done;
};

static void die(const char *what)
{
	/* Process 1 ends, the kernel panics, and the host sees that at once. */
	fprintf(stderr, "guestd: %s: %s\n", what, strerror(errno));
	exit(1);
}

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000L + t.tv_nsec / 1000000;
}

/* Take every child that ended, ours and those that lost their parent. */
static void reap(int children, struct job *job)
{
	struct signalfd_siginfo si;
	int wstatus;
	pid_t pid;

	while (read(children, &si, sizeof(si)) > 0)
		;
	while ((pid = waitpid(-1, &wstatus, WNOHANG)) > 0) {
		if (job && pid == job->pid) {
			job->wstatus = wstatus;
			job->done = true;
		}
	}
}

/* --- the line ------------------------------------------------------------ */

static void fill(struct line *l)
{
	struct pollfd p[] = { { l->fd, POLLIN, 0 }, { l->children, POLLIN, 0 } };
	ssize_t n;

	for (;;) {
		poll(p, 2, -1);
		if (p[1].revents)
			reap(l->children, NULL);
		if (p[0].revents)
			break;
	}
	n = read(l->fd, l->buf, sizeof(l->buf));
	if (n <= 0)
		die("read the line");
	l->have = n;
	l->used = 0;
}

static void line_read(struct line *l, char *to, size_t len)
{
	while (len) {
		size_t n;

		if (l->used == l->have)
			fill(l);
		n = l->have - l->used < len ? l->have - l->used : len;
		memcpy(to, l->buf + l->used, n);
		l->used += n;
		to += n;
		len -= n;
	}
}

static void line_read_header(struct line *l, char *to, size_t room)
{
	for (size_t i = 0; i < room; i++) {
		line_read(l, to + i, 1);
		if (to[i] == '\n') {
			to[i] = '\0';
			return;
		}
	}
	errno = EPROTO;
	die("request header");
}

static void line_write(struct line *l, const char *from, size_t len)
{
	while (len) {
		ssize_t n = write(l->fd, from, len);

		if (n < 0 && errno != EINTR)
			die("write the line");
		if (n > 0) {
			from += n;
			len -= n;
		}
	}
}

static void line_write_file(struct line *l, int fd, off_t len)
{
	char buf[32 << 10];

	for (off_t at = 0; at < len;) {
		size_t want = len - at < (off_t)sizeof(buf) ? (size_t)(len - at) : sizeof(buf);
		ssize_t n = pread(fd, buf, want, at);

		if (n <= 0)
			die("read output back");
		line_write(l, buf, n);
		at += n;
	}
}

static void line_open(struct line *l, const char *path)
{
	struct termios t;
	sigset_t chld;

	l->fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (l->fd < 0)
		die(path);
	if (!tcgetattr(l->fd, &t)) {
		cfmakeraw(&t);
		tcsetattr(l->fd, TCSANOW, &t);
	}
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	l->children = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
	if (l->children < 0)
		die("signalfd");
	line_write(l, "ready\n", 6);
}

/* --- one command --------------------------------------------------------- */

/*
 * A program that opens /dev/stderr would truncate a plain file and lose what
 * was printed before.  The seal turns that into an error it cannot miss.
 */
static int output_new(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) || fcntl(fd, F_SETFL, O_APPEND))
		die("memory file for output");
	return fd;
}

static off_t output_size(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		die("size of output");
	return st.st_size;
}

static void job_child(const struct job *job, char **argv)
{
	sigset_t none;
	int nothing = open("/dev/null", O_RDONLY);

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	dup2(nothing, 0);
	dup2(job->out, 1);
	dup2(job->err, 2);
	close(nothing);
	execvp(argv[0], argv);
	dprintf(2, "guestd: %s: %s\n", argv[0], strerror(errno));
	_exit(errno == EACCES ? 126 : 127);
}

static void job_start(struct job *job, char **argv, bool merge)
{
	job->out = output_new("stdout");
	job->err = merge ? job->out : output_new("stderr");
	job->pid = fork();
	if (job->pid < 0)
		die("fork");
	if (!job->pid)
		job_child(job, argv);
}

static bool job_wait(struct job *job, int children, long ms)
{
	long end = now_ms() + ms;
	struct pollfd p = { children, POLLIN, 0 };

	for (;;) {
		long left = end - now_ms();

		reap(children, job);
		if (job->done || left <= 0)
			return job->done;
		poll(&p, 1, left);
	}
}

/* "PID (name) STATE PPID PGRP SESSION …", where the name may hold anything */
static bool in_session(const char *pid, pid_t session)
{
	char path[64], buf[512], *p;
	int fd, pgrp, sid;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return false;
	buf[n] = '\0';
	p = strrchr(buf, ')');
	return p && sscanf(p + 1, " %*c %*d %d %d", &pgrp, &sid) == 2 && sid == session;
}

static void job_kill(const struct job *job)
{
	DIR *proc = opendir("/proc");
	struct dirent *d;

	kill(-job->pid, SIGKILL);
	if (!proc)
		return;
	while ((d = readdir(proc)))
		if (isdigit((unsigned char)d->d_name[0]) && in_session(d->d_name, job->pid))
			kill(atoi(d->d_name), SIGKILL);
	closedir(proc);
}

/* Where in the kernel a process sleeps that even SIGKILL does not wake */
static void job_tell_where(const struct job *job)
{
	char path[64], where[2048];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stack", job->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, where, sizeof(where));
		close(fd);
	}
	dprintf(job->err, "guestd: process %d does not die and is left behind\n%.*s",
		job->pid, n > 0 ? (int)n : 0, where);
}

static int job_status(struct job *job, int children, long timeout_ms)
{
	if (job_wait(job, children, timeout_ms))
		return WIFEXITED(job->wstatus) ? WEXITSTATUS(job->wstatus)
					       : 128 + WTERMSIG(job->wstatus);
	job_kill(job);
	if (!job_wait(job, children, KILL_WAIT_MS)) {
		job_tell_where(job);
		return 125;
	}
	dprintf(job->err, "guestd: killed after %ld.%ld s\n", timeout_ms / 1000,
		timeout_ms % 1000 / 100);
	return 124;
}

static void power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	die("power off");
}

static char **split(char *text, size_t len)
{
	static char *argv[MAX_ARGS + 1];
	int n = 0;

	for (char *p = text; p < text + len && n < MAX_ARGS; p += strlen(p) + 1)
		argv[n++] = p;
	argv[n] = NULL;
	return argv;
}

static void serve(struct line *l)
{
	char header[64], *text;
	struct job job = { 0 };
	long timeout_ms;
	size_t len;
	off_t out, err;
	int merge, status;

	line_read_header(l, header, sizeof(header));
	errno = EPROTO;
	if (sscanf(header, "%ld %d %zu", &timeout_ms, &merge, &len) != 3 || len > MAX_REQUEST)
		die("request header");
	if (!len)
		power_off();
	text = malloc(len + 1);
	if (!text)
		die("request");
	line_read(l, text, len);
	text[len] = '\0';

	job_start(&job, split(text, len), merge);
	status = job_status(&job, l->children, timeout_ms);
	out = output_size(job.out);
	err = merge ? 0 : output_size(job.err);
	snprintf(header, sizeof(header), "%d %lld %lld\n", status, (long long)out, (long long)err);
	line_write(l, header, strlen(header));
	line_write_file(l, job.out, out);
	line_write_file(l, job.err, err);

	close(job.out);
	if (!merge)
		close(job.err);
	free(text);
}

int main(int argc, char **argv)
{
	struct line line = { 0 };

	if (argc != 2)
		return 2;
	line_open(&line, argv[1]);
	for (;;)
		serve(&line);
}
