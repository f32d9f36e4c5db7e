/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "beside.h"

#define RECORD	512
#define HEAD	48		/* bytes of a log before its bits */
#define LOG_MOST	4096

static ssize_t slurp(const char *dir, const char *name, uint8_t *to, size_t room)
{
	char path[PATH_MAX + 256];
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : pread(fd, to, room, 0);
	if (fd >= 0)
		close(fd);
	return n;
}

/* --- the lock --------------------------------------------------------------- */

bool beside_is_lock(const char *path)
{
	const char *p = strstr(path, ".xenlk");

	return p && (p[6] == '.' || !p[6]);
}

static uint32_t crc32(const uint8_t *p, size_t n)
{
	uint32_t c = ~0u;

	for (; n--; p++) {
		c ^= *p;
		for (int i = 0; i < 8; i++)
			c = c >> 1 ^ (c & 1 ? 0xedb88320u : 0);
	}
	return ~c;
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool is_sound(uint8_t *r, ssize_t n)
{
	uint32_t sum = be32(r + 8);

	memset(r + 8, 0, 4);
	return n == RECORD && !memcmp(r, "SMLEASE1", 8) && crc32(r, RECORD) == sum;
}

/* Of the generations that are not merely wanted the highest counts. */
void beside_lock(const char *dir, const char *uuid, char *text, size_t room)
{
	unsigned long long g, best = 0;
	uint8_t r[RECORD + 1];
	struct dirent *e;
	char stem[64];
	DIR *d = opendir(dir);
	int end;

	snprintf(text, room, "free");
	snprintf(stem, sizeof(stem), ".%s.xenlk.", uuid);
	while (d && (e = readdir(d))) {
		const char *rest = e->d_name + strlen(stem);

		if (strncmp(e->d_name, stem, strlen(stem)) || strlen(rest) != 16 ||
		    sscanf(rest, "%16llx%n", &g, &end) != 1 || end != 16 || g < best)
			continue;
		if (!is_sound(r, slurp(dir, e->d_name, r, sizeof(r)))) {
			snprintf(text, room, "damaged: %s", e->d_name);
			best = g;
		} else if (r[12] != 1) {
			snprintf(text, room, r[12] ? "held by %.255s for %u s" : "free", (char *)r + 144, be32(r + 32));
			best = g;
		}
	}
	if (d)
		closedir(d);
}

/* --- the log ---------------------------------------------------------------- */

static const char *log_name(const char *uuid)
{
	static char name[64];

	snprintf(name, sizeof(name), "%s.cbtlog", uuid);
	return name;
}

static const char *name_of(const uint8_t *u, char to[40])
{
	static const uint8_t none[16];
	char *p = to;

	if (!memcmp(u, none, sizeof(none)))
		return "nobody";
	for (int i = 0; i < 16; i++)
		p += sprintf(p, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", u[i]);
	return to;
}

void beside_log(const char *dir, const char *uuid, char *text, size_t room)
{
	static uint8_t b[LOG_MOST];
	ssize_t n = slurp(dir, log_name(uuid), b, sizeof(b));
	char from[40], to[40];
	uint64_t size = 0;
	int at;

	*text = '\0';
	if (n < 0)
		return;
	if (n < HEAD) {
		snprintf(text, room, "only %zd bytes", n);
		return;
	}
	for (int i = 7; i >= 0; i--)
		size = size << 8 | b[40 + i];
	at = snprintf(text, room, "%s, %llu bytes, from %s, to %s, changed", b[32] ? "whole" : "not whole",
		      (unsigned long long)size, name_of(b, from), name_of(b + 16, to));
	for (int i = 0; i < (n - HEAD) * 8 && at < (int)room - 12; i++)
		if (b[HEAD + i / 8] & 1 << i % 8)
			at += snprintf(text + at, room - (size_t)at, " %d", i);
}

void beside_mark(const char *dir, const char *uuid)
{
	char path[PATH_MAX + 256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, log_name(uuid));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || pwrite(fd, (uint8_t[]){ 0x81 }, 1, HEAD) != 1 || close(fd))
		abort();
}
