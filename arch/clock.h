/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Time, randomness and who a process is: all that makes two runs differ.
 *
 * Deadlines are on the monotonic clock, in nanoseconds; 0 means that there is
 * none.
 */
#ifndef ARCH_CLOCK_H
#define ARCH_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/uuid.h"

struct clock_alarm {
	int timer;		/* the kernel's number */
	bool made;
};

#define NS_PER_S	((uint64_t)1000000000)
#define NS_PER_MS	((uint64_t)1000000)

/* Nanoseconds since the boot; never goes back, never 0. */
uint64_t clock_now_mono(void);
/* The same, and goes on while the host is suspended: for what ends on other hosts meanwhile. */
uint64_t clock_now_boot(void);
/* Seconds since 1970 by the wall clock, and the rest in ns unless that is NULL. */
int64_t clock_now_real(uint32_t *ns);
/*
 * SIGALRM in so many seconds, by the clock that goes on while the host is
 * suspended: who wakes up late gets it before he does anything else.  There is
 * one of them for the process; 0 = none any more.
 */
void clock_alarm(struct clock_alarm *a, unsigned int seconds);
/* The wait is not cut short by signals. */
void clock_sleep(uint64_t ns);
/* What is left until the deadline: 0 once it has passed, UINT64_MAX if there is none. */
uint64_t clock_left(uint64_t deadline);

/* Good for identities at any moment, also before the kernel's pool is seeded. */
void random_bytes(void *p, size_t n);
/* A fresh version 4 UUID. */
void random_uuid(struct uuid *u);

/* The kernel's name for this boot: two hosts, or two boots, never share one. */
int boot_id(struct uuid *u);
/*
 * When a process was started, in clock ticks since the boot.  A pid may be
 * used again, a pid with this number may not.  -ESRCH when there is no such
 * process.
 */
int pid_started(pid_t pid, uint64_t *ticks);

#endif
