/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "arch/clock.h"
#include "arch/syslog.h"
#include "lib/ctx.h"
#include "tests/unit/t.h"

static char dir[64], path[96];

static int server(int type)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	unlink(path);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	OK(!bind(fd, (struct sockaddr *)&a, sizeof(a)));
	if (type == SOCK_STREAM)
		OK(!listen(fd, 4));
	return fd;
}

static void fresh(void)
{
	strcpy(dir, "/tmp/smlog.XXXXXX");
	OK(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/log", dir);
}

static void done(void)
{
	unlink(path);
	EQ(rmdir(dir), 0);
}

/* What arrived, as a string: "" when nothing did. */
static const char *arrived(int fd)
{
	static char got[4096];
	ssize_t n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);

	got[n > 0 ? n : 0] = '\0';
	return got;
}

static const char *expected(const char *pri, const char *rest)
{
	static char s[256];

	snprintf(s, sizeof(s), "<%s>SM: [%d] %s", pri, (int)getpid(), rest);
	return s;
}

TEST(syslog_line_has_facility_name_pid_and_tag)
{
	struct syslog log = { .path = path, .fd = -1 };
	struct ctx ctx = { .tag = "host1" };
	int fd;

	fresh();
	fd = server(SOCK_DGRAM);
	log_set_sink(syslog_line, &log);
	logf_info(&ctx, "vdi %s", "a\nb");
	STR_EQ(arrived(fd), expected("150", "host1 vdi a\\nb"));
	OK(fcntl(log.fd, F_GETFD) & FD_CLOEXEC);
	logf_err(NULL, "bad");
	STR_EQ(arrived(fd), expected("147", "bad"));
	logf_warn(NULL, "hm");
	STR_EQ(arrived(fd), expected("148", "hm"));
	log_set_sink(NULL, NULL);
	syslog_close(&log);
	EQ(log.fd, -1);
	close(fd);
	done();
}

TEST(syslog_that_is_not_there_or_comes_back)
{
	struct syslog log = { .path = path, .fd = -1 };
	int fd;

	fresh();
	syslog_line(&log, LOG_LEVEL_INFO, "", "lost");
	EQ(log.fd, -1);
	fd = server(SOCK_DGRAM);
	syslog_line(&log, LOG_LEVEL_INFO, "", "one");
	STR_EQ(arrived(fd), expected("150", "one"));
	close(fd);
	fd = server(SOCK_DGRAM);
	syslog_line(&log, LOG_LEVEL_INFO, "", "two");
	STR_EQ(arrived(fd), expected("150", "two"));
	close(fd);
	unlink(path);
	syslog_line(&log, LOG_LEVEL_INFO, "", "lost");
	EQ(log.fd, -1);
	done();
}

TEST(syslog_that_is_full_is_not_waited_for)
{
	struct syslog log = { .path = path, .fd = -1 };
	uint64_t from = clock_now_mono();
	char line[LOG_LINE_MAX];
	int fd;

	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	for (int type = SOCK_STREAM; type <= SOCK_DGRAM; type++) {
		fresh();
		fd = server(type);
		for (int i = 0; i < 2000; i++)
			syslog_line(&log, LOG_LEVEL_INFO, "", line);
		OK(clock_now_mono() - from < 5 * NS_PER_S);
		syslog_close(&log);
		close(fd);
		done();
	}
}

TEST(syslog_on_a_stream_ends_lines_with_nul)
{
	struct syslog log = { .path = path, .fd = -1 };
	char got[256], want[256];
	int fd, peer;
	ssize_t n;

	fresh();
	fd = server(SOCK_STREAM);
	syslog_line(&log, LOG_LEVEL_INFO, "t", "one");
	syslog_line(&log, LOG_LEVEL_INFO, "t", "two");
	peer = accept(fd, NULL, NULL);
	n = recv(peer, got, sizeof(got), MSG_DONTWAIT);
	strcpy(want, expected("150", "t one"));
	STR_EQ(got, want);
	EQ(n, 2 * (strlen(want) + 1));
	STR_EQ(got + strlen(want) + 1, expected("150", "t two"));
	/* The other side goes away: once more, and found again. */
	close(peer);
	syslog_line(&log, LOG_LEVEL_INFO, "t", "three");
	peer = accept(fd, NULL, NULL);
	n = recv(peer, got, sizeof(got), MSG_DONTWAIT);
	OK(n > 0);
	STR_EQ(got, expected("150", "t three"));
	close(peer);
	syslog_close(&log);
	close(fd);
	done();
}
