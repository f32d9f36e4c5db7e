/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * left ROOT WHERE			all that is held, as leftover.h says
 * left ROOT WHERE BEFORE [verb]	what is held and was not when BEFORE was written;
 *					with "verb" only what must be gone when a verb ends
 *
 * WHERE may be empty.  Status 1, and the first such line: there is something.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "leftover.h"

int main(int argc, char **argv)
{
	static char text[1 << 17];
	const char *line;
	ssize_t n;
	int fd;

	if (argc < 3)
		return fprintf(stderr, "usage: left ROOT WHERE [BEFORE [verb]]\n"), 2;
	if (argc == 3) {
		leftover(text, sizeof(text), argv[1], argv[2]);
		fputs(text, stdout);
		return 0;
	}
	fd = open(argv[3], O_RDONLY | O_CLOEXEC);
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return perror(argv[3]), 2;
	close(fd);
	line = leftover_new(text, argc > 4 ? LEFT_BY_VERB : LEFT_AT_ALL, argv[1], argv[2]);
	if (!line)
		return 0;
	puts(line);
	return 1;
}
