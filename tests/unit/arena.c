/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdalign.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "tests/unit/t.h"

TEST(arena_hands_out_zeroed_aligned_memory_of_any_size)
{
	struct arena a = { 0 };
	uint8_t *p[300];

	for (size_t i = 0; i < ARRAY_SIZE(p); i++) {
		p[i] = arena_alloc(&a, i * 7);
		OK(!((uintptr_t)p[i] % alignof(max_align_t)));
		OK(is_zero(p[i], i * 7));
		memset(p[i], (int)i | 1, i * 7);
	}
	for (size_t i = 1; i < ARRAY_SIZE(p); i++)
		OK(p[i][0] == (uint8_t)(i | 1) && p[i][i * 7 - 1] == (uint8_t)(i | 1));
	p[0] = arena_alloc(&a, 5 << 20);
	OK(is_zero(p[0], 5 << 20));
	arena_free(&a);
	OK(!a.top);
	arena_free(&a);
}

TEST(arena_memory_is_zero_again_after_a_reset)
{
	struct arena a = { 0 };

	arena_reset(&a);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 100; i++) {
			uint8_t *p = arena_alloc(&a, 1000);

			OK(is_zero(p, 1000));
			memset(p, 0xff, 1000);
		}
		arena_reset(&a);
		EQ(a.used, 0);
	}
	arena_free(&a);
}

TEST(arena_strings)
{
	struct arena a = { 0 };
	char big[5000];

	OK(!strcmp(arena_strdup(&a, ""), ""));
	OK(!strcmp(arena_strdup(&a, "disk"), "disk"));
	OK(!strcmp(arena_strndup(&a, "disk.vhd", 4), "disk"));
	OK(!strcmp(arena_strndup(&a, "disk", 400), "disk"));
	OK(!strcmp(arena_strndup(&a, "disk", SIZE_MAX), "disk"));
	OK(!strcmp(arena_strndup(&a, NULL, 0), ""));
	OK(!strcmp(arena_printf(&a, "%s-%d", "loop", 3), "loop-3"));
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	EQ(strlen(arena_printf(&a, "%s%s", big, big)), 2 * (sizeof(big) - 1));
	OK(!memcmp(arena_copy(&a, "a\0b", 3), "a\0b", 3));
	OK(arena_copy(&a, NULL, 0));
	arena_free(&a);
}

TEST(arena_grow_keeps_what_was_there)
{
	struct arena a = { 0 };
	int *v = NULL;

	for (int n = 0; n < 100; n++) {
		v = arena_grow(&a, v, (size_t)n, (size_t)n + 1, sizeof(*v));
		EQ(v[n], 0);
		v[n] = n;
	}
	for (int n = 0; n < 100; n++)
		EQ(v[n], n);
	v = arena_grow(&a, v, 100, 2, sizeof(*v));
	EQ(v[1], 1);
	arena_free(&a);
}

/* What does fn(too much) end with?  Its text goes nowhere. */
static int status_of(void (*fn)(struct arena *))
{
	struct arena a = { 0 };
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		close(STDERR_FILENO);
		fn(&a);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void overflowing(struct arena *a)
{
	arena_array(a, SIZE_MAX / 2, 3);
}

static void wrapping(struct arena *a)
{
	arena_alloc(a, SIZE_MAX - 3);
}

TEST(arena_ends_the_program_when_a_size_overflows)
{
	EQ(status_of(overflowing), 1);
	EQ(status_of(wrapping), 1);
}
