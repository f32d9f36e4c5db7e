/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdbool.h>
#include <string.h>
#include "tests/unit/t.h"

static bool failed;

void t_fail(const char *file, int line, const char *what, long long got, long long want)
{
	printf("# %s:%d: %s: got %lld, want %lld\n", file, line, what, got, want);
	failed = true;
}

int main(int argc, char **argv)
{
	int n = 0, bad = 0;

	printf("1..%d\n", (int)(__stop_unit_tests - __start_unit_tests));
	for_each_registered(unit_tests, t) {
		failed = false;
		(*t)->run();
		printf("%sok %d - %s\n", failed ? "not " : "", ++n, (*t)->name);
		bad += failed;
	}
	return bad != 0;
}
