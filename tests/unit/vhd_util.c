/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/vhd/locator.h"
#include "tests/unit/sha256.h"
#include "tests/unit/vhd_util.h"

#define CHUNK ((size_t)2 << 20)

struct io *vec_open(const char *dir, const char *file)
{
	static const char fmt[] = "xz -dc tests/vectors/%s/%s.xz 2>/dev/null";
	struct io *io = io_mem(0, 64 * MiB);
	char cmd[512], *p = must_alloc(CHUNK);
	uint64_t at = 0;
	size_t n;
	FILE *f;

	snprintf(cmd, sizeof(cmd), fmt, dir, file);
	f = popen(cmd, "r");
	while (f && (n = fread(p, 1, CHUNK, f)) > 0) {
		io_write(io, at, p, n);
		at += n;
	}
	free(p);
	if (f && !pclose(f) && at)
		return io;
	t_ok(file, 0, "unpacked (run in the source tree, with xz installed)", false);
	io_close(io);
	return NULL;
}

void vec_load(struct vec *v, const char *dir)
{
	char path[256], line[1024];
	size_t room = 0;
	FILE *f;

	*v = (struct vec){ .dir = dir };
	snprintf(path, sizeof(path), "tests/vectors/%s/expect", dir);
	f = fopen(path, "r");
	OK(f);
	while (f && fgets(line, sizeof(line), f)) {
		char *key = strchr(line, ' '), *value = key ? strchr(key + 1, ' ') : NULL;

		if (line[0] == '#' || !value)
			continue;
		*key++ = *value++ = 0;
		value[strcspn(value, "\n")] = 0;
		if (v->n == room) {
			room += 1000;
			v->lines = arena_grow(&v->a, v->lines, v->n, room, sizeof(*v->lines));
		}
		v->lines[v->n++] = (struct vec_line){
			arena_strdup(&v->a, line), arena_strdup(&v->a, key),
			arena_strdup(&v->a, value),
		};
	}
	if (f)
		fclose(f);
}

void vec_free(struct vec *v)
{
	arena_free(&v->a);
}

const char *vec_get(const struct vec *v, const char *name, const char *key)
{
	for (size_t i = 0; i < v->n; i++)
		if (!strcmp(v->lines[i].name, name) && !strcmp(v->lines[i].key, key))
			return v->lines[i].value;
	return NULL;
}

long long vec_num(const struct vec *v, const char *name, const char *key)
{
	const char *s = vec_get(v, name, key);

	return s ? strtoll(s, NULL, 0) : -1;
}

void vec_bad(const char *name, const char *what, long long got, long long want)
{
	t_eq(name, 0, what, got, want);
}

/* LVs name their parents by the device-mapper node: the vectors have one such pair. */
static int find_parent(void *arg, const struct image_parent *want, struct io **io,
		       enum image_format *format)
{
	struct vec *v = arg;
	const char *name = vhd_basename(want->paths[0]);

	if (strstr(name, "--000000000001-VHD-"))
		name = "lvhd-base.lv";
	*io = vec_open(v->dir, name);
	if (!*io)
		return -E_IMAGE_PARENT;
	*format = want->raw ? IMAGE_RAW : want->child;
	return 0;
}

int vec_image(struct vec *v, const char *file, int flags, struct image **im)
{
	struct io *io = vec_open(v->dir, file);
	enum image_format f;
	int err;

	if (!io)
		return -E_IMAGE_PARENT;
	err = image_probe(io, &f);
	if (err) {
		io_close(io);
		return err;
	}
	return image_open(im, io, f, flags, find_parent, v);
}

int hash_image(struct image *im, char hex[65])
{
	uint8_t *p = must_alloc(CHUNK), sum[32];
	struct sha256 s;
	int err = 0;

	sha256_start(&s);
	for (uint64_t at = 0; at < im->size && !err; at += CHUNK) {
		size_t n = im->size - at < CHUNK ? (size_t)(im->size - at) : CHUNK;

		err = image_read(im, at, p, n);
		if (!err)
			sha256_add(&s, p, n);
	}
	sha256_end(&s, sum);
	sha256_hex(sum, hex);
	free(p);
	return err;
}

int hash_blocks(struct image *im, char hex[65])
{
	uint8_t *p = must_alloc(CHUNK), sum[32];
	struct image_run run = { 0 };
	struct sha256 all, one;
	int err = 0;

	sha256_start(&all);
	for (uint64_t at = 0; at < im->size && !err; at += CHUNK) {
		size_t n = im->size - at < CHUNK ? (size_t)(im->size - at) : CHUNK;
		be64 index = be64_put(at / CHUNK);

		while (!err && run.start + run.length <= at)
			err = image_map(im, run.start + run.length, 0, &run);
		if (err || (run.zero && run.start + run.length >= at + n))
			continue;
		err = image_read(im, at, p, n);
		if (err || is_zero(p, n))
			continue;
		sha256_start(&one);
		sha256_add(&one, p, n);
		sha256_end(&one, sum);
		sha256_add(&all, &index, sizeof(index));
		sha256_add(&all, sum, sizeof(sum));
	}
	sha256_end(&all, sum);
	sha256_hex(sum, hex);
	free(p);
	return err;
}

uint64_t rnd(struct rnd *r)
{
	uint64_t z = r->s += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

struct io *io_copy(struct io *io)
{
	struct io *copy = io_mem(io->size, io->size + 64 * MiB);
	char *p = must_alloc(CHUNK);

	for (uint64_t at = 0; at < io->size; at += CHUNK) {
		size_t n = io->size - at < CHUNK ? (size_t)(io->size - at) : CHUNK;

		io_read(io, at, p, n);
		io_write(copy, at, p, n);
	}
	free(p);
	return copy;
}
