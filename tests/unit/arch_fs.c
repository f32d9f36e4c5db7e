/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/fs.h"
#include "lib/file.h"
#include "lib/io.h"
#include "tests/unit/t.h"

static char top[64];

static int fresh(void)
{
	strcpy(top, "/tmp/smfs.XXXXXX");
	OK(mkdtemp(top));
	return open(top, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
}

static void done(int dir)
{
	close(dir);
	EQ(rmdir(top), 0);
}

TEST(fs_tells_its_space_and_type)
{
	int dir = fresh(), proc = open("/proc", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	uint32_t type = 0;
	struct fs_space s;

	EQ(fs_space(dir, &s), 0);
	OK(s.size > 0 && s.free <= s.size && s.avail <= s.size);
	EQ(fs_space(-1, &s), -EBADF);
	EQ(fs_type(proc, &type), 0);
	EQ(type, 0x9fa0);
	EQ(fs_sync_dir(dir), 0);
	EQ(fs_sync_all(dir), 0);
	EQ(fs_sync_dir(-1), -EBADF);
	close(proc);
	done(dir);
}

TEST(fs_id_is_of_the_object_not_of_its_name)
{
	struct fs_id a, b, c;
	int dir = fresh(), fd;

	EQ(file_replace(dir, "a", "x", 1, 0600), 0);
	EQ(linkat(dir, "a", dir, "b", 0), 0);
	EQ(symlinkat("a", dir, "c"), 0);
	EQ(fs_id(dir, "a", &a), 0);
	EQ(fs_id(dir, "b", &b), 0);
	EQ(fs_id(dir, "c", &c), 0);
	OK(fs_id_equal(&a, &b));
	OK(!fs_id_equal(&a, &c));
	fd = openat(dir, "c", O_RDONLY | O_CLOEXEC);
	EQ(fs_id_fd(fd, &c), 0);
	OK(fs_id_equal(&a, &c));
	close(fd);
	EQ(fs_id(dir, "none", &a), -ENOENT);
	EQ(unlink_quiet(dir, "a") | unlink_quiet(dir, "b") | unlink_quiet(dir, "c"), 0);
	done(dir);
}

TEST(fs_allocate_reserves_or_says_that_it_cannot)
{
	int dir = fresh(), fd = openat(dir, "a", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	uint64_t used = 0;
	struct stat st;
	int err = fs_allocate(fd, 4096, 1 << 20);

	OK(!err || err == -EOPNOTSUPP);
	EQ(fstat(fd, &st), 0);
	EQ(st.st_size, err ? 0 : 4096 + (1 << 20));
	EQ(fs_used(fd, &used), 0);
	OK(err || used >= 1 << 20);
	EQ(fs_allocate(fd, 0, 0), 0);
	EQ(fs_allocate(fd, INT64_MAX, 1), -EFBIG);
	EQ(fs_allocate(fd, UINT64_MAX, 2), -EFBIG);
	close(fd);
	EQ(unlink_quiet(dir, "a"), 0);
	done(dir);
}

TEST(fs_clone_shares_or_says_that_it_cannot)
{
	int dir = fresh(), a, b, err;
	char got[4];

	EQ(file_replace(dir, "a", "data", 4, 0600), 0);
	a = openat(dir, "a", O_RDONLY | O_CLOEXEC);
	b = openat(dir, "b", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	err = fs_clone(b, a);
	OK(!err || err == -EOPNOTSUPP || err == -EINVAL);
	if (!err) {
		EQ(pread_all(b, got, 4, 0), 0);
		OK(!memcmp(got, "data", 4));
	}
	close(a);
	close(b);
	EQ(unlink_quiet(dir, "a") | unlink_quiet(dir, "b"), 0);
	done(dir);
}

TEST(fs_tmpfile_has_no_name_until_it_is_given_one)
{
	int dir = fresh(), fd = fs_tmpfile(dir, 0600);
	struct stat st;

	if (fd != -EOPNOTSUPP) {
		OK(fd >= 0);
		EQ(write_all(fd, "whole", 5), 0);
		EQ(fs_tmpfile_name(fd, dir, "a"), 0);
		EQ(fs_tmpfile_name(fd, dir, "a"), -EEXIST);
		EQ(fstatat(dir, "a", &st, 0), 0);
		EQ(st.st_size, 5);
		close(fd);
		EQ(unlink_quiet(dir, "a"), 0);
	}
	done(dir);
}

TEST(fs_rename_new_never_replaces)
{
	int dir = fresh();
	struct stat st;

	EQ(file_replace(dir, "a", "aa", 2, 0600), 0);
	EQ(file_replace(dir, "b", "b", 1, 0600), 0);
	EQ(fs_rename_new(dir, "a", dir, "b"), -EEXIST);
	EQ(fs_rename_new(dir, "none", dir, "c"), -ENOENT);
	EQ(unlink_quiet(dir, "b"), 0);
	EQ(fs_rename_new(dir, "a", dir, "b"), 0);
	EQ(fstatat(dir, "b", &st, 0), 0);
	EQ(st.st_size, 2);
	EQ(fstatat(dir, "a", &st, 0), -1);
	EQ(unlink_quiet(dir, "b"), 0);
	done(dir);
}
