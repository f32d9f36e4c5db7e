/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The log of the host, by its socket and not by the C library, whose syslog()
 * may block.
 *
 *	static struct syslog syslog = SYSLOG_INIT;
 *
 *	log_set_sink(syslog_line, &syslog);
 *
 * A line goes out as "<150>SM: [PID] TAG MESSAGE", facility local2.  We never
 * wait for the log: a line it does not take at once is dropped.  A log that was
 * restarted is connected to again.
 */
#ifndef ARCH_SYSLOG_H
#define ARCH_SYSLOG_H

#include <stdbool.h>

#include "lib/log.h"

struct syslog {
	const char *path;
	int fd;			/* -1 until the first line */
	bool stream;
};

#define SYSLOG_INIT { .path = "/dev/log", .fd = -1 }

/* A log_sink; arg is a struct syslog. */
void syslog_line(void *arg, enum log_level level, const char *tag, const char *line);
void syslog_close(struct syslog *s);

#endif
