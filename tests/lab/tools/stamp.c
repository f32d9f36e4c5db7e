/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * stamp: numbered writes to a disk, by which any copy of it can be judged.
 *
 *	stamp write DEV SECONDS		until then, or SIGTERM; prints what was done, and the
 *					longest that one write took
 *	stamp check DEV [N...]		prints how far each thread had come; N: not less than that
 *
 * Each thread has pages of its own and writes one after the other, at places
 * that follow from the write's number.  So the newest number in a copy says
 * what all of the thread's pages must be.  Each write also carries what the
 * others had been told of when it began, and a copy of one moment has that too.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define THREADS	4
#define PAGE	4096
#define PAUSE	5000			/* us between writes: others have things to do as well */
#define PAGES	256			/* of each thread; all together they have 4 MiB */

struct page {
	uint64_t magic, thread, number, seen[THREADS], rest[(PAGE - (3 + THREADS) * 8) / 8];
};
_Static_assert(sizeof(struct page) == PAGE, "a page");

static const uint64_t magic = 0x706d617473;
static uint64_t done[THREADS], slowest[THREADS];
static volatile sig_atomic_t stop;
static int fd;

static uint64_t place(uint64_t t, uint64_t i)
{
	return (i * 2654435761u + t * 40503u) % PAGES;
}

static off_t at(uint64_t t, uint64_t page)
{
	return (off_t)((page * THREADS + t) * PAGE);
}

static void fill(struct page *p, uint64_t t, uint64_t i)
{
	p->magic = magic;
	p->thread = t;
	p->number = i;
	for (size_t n = 0; n < sizeof(p->rest) / 8; n++)
		p->rest[n] = (t << 56 | i) * (n + 1);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void die(const char *what, uint64_t t, uint64_t i)
{
	fprintf(stderr, "stamp: thread %d, write %llu: %s\n", (int)t, (unsigned long long)i, what);
	exit(1);
}

static void *writer(void *arg)
{
	uint64_t t = (uintptr_t)arg;
	struct page *p = aligned_alloc(PAGE, PAGE);

	for (uint64_t i = 1; !stop; i++) {
		uint64_t began = now(), took;

		for (int u = 0; u < THREADS; u++)
			p->seen[u] = __atomic_load_n(&done[u], __ATOMIC_ACQUIRE);
		fill(p, t, i);
		if (pwrite(fd, p, PAGE, at(t, place(t, i))) != PAGE)
			die(strerror(errno), t, i);
		if (i % 64 == 0 && fdatasync(fd))
			die(strerror(errno), t, i);
		__atomic_store_n(&done[t], i, __ATOMIC_RELEASE);
		took = now() - began;
		if (took > slowest[t])
			slowest[t] = took;
		usleep(PAUSE);
	}
	return NULL;
}

static void on_signal(int sig)
{
	stop = 1;
}

static int write_all(unsigned int seconds)
{
	pthread_t th[THREADS];
	uint64_t most = 0;

	signal(SIGTERM, on_signal);
	signal(SIGALRM, on_signal);
	alarm(seconds);
	for (uintptr_t t = 0; t < THREADS; t++)
		if (pthread_create(&th[t], NULL, writer, (void *)t))
			return 1;
	for (int t = 0; t < THREADS; t++) {
		pthread_join(th[t], NULL);
		most = slowest[t] > most ? slowest[t] : most;
	}
	for (int t = 0; t < THREADS; t++)
		printf("%llu ", (unsigned long long)done[t]);
	printf("slowest %llu ms\n", (unsigned long long)most / 1000);
	return fsync(fd) ? 1 : 0;
}

static struct page disk[THREADS * PAGES] __attribute__((aligned(PAGE)));

static uint64_t check_thread(uint64_t t, uint64_t seen[THREADS])
{
	struct page *v = aligned_alloc(PAGE, PAGE * PAGES), *want = aligned_alloc(PAGE, PAGE);
	uint64_t last[PAGES] = { 0 }, n = 0;

	for (uint64_t i = 0; i < PAGES; i++)
		memcpy(&v[i], &disk[i * THREADS + t], PAGE);
	for (int i = 0; i < PAGES; i++)
		if (v[i].magic == magic && v[i].number > n)
			n = v[i].number;
	for (uint64_t i = 1; i <= n; i++)
		last[place(t, i)] = i;
	memset(seen, 0, THREADS * sizeof(*seen));
	for (int i = 0; i < PAGES; i++) {
		memset(want, 0, PAGE);
		if (last[i])
			fill(want, t, last[i]);
		memcpy(want->seen, v[i].seen, last[i] ? sizeof(want->seen) : 0);
		if (memcmp(want, &v[i], PAGE)) {
			fprintf(stderr, "stamp: thread %d, page %d of %llu writes: has %llu, want %llu\n",
				(int)t, i, (unsigned long long)n, (unsigned long long)v[i].number,
				(unsigned long long)last[i]);
			exit(1);
		}
		if (n && last[i] == n)
			memcpy(seen, v[i].seen, sizeof(v[i].seen));
	}
	free(v);
	free(want);
	return n;
}

static int check(char **least, int n_least)
{
	uint64_t n[THREADS], seen[THREADS][THREADS];

	if (pread(fd, disk, sizeof(disk), 0) != sizeof(disk))
		die("cannot be read", 0, 0);
	for (uint64_t t = 0; t < THREADS; t++) {
		n[t] = check_thread(t, seen[t]);
		printf("%llu ", (unsigned long long)n[t]);
		if ((int)t < n_least && n[t] < strtoull(least[t], NULL, 10))
			die("it had been promised more", t, n[t]);
	}
	for (int t = 0; t < THREADS; t++)
		for (int u = 0; u < THREADS; u++)
			if (seen[t][u] > n[u])
				die("knows of what is not there", (uint64_t)t, seen[t][u]);
	printf("\n");
	return 0;
}

int main(int argc, char **argv)
{
	int write = argc > 3 && !strcmp(argv[1], "write");

	if (argc < 3)
		return 2;
	fd = open(argv[2], (write ? O_RDWR : O_RDONLY) | O_DIRECT | O_CLOEXEC);
	if (fd < 0) {
		perror(argv[2]);
		return 1;
	}
	return write ? write_all((unsigned int)atoi(argv[3])) : check(argv + 3, argc - 3);
}
