/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * logwrites LOG list			what the log holds, a line for each entry
 * logwrites LOG replay MARK DISK	do to DISK all that stands before MARK
 * logwrites LOG states FROM TO [MOST]	how many states there are between two marks
 * logwrites LOG state FROM TO MOST N DISK	make DISK, which is as at FROM, the N-th of them (from 0)
 *
 * LOG is what dm-log-writes wrote beside a disk, a file or device: a sector for
 * each entry, and its data behind it.  A state is what a power cut between the
 * two marks may leave.  What a flush covered is there; of the writes since then
 *
 *	- the first 0, 1, 2 … have arrived, the last of them whole or torn
 *	  between two of its sectors (behind the first, in the middle, before the last);
 *	- all but one, or one alone;
 *	- if they are at most MOST (6 without), any choice of them.
 *
 * Where they are more than 16, only some of them, evenly, are the one that is torn, last or alone.
 *
 * A write that went around the cache (FUA) is there with all that stands before
 * it as soon as anything is that stands behind it: the log does not tell what
 * was under way at the time.  What was discarded reads as zeroes.
 *
 * "state" says in a line what there is of which flush's writes.  The last of the
 * states is all that had been flushed, or written, before TO.
 *
 * A mark is set by "dmsetup message NAME 0 mark TEXT".  It stands behind what
 * was flushed before it, and before what was not: fsync the device first, or
 * look for the rest of the writes behind it.  The log is whole once its device
 * has been removed.  Status 1: no such log, mark or state.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lab/tools/dmlog.h"

#define SECTOR	512

static struct dmlog source;
static struct dmlog_entry *items;
static size_t n_items;

/* Of a group, which writes have arrived; of one of them perhaps only its first bytes. */
struct state { size_t group, from, to, torn; uint64_t bytes; bool *has; };

static void die(const char *what)
{
	fprintf(stderr, "logwrites: %s\n", what);
	exit(1);
}

static void read_log(const char *path)
{
	if (!dmlog_open(&source, path))
		die("this is no log of dm-log-writes");
	items = calloc(source.left + 1, sizeof(*items));
	while (source.left)
		if (!items || dmlog_next(&source, &items[n_items++]) != 1)
			die("the log is cut off");
}

/* The first mark of that name from there on. */
static size_t mark(const char *name, size_t from)
{
	for (size_t i = from; i < n_items; i++)
		if (items[i].flags & DMLOG_MARK && !strcmp(items[i].mark, name))
			return i;
	die("the log has no such mark");
	return 0;
}

static void list(void)
{
	for (size_t i = 0; i < n_items; i++) {
		struct dmlog_entry *e = &items[i];

		printf("%zu %s%s%s%s%llu+%llu %s\n", i, e->flags & DMLOG_FLUSH ? "flush " : "", e->flags & DMLOG_FUA ? "fua " : "",
		       e->flags & DMLOG_DISCARD ? "discard " : "", e->flags & DMLOG_MARK ? "mark " : "",
		       (unsigned long long)e->sector, (unsigned long long)e->n, items[i].mark);
	}
}

/* Do one write, or its first bytes, to the disk. */
static void put(int disk, const struct dmlog_entry *i, uint64_t bytes)
{
	static char chunk[1 << 20], zero[sizeof(chunk)];
	uint64_t done = 0;

	while (done < bytes) {
		size_t len = bytes - done < sizeof(chunk) ? (size_t)(bytes - done) : sizeof(chunk);

		if (!(i->flags & DMLOG_DISCARD))
			if (!dmlog_get(&source, chunk, len, i->data + done))
				die("the log is cut off");
		if (pwrite(disk, i->flags & DMLOG_DISCARD ? zero : chunk, len, (off_t)(i->sector * source.unit + done)) != (ssize_t)len)
			die("the disk cannot be written");
		done += len;
	}
}

static uint64_t bytes_of(size_t i) { return items[i].n * source.unit; }

/* --- states --------------------------------------------------------------------- */

static size_t wanted, count;
static struct state found;

static void emit(const struct state *s)
{
	if (count++ != wanted)
		return;
	found = *s;
	found.has = malloc(s->to - s->from + 1);
	memcpy(found.has, s->has, s->to - s->from);
}

/* A choice that leaves out what went around the cache leaves out all behind it. */
static bool is_legal(const struct state *s)
{
	bool lost = false;

	for (size_t i = s->from; i < s->to; i++) {
		if (s->has[i - s->from] && lost)
			return false;
		if (!s->has[i - s->from] && items[i].flags & DMLOG_FUA)
			lost = true;
	}
	return true;
}

static void emit_legal(const struct state *s)
{
	if (is_legal(s))
		emit(s);
}

/* The first n, the last of them torn in three places. */
static void torn(struct state *s, size_t last)
{
	uint64_t all = bytes_of(last) / SECTOR, at[] = { 1, all / 2, all - 1 }, before = 0;

	if (items[last].flags & DMLOG_DISCARD)
		return;
	s->torn = last;
	for (size_t k = 0; k < sizeof(at) / sizeof(*at); k++) {
		if (at[k] <= before || at[k] >= all)
			continue;
		before = at[k];
		s->bytes = at[k] * SECTOR;
		emit(s);
	}
	s->torn = SIZE_MAX;
}

/* Writes [from, to) were sent since the last flush, or with it; marks among them are nothing. */
static void group(size_t number, size_t from, size_t to, unsigned most)
{
	struct state s = { number, from, to, SIZE_MAX, 0, calloc(to - from + 1, 1) };
	size_t *w = calloc(to - from + 1, sizeof(*w)), n = 0, step;

	for (size_t i = from; i < to; i++)
		if (items[i].n && !(items[i].flags & DMLOG_MARK))
			w[n++] = i;
	step = n / 16 + 1;
	if (n <= most) {
		for (unsigned long bits = 0; bits + 1 < 1UL << n; bits++) {
			for (size_t i = 0; i < n; i++)
				s.has[w[i] - from] = bits >> i & 1;
			emit_legal(&s);
		}
		for (size_t i = 0; i < n; i++)
			s.has[w[i] - from] = true;
	} else {
		for (size_t i = 0; i < n; i += step) {
			memset(s.has, 0, to - from);
			s.has[w[i] - from] = true;
			emit_legal(&s);
			memset(s.has, 1, to - from);
			s.has[w[i] - from] = false;
			emit_legal(&s);
		}
		memset(s.has, 0, to - from);
		for (size_t i = 0; i < n; i++) {
			if (i % step == 0)
				emit(&s);
			s.has[w[i] - from] = true;
		}
	}
	/* All of them is the next group's none, if it has any writes; and torn prefixes. */
	memset(s.has, 0, to - from);
	for (size_t i = 0; i < n; i++) {
		s.has[w[i] - from] = true;
		if (i % step == 0)
			torn(&s, w[i]);
	}
	free(s.has);
	free(w);
}

static size_t states(size_t from, size_t to, unsigned most)
{
	size_t start = from, number = 0;
	struct state all = { 0, from, to, SIZE_MAX, 0, calloc(to - from + 1, 1) };

	for (size_t i = from; i < to; i++)
		if (items[i].flags & DMLOG_FLUSH) {
			group(number++, start, i, most);
			start = i;
		}
	group(number++, start, to, most);
	memset(all.has, 1, to - from);
	all.group = number;
	emit(&all);
	free(all.has);
	return number;
}

static void say(const struct state *s, size_t groups)
{
	printf("state %zu, flush %zu of %zu:", wanted, s->group, groups);
	if (s->group == groups)
		printf(" all");
	else
		for (size_t i = s->from; i < s->to; i++)
			if (s->has[i - s->from] && items[i].n)
				printf(" %zu", i);
	if (s->torn != SIZE_MAX)
		printf(" (%llu bytes of it)", (unsigned long long)s->bytes);
	printf("\n");
}

static void make_state(size_t from, size_t to, unsigned most, const char *path)
{
	size_t groups = states(from, to, most);
	int disk = open(path, O_WRONLY | O_CLOEXEC);

	if (count <= wanted)
		die("there are not so many states");
	if (disk < 0)
		die(strerror(errno));
	for (size_t i = from; i < found.to; i++) {
		if (items[i].flags & DMLOG_MARK || (i >= found.from && !found.has[i - found.from]))
			continue;
		put(disk, &items[i], i == found.torn ? found.bytes : bytes_of(i));
	}
	if (close(disk))
		die(strerror(errno));
	say(&found, groups);
}

static void replay(size_t to, const char *path)
{
	int disk = open(path, O_WRONLY | O_CLOEXEC);

	if (disk < 0)
		die(strerror(errno));
	for (size_t i = 0; i < to; i++)
		if (!(items[i].flags & DMLOG_MARK))
			put(disk, &items[i], bytes_of(i));
	if (close(disk))
		die(strerror(errno));
}

int main(int argc, char **argv)
{
	size_t from;

	if (argc < 3)
		return fprintf(stderr, "usage: logwrites LOG list|replay|states|state …\n"), 2;
	read_log(argv[1]);
	if (!strcmp(argv[2], "list") && argc == 3) {
		list();
	} else if (!strcmp(argv[2], "replay") && argc == 5) {
		replay(mark(argv[3], 0), argv[4]);
	} else if (!strcmp(argv[2], "states") && argc >= 5) {
		wanted = SIZE_MAX;
		from = mark(argv[3], 0);
		states(from, mark(argv[4], from), argc > 5 ? (unsigned)atoi(argv[5]) : 6);
		printf("%zu\n", count);
	} else if (!strcmp(argv[2], "state") && argc == 8) {
		wanted = strtoul(argv[6], NULL, 10);
		from = mark(argv[3], 0);
		make_state(from, mark(argv[4], from), (unsigned)atoi(argv[5]), argv[7]);
	} else {
		return fprintf(stderr, "logwrites: see its head\n"), 2;
	}
	return 0;
}
