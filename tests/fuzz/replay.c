/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Gives each file named on the command line to the fuzzer linked in: replay FILE... */
#include "lib/arena.h"
#include "tests/fuzz/fuzz.h"

static int replay(const char *path)
{
	FILE *f = fopen(path, "r");
	uint8_t *all = NULL;
	size_t n = 0, got;

	if (!f) {
		perror(path);
		return 1;
	}
	do {
		all = must_realloc(all, n + 4096);
		got = fread(all + n, 1, 4096, f);
		n += got;
	} while (got);
	fclose(f);
	/* Exactly as many bytes, so that a read behind them is seen. */
	all = must_realloc(all, n);
	LLVMFuzzerTestOneInput(all, n);
	free(all);
	return 0;
}

int main(int argc, char **argv)
{
	int bad = 0;

	for (int i = 1; i < argc; i++)
		bad |= replay(argv[i]);
	return bad;
}
