/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "tests/unit/t.h"

static bool failed;

bool t_ok(const char *file, int line, const char *what, bool ok)
{
	if (!ok) {
		printf("# %s:%d: not so: %s\n", file, line, what);
		failed = true;
	}
	return ok;
}

bool t_eq(const char *file, int line, const char *what, long long got, long long want)
{
	if (got != want) {
		printf("# %s:%d: %s: got %lld (%#llx), want %lld (%#llx)\n",
		       file, line, what, got, got, want, want);
		failed = true;
	}
	return got == want;
}

bool t_str_eq(const char *file, int line, const char *what, const char *got, const char *want)
{
	if (got == want || (got && want && !strcmp(got, want)))
		return true;
	printf("# %s:%d: %s:\n#  got \"%s\"\n# want \"%s\"\n",
	       file, line, what, got ? got : "(null)", want ? want : "(null)");
	failed = true;
	return false;
}

/* The bytes from the line of 16 in which the two first differ. */
bool t_mem_eq(const char *file, int line, const char *what, const void *got, const void *want,
	      size_t n)
{
	const uint8_t *side[2] = { got, want };
	size_t at = 0;

	while (at < n && side[0][at] == side[1][at])
		at++;
	if (at == n)
		return true;

	printf("# %s:%d: %s: byte %zu of %zu differs\n", file, line, what, at, n);
	for (int i = 0; i < 2; i++) {
		printf("# %s %06zx:", i ? "want" : " got", at & ~(size_t)15);
		for (size_t k = at & ~(size_t)15; k < n && k < (at | 15) + 1; k++)
			printf(" %02x", side[i][k]);
		printf("\n");
	}
	failed = true;
	return false;
}

void t_cuts(const char *what, size_t states)
{
	printf("# sweep ");
	for (bool word = true; *what; what++) {		/* the first blank parts, the others join */
		putchar(*what == ' ' && !word ? '_' : *what);
		word = word && *what != ' ';
	}
	printf(" cuts=%zu bad=%d\n", states, failed);
}

static bool wanted(const char *name, char **part)
{
	bool all = !*part;

	for (; *part; part++)
		if (strstr(name, *part))
			return true;
	return all;
}

/*
 * T_PART=I/N runs every N-th test only, from the I-th: N processes with I from
 * 0 on do them all.
 */
static bool my_turn(int *count)
{
	const char *s = getenv("T_PART");
	int part = 0, of = 1;

	if (s && s[0] >= '0' && s[0] <= '9' && s[1] == '/' && s[2] > '0' && s[2] <= '9' && !s[3]) {
		part = s[0] - '0';
		of = s[2] - '0';
	}
	return (*count)++ % of == part;
}

int main(int argc, char **argv)
{
	const bool times = getenv("T_TIMES");
	int n = 0, bad = 0, count = 0;
	clock_t spent;

	setvbuf(stdout, NULL, _IOLBF, 0);	/* a crash must not swallow what was said */
	for_each_registered(unit_tests, t)
		n += wanted((*t)->name, argv + 1) && my_turn(&count);
	printf("1..%d\n", n);
	if (!n)
		printf("# no test of that name\n");

	n = count = 0;
	for_each_registered(unit_tests, t) {
		if (!wanted((*t)->name, argv + 1) || !my_turn(&count))
			continue;
		failed = false;
		spent = clock();
		(*t)->run();
		printf("%sok %d - %s\n", failed ? "not " : "", ++n, (*t)->name);
		if (times)
			printf("# %ld ms of processor\n", (long)((clock() - spent) * 1000 / CLOCKS_PER_SEC));
		bad += failed;
	}
	return bad || !n;
}
