/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "arch/clock.h"
#include "arch/notify.h"
#include "lib/cleanup.h"

int notify_gone(const char *dir)
{
	_close_ int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (fd < 0 || inotify_add_watch(fd, dir, IN_DELETE | IN_DELETE_SELF | IN_ONLYDIR) < 0)
		return -errno;
	return take_fd(&fd);
}

void notify_wait(int fd, uint64_t until)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t ms = clock_left(until) / NS_PER_MS;
	char events[4096];

	if (poll(&p, 1, ms < INT_MAX ? (int)ms + 1 : INT_MAX) <= 0)
		return;
	while (read(fd, events, sizeof(events)) > 0)
		;
}
