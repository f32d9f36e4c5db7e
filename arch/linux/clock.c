/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "arch/clock.h"
#include "lib/cleanup.h"
#include "lib/num.h"

/* clock_gettime() with these clocks has no way to fail. */
uint64_t clock_now_mono(void)
{
	struct timespec t = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec + 1;
}

uint64_t clock_now_boot(void)
{
	struct timespec t = { 0 };

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec + 1;
}

#ifndef SYS_timer_settime64	/* where time_t never had 32 bits */
#define SYS_timer_settime64	SYS_timer_settime
#endif

/*
 * The C library's timers bring their threads along.  A kernel without such timers
 * has those of alarm(2), which do not see a suspension.
 */
void clock_alarm(struct clock_alarm *a, unsigned int seconds)
{
	const struct itimerspec t = { .it_value = { .tv_sec = (time_t)seconds } };

	if (a->made && !seconds) {		/* one for each would be left in a process that lives long */
		syscall(SYS_timer_delete, a->timer);
		a->made = false;
		return;
	}
	if (!a->made && seconds)
		a->made = !syscall(SYS_timer_create, CLOCK_BOOTTIME, NULL, &a->timer);
	if (!a->made || syscall(SYS_timer_settime64, a->timer, 0, &t, NULL))
		alarm(seconds);
}

int64_t clock_now_real(uint32_t *ns)
{
	struct timespec t = { 0 };

	clock_gettime(CLOCK_REALTIME, &t);
	if (ns)
		*ns = (uint32_t)t.tv_nsec;
	return t.tv_sec;
}

void clock_sleep(uint64_t ns)
{
	struct timespec t = { (time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S) };

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

uint64_t clock_left(uint64_t deadline)
{
	uint64_t now;

	if (!deadline)
		return UINT64_MAX;
	now = clock_now_mono();
	return now < deadline ? deadline - now : 0;
}

/*
 * Without the system call and without /dev (a rescue shell in a bare chroot):
 * the sixteen random bytes the kernel gave this program at its start, made
 * different from call to call by the clock.
 */
static void weak_bytes(uint8_t *p, size_t n)
{
	const void *seed = (const void *)getauxval(AT_RANDOM);
	uint64_t state = 0;
	uint32_t ns;

	if (seed)
		memcpy(&state, seed, sizeof(state));
	state ^= clock_now_mono() ^ (uint64_t)getpid() << 40;
	state ^= (uint64_t)clock_now_real(&ns) ^ (uint64_t)ns << 32;
	for (size_t i = 0; i < n; i++) {
		uint64_t z = state += 0x9e3779b97f4a7c15;

		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
		z = (z ^ z >> 27) * 0x94d049bb133111eb;
		p[i] = (uint8_t)(z >> 24);
	}
}

/*
 * getrandom(2) without waiting: EAGAIN is a pool not seeded yet, early in the
 * boot, where /dev/urandom answers all the same.
 */
void random_bytes(void *buf, size_t n)
{
	uint8_t *p = buf;
	_close_ int fd = -1;

	while (n) {
		ssize_t got = fd < 0 ? getrandom(p, n, GRND_NONBLOCK) : read(fd, p, n);

		if (got > 0) {
			p += got;
			n -= (size_t)got;
		} else if (got < 0 && errno == EINTR) {
			continue;
		} else if (fd >= 0 || (fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC)) < 0) {
			weak_bytes(p, n);
			return;
		}
	}
}

void random_uuid(struct uuid *u)
{
	uint8_t b[16];

	random_bytes(b, sizeof(b));
	uuid_from_random(u, b);
}

/* A file of /proc as a string. */
static int read_proc(const char *path, char *s, size_t size)
{
	_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *end = s + size - 1;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while ((n = read(fd, s, (size_t)(end - s)))) {
		if (n > 0)
			s += n;
		else if (errno != EINTR)
			return -errno;
	}
	*s = '\0';
	return 0;
}

int boot_id(struct uuid *u)
{
	char s[64];
	int err = read_proc("/proc/sys/kernel/random/boot_id", s, sizeof(s));

	return err ? err : uuid_parse_n(u, s, strcspn(s, "\n"));
}

/*
 * /proc/PID/stat is "PID (NAME) STATE ..." with the start in the 22nd field.
 * The name is the process's own choice, blanks and brackets included, so
 * counting begins behind the last bracket.
 */
int pid_started(pid_t pid, uint64_t *ticks)
{
	char path[32], s[1024];
	const char *p;
	int err;

	if (pid <= 0)
		return -ESRCH;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	err = read_proc(path, s, sizeof(s));
	if (err)
		return err == -ENOENT ? -ESRCH : err;
	p = strrchr(s, ')');
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (!p)
		return -EPROTO;
	p += *p == ' ';
	return num_take(&p, ticks) ? 0 : -EPROTO;
}
