/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hub SOCKET OWNER: the network of a lab, for the process OWNER.
 *
 * A guest's interface (vec0:transport=bess,dst=SOCKET) connects to it when it comes
 * up and sends a frame as a packet, which goes to all others.  Nothing of that touches
 * the host's network.  Returns when it can be connected to, and goes on in the
 * background until OWNER dies or SOCKET is removed.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "host.h"

enum {
	GUESTS = 8,
	FRAME = 64 << 10,
	LOOK_MS = 1000,		/* is the socket still there? */
};

/* Where a guest is not, fd is -1.  In front are the owner and the socket. */
struct hub {
	struct pollfd p[2 + GUESTS];
};

static void come(struct hub *h)
{
	int c = accept4(h->p[1].fd, NULL, NULL, SOCK_CLOEXEC);

	for (int i = 2; c >= 0 && i < 2 + GUESTS; i++) {
		if (h->p[i].fd < 0) {
			h->p[i] = (struct pollfd){ c, POLLIN, 0 };
			return;
		}
	}
	if (c >= 0)
		close(c);
}

/* A guest that cannot take a frame now loses it, as on any wire. */
static void pass_on(struct hub *h, int from)
{
	static char frame[FRAME];
	ssize_t n = recv(h->p[from].fd, frame, sizeof(frame), MSG_DONTWAIT);

	if (n <= 0) {
		close(h->p[from].fd);
		h->p[from].fd = -1;
		return;
	}
	for (int i = 2; i < 2 + GUESTS; i++)
		if (i != from && h->p[i].fd >= 0)
			send(h->p[i].fd, frame, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void loop(struct hub *h, const char *path)
{
	struct stat st;

	while (!stat(path, &st)) {
		poll(h->p, 2 + GUESTS, LOOK_MS);
		if (h->p[0].revents)
			return;
		if (h->p[1].revents)
			come(h);
		for (int i = 2; i < 2 + GUESTS; i++)
			if (h->p[i].fd >= 0 && h->p[i].revents)
				pass_on(h, i);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct hub h;
	int s, owner, nothing;

	if (argc != 3 || strlen(argv[1]) >= sizeof(at.sun_path)) {
		fprintf(stderr, "usage: hub SOCKET OWNER\n");
		return 2;
	}
	close_from(3);
	strcpy(at.sun_path, argv[1]);
	s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (s < 0 || bind(s, (struct sockaddr *)&at, sizeof(at)) || listen(s, GUESTS)) {
		perror(argv[1]);
		return 1;
	}
	nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (fork())
		_exit(0);
	setsid();
	for (int i = 0; i < 3; i++)
		dup2(nothing, i);
	owner = watch_process(atoi(argv[2]));
	if (owner < 0)
		return 0;
	h.p[0] = (struct pollfd){ owner, POLLIN, 0 };
	h.p[1] = (struct pollfd){ s, POLLIN, 0 };
	for (int i = 2; i < 2 + GUESTS; i++)
		h.p[i] = (struct pollfd){ -1, 0, 0 };
	loop(&h, argv[1]);
	return 0;
}
