/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qemu-img as a judge of what we write.  Without it these tests say so and pass. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/vhd/check.h"
#include "lib/vhd/create.h"
#include "lib/vhd/edit.h"
#include "lib/vhd/resize.h"
#include "tests/unit/vhd_util.h"

struct court {
	char dir[128];
	struct rnd r;
	struct io *raw;		/* what the image ought to hold */
};

/* The exit status of a shell command whose words are ours. */
static int __attribute__((format(printf, 1, 2))) sh(const char *fmt, ...)
{
	char cmd[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	return system(cmd);
}

static bool court_open(struct court *c)
{
	const char *tmp = getenv("TMPDIR");

	*c = (struct court){ .r.s = 7 };
	snprintf(c->dir, sizeof(c->dir), "%.100s/vhd-judge-XXXXXX", tmp ? tmp : "/tmp");
	if (sh("qemu-img --version >/dev/null 2>&1 && qemu-io --version >/dev/null 2>&1")) {
		printf("# no qemu-img here: nobody judges\n");
		return false;
	}
	return OK(mkdtemp(c->dir));
}

static void court_close(struct court *c)
{
	io_close(c->raw);
	EQ(sh("rm -rf '%s'", c->dir), 0);
}

static struct io *file(struct court *c, const char *name, int flags)
{
	char path[256];
	struct io *io = NULL;

	snprintf(path, sizeof(path), "%s/%s", c->dir, name);
	EQ(io_open(&io, AT_FDCWD, path, IO_RDWR | flags), 0);
	return io;
}

static void new_raw(struct court *c, uint64_t size)
{
	io_close(c->raw);
	EQ(sh("rm -f '%s/raw'", c->dir), 0);
	c->raw = file(c, "raw", IO_CREATE);
	EQ(io_resize(c->raw, size), 0);
}

static void write_both(struct court *c, struct vhd *v, int times)
{
	uint8_t *p = must_alloc(256 << 10);

	while (times--) {
		uint64_t at = rnd_below(&c->r, v->footer.size / 512) * 512;
		uint64_t n = 512 * (1 + rnd_below(&c->r, 512));

		if (n > v->footer.size - at)
			n = v->footer.size - at;
		memset(p, (int)rnd_below(&c->r, 256), (size_t)n);
		EQ(vhd_write(v, at, p, (size_t)n), 0);
		EQ(io_write(c->raw, at, p, (size_t)n), 0);
	}
	free(p);
}

static void judge(struct court *c, uint64_t size)
{
	EQ(sh("cd '%s' && qemu-img compare -q -f vpc -F raw a.vhd raw", c->dir), 0);
	EQ(sh("cd '%s' && qemu-img info -f vpc --output=json a.vhd | "
	      "grep -q '\"virtual-size\": %llu,'",
	      c->dir, (unsigned long long)size), 0);
	EQ(sh("cd '%s' && { qemu-img check -q -f vpc a.vhd 2>/dev/null; [ $? -eq 0 ] || "
	      "[ $? -eq 63 ] || qemu-img check -f vpc a.vhd 2>&1 | grep >/dev/null 'not support'; }",
	      c->dir), 0);
}

static void check(struct io *io)
{
	struct arena a = { 0 };
	struct vhd_findings f = { .arena = &a };

	EQ(vhd_check(io, VHD_CHECK_BITMAPS, 0, &f), 0);
	EQ(f.worst, VHD_NOTE);
	arena_free(&a);
}

TEST(vhd_qemu_reads_what_we_wrote)
{
	struct vhd_create how = { .type = VHD_DYNAMIC, .size = 30 * MiB, .uuid = { 1 } };
	struct court c;
	struct io *io, *journal;
	struct vhd *v = NULL;

	if (!court_open(&c))
		return;
	new_raw(&c, how.size);
	io = file(&c, "a.vhd", IO_CREATE);
	EQ(vhd_create(io, &how), 0);
	EQ(vhd_open(&v, io, VHD_RDWR), 0);
	write_both(&c, v, 30);
	EQ(vhd_finish(v), 0);
	judge(&c, 30 * MiB);

	journal = file(&c, "journal", IO_CREATE);
	EQ(vhd_resize(v, 8000 * MiB, journal), 0);
	EQ(io_resize(c.raw, 8000 * MiB), 0);
	judge(&c, 8000 * MiB);
	write_both(&c, v, 3);
	EQ(vhd_finish(v), 0);
	judge(&c, 8000 * MiB);
	check(io);
	vhd_close(v);
	io_close(journal);
	io_close(io);
	court_close(&c);
}

TEST(vhd_qemu_reads_a_fixed_image_of_ours)
{
	struct vhd_create how = { .type = VHD_FIXED, .size = 6 * MiB, .uuid = { 1 } };
	struct court c;
	struct io *io;
	struct vhd *v = NULL;

	if (!court_open(&c))
		return;
	new_raw(&c, how.size);
	io = file(&c, "a.vhd", IO_CREATE);
	EQ(vhd_create(io, &how), 0);
	EQ(vhd_open(&v, io, VHD_RDWR), 0);
	write_both(&c, v, 5);
	EQ(vhd_finish(v), 0);
	judge(&c, 6 * MiB);
	EQ(vhd_resize(v, 10 * MiB, NULL), 0);
	EQ(io_resize(c.raw, 10 * MiB), 0);
	judge(&c, 10 * MiB);
	vhd_close(v);
	io_close(io);
	court_close(&c);
}

TEST(vhd_qemu_reads_its_own_image_after_we_wrote_to_it)
{
	struct court c;
	struct io *io;
	struct vhd *v = NULL;

	if (!court_open(&c))
		return;
	EQ(sh("cd '%s' && qemu-img create -q -f vpc -o force_size=on a.vhd 20M && "
	      "qemu-io -f vpc -c 'write -q -P 7 3M 70k' -c 'write -q -P 9 19M 1M' a.vhd",
	      c.dir), 0);
	new_raw(&c, 20 * MiB);
	EQ(sh("cd '%s' && qemu-img convert -n -f vpc -O raw a.vhd raw", c.dir), 0);
	io = file(&c, "a.vhd", 0);
	check(io);
	EQ(vhd_open(&v, io, VHD_RDWR), 0);
	EQ(vhd_allocated(v), 2);
	write_both(&c, v, 20);
	EQ(vhd_finish(v), 0);
	judge(&c, 20 * MiB);
	vhd_close(v);
	check(io);
	io_close(io);
	court_close(&c);
}
