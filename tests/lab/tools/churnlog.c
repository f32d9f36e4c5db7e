/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * churnlog: what a power cut would have left of a VHD that churn was writing.
 *
 *	churnlog LOG BASE MIB SEED EVERY
 *
 * LOG is that of a dm-log-writes device with the image, and BASE what that was before.
 * After every so many writes, and at each flush, the power fails: once all that was
 * written so far is there, once any sectors of what was not flushed yet.  Each time
 * the image is sound, what churn had been told is flushed is there, and all else is
 * old or new.
 *
 * In the log writes stand in the order in which they ended, and those that a flush
 * covers before it.
 */
#include <fcntl.h>
#include <unistd.h>

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/vhd/check.h"
#include "lib/vhd/vhd.h"
#include "tests/lab/tools/churn.h"
#include "tests/lab/tools/dmlog.h"

#define GROUP		4096u		/* writes between two flushes */

/* A write that was not flushed yet, within the image. */
struct pending { uint64_t at, len; uint8_t *data, *was; };

static struct dmlog source;
static uint64_t bytes, last_zero[THREADS][1 << 16];
static uint8_t *flushed;		/* the image, as after the last flush */
static struct pending group[GROUP];
static size_t n_group;
static struct thread thread[THREADS];
static uint64_t promised[THREADS];
static uint64_t cuts, dice;

static _Noreturn void bad(const char *what, uint64_t a, uint64_t b)
{
	fprintf(stderr, "churnlog: cut %llu: %s (%llu, %llu)\n", (unsigned long long)cuts, what,
		(unsigned long long)a, (unsigned long long)b);
	exit(1);
}

/* --- one power cut ----------------------------------------------------------- */

/* Old as promised, or what a later operation makes of it. */
static bool may_be(const struct sector *p, const struct thread *t, uint64_t s)
{
	struct op o;

	if (is_right(p, t, s) || (last_zero[t->id][s] > promised[t->id] && is_number(p, t, 0, s)))
		return true;
	if (p->magic != magic || p->number <= promised[t->id])
		return false;
	o = nth(t, p->number);
	return o.kind == WRITE && s >= o.at && s < o.at + o.n && is_number(p, t, p->number, s);
}

static void judge_data(struct vhd *v)
{
	static struct sector place[PLACE];

	for (int i = 0; i < THREADS; i++)
		for (uint64_t s = 0; s < thread[i].n; s++) {
			if (!(s % PLACE) && vhd_read_alone(v, on_disk(&thread[i], s) * SECTOR, place, sizeof(place)))
				bad("cannot be read", (uint64_t)i, s);
			if (!may_be(&place[s % PLACE], &thread[i], s)) {
				fprintf(stderr, "churnlog: thread %d, sector %llu of it: has %llx %llu; of %llu, want %llu\n", i,
					(unsigned long long)s, (unsigned long long)place[s % PLACE].magic,
					(unsigned long long)place[s % PLACE].number, (unsigned long long)promised[i],
					(unsigned long long)thread[i].want[s].number);
				bad("what was flushed is not there", (uint64_t)i, s);
			}
		}
}

static int mem_read(struct io *io, uint64_t at, void *buf, size_t len)
{
	memcpy(buf, flushed + at, len);
	return 0;
}

static void judge_image(void)
{
	static const struct io_ops ops = { .read = mem_read };
	struct io io = { .ops = &ops, .size = bytes, .sector = SECTOR, .read_only = true, .fd = -1 };
	struct arena a = { 0 };
	struct vhd_findings f = { .arena = &a };
	_vhd_close_ struct vhd *v = NULL;
	int err = vhd_check(&io, VHD_CHECK_BITMAPS, 0, &f);

	if (err)
		bad(err_text(err), 0, 0);
	for (size_t i = 0; i < f.n; i++)
		if (f.v[i].severity == VHD_DAMAGE || (f.v[i].severity == VHD_WARNING && !f.v[i].mendable))
			bad(f.v[i].what, 0, 0);
	err = vhd_open(&v, &io, 0);
	if (err)
		bad(err_text(err), 0, 1);
	judge_data(v);
	arena_free(&a);
}

static void swap(size_t i, bool in)
{
	struct pending *w = &group[i];

	if (in)
		memcpy(w->was, flushed + w->at, w->len);
	for (uint64_t k = 0; k < w->len; k += SECTOR)
		if (!in)
			memcpy(flushed + w->at + k, w->was + k, SECTOR);
		else if (!dice || (dice = mix(dice)) % 3)
			memcpy(flushed + w->at + k, w->data + k, SECTOR);
}

/* With all that was written (how: 0), or with some of it. */
static void cut(uint64_t how)
{
	dice = how;
	for (size_t i = 0; i < n_group; i++)
		swap(i, true);
	judge_image();
	for (size_t i = n_group; i--; )
		swap(i, false);
	cuts++;
}

/* --- the log ------------------------------------------------------------------ */

static void settle(void)
{
	for (size_t i = 0; i < n_group; i++) {
		memcpy(flushed + group[i].at, group[i].data, group[i].len);
		free(group[i].data);
		free(group[i].was);
	}
	n_group = 0;
}

static void take(const struct dmlog_entry *e)
{
	struct pending w = { .at = e->sector * source.unit, .len = e->n * source.unit };

	w.data = calloc(1, w.len);
	w.was = malloc(w.len);
	if (!w.data || !w.was || n_group == GROUP || w.at + w.len > bytes)
		bad("too much", n_group, w.at);
	if (!(e->flags & DMLOG_DISCARD) && !dmlog_get(&source, w.data, w.len, e->data))
		bad("the log ends", e->data, w.len);
	group[n_group++] = w;
}

static void promise(const char *text)
{
	uint64_t n[THREADS];

	if (sscanf(text, "churn:%lu:%lu:%lu:%lu", &n[0], &n[1], &n[2], &n[3]) != THREADS)
		return;
	for (int i = 0; i < THREADS; i++)
		while (promised[i] < n[i]) {
			struct op o = nth(&thread[i], ++promised[i]);

			apply(&thread[i], &o, promised[i]);
		}
}

/* Which zeroes may come: by the last operation that makes some. */
static void find_zeroes(uint64_t most)
{
	for (int t = 0; t < THREADS; t++)
		for (uint64_t i = 1; i <= most; i++) {
			struct op o = nth(&thread[t], i);

			for (uint64_t s = o.at; (o.kind == ZERO || o.kind == TRIM) && s < o.at + o.n; s++)
				last_zero[t][s] = i;
		}
}

static void replay(uint64_t every)
{
	uint64_t flushes = 0, writes = 0, i = 0;
	struct dmlog_entry e;
	int more;

	while ((more = dmlog_next(&source, &e)) > 0) {
		i++;
		/* It stands behind what it covers, with its own data. */
		if (e.flags & DMLOG_FLUSH) {
			if (n_group)
				cut(mix(i));
			settle();
			flushes++;
		}
		if (e.flags & DMLOG_MARK) {
			promise(e.mark);
		} else if (e.n) {
			take(&e);
			if (++writes % every)
				continue;
			cut(0);
			cut(mix(i + 1));
		}
	}
	if (more)
		bad("the log ends", i, 0);
	cut(0);
	printf("%llu writes, %llu flushes, %llu cuts; promised %llu %llu %llu %llu\n", (unsigned long long)writes,
	       (unsigned long long)flushes, (unsigned long long)cuts, (unsigned long long)promised[0],
	       (unsigned long long)promised[1], (unsigned long long)promised[2], (unsigned long long)promised[3]);
}

int main(int argc, char **argv)
{
	int base = argc == 6 ? open(argv[2], O_RDONLY | O_CLOEXEC) : -1;
	off_t end = lseek(base, 0, SEEK_END);

	if (end <= 0)
		return 2;
	bytes = (uint64_t)end;
	flushed = malloc(bytes);
	if (!flushed || pread_all(base, flushed, bytes, 0) || !dmlog_open(&source, argv[1]))
		return 2;
	make_threads(thread, strtoull(argv[3], NULL, 10));
	seed = strtoull(argv[4], NULL, 10);
	if (thread[0].n > sizeof(last_zero[0]) / sizeof(last_zero[0][0]))
		return 2;
	find_zeroes(100000);
	replay(strtoull(argv[5], NULL, 10));
	return promised[0] ? 0 : 1;
}
