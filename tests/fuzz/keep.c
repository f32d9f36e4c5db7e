/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The list of a repair's backup, and that of what the repair left, from somebody else: read, written as the same
 * again, and put back.  The input is
 *
 *	how (1 the first lines are right, 2 with force, the rest says what is there),
 *	the list, a NUL, the other list (or nothing: there is none)
 *
 * and what the files of bytes need to have is in them.  Nothing is written of which anything was refused, and
 * what is written lies in what it says it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/keep_impl.h"
#include "drivers/layout.h"
#include "drivers/sr.h"
#include "lib/ctx.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/io_test.h"
#include "tests/fuzz/fuzz.h"

#define SR	"6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11"
#define MOST	65536u		/* of bytes: more are missing */

static struct piece *list, *left;
static size_t n_list, n_left, put;
static uint8_t how;

static const struct piece *find(const struct piece *v, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(v[i].name, name))
			return &v[i];
	return NULL;
}

/* What is there now: as it was kept, as it was left, or something else; or nothing. */
static int peek(struct sr *sr, const char *name, struct io **io)
{
	unsigned int is = (how >> 2) + (unsigned char)name[0];
	const struct piece *p = is & 1 ? find(list, n_list, name) : find(left, n_left, name);

	if (!p || !p->there)
		return -ENOENT;
	*io = io_sparse(p->size, INT64_MAX, (uint8_t)(is >> 1 & 3));
	return 0;
}

static int kept(struct sr *sr, const char *name, const uint64_t *size, struct io **io)
{
	CHECK(name[0] && (!size || *size <= INT64_MAX));
	put++;
	if (size)
		*io = io_sparse(*size, *size, 9);
	return 0;
}

static int fits(struct sr *sr, const char *name, uint64_t size, bool removed)
{
	return name[0] == '!' ? -E_VDI_LOAD : name[0] == '+';
}

static const struct keep_ops ops = { .peek = peek, .kept = kept, .fits = fits };
static const struct layout layout = { .backup = &ops };
static const struct sr_type type = { .layout = &layout };

static void write_file(int dir, const char *name, const void *p, size_t n)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(fd >= 0);
	if (how & 1 && !strchr(name, '.'))
		CHECK(write(fd, "kept 1 " SR "\n", 8 + 36) == 8 + 36);
	CHECK(write(fd, p, n) == (ssize_t)n && !close(fd));
}

static void write_bytes(int dir, const char *name, uint8_t fill, uint64_t n)
{
	static uint8_t bytes[MOST];

	unlinkat(dir, name, 0);
	if (n > MOST)
		return;
	memset(bytes, fill, (size_t)n);
	write_file(dir, name, bytes, (size_t)n);
}

/* All that was read is written, and read as the same. */
static void again(struct sr *sr, int dir, const struct piece *v, size_t n)
{
	struct keep k = { .ctx = sr->ctx };
	struct piece *w;
	uint64_t sum;
	size_t m;

	if (!(how & 1))
		buf_puts(&k.list, "kept 1 " SR "\n");
	for (size_t i = 0; i < n; i++) {
		CHECK(v[i].name[0] && v[i].size <= INT64_MAX && (v[i].there || !v[i].size));
		keep_line(&k, v[i].at, v[i].len, v[i].there ? &v[i].size : NULL, v[i].name);
	}
	write_file(dir, "again", k.list.p, k.list.n);
	buf_free(&k.list);
	CHECK(!keep_read_list(sr, dir, "again", &w, &m, &sum) && m == n);
	for (size_t i = 0; i < n; i++)
		CHECK(v[i].at == w[i].at && v[i].len == w[i].len && v[i].size == w[i].size &&
		      v[i].there == w[i].there && !strcmp(v[i].name, w[i].name));
}

static void undo(struct sr *sr, const char *path, int dir)
{
	uint64_t sum, sum_left = 0;
	int err = keep_read_list(sr, dir, "list", &list, &n_list, &sum);

	if (err)
		return;
	again(sr, dir, list, n_list);
	write_bytes(dir, "bytes", 0, sum);
	n_left = 0;
	if (!keep_read_list(sr, dir, "left", &left, &n_left, &sum_left)) {
		again(sr, dir, left, n_left);
		write_bytes(dir, "left.bytes", 1, sum_left);
	} else {
		n_left = 0;
	}
	put = 0;
	err = keep_undo(sr, path, how & 2);
	CHECK(!put || !err);
	CHECK(put <= n_list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const files[] = { "list", "left", "bytes", "left.bytes", "again" };
	const uint8_t *end;
	struct ctx ctx = { 0 };
	struct sr sr = { .ctx = &ctx, .type = &type, .uuid = { SR }, .dir = -1 };
	char path[40];
	int dir;

	if (!size)
		return 0;
	how = *data++;
	size--;
	end = memchr(data, 0, size);
	snprintf(path, sizeof(path), "/dev/shm/fuzz-keep-%d", (int)getpid());
	mkdir(path, 0700);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(dir >= 0);
	write_file(dir, "list", data, end ? (size_t)(end - data) : size);
	if (end)
		write_file(dir, "left", end + 1, (size_t)(data + size - end - 1));
	undo(&sr, path, dir);
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		unlinkat(dir, files[i], 0);
	close(dir);
	rmdir(path);
	arena_free(&ctx.arena);
	return 0;
}
