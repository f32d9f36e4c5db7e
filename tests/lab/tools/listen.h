/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the servers that lie listen. */
#ifndef TESTS_LAB_TOOLS_LISTEN_H
#define TESTS_LAB_TOOLS_LISTEN_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

static int listen_at(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int s = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(s, (struct sockaddr *)&a, sizeof(a)) || listen(s, 16))
		perror("listen");
	return s;
}

#endif
