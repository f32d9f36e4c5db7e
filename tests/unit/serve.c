/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk under many threads against a model; its order of writes under power
 * cuts; and what becomes of it when a flush fails.
 *
 * The seed is printed; SEED=n in the environment repeats a run.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/io_test.h"
#include "lib/kconfig.h"
#include "lib/serve/disk.h"
#include "lib/vhd/check.h"
#include "lib/vhd/create.h"
#include "lib/vhd/vhd.h"
#include "tests/unit/vhd_util.h"

#define SIZE	(24 * MiB)
#define PAGE	4096u
#define PAGES	(SIZE / PAGE)
#define THREADS	4u
#define STEPS	1500

/* --- images in files without a name ------------------------------------------- */

static struct io *file(int flags)
{
	char path[] = "./serve.XXXXXX";
	struct io *io = NULL;
	int fd = mkstemp(path);

	OK(fd >= 0);
	unlink(path);
	EQ(io_from_fd(&io, fd, IO_RDWR | flags), 0);
	return io;
}

static struct io *again(struct io *io)
{
	struct io *copy = NULL;

	EQ(io_from_fd(&copy, dup(io->fd), IO_RDWR), 0);
	return copy;
}

static struct io *new_vhd(struct io *io, bool child)
{
	struct vhd_create how = {
		.type = child ? VHD_DIFF : VHD_DYNAMIC, .size = SIZE, .uuid = { child ? 2 : 1 },
		.parent_path = "./parent.vhd", .parent_uuid = { 1 },
	};

	EQ(vhd_create(io, &how), 0);
	return io;
}

static int find(void *arg, const struct image_parent *want, struct io **io, enum image_format *f)
{
	struct io *parent = arg;

	*f = IMAGE_VHD;
	return io_window(io, parent, 0, parent->size);
}

static struct disk *open_disk(struct io *io, enum image_format f, struct io *parent)
{
	struct image *im = NULL;
	struct disk *d = NULL;

	if (EQ(image_open(&im, io, f, IMAGE_RDWR, find, parent), 0))
		disk_open(&d, im);
	return d;
}

/* --- many threads ------------------------------------------------------------- */

/* Every page belongs to one thread, and its neighbours to others. */
struct worker {
	struct disk *d;
	uint8_t *model;		/* of the whole disk; only the own pages are touched */
	struct rnd r;
	unsigned int n;
	int steps;
	size_t bad;
};

static uint64_t own_page(struct worker *w)
{
	return (rnd_below(&w->r, PAGES / THREADS) * THREADS + w->n) * PAGE;
}

/* Trimmed bytes are as before or zero: what they are now is what they will stay. */
static bool trimmed(struct worker *w, uint64_t at)
{
	uint8_t now[PAGE];

	w->bad += disk_trim(w->d, at, PAGE) || disk_read(w->d, at, now, PAGE);
	for (size_t i = 0; i < PAGE; i += 512)
		if (memcmp(now + i, w->model + at + i, 512) && !is_zero(now + i, 512))
			return false;
	memcpy(w->model + at, now, PAGE);
	return true;
}

static void step(struct worker *w)
{
	uint64_t page = own_page(w), skip = rnd_below(&w->r, PAGE / 512) * 512;
	uint64_t len = (1 + rnd_below(&w->r, (PAGE - skip) / 512)) * 512;
	uint8_t buf[PAGE];

	switch (rnd_below(&w->r, 16)) {
	case 0: case 1: case 2: case 3: case 4:
		w->bad += disk_read(w->d, page, buf, PAGE) || memcmp(buf, w->model + page, PAGE);
		break;
	case 5:
		w->bad += rnd_below(&w->r, 4) == 0 && disk_flush(w->d) != 0;
		break;
	case 6:
		memset(w->model + page + skip, 0, len);
		w->bad += disk_zero(w->d, page + skip, len, rnd_below(&w->r, 2)) != 0;
		break;
	case 7:
		w->bad += !trimmed(w, page);
		break;
	case 8:			/* of any alignment */
		skip = rnd_below(&w->r, PAGE);
		len = 1 + rnd_below(&w->r, PAGE - skip);
		/* fallthrough */
	default:
		memset(w->model + page + skip, (int)(1 + rnd_below(&w->r, 255)), len);
		w->bad += disk_write(w->d, page + skip, w->model + page + skip, len) != 0;
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;

	for (int i = 0; i < w->steps; i++)
		step(w);
	return NULL;
}

static void same(struct disk *d, const uint8_t *model)
{
	uint8_t *all = must_alloc(SIZE);
	size_t bad = 0;

	EQ(disk_read(d, 0, all, SIZE), 0);
	for (size_t i = 0; i < SIZE; i += PAGE)
		bad += memcmp(all + i, model + i, PAGE) != 0;
	EQ(bad, 0);
	free(all);
}

static void run_threads(struct disk *d, uint8_t *model, uint64_t seed, int steps)
{
	struct worker w[THREADS];
	pthread_t t[THREADS];

	for (unsigned int i = 0; i < THREADS; i++) {
		w[i] = (struct worker){ .d = d, .model = model, .r = { seed + i }, .n = i,
				       .steps = steps };
		EQ(pthread_create(&t[i], NULL, work, &w[i]), 0);
	}
	for (unsigned int i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		EQ(w[i].bad, 0);
	}
}

static uint64_t seed_now(void)
{
	const char *s = getenv("SEED");
	uint64_t seed = s ? strtoull(s, NULL, 10) : (uint64_t)time(NULL);

	printf("# SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

static void check_vhd(struct io *io)
{
	struct arena a = { 0 };
	struct vhd_findings f = { .arena = &a };

	EQ(vhd_check(io, VHD_CHECK_BITMAPS, 0, &f), 0);
	OK(f.worst < VHD_DAMAGE);
	arena_free(&a);
}

static void check_file(struct io *io)
{
	_io_close_ struct io *now = again(io);		/* the size has changed */

	check_vhd(now);
}

/* Through threads, closed, opened again, and once more. */
static void torture(struct io *io, enum image_format f, struct io *parent, uint8_t *model,
		    int steps)
{
	uint64_t seed = seed_now();

	for (int round = 0; round < 2; round++) {
		struct disk *d = open_disk(again(io), f, parent);

		if (!d)
			return;
		same(d, model);
		run_threads(d, model, seed + (uint64_t)round * THREADS, steps);
		same(d, model);
		EQ(disk_close(d), 0);
		if (f == IMAGE_VHD)
			check_file(io);
	}
}

TEST(serve_threads_on_raw_bytes)
{
	uint8_t *model = must_alloc(SIZE);
	struct io *io = file(0);

	EQ(io_resize(io, SIZE), 0);
	torture(io, IMAGE_RAW, NULL, model, STEPS);
	io_close(io);
	free(model);
}

TEST(serve_threads_on_a_vhd)
{
	uint8_t *model = must_alloc(SIZE);
	struct io *io = new_vhd(file(0), false);

	torture(io, IMAGE_VHD, NULL, model, STEPS);
	io_close(io);
	free(model);
}

TEST(serve_threads_on_a_vhd_past_the_page_cache)
{
	uint8_t *model = must_alloc(SIZE);
	struct io *io = new_vhd(file(IO_DIRECT), false);

	torture(io, IMAGE_VHD, NULL, model, STEPS / 8);
	io_close(io);
	free(model);
}

TEST(serve_threads_on_a_child)
{
	uint8_t *model = must_alloc(SIZE);
	struct io *parent = new_vhd(file(0), false), *io;
	struct vhd *v = NULL;

	for (size_t i = 0; i < SIZE; i += 7 * PAGE)
		memset(model + i, (int)(1 + i / PAGE % 255), PAGE);
	EQ(vhd_open(&v, parent, VHD_RDWR), 0);
	EQ(vhd_write(v, 0, model, SIZE / 2), 0);
	EQ(vhd_finish(v), 0);
	vhd_close(v);
	memset(model + SIZE / 2, 0, SIZE / 2);
	io = new_vhd(file(0), true);
	torture(io, IMAGE_VHD, parent, model, STEPS);
	io_close(io);
	io_close(parent);
	free(model);
}

/* --- power cuts --------------------------------------------------------------- */

static const uint64_t points[] = { 0, 1, 100, 511, 512, 700, 1023, 1024, 2000 };	/* pages */

static void put(struct disk *d, uint64_t page, uint8_t value)
{
	uint8_t b[PAGE];

	memset(b, value, sizeof(b));
	EQ(disk_write(d, page * PAGE, b, sizeof(b)), 0);
}

/* What was flushed is there; what was not is old or new, sector by sector. */
static void look(struct io *disk, bool flushed)
{
	struct vhd *v = NULL;
	uint8_t b[PAGE];
	size_t bad = 0;

	check_vhd(disk);
	if (!EQ(vhd_open(&v, disk, 0), 0))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
		EQ(vhd_read_alone(v, points[i] * PAGE, b, PAGE), 0);
		for (size_t k = 0; k < PAGE; k++) {
			bool old = b[k] == (i % 2 ? 0 : 11), new = b[k] == 22;

			bad += !(i % 2 == 0 && flushed ? new : old || new);
		}
	}
	EQ(bad, 0);
	vhd_close(v);
}

/* What is given back is whole pages: one, if it is all that was asked for. */
TEST(serve_trims_a_single_page)
{
	struct io *io = file(0);
	uint8_t b[3 * PAGE], now[3 * PAGE];
	struct disk *d;

	memset(b, 11, sizeof(b));
	EQ(io_resize(io, sizeof(b)), 0);
	d = open_disk(io, IMAGE_RAW, NULL);
	EQ(disk_write(d, 0, b, sizeof(b)), 0);
	EQ(disk_trim(d, 1, PAGE), 0);
	EQ(disk_trim(d, PAGE + 512, 512), 0);
	EQ(disk_read(d, 0, now, sizeof(now)), 0);
	OK(!memcmp(b, now, sizeof(b)));
	EQ(disk_trim(d, PAGE - 512, PAGE + 512), 0);
	memset(b + PAGE, 0, PAGE);
	EQ(disk_read(d, 0, now, sizeof(now)), 0);
	OK(!memcmp(b, now, sizeof(b)));
	disk_close(d);
}

TEST(serve_survives_power_cuts)
{
	struct io *base = new_vhd(io_mem(0, 64 * MiB), false), *log;
	struct vhd *v = NULL;
	struct disk *d;
	size_t flushed;
	uint8_t b[PAGE];

	EQ(vhd_open(&v, base, VHD_RDWR), 0);
	memset(b, 11, PAGE);
	for (size_t i = 0; i < ARRAY_SIZE(points); i += 2)
		EQ(vhd_write(v, points[i] * PAGE, b, PAGE), 0);
	EQ(vhd_finish(v), 0);
	vhd_close(v);

	log = io_log(base);
	d = open_disk(log, IMAGE_VHD, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(points); i += 2)
		put(d, points[i], 22);
	EQ(disk_flush(d), 0);
	flushed = io_log_len(log);
	for (size_t i = 1; i < ARRAY_SIZE(points); i += 2)
		put(d, points[i], 22);
	EQ(disk_zero(d, 3000 * PAGE, PAGE, true), 0);
	EQ(disk_flush(d), 0);
	for (size_t n = 0; n <= io_log_len(log); n++)
		for (uint64_t seed = 0; seed < 3; seed++) {
			struct io *after = io_log_lose(log, n, seed * 1000 + n * !!seed);

			look(after, n >= flushed);
			io_close(after);
		}
	EQ(disk_close(d), 0);
	io_close(base);
}

TEST(serve_flushes_only_what_was_written)
{
	struct io *base = new_vhd(io_mem(0, 64 * MiB), false), *log = io_log(base);
	struct disk *d = open_disk(log, IMAGE_VHD, NULL);
	size_t before;

	put(d, 0, 1);
	EQ(disk_flush(d), 0);
	before = io_log_len(log);
	EQ(disk_flush(d), 0);
	EQ(disk_zero(d, 100 * MiB / 100, PAGE, false), 0);	/* a hole stays one */
	EQ(io_log_len(log), before);
	put(d, 0, 2);
	EQ(disk_flush(d), 0);
	EQ(io_log_len(log), before + 2);			/* data and one flush: the bit is set */
	EQ(disk_close(d), 0);
	io_close(base);
}

/* Open, write, flush with the at-th call failing: did the flush fail? -1: it came too late. */
static int fail_at(struct io *base, size_t at)
{
	struct io *copy = io_copy(base), *fault = io_fault(copy, at, -EIO, false), *on = NULL;
	uint8_t b[PAGE] = { 1 };
	struct image *im = NULL;
	int flushed = 0;
	bool late = false;
	struct disk *d;

	/* A volume: what fails must outlive the image. */
	EQ(io_window(&on, fault, 0, copy->size), 0);
	if (!image_open(&im, on, IMAGE_VHD, IMAGE_RDWR, NULL, NULL)) {
		int wrote;

		disk_open(&d, im);
		wrote = disk_write(d, 0, b, PAGE);
		flushed = wrote ? 0 : disk_flush(d);
		late = io_fault_calls(fault) < at;
		if (flushed) {
			EQ(disk_write(d, PAGE, b, PAGE), flushed);
			EQ(disk_flush(d), flushed);
		}
		EQ(disk_close(d) < 0 || !flushed, true);
	}
	io_close(fault);
	io_close(copy);
	return late ? -1 : flushed != 0;
}

TEST(serve_never_forgets_a_failed_flush)
{
	struct io *base = io_mem(32 * MiB, 32 * MiB), *volume = NULL;
	size_t failed = 0, at = 1;
	int what;

	EQ(io_window(&volume, base, 0, base->size), 0);
	io_close(new_vhd(volume, false));
	for (what = 0; what >= 0 && at < 100; at++) {
		what = fail_at(base, at);
		failed += what > 0;
	}
	EQ(failed, 4);			/* flush, bitmap, BAT, flush */
	io_close(base);
}

/* --- a change under it ------------------------------------------------------------ */

static struct image *open_image(struct io *io)
{
	struct image *im = NULL;

	EQ(image_open(&im, again(io), IMAGE_VHD, IMAGE_RDWR, NULL, NULL), 0);
	return im;
}

/* Whenever it is paused all that was acknowledged is in the image, which is whole. */
TEST(serve_threads_on_a_vhd_that_is_taken_away_and_given_back)
{
	struct disk_notes *notes = must_alloc(sizeof(*notes));
	uint8_t *model = must_alloc(SIZE);
	struct io *io = new_vhd(file(0), false);
	struct disk *d = open_disk(again(io), IMAGE_VHD, NULL);
	uint64_t seed = seed_now();
	struct worker w[THREADS];
	pthread_t t[THREADS];

	EQ(disk_recover(d, notes), 0);
	for (unsigned int i = 0; i < THREADS; i++) {
		w[i] = (struct worker){ .d = d, .model = model, .r = { seed + i }, .n = i,
				       .steps = STEPS };
		EQ(pthread_create(&t[i], NULL, work, &w[i]), 0);
	}
	for (int round = 0; round < 20; round++) {
		if (!EQ(disk_pause(d, 10000, false), 0))
			break;
		EQ(notes->from, notes->to);
		check_file(io);
		EQ(disk_resume(d, open_image(io), notes), 0);
	}
	for (unsigned int i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		EQ(w[i].bad, 0);
	}
	same(d, model);
	EQ(disk_close(d), 0);
	io_close(io);
	free(notes);
	free(model);
}

/* A child of the image, in a file without a name; what its parent was made with does not matter. */
static struct io *new_child(const uint8_t *parent, uint8_t uuid)
{
	struct io *io = file(0);
	struct vhd_create how = {
		.type = VHD_DIFF, .size = SIZE, .uuid = { uuid }, .parent_path = "./parent.vhd",
	};

	memcpy(how.parent_uuid, parent, sizeof(how.parent_uuid));
	EQ(vhd_create(io, &how), 0);
	return io;
}

TEST(serve_images_become_parents_under_threads)
{
	struct disk_notes *notes = must_alloc(sizeof(*notes));
	uint8_t *model = must_alloc(SIZE), uuid[16] = { 1 };
	struct io *io = new_vhd(file(0), false);
	struct disk *d = open_disk(again(io), IMAGE_VHD, NULL);
	struct disk_top top;
	uint64_t seed = seed_now();
	struct worker w[THREADS];
	pthread_t t[THREADS];

	EQ(disk_recover(d, notes), 0);
	for (unsigned int i = 0; i < THREADS; i++) {
		w[i] = (struct worker){ .d = d, .model = model, .r = { seed + i }, .n = i,
				       .steps = STEPS };
		EQ(pthread_create(&t[i], NULL, work, &w[i]), 0);
	}
	for (uint8_t round = 2; round < 8; round++) {
		struct io *child = new_child(uuid, round), *stranger = file(0);

		if (!EQ(disk_pause(d, 10000, true), 0))
			break;
		check_file(io);
		top = (struct disk_top){ again(child), again(stranger), IMAGE_VHD, IMAGE_VHD };
		EQ(disk_push(d, &top), -E_VHD_PARENT_UUID);
		disk_go_on(d);		/* as it was */
		EQ(disk_pause(d, 10000, true), 0);
		EQ(notes->from, notes->to);
		top = (struct disk_top){ again(child), again(io), IMAGE_VHD, IMAGE_VHD };
		EQ(disk_push(d, &top), 0);
		disk_go_on(d);
		io_close(stranger);
		io_close(io);
		io = child;
		memset(uuid, 0, sizeof(uuid));
		uuid[0] = round;
	}
	for (unsigned int i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		EQ(w[i].bad, 0);
	}
	same(d, model);
	EQ(disk_pause(d, 1000, true), 0);
	disk_forget(d);
	EQ(disk_close(d), 0);
	io_close(io);
	free(notes);
	free(model);
}

/* What is written into the VHD that it becomes is noted, though there was nothing to note before. */
TEST(serve_a_raw_disk_becomes_a_parent)
{
	struct disk_notes *notes = must_alloc(sizeof(*notes));
	struct vhd_create how = {
		.type = VHD_DIFF, .size = SIZE, .uuid = { 2 }, .parent_path = "./parent.raw",
	};
	struct io *io = file(0), *child = file(0);
	uint8_t buf[PAGE], want[PAGE];
	struct disk_top top;
	struct disk *d;

	EQ(ftruncate(io->fd, SIZE), 0);
	d = open_disk(again(io), IMAGE_RAW, NULL);
	EQ(disk_recover(d, notes), 0);
	memset(want, 5, PAGE);
	EQ(disk_write(d, 0, want, PAGE), 0);
	EQ(disk_write(d, MiB, want, PAGE), 0);
	EQ(vhd_create(child, &how), 0);
	EQ(disk_pause(d, 1000, true), 0);
	top = (struct disk_top){ again(child), again(io), IMAGE_VHD, IMAGE_RAW };
	EQ(disk_push(d, &top), 0);
	disk_go_on(d);
	EQ(notes->from, notes->to);
	memset(buf, 6, PAGE);
	EQ(disk_write(d, MiB, buf, PAGE), 0);
	EQ(notes->from + 1, notes->to);
	EQ(disk_read(d, MiB, buf, PAGE), 0);
	EQ(buf[0], 6);
	EQ(disk_read(d, 0, buf, PAGE), 0);
	EQ(memcmp(buf, want, PAGE), 0);
	EQ(disk_close(d), 0);
	/* Nothing of it went into the parent. */
	EQ(pread(io->fd, buf, PAGE, MiB), (ssize_t)PAGE);
	EQ(memcmp(buf, want, PAGE), 0);
	io_close(child);
	io_close(io);
	free(notes);
}

static void *read_one(void *arg)
{
	uint8_t buf[PAGE];

	return (void *)(intptr_t)disk_read(arg, 0, buf, PAGE);
}

TEST(serve_without_an_image_waits_or_refuses)
{
	struct io *io = new_vhd(file(0), false), *small = file(0);
	struct vhd_create how = { .type = VHD_DYNAMIC, .size = SIZE / 2, .uuid = { 1 } };
	struct disk *d = open_disk(again(io), IMAGE_VHD, NULL);
	struct image *im = NULL;
	pthread_t t;
	void *err;

	EQ(disk_pause(d, 1000, false), 0);
	EQ(disk_size(d), SIZE);
	EQ(pthread_create(&t, NULL, read_one, d), 0);
	disk_refuse(d, -EIO);			/* whether it waits already or comes later */
	pthread_join(t, &err);
	EQ((intptr_t)err, -EIO);
	EQ(disk_write(d, 0, "", 1), -EIO);
	EQ(disk_flush(d), -EIO);
	disk_refuse(d, 0);
	EQ(vhd_create(small, &how), 0);
	EQ(image_open(&im, small, IMAGE_VHD, IMAGE_RDWR, NULL, NULL), 0);
	EQ(disk_resume(d, im, NULL), -E_RANGE);
	EQ(disk_size(d), SIZE);
	EQ(pthread_create(&t, NULL, read_one, d), 0);
	EQ(disk_resume(d, open_image(io), NULL), 0);
	pthread_join(t, &err);
	EQ((intptr_t)err, 0);
	EQ(disk_close(d), 0);

	disk_prepare(&d, SIZE, true);
	EQ(disk_resume(d, open_image(io), NULL), 0);
	EQ((intptr_t)read_one(d), 0);
	EQ(disk_close(d), 0);
	io_close(io);
}

/* --- death of the process ------------------------------------------------------- */

/*
 * The process dies, the kernel lives: the file is as it is, and of the memory
 * only the notes are left.
 */
static struct disk *die(struct disk *d, struct io *io, struct disk_notes *notes, struct io **kept)
{
	struct image *im = NULL;
	struct disk *next = NULL;

	struct disk_notes *then = must_alloc(sizeof(*then));

	*then = *notes;
	*kept = io_copy(io);
	disk_close(d);		/* which the dead one did not do */
	*notes = *then;
	free(then);
	if (EQ(image_open(&im, *kept, IMAGE_VHD, IMAGE_RDWR, NULL, NULL), 0)) {
		disk_open(&next, im);
		EQ(disk_recover(next, notes), 0);
		EQ(notes->from, notes->to);
	}
	return next;
}

TEST(serve_goes_on_where_a_dead_one_was)
{
	struct disk_notes *notes = must_alloc(sizeof(*notes));
	uint8_t *model = must_alloc(SIZE);
	struct io *io = new_vhd(io_mem(0, 64 * MiB), false), *next;
	struct worker w = { .model = model, .r = { seed_now() } };

	w.d = open_disk(io, IMAGE_VHD, NULL);
	EQ(disk_recover(w.d, notes), 0);
	for (int round = 0; w.d && round < 20; round++) {
		for (int i = 0; i < 60; i++)
			step(&w);
		EQ(w.bad, 0);
		w.d = die(w.d, io, notes, &next);
		io = next;
		if (w.d)
			same(w.d, model);
	}
	EQ(disk_close(w.d), 0);
	free(notes);
	free(model);
}

TEST(serve_flushes_when_the_notes_are_full)
{
	struct disk_notes *notes = must_alloc(sizeof(*notes));
	struct io *io = new_vhd(io_mem(0, 64 * MiB), false);
	struct disk *d = open_disk(io, IMAGE_VHD, NULL);

	notes->from = notes->to = 12345;
	EQ(disk_recover(d, notes), 0);
	notes->from -= DISK_NOTES - 2;		/* as if there were so many */
	for (uint64_t i = 0; i < 5; i++)
		put(d, i * 512, 1);
	OK(notes->to - notes->from < 5);
	EQ(disk_close(d), 0);
	free(notes);
}

TEST(serve_believes_no_note_that_cannot_be)
{
	static const struct vhd_note bad[] = {
		{ 12, 0x1010, 0, 1 },		/* a block past the end */
		{ 0, 1, 0, 1 },			/* over the header */
		{ 0, 0x7fffffff, 0, 1 },	/* past the end of the file */
		{ 0, 0x1010, 4095, 2 },
		{ 0, 0x1010, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct disk_notes *notes = must_alloc(sizeof(*notes));
		struct disk *d = open_disk(new_vhd(io_mem(0, 64 * MiB), false), IMAGE_VHD, NULL);

		notes->note[0] = bad[i];
		notes->to = 1;
		EQ(disk_recover(d, notes), -E_RANGE);
		disk_close(d);
		free(notes);
	}
}

/* --- beside others who write the same image ------------------------------------- */

/* A file of which somebody else writes one sector, just when it has been read. */
struct beside {
	struct io io;
	struct io *file;
	uint64_t at;		/* 0: nobody does */
	size_t times;
	int flush;		/* what the next one says, and none after it */
};

static int beside_read(struct io *io, uint64_t at, void *buf, size_t len)
{
	struct beside *b = (struct beside *)io;
	uint8_t his[512];
	int err = io_read(b->file, at, buf, len);

	if (err || !b->at || b->at < at || b->at >= at + len)
		return err;
	b->times++;
	memset(his, 7, sizeof(his));
	return io_write(b->file, b->at, his, sizeof(his));
}

static int beside_write(struct io *io, uint64_t at, const void *buf, size_t len)
{
	struct beside *b = (struct beside *)io;
	int err = io_write(b->file, at, buf, len);

	io->size = b->file->size;
	return err;
}

static int beside_flush(struct io *io)
{
	struct beside *b = (struct beside *)io;
	int err = b->flush;

	b->flush = 0;
	return err ? err : io_flush(b->file);
}

static int beside_resize(struct io *io, uint64_t size)
{
	struct beside *b = (struct beside *)io;
	int err = io_resize(b->file, size);

	io->size = b->file->size;
	return err;
}

static void beside_close(struct io *io)
{
	io_close(((struct beside *)io)->file);
}

static const struct io_ops beside_ops = {
	.read = beside_read, .write = beside_write, .flush = beside_flush, .resize = beside_resize,
	.close = beside_close,
};

TEST(serve_writes_no_sector_that_it_was_not_asked_to_beside_others)
{
	struct beside b = { .file = new_vhd(file(IO_DIRECT), false) };
	struct disk_block full;
	uint8_t *block = must_alloc(VHD_BLOCK), sectors[1024];
	struct disk *d;

	if (!IS_ENABLED(CONFIG_DATAPATH_HYBRID)) {		/* there are no others */
		io_close(b.file);
		free(block);
		return;
	}
	b.io = *b.file;
	b.io.ops = &beside_ops;
	d = open_disk(&b.io, IMAGE_VHD, NULL);
	disk_shared(d);
	EQ(disk_write(d, 0, block, VHD_BLOCK), 0);
	EQ(disk_flush(d), 0);
	EQ(disk_full_blocks(d, &full, 1), 1);
	b.at = full.at + 3 * 512;
	memset(sectors, 5, sizeof(sectors));
	EQ(disk_write(d, 1 * 512, sectors, 1024), 0);
	EQ(disk_zero(d, 4 * 512, 1024, false), 0);
	EQ(disk_read(d, 0, block, PAGE), 0);
	b.at = 0;
	EQ(disk_read(d, 3 * 512, sectors, 512), 0);
	OK(block[512] == 5 && block[1535] == 5 && b.times == 1 && sectors[0] == 7 && sectors[511] == 7);
	EQ(disk_close(d), 0);
	free(block);
}

/* A write of the end of the file takes O_DIRECT off for a moment: the image is what it is all the same. */
TEST(serve_goes_past_the_page_cache_also_while_the_end_is_written)
{
	struct io *io = new_vhd(file(IO_DIRECT), false);
	struct disk *d = open_disk(io, IMAGE_VHD, NULL);
	int fd = io->fd, flags = fcntl(fd, F_GETFL), direct = flags & O_DIRECT ? fd : -1;

	EQ(disk_direct_fd(d), direct);		/* there is no such thing on some file systems */
	EQ(fcntl(fd, F_SETFL, flags & ~O_DIRECT), 0);
	EQ(disk_direct_fd(d), direct);
	EQ(fcntl(fd, F_SETFL, flags), 0);
	EQ(disk_close(d), 0);
}

/* The kernel says once that what had been written could not be stored, to whoever flushes next. */
TEST(serve_tells_that_what_it_had_acknowledged_is_lost_whoever_flushed)
{
	static const int told[] = { -EIO, -ENOSPC, -EDQUOT };

	for (size_t i = 0; i < ARRAY_SIZE(told); i++) {
		struct beside b = { .file = new_vhd(io_mem(0, 64 * MiB), false) };
		uint8_t page[PAGE] = { 1 };
		struct disk *d;

		b.io = *b.file;
		b.io.ops = &beside_ops;
		d = open_disk(&b.io, IMAGE_VHD, NULL);
		EQ(disk_write(d, 0, page, PAGE), 0);
		b.flush = told[i];
		OK(disk_write(d, VHD_BLOCK, page, PAGE) < 0);	/* a block is made, by a flush */
		EQ(b.flush, 0);
		OK(disk_flush(d) < 0);
		OK(disk_write(d, 0, page, PAGE) < 0);
		OK(disk_close(d) < 0);
	}
}
