/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/crc32.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/lease_area.h"

#define ROW_BYTES	((uint64_t)LEASE_CELLS * LEASE_CELL)
#define NS		((uint64_t)1000000000)
#define TAKE_WAIT	(2 * NS)	/* a write of a name on its way must have arrived by then */
#define CONTENDERS	32u

static const char magic[8] = { 'S', 'M', 'L', 'E', 'A', 'S', 'E', 'S' };

struct head {
	char magic[8];
	be32 sum, version, rows, cells, cell;
};

/* --- cells ------------------------------------------------------------------------- */

static uint64_t cell_at(uint32_t row, uint32_t cell)
{
	return row * ROW_BYTES + (uint64_t)cell * LEASE_CELL;
}

/* NULL wipes it. */
static int put(struct lease_area *a, uint32_t row, uint32_t cell, const struct lease *l)
{
	uint8_t *bytes = must_alloc(LEASE_CELL);	/* zeroes */
	int err;

	if (l)
		lease_encode(l, bytes);
	err = io_write(a->io, cell_at(row, cell), bytes, LEASE_CELL);
	free(bytes);
	return err ? err : io_flush(a->io);
}

/* One record; a sector that is just being written is looked at again. */
static int get(struct lease_area *a, uint32_t row, uint32_t cell, const uint8_t *bytes, struct lease *l)
{
	uint8_t again[LEASE_BYTES];
	int err = lease_decode(bytes, LEASE_BYTES, l);

	for (int i = 0; i < 5 && err == -E_DAMAGED; i++) {
		a->wait(a->arg, NS / 500);
		err = io_read(a->io, cell_at(row, cell), again, sizeof(again));
		if (!err)
			err = lease_decode(again, sizeof(again), l);
	}
	return err;
}

static void make_head(struct head *h)
{
	*h = (struct head){
		.version = be32_put(1), .rows = be32_put(LEASE_ROWS), .cells = be32_put(LEASE_CELLS),
		.cell = be32_put(LEASE_CELL),
	};
	memcpy(h->magic, magic, sizeof(magic));
	h->sum = be32_put(crc32_zlib(0, h, sizeof(*h)));
}

int lease_area_format(struct io *io, const struct lease *first)
{
	uint8_t *bytes = must_alloc(LEASE_CELL);
	int err = io_zero(io, 0, LEASE_AREA_BYTES);
	struct head h;

	if (!err && first) {
		lease_encode(first, bytes);
		err = io_write(io, cell_at(0, 1), bytes, LEASE_CELL);
		memset(bytes, 0, LEASE_CELL);
	}
	if (!err)
		err = io_flush(io);
	make_head(&h);
	memcpy(bytes, &h, sizeof(h));
	if (!err)
		err = io_write(io, 0, bytes, LEASE_CELL);	/* commit */
	free(bytes);
	return err ? err : io_flush(io);
}

static bool is_name(const uint8_t *cell)
{
	struct lease l;

	return !lease_decode(cell, LEASE_BYTES, &l) && l.state == LEASE_HELD && l.host.s[0];
}

int lease_area_check(struct io *io)
{
	uint8_t *cells = must_alloc(LEASE_ROWS * LEASE_CELL);
	int err = io->size < LEASE_AREA_BYTES ? -E_DAMAGED : io_read(io, 0, cells, LEASE_ROWS * LEASE_CELL);
	struct head want;
	bool is_one;

	make_head(&want);
	is_one = !memcmp(cells, &want, sizeof(want));
	for (uint32_t r = 1; r < LEASE_ROWS && !is_one; r++)
		is_one = is_name(cells + r * LEASE_CELL);
	free(cells);
	return err ? err : is_one ? 0 : -E_DAMAGED;
}

/* --- whose row ------------------------------------------------------------------------ */

static int read_names(struct lease_area *a, uint8_t **names)
{
	int err;

	*names = must_alloc(LEASE_ROWS * LEASE_CELL);
	err = io_read(a->io, 0, *names, LEASE_ROWS * LEASE_CELL);
	if (err) {
		free(*names);
		*names = NULL;
	}
	return err;
}

/* Our row; with none, the first that is free; 0 for neither. */
static uint32_t find_row(struct lease_area *a, const uint8_t *names, bool *is_ours)
{
	uint32_t spare = 0;

	*is_ours = false;
	for (uint32_t r = 1; r < LEASE_ROWS; r++) {
		struct lease l;
		int err = get(a, 0, r, names + r * LEASE_CELL, &l);

		*is_ours = !err && uuid_equal(&l.host, &a->host);
		if (*is_ours)
			return r;
		if (err == -ENOENT && !spare)
			spare = r;
	}
	return spare;
}

static int reuse_row(struct lease_area *a, struct lease *name);

int lease_area_join(struct lease_area *a, const struct lease *me)
{
	struct lease name = *me;

	a->row = 0;
	name.host = a->host;
	name.state = LEASE_HELD;
	for (uint32_t i = 0; i < LEASE_ROWS; i++) {
		uint8_t *names;
		bool is_ours = false;
		int err = read_names(a, &names);
		uint32_t row = err ? 0 : find_row(a, names, &is_ours);

		free(names);
		if (err || !row)
			return err ? err : reuse_row(a, &name);
		if (is_ours) {
			a->row = row;
			return 0;
		}
		name.stamp = a->random(a->arg);
		err = put(a, 0, row, &name);
		if (err)
			return err;
		a->wait(a->arg, TAKE_WAIT);
	}
	return -EAGAIN;
}

/* --- all that is said of a disk ---------------------------------------------------------- */

struct place {
	struct lease l;
	uint32_t row, cell;
};

struct scan {
	struct lease counts;
	uint64_t top;			/* the highest generation, wanted ones included */
	struct place wanted[CONTENDERS];	/* by others */
	uint32_t n_wanted;
	struct place own[LEASE_WINDOW];	/* in our row */
	uint32_t n_own;
	struct place bad[CONTENDERS];
	uint32_t n_bad;
	struct place last[CONTENDERS];	/* which none can follow */
	uint32_t n_last;
	bool is_held_below;		/* in another row, whatever counts */
	bool cut;			/* more than can be listed */
	bool lost;			/* our row is not ours any more */
	uint32_t spare;			/* a wiped cell of our row, or LEASE_CELLS */
	struct place old[LEASE_WINDOW];	/* free locks of other disks in our row */
	uint32_t n_old;
};

static uint32_t first_cell(const struct uuid *vdi)
{
	uint8_t b[16];

	uuid_bytes(vdi, b);
	return crc32_zlib(0, b, sizeof(b)) % LEASE_CELLS;
}

static void note(struct scan *s, struct place *list, uint32_t *n, uint32_t most, const struct place *p)
{
	if (*n < most)
		list[(*n)++] = *p;
	else
		s->cut = true;
}

static void take_record(struct lease_area *a, const struct uuid *vdi, const struct place *p, struct scan *s)
{
	bool ours = p->row == a->row;

	if (!uuid_equal(&p->l.vdi, vdi)) {
		if (ours && p->l.state == LEASE_FREE)
			note(s, s->old, &s->n_old, LEASE_WINDOW, p);
		return;
	}
	if (p->l.generation > s->top)
		s->top = p->l.generation;
	if (p->l.generation >= LEASE_LAST)
		note(s, s->last, &s->n_last, CONTENDERS, p);
	if (ours)
		note(s, s->own, &s->n_own, LEASE_WINDOW, p);
	else if (p->l.state != LEASE_FREE)
		s->is_held_below = true;
	if (p->l.state == LEASE_WANTED && !ours)
		note(s, s->wanted, &s->n_wanted, CONTENDERS, p);
	else if (p->l.state != LEASE_WANTED && p->l.generation > s->counts.generation)
		s->counts = p->l;
}

static int scan_row(struct lease_area *a, const struct uuid *vdi, uint32_t row, uint8_t *bytes,
		    struct scan *s)
{
	uint32_t first = first_cell(vdi);
	uint32_t n = LEASE_CELLS - first < LEASE_WINDOW ? LEASE_CELLS - first : LEASE_WINDOW;
	int err = io_read(a->io, cell_at(row, first), bytes, (size_t)n * LEASE_CELL);

	if (!err && n < LEASE_WINDOW)
		err = io_read(a->io, cell_at(row, 0), bytes + (size_t)n * LEASE_CELL,
			      (size_t)(LEASE_WINDOW - n) * LEASE_CELL);
	for (uint32_t i = 0; i < LEASE_WINDOW && !err; i++) {
		struct place p = { .row = row, .cell = (first + i) % LEASE_CELLS };

		err = get(a, row, p.cell, bytes + (size_t)i * LEASE_CELL, &p.l);
		if (!err)
			take_record(a, vdi, &p, s);
		else if (err == -E_DAMAGED)
			note(s, s->bad, &s->n_bad, CONTENDERS, &p);
		else if (err == -ENOENT && row == a->row && s->spare == LEASE_CELLS)
			s->spare = p.cell;
		if (err == -ENOENT || err == -E_DAMAGED)
			err = 0;
	}
	return err;
}

static bool is_our_row(struct lease_area *a, const uint8_t *names)
{
	struct lease l;

	return !get(a, 0, a->row, names + a->row * LEASE_CELL, &l) && uuid_equal(&l.host, &a->host);
}

/* What is read is on the device now: everything written before this was called is seen. */
static int scan(struct lease_area *a, const struct uuid *vdi, struct scan *s)
{
	uint8_t *names, *bytes;
	int err = read_names(a, &names);

	*s = (struct scan){ 0 };
	s->spare = LEASE_CELLS;
	if (err)
		return err;
	s->lost = a->row && !is_our_row(a, names);
	bytes = must_alloc((size_t)LEASE_WINDOW * LEASE_CELL);
	for (uint32_t r = 1; r < LEASE_ROWS && !err; r++)
		if (!is_zero(names + r * LEASE_CELL, LEASE_BYTES))
			err = scan_row(a, vdi, r, bytes, s);
	/* Who wanted what somebody has got was not fast enough, and knows that, or will. */
	for (uint32_t i = 0; i < s->n_wanted; )
		if (s->wanted[i].l.generation <= s->counts.generation)
			s->wanted[i] = s->wanted[--s->n_wanted];
		else
			i++;
	s->counts.vdi = *vdi;
	free(bytes);
	free(names);
	return err;
}

static struct scan *new_scan(void)
{
	return must_alloc(sizeof(struct scan));
}

/* --- rows of others who do without ------------------------------------------------------ */

/*
 * Is there nothing in it that counts and is not free?  What does not count must
 * be wiped by who takes it: under a free record of his own he would not see it.
 */
static int look_idle(struct lease_area *a, uint32_t r, bool wipe, bool *is_idle)
{
	uint8_t *row = must_alloc(ROW_BYTES);
	struct scan *s = new_scan();
	int err = io_read(a->io, cell_at(r, 0), row, ROW_BYTES);

	*is_idle = true;
	for (uint32_t c = 0; c < LEASE_CELLS && *is_idle && !err; c++) {
		struct lease l;
		int bad = get(a, r, c, row + (size_t)c * LEASE_CELL, &l);

		if (bad == -ENOENT || (!bad && l.state == LEASE_FREE))
			continue;
		err = bad && bad != -E_DAMAGED ? bad : bad ? 0 : scan(a, &l.vdi, s);
		*is_idle = !err && !bad && !s->cut && s->counts.generation > l.generation;
		if (*is_idle && wipe)
			err = put(a, r, c, NULL);
	}
	free(s);
	free(row);
	return err;
}

static int take_row(struct lease_area *a, uint32_t r, struct lease *name, bool *is_idle)
{
	uint8_t *names;
	struct lease l;
	int err;

	name->stamp = a->random(a->arg);
	err = put(a, 0, r, name);
	if (err)
		return err;
	/* Whoever has seen it as his is past his term by then. */
	a->wait(a->arg, (LEASE_TERM + LEASE_GRACE) * NS);
	err = read_names(a, &names);
	if (err)
		return err;
	*is_idle = !get(a, 0, r, names + r * LEASE_CELL, &l) && lease_same(&l, name);
	free(names);
	return *is_idle ? look_idle(a, r, true, is_idle) : 0;
}

static int reuse_row(struct lease_area *a, struct lease *name)
{
	int err = -ENOSPC;

	for (uint32_t r = 1; r < LEASE_ROWS; r++) {
		bool is_idle;

		err = look_idle(a, r, false, &is_idle);
		if (!err && is_idle)
			err = take_row(a, r, name, &is_idle);
		if (!err && is_idle)
			a->row = r;
		if (err || is_idle)
			return err;
	}
	return -ENOSPC;
}

int lease_area_read(struct lease_area *a, const struct uuid *vdi, struct lease *now)
{
	struct scan *s = new_scan();
	int err = scan(a, vdi, s);

	*now = s->counts;
	if (!err && (s->n_bad || s->n_last || s->cut)) {
		now->state = LEASE_HELD;
		now->stamp = 0;
		err = -E_DAMAGED;
	}
	free(s);
	return err;
}

/* --- changing hands ------------------------------------------------------------------------ */

static bool is_same(const struct lease *a, const struct lease *b)
{
	return a->generation == b->generation && (!a->generation || lease_same(a, b));
}

/* 0 when all who want it are dead. */
static int ask_dead(struct lease_area *a, const struct scan *s)
{
	for (uint32_t i = 0; i < s->n_wanted; i++) {
		int err = a->dead(a->arg, &s->wanted[i].l);

		if (err <= 0)
			return err ? err : -EAGAIN;
	}
	return s->cut ? -EAGAIN : 0;
}

/* What was there before, unchanged, and nothing else of others. */
static bool is_undisturbed(const struct scan *before, const struct scan *now)
{
	if (!is_same(&now->counts, &before->counts) || now->n_wanted != before->n_wanted ||
	    now->n_bad != before->n_bad || now->cut)
		return false;
	for (uint32_t i = 0; i < now->n_wanted; i++)
		if (!lease_same(&now->wanted[i].l, &before->wanted[i].l))
			return false;
	return true;
}

/*
 * A cell of our row for one record more.  A free lock of another disk gives
 * way where no record of another host stands below it, which would count then.
 */
static int find_cell(struct lease_area *a, const struct scan *s, uint32_t *cell)
{
	struct scan *other = new_scan();
	int err = 0;

	*cell = s->spare;
	for (uint32_t i = 0; i < s->n_own && *cell == LEASE_CELLS; i++)
		if (s->own[i].l.state == LEASE_WANTED)
			*cell = s->own[i].cell;		/* a death of ours left it */
	for (uint32_t i = 0; i < s->n_old && *cell == LEASE_CELLS && !err; i++) {
		err = scan(a, &s->old[i].l.vdi, other);
		if (!err && !other->is_held_below && !other->n_bad && !other->cut)
			*cell = s->old[i].cell;
	}
	free(other);
	return err ? err : *cell == LEASE_CELLS ? -ENOSPC : 0;
}

static int wipe_bad(struct lease_area *a, const struct scan *s)
{
	int err = 0;

	for (uint32_t i = 0; i < s->n_bad && !err; i++)
		err = put(a, s->bad[i].row, s->bad[i].cell, NULL);
	for (uint32_t i = 0; i < s->n_last && !err; i++)
		err = put(a, s->last[i].row, s->last[i].cell, NULL);
	return err ? err : -EAGAIN;
}

static bool is_late(const struct lease_area *a, uint64_t start)
{
	return a->now(a->arg) - start > LEASE_TERM * NS;
}

/* From the first record to the last: what is written to the cell we have chosen. */
static int follow(struct lease_area *a, const struct scan *before, uint32_t cell, struct lease *now)
{
	uint64_t start = a->now(a->arg);
	struct scan *after = new_scan();
	struct lease wanted = *now;
	int err;

	wanted.state = LEASE_WANTED;
	err = put(a, a->row, cell, &wanted);
	if (!err)
		err = scan(a, &now->vdi, after);
	if (!err && (after->lost || !is_undisturbed(before, after) || is_late(a, start)))
		err = -EAGAIN;
	if (!err)
		err = put(a, a->row, cell, now);	/* commit */
	if (!err && is_late(a, start))
		err = -EAGAIN;
	free(after);
	if (err)
		put(a, a->row, cell, NULL);
	return err;
}

int lease_area_swap(struct lease_area *a, const struct lease *was, struct lease *now)
{
	struct scan *s = new_scan();
	uint64_t start = a->now(a->arg);
	uint32_t cell = 0;
	int err = a->row ? scan(a, &now->vdi, s) : -ENOSPC;

	if (!err && s->lost)
		err = -EAGAIN;
	if (!err && (s->n_bad || s->n_last))
		err = !was->stamp && was->state == LEASE_HELD ? wipe_bad(a, s) : -EAGAIN;
	if (!err && !is_same(&s->counts, was) && (was->stamp || s->counts.generation != was->generation))
		err = -EAGAIN;
	if (!err)
		err = ask_dead(a, s);
	if (!err)
		err = find_cell(a, s, &cell);
	if (!err && is_late(a, start))
		err = -EAGAIN;			/* somebody may think that our row is idle */
	if (!err) {
		now->generation = s->top + 1;
		now->stamp = a->random(a->arg);
		err = follow(a, s, cell, now);
	}
	/* They do not count any more; what is left of them is in nobody's way. */
	for (uint32_t i = 0; i < s->n_own && !err; i++)
		if (s->own[i].cell != cell)
			put(a, a->row, s->own[i].cell, NULL);
	free(s);
	return err;
}

/* Our record of that generation, in our row. */
static const struct place *find_own(const struct scan *s, uint64_t generation)
{
	for (uint32_t i = 0; i < s->n_own; i++)
		if (s->own[i].l.generation == generation && s->own[i].l.state == LEASE_HELD)
			return &s->own[i];
	return NULL;
}

int lease_area_renew(struct lease_area *a, struct lease *held)
{
	struct scan *s = new_scan();
	const struct place *p = NULL;
	int err = a->row ? scan(a, &held->vdi, s) : -E_NOT_LOCKED;

	if (!err && (s->counts.generation != held->generation || !(p = find_own(s, held->generation))))
		err = -E_NOT_LOCKED;
	if (!err) {
		held->stamp = a->random(a->arg);
		err = put(a, a->row, p->cell, held);
	}
	if (!err)
		err = scan(a, &held->vdi, s);
	if (!err && s->counts.generation != held->generation)
		err = -E_NOT_LOCKED;
	if (!err)
		err = ask_dead(a, s);
	free(s);
	return err;
}

int lease_area_forget(struct lease_area *a, const struct uuid *vdi)
{
	struct scan *s = new_scan();
	int err = a->row ? scan(a, vdi, s) : 0;

	/* Ours stands above a dead one's, which must not count again: free, it is not shown. */
	for (uint32_t i = 0; i < s->n_own && !err; i++) {
		struct lease l = s->own[i].l;
		bool keep = s->is_held_below && l.generation == s->counts.generation;

		l.state = LEASE_FREE;
		err = put(a, a->row, s->own[i].cell, keep ? &l : NULL);
	}
	free(s);
	return err;
}

static void make_up_name(uint32_t cell, struct uuid *u)
{
	uint8_t b[16] = { 0 };

	for (uint32_t n = 1; ; n++) {
		be32 tail = be32_put(n);

		memcpy(b + 12, &tail, sizeof(tail));
		uuid_from_bytes(u, b);
		if (first_cell(u) == cell)
			return;
	}
}

int lease_area_each(struct lease_area *a, void (*each)(void *arg, const struct lease *l, int err), void *arg)
{
	uint8_t *names, *row;
	int err = read_names(a, &names);

	if (err)
		return err;
	row = must_alloc(ROW_BYTES);
	for (uint32_t r = 1; r < LEASE_ROWS && !err; r++) {
		if (is_zero(names + r * LEASE_CELL, LEASE_BYTES))
			continue;
		err = io_read(a->io, cell_at(r, 0), row, ROW_BYTES);
		for (uint32_t c = 0; c < LEASE_CELLS && !err; c++) {
			struct lease l;

			int bad = get(a, r, c, row + (size_t)c * LEASE_CELL, &l);

			if (bad == -E_DAMAGED) {
				l = (struct lease){ .state = LEASE_HELD };
				make_up_name(c, &l.vdi);
			}
			if (!bad || bad == -E_DAMAGED)
				each(arg, &l, bad);
			else if (bad != -ENOENT)
				err = bad;
		}
	}
	free(row);
	free(names);
	return err;
}
