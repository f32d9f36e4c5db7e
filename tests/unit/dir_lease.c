/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All locks of a directory at once: thousands of records, and names and files of strangers. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "drivers/layout/dir.h"
#include "drivers/layout/lease_file.h"
#include "drivers/lease.h"
#include "drivers/sr.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/io.h"
#include "tests/unit/t.h"

#define LOCKS	21000u
/*
 * Of the processor, whatever else the machine does.  A second with sanitizers, a
 * minute if each lock looked through the directory for itself.
 */
#define CPU_MOST	15

struct world {
	char path[64];
	struct ctx ctx;
	struct sr sr;
};

static bool make_world(struct world *w)
{
	*w = (struct world){ .path = "/dev/shm/dir-lease-XXXXXX" };
	if (access("/dev/shm", W_OK))
		strcpy(w->path, "/tmp/dir-lease-XXXXXX");
	if (!OK(mkdtemp(w->path)))
		return false;
	w->sr = (struct sr){ .ctx = &w->ctx, .type = sr_type_find("file"), .write = true };
	w->sr.dir = open(w->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return OK(w->sr.type) && OK(w->sr.dir >= 0);
}

static void end_world(struct world *w)
{
	DIR *d = dir_entries(w->sr.dir);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (unlinkat(w->sr.dir, e->d_name, 0))
			unlinkat(w->sr.dir, e->d_name, AT_REMOVEDIR);
	if (d)
		closedir(d);
	close(w->sr.dir);
	OK(!rmdir(w->path));
	arena_free(&w->ctx.arena);
}

static const char *uuid_of(struct world *w, unsigned int i)
{
	return arena_printf(&w->ctx.arena, "2b1f7c90-0c3d-4a6f-8e55-%012x", i);
}

/* What a record says of its disk nobody asks, so many may be one file. */
static void put(struct world *w, unsigned int i, uint64_t generation, enum lease_state state)
{
	struct lease l = {
		.state = state, .kind = LEASE_MARK, .generation = generation, .stamp = i + 1, .owner = "somebody",
	};
	const char *of = arena_printf(&w->ctx.arena, "of-%llu-%d", (unsigned long long)generation, state);
	const char *name = arena_printf(&w->ctx.arena, ".%s.xenlk.%016llx", uuid_of(w, i),
					(unsigned long long)generation);
	uint8_t bytes[LEASE_BYTES];
	int fd;

	if (!linkat(w->sr.dir, of, w->sr.dir, name, 0))
		return;
	lease_encode(&l, bytes);
	fd = openat(w->sr.dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	OK(fd >= 0 && !write_all(fd, bytes, sizeof(bytes)) && !close(fd));
	unlinkat(w->sr.dir, of, 0);
	linkat(w->sr.dir, name, w->sr.dir, of, 0);	/* of 65,000 names at most: then the next begins */
}

/* What counts of the disk in the list, or NULL. */
static const struct lease_seen *of(struct world *w, const struct lease_list *l, unsigned int i)
{
	const char *u = uuid_of(w, i);

	for (size_t k = 0; k < l->n; k++)
		if (!strcmp(l->v[k].lease.vdi.s, u))
			return &l->v[k];
	return NULL;
}

TEST(dir_lease_list_of_many)
{
	struct lease_list l = { 0 };
	clock_t began = clock();
	struct world w;

	if (!make_world(&w))
		return;
	for (unsigned int i = 0; i < LOCKS; i++)
		put(&w, i, 1 + i % 3, i % 3 ? LEASE_HELD : LEASE_FREE);
	put(&w, 1, 4, LEASE_FREE);		/* of generation 2 and held, before */
	put(&w, 2, 5, LEASE_WANTED);		/* does not count yet */
	put(&w, 2, 6, LEASE_WANTED);
	EQ(dir_leases.list(&w.sr, &l), 0);
	EQ(l.n, LOCKS / 3 * 2 - 1);
	OK(!of(&w, &l, 0) && !of(&w, &l, 1));
	OK(of(&w, &l, 2) && !of(&w, &l, 2)->err && of(&w, &l, 2)->lease.generation == 3);
	OK(of(&w, &l, 4) && of(&w, &l, 4)->lease.state == LEASE_HELD);
	OK((clock() - began) / CLOCKS_PER_SEC < CPU_MOST);
	end_world(&w);
}

/* Who put a FIFO in the place of a record does not stop its holder, whether or not somebody reads there. */
TEST(lease_renewal_stops_at_no_fifo)
{
	struct lease held = { .state = LEASE_HELD, .kind = LEASE_MARK, .generation = 1, .stamp = 1, .owner = "me" };
	struct lease_stem stem;
	struct world w;
	const char *name;
	int fd;

	if (!make_world(&w))
		return;
	name = arena_printf(&w.ctx.arena, ".%s.xenlk.%016x", uuid_of(&w, 1), 1);
	EQ(lease_file_stem(&stem, uuid_of(&w, 1)), 0);
	OK(!mkfifoat(w.sr.dir, name, 0600));
	EQ(lease_file_renew(&w.ctx, w.sr.dir, &stem, &held), -ENXIO);
	fd = openat(w.sr.dir, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	OK(lease_file_renew(&w.ctx, w.sr.dir, &stem, &held) < 0);
	OK(fd >= 0 && !close(fd));
	end_world(&w);
}

/* Nothing else in the directory is a record, and what is one and cannot be read is told of as such. */
TEST(dir_lease_list_among_strangers)
{
	struct lease_list l = { 0 };
	clock_t began = clock();
	struct world w;
	char name[256];

	if (!make_world(&w))
		return;
	put(&w, 1, 1, LEASE_HELD);
	for (unsigned int i = 0; i < 9000; i++) {	/* damaged ones, links and folders, as many as like */
		const char *of = arena_printf(&w.ctx.arena, ".%s.xenlk.%016x", uuid_of(&w, 100 + i), 1);

		OK(!(i % 3 == 0 ? symlinkat("/etc/passwd", w.sr.dir, of) : i % 3 == 1 ? mkdirat(w.sr.dir, of, 0700) :
		     mknodat(w.sr.dir, of, S_IFIFO | 0600, 0)));
	}
	/* One that has contenders without end, and one of a generation that none can follow. */
	for (unsigned int i = 1; i < 40; i++)
		put(&w, 2, i, i == 1 ? LEASE_HELD : LEASE_WANTED);
	put(&w, 3, LEASE_LAST, LEASE_FREE);
	/* A sparse file of a terabyte, an empty one, and one that says another generation than its name. */
	put(&w, 4, 7, LEASE_HELD);
	OK(!linkat(w.sr.dir, "of-7-2", w.sr.dir, arena_printf(&w.ctx.arena, ".%s.xenlk.%016x", uuid_of(&w, 4), 8), 0));
	for (unsigned int i = 5; i < 7; i++) {
		int fd = openat(w.sr.dir, arena_printf(&w.ctx.arena, ".%s.xenlk.%016x", uuid_of(&w, i), 1),
				O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		OK(fd >= 0 && !ftruncate(fd, i == 5 ? (off_t)1 << 40 : 0) && !close(fd));
	}
	/* No record by its name: capitals, a byte more or less, blanks, a newline, bytes that are no text. */
	for (int i = 0; i < 256; i++) {
		if (!i || i == '/')
			continue;
		snprintf(name, sizeof(name), ".%s.xenlk.%015x%c", uuid_of(&w, 7), 1, i);
		if (!strchr("0123456789abcdef", i))
			OK(mkdirat(w.sr.dir, name, 0700) == 0);
		snprintf(name, sizeof(name), "%c%s.xenlk.%016x", i, uuid_of(&w, 7), 1);
		if (i != '.')
			OK(mkdirat(w.sr.dir, name, 0700) == 0);
	}
	memset(name, 'x', sizeof(name));
	name[255] = '\0';
	OK(!mkdirat(w.sr.dir, name, 0700));
	OK(!mkdirat(w.sr.dir, ".2B1F7C90-0c3d-4a6f-8e55-000000000008.xenlk.0000000000000001", 0700));
	OK(!mkdirat(w.sr.dir, ".2b1f7c90-0c3d-4a6f-8e55-000000000008.xenlk.00000000000000010", 0700));
	OK(!mkdirat(w.sr.dir, ".2b1f7c90-0c3d-4a6f-8e55-000000000008.xenlk.", 0700));
	OK(!mkdirat(w.sr.dir, ".2b1f7c90-0c3d-4a6f-8e55-000000000008.xenlk.0000000000000000", 0700));

	EQ(dir_leases.list(&w.sr, &l), 0);
	EQ(l.n, 9000 + 6);
	OK(of(&w, &l, 1) && !of(&w, &l, 1)->err && of(&w, &l, 1)->lease.state == LEASE_HELD);
	for (unsigned int i = 2; i < 7; i++)
		OK(of(&w, &l, i) && of(&w, &l, i)->err == -E_DAMAGED);
	OK(!of(&w, &l, 7) && !of(&w, &l, 8));
	for (unsigned int i = 0; i < 9; i++)
		OK(of(&w, &l, 100 + i) && of(&w, &l, 100 + i)->err == -E_DAMAGED);
	OK((clock() - began) / CLOCKS_PER_SEC < CPU_MOST);
	end_world(&w);
}

/* A directory with a hundred of them. */
static DIR *names(struct world *w)
{
	if (!make_world(w))
		return NULL;
	for (unsigned int i = 0; i < 100; i++)
		OK(!mkdirat(w->sr.dir, uuid_of(w, i), 0700));
	return dir_entries(w->sr.dir);
}

/* A directory that does not end: it is told at the last name that may be, or when it has taken too long. */
TEST(dir_next_ends_with_what_never_does)
{
	struct dir_seen many = { .n = DIR_MOST - 2 }, late = { .until = 1 };
	struct world w;
	DIR *d;

	d = names(&w);
	if (OK(d)) {
		OK(dir_next(d, &many) && dir_next(d, &many));
		OK(!dir_next(d, &many) && errno == EOVERFLOW);
		while (dir_next(d, &late))
			;
		EQ(errno, ETIMEDOUT);
		EQ(late.n, 64);
		closedir(d);
	}
	end_world(&w);
}

/* Names that begin again, as a server may tell them; once or twice any that is renamed does. */
TEST(dir_next_ends_with_what_goes_in_circles)
{
	struct dir_seen seen = { 0 };
	struct world w;
	unsigned rounds = 0;
	DIR *d;

	d = names(&w);
	if (OK(d)) {
		do {
			rewinddir(d);
			rounds++;
			while (dir_next(d, &seen))
				;
		} while (!errno && rounds < 100);
		EQ(errno, ELOOP);
		OK(rounds > 2 && rounds < 20);
		closedir(d);
	}
	end_world(&w);
}
