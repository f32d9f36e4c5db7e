/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The client of xenstore, and daemons that answer as none should. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "arch/clock.h"
#include "arch/xenstore.h"
#include "lib/arena.h"
#include "tests/unit/t.h"

struct head {
	uint32_t type, number, transaction, len;
};

/* What the daemon sends for each request it gets, whatever that is. */
struct answer {
	uint32_t type;
	int32_t off;		/* added to the request's number */
	uint32_t len;		/* claimed; the text's own where this is 0 */
	const char *text;
	size_t n;
	size_t cut;		/* send only so many bytes of all, and hang up; 0 = all */
	bool silent;
};

struct daemon {
	int fd;
	const struct answer *answers;
	size_t n;
	struct head got;	/* the last request */
	char path[5000];
	pthread_t thread;
};

static bool take(int fd, void *to, size_t n)
{
	for (char *p = to; n; ) {
		ssize_t got = read(fd, p, n);

		if (got <= 0)
			return false;
		p += got;
		n -= (size_t)got;
	}
	return true;
}

static void *serve(void *arg)
{
	struct daemon *d = arg;

	for (size_t i = 0; i < d->n; i++) {
		const struct answer *a = &d->answers[i];
		char out[8192] = "";
		struct head h;
		size_t n = sizeof(h) + a->n;

		if (!a->silent || a->type)
			if (!take(d->fd, &d->got, sizeof(d->got)) || d->got.len > sizeof(d->path) ||
			    !take(d->fd, d->path, d->got.len))
				break;
		h = (struct head){ a->type, d->got.number + (uint32_t)a->off, d->got.transaction,
				   a->len ? a->len : (uint32_t)a->n };
		memcpy(out, &h, sizeof(h));
		if (a->n)
			memcpy(out + sizeof(h), a->text, a->n);
		if (a->silent) {
			/* Until the client has had enough. */
			take(d->fd, out, 1);
			break;
		}
		if (a->cut && a->cut < n)
			n = a->cut;
		/* One byte at a time: an answer may come in any pieces. */
		for (size_t k = 0; k < n; k++)
			if (write(d->fd, out + k, 1) != 1)
				break;
		if (a->cut)
			break;
	}
	close(d->fd);
	return NULL;
}

static void begin(struct xenstore *x, struct daemon *d, const struct answer *answers, size_t n)
{
	int ends[2];

	signal(SIGPIPE, SIG_IGN);
	OK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	*x = (struct xenstore){ .fd = ends[0], .deadline = clock_now_mono() + 20 * NS_PER_S };
	*d = (struct daemon){ .fd = ends[1], .answers = answers, .n = n };
	OK(!pthread_create(&d->thread, NULL, serve, d));
}

static void end(struct xenstore *x, struct daemon *d)
{
	xenstore_close(x);
	pthread_join(d->thread, NULL);
}

#define TEXT(s) .text = (s), .n = sizeof(s) - 1

TEST(xenstore_reads_writes_and_lists)
{
	static const struct answer answers[] = {
		{ 2, TEXT("a value with \xff in it") }, { 2, .text = "" }, { 11, TEXT("OK\0") },
		{ 1, TEXT("1\0002\0odd name\0") }, { 1, .text = "" }, { 13, TEXT("OK\0") },
		{ 16, TEXT("ENOENT\0") },
	};
	struct arena a = { 0 };
	struct xenstore x;
	struct daemon d;
	const char *v = NULL, **names = NULL;
	size_t n = 0;

	begin(&x, &d, answers, 7);
	EQ(xenstore_read(&x, &a, "/some/path", &v), 0);
	STR_EQ(v, "a value with \xff in it");
	EQ(d.got.type, 2);
	EQ(d.got.len, 11);
	STR_EQ(d.path, "/some/path");
	EQ(xenstore_read(&x, &a, "p", &v), 0);
	STR_EQ(v, "");
	EQ(xenstore_write(&x, "p", "val"), 0);
	EQ(d.got.len, 5);
	MEM_EQ(d.path, "p\0val", 5);
	EQ(xenstore_list(&x, &a, "p", &names, &n), 0);
	EQ(n, 3);
	STR_EQ(names[2], "odd name");
	EQ(xenstore_list(&x, &a, "p", &names, &n), 0);
	EQ(n, 0);
	EQ(xenstore_remove(&x, "p"), 0);
	EQ(xenstore_remove(&x, "p"), 0);
	end(&x, &d);
	arena_free(&a);
}

TEST(xenstore_errors_have_names)
{
	static const struct answer answers[] = {
		{ 16, TEXT("EACCES\0") }, { 16, TEXT("ENOENT") }, { 16, TEXT("EWHATEVER\0") }, { 16, .text = "" },
		{ 2, TEXT("two\0strings") }, { 2, TEXT("fine") },
	};
	struct arena a = { 0 };
	struct xenstore x;
	struct daemon d;
	const char *v = NULL;

	begin(&x, &d, answers, 6);
	EQ(xenstore_read(&x, &a, "p", &v), -EACCES);
	EQ(xenstore_read(&x, &a, "p", &v), -ENOENT);
	EQ(xenstore_read(&x, &a, "p", &v), -EIO);
	EQ(xenstore_read(&x, &a, "p", &v), -EIO);
	EQ(xenstore_read(&x, &a, "p", &v), -EPROTO);
	/* None of these is the end of the connection. */
	EQ(xenstore_read(&x, &a, "p", &v), 0);
	STR_EQ(v, "fine");
	end(&x, &d);
	arena_free(&a);
}

TEST(xenstore_transactions_are_done_again)
{
	static const struct answer answers[] = {
		{ 6, TEXT("7\0") }, { 11, TEXT("OK\0") }, { 16, TEXT("EAGAIN\0") },
		{ 6, TEXT("4294967295\0") }, { 11, TEXT("OK\0") }, { 7, TEXT("OK\0") }, { 2, TEXT("v") },
	};
	struct arena a = { 0 };
	struct xenstore x;
	struct daemon d;
	const char *v;

	begin(&x, &d, answers, 7);
	EQ(xenstore_begin(&x), 0);
	EQ(xenstore_write(&x, "p", "v"), 0);
	EQ(d.got.transaction, 7);
	EQ(xenstore_end(&x, true), -EAGAIN);
	EQ(d.got.transaction, 7);
	STR_EQ(d.path, "T");
	EQ(xenstore_begin(&x), 0);
	EQ(d.got.transaction, 0);
	EQ(xenstore_write(&x, "p", "v"), 0);
	EQ(d.got.transaction, UINT32_MAX);
	EQ(xenstore_end(&x, false), 0);
	STR_EQ(d.path, "F");
	EQ(xenstore_read(&x, &a, "p", &v), 0);
	EQ(d.got.transaction, 0);
	end(&x, &d);
	arena_free(&a);
}

/* One answer that is the end of the connection. */
static void hostile(const struct answer *one, int err)
{
	struct arena a = { 0 };
	struct xenstore x;
	struct daemon d;
	const char *v;

	begin(&x, &d, one, 1);
	x.deadline = clock_now_mono() + (one->silent ? NS_PER_S / 5 : 20 * NS_PER_S);
	EQ(xenstore_read(&x, &a, "p", &v), err);
	EQ(x.fd, -1);
	EQ(xenstore_read(&x, &a, "p", &v), -ENOTCONN);
	EQ(xenstore_write(&x, "p", "v"), -ENOTCONN);
	end(&x, &d);
	arena_free(&a);
}

TEST(xenstore_hostile_answers_end_it)
{
	hostile(&(struct answer){ 2, .off = 1, TEXT("another's") }, -EPROTO);
	hostile(&(struct answer){ 2, .off = -1, TEXT("an old one's") }, -EPROTO);
	hostile(&(struct answer){ 1, TEXT("of another kind") }, -EPROTO);
	hostile(&(struct answer){ 99, TEXT("of no kind") }, -EPROTO);
	hostile(&(struct answer){ 2, .len = 4097, TEXT("too long") }, -EPROTO);
	hostile(&(struct answer){ 2, .len = UINT32_MAX, TEXT("much too long") }, -EPROTO);
	hostile(&(struct answer){ 15, .len = 1u << 31, TEXT("an event that is too long") }, -EPROTO);
	hostile(&(struct answer){ 2, TEXT("cut in its head"), .cut = 9 }, -ECONNRESET);
	hostile(&(struct answer){ 2, TEXT("cut in its text"), .cut = 20 }, -ECONNRESET);
	hostile(&(struct answer){ 2, .silent = true }, -ETIMEDOUT);
}

TEST(xenstore_events_are_passed_over)
{
	static const struct answer answers[] = { { 15, TEXT("@releaseDomain\0token\0"), .off = -1 } };
	struct arena a = { 0 };
	struct xenstore x;
	struct daemon d;
	const char *v;

	begin(&x, &d, answers, 1);
	EQ(xenstore_read(&x, &a, "p", &v), -ECONNRESET);	/* the next one is what counts */
	end(&x, &d);
	arena_free(&a);
}

TEST(xenstore_refuses_what_no_daemon_takes)
{
	static char path[3073], value[XENSTORE_VALUE + 2];
	struct xenstore x;
	struct daemon d;

	memset(path, 'p', sizeof(path) - 1);
	memset(value, 'v', sizeof(value) - 1);
	begin(&x, &d, NULL, 0);
	EQ(xenstore_write(&x, path, "v"), -E2BIG);
	EQ(xenstore_write(&x, "p", value), -E2BIG);
	EQ(xenstore_open(&(struct xenstore){ .fd = -1 }, "/nowhere/socket", 0), -ENOENT);
	EQ(xenstore_open(&(struct xenstore){ .fd = -1 }, "/dev/null", 0), -ENOENT);
	end(&x, &d);
}
