/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "arch/clock.h"
#include "arch/sock.h"
#include "drivers/chain.h"
#include "drivers/control.h"
#include "drivers/sr.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/num.h"

#define PAUSE_MS	10000	/* a change takes milliseconds; the kernel asks again after 30 s */
#define RESUME_MS	60000	/* others may have the lock first */

const char *control_path(struct sr *sr, const struct uuid *vdi)
{
	return sm_path(sr->ctx, "/run/sm/server/%s.ctl", vdi->s);
}

/* Descriptors that came with some bytes; more than were asked for the kernel closes. */
static void take_fds(struct msghdr *m, struct chain *c)
{
	struct cmsghdr *h = CMSG_FIRSTHDR(m);

	if (!h || h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
		return;
	for (size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int), i = 0; i < n; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(h) + i * sizeof(fd), sizeof(fd));
		if (c->n < CHAIN_SENT)
			c->level[c->n++].fd = fd;
		else
			close(fd);
	}
}

static ssize_t receive(int fd, char *to, size_t room, struct chain *c)
{
	union { struct cmsghdr align; char buf[CMSG_SPACE(CHAIN_SENT * sizeof(int))]; } u;
	struct iovec iov = { to, room };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = c ? u.buf : NULL,
		.msg_controllen = c ? sizeof(u.buf) : 0,
	};
	ssize_t got = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);

	if (got >= 0 && c)
		take_fds(&m, c);
	return got;
}

static int hear(int fd, char line[CONTROL_LINE], int ms, struct chain *c)
{
	uint64_t until = clock_now_mono() + (uint64_t)ms * NS_PER_MS;
	size_t n = 0;

	/* Nobody says a second word before the first has been answered. */
	while (n < CONTROL_LINE) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int ready = poll(&p, 1, (int)(clock_left(until) / NS_PER_MS));
		ssize_t got;
		char *end;

		if (!ready)
			return -ETIMEDOUT;
		got = ready < 0 ? -1 : receive(fd, line + n, CONTROL_LINE - n, c);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -EPIPE;
		end = memchr(line + n, '\n', (size_t)got);
		if (end) {
			*end = '\0';
			return 0;
		}
		n += (size_t)got;
	}
	return -EPIPE;
}

int control_hear(int fd, char line[CONTROL_LINE], int ms)
{
	return hear(fd, line, ms, NULL);
}

int control_hear_go(int fd, char line[CONTROL_LINE], int ms, struct chain *c)
{
	int err = hear(fd, line, ms, c);
	const char *p = err ? NULL : !strncmp(line, "go ", 3) ? line + 3 :
		!strncmp(line, "all ", 4) ? line + 4 : NULL;
	bool fits = p && c->n && strlen(p) == c->n;

	c->all = p == line + 4;
	for (size_t i = 0; fits && i < c->n; i++) {
		fits = p[i] == 'v' || p[i] == 'r';
		c->level[i].format = p[i] == 'v' ? IMAGE_VHD : IMAGE_RAW;
	}
	if (!fits)
		chain_drop(c);
	return err;
}

int control_say(int fd, const char *fmt, ...)
{
	char line[CONTROL_LINE];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	if (n > CONTROL_LINE - 2)
		n = CONTROL_LINE - 2;
	line[n] = '\n';
	/* The buffer of a socket has room for what we ever say. */
	return send(fd, line, (size_t)n + 1, MSG_NOSIGNAL | MSG_DONTWAIT) == n + 1 ? 0 : -EPIPE;
}

/* "busy WHY": what follows the word, or NULL when it is another word. */
static const char *after(const char *line, const char *word)
{
	size_t n = strlen(word);

	if (strncmp(line, word, n) || (line[n] && line[n] != ' '))
		return NULL;
	return line[n] ? line + n + 1 : "";
}

static int refused(struct sr *sr, const char *line)
{
	const char *why;

	if ((why = after(line, "busy")))
		return fail_say(sr->ctx, -E_BUSY, "%s", why);
	if ((why = after(line, "error")))
		return fail_say(sr->ctx, -EIO, "%s", why);
	return fail_say(sr->ctx, -E_VDI_UNAVAILABLE, "it says '%s'", line);
}

static int pause_it(struct sr *sr, const struct uuid *vdi, const char *how, int *hold)
{
	char line[CONTROL_LINE];
	_close_ int fd = -1;
	int err = sock_connect(control_path(sr, vdi), &fd);

	if (err) {
		hint(sr->ctx, "sm vdi detach %s", vdi->s);
		return fail(sr->ctx, -E_VDI_UNAVAILABLE, "nobody listens to be paused");
	}
	err = control_say(fd, "%s %d", how, PAUSE_MS);
	if (!err)
		err = control_hear(fd, line, PAUSE_MS);
	if (err)
		return err == -ETIMEDOUT ? fail_say(sr->ctx, -E_BUSY, "it does not answer") :
					   fail_say(sr->ctx, -E_BUSY, "it has died, or is being "
						    "started again");
	if (!after(line, "paused"))
		return refused(sr, line);
	*hold = take_fd(&fd);
	return 0;
}

int control_log(struct sr *sr, const struct uuid *vdi)
{
	char line[CONTROL_LINE];
	_close_ int fd = -1;
	int err = sock_connect(control_path(sr, vdi), &fd);

	if (!err)
		err = control_say(fd, "log");
	if (!err)
		err = control_hear(fd, line, PAUSE_MS);
	if (!err && !after(line, "logged"))
		err = refused(sr, line);
	return err ? fail(sr->ctx, err, "ask the server of VDI %s for its marks", vdi->s) : 0;
}

int control_pause(struct sr *sr, const struct uuid *vdi, int *hold)
{
	int err = pause_it(sr, vdi, "pause", hold);

	return err ? fail(sr->ctx, err, "pause the server of VDI %s", vdi->s) : 0;
}

int control_hold(struct sr *sr, const struct uuid *vdi, int *hold)
{
	int err = pause_it(sr, vdi, "hold", hold);

	return err ? fail(sr->ctx, err, "hold the server of VDI %s", vdi->s) : 0;
}

static int send_go(int fd, const struct chain *c)
{
	union { struct cmsghdr align; char buf[CMSG_SPACE(CHAIN_SENT * sizeof(int))]; } u = { 0 };
	char line[CONTROL_LINE];
	int n = snprintf(line, sizeof(line), c->all ? "all " : "go ");
	struct iovec iov = { line, (size_t)n + c->n + 1 };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.buf, .msg_controllen = CMSG_SPACE(c->n * sizeof(int)),
	};

	if (!c->n)
		return control_say(fd, "go");
	*CMSG_FIRSTHDR(&m) = (struct cmsghdr){
		.cmsg_len = CMSG_LEN(c->n * sizeof(int)), .cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
	};
	for (size_t i = 0; i < c->n; i++) {
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)) + i * sizeof(int), &c->level[i].fd, sizeof(int));
		line[(size_t)n + i] = c->level[i].format == IMAGE_VHD ? 'v' : 'r';
	}
	line[(size_t)n + c->n] = '\n';
	return sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)iov.iov_len ? 0 : -EPIPE;
}

/* "running SIZE" */
static int take_size(struct sr *sr, const char *line, uint64_t *size)
{
	const char *s = after(line, "running");

	return !s ? refused(sr, line) : num_take(&s, size) && !*s ? 0 : -EPROTO;
}

int control_go(struct sr *sr, const struct uuid *vdi, const struct chain *c, int *hold, uint64_t *size)
{
	char line[CONTROL_LINE];
	int err = send_go(*hold, c);

	if (!err)
		err = control_hear(*hold, line, PAUSE_MS);
	if (!err)
		err = take_size(sr, line, size);
	if (err)
		return fail(sr->ctx, err, "let the server of VDI %s go on", vdi->s);
	close(take_fd(hold));
	return 0;
}

static int resume_it(struct sr *sr, int fd, uint64_t *size)
{
	char line[CONTROL_LINE];
	int err = control_say(fd, "resume");

	if (!err)
		err = control_hear(fd, line, RESUME_MS);
	if (err)
		return fail_say(sr->ctx, err == -ETIMEDOUT ? -E_BUSY : -EIO,
				err == -ETIMEDOUT ? "it does not answer" : "it has died");
	return after(line, "later") ? 0 : take_size(sr, line, size);
}

int control_resume(struct sr *sr, const struct uuid *vdi, int *hold, uint64_t *size)
{
	_close_ int fd = take_fd(hold);
	int err;

	*size = 0;
	err = resume_it(sr, fd, size);
	return err ? fail(sr->ctx, err, "resume the server of VDI %s", vdi->s) : 0;
}
