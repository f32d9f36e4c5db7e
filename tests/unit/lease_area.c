/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two hosts and one device.  Whatever one does is interrupted at each of its
 * reads, writes and flushes by all that the other does: in between, and with
 * the first one asleep for longer than anybody waits, or dead from there on.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/io.h"
#include "lib/io_test.h"
#include "lib/lease_area.h"
#include "tests/unit/t.h"

static const struct uuid disk = { "2b1f7c90-0c3d-4a6f-8e55-1d0a9c7e4f21" };
static const struct uuid hosts[] = {
	{ "aaaaaaaa-0000-4000-8000-000000000001" }, { "aaaaaaaa-0000-4000-8000-000000000002" },
};

/* --- the world ------------------------------------------------------------------- */

static uint64_t clock_ns, draws;
static bool is_dead[2];		/* what the other one believes, of what was written before … */
static uint64_t condemned;	/* … this, where that matters */

static uint64_t now(void *arg) { return clock_ns; }
static uint64_t draw(void *arg) { return ++draws; }
static void pass(void *arg, uint64_t ns) { clock_ns += ns; }

static int dead(void *arg, const struct lease *l)
{
	for (size_t i = 0; i < 2; i++)
		if (uuid_equal(&l->host, &hosts[i]))
			return is_dead[i] && (!condemned || l->stamp <= condemned);
	return 0;
}

/* A device on which something happens before the n-th call. */
struct hooked {
	struct io io;
	struct io *base;
	long calls, at;
	void (*hook)(void);
	bool dies;
};

static int step(struct io *io)
{
	struct hooked *h = (struct hooked *)io;

	if (++h->calls == h->at && h->hook)
		h->hook();
	return h->dies && h->at && h->calls >= h->at ? -EIO : 0;
}

static int hooked_read(struct io *io, uint64_t at, void *buf, size_t len)
{
	int err = step(io);

	return err ? err : io_read(((struct hooked *)io)->base, at, buf, len);
}

static int hooked_write(struct io *io, uint64_t at, const void *buf, size_t len)
{
	int err = step(io);

	return err ? err : io_write(((struct hooked *)io)->base, at, buf, len);
}

static int hooked_flush(struct io *io)
{
	int err = step(io);

	return err ? err : io_flush(((struct hooked *)io)->base);
}

static const struct io_ops hooked_ops = { .read = hooked_read, .write = hooked_write, .flush = hooked_flush };

static struct hooked dev;
static struct lease_area area[2];
static struct lease record[2];		/* what each of them writes */
static int answer[2];

static void set_up(void)
{
	struct io *base = io_sparse(LEASE_AREA_BYTES, LEASE_AREA_BYTES, 0);

	is_dead[0] = is_dead[1] = false;
	condemned = 0;
	dev = (struct hooked){
		.io = { .ops = &hooked_ops, .size = LEASE_AREA_BYTES, .sector = 512, .fd = -1 }, .base = base,
	};
	lease_area_format(base, NULL);
	for (size_t i = 0; i < 2; i++) {
		area[i] = (struct lease_area){
			.io = base, .host = hosts[i], .now = now, .random = draw, .wait = pass, .dead = dead,
		};
		record[i] = (struct lease){
			.state = LEASE_HELD, .vdi = disk, .host = hosts[i], .term = 30,
		};
		lease_area_join(&area[i], &record[i]);
	}
	area[0].io = &dev.io;			/* the first one is interrupted */
	dev.calls = 0;
}

static void tear_down(void)
{
	io_close(dev.base);
}

/* Host i takes the lock, as it is now. */
static int take(size_t i)
{
	struct lease was;
	int err = lease_area_read(&area[i], &disk, &was);

	if (!err && was.state == LEASE_HELD && !dead(NULL, &was))
		return -EBUSY;
	return err ? err : lease_area_swap(&area[i], &was, &record[i]);
}

static void second_takes(void) { answer[1] = take(1); }

static void first_sleeps(void)
{
	clock_ns += 40000000000;
	is_dead[0] = true;
	second_takes();
}

static void second_takes_and_gives(void)
{
	struct lease held = record[1], is_free = record[1];

	second_takes();
	held = record[1];
	is_free.state = LEASE_FREE;
	if (!answer[1])
		lease_area_swap(&area[1], &held, &is_free);
}

/* Who has it, by what is on the device? -1 nobody. */
static int holder(void)
{
	struct lease l;

	if (lease_area_read(&area[1], &disk, &l))
		return -2;
	return l.state != LEASE_HELD ? -1 : uuid_equal(&l.host, &hosts[0]) ? 0 : 1;
}

/* Do something at every step of it; how many steps there were. */
static long at_each_step(int (*doing)(void), void (*hook)(void), bool dies, void (*check)(long n))
{
	long n;

	for (n = 1; ; n++) {
		set_up();
		answer[1] = -EALREADY;
		dev.at = 0;
		dev.hook = hook;
		dev.dies = dies;
		dev.calls = 0;
		dev.at = n;
		answer[0] = doing();
		if (dev.calls < n) {
			tear_down();
			return n;
		}
		dev.dies = false;
		check(n);
		tear_down();
	}
}

static int first_takes(void) { return take(0); }

static long wins[2], none;

static void one_at_most(long n)
{
	OK(answer[0] || answer[1]);
	wins[0] += !answer[0];
	wins[1] += !answer[1];
	none += answer[0] && answer[1];
	EQ(holder(), !answer[0] ? 0 : !answer[1] ? 1 : -1);
}

TEST(lease_area_of_two_who_want_it_one_gets_it_at_most)
{
	wins[0] = wins[1] = none = 0;
	OK(at_each_step(first_takes, second_takes, false, one_at_most) > 8);
	OK(wins[0] > 0 && wins[1] > 0);
}

static void second_only(long n)
{
	OK(answer[1] == 0 || answer[0] == 0);
	OK(answer[0] || answer[1]);
	EQ(holder(), !answer[0] ? 0 : 1);
}

TEST(lease_area_a_sleeper_who_was_thought_dead_does_not_get_it)
{
	/* Only where he had it before he fell asleep is he the one: then he slept with it. */
	OK(at_each_step(first_takes, first_sleeps, false, second_only) > 8);
}

static void last_one_counts(long n)
{
	if (!answer[0])
		EQ(holder(), 0);
	else
		EQ(holder(), -1);
}

TEST(lease_area_taken_and_given_back_meanwhile)
{
	OK(at_each_step(first_takes, second_takes_and_gives, false, last_one_counts) > 8);
}

static void after_death(long n)
{
	int has = holder();
	struct lease l;

	OK(has == -1 || has == 0);
	is_dead[0] = true;
	EQ(take(1), 0);
	EQ(holder(), 1);
	/* And he who comes back finds his row as he left it, and does not have it. */
	is_dead[0] = false;
	l = record[0];
	if (l.generation)
		EQ(lease_area_renew(&area[0], &l), -E_NOT_LOCKED);
	is_dead[1] = true;
	EQ(take(0), 0);
	EQ(holder(), 0);
}

TEST(lease_area_dead_at_any_step_it_is_free_or_held_by_the_dead)
{
	OK(at_each_step(first_takes, NULL, true, after_death) > 8);
}

/* --- renewals ----------------------------------------------------------------------- */

static int renew_first(void)
{
	long at = dev.at;
	struct lease held;
	int err;

	dev.at = 0;
	EQ(take(0), 0);
	dev.calls = 0;
	dev.at = at;
	held = record[0];
	err = lease_area_renew(&area[0], &held);
	return err;
}

static void second_steals(void)
{
	is_dead[0] = true;
	second_takes();
	is_dead[0] = false;
}

static void renewed_or_stolen(long n)
{
	OK(answer[0] || answer[1]);
	EQ(holder(), answer[1] ? 0 : 1);
}

TEST(lease_area_renewed_or_stolen_but_not_both)
{
	OK(at_each_step(renew_first, second_steals, false, renewed_or_stolen) > 5);
}

/* The other way round: the thief is interrupted by a renewal. */
static struct lease held_by_second;

static int first_steals(void)
{
	long at = dev.at;
	int err;

	dev.at = 0;
	EQ(take(1), 0);
	held_by_second = record[1];
	is_dead[1] = true;
	condemned = draws;
	dev.calls = 0;
	dev.at = at;
	err = take(0);
	is_dead[1] = false;
	return err;
}

static void second_renews(void)
{
	answer[1] = lease_area_renew(&area[1], &held_by_second);
}

static void stolen_or_renewed(long n)
{
	OK(answer[0] || answer[1]);
	/* Renewed while the thief was at it: he tries again, and is told then. */
	EQ(holder(), answer[0] ? 1 : 0);
}

TEST(lease_area_stolen_or_renewed_but_not_both)
{
	OK(at_each_step(first_steals, second_renews, false, stolen_or_renewed) > 8);
}

/* --- room, damage, strangers ------------------------------------------------------------ */

TEST(lease_area_a_row_has_room_again_for_what_was_given_back)
{
	int held = 0, full = 0;

	set_up();
	for (int i = 0; i < 400; i++) {
		struct lease was, l = record[0];
		int err;

		snprintf(l.vdi.s, sizeof(l.vdi.s), "2b1f7c90-0c3d-4a6f-8e55-%012x", i);
		EQ(lease_area_read(&area[0], &l.vdi, &was), 0);
		err = lease_area_swap(&area[0], &was, &l);
		held += !err;
		full += err == -ENOSPC;
		if (i >= 80 && !err) {			/* these are kept */
			was = l;
			l.state = LEASE_FREE;
			EQ(lease_area_swap(&area[0], &was, &l), 0);
		}
	}
	EQ(held + full, 400);
	OK(held > 300);
	tear_down();
}

TEST(lease_area_a_dead_ones_record_does_not_come_back)
{
	struct lease l;

	set_up();
	EQ(take(1), 0);
	is_dead[1] = true;
	EQ(take(0), 0);
	EQ(lease_area_forget(&area[0], &disk), 0);
	EQ(holder(), -1);
	/* Nor when its cell is wanted for other disks. */
	for (int i = 0; i < 300; i++) {
		struct lease was, next = record[0];

		snprintf(next.vdi.s, sizeof(next.vdi.s), "2b1f7c90-0c3d-4a6f-8e55-%012x", i);
		lease_area_read(&area[0], &next.vdi, &was);
		next.state = LEASE_FREE;
		lease_area_swap(&area[0], &was, &next);
	}
	EQ(holder(), -1);
	is_dead[1] = false;
	l = record[1];
	EQ(lease_area_renew(&area[1], &l), -E_NOT_LOCKED);
	tear_down();
}

TEST(lease_area_what_cannot_be_read_is_held)
{
	struct lease was;
	uint64_t at;

	set_up();
	EQ(take(1), 0);
	/* Find the record and spoil it. */
	for (at = 0; at < LEASE_AREA_BYTES; at += LEASE_CELL) {
		uint8_t b[LEASE_BYTES];

		io_read(dev.base, at, b, sizeof(b));
		if (at >= LEASE_CELLS * LEASE_CELL && !lease_decode(b, sizeof(b), &was))
			break;
	}
	OK(at < LEASE_AREA_BYTES);
	io_write(dev.base, at + 200, "x", 1);
	EQ(lease_area_read(&area[0], &disk, &was), -E_DAMAGED);
	EQ(was.state, LEASE_HELD);
	/* Who insists wipes it first. */
	EQ(lease_area_swap(&area[0], &was, &record[0]), -EAGAIN);
	EQ(take(0), 0);
	EQ(holder(), 0);
	tear_down();
}

/* Nobody counts that far. */
TEST(lease_area_a_last_generation_is_damage)
{
	for (uint64_t g = LEASE_LAST - 1; g <= LEASE_LAST; g++) {
		struct lease was;
		uint64_t at;

		set_up();
		EQ(take(1), 0);
		for (at = LEASE_CELLS * LEASE_CELL; at < LEASE_AREA_BYTES; at += LEASE_CELL) {
			uint8_t b[LEASE_BYTES];

			io_read(dev.base, at, b, sizeof(b));
			if (lease_decode(b, sizeof(b), &was))
				continue;
			was.generation = g;
			lease_encode(&was, b);
			io_write(dev.base, at, b, sizeof(b));
			break;
		}
		OK(at < LEASE_AREA_BYTES);
		if (g < LEASE_LAST) {
			EQ(lease_area_read(&area[0], &disk, &was), 0);
			EQ(lease_area_swap(&area[0], &was, &record[0]), 0);
		}
		EQ(lease_area_read(&area[0], &disk, &was), -E_DAMAGED);
		EQ(was.state, LEASE_HELD);
		/* Who insists wipes it; what stood below it counts again. */
		EQ(lease_area_swap(&area[0], &was, &record[0]), -EAGAIN);
		EQ(lease_area_read(&area[0], &disk, &was), 0);
		OK(was.generation < LEASE_LAST);
		tear_down();
	}
}

/* Another host, with a disk of its own that it holds the lock of; a NULL l: with none. */
static int another(struct lease_area *a, int n, struct lease *l)
{
	struct lease none = { .state = LEASE_FREE };
	int err;

	*a = area[1];
	snprintf(a->host.s, sizeof(a->host.s), "cccccccc-0000-4000-8000-%012d", n);
	err = lease_area_join(a, &record[1]);
	if (err || !l)
		return err;
	*l = (struct lease){ .state = LEASE_HELD, .kind = LEASE_BOOT, .host = a->host };
	snprintf(l->vdi.s, sizeof(l->vdi.s), "dddddddd-0000-4000-8000-%012d", n);
	none.vdi = l->vdi;
	return lease_area_swap(a, &none, l);
}

TEST(lease_area_has_rows_for_31_hosts)
{
	struct lease_area a;
	struct lease l, is_free, held[LEASE_ROWS];
	uint64_t before;
	int err = 0, n;

	set_up();
	EQ(area[0].row, 1);
	EQ(area[1].row, 2);
	EQ(take(0), 0);
	record[1].vdi = (struct uuid){ "2b1f7c90-0c3d-4a6f-8e55-1d0a9c7e4f22" };
	is_free = (struct lease){ .state = LEASE_FREE, .vdi = record[1].vdi };
	EQ(lease_area_swap(&area[1], &is_free, &record[1]), 0);
	for (n = 2; !err; n++)
		err = another(&a, n, &held[n % LEASE_ROWS]);
	EQ(err, -ENOSPC);
	EQ(n - 1, LEASE_ROWS - 1);
	EQ(lease_area_join(&area[0], &record[0]), 0);
	EQ(area[0].row, 1);

	/* One has gone, and somebody breaks its lock: its row is another's, after a term. */
	EQ(lease_area_read(&area[0], &held[7].vdi, &l), 0);
	is_free = l;
	is_free.state = LEASE_FREE;
	is_free.host = hosts[0];
	EQ(lease_area_swap(&area[0], &l, &is_free), 0);
	before = clock_ns;
	EQ(another(&a, 77, &l), 0);
	EQ(clock_ns - before >= 35000000000, 1);
	EQ(a.row, 8);
	/* What had been broken is gone with the row, and does not count again. */
	EQ(lease_area_forget(&area[0], &held[7].vdi), 0);
	EQ(lease_area_read(&area[1], &held[7].vdi, &l), 0);
	EQ(l.state, LEASE_FREE);
	EQ(lease_area_read(&area[1], &held[9].vdi, &l), 0);
	EQ(l.state, LEASE_HELD);
	EQ(another(&a, 78, NULL), -ENOSPC);
	tear_down();
}

/* Its row is taken while it sleeps between looking and writing. */
static struct lease_area thief;
static int stolen;

static void row_is_taken(void)
{
	struct lease name = record[1];

	clock_ns += 40000000000;
	thief = area[1];
	thief.host = (struct uuid){ "cccccccc-0000-4000-8000-000000000099" };
	name.host = thief.host;
	/* As reuse_row() leaves it. */
	uint8_t cell[LEASE_CELL] = { 0 };

	lease_encode(&name, cell);
	io_write(dev.base, LEASE_CELL, cell, sizeof(cell));
	stolen++;
}

TEST(lease_area_late_host_takes_nothing_in_a_row_that_is_anothers)
{
	for (long at = 1, calls = 100; at <= calls; at++) {
		int err;

		set_up();
		dev.at = at;
		dev.hook = row_is_taken;
		stolen = 0;
		err = take(0);
		calls = dev.calls;
		/* Late in the middle, it has nothing; or it had the lock before. */
		if (err != -EAGAIN && err != 0) {
			printf("# at %ld: %d\n", at, err);
			EQ(err, -EAGAIN);
		}
		if (!err)
			EQ(holder(), 0);
		tear_down();
	}
}

TEST(lease_area_is_known_by_its_head_or_by_who_has_rows)
{
	static const uint8_t none[LEASE_ROWS * LEASE_CELL];

	set_up();
	EQ(lease_area_check(dev.base), 0);
	io_write(dev.base, 0, "xx", 2);
	EQ(lease_area_check(dev.base), 0);
	io_write(dev.base, 0, none, sizeof(none));
	EQ(lease_area_check(dev.base), -E_DAMAGED);
	EQ(lease_area_format(dev.base, &record[1]), 0);
	EQ(lease_area_check(dev.base), 0);
	EQ(lease_area_join(&area[1], &record[1]), 0);
	EQ(area[1].row, 1);
	tear_down();
}

static struct lease unread;
static int n_unread;

static void each(void *arg, const struct lease *l, int err)
{
	if (err != -E_DAMAGED)
		return;
	unread = *l;
	n_unread++;
}

TEST(lease_area_tells_of_what_cannot_be_read_and_of_a_name_to_break_it_by)
{
	for (uint32_t cell = 0; cell < LEASE_CELLS; cell += 13) {
		struct lease was, is_free = { .state = LEASE_FREE };

		set_up();
		io_write(dev.base, ((uint64_t)LEASE_CELLS + cell) * LEASE_CELL, "junk", 4);
		n_unread = 0;
		EQ(lease_area_each(&area[1], each, NULL), 0);
		EQ(n_unread, 1);
		EQ(unread.state, LEASE_HELD);
		EQ(lease_area_read(&area[1], &unread.vdi, &was), -E_DAMAGED);
		is_free.vdi = unread.vdi;
		EQ(lease_area_swap(&area[1], &was, &is_free), -EAGAIN);
		EQ(lease_area_read(&area[1], &unread.vdi, &was), 0);
		EQ(lease_area_each(&area[1], each, NULL), 0);
		EQ(n_unread, 1);
		tear_down();
	}
}
