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

int control_hear(int fd, char line[CONTROL_LINE], int ms)
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
		got = ready < 0 ? -1 : recv(fd, line + n, CONTROL_LINE - n, 0);
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

static int pause_it(struct sr *sr, const struct uuid *vdi, int *hold)
{
	char line[CONTROL_LINE];
	_close_ int fd = -1;
	int err = sock_connect(control_path(sr, vdi), &fd);

	if (err) {
		hint(sr->ctx, "sm vdi detach %s", vdi->s);
		return fail(sr->ctx, -E_VDI_UNAVAILABLE, "nobody listens to be paused");
	}
	err = control_say(fd, "pause %d", PAUSE_MS);
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

int control_pause(struct sr *sr, const struct uuid *vdi, int *hold)
{
	int err = pause_it(sr, vdi, hold);

	return err ? fail(sr->ctx, err, "pause the server of VDI %s", vdi->s) : 0;
}

static int resume_it(struct sr *sr, int fd, uint64_t *size)
{
	char line[CONTROL_LINE];
	const char *s;
	int err = control_say(fd, "resume");

	if (!err)
		err = control_hear(fd, line, RESUME_MS);
	if (err)
		return fail_say(sr->ctx, err == -ETIMEDOUT ? -E_BUSY : -EIO,
				err == -ETIMEDOUT ? "it does not answer" : "it has died");
	if (after(line, "later"))
		return 0;
	s = after(line, "running");
	return !s ? refused(sr, line) : num_take(&s, size) && !*s ? 0 : -EPROTO;
}

int control_resume(struct sr *sr, const struct uuid *vdi, int *hold, uint64_t *size)
{
	_close_ int fd = take_fd(hold);
	int err;

	*size = 0;
	err = resume_it(sr, fd, size);
	return err ? fail(sr->ctx, err, "resume the server of VDI %s", vdi->s) : 0;
}
