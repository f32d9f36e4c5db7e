/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/image_copy.h"
#include "lib/zero.h"

#define PIECES		(IMAGE_CHUNK / 512)	/* no format has smaller parts */
#define GRAINS		(IMAGE_CHUNK / IMAGE_GRAIN)

struct job {
	struct image_chunk c;
	char *room;		/* the chunk's data and its head */
	bool used[GRAINS];	/* what may hold other bytes than zeroes */
	struct image_piece *pieces;
	size_t n;
	uint64_t ticket;	/* the turn at which it is placed */
	struct job *next;
};

struct copy {
	struct image_copy *c;
	struct job *jobs;
	size_t n_jobs;
	uint64_t tickets;

	pthread_mutex_t lock;
	pthread_cond_t idle_more, ready_more, turn_next;
	struct job *idle, *ready, **ready_end;
	uint64_t turn;		/* whose place is decided next */
	uint64_t done;
	bool over;		/* no more jobs will come */
	int err;
};

/* --- the threads ----------------------------------------------------------- */

/* Zeroes; mostly there are some already, from the last time. */
static void wipe(struct job *j, uint64_t from, uint64_t to)
{
	for (uint64_t at = from, end; at < to; at = end) {
		size_t i = (size_t)(at / IMAGE_GRAIN);

		end = (i + 1) * IMAGE_GRAIN < to ? (i + 1) * IMAGE_GRAIN : to;
		if (!j->used[i])
			continue;
		memset(j->c.data + at, 0, (size_t)(end - at));
		j->used[i] = end - at != IMAGE_GRAIN;
	}
}

static int fetch(struct copy *y, struct job *j)
{
	int err = 0;

	for (size_t i = 0; i < j->n && !err; i++) {
		const struct image_piece *p = &j->pieces[i];
		uint64_t at = p->at - j->c.at, end = at + p->len;

		if (p->kind == IMAGE_ZERO) {
			wipe(j, at, end);
			continue;
		}
		for (size_t k = (size_t)(at / IMAGE_GRAIN); k * IMAGE_GRAIN < end; k++)
			j->used[k] = true;
		err = image_fetch(y->c->from, p->at, j->c.data + at, p, 1);
	}
	if (!err)
		wipe(j, j->c.len, IMAGE_CHUNK);
	return err;
}

/* Cut a chunk into what is to be written: zeroes between two parts are left out. */
static void find_parts(struct job *j, bool whole)
{
	struct image_chunk *c = &j->c;
	size_t gap = IMAGE_HOLE;	/* zeroes before this grain */

	c->n = 0;
	for (size_t at = 0; at < c->len; at += IMAGE_GRAIN) {
		struct image_part *p = &c->parts[c->n];

		if (!j->used[at / IMAGE_GRAIN] || is_all_zero(c->data + at, IMAGE_GRAIN)) {
			gap += IMAGE_GRAIN;
			continue;
		}
		if (gap >= IMAGE_HOLE) {
			p->at = (uint32_t)at;
			c->n++;
		}
		p = &c->parts[c->n - 1];
		p->len = (uint32_t)(at + IMAGE_GRAIN - p->at);
		gap = 0;
		if (whole)
			break;
	}
	if (c->n && whole)
		c->parts[0] = (struct image_part){ 0, (uint32_t)c->len };
	else if (c->n && c->parts[c->n - 1].at + (size_t)c->parts[c->n - 1].len > c->len)
		c->parts[c->n - 1].len = (uint32_t)c->len - c->parts[c->n - 1].at;
}

static void note_error(struct copy *y, int err, bool is_read, uint64_t at)
{
	if (!y->err) {
		y->err = err;
		y->c->is_read = is_read;
		y->c->at = at;
	}
	pthread_cond_broadcast(&y->turn_next);
	pthread_cond_broadcast(&y->ready_more);
	pthread_cond_broadcast(&y->idle_more);
}

/* Wait for this job's turn; those that have nothing to place pass as well. */
static int take_place(struct copy *y, struct job *j)
{
	struct image_sink *s = y->c->to;
	int err;

	pthread_mutex_lock(&y->lock);
	while (y->turn != j->ticket && !y->err)
		pthread_cond_wait(&y->turn_next, &y->lock);
	err = y->err;
	if (!err && j->c.n && s->place)
		err = s->place(s, &j->c);
	y->turn++;
	pthread_cond_broadcast(&y->turn_next);
	pthread_mutex_unlock(&y->lock);
	return err;
}

static void do_job(struct copy *y, struct job *j)
{
	struct image_sink *s = y->c->to;
	int err = fetch(y, j);
	bool is_read = err;
	uint64_t bytes = 0;

	if (!err) {
		find_parts(j, s->whole);
		err = take_place(y, j);
	}
	if (!err && j->c.n)
		err = s->write(s, &j->c);
	else if (!err && s->zero)
		err = s->zero(s, j->c.at, j->c.len);
	for (size_t i = 0; i < j->n; i++)
		bytes += j->pieces[i].kind == IMAGE_ZERO ? 0 : j->pieces[i].len;
	pthread_mutex_lock(&y->lock);
	y->done += bytes;
	if (err)
		note_error(y, err, is_read, j->c.at);
	j->next = y->idle;
	y->idle = j;
	pthread_cond_signal(&y->idle_more);
	pthread_mutex_unlock(&y->lock);
}

static void *work(void *arg)
{
	struct copy *y = arg;
	struct job *j;

	for (;;) {
		pthread_mutex_lock(&y->lock);
		while (!y->ready && !y->over && !y->err)
			pthread_cond_wait(&y->ready_more, &y->lock);
		j = y->err ? NULL : y->ready;
		if (j) {
			y->ready = j->next;
			if (!y->ready)
				y->ready_end = &y->ready;
		}
		pthread_mutex_unlock(&y->lock);
		if (!j)
			return NULL;
		do_job(y, j);
	}
}

/* --- the tables ------------------------------------------------------------ */

static int tick(struct copy *y)
{
	uint64_t done;

	pthread_mutex_lock(&y->lock);
	done = y->done;
	pthread_mutex_unlock(&y->lock);
	return y->c->tick ? y->c->tick(y->c->arg, done) : 0;
}

/* A job that nobody works at; NULL when there will be none. */
static struct job *idle_job(struct copy *y)
{
	struct job *j = NULL;
	int err = tick(y);

	pthread_mutex_lock(&y->lock);
	while (!err && !y->err && !y->idle)
		pthread_cond_wait(&y->idle_more, &y->lock);
	if (err)
		note_error(y, err, false, 0);
	if (!y->err) {
		j = y->idle;
		y->idle = j->next;
	}
	pthread_mutex_unlock(&y->lock);
	return j;
}

/* Where the bytes of a chunk come from; *any: not all of them are zero. */
static int plan_job(struct copy *y, struct job *j, bool *any)
{
	uint64_t at = j->c.at, end = j->c.at + j->c.len;

	*any = false;
	j->n = 0;
	while (at < end) {
		uint64_t len = end - at;
		int n = image_plan(y->c->from, at, &len, IMAGE_PLAN_HOLES, j->pieces + j->n,
				   PIECES - j->n);

		if (n < 0)
			return n;
		for (int i = 0; i < n; i++)
			*any |= j->pieces[j->n++].kind != IMAGE_ZERO;
		at += len;
	}
	return 0;
}

/*
 * How far the zeroes reach that begin with this chunk: whole chunks, or the
 * rest of the disk.  A second piece, for what comes behind them, lets a plan
 * go on to where they end.
 */
static int measure_zeroes(struct copy *y, const struct image_chunk *c, uint64_t *end)
{
	uint64_t size = y->c->from->size, len = size - c->at;
	struct image_piece p[2];
	int n = image_plan(y->c->from, c->at, &len, IMAGE_PLAN_HOLES, p, ARRAY_SIZE(p));

	if (n < 0)
		return n;
	*end = c->at + p[0].len;
	if (*end < size)
		*end -= *end % IMAGE_CHUNK;
	if (*end < c->at + c->len)
		*end = c->at + c->len;
	return 0;
}

static void hand_over(struct copy *y, struct job *j, bool alone)
{
	j->ticket = y->tickets++;
	j->next = NULL;
	if (alone) {
		do_job(y, j);
		return;
	}
	pthread_mutex_lock(&y->lock);
	*y->ready_end = j;
	y->ready_end = &j->next;
	pthread_cond_signal(&y->ready_more);
	pthread_mutex_unlock(&y->lock);
}

static void give_back(struct copy *y, struct job *j, int err, bool is_read, uint64_t at)
{
	pthread_mutex_lock(&y->lock);
	j->next = y->idle;
	y->idle = j;
	if (err)
		note_error(y, err, is_read, at);
	pthread_mutex_unlock(&y->lock);
}

/* One chunk, or all the zeroes from here on; true when that was the end of it. */
static bool plan_from(struct copy *y, uint64_t *at, bool alone)
{
	uint64_t size = y->c->from->size, end = *at;
	struct job *j = idle_job(y);
	bool any = false, is_read = true;
	int err;

	if (!j)
		return true;
	j->c.at = *at;
	j->c.len = size - *at < IMAGE_CHUNK ? (size_t)(size - *at) : IMAGE_CHUNK;
	err = plan_job(y, j, &any);
	if (!err && any) {
		*at += j->c.len;
		hand_over(y, j, alone);
		return *at >= size;
	}
	if (!err)
		err = measure_zeroes(y, &j->c, &end);
	if (!err && y->c->to->zero) {
		is_read = false;
		err = y->c->to->zero(y->c->to, *at, end - *at);
	}
	give_back(y, j, err, is_read, *at);
	*at = end;
	return err || *at >= size;
}

/* --- the whole ------------------------------------------------------------- */

static int make_jobs(struct copy *y, unsigned threads)
{
	y->n_jobs = threads ? threads * 2 : 1;
	y->jobs = must_alloc(y->n_jobs * sizeof(*y->jobs));
	memset(y->jobs, 0, y->n_jobs * sizeof(*y->jobs));
	for (size_t i = 0; i < y->n_jobs; i++) {
		struct job *j = &y->jobs[i];
		void *room;

		if (posix_memalign(&room, IMAGE_HEAD, IMAGE_HEAD + IMAGE_CHUNK))
			return -ENOMEM;
		j->room = room;
		j->c.data = j->room + IMAGE_HEAD;
		memset(j->used, true, sizeof(j->used));
		j->pieces = must_alloc(PIECES * sizeof(*j->pieces));
		j->next = y->idle;
		y->idle = j;
	}
	return 0;
}

static void free_jobs(struct copy *y)
{
	for (size_t i = 0; i < y->n_jobs; i++) {
		free(y->jobs[i].room);
		free(y->jobs[i].pieces);
	}
	free(y->jobs);
}

int image_copy(struct image_copy *c)
{
	pthread_t threads[IMAGE_THREADS];
	unsigned want = c->threads < IMAGE_THREADS ? c->threads : IMAGE_THREADS, n = 0;
	struct copy y = { .c = c };

	y.ready_end = &y.ready;
	pthread_mutex_init(&y.lock, NULL);
	pthread_cond_init(&y.idle_more, NULL);
	pthread_cond_init(&y.ready_more, NULL);
	pthread_cond_init(&y.turn_next, NULL);
	y.err = make_jobs(&y, want);
	/* Fewer threads than wished for are slower, no more. */
	while (!y.err && n < want && !pthread_create(&threads[n], NULL, work, &y))
		n++;
	for (uint64_t at = 0; !y.err && at < c->from->size && !plan_from(&y, &at, !n); )
		;
	pthread_mutex_lock(&y.lock);
	y.over = true;
	pthread_cond_broadcast(&y.ready_more);
	pthread_mutex_unlock(&y.lock);
	for (unsigned i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	free_jobs(&y);
	pthread_cond_destroy(&y.idle_more);
	pthread_cond_destroy(&y.ready_more);
	pthread_cond_destroy(&y.turn_next);
	pthread_mutex_destroy(&y.lock);
	return y.err;
}

int image_estimate(struct image *im, uint64_t *bytes, uint64_t *chunks)
{
	uint64_t next = 0;		/* the first chunk that is not counted */
	struct image_run r;

	*bytes = *chunks = 0;
	for (uint64_t at = 0; at < im->size; at += r.length) {
		uint64_t first = at / IMAGE_CHUNK, end;
		int err = image_map(im, at, IMAGE_MAP_COARSE, &r);

		if (err)
			return err;
		if (!r.data)
			continue;
		end = (at + r.length - 1) / IMAGE_CHUNK + 1;
		*bytes += r.length;
		*chunks += end - (first > next ? first : next);
		next = end;
	}
	return 0;
}
