/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <linux/aio_abi.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arch/readq.h"
#include "lib/err.h"
#include "lib/io.h"

/* In flight at once: disks and arrays queue some 32 to 128 of them. */
#define DEPTH 64

/* No libc has these. */
static long setup(aio_context_t *q)
{
	return syscall(SYS_io_setup, DEPTH, q);
}

static long submit(aio_context_t q, struct iocb **v, size_t n)
{
	return syscall(SYS_io_submit, q, (long)n, v);
}

static long wait_for(aio_context_t q, struct io_event *v, size_t at_least)
{
	return syscall(SYS_io_getevents, q, (long)at_least, (long)DEPTH, v, NULL);
}

static void read_now(struct readq_one *r)
{
	r->err = pread_all(r->fd, r->buf, r->len, r->at);
}

static void done(struct readq_one *r, int64_t res)
{
	r->err = res < 0 ? (int)res : (size_t)res < r->len ? -E_SHORT : 0;
}

struct queue {
	aio_context_t q;
	struct iocb cb[DEPTH];
	struct iocb *spare[DEPTH];
	size_t n_spare;
};

/* As many of [first, n) as there is room for; how many were started. */
static size_t start(struct queue *q, struct readq_one *v, size_t first, size_t n)
{
	struct iocb *batch[DEPTH];
	size_t n_batch = 0;
	long started;

	for (; first + n_batch < n && q->n_spare; n_batch++) {
		struct readq_one *r = &v[first + n_batch];
		struct iocb *cb = q->spare[--q->n_spare];

		*cb = (struct iocb){
			.aio_data = (uint64_t)(uintptr_t)r, .aio_lio_opcode = IOCB_CMD_PREAD,
			.aio_fildes = (uint32_t)r->fd, .aio_buf = (uint64_t)(uintptr_t)r->buf,
			.aio_nbytes = r->len, .aio_offset = (int64_t)r->at,
		};
		batch[n_batch] = cb;
	}
	started = n_batch ? submit(q->q, batch, n_batch) : 0;
	if (started < 0)
		started = 0;
	for (size_t i = (size_t)started; i < n_batch; i++)
		q->spare[q->n_spare++] = batch[i];
	return (size_t)started;
}

/* -errno when the kernel will not say what has become of the others. */
static int reap(struct queue *q, size_t in_flight, size_t *n)
{
	struct io_event ev[DEPTH];
	long got;

	do {
		got = wait_for(q->q, ev, in_flight ? 1 : 0);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	for (long i = 0; i < got; i++) {
		done((struct readq_one *)(uintptr_t)ev[i].data, ev[i].res);
		q->spare[q->n_spare++] = (struct iocb *)(uintptr_t)ev[i].obj;
	}
	*n = (size_t)got;
	return 0;
}

void readq(struct readq_one *v, size_t n)
{
	struct queue q = { 0 };
	size_t next = 0, in_flight = 0, got = 0;

	for (size_t i = 0; i < n; i++)
		v[i].err = -EIO;
	for (size_t i = 0; i < DEPTH; i++)
		q.spare[q.n_spare++] = &q.cb[i];
	if (n < 2 || setup(&q.q)) {	/* not worth it, or not there */
		for (size_t i = 0; i < n; i++)
			read_now(&v[i]);
		return;
	}
	while (next < n || in_flight) {
		size_t started = start(&q, v, next, n);

		next += started;
		in_flight += started;
		if (!in_flight) {	/* the first one is refused: a descriptor that it cannot do */
			read_now(&v[next++]);
			continue;
		}
		if (reap(&q, in_flight, &got))
			break;
		in_flight -= got;
	}
	syscall(SYS_io_destroy, q.q);
}
