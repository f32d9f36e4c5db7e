/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Run commands in turn and say what each of them took:
 *
 *	measure [-n ROUNDS] [-d DISK]... --- CMD ARG... [--- CMD ARG...]...
 *
 * One line a command, in their order, of numbers:
 *
 *	wall  wall_min  cpu  cpu_min  memory  reads  writes  flushes
 *
 * Microseconds, wall and cpu as medians of all rounds; memory is the largest
 * resident set in KiB.  With -d the requests that reached those disks (of
 * /sys/block) are counted, otherwise the calls of read and write by the process,
 * and flushes are 0; of all rounds the least.  A command that fails ends it all:
 * status 1, and what it said.  Output goes nowhere.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COMMANDS 16
#define DISKS	 8

struct count {
	uint64_t reads, writes, flushes;
};

struct command {
	char **argv;
	uint64_t *wall, *cpu;		/* microseconds, one a round */
	uint64_t memory;		/* KiB */
	struct count least;
};

static const char *disk[DISKS];
static int n_disks;

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t micro(struct timeval t)
{
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

/*
 * Fields 1, 5 and 16 of /sys/block/DISK/stat; old kernels do not count flushes.
 * A flush by itself is a write of nothing and counts as one too.
 */
static struct count disks(void)
{
	struct count sum = { 0 };

	for (int i = 0; i < n_disks; i++) {
		unsigned long long v[17] = { 0 };
		char path[256];
		FILE *f;

		snprintf(path, sizeof(path), "/sys/block/%s/stat", disk[i]);
		f = fopen(path, "re");
		if (!f)
			die(path);
		for (int k = 0; k < 17 && fscanf(f, "%llu", &v[k]) == 1; k++)
			;
		fclose(f);
		sum.reads += v[0];
		sum.writes += v[4] > v[15] ? v[4] - v[15] : 0;
		sum.flushes += v[15];
	}
	return sum;
}

/* Of a process that has ended and was not yet waited for. */
static struct count calls(pid_t pid)
{
	struct count c = { 0 };
	char path[64], line[128];
	unsigned long long v;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/io", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "syscr: %llu", &v) == 1)
			c.reads = v;
		if (sscanf(line, "syscw: %llu", &v) == 1)
			c.writes = v;
	}
	if (f)
		fclose(f);
	return c;
}

static void show(const char *name, int err)
{
	char buf[4096];
	ssize_t n;

	fprintf(stderr, "measure: %s failed\n", name);
	lseek(err, 0, SEEK_SET);
	while ((n = read(err, buf, sizeof(buf))) > 0)
		fwrite(buf, 1, (size_t)n, stderr);
	exit(1);
}

static void run(struct command *c, int round, int null, int err)
{
	struct count before = disks(), n;
	uint64_t start = now();
	pid_t pid = vfork();
	struct rusage use;
	siginfo_t ended;
	int status;

	if (pid < 0)
		die("vfork");
	if (!pid) {
		dup2(null, 0);
		dup2(err, 1);
		dup2(err, 2);
		execvp(c->argv[0], c->argv);
		_exit(127);
	}
	if (waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT))
		die("waitid");
	c->wall[round] = now() - start;
	n = calls(pid);
	if (wait4(pid, &status, 0, &use) < 0)
		die("wait4");
	if (status)
		show(c->argv[0], err);
	if (ftruncate(err, 0) || lseek(err, 0, SEEK_SET))
		die("truncate");
	if (n_disks) {
		n = disks();
		n.reads -= before.reads;
		n.writes -= before.writes;
		n.flushes -= before.flushes;
	}
	c->cpu[round] = micro(use.ru_utime) + micro(use.ru_stime);
	if ((uint64_t)use.ru_maxrss > c->memory)
		c->memory = (uint64_t)use.ru_maxrss;
	if (!round || n.reads + n.writes < c->least.reads + c->least.writes)
		c->least = n;
}

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void print(const struct command *c, size_t rounds)
{
	qsort(c->wall, rounds, sizeof(*c->wall), by_size);
	qsort(c->cpu, rounds, sizeof(*c->cpu), by_size);
	printf("%llu %llu %llu %llu %llu %llu %llu %llu\n", (unsigned long long)c->wall[rounds / 2],
	       (unsigned long long)c->wall[0], (unsigned long long)c->cpu[rounds / 2],
	       (unsigned long long)c->cpu[0], (unsigned long long)c->memory,
	       (unsigned long long)c->least.reads, (unsigned long long)c->least.writes,
	       (unsigned long long)c->least.flushes);
}

int main(int argc, char **argv)
{
	struct command c[COMMANDS] = { 0 };
	int n = 0, rounds = 5, at = 1, null, err;
	char log[] = "/tmp/measure.XXXXXX";

	for (; at + 1 < argc && strcmp(argv[at], "---"); at += 2) {
		if (!strcmp(argv[at], "-n"))
			rounds = atoi(argv[at + 1]);
		else if (!strcmp(argv[at], "-d") && n_disks < DISKS)
			disk[n_disks++] = argv[at + 1];
		else
			return 2;
	}
	for (int i = at; i < argc; i++)
		if (!strcmp(argv[i], "---")) {
			argv[i] = NULL;
			if (n == COMMANDS || i + 1 == argc)
				return 2;
			c[n++].argv = argv + i + 1;
		}
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	err = mkostemp(log, O_CLOEXEC);
	if (!n || rounds < 1 || null < 0 || err < 0)
		return 2;
	unlink(log);
	for (int i = 0; i < n; i++) {
		c[i].wall = calloc((size_t)rounds, sizeof(*c[i].wall));
		c[i].cpu = calloc((size_t)rounds, sizeof(*c[i].cpu));
		if (!c[i].wall || !c[i].cpu)
			die("calloc");
	}
	for (int r = 0; r < rounds; r++)
		for (int i = 0; i < n; i++)
			run(&c[i], r, null, err);
	for (int i = 0; i < n; i++)
		print(&c[i], (size_t)rounds);
	return 0;
}
