/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * churn: random reads, writes, zeroes and trims of any size and place, and a model of
 * what they leave, by which the disk and any copy of it can be judged.
 *
 *	churn write DEV MIB SEED TIMES [LOG]	the first MIB of it, so often or until SIGTERM; prints how
 *						far each thread has come; with marks after
 *						flushes in a LOG of dm-log-writes (churnlog.c)
 *	churn check DEV MIB SEED [N...]		prints the same of a copy; N: not less than that
 *
 * Each thread has places of its own and does one operation after the other, which
 * follow from the seed and the operation's number.  Each sector says by which one it
 * was written, so the newest number in a copy says what all of the thread's sectors
 * must be: a copy is one moment of the disk or it is none.  It also says what the
 * other threads had been told of when that write began, and the copy of one moment
 * has that too.  What is trimmed may be as before, or zeroes.
 *
 * While it writes each thread reads as well, and compares.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "arch/dm.h"
#include "tests/lab/tools/churn.h"

#define PAUSE	10000			/* us between two: others have things to do as well */

static uint64_t done[THREADS];
static uint64_t most;
static volatile sig_atomic_t stop;
static const char *log_name;
static int fd, ctl = -1;

static _Noreturn void die(const char *what, const struct thread *t, uint64_t i)
{
	fprintf(stderr, "churn: thread %d, operation %llu: %s\n", (int)t->id, (unsigned long long)i, what);
	exit(1);
}

/* --- writing --------------------------------------------------------------- */

static bool transfer(const struct thread *t, const struct op *o, bool in)
{
	size_t len = o->n * SECTOR;
	off_t at = (off_t)(on_disk(t, o->at) * SECTOR);

	return (in ? pread(fd, t->buf, len, at) : pwrite(fd, t->buf, len, at)) == (ssize_t)len;
}

static bool range(const struct thread *t, const struct op *o, unsigned long what)
{
	uint64_t r[2] = { on_disk(t, o->at) * SECTOR, o->n * SECTOR };

	return !ioctl(fd, what, r) || (what == BLKDISCARD && errno == EOPNOTSUPP);
}

static bool write_op(struct thread *t, const struct op *o, uint64_t i)
{
	uint64_t seen[THREADS];

	for (int u = 0; u < THREADS; u++)
		seen[u] = __atomic_load_n(&done[u], __ATOMIC_ACQUIRE);
	for (uint64_t k = 0; k < o->n; k++) {
		fill(&t->buf[k], t, i, o->at + k);
		memcpy(t->buf[k].seen, seen, sizeof(seen));
	}
	return transfer(t, o, false);
}

static bool read_op(struct thread *t, const struct op *o, uint64_t i)
{
	if (!transfer(t, o, true))
		return false;
	for (uint64_t k = 0; k < o->n; k++)
		if (!is_right(&t->buf[k], t, o->at + k)) {
			fprintf(stderr, "churn: sector %llu has %llx %llu, want %llu%s\n",
				(unsigned long long)on_disk(t, o->at + k), (unsigned long long)t->buf[k].magic,
				(unsigned long long)t->buf[k].number, (unsigned long long)t->want[o->at + k].number,
				t->want[o->at + k].trimmed ? " or zeroes" : "");
			die("reads what was not written", t, i);
		}
	return true;
}

/* What had been answered when a flush began is on the disk when it ends: a mark in the log says so. */
static bool flush_op(void)
{
	char mark[128];
	uint64_t n[THREADS];

	for (int u = 0; u < THREADS; u++)
		n[u] = __atomic_load_n(&done[u], __ATOMIC_ACQUIRE);
	if (fdatasync(fd))
		return false;
	snprintf(mark, sizeof(mark), "mark churn:%llu:%llu:%llu:%llu", (unsigned long long)n[0],
		 (unsigned long long)n[1], (unsigned long long)n[2], (unsigned long long)n[3]);
	return !log_name || !dm_message(ctl, dm_by_name(log_name), 0, mark, NULL, NULL);
}

static void *churn(void *arg)
{
	struct thread *t = arg;

	for (uint64_t i = 1; !stop && i <= most; i++) {
		struct op o = nth(t, i);
		bool ok = true;

		switch (o.kind) {
		case WRITE: ok = write_op(t, &o, i); break;
		case READ: ok = read_op(t, &o, i); break;
		case ZERO: ok = range(t, &o, BLKZEROOUT); break;
		case TRIM: ok = range(t, &o, BLKDISCARD); break;
		case FLUSH: ok = flush_op(); break;
		}
		if (!ok)
			die(strerror(errno), t, i);
		apply(t, &o, i);
		__atomic_store_n(&done[t->id], i, __ATOMIC_RELEASE);
		usleep(PAUSE);
	}
	return NULL;
}

static void on_signal(int sig)
{
	stop = 1;
}

static int write_all(struct thread *t)
{
	pthread_t th[THREADS];

	signal(SIGTERM, on_signal);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&th[i], NULL, churn, &t[i]))
			return 1;
	for (int i = 0; i < THREADS; i++)
		pthread_join(th[i], NULL);
	for (int i = 0; i < THREADS; i++)
		printf("%llu ", (unsigned long long)done[i]);
	printf("\n");
	return fsync(fd) ? 1 : 0;
}

/* --- judging ----------------------------------------------------------------- */

/* The thread's sectors; the newest number among them. */
static uint64_t load(struct thread *t, struct sector *v)
{
	uint64_t newest = 0;

	for (uint64_t s = 0; s < t->n; s += PLACE)
		if (pread(fd, v + s, PLACE * SECTOR, (off_t)(on_disk(t, s) * SECTOR)) != PLACE * SECTOR)
			die("cannot be read", t, s);
	for (uint64_t s = 0; s < t->n; s++)
		if (v[s].magic == magic && v[s].number > newest)
			newest = v[s].number;
	return newest;
}

/* The first sector that is not as the model says, but for what an operation under way may have done. */
static uint64_t first_wrong(const struct thread *t, const struct sector *v, const struct op *way, uint64_t i)
{
	for (uint64_t s = 0; s < t->n; s++) {
		bool in = way && s >= way->at && s < way->at + way->n;

		if (!is_right(&v[s], t, s) &&
		    !(in && is_number(&v[s], t, way->kind == WRITE ? i : 0, s) && way->kind != READ))
			return s;
	}
	return t->n;
}

/*
 * How far had it come?  Operations after the newest write have left no number; the
 * one that was under way may be there in part.
 */
static uint64_t judge(struct thread *t, const struct sector *v, uint64_t newest)
{
	uint64_t best = UINT64_MAX, wrong = 0;

	for (uint64_t i = 1; ; i++) {
		struct op o = nth(t, i);

		if (i >= newest) {
			uint64_t s = first_wrong(t, v, &o, i);

			if (s == t->n)
				best = i - 1;
			else if (i == newest)
				wrong = s;
		}
		if (i > newest && o.kind == WRITE)
			break;
		apply(t, &o, i);
		if (i >= newest && first_wrong(t, v, NULL, 0) == t->n)
			best = i;
	}
	if (best == UINT64_MAX) {
		fprintf(stderr, "churn: of %llu operations: sector %llu has %llx %llu, want %llu\n",
			(unsigned long long)newest, (unsigned long long)on_disk(t, wrong),
			(unsigned long long)v[wrong].magic, (unsigned long long)v[wrong].number,
			(unsigned long long)t->want[wrong].number);
		die("is no moment of the disk", t, newest);
	}
	return best;
}

static int check(struct thread *t, char **least, int n_least)
{
	struct sector *v = aligned_alloc(4096, t->n * SECTOR);
	uint64_t n[THREADS], seen[THREADS] = { 0 };

	for (int i = 0; i < THREADS; i++) {
		n[i] = judge(&t[i], v, load(&t[i], v));
		for (uint64_t s = 0; s < t[i].n; s++)
			for (int u = 0; u < THREADS; u++)
				if (v[s].magic == magic && v[s].seen[u] > seen[u])
					seen[u] = v[s].seen[u];
		printf("%llu ", (unsigned long long)n[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		if (i < n_least && n[i] < strtoull(least[i], NULL, 10))
			die("it had been promised more", &t[i], n[i]);
		if (seen[i] > n[i])
			die("others know of what is not there", &t[i], seen[i]);
	}
	printf("\n");
	return 0;
}

int main(int argc, char **argv)
{
	bool write = argc >= 6 && !strcmp(argv[1], "write");
	struct thread t[THREADS];
	unsigned int size = SECTOR;

	if (argc < 5 || (!write && strcmp(argv[1], "check")))
		return 2;
	seed = strtoull(argv[4], NULL, 10);
	fd = open(argv[2], (write ? O_RDWR : O_RDONLY) | O_DIRECT | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, BLKSSZGET, &size)) {
		perror(argv[2]);
		return 1;
	}
	unit = size / SECTOR;
	make_threads(t, strtoull(argv[3], NULL, 10));
	if (write && argc == 7) {
		log_name = argv[6];
		ctl = dm_open();
	}
	most = write ? strtoull(argv[5], NULL, 10) : 0;
	return write ? write_all(t) : check(t, argv + 5, argc - 5);
}
