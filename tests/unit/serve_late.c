/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests that had to wait, and whose client has gone, or asks again elsewhere, meanwhile. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/arena.h"
#include "lib/image.h"
#include "lib/io.h"
#include "lib/nbd/nbd.h"
#include "lib/serve/disk.h"
#include "lib/serve/server.h"
#include "tests/unit/t.h"

#define SIZE	65536u
#define LEN	4096u

/* A disk that is paused, its server and one client. */
struct late {
	struct server *s;
	struct disk *d;
	int client;
};

static void begin(struct late *l, off_t size)
{
	char path[] = "./late.XXXXXX";
	struct image *im = NULL;
	struct io *io = NULL;
	int ends[2], fd = mkstemp(path);

	OK(fd >= 0 && !unlink(path) && !ftruncate(fd, size));
	EQ(io_from_fd(&io, fd, IO_RDWR), 0);
	EQ(image_open(&im, io, IMAGE_RAW, IMAGE_RDWR, NULL, NULL), 0);
	disk_open(&l->d, im);
	server_start(&l->s, l->d, "late");
	EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	EQ(server_add(l->s, ends[0], false), 0);
	EQ(disk_pause(l->d, 1000, true), 0);
	l->client = ends[1];
}

/* A write is asked for while the disk is paused, and what is there after more than a second. */
static uint8_t after(bool gone)
{
	struct nbd_request rq = { .type = NBD_WRITE, .len = LEN };
	struct { struct nbd_request_disk rq; uint8_t data[LEN]; } ask;
	struct late l;
	uint8_t got = 0;

	begin(&l, SIZE);
	nbd_request_encode(&rq, &ask.rq);
	memset(ask.data, 7, LEN);
	EQ(write(l.client, &ask, sizeof(ask)), (ssize_t)sizeof(ask));
	nanosleep(&(struct timespec){ 1, 300000000 }, NULL);
	if (gone)
		shutdown(l.client, SHUT_RDWR);
	disk_go_on(l.d);
	if (!gone)
		EQ(read(l.client, &ask, sizeof(struct nbd_reply_disk)), (ssize_t)sizeof(struct nbd_reply_disk));
	server_stop(l.s);
	EQ(disk_read(l.d, LEN - 1, &got, 1), 0);
	EQ(disk_close(l.d), 0);
	close(l.client);
	return got;
}

TEST(serve_late_writes_are_done_for_who_still_waits)
{
	EQ(after(false), 7);
}

TEST(serve_late_writes_are_not_done_for_who_has_gone)
{
	EQ(after(true), 0);
}

#define MANY	40u

/* More of them than there are threads: those that nobody had read yet are as late. */
TEST(serve_late_writes_that_wait_unread_are_not_done_either)
{
	struct { struct nbd_request_disk rq; uint8_t data[LEN]; } ask;
	struct late l;
	uint8_t got;

	begin(&l, MANY * LEN);
	memset(ask.data, 7, LEN);
	for (unsigned int i = 0; i < MANY; i++) {
		struct nbd_request rq = { .type = NBD_WRITE, .at = i * LEN, .len = LEN };

		nbd_request_encode(&rq, &ask.rq);
		EQ(write(l.client, &ask, sizeof(ask)), (ssize_t)sizeof(ask));
	}
	nanosleep(&(struct timespec){ 1, 300000000 }, NULL);
	shutdown(l.client, SHUT_RDWR);
	disk_go_on(l.d);
	server_stop(l.s);
	for (unsigned int i = 0; i < MANY; i++) {
		EQ(disk_read(l.d, i * LEN, &got, 1), 0);
		EQ(got, 0);
	}
	EQ(disk_close(l.d), 0);
	close(l.client);
}

/* --- a storage that does not answer for a while ----------------------------------------- */

#define THREADS	16u		/* that a connection has at most */
#define ALL	(2 * (uint64_t)SERVER_CHUNK)

/* Memory in which writes hang while it is shut. */
struct hanging {
	struct io io, *mem;
	pthread_mutex_t lock;
	pthread_cond_t moved;
	bool shut;
	unsigned int inside;		/* writes that hang */
};

static int hanging_read(struct io *io, uint64_t at, void *buf, size_t len)
{
	return io_read(((struct hanging *)io)->mem, at, buf, len);
}

static int hanging_write(struct io *io, uint64_t at, const void *buf, size_t len)
{
	struct hanging *h = (struct hanging *)io;

	pthread_mutex_lock(&h->lock);
	if (h->shut && at < SIZE) {
		h->inside++;
		pthread_cond_broadcast(&h->moved);
		while (h->shut)
			pthread_cond_wait(&h->moved, &h->lock);
	}
	pthread_mutex_unlock(&h->lock);
	return io_write(h->mem, at, buf, len);
}

static int hanging_flush(struct io *io)
{
	return 0;
}

static void hanging_close(struct io *io)
{
	struct hanging *h = (struct hanging *)io;

	io_close(h->mem);
	free(h);
}

static const struct io_ops hanging = {
	.read = hanging_read, .write = hanging_write, .flush = hanging_flush, .close = hanging_close,
};

/* One disk, whose first SIZE bytes hang, and two connections. */
struct two {
	struct hanging *h;
	struct server *s;
	struct disk *d;
	int a, b;
};

static int connect_to(struct server *s)
{
	int ends[2];

	EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	EQ(server_add(s, ends[0], false), 0);
	return ends[1];
}

static void begin_two(struct two *w)
{
	struct image *im = NULL;

	w->h = must_alloc(sizeof(*w->h));
	*w->h = (struct hanging){
		.mem = io_mem(ALL, ALL), .shut = true,
		.io = { .ops = &hanging, .size = ALL, .sector = 512, .fd = -1 },
	};
	pthread_mutex_init(&w->h->lock, NULL);
	pthread_cond_init(&w->h->moved, NULL);
	EQ(image_open(&im, &w->h->io, IMAGE_RAW, IMAGE_RDWR, NULL, NULL), 0);
	disk_open(&w->d, im);
	server_start(&w->s, w->d, "two");
	w->a = connect_to(w->s);
	w->b = connect_to(w->s);
}

/* The server has been stopped, so all is done that ever will be. */
static void end_two(struct two *w)
{
	EQ(disk_close(w->d), 0);
	close(w->a);
	close(w->b);
}

static void await_hanging(struct two *w, unsigned int n)
{
	pthread_mutex_lock(&w->h->lock);
	while (w->h->inside < n)
		pthread_cond_wait(&w->h->moved, &w->h->lock);
	pthread_mutex_unlock(&w->h->lock);
}

static void let_go(struct two *w)
{
	pthread_mutex_lock(&w->h->lock);
	w->h->shut = false;
	pthread_cond_broadcast(&w->h->moved);
	pthread_mutex_unlock(&w->h->lock);
}

static void ask(int fd, uint16_t type, uint64_t at, uint32_t len, int c)
{
	struct nbd_request rq = { .type = type, .at = at, .len = len };
	uint8_t *all = must_alloc(sizeof(struct nbd_request_disk) + len);
	size_t n = sizeof(struct nbd_request_disk) + (type == NBD_WRITE ? len : 0);

	nbd_request_encode(&rq, (struct nbd_request_disk *)all);
	memset(all + sizeof(struct nbd_request_disk), c, len);
	EQ(write(fd, all, n), (ssize_t)n);
	free(all);
}

static void hear(int fd)
{
	struct nbd_reply_disk r;

	EQ(read(fd, &r, sizeof(r)), (ssize_t)sizeof(r));
}

static bool is_answered(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

static int byte_at(struct two *w, uint64_t at)
{
	uint8_t got = 0;

	EQ(disk_read(w->d, at, &got, 1), 0);
	return got;
}

/* type: of what is asked again and waits. */
static void ask_again(uint16_t type, uint64_t at, uint32_t len)
{
	struct two w;

	begin_two(&w);
	ask(w.a, NBD_WRITE, LEN, LEN, 1);
	await_hanging(&w, 1);
	shutdown(w.a, SHUT_RDWR);
	ask(w.b, type, at, len, 2);
	/* Others are done meanwhile: what comes later, and what is read. */
	ask(w.b, NBD_WRITE, SIZE, LEN, 3);
	hear(w.b);
	EQ(byte_at(&w, SIZE), 3);
	OK(!is_answered(w.b, 200));
	let_go(&w);
	hear(w.b);
	server_stop(w.s);
	EQ(byte_at(&w, LEN), type == NBD_WRITE ? 2 : 0);
	end_two(&w);
}

TEST(serve_late_what_is_asked_again_waits_for_what_hangs)
{
	ask_again(NBD_WRITE, LEN, LEN);
	ask_again(NBD_WRITE, LEN - 512, 2 * LEN);
	ask_again(NBD_WRITE_ZEROES, 0, SIZE);
}

/* Of a connection all threads hang, and more of its requests are unread, when it dies. */
TEST(serve_late_what_nobody_had_read_is_not_done_over_what_came_since)
{
	struct two w;

	begin_two(&w);
	for (unsigned int i = 0; i < THREADS; i++)
		ask(w.a, NBD_WRITE, i * 512, 512, 1);
	await_hanging(&w, THREADS);
	for (unsigned int i = 0; i < 3; i++)
		ask(w.a, NBD_WRITE, SIZE + i * LEN, LEN, 1);
	shutdown(w.a, SHUT_RDWR);
	for (unsigned int i = 0; i < 3; i++) {
		ask(w.b, NBD_WRITE, SIZE + i * LEN, LEN, 1);
		hear(w.b);
		ask(w.b, NBD_WRITE, SIZE + i * LEN, LEN, 2);
		hear(w.b);
	}
	let_go(&w);
	server_stop(w.s);
	for (unsigned int i = 0; i < 3; i++)
		EQ(byte_at(&w, SIZE + i * LEN), 2);
	/* What had been begun is done. */
	for (unsigned int i = 0; i < THREADS; i++)
		EQ(byte_at(&w, i * 512), 1);
	end_two(&w);
}

/* A long write is done in pieces: those that follow the one that hangs are as late. */
TEST(serve_late_the_rest_of_a_long_write_is_not_done_either)
{
	struct two w;

	begin_two(&w);
	ask(w.a, NBD_WRITE, 0, SERVER_CHUNK + SIZE, 1);
	await_hanging(&w, 1);
	shutdown(w.a, SHUT_RDWR);
	ask(w.b, NBD_WRITE, SERVER_CHUNK, LEN, 2);
	hear(w.b);
	let_go(&w);
	server_stop(w.s);
	EQ(byte_at(&w, 0), 1);
	EQ(byte_at(&w, SERVER_CHUNK), 2);
	EQ(byte_at(&w, SERVER_CHUNK + LEN), 0);
	end_two(&w);
}
