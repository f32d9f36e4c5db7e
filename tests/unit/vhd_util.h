/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of image formats share: vectors, their expectations, hashes. */
#ifndef TESTS_UNIT_VHD_UTIL_H
#define TESTS_UNIT_VHD_UTIL_H

#include "lib/image.h"
#include "tests/unit/t.h"

/* The unpacked content of tests/vectors/DIR/FILE.xz in memory; NULL fails the test. */
struct io *vec_open(const char *dir, const char *file);

/* Lines "name key value" of tests/vectors/DIR/expect. */
struct vec_line {
	const char *name, *key, *value;
};
struct vec {
	struct arena a;
	const char *dir;
	size_t n;
	struct vec_line *lines;
};
void vec_load(struct vec *v, const char *dir);
void vec_free(struct vec *v);
/* The value, or NULL. */
const char *vec_get(const struct vec *v, const char *name, const char *key);
/* The same as a number; -1 when there is none. */
long long vec_num(const struct vec *v, const char *name, const char *key);

/* Open an image of the vectors with its parents, which are looked up by their names. */
int vec_image(struct vec *v, const char *file, int flags, struct image **im);

/* Report a mismatch by the name of the vector. */
void vec_bad(const char *name, const char *what, long long got, long long want);

/* sha256 of the whole virtual disk. */
int hash_image(struct image *im, char hex[65]);
/* The hash of its blocks that are not zero, without reading holes. */
int hash_blocks(struct image *im, char hex[65]);

/* A small generator of numbers, the same on every machine. */
struct rnd {
	uint64_t s;
};
uint64_t rnd(struct rnd *r);
static inline uint64_t rnd_below(struct rnd *r, uint64_t n)
{
	return rnd(r) % n;
}

/* A copy of all that io holds. */
struct io *io_copy(struct io *io);

#endif
