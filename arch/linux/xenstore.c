/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "arch/clock.h"
#include "arch/xenstore.h"
#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/cleanup.h"
#include "lib/num.h"

#define PAYLOAD		4096u
#define PATH_MOST	3072u

enum type {
	DIRECTORY = 1, READ = 2, BEGIN = 6, END = 7, WRITE = 11, REMOVE = 13,
	WATCH_EVENT = 15, ERROR = 16,
};

struct head {
	uint32_t type, number, transaction, len;
};

/* --- the connection ---------------------------------------------------------- */

/* -ETIMEDOUT at the deadline. */
static int await(const struct xenstore *x, short events)
{
	struct pollfd p = { .fd = x->fd, .events = events };

	for (;;) {
		uint64_t left = clock_left(x->deadline) / NS_PER_MS;
		int n = poll(&p, 1, left < INT32_MAX ? (int)left : INT32_MAX);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			return 0;
		if (!clock_left(x->deadline))
			return -ETIMEDOUT;
	}
}

static int send_all(const struct xenstore *x, struct iovec *v, int n)
{
	while (n) {
		/* Not sendmsg(): it may be the kernel's device. */
		ssize_t done = writev(x->fd, v, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0 && errno == EAGAIN) {
			int err = await(x, POLLOUT);

			if (err)
				return err;
			continue;
		}
		if (done < 0)
			return -errno;
		for (; n && (size_t)done >= v->iov_len; v++, n--)
			done -= (ssize_t)v->iov_len;
		if (n) {
			v->iov_base = (char *)v->iov_base + done;
			v->iov_len -= (size_t)done;
		}
	}
	return 0;
}

static int receive(const struct xenstore *x, void *to, size_t len)
{
	char *p = to;

	while (len) {
		int err = await(x, POLLIN);
		ssize_t n = err ? 0 : read(x->fd, p, len);

		if (err)
			return err;
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return n ? -errno : -ECONNRESET;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int connect_to(const struct xenstore *x, const char *path)
{
	_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (fd < 0)
		return -errno;
	if ((size_t)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path) >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	while (connect(fd, (struct sockaddr *)&a, sizeof(a))) {
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		/* Others are in line. */
		if (!clock_left(x->deadline))
			return -ETIMEDOUT;
		clock_sleep(10 * NS_PER_MS);
	}
	return take_fd(&fd);
}

/* A socket that nobody listens on any more is none. */
static bool is_nowhere(int fd)
{
	return fd == -ENOENT || fd == -ECONNREFUSED || fd == -ENXIO || fd == -ENODEV || fd == -ENOTDIR;
}

/* A descriptor, or why not. */
static int reach(const struct xenstore *x, const char *path)
{
	static const char *const sockets[] = { "/run/xenstored/socket", "/var/run/xenstored/socket" };
	static const char *const devices[] = { "/dev/xen/xenbus", "/proc/xen/xenbus" };
	int fd = -ENOENT;

	if (path && *path)
		return connect_to(x, path);
	for (size_t i = 0; is_nowhere(fd) && i < ARRAY_SIZE(sockets); i++)
		fd = connect_to(x, sockets[i]);
	for (size_t i = 0; is_nowhere(fd) && i < ARRAY_SIZE(devices); i++) {
		fd = open(devices[i], O_RDWR | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0)
			fd = -errno;
	}
	return fd;
}

int xenstore_open(struct xenstore *x, const char *path, uint64_t deadline)
{
	int fd;

	*x = (struct xenstore){ .fd = -1, .deadline = deadline };
	fd = reach(x, path);
	if (fd < 0)
		return is_nowhere(fd) ? -ENOENT : fd;
	x->fd = fd;
	return 0;
}

void xenstore_close(struct xenstore *x)
{
	if (x->fd >= 0)
		close(take_fd(&x->fd));
}

/* --- requests ------------------------------------------------------------------ */

/* Errors have names, not numbers, which differ between systems. */
static int error_of(const char *name)
{
	static const struct { const char *name; int err; } known[] = {
		{ "ENOENT", -ENOENT }, { "EAGAIN", -EAGAIN }, { "EACCES", -EACCES }, { "EPERM", -EPERM },
		{ "EINVAL", -EINVAL }, { "ENOSPC", -ENOSPC }, { "E2BIG", -E2BIG }, { "ENOMEM", -ENOMEM },
		{ "EROFS", -EROFS }, { "EBUSY", -EBUSY },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(known[i].name, name))
			return known[i].err;
	return -EIO;
}

/* The answer to the last request, with a NUL behind it. */
static int take_answer(const struct xenstore *x, enum type type, char *buf, size_t *len)
{
	struct head h;
	int err;

	do {
		err = receive(x, &h, sizeof(h));
		if (!err && h.len > PAYLOAD)
			err = -EPROTO;
		if (!err)
			err = receive(x, buf, h.len);
		if (err)
			return err;
	} while (h.type == WATCH_EVENT && clock_left(x->deadline));	/* somebody else's, on the kernel's device */
	if (h.type == WATCH_EVENT)
		return -ETIMEDOUT;
	if (h.number != x->number || (h.type != type && h.type != ERROR))
		return -EPROTO;
	buf[h.len] = '\0';
	*len = h.len;
	return h.type == ERROR ? 1 : 0;
}

/* path NUL value; the answer is in buf, which has room for PAYLOAD + 1 bytes. */
static int ask(struct xenstore *x, enum type type, const char *path, const char *value, char *buf,
	       size_t *len)
{
	size_t n_path = strlen(path) + 1, n_value = value ? strlen(value) : 0;
	struct head h = { type, ++x->number, x->transaction, (uint32_t)(n_path + n_value) };
	struct iovec v[] = {
		{ &h, sizeof(h) }, { (void *)(uintptr_t)path, n_path }, { (void *)(uintptr_t)value, n_value },
	};
	int err;

	if (x->fd < 0)
		return -ENOTCONN;
	if (n_path > PATH_MOST || n_value > XENSTORE_VALUE)
		return -E2BIG;
	err = send_all(x, v, n_value ? 3 : 2);
	if (!err)
		err = take_answer(x, type, buf, len);
	if (err > 0)
		return error_of(buf);
	if (err)
		xenstore_close(x);	/* whatever comes next belongs to something else */
	return err;
}

/* One whose answer is of no interest. */
static int tell(struct xenstore *x, enum type type, const char *path, const char *value)
{
	char buf[PAYLOAD + 1];
	size_t len;

	return ask(x, type, path, value, buf, &len);
}

int xenstore_read(struct xenstore *x, struct arena *a, const char *path, const char **value)
{
	char buf[PAYLOAD + 1];
	size_t len;
	int err = ask(x, READ, path, NULL, buf, &len);

	if (!err && strlen(buf) != len)
		return -EPROTO;
	if (!err)
		*value = arena_strndup(a, buf, len);
	return err;
}

int xenstore_write(struct xenstore *x, const char *path, const char *value)
{
	return tell(x, WRITE, path, value);
}

int xenstore_remove(struct xenstore *x, const char *path)
{
	int err = tell(x, REMOVE, path, NULL);

	return err == -ENOENT ? 0 : err;
}

int xenstore_list(struct xenstore *x, struct arena *a, const char *path, const char ***names,
		  size_t *n)
{
	char buf[PAYLOAD + 1];
	size_t len;
	int err = ask(x, DIRECTORY, path, NULL, buf, &len);

	*n = 0;
	if (err)
		return err;
	/* Names, each with a NUL behind it. */
	*names = arena_array(a, len + 1, sizeof(**names));
	for (size_t at = 0; at < len; at += strlen(buf + at) + 1)
		(*names)[(*n)++] = arena_strdup(a, buf + at);
	return 0;
}

int xenstore_begin(struct xenstore *x)
{
	char buf[PAYLOAD + 1];
	const char *p = buf;
	size_t len;
	uint64_t v;
	int err = ask(x, BEGIN, "", NULL, buf, &len);

	if (err)
		return err;
	if (!num_take(&p, &v) || *p || !v || v > UINT32_MAX) {
		xenstore_close(x);
		return -EPROTO;
	}
	x->transaction = (uint32_t)v;
	return 0;
}

int xenstore_end(struct xenstore *x, bool commit)
{
	int err = tell(x, END, commit ? "T" : "F", NULL);

	x->transaction = 0;
	return err;
}
