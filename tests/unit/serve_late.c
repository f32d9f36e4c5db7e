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

/* A write is asked for while the disk is paused, and what is there after more than a second. */
static uint8_t after(bool gone)
{
	struct nbd_request rq = { .type = NBD_WRITE, .len = LEN };
	struct { struct nbd_request_disk rq; uint8_t data[LEN]; } ask;
	char path[] = "./late.XXXXXX";
	struct image *im = NULL;
	struct server *s;
	struct disk *d;
	struct io *io;
	uint8_t got = 0;
	int ends[2], fd = mkstemp(path);

	OK(fd >= 0 && !unlink(path) && !ftruncate(fd, SIZE));
	EQ(io_from_fd(&io, fd, IO_RDWR), 0);
	EQ(image_open(&im, io, IMAGE_RAW, IMAGE_RDWR, NULL, NULL), 0);
	disk_open(&d, im);
	server_start(&s, d, "late");
	EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	EQ(server_add(s, ends[0], false), 0);
	EQ(disk_pause(d, 1000, true), 0);
	nbd_request_encode(&rq, &ask.rq);
	memset(ask.data, 7, LEN);
	EQ(write(ends[1], &ask, sizeof(ask)), (ssize_t)sizeof(ask));
	nanosleep(&(struct timespec){ 1, 300000000 }, NULL);
	if (gone)
		shutdown(ends[1], SHUT_RDWR);
	disk_go_on(d);
	if (!gone)
		EQ(read(ends[1], &ask, sizeof(struct nbd_reply_disk)), (ssize_t)sizeof(struct nbd_reply_disk));
	server_stop(s);
	EQ(disk_read(d, LEN - 1, &got, 1), 0);
	EQ(disk_close(d), 0);
	close(ends[1]);
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
	char path[] = "./late.XXXXXX";
	struct image *im = NULL;
	struct server *s;
	struct disk *d;
	struct io *io;
	uint8_t got;
	int ends[2], fd = mkstemp(path);

	OK(fd >= 0 && !unlink(path) && !ftruncate(fd, MANY * LEN));
	EQ(io_from_fd(&io, fd, IO_RDWR), 0);
	EQ(image_open(&im, io, IMAGE_RAW, IMAGE_RDWR, NULL, NULL), 0);
	disk_open(&d, im);
	server_start(&s, d, "late");
	EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	EQ(server_add(s, ends[0], false), 0);
	EQ(disk_pause(d, 1000, true), 0);
	memset(ask.data, 7, LEN);
	for (unsigned int i = 0; i < MANY; i++) {
		struct nbd_request rq = { .type = NBD_WRITE, .at = i * LEN, .len = LEN };

		nbd_request_encode(&rq, &ask.rq);
		EQ(write(ends[1], &ask, sizeof(ask)), (ssize_t)sizeof(ask));
	}
	nanosleep(&(struct timespec){ 1, 300000000 }, NULL);
	shutdown(ends[1], SHUT_RDWR);
	disk_go_on(d);
	server_stop(s);
	for (unsigned int i = 0; i < MANY; i++) {
		EQ(disk_read(d, i * LEN, &got, 1), 0);
		EQ(got, 0);
	}
	EQ(disk_close(d), 0);
	close(ends[1]);
}
