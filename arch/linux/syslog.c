/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "arch/syslog.h"

#define LOCAL2 18

void syslog_close(struct syslog *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

/* EPROTOTYPE: the socket is there and of the other kind. */
static int dial(struct syslog *s, int type)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int err = 0;

	if (strlen(s->path) >= sizeof(to.sun_path))
		return -ENAMETOOLONG;
	strcpy(to.sun_path, s->path);
	s->fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return -errno;
	if (connect(s->fd, (struct sockaddr *)&to, sizeof(to))) {
		err = -errno;
		syslog_close(s);
	}
	s->stream = type == SOCK_STREAM;
	return err;
}

static int connect_log(struct syslog *s)
{
	int err = dial(s, SOCK_DGRAM);

	return err == -EPROTOTYPE ? dial(s, SOCK_STREAM) : err;
}

/*
 * 0 when it was taken or had to be dropped; an error when another connection
 * may do better.  On a stream the end of a line is a NUL, and a line that was
 * taken in part spoils the next: that connection is given up.
 */
static int put(struct syslog *s, const char *text, size_t n)
{
	size_t len = n + s->stream;
	ssize_t sent;

	do {
		sent = send(s->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == EMSGSIZE))
		return 0;
	if (sent < 0)
		return -errno;
	if ((size_t)sent < len)
		syslog_close(s);
	return 0;
}

void syslog_line(void *arg, enum log_level level, const char *tag, const char *line)
{
	struct syslog *s = arg;
	char text[LOG_LINE_MAX + 192];
	int n;

	n = snprintf(text, sizeof(text), "<%d>SM: [%d] %s%s%s", LOCAL2 << 3 | (int)level,
		     (int)getpid(), tag, *tag ? " " : "", line);
	if (n >= (int)sizeof(text))
		n = (int)sizeof(text) - 1;
	if (s->fd >= 0 && !put(s, text, (size_t)n))
		return;
	syslog_close(s);
	if (!connect_log(s) && put(s, text, (size_t)n))
		syslog_close(s);
}
