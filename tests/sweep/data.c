/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <endian.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data.h"

#define SECTOR		512u
#define IN_BLOCK	4096u		/* sectors of a block: 2 MiB */
#define NONE		0xffffffffu
#define BLOCKS_MOST	64u
#define DEPTH_MOST	16

/* One file of a chain. */
struct image {
	int fd;
	uint64_t size;			/* of the file */
	uint64_t table;			/* 0: a raw file */
	uint32_t n, bat[BLOCKS_MOST];
	char parent[128];		/* name of a file, or "" */
};

static uint64_t be(const uint8_t *p, int n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | *p++;
	return v;
}

static void sure(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

/* Of its head what tells where the data are; NULL or what is wrong with it. */
static const char *decode(struct image *im)
{
	uint8_t foot[SECTOR], head[1024];
	uint64_t at;

	if (pread(im->fd, foot, sizeof(foot), 0) != sizeof(foot) || memcmp(foot, "conectix", 8))
		return "no copy of a footer";
	at = be(foot + 16, 8);
	if (pread(im->fd, head, sizeof(head), (off_t)at) != sizeof(head) || memcmp(head, "cxsparse", 8))
		return "no header";
	im->table = be(head + 16, 8);
	im->n = (uint32_t)be(head + 28, 4);
	if (be(head + 32, 4) != IN_BLOCK * SECTOR)
		return "blocks of another size";
	im->n = im->n < BLOCKS_MOST ? im->n : BLOCKS_MOST;
	if (pread(im->fd, im->bat, im->n * 4, (off_t)im->table) != (ssize_t)(im->n * 4))
		return "no table of blocks";
	for (uint32_t i = 0; i < im->n; i++)
		im->bat[i] = be32toh(im->bat[i]);
	if (be(foot + 60, 4) != 4)
		return NULL;
	/* UTF-16, of which a uuid uses the half. */
	for (size_t i = 0; i < sizeof(im->parent) - 1 && head[64 + 2 * i + 1]; i++)
		im->parent[i] = (char)head[64 + 2 * i + 1];
	return NULL;
}

static const char *open_image(struct image *im, const char *dir, const char *name, int how)
{
	char path[PATH_MAX + 130];
	struct stat st;

	memset(im, 0, sizeof(*im));
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	im->fd = open(path, how | O_CLOEXEC);
	if (im->fd < 0 || fstat(im->fd, &st))
		return "not there";
	im->size = (uint64_t)st.st_size;
	return strstr(name, ".vhd") ? decode(im) : NULL;
}

/* Has this file the sector itself? */
static int has(const struct image *im, uint64_t s, uint8_t *sector)
{
	uint64_t block = s / IN_BLOCK, in = s % IN_BLOCK, at;
	uint8_t bits;

	if (!im->table)
		return pread(im->fd, sector, SECTOR, (off_t)(s * SECTOR)) == SECTOR;
	if (block >= im->n || im->bat[block] == NONE)
		return 0;
	at = (uint64_t)im->bat[block] * SECTOR;
	if (pread(im->fd, &bits, 1, (off_t)(at + in / 8)) != 1 || !(bits & 0x80 >> in % 8))
		return 0;
	return pread(im->fd, sector, SECTOR, (off_t)(at + SECTOR + in * SECTOR)) == SECTOR;
}

/* May there be data from here on?  Of what is nowhere a whole block is left out at once. */
static uint64_t skip(const struct image *im, int n, uint64_t s)
{
	for (int i = 0; i < n; i++) {
		off_t at;

		if (im[i].table) {
			if (s / IN_BLOCK < im[i].n && im[i].bat[s / IN_BLOCK] != NONE)
				return s;
			continue;
		}
		at = lseek(im[i].fd, (off_t)(s * SECTOR), SEEK_DATA);
		if (at >= 0 && (uint64_t)at / SECTOR / IN_BLOCK == s / IN_BLOCK)
			return (uint64_t)at / SECTOR > s ? (uint64_t)at / SECTOR : s;
	}
	return (s / IN_BLOCK + 1) * IN_BLOCK;
}

static char *show(const struct image *im, int n, char *to, const char *end)
{
	uint8_t sector[SECTOR];
	static const uint8_t zero[SECTOR];

	for (uint64_t s = 0; (s = skip(im, n, s)) < BLOCKS_MOST * IN_BLOCK; s++) {
		int i = 0;

		while (i < n && !has(&im[i], s, sector))
			i++;
		if (i < n && memcmp(sector, zero, SECTOR))
			to += snprintf(to, (size_t)(end - to), "%llu:%.8s ", (unsigned long long)s, sector);
		if (to >= end - 32)
			break;
	}
	return to;
}

void data_show(const char *dir, const char *uuid, char *text, size_t room)
{
	struct image im[DEPTH_MOST];
	char name[128];
	const char *wrong;
	int n = 0;

	*text = '\0';
	snprintf(name, sizeof(name), "%s.vhd", uuid);
	wrong = open_image(&im[n++], dir, name, O_RDONLY);
	if (im->fd < 0) {
		snprintf(name, sizeof(name), "%s.raw", uuid);
		wrong = open_image(im, dir, name, O_RDONLY);
		if (im->fd < 0)
			return;
	}
	while (!wrong && im[n - 1].parent[0] && n < DEPTH_MOST) {
		wrong = open_image(&im[n], dir, im[n - 1].parent, O_RDONLY);
		n++;
	}
	if (wrong)
		snprintf(text, room, "%d below it: %s", n - 1, wrong);
	else
		show(im, n, text, text + room);
	while (n--)
		if (im[n].fd >= 0)
			close(im[n].fd);
}

/* A block at the end, where the footer was, and the footer behind it. */
static void add_block(struct image *im, uint64_t block)
{
	uint8_t foot[SECTOR];
	uint64_t at = im->size - SECTOR;
	uint32_t e;

	sure(pread(im->fd, foot, SECTOR, (off_t)at) == SECTOR, "the footer");
	while ((at + SECTOR) % 4096)		/* the data begins with a page */
		at += SECTOR;
	im->size = at + (IN_BLOCK + 1) * SECTOR + SECTOR;
	sure(!ftruncate(im->fd, (off_t)(im->size - SECTOR)), "a block");
	sure(pwrite(im->fd, (uint8_t[SECTOR]){ 0 }, SECTOR, (off_t)at) == SECTOR, "a bitmap");
	sure(pwrite(im->fd, foot, SECTOR, (off_t)(im->size - SECTOR)) == SECTOR, "the footer");
	im->bat[block] = (uint32_t)(at / SECTOR);
	e = htobe32(im->bat[block]);
	sure(pwrite(im->fd, &e, 4, (off_t)(im->table + block * 4)) == 4, "the table");
}

void data_put(const char *dir, const char *uuid, uint64_t sector, const char *word)
{
	uint64_t block = sector / IN_BLOCK, in = sector % IN_BLOCK, at;
	uint8_t data[SECTOR] = "", bits;
	struct image im;
	char name[128];

	snprintf(name, sizeof(name), "%s.raw", uuid);
	if (open_image(&im, dir, name, O_RDWR)) {
		snprintf(name, sizeof(name), "%s.vhd", uuid);
		sure(!open_image(&im, dir, name, O_RDWR), name);
	}
	memcpy(data, word, strlen(word));
	at = sector * SECTOR;
	if (im.table) {
		if (im.bat[block] == NONE)
			add_block(&im, block);
		at = (uint64_t)im.bat[block] * SECTOR;
		sure(pread(im.fd, &bits, 1, (off_t)(at + in / 8)) == 1, "a bitmap");
		bits |= (uint8_t)(0x80 >> in % 8);
		sure(pwrite(im.fd, &bits, 1, (off_t)(at + in / 8)) == 1, "a bitmap");
		at += SECTOR + in * SECTOR;
	}
	sure(pwrite(im.fd, data, SECTOR, (off_t)at) == SECTOR, "data");
	close(im.fd);
}
