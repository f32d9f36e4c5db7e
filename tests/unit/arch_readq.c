/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch/readq.h"
#include "lib/err.h"
#include "tests/unit/t.h"

#define N 200

static char *page(char *all, int i)
{
	return all + (size_t)i * READQ_ALIGN;
}

/* A file of N pages, each filled with its number, read in another order. */
static void read_all(int flags)
{
	char path[] = "/tmp/readq.XXXXXX";
	char *all = aligned_alloc(READQ_ALIGN, (size_t)N * READQ_ALIGN);
	int fd = mkstemp(path);
	struct readq_one v[N + 3];

	for (int i = 0; i < N; i++)
		memset(page(all, i), i, READQ_ALIGN);
	OK(write(fd, all, (size_t)N * READQ_ALIGN) == (ssize_t)N * READQ_ALIGN);
	close(fd);
	fd = open(path, O_RDONLY | flags);
	if (fd < 0 && errno == EINVAL)		/* a file system without O_DIRECT */
		fd = open(path, O_RDONLY);
	OK(fd >= 0);
	memset(all, 0xee, (size_t)N * READQ_ALIGN);
	for (int i = 0; i < N; i++)
		v[i] = (struct readq_one){ .fd = fd, .at = (uint64_t)(N - 1 - i) * READQ_ALIGN,
					   .buf = page(all, i), .len = READQ_ALIGN };
	v[N] = (struct readq_one){ .fd = fd, .at = (uint64_t)N * READQ_ALIGN, .buf = all, .len = 512 };
	v[N + 1] = (struct readq_one){ .fd = -1, .buf = all, .len = 512 };
	v[N + 2] = v[0];
	v[N + 2].buf = page(all, 0);
	readq(v, N + 3);
	for (int i = 0; i < N; i++) {
		EQ(v[i].err, 0);
		EQ((unsigned char)page(all, i)[100], N - 1 - i);
	}
	EQ(v[N].err, -E_SHORT);
	EQ(v[N + 1].err, -EBADF);
	EQ(v[N + 2].err, 0);
	readq(v + 5, 1);
	EQ(v[5].err, 0);
	readq(v, 0);
	close(fd);
	unlink(path);
	free(all);
}

TEST(readq_reads_everything_and_tells_of_what_it_could_not)
{
	read_all(0);
	read_all(O_DIRECT);
}
