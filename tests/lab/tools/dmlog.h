/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What dm-log-writes wrote beside a disk: a sector that says how many entries there
 * are, and for each a sector, behind which its data stand.  Little-endian, as this machine is.
 */
#ifndef TESTS_LAB_TOOLS_DMLOG_H
#define TESTS_LAB_TOOLS_DMLOG_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define DMLOG_MAGIC	0x6a736677736872ULL
#define DMLOG_MOST	(1u << 20)	/* entries */

enum { DMLOG_FLUSH = 1, DMLOG_FUA = 2, DMLOG_DISCARD = 4, DMLOG_MARK = 8 };

struct dmlog {
	int fd;
	uint64_t unit;		/* bytes of what the log calls a sector */
	uint64_t left;		/* entries */
	uint64_t next;		/* where the next one is */
};

struct dmlog_entry {
	uint64_t sector, n, flags;	/* of the disk, in units */
	uint64_t data;			/* where they are in the log */
	char mark[96];			/* "": it is none, or a longer one */
};

static inline bool dmlog_get(const struct dmlog *l, void *to, size_t len, uint64_t at)
{
	return pread(l->fd, to, len, (off_t)at) == (ssize_t)len;
}

static inline bool dmlog_open(struct dmlog *l, const char *path)
{
	struct { uint64_t magic, version, entries; uint32_t sector; } s;

	*l = (struct dmlog){ .fd = open(path, O_RDONLY | O_CLOEXEC) };
	if (l->fd < 0 || !dmlog_get(l, &s, sizeof(s), 0) || s.magic != DMLOG_MAGIC || s.version != 1 ||
	    s.entries > DMLOG_MOST || s.sector < 512 || s.sector > 65536)
		return false;
	l->unit = l->next = s.sector;
	l->left = s.entries;
	return true;
}

/* 1, 0 when there are no more, -1 when the log is cut off. */
static inline int dmlog_next(struct dmlog *l, struct dmlog_entry *e)
{
	struct { uint64_t sector, n, flags, text; } d;

	if (!l->left)
		return 0;
	l->left--;
	if (!dmlog_get(l, &d, sizeof(d), l->next))
		return -1;
	*e = (struct dmlog_entry){ .sector = d.sector, .n = d.n, .flags = d.flags, .data = l->next + l->unit };
	if (d.flags & DMLOG_MARK && d.text < sizeof(e->mark) && !dmlog_get(l, e->mark, d.text, l->next + sizeof(d)))
		return -1;
	l->next = e->data + (d.flags & (DMLOG_DISCARD | DMLOG_MARK) ? 0 : d.n * l->unit);
	return 1;
}

#endif
