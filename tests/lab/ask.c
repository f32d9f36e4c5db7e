/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ask [-t SECONDS] [-m] [-o FILE] [-e FILE] DIR run CMD [ARG...]
 * ask DIR on|off|stop|quit|tty
 *
 * Ask the keeper of the guest in DIR (see keeper.c) for something.  run gives
 * the command's status; its output goes to the files, or to our own stdout and
 * stderr.  -m merges stderr into stdout.  If there is no guest to answer, the
 * reason takes the place of stderr, first word "lab:", and the status is 125.
 *
 * tty connects our stdin and stdout to the guest's terminal line until it ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "host.h"

struct options {
	double timeout;
	bool merge;
	int out, err;
	const char *dir;
};

static int gone(const struct options *o, const char *why)
{
	dprintf(o->merge ? o->out : o->err, "lab: no guest: %s\n", why);
	return 125;
}

static int output_open(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0) {
		perror(path);
		exit(2);
	}
	return fd;
}

static int connect_to(const char *dir, const char *name)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* By a relative name: the path of a temporary directory may be too long. */
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", name);
	if (fd < 0 || chdir(dir) || connect(fd, (struct sockaddr *)&at, sizeof(at)))
		return -1;
	return fd;
}

static void send_run(int fd, const struct options *o, char **argv)
{
	char header[64];
	size_t len = 0;

	for (char **a = argv; *a; a++)
		len += strlen(*a) + 1;
	snprintf(header, sizeof(header), "%ld %d %zu\n", (long)(o->timeout * 1000),
		 o->merge, len);
	write_all(fd, header, strlen(header));
	for (char **a = argv; *a; a++)
		write_all(fd, *a, strlen(*a) + 1);
}

static bool copy(int from, int to, unsigned long long len)
{
	char buf[64 << 10];

	while (len) {
		ssize_t n = read(from, buf, len < sizeof(buf) ? len : sizeof(buf));

		if (n <= 0)
			return false;
		write_all(to, buf, n);
		len -= n;
	}
	return true;
}

static int take_answer(int fd, const struct options *o)
{
	char line[256];
	unsigned long long out, err;
	size_t n = 0;
	int status;

	while (n < sizeof(line) - 1 && read_all(fd, line + n, 1) && line[n] != '\n')
		n++;
	line[n] = '\0';
	if (sscanf(line, "ok %d %llu %llu", &status, &out, &err) != 3)
		return gone(o, !strncmp(line, "gone ", 5) ? line + 5 : "its keeper is gone");
	if (!copy(fd, o->out, out) || !copy(fd, o->err, err))
		return gone(o, "it went in the middle of an answer");
	return status;
}

/* --- tty ----------------------------------------------------------------- */

static void relay(int line)
{
	struct pollfd p[] = { { 0, POLLIN, 0 }, { line, POLLIN, 0 } };
	char buf[4096];
	ssize_t n;

	for (;;) {
		if (poll(p, 2, -1) < 0)
			return;
		if (p[1].revents) {
			n = read(line, buf, sizeof(buf));
			if (n <= 0 || !write_all(1, buf, n))
				return;
		}
		if (p[0].revents) {
			n = read(0, buf, sizeof(buf));
			if (n <= 0)
				p[0].fd = -1;
			else if (!write_all(line, buf, n))
				return;
		}
	}
}

static int tty(const struct options *o)
{
	struct termios raw, was;
	int line = connect_to(o->dir, "tty");
	bool is_tty = !tcgetattr(0, &was);

	if (line < 0)
		return gone(o, "its keeper is gone");
	if (is_tty) {
		raw = was;
		cfmakeraw(&raw);
		raw.c_oflag |= OPOST | ONLCR;
		tcsetattr(0, TCSADRAIN, &raw);
	}
	relay(line);
	if (is_tty)
		tcsetattr(0, TCSADRAIN, &was);
	return 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: ask [-t SECONDS] [-m] [-o FILE] [-e FILE] DIR VERB [ARG...]\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct options o = { .timeout = 30, .out = 1, .err = 2 };
	const char *verb;
	int c, fd;

	while ((c = getopt(argc, argv, "+t:mo:e:")) != -1) {
		switch (c) {
		case 't':
			o.timeout = atof(optarg);
			break;
		case 'm':
			o.merge = true;
			break;
		case 'o':
			o.out = output_open(optarg);
			break;
		case 'e':
			o.err = output_open(optarg);
			break;
		default:
			return usage();
		}
	}
	if (argc - optind < 2)
		return usage();
	o.dir = argv[optind];
	verb = argv[optind + 1];
	if (!strcmp(verb, "tty"))
		return tty(&o);

	signal(SIGPIPE, SIG_IGN);
	fd = connect_to(o.dir, strcmp(verb, "run") ? "power" : "run");
	if (fd < 0)
		return gone(&o, "its keeper is gone");
	/* If this fails there may be an answer that says why. */
	if (!strcmp(verb, "run"))
		send_run(fd, &o, argv + optind + 2);
	else
		dprintf(fd, "%s\n", verb);
	return take_answer(fd, &o);
}
