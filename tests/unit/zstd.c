/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What zstd itself has packed, and what nobody should believe. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/qcow2/zstd.h"
#include "tests/unit/vhd_util.h"

#define SIZE ((size_t)300 << 10)	/* three blocks of a frame */

static const char *const words[] = {
	"disk ", "image ", "of ", "the ", "repository", "\n", "0123456789", "snapshot ",
};

/* Of all kinds that take another way through the decoder. */
static void make(uint8_t *p, int kind)
{
	struct rnd r = { .s = 3 };
	size_t at = 0;

	memset(p, 0, SIZE);
	switch (kind) {
	case 0:					/* zeroes */
		break;
	case 1:					/* nothing to be gained */
		for (; at < SIZE; at++)
			p[at] = (uint8_t)rnd(&r);
		break;
	case 2:					/* few symbols, without repetition: literals alone */
		for (; at < SIZE; at++)
			p[at] = (uint8_t)('a' + rnd_below(&r, 1 + rnd_below(&r, 20)));
		break;
	case 3:					/* text */
		while (at < SIZE - 16) {
			const char *w = words[rnd_below(&r, ARRAY_SIZE(words))];

			memcpy(p + at, w, strlen(w));
			at += strlen(w);
		}
		break;
	case 4:					/* numbers, and long repetitions from far */
		for (; at + 8 <= SIZE; at += 8) {
			uint64_t v = rnd_below(&r, 1 << rnd_below(&r, 30));

			memcpy(p + at, &v, 8);
			if (at > 100000 && rnd_below(&r, 200) == 0 && at + 3000 < SIZE) {
				memcpy(p + at, p + rnd_below(&r, 90000), 3000);
				at += 3000;
			}
		}
		break;
	}
}

static size_t pack(const char *how, const uint8_t *p, size_t n, uint8_t *out, size_t room)
{
	char path[] = "/tmp/unit-zstd-XXXXXX", cmd[128];
	int fd = mkstemp(path);
	size_t got = 0;
	FILE *f;

	if (!OK(fd >= 0) || !OK(write(fd, p, n) == (ssize_t)n))
		return 0;
	snprintf(cmd, sizeof(cmd), "zstd -q -c %s %s", how, path);
	f = popen(cmd, "r");
	if (OK(f))
		got = fread(out, 1, room, f);
	EQ(f ? pclose(f) : 0, 0);		/* is zstd there? (make deps-install) */
	close(fd);
	unlink(path);
	return got;
}

TEST(zstd_gives_back_what_zstd_packed)
{
	static const char *const hows[] = {
		"--fast=9", "-1 --no-check", "-3", "-9 --no-content-size", "--ultra -22",
	};
	uint8_t *p = must_alloc(SIZE), *got = must_alloc(SIZE), *z = must_alloc(2 * SIZE);

	for (int kind = 0; kind < 5; kind++)
		for (size_t i = 0; i < ARRAY_SIZE(hows); i++) {
			size_t n;

			make(p, kind);
			n = pack(hows[i], p, SIZE, z, 2 * SIZE);
			memset(got, 0x55, SIZE);
			EQ(zstd_decode(z, n, got, SIZE), 0);
			if (memcmp(got, p, SIZE))
				t_eq(hows[i], kind, "the data of this kind come back", 0, 1);
			/* What follows is left, and less is not enough. */
			EQ(zstd_decode(z, n, got, 1000), 0);
			EQ(memcmp(got, p, 1000), 0);
			for (size_t cut = n - 5; cut > 10; cut = cut * 3 / 4)
				EQ(zstd_decode(z, cut, got, SIZE), -E_QCOW2_DEFLATE);
		}
	free(p);
	free(got);
	free(z);
}

TEST(zstd_frames_follow_each_other_and_some_are_skipped)
{
	static const uint8_t skip[] = { 0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3 };
	uint8_t z[256], out[10];
	size_t n = pack("", (const uint8_t *)"hello", 5, z, 100);

	memcpy(z + n, skip, sizeof(skip));
	n += sizeof(skip);
	n += pack("", (const uint8_t *)"world", 5, z + n, 100);
	EQ(zstd_decode(z, n, out, 10), 0);
	MEM_EQ(out, "helloworld", 10);
	EQ(zstd_decode(z, n, out, 0), 0);
	EQ(zstd_decode(NULL, 0, out, 1), -E_QCOW2_DEFLATE);
}

TEST(zstd_streams_of_strangers_are_refused)
{
	static const struct { const char *name; size_t n; uint8_t b[16]; } cases[] = {
		{ "no magic", 6, { 1, 2, 3, 4, 5, 6 } },
		{ "no header", 4, { 0x28, 0xb5, 0x2f, 0xfd } },
		{ "a dictionary", 12, { 0x28, 0xb5, 0x2f, 0xfd, 0x21, 7, 1, 9, 0, 0, 'a' } },
		{ "a reserved bit", 12, { 0x28, 0xb5, 0x2f, 0xfd, 0x28, 1, 9, 0, 0, 'a' } },
		{ "a reserved block", 12, { 0x28, 0xb5, 0x2f, 0xfd, 0x20, 1, 0x0f, 0, 0, 'a' } },
		{ "a block of 2 MiB", 12, { 0x28, 0xb5, 0x2f, 0xfd, 0x20, 1, 3, 0, 0xff, 'a' } },
		{ "nothing to repeat", 16, { 0x28, 0xb5, 0x2f, 0xfd, 0x20, 9, 0x3d, 0, 0, 0, 1, 0x54, 1, 1,
					     1, 1 } },
		{ "a table from before", 14, { 0x28, 0xb5, 0x2f, 0xfd, 0x20, 9, 0x2d, 0, 0, 0x03, 0x10, 0,
					       1, 0 } },
	};
	uint8_t out[64];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		t_eq(cases[i].name, 0, "decode", zstd_decode(cases[i].b, cases[i].n, out, sizeof(out)),
		     -E_QCOW2_DEFLATE);
}

/* Any byte of a stream may be wrong: that ends, and stays within its buffers. */
TEST(zstd_bytes_that_changed_do_no_harm)
{
	uint8_t *p = must_alloc(SIZE), *got = must_alloc(SIZE), *z = must_alloc(2 * SIZE);
	size_t n;

	make(p, 3);
	n = pack("-19", p, 20000, z, 2 * SIZE);
	for (size_t i = 0; i < n; i++)
		for (uint8_t bit = 1; bit; bit = (uint8_t)(bit << 3)) {
			z[i] ^= bit;
			(void)!zstd_decode(z, n, got, 20000);
			z[i] ^= bit;
		}
	EQ(zstd_decode(z, n, got, 20000), 0);
	MEM_EQ(got, p, 20000);
	free(p);
	free(got);
	free(z);
}
