/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/serve/claims.h"
#include "lib/serve/disk.h"
#include "lib/serve/server.h"
#include "lib/serve/session.h"

#define HELLO_SECONDS	30	/* a client may be silent among its options */
#define RUNS		256	/* of block status in one answer */

/* --- the socket ---------------------------------------------------------- */

/* At least one byte more in ahead; false at the end. */
static bool read_ahead(struct session *s)
{
	ssize_t n;

	if (s->at) {
		memmove(s->ahead, s->ahead + s->at, s->n - s->at);
		s->n -= s->at;
		s->at = 0;
	}
	do
		n = read(s->fd, s->ahead + s->n, sizeof(s->ahead) - s->n);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		s->n += (size_t)n;
	return n > 0;
}

static bool read_all(struct session *s, uint8_t *p, size_t len)
{
	size_t have = s->n - s->at < len ? s->n - s->at : len;

	memcpy(p, s->ahead + s->at, have);
	s->at += have;
	while (have < len) {
		ssize_t n = read(s->fd, p + have, len - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		have += (size_t)n;
	}
	return true;
}

static bool send_all(struct session *s, const void *head, size_t n_head, const void *body, size_t n)
{
	struct iovec v[2] = { { (void *)(uintptr_t)head, n_head }, { (void *)(uintptr_t)body, n } };
	struct msghdr m = { .msg_iov = v, .msg_iovlen = n ? 2 : 1 };

	while (m.msg_iovlen) {
		ssize_t done = sendmsg(s->fd, &m, MSG_NOSIGNAL);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		while (m.msg_iovlen && (size_t)done >= m.msg_iov->iov_len) {
			done -= (ssize_t)m.msg_iov->iov_len;
			m.msg_iov++;
			m.msg_iovlen--;
		}
		if (m.msg_iovlen) {
			m.msg_iov->iov_base = (char *)m.msg_iov->iov_base + done;
			m.msg_iov->iov_len -= (size_t)done;
		}
	}
	return true;
}

/* One whole message among those of the other threads. */
static bool send_one(struct session *s, const void *head, size_t n_head, const void *body, size_t n)
{
	bool ok;

	pthread_mutex_lock(&s->out);
	ok = send_all(s, head, n_head, body, n);
	pthread_mutex_unlock(&s->out);
	return ok;
}

/* --- the options --------------------------------------------------------- */

static void set_patience(int fd, time_t seconds)
{
	struct timeval t = { .tv_sec = seconds };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

static int talk(struct session *s, struct nbd_hello *h, struct buf *out)
{
	size_t used;
	int err;

	nbd_hello_start(h, s->e, out);
	for (;;) {
		if (out->n && !send_all(s, out->p, out->n, NULL, 0))
			return -EPIPE;
		buf_reset(out);
		if (h->state >= NBD_HELLO_DONE)
			return h->state == NBD_HELLO_DONE;
		err = nbd_hello_take(h, s->ahead + s->at, s->n - s->at, &used, out);
		if (err)
			return err;
		s->at += used;
		/* An option that does not fit is one that is too long. */
		if (!used && (s->n - s->at == sizeof(s->ahead) || !read_ahead(s)))
			return -E_NBD;
	}
}

int session_hello(struct session *s)
{
	_buf_free_ struct buf out = { 0 };
	struct nbd_hello h;
	int more;

	set_patience(s->fd, HELLO_SECONDS);
	more = talk(s, &h, &out);
	set_patience(s->fd, 0);
	s->terms = h.terms;
	return more;
}

/* --- requests ------------------------------------------------------------ */

/* The data of a write that is refused has to be read all the same. */
static bool skip(struct session *s, uint8_t *buf, size_t len)
{
	while (len) {
		size_t n = len < SERVER_CHUNK ? len : SERVER_CHUNK;

		if (!read_all(s, buf, n))
			return false;
		len -= n;
	}
	return true;
}

/*
 * A client that had no answer for long may have shut this connection and asked again by
 * another one, as the kernel does after half a minute.  What it asked here first must not be
 * done later, over what it has written since.
 */
static bool is_stale(struct session *s, bool look)
{
	struct pollfd p = { .fd = s->fd };

	look |= disk_wait(s->disk);
	return look && poll(&p, 1, 0) > 0;
}

/* In its turn, or not at all (claims.h). */
static bool begin_change(struct session *s, struct claim *c)
{
	uint64_t turn = __atomic_load_n(&s->seen, __ATOMIC_RELAXED);

	if (is_stale(s, claim_make(s->claims, c, s, &turn))) {
		claim_drop(s->claims, c);
		return false;
	}
	__atomic_store_n(&s->seen, turn, __ATOMIC_RELAXED);
	return true;
}

/* A write that is larger than the buffer is done while it is read. */
static bool write_pieces(struct session *s, struct task *t)
{
	uint64_t at = t->rq.at;

	for (uint32_t left = t->rq.len; left; ) {
		uint32_t n = left < SERVER_CHUNK ? left : SERVER_CHUNK;
		struct claim c = { .from = at, .to = at + n };

		if (!read_all(s, t->buf, n))
			return false;
		if (!t->err) {
			if (!begin_change(s, &c))
				return false;
			t->err = disk_write(s->disk, at, t->buf, n);
			claim_drop(s->claims, &c);
		}
		at += n;
		left -= n;
	}
	t->answered = true;
	return true;
}

bool session_next(struct session *s, struct task *t)
{
	uint32_t n;

	while (s->n - s->at < sizeof(struct nbd_request_disk))
		if (!read_ahead(s))
			return false;
	if (nbd_request_decode(&t->rq, s->ahead + s->at, s->n - s->at) || t->rq.type == NBD_DISC)
		return false;
	s->at += sizeof(struct nbd_request_disk);
	n = nbd_payload(&t->rq);
	t->err = nbd_request_check(&t->rq, s->e, &s->terms);
	t->answered = false;
	if (n > s->e->max_block)
		return false;
	__atomic_add_fetch(&s->busy, 1, __ATOMIC_RELAXED);
	if (t->err)
		return skip(s, t->buf, n);
	if (n > SERVER_CHUNK)
		return write_pieces(s, t);
	return read_all(s, t->buf, n);
}

bool session_is_alone(const struct session *s)
{
	return s->n == s->at && __atomic_load_n(&s->busy, __ATOMIC_ACQUIRE) == 1;
}

bool session_has_more(const struct session *s)
{
	int n = 0;

	return s->n > s->at || (!ioctl(s->fd, FIONREAD, &n) && n > 0);
}

bool session_is_short(const struct task *t)
{
	return (t->rq.type == NBD_READ || t->rq.type == NBD_WRITE) && !(t->rq.flags & NBD_FUA) &&
	       t->rq.len <= SERVER_CHUNK;
}

/* Once for each request, before the client can know: it may send the next one at once. */
static void is_done(struct session *s)
{
	__atomic_sub_fetch(&s->busy, 1, __ATOMIC_RELEASE);
}

static bool answer(struct session *s, const struct nbd_request *rq, int err)
{
	struct nbd_reply_disk r;
	struct nbd_chunk c;

	is_done(s);
	/* The one reply that has to be structured is that to a read; an error may be. */
	if (s->terms.structured && (rq->type == NBD_READ || rq->type == NBD_BLOCK_STATUS)) {
		nbd_chunk_end(&c, rq, err);
		return send_one(s, &c.d, c.n, NULL, 0);
	}
	nbd_reply_encode(&r, rq, err);
	return send_one(s, &r, sizeof(r), NULL, 0);
}

static bool read_chunks(struct session *s, struct task *t)
{
	uint64_t at = t->rq.at;
	struct nbd_chunk c;

	if (t->rq.flags & NBD_DF && t->rq.len > SERVER_CHUNK)
		return answer(s, &t->rq, -EOVERFLOW);
	for (uint32_t left = t->rq.len; left; ) {
		uint32_t n = left < SERVER_CHUNK ? left : SERVER_CHUNK;
		int err = disk_read(s->disk, at, t->buf, n);

		if (err)
			return answer(s, &t->rq, err);
		nbd_chunk_data(&c, &t->rq, at, n, n == left);
		if (n == left)
			is_done(s);
		if (!send_one(s, &c.d, c.n, t->buf, n))
			return false;
		at += n;
		left -= n;
	}
	return t->rq.len ? true : answer(s, &t->rq, 0);
}

/*
 * A simple reply says first that all is well.  When a later piece of it then
 * cannot be read, closing the connection is the only way to take that back.
 */
static bool read_plain(struct session *s, struct task *t)
{
	uint32_t n = t->rq.len < SERVER_CHUNK ? t->rq.len : SERVER_CHUNK, left = t->rq.len;
	int err = disk_read(s->disk, t->rq.at, t->buf, n);
	struct nbd_reply_disk r;
	uint64_t at = t->rq.at;
	bool ok;

	if (err)
		return answer(s, &t->rq, err);
	nbd_reply_encode(&r, &t->rq, 0);
	is_done(s);
	pthread_mutex_lock(&s->out);
	ok = send_all(s, &r, sizeof(r), t->buf, n);
	while (ok && (left -= n)) {
		at += n;
		n = left < SERVER_CHUNK ? left : SERVER_CHUNK;
		ok = !disk_read(s->disk, at, t->buf, n) && send_all(s, t->buf, n, NULL, 0);
	}
	pthread_mutex_unlock(&s->out);
	return ok;
}

static bool block_status(struct session *s, struct task *t)
{
	int most = t->rq.flags & NBD_REQ_ONE ? 1 : RUNS, n;
	struct nbd_run_disk *d = (struct nbd_run_disk *)t->buf;
	struct disk_run runs[RUNS];
	struct nbd_chunk c;

	n = disk_map(s->disk, t->rq.at, t->rq.len, runs, most);
	if (n < 0)
		return answer(s, &t->rq, n);
	for (int i = 0; i < n; i++)
		d[i] = (struct nbd_run_disk){
			.len = be32_put((uint32_t)runs[i].len),
			.state = be32_put((runs[i].hole ? NBD_STATE_HOLE : 0) |
					  (runs[i].zero ? NBD_STATE_ZERO : 0)),
		};
	nbd_chunk_status(&c, &t->rq, (uint32_t)n);
	is_done(s);
	return send_one(s, &c.d, c.n, d, (size_t)n * sizeof(*d));
}

static int change(struct session *s, const struct task *t)
{
	const struct nbd_request *rq = &t->rq;

	switch (rq->type) {
	case NBD_WRITE:
		return disk_write(s->disk, rq->at, t->buf, rq->len);
	case NBD_TRIM:
		return disk_trim(s->disk, rq->at, rq->len);
	default:
		if (rq->flags & NBD_FAST && (rq->flags & NBD_NO_HOLE || !disk_zeroes_fast(s->disk)))
			return -EOPNOTSUPP;
		return disk_zero(s->disk, rq->at, rq->len, rq->flags & NBD_NO_HOLE);
	}
}

bool session_do(struct session *s, struct task *t)
{
	const struct nbd_request *rq = &t->rq;
	struct claim c = { .from = rq->at, .to = rq->at + rq->len };
	int err = t->err;

	if (err)
		return answer(s, rq, err);
	if (rq->type == NBD_READ)
		return s->terms.structured ? read_chunks(s, t) : read_plain(s, t);
	if (rq->type == NBD_BLOCK_STATUS)
		return block_status(s, t);
	if (rq->type == NBD_FLUSH) {
		if (is_stale(s, false))
			return false;
	} else if (!t->answered) {
		if (!begin_change(s, &c))
			return false;
		err = change(s, t);
		claim_drop(s->claims, &c);
	}
	if (!err && (rq->type == NBD_FLUSH || rq->flags & NBD_FUA))
		err = disk_flush(s->disk);
	return answer(s, rq, err);
}
