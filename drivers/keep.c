/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a repair overwrites, kept first. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/fs.h"
#include "drivers/keep_impl.h"
#include "lib/arena.h"
#include "lib/cleanup.h"
#include "lib/ctx.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/io.h"
#include "lib/uuid.h"

static int open_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* All that there may be in a folder without a list; and with anything else in it, it stays. */
static void clear(int dir, const char *path)
{
	static const char *const files[] = { "list", ".list.new", "vg", ".vg.new", "bytes" };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		unlink_quiet(dir, files[i]);
	rmdir_quiet(AT_FDCWD, path);
}

void keep_clear(const char *path)
{
	_close_ int dir = open_folder(path);
	struct fs_id id;

	if (dir >= 0 && fs_id(dir, "list", &id) == -ENOENT)
		clear(dir, path);
}

int keep_begin(struct keep *k, struct ctx *ctx, const char *path, const struct uuid *sr)
{
	int err;

	*k = (struct keep){ .ctx = ctx, .path = path, .dir = -1 };
	if (mkdir(path, 0700))
		return -errno;
	k->dir = open_folder(path);
	err = k->dir < 0 ? k->dir : io_open(&k->bytes, k->dir, "bytes", IO_RDWR | IO_CREATE);
	buf_printf(&k->list, "kept 1 %s\n", sr->s);
	return err;
}

int keep_cannot(struct keep *k, int err, const char *file)
{
	hint(k->ctx, KEEP_HINT);
	return fail(k->ctx, err, "write %s/%s", k->path, file);
}

void keep_line(struct keep *k, uint64_t at, uint64_t len, const uint64_t *size, const char *name)
{
	struct buf *b = &k->list;

	buf_printf(b, "%llu %llu ", (unsigned long long)at, (unsigned long long)len);
	if (size)
		buf_printf(b, "%llu ", (unsigned long long)*size);
	else
		buf_puts(b, "- ");
	for (const unsigned char *p = (const unsigned char *)name; *p; p++) {
		if (*p <= ' ' || *p == 0x7f || *p == '%')
			buf_printf(b, "%%%02x", *p);
		else
			buf_putc(b, (char)*p);
	}
	buf_putc(b, '\n');
}

/* One stretch, behind what is kept already. */
static int copy(struct keep *k, const char *name, struct io *io, uint64_t at, uint64_t len)
{
	size_t room = len < KEEP_PART ? (size_t)len : KEEP_PART;
	char *buf = must_alloc(room);
	uint64_t size = io->size;
	int err = 0;

	keep_line(k, at, len, &size, name);
	while (len && !err) {
		size_t n = len < room ? (size_t)len : room;

		err = io_read(io, at, buf, n);
		if (err)
			fail(k->ctx, err, "read %s", name);
		else if ((err = io_write(k->bytes, k->bytes->size, buf, n)))
			keep_cannot(k, err, "bytes");
		at += n;
		len -= n;
	}
	free(buf);
	return err;
}

/* Holes of what is long stay holes: its end, when junk is cut off there, may be far away. */
int keep_part(struct keep *k, const char *name, struct io *io, uint64_t at, uint64_t len)
{
	int err = 0;

	while (len && !err) {
		uint64_t run = len;
		bool is_data = true;

		if (len > KEEP_PART && (err = io_extent(io, at, &run, &is_data)))
			return fail(k->ctx, err, "look into %s", name);
		run = run < len ? run : len;
		err = is_data ? copy(k, name, io, at, run) : 0;
		at += run;
		len -= run;
	}
	return err;
}

int keep_all(struct keep *k, const char *name, struct io *io, uint64_t most)
{
	uint64_t size = io->size;

	if (!size)
		keep_line(k, 0, 0, &size, name);
	return keep_part(k, name, io, 0, size < most ? size : most);
}

void keep_none(struct keep *k, const char *name)
{
	keep_line(k, 0, 0, NULL, name);
}

int keep_file(struct keep *k, const char *file, const void *p, size_t n)
{
	int err = file_replace(k->dir, file, p, n, 0600);

	return err ? keep_cannot(k, err, file) : 0;
}

int keep_lost(void *arg, struct io *of, uint64_t at, uint64_t len)
{
	struct keep *k = arg;

	return keep_part(k, k->name, of, at, len);
}

static int sync_above(const char *path, struct arena *a)
{
	const char *slash = strrchr(path, '/');
	const char *above = !slash ? "." : slash == path ? "/" :
		arena_strndup(a, path, (size_t)(slash - path));
	int fd = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = fd < 0 ? -errno : fs_sync_dir(fd);

	if (fd >= 0)
		close(fd);
	return err;
}

int keep_commit(struct keep *k)
{
	int err = io_flush(k->bytes);

	if (err)
		return keep_cannot(k, err, "bytes");
	err = keep_file(k, "list", k->list.p, k->list.n);	/* commit */
	if (err)
		return err;
	err = sync_above(k->path, &k->ctx->arena);
	if (err)
		return fail(k->ctx, err, "write %s", k->path);
	close(k->dir);
	k->dir = -1;
	return 0;
}

void keep_end(struct keep *k)
{
	io_close(k->bytes);
	buf_free(&k->list);
	k->bytes = NULL;
	if (k->dir < 0)
		return;
	clear(k->dir, k->path);
	close(k->dir);
	k->dir = -1;
}
