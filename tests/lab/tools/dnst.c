/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dnst MODE: a name server that is not what it seems, at port 53 of 127.0.0.1.
 * Every name is 10.77.0.2, and has no address of IPv6, but:
 *
 *	liar	first come answers to others, and what is no answer
 *	cut	all that fits into a datagram is that it did not fit; TCP has it
 *	half	the same, but over TCP the answer never ends
 *	one	questions for IPv6 are not answered at all
 *	flood	answers to others, for ever
 *	fails	cannot say
 *	none	there is no such name
 *	silent	nothing at all
 *
 * Prints "ready" when it listens.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *mode;

static bool is(const char *word)
{
	return !strcmp(mode, word);
}

static int listen_at(int type)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(53),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int s = socket(AF_INET, type, 0), one = 1;

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(s, (struct sockaddr *)&a, sizeof(a)) || (type == SOCK_STREAM && listen(s, 16)))
		perror("listen");
	return s;
}

/* The question of n bytes in p becomes its answer, of so many. */
static size_t answer(unsigned char *p, size_t n, bool tcp)
{
	static const unsigned char record[] = "\xc0\x0c\0\1\0\1\0\0\0\1\0\4\12\115\0\2";
	bool cut = !tcp && (is("cut") || is("half"));

	p[2] = cut ? 0x83 : 0x81;
	p[3] = is("fails") ? 0x82 : is("none") ? 0x83 : 0x80;
	if (cut || is("fails") || is("none") || p[n - 3] != 1)
		return n;
	p[7] = 1;
	memcpy(p + n, record, sizeof(record) - 1);
	return n + sizeof(record) - 1;
}

static void serve_tcp(int s)
{
	for (;;) {
		unsigned char p[1024];
		int c = accept(s, NULL, NULL);
		ssize_t n = read(c, p, 2), more = n == 2 ? read(c, p + 2, 600) : -1;
		size_t len = more > 12 ? answer(p + 2, (size_t)more, true) : 0;

		p[0] = (unsigned char)(len >> 8);
		p[1] = (unsigned char)len;
		if (len && write(c, p, is("half") ? len / 2 : len + 2) < 0)
			perror("write");
		if (is("half"))
			sleep(60);
		close(c);
	}
}

static void serve_udp(int s)
{
	for (;;) {
		struct sockaddr_in from;
		socklen_t size = sizeof(from);
		unsigned char p[1024];
		ssize_t n = recvfrom(s, p, 600, 0, (struct sockaddr *)&from, &size);

		if (n < 16 || is("silent") || (is("one") && p[n - 3] != 1))
			continue;
		n = (ssize_t)answer(p, (size_t)n, false);
		for (int i = 0; is("flood") || (is("liar") && i < 50); i++) {
			unsigned char q[1024];

			memcpy(q, p, sizeof(q));
			q[i % 2 ? 0 : 13 + i % 3]++;	/* another id, or another name */
			if (sendto(s, q, (size_t)(i % 7 ? n : i % n), 0, (struct sockaddr *)&from, size) < 0)
				break;
		}
		sendto(s, p, (size_t)n, 0, (struct sockaddr *)&from, size);
	}
}

int main(int argc, char **argv)
{
	int udp = listen_at(SOCK_DGRAM), tcp = listen_at(SOCK_STREAM);

	signal(SIGPIPE, SIG_IGN);
	if (argc != 2)
		return 2;
	mode = argv[1];
	puts("ready");
	fflush(stdout);
	if (!fork())
		serve_tcp(tcp);
	serve_udp(udp);
}
