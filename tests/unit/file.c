/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/arena.h"
#include "lib/file.h"
#include "tests/unit/t.h"

static char top[64];

static int fresh(void)
{
	int fd;

	strcpy(top, "/tmp/smfile.XXXXXX");
	OK(mkdtemp(top));
	fd = open(top, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	OK(fd >= 0);
	return fd;
}

static void done(int fd)
{
	close(fd);
	EQ(rmdir(top), 0);
}

static const char *in_top(const char *rest)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", top, rest);
	return path;
}

TEST(file_replace_leaves_the_new_content_and_nothing_else)
{
	struct arena a = { 0 };
	int dir = fresh();
	mode_t mask = umask(0077);
	struct stat st;
	struct view v;

	EQ(file_replace(dir, "state", "one", 3, 0644), 0);
	EQ(file_read_small(dir, "state", &a, 3, &v), 0);
	EQ(v.n, 3);
	OK(!strcmp(v.p, "one"));
	EQ(fstatat(dir, "state", &st, 0), 0);
	EQ(st.st_mode & 07777, 0644);
	EQ(file_replace(dir, "state", "a\0b", 3, 0600), 0);
	EQ(file_read_small(dir, "state", &a, 100, &v), 0);
	EQ(v.n, 3);
	OK(!memcmp(v.p, "a\0b", 4));
	EQ(file_replace(dir, "state", NULL, 0, 0600), 0);
	EQ(file_read_small(dir, "state", &a, 0, &v), 0);
	EQ(v.n, 0);
	OK(!strcmp(v.p, ""));
	EQ(unlink_quiet(dir, "state"), 0);
	EQ(unlink_quiet(dir, "state"), 0);
	umask(mask);
	done(dir);
	arena_free(&a);
}

TEST(file_replace_takes_over_from_one_that_died)
{
	struct arena a = { 0 };
	int dir = fresh();
	struct view v;

	/* A link in the place of the new file must not be written through. */
	EQ(file_replace(dir, "victim", "safe", 4, 0600), 0);
	EQ(symlinkat("victim", dir, ".state.new"), 0);
	EQ(file_replace(dir, "state", "two", 3, 0600), 0);
	EQ(file_read_small(dir, "victim", &a, 100, &v), 0);
	OK(!strcmp(v.p, "safe"));
	EQ(file_read_small(dir, "state", &a, 100, &v), 0);
	OK(!strcmp(v.p, "two"));
	EQ(unlink_quiet(dir, "victim"), 0);
	EQ(unlink_quiet(dir, "state"), 0);
	done(dir);
	arena_free(&a);
}

TEST(file_replace_that_fails_changes_nothing)
{
	struct arena a = { 0 };
	char longest[NAME_MAX + 1];
	int dir = fresh();

	EQ(mkdirat(dir, "state", 0700), 0);
	EQ(file_replace(dir, "state", "x", 1, 0600), -EISDIR);
	EQ(faccessat(dir, ".state.new", F_OK, 0), -1);
	EQ(rmdir_quiet(dir, "state"), 0);
	EQ(rmdir_quiet(dir, "state"), 0);
	memset(longest, 'n', NAME_MAX);
	longest[NAME_MAX] = '\0';
	EQ(file_replace(dir, longest, "x", 1, 0600), -ENAMETOOLONG);
	EQ(file_replace(dir, "no/such", "x", 1, 0600), -ENOENT);
	done(dir);
	arena_free(&a);
}

TEST(file_read_small_is_bounded_and_reads_files_only)
{
	static char big[10000];
	struct arena a = { 0 };
	int dir = fresh();
	struct view v;

	memset(big, 'b', sizeof(big));
	EQ(file_replace(dir, "big", big, sizeof(big), 0600), 0);
	EQ(file_read_small(dir, "big", &a, sizeof(big), &v), 0);
	EQ(v.n, sizeof(big));
	OK(!memcmp(v.p, big, sizeof(big)));
	EQ(file_read_small(dir, "big", &a, sizeof(big) - 1, &v), -EFBIG);
	EQ(file_read_small(dir, "big", &a, SIZE_MAX, &v), 0);
	EQ(file_read_small(dir, ".", &a, 100, &v), -EISDIR);
	EQ(file_read_small(dir, "none", &a, 100, &v), -ENOENT);
	EQ(mkfifoat(dir, "fifo", 0600), 0);
	EQ(file_read_small(dir, "fifo", &a, 100, &v), -EINVAL);
	EQ(file_read_small(AT_FDCWD, "/proc/self/stat", &a, 4096, &v), 0);
	OK(v.n > 10);
	EQ(unlink_quiet(dir, "fifo"), 0);
	EQ(unlink_quiet(dir, "big"), 0);
	done(dir);
	arena_free(&a);
}

TEST(mkdir_p_makes_what_is_missing)
{
	int dir = fresh();
	struct stat st;

	EQ(mkdir_p(in_top("a/b//c/"), 0700), 0);
	EQ(stat(in_top("a/b/c"), &st), 0);
	EQ(st.st_mode & 07777, 0700);
	EQ(mkdir_p(in_top("a/b/c"), 0755), 0);
	EQ(stat(in_top("a/b/c"), &st), 0);
	EQ(st.st_mode & 07777, 0700);
	EQ(mkdir_p("/", 0755), 0);
	EQ(mkdir_p("", 0755), -ENOENT);

	EQ(symlink("b", in_top("a/link")), 0);
	EQ(mkdir_p(in_top("a/link"), 0700), -ELOOP);
	EQ(mkdir_p(in_top("a/link/"), 0700), -ELOOP);
	EQ(mkdir_p(in_top("a/link/d"), 0700), 0);
	EQ(stat(in_top("a/b/d"), &st), 0);
	EQ(file_replace(dir, "file", "", 0, 0600), 0);
	EQ(mkdir_p(in_top("file"), 0700), -ENOTDIR);
	EQ(mkdir_p(in_top("file/x"), 0700), -ENOTDIR);

	EQ(unlink_quiet(dir, "file"), 0);
	EQ(unlink_quiet(dir, "a/link"), 0);
	EQ(rmdir(in_top("a/b/d")) | rmdir(in_top("a/b/c")) | rmdir(in_top("a/b")) |
	   rmdir(in_top("a")), 0);
	done(dir);
}

TEST(name_is_one_component)
{
	char longest[NAME_MAX + 2];

	OK(name_is_safe("disk.vhd"));
	OK(name_is_safe("..."));
	OK(name_is_safe(".sm"));
	OK(name_is_safe("-rf"));
	OK(name_is_safe("a b \xc3\xa4"));
	OK(!name_is_safe(""));
	OK(!name_is_safe("."));
	OK(!name_is_safe(".."));
	OK(!name_is_safe("a/b"));
	OK(!name_is_safe("/"));
	OK(!name_is_safe("a\nb"));
	OK(!name_is_safe("\x7f"));
	memset(longest, 'n', sizeof(longest));
	longest[NAME_MAX + 1] = '\0';
	OK(!name_is_safe(longest));
	longest[NAME_MAX] = '\0';
	OK(name_is_safe(longest));
}

TEST(path_is_absolute_and_never_goes_up)
{
	static char longest[PATH_MAX + 1];

	OK(path_is_absolute_clean("/"));
	OK(path_is_absolute_clean("/srv/sr"));
	OK(path_is_absolute_clean("/srv/..sr/...//x../."));
	OK(!path_is_absolute_clean(""));
	OK(!path_is_absolute_clean("srv"));
	OK(!path_is_absolute_clean("/.."));
	OK(!path_is_absolute_clean("/srv/../etc"));
	OK(!path_is_absolute_clean("/srv/.."));
	OK(!path_is_absolute_clean("/srv//../"));
	memset(longest, '/', PATH_MAX);
	OK(!path_is_absolute_clean(longest));
	longest[PATH_MAX - 1] = '\0';
	OK(path_is_absolute_clean(longest));
}
