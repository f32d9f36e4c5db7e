/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The model of churn.c: which operation comes when, and what it leaves.
 */
#ifndef TESTS_LAB_TOOLS_CHURN_H
#define TESTS_LAB_TOOLS_CHURN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS	4
#define SECTOR	512u
#define PLACE	400u			/* sectors: some of them are on two blocks of a VHD */
#define MOST	128u			/* sectors of one operation */

struct sector {
	uint64_t magic, number, at, seen[THREADS], rest[(SECTOR - (3 + THREADS) * 8) / 8];
};
_Static_assert(sizeof(struct sector) == SECTOR, "a sector");

enum kind { WRITE, READ, ZERO, TRIM, FLUSH };

struct op {
	enum kind kind;
	uint64_t at, n;			/* sectors, of the thread's own */
};

/* What a sector of a thread must be. */
struct want {
	uint64_t number;		/* of the write; 0: zeroes */
	bool trimmed;			/* or zeroes */
};

struct thread {
	uint64_t id, n;			/* which one; its sectors */
	struct want *want;
	struct sector *buf;
};

static const uint64_t magic = 0x6e72756863;
static uint64_t seed;
static unsigned int unit = 1;		/* sectors that the disk writes whole */

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static struct op nth(const struct thread *t, uint64_t i)
{
	uint64_t r = mix(mix(seed * THREADS + t->id) + i), place = r % (t->n / PLACE), kind = r >> 20 & 63;
	uint64_t fine = r >> 30 & 1 ? 8 : unit, at = (r >> 32 & 0xffff) % PLACE / fine * fine;
	uint64_t n = ((r >> 48 & 0x7fff) % (r >> 63 ? MOST : 16) + fine) / fine * fine;
	struct op o = { WRITE, place * PLACE + at, n < PLACE - at ? n : PLACE - at };

	o.kind = kind < 34 ? WRITE : kind < 52 ? READ : kind < 56 ? ZERO : kind < 60 ? TRIM : FLUSH;
	return o;
}

static uint64_t on_disk(const struct thread *t, uint64_t s)
{
	return (s / PLACE * THREADS + t->id) * PLACE + s % PLACE;
}

static void fill(struct sector *p, const struct thread *t, uint64_t i, uint64_t s)
{
	p->magic = magic;
	p->number = i;
	p->at = on_disk(t, s);
	for (size_t k = 0; k < sizeof(p->rest) / 8; k++)
		p->rest[k] = (t->id << 56 | i << 24) * (k + 1) + p->at;
}

static bool is_number(const struct sector *p, const struct thread *t, uint64_t i, uint64_t s)
{
	struct sector want = { 0 };

	if (p->number != i)
		return false;
	if (i) {
		fill(&want, t, i, s);
		memcpy(want.seen, p->seen, sizeof(want.seen));
	}
	return !memcmp(&want, p, sizeof(want));
}

static bool is_right(const struct sector *p, const struct thread *t, uint64_t s)
{
	return is_number(p, t, t->want[s].number, s) || (t->want[s].trimmed && is_number(p, t, 0, s));
}

/* The model does it. */
static void apply(struct thread *t, const struct op *o, uint64_t i)
{
	for (uint64_t s = o->at; s < o->at + o->n; s++)
		if (o->kind == TRIM)
			t->want[s].trimmed = true;
		else if (o->kind == WRITE || o->kind == ZERO)
			t->want[s] = (struct want){ o->kind == WRITE ? i : 0, false };
}

/* Threads with the first mib of a disk among them. */
static void make_threads(struct thread t[THREADS], uint64_t mib)
{
	uint64_t n = mib * 2048 / (PLACE * THREADS) * PLACE;

	for (uint64_t i = 0; i < THREADS; i++)
		t[i] = (struct thread){
			.id = i, .n = n, .want = calloc(n, sizeof(*t->want)),
			.buf = aligned_alloc(4096, MOST * SECTOR),
		};
}

#endif
