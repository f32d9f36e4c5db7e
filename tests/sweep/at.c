/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * at N HOW PROGRAM ARGUMENT...: run a program, with all its threads, and
 * disturb the N-th system call that it makes after exec, as disturb.h says:
 * kill, EIO, ENOSPC, EINTR, EIO+, short, only.  With "family:" before HOW the processes
 * that it forks are counted and disturbed, too.
 *
 * The exit status is that of the program, 128 and the signal if one ended it.
 * How many calls there were is written to the file that AT_COUNT names; N = 0
 * disturbs none of them.  Of a program that ends with a descriptor open that
 * it was not given, a line is added to the file that AT_OPEN names.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disturb.h"

static void child(void *argv)
{
	execvp(*(char **)argv, argv);
}

int main(int argc, char **argv)
{
	const char *to = getenv("AT_COUNT"), *left = getenv("AT_OPEN"), *how = argc > 2 ? argv[2] : "";
	struct disturb d = { .n = argc > 1 ? atol(argv[1]) : 0 };
	int status;
	FILE *f;

	d.family = !strncmp(how, "family:", 7);
	if (argc < 4 || !disturb_how(&d, d.family ? how + 7 : how))
		return fprintf(stderr, "usage: at N [family:]kill|EIO|EIO+|ENOSPC|EINTR|short|only PROGRAM ARGUMENT...\n"), 2;
	status = disturb(&d, child, argv + 3);
	if (to) {
		f = fopen(to, "w");
		if (!f || fprintf(f, "%ld\n", d.calls) < 0 || fclose(f))
			return 126;
	}
	if (left && *d.open) {
		f = fopen(left, "a");
		if (!f || fprintf(f, "%s at %ld: %s %s ends with descriptor %s\n", how, d.n, argv[3], argc > 4 ? argv[4] : "",
				  d.open) < 0 || fclose(f))
			return 126;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
