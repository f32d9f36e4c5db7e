/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a repair has kept, put back where it was. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/keep_impl.h"
#include "drivers/layout.h"
#include "drivers/sr.h"
#include "lib/arena.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/io.h"
#include "lib/num.h"

#define LIST_MOST	(64 * MiB)

/* %XX: exactly two digits, and no NUL. */
static int name_of(struct arena *a, const char *s, const char **name)
{
	static const char digits[] = "0123456789abcdef";
	char *to = arena_alloc(a, strlen(s) + 1);

	*name = to;
	for (; *s; s++) {
		const char *x, *y;

		if (*s != '%') {
			*to++ = *s;
			continue;
		}
		x = s[1] ? strchr(digits, s[1]) : NULL;
		y = x && s[2] ? strchr(digits, s[2]) : NULL;
		if (!y || (x == digits && y == digits))
			return -EINVAL;
		*to++ = (char)((x - digits) << 4 | (y - digits));
		s += 2;
	}
	return 0;
}

static bool number(const char **s, uint64_t *n)
{
	return num_take(s, n) && *(*s)++ == ' ';
}

static int parse(struct arena *a, const char *line, struct piece *p)
{
	if (!number(&line, &p->at) || !number(&line, &p->len))
		return -EINVAL;
	p->there = strncmp(line, "- ", 2);
	p->size = 0;
	if (!p->there)
		line += 2;
	else if (!number(&line, &p->size))
		return -EINVAL;
	if (p->size > INT64_MAX || !*line)
		return -EINVAL;
	return name_of(a, line, &p->name);
}

static int put_back(struct sr *sr, const struct piece *p, struct io *bytes, uint64_t from)
{
	_io_close_ struct io *io = NULL;
	char *buf = p->len ? must_alloc(KEEP_PART) : NULL;
	int err = sr->type->layout->backup->kept(sr, p->name, p->there ? &p->size : NULL, &io);

	for (uint64_t done = 0; done < p->len && !err; ) {
		size_t n = p->len - done < KEEP_PART ? (size_t)(p->len - done) : KEEP_PART;

		err = io_read(bytes, from + done, buf, n);
		if (!err)
			err = io_write(io, p->at + done, buf, n);
		done += n;
	}
	if (!err && io)
		err = io_flush(io);
	free(buf);
	return err ? fail(sr->ctx, err, "put back %.128s", p->name) : 0;
}

int keep_read_list(struct sr *sr, int dir, const char *file, struct piece **v, size_t *n, uint64_t *sum)
{
	struct arena *a = &sr->ctx->arena;
	const char *first = arena_printf(a, "kept 1 %s", sr->uuid.s);
	struct view text;
	char *line, *end;
	int err = file_read_small(dir, file, a, LIST_MOST, &text);

	*v = NULL;
	*n = 0;
	*sum = 0;
	if (err)
		return err;
	line = arena_copy(a, text.p, text.n + 1);
	for (size_t i = 0; (end = strchr(line, '\n')); i++, line = end + 1) {
		*end = '\0';
		if (!i && strcmp(line, first))
			return fail_say(sr->ctx, -E_ARG, "it is not of SR %s", sr->uuid.s);
		if (!i)
			continue;
		if (!(*n & (*n - 1)))
			*v = arena_grow(a, *v, *n, *n ? *n * 2 : 1, sizeof(**v));
		if (parse(a, line, &(*v)[*n]))
			return fail_say(sr->ctx, -E_ARG, "line %zu of the %s is none of ours", i + 1, file);
		if (!add_ok(*sum, (*v)[(*n)++].len, sum))
			return -E_SHORT;
	}
	return 0;
}

size_t keep_group(const struct piece *v, size_t n)
{
	size_t i = 1;

	while (i < n && !strcmp(v[i].name, v->name))
		i++;
	return i;
}

/* The pieces of a name lie in it, and it has one size only. */
static int check_list(struct sr *sr, const struct piece *v, size_t n)
{
	uint64_t end;

	for (size_t i = 0; i < n; i++) {
		bool more = i && !strcmp(v[i].name, v[i - 1].name);

		if (!add_ok(v[i].at, v[i].len, &end) || end > v[i].size ||
		    (more && (v[i].size != v[i - 1].size || !v[i].there || !v[i - 1].there)))
			return fail_say(sr->ctx, -E_ARG, "line %zu of the list is none of ours", i + 2);
	}
	return 0;
}

int keep_undo(struct sr *sr, const char *path, bool force)
{
	_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_io_close_ struct io *bytes = NULL;
	uint64_t from = 0, sum;
	struct piece *v;
	size_t n;
	int err = dir < 0 ? -errno : keep_read_list(sr, dir, "list", &v, &n, &sum);

	if (err == -ENOENT) {
		hint(sr->ctx, "which are there: ls -d %s", sm_path(sr->ctx, "/var/lib/sm/*.before-repair*"));
		return fail_say(sr->ctx, err, "%s: there is no backup of a repair", path);
	}
	if (!err)
		err = check_list(sr, v, n);
	if (!err)
		err = io_open(&bytes, dir, "bytes", IO_RDONLY);
	if (!err && sum != bytes->size)
		err = -E_SHORT;
	if (!err)
		err = keep_compare(sr, dir, v, n, bytes, force);
	if (err)
		return fail(sr->ctx, err, "%s", path);
	for (size_t i = 0; i < n && !err; from += v[i].len, i++)
		err = v[i].skip ? 0 : put_back(sr, &v[i], bytes, from);
	return err;
}
