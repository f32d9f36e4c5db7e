/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzzers: tests/fuzz/NAME.c, with the inputs worth keeping in corpus/NAME/.
 *
 *	tests/fuzz/fuzz.sh O SECONDS [NAME...]	look for new ones (libFuzzer)
 *	tests/fuzz/replay.sh O			every input kept, under ASan and UBSan
 *
 * Each is one function that is given bytes from a stranger.  It may return or
 * CHECK() fails; what decodes is encoded, and must decode to the same again.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(e) do {							\
	if (!(e)) {							\
		fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #e);	\
		abort();						\
	}								\
} while (0)

#endif
