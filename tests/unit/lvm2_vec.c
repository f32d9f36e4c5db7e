/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "tests/unit/lvm2_vec.h"

const char *const vec_all[] = {
	"01-fresh-pv", "02-linear-tags", "03-ring-wrap", "04-two-pvs", "05-two-mdas", "06-thin",
	"07-cow-snapshot", "08-mirror-raid1", "09-striped", "10-exported", "11a-partial",
	"11b-partial-flagged", "12a-bad-text", "12b-bad-header", "12c-bad-label", "12d-all-bad",
	"13-xenserver", "14a-stale-copy", "14b-precommit-only", "15-thin-pending", "16-fields",
	"17-cache-writecache", "18-duplicate-pv", NULL,
};

static void path_of(char *path, size_t room, const char *scenario, const char *name)
{
	const char *top = getenv("SRCTREE");

	snprintf(path, room, "%s/tests/vectors/lvm/%s/%s", top ? top : ".", scenario, name);
}

bool vec_file(const char *scenario, const char *name, struct buf *b)
{
	char path[512];
	FILE *f;
	size_t n;

	path_of(path, sizeof(path), scenario, name);
	f = fopen(path, "r");
	if (!f)
		return false;
	do {
		n = fread(buf_room(b, 65536), 1, 65536, f);
		b->n += n;
	} while (n);
	buf_room(b, 1)[0] = '\0';
	fclose(f);
	return true;
}

/* The device's size, from the line "pv N bytes SIZE" of the facts. */
static uint64_t size_of(const char *scenario, int n)
{
	struct buf b = { 0 };
	char want[32];
	const char *p = NULL;
	uint64_t size = 0;

	snprintf(want, sizeof(want), "pv %d bytes ", n);
	if (vec_file(scenario, "facts", &b))
		p = strstr(buf_str(&b), want);
	if (p)
		size = strtoull(p + strlen(want), NULL, 10);
	buf_free(&b);
	return size;
}

struct io *vec_pv(const char *scenario, int n)
{
	static char chunk[1 << 20];
	char path[512], cmd[600], name[32];
	uint64_t size = size_of(scenario, n), at = 0;
	size_t got;
	struct io *io;
	FILE *f;

	snprintf(name, sizeof(name), "pv%d.img.xz", n);
	path_of(path, sizeof(path), scenario, name);
	if (!size || access(path, R_OK))
		return NULL;
	snprintf(cmd, sizeof(cmd), "xz -dc '%s'", path);
	f = popen(cmd, "r");
	if (!f)
		return NULL;
	io = io_mem(size, size);
	while ((got = fread(chunk, 1, sizeof(chunk), f)) > 0) {
		if (!is_zero(chunk, got) && io_write(io, at, chunk, got))
			break;
		at += got;
		/* Metadata at the end of a device is only on small ones. */
		if (at >= 16 * MiB && size > 64 * MiB)
			break;
	}
	pclose(f);
	return io;
}

int vec_pvs(const char *scenario, struct io **pv, int room)
{
	int n = 0;

	while (n < room && (pv[n] = vec_pv(scenario, n)))
		n++;
	return n;
}

void vec_close(struct io **pv, int n)
{
	while (n--)
		io_close(pv[n]);
}

bool vec_same(const char *what, const char *got, const char *want)
{
	unsigned int line = 1;

	for (;; line++) {
		size_t g = strcspn(got, "\n"), w = strcspn(want, "\n");

		if (g != w || memcmp(got, want, g)) {
			printf("# %s, line %u:\n#  got %.*s\n# want %.*s\n", what, line,
			       (int)g, got, (int)w, want);
			return false;
		}
		got += g;
		want += w;
		if (*got != *want) {
			printf("# %s: %s after line %u\n", what, *got ? "goes on" : "ends", line);
			return false;
		}
		if (!*got)
			return true;
		got++;
		want++;
	}
}

uint64_t vec_rand(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}
