/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/clock.h"
#include "arch/flock.h"
#include "arch/lock.h"
#include "tests/unit/t.h"

static char dir[64], path[128];

static void fresh(void)
{
	strcpy(dir, "/tmp/smlock.XXXXXX");
	OK(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/ns/deep/name", dir);
}

static void clean(void)
{
	static const char *const parts[] = { "ns/deep/name", "ns/deep/link", "ns/deep", "ns", "" };
	char p[160];

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		snprintf(p, sizeof(p), "%s/%s", dir, parts[i]);
		remove(p);
	}
}

static uint64_t in_ms(uint64_t ms)
{
	return clock_now_mono() + ms * NS_PER_MS;
}

/* A child that holds the lock until it is killed; back when it has it. */
static pid_t holder(bool shared, bool posix)
{
	int ready[2];
	pid_t pid;
	char c;

	OK(!pipe2(ready, O_CLOEXEC));
	pid = fork();
	if (!pid) {
		struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
		int fd;

		if (posix)
			fd = fcntl(open(path, O_RDWR | O_CREAT, 0644), F_SETLK, &l);
		else
			fd = lock_take(&fd, path, shared, LOCK_TRY);
		if (!fd && write(ready[1], "y", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	close(ready[1]);
	EQ(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static void finish(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

TEST(lock_makes_its_directories_and_file)
{
	int lock = -1;
	struct stat st;

	fresh();
	EQ(lock_take(&lock, path, false, LOCK_TRY), 0);
	OK(lock >= 0);
	OK(fcntl(lock, F_GETFD) & FD_CLOEXEC);
	EQ(stat(path, &st), 0);
	EQ(st.st_mode & 077, 0);	/* a reader could keep a shared lock on it */
	lock_drop(&lock);
	EQ(lock, -1);
	lock_drop(&lock);
	EQ(stat(path, &st), 0);
	clean();
}

/* lvm2's locks can be taken away from under their holder by who may write to their folder. */
TEST(flock_trusts_no_folder_of_others)
{
	char parent[128];
	int fd = -1;

	fresh();
	EQ(flock_take(&fd, path, false, LOCK_TRY), 0);
	flock_drop(&fd, path);
	snprintf(parent, sizeof(parent), "%s/ns/deep", dir);
	OK(!chmod(parent, 0777));
	EQ(flock_take(&fd, path, false, LOCK_TRY), -EPERM);
	OK(!chmod(parent, 0755));
	if (!geteuid()) {
		OK(!chown(parent, 65534, 65534));
		EQ(flock_take(&fd, path, false, LOCK_TRY), -EPERM);
		OK(!chown(parent, 0, 0));
	}
	EQ(flock_take(&fd, path, false, LOCK_TRY), 0);
	flock_drop(&fd, path);
	EQ(access(path, F_OK), -1);
	clean();
}

TEST(lock_is_exclusive_in_one_process_too_and_shared_ones_are_not)
{
	int a, b, c;

	fresh();
	EQ(lock_take(&a, path, true, LOCK_TRY), 0);
	EQ(lock_take(&b, path, true, LOCK_TRY), 0);
	EQ(lock_take(&c, path, false, LOCK_TRY), -ETIMEDOUT);
	EQ(c, -1);
	lock_drop(&a);
	lock_drop(&b);
	EQ(lock_take(&c, path, false, LOCK_TRY), 0);
	EQ(lock_take(&a, path, true, LOCK_TRY), -ETIMEDOUT);
	lock_drop(&c);
	clean();
}

TEST(lock_waits_until_the_deadline_and_no_longer)
{
	uint64_t from;
	pid_t pid;
	int lock;

	fresh();
	pid = holder(false, false);
	from = clock_now_mono();
	EQ(lock_take(&lock, path, false, in_ms(120)), -ETIMEDOUT);
	OK(clock_now_mono() - from >= 120 * NS_PER_MS);
	OK(clock_now_mono() - from < 5000 * NS_PER_MS);
	finish(pid);
	clean();
}

TEST(lock_of_a_killed_holder_is_free)
{
	pid_t pid, killer;
	int lock;

	fresh();
	pid = holder(false, false);
	killer = fork();
	if (!killer) {
		clock_sleep(60 * NS_PER_MS);
		kill(pid, SIGKILL);
		_exit(0);
	}
	EQ(lock_take(&lock, path, false, in_ms(10000)), 0);
	lock_drop(&lock);
	waitpid(killer, NULL, 0);
	waitpid(pid, NULL, 0);
	clean();
}

TEST(lock_respects_a_record_lock_and_names_its_holder)
{
	pid_t pid, who;
	int lock;

	fresh();
	EQ(lock_holder(path, &who), 0);
	EQ(who, 0);
	EQ(lock_take(&lock, path, false, LOCK_TRY), 0);
	EQ(lock_holder(path, &who), 0);
	EQ(who, -1);
	lock_drop(&lock);
	EQ(lock_holder(path, &who), 0);
	EQ(who, 0);

	pid = holder(false, true);
	EQ(lock_take(&lock, path, false, LOCK_TRY), -ETIMEDOUT);
	EQ(lock_holder(path, &who), 0);
	EQ(who, pid);
	finish(pid);
	clean();
}

TEST(lock_follows_the_path_when_the_file_is_unlinked)
{
	struct stat held, there;
	pid_t pid, killer;
	int lock, other;

	fresh();
	pid = holder(false, false);
	killer = fork();
	if (!killer) {
		clock_sleep(60 * NS_PER_MS);
		unlink(path);
		kill(pid, SIGKILL);
		_exit(0);
	}
	EQ(lock_take(&lock, path, false, in_ms(10000)), 0);
	EQ(fstat(lock, &held), 0);
	EQ(stat(path, &there), 0);
	EQ(held.st_ino, there.st_ino);
	EQ(lock_take(&other, path, false, LOCK_TRY), -ETIMEDOUT);
	lock_drop(&lock);
	waitpid(killer, NULL, 0);
	waitpid(pid, NULL, 0);
	clean();
}

TEST(lock_drop_releases_although_a_child_has_a_copy)
{
	pid_t pid;
	int lock, again;

	fresh();
	EQ(lock_take(&lock, path, false, LOCK_TRY), 0);
	pid = fork();
	if (!pid)
		for (;;)
			pause();
	lock_drop(&lock);
	EQ(lock_take(&again, path, false, LOCK_TRY), 0);
	lock_drop(&again);
	finish(pid);
	clean();
}

TEST(lock_file_is_never_a_symbolic_link)
{
	char target[160];
	int lock;

	fresh();
	EQ(lock_take(&lock, path, false, LOCK_TRY), 0);
	lock_drop(&lock);
	snprintf(target, sizeof(target), "%s/ns/deep/link", dir);
	EQ(rename(path, target), 0);
	EQ(symlink(target, path), 0);
	EQ(lock_take(&lock, path, false, LOCK_TRY), -ELOOP);
	EQ(lock, -1);
	clean();
}

/* Many short sections in two processes: a counter that is read, then written. */
TEST(lock_keeps_two_processes_apart)
{
	char count[160];
	int fd, status;
	long n = 0;
	pid_t pid;

	fresh();
	EQ(lock_take(&fd, path, false, LOCK_TRY), 0);
	lock_drop(&fd);
	snprintf(count, sizeof(count), "%s/ns/deep/link", dir);
	fd = open(count, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	EQ(pwrite(fd, &n, sizeof(n), 0), sizeof(n));
	pid = fork();
	for (int i = 0; i < 50; i++) {
		int lock, err = lock_take(&lock, path, false, in_ms(20000));

		OK(!err);
		OK(pread(fd, &n, sizeof(n), 0) == sizeof(n));
		clock_sleep(10000);
		n++;
		OK(pwrite(fd, &n, sizeof(n), 0) == sizeof(n));
		lock_drop(&lock);
	}
	if (!pid)
		_exit(0);
	EQ(waitpid(pid, &status, 0), pid);
	OK(pread(fd, &n, sizeof(n), 0) == sizeof(n));
	EQ(n, 100);
	close(fd);
	clean();
}
