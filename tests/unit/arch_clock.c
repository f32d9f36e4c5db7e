/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "arch/clock.h"
#include "tests/unit/t.h"

TEST(clock_goes_forward_and_deadlines_pass)
{
	uint64_t from = clock_now_mono(), to;
	uint32_t ns = UINT32_MAX;

	OK(from > 0);
	clock_sleep(3 * NS_PER_MS);
	to = clock_now_mono();
	OK(to - from >= 3 * NS_PER_MS);
	OK(clock_left(0) == UINT64_MAX);
	EQ(clock_left(1), 0);
	EQ(clock_left(to), 0);
	OK(clock_left(to + 100 * NS_PER_S) > 90 * NS_PER_S);
	OK(clock_left(to + 100 * NS_PER_S) <= 100 * NS_PER_S);
	OK(llabs(clock_now_real(&ns) - time(NULL)) <= 2);
	OK(ns < NS_PER_S);
	OK(clock_now_real(NULL) > 0);
}

TEST(random_bytes_are_not_the_same_twice)
{
	uint8_t a[4096], b[4096];
	struct uuid u, v;
	unsigned seen = 0;

	random_bytes(a, sizeof(a));
	random_bytes(b, sizeof(b));
	OK(memcmp(a, b, sizeof(a)));
	for (size_t i = 0; i < sizeof(a); i++)
		seen |= 1u << (a[i] >> 3);
	EQ(seen, 0xffffffff);
	random_bytes(a, 0);
	random_uuid(&u);
	random_uuid(&v);
	OK(uuid_is(u.s));
	EQ(u.s[14], '4');
	OK(!uuid_equal(&u, &v));
}

TEST(boot_id_is_a_uuid_that_stays)
{
	struct uuid a, b;

	EQ(boot_id(&a), 0);
	EQ(boot_id(&b), 0);
	OK(uuid_is(a.s));
	OK(uuid_equal(&a, &b));
}

TEST(pid_started_tells_processes_apart)
{
	uint64_t mine, again, its;
	pid_t pid;

	EQ(pid_started(getpid(), &mine), 0);
	OK(mine > 0);
	clock_sleep(30 * NS_PER_MS);
	pid = fork();
	if (!pid) {
		/* A name made to be misread: 15 characters are kept. */
		prctl(PR_SET_NAME, ") R 1 2 3 4 5 6");
		for (;;)
			pause();
	}
	clock_sleep(20 * NS_PER_MS);
	EQ(pid_started(pid, &its), 0);
	OK(its > mine);
	EQ(pid_started(getpid(), &again), 0);
	EQ(again, mine);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	EQ(pid_started(pid, &its), -ESRCH);
	EQ(pid_started(0, &its), -ESRCH);
	EQ(pid_started(-1, &its), -ESRCH);
}
