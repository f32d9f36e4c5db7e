/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Unix sockets to be served on, and signals that end a server. */
#ifndef ARCH_SOCK_H
#define ARCH_SOCK_H

#include <sys/types.h>

/*
 * Listen at a path.  The socket is there, for its owner alone (0600), once it
 * can be connected to.  What a dead server left at the path is replaced; one
 * that answers is -EADDRINUSE, and anything that is no socket -EEXIST.
 * -ENAMETOOLONG: the kernel knows paths of less than 108 bytes.
 */
int sock_listen(const char *path, int *fd);

/* From here on SIGTERM, SIGINT and SIGHUP are read from *fd, in threads made later too. */
int sock_signals(int *fd);

/*
 * Wait for the next client, whose descriptor is *client, for so many ms, or for
 * ever (-1).  -EINTR when a signal came instead; -EAGAIN when other, if it is not
 * -1, has something to read; -ETIMEDOUT.
 */
int sock_accept(int fd, int signals, int other, int ms, int *client);

/* -ENOENT or -ECONNREFUSED when nobody listens there. */
int sock_connect(const char *path, int *fd);
/* The process that connected, as it was then; 0 when the kernel does not say. */
pid_t sock_peer(int fd);

#endif
