/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests that had to wait, and whose client has gone meanwhile. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

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
