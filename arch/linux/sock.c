/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "arch/sock.h"
#include "lib/bytes.h"
#include "lib/cleanup.h"

static int set_path(struct sockaddr_un *a, const char *path, const char *suffix)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if ((size_t)snprintf(a->sun_path, sizeof(a->sun_path), "%s%s", path, suffix) >=
	    sizeof(a->sun_path))
		return -ENAMETOOLONG;
	return 0;
}

/* May the path be ours?  A socket that refuses connections has lost its server. */
static int look_at(const char *path)
{
	_close_ int fd = -1;
	struct sockaddr_un a;
	struct stat st;
	int err = set_path(&a, path, "");

	if (err || lstat(path, &st))
		return err ? err : errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (!connect(fd, (struct sockaddr *)&a, sizeof(a)) || errno == EAGAIN)
		return -EADDRINUSE;
	return errno == ECONNREFUSED || errno == ENOENT ? 0 : -errno;
}

/* Under a name of our own, and then in one step under the one that is looked for. */
int sock_listen(const char *path, int *out)
{
	_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un a;
	int err = look_at(path);

	if (!err)
		err = set_path(&a, path, ".new");
	if (err)
		return err;
	if (fd < 0)
		return -errno;
	unlink(a.sun_path);
	/* What the descriptor's mode is, the socket's will be. */
	if (fchmod(fd, 0600) || bind(fd, (struct sockaddr *)&a, sizeof(a)))
		return -errno;
	if (listen(fd, 16) || rename(a.sun_path, path)) {
		err = -errno;
		unlink(a.sun_path);
		return err;
	}
	*out = take_fd(&fd);
	return 0;
}

int sock_signals(int *out)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	*out = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return *out < 0 ? -errno : 0;
}

int sock_accept(int fd, int signals, int other, int ms, int *client)
{
	struct pollfd p[] = {
		{ .fd = signals, .events = POLLIN }, { .fd = fd, .events = POLLIN }, { .fd = other, .events = POLLIN },
	};

	for (;;) {
		int n = poll(p, ARRAY_SIZE(p), ms);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (!n)
			return -ETIMEDOUT;
		if (n < 0)
			continue;
		if (p[0].revents)
			return -EINTR;
		if (p[2].revents)
			return -EAGAIN;
		if (!p[1].revents)
			continue;
		*client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		if (*client >= 0)
			return 0;
		/* A client that has left again is none; too many of them will be fewer later. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
			poll(p, 1, 100);
		else if (errno != EINTR && errno != ECONNABORTED && errno != EAGAIN)
			return -errno;
	}
}

int sock_connect(const char *path, int *out)
{
	_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un a;
	int err = set_path(&a, path, "");

	if (err)
		return err;
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)))
		return -errno;
	*out = take_fd(&fd);
	return 0;
}

pid_t sock_peer(int fd)
{
	struct ucred c;
	socklen_t n = sizeof(c);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &n) || n != sizeof(c) ? 0 : c.pid;
}
