/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "lib/err.h"
#include "lib/nbd/nbd.h"

#define REQUEST_MAGIC	0x25609513u
#define REPLY_MAGIC	0x67446698u
#define CHUNK_MAGIC	0x668e33efu

int nbd_request_decode(struct nbd_request *rq, const void *buf, size_t len)
{
	const struct nbd_request_disk *d = buf;

	if (len < sizeof(*d))
		return -E_SHORT;
	if (be32_get(d->magic) != REQUEST_MAGIC)
		return -E_NBD;
	*rq = (struct nbd_request){
		.flags = be16_get(d->flags),
		.type = be16_get(d->type),
		.at = be64_get(d->at),
		.len = be32_get(d->len),
	};
	memcpy(rq->cookie, d->cookie, sizeof(rq->cookie));
	return 0;
}

void nbd_request_encode(const struct nbd_request *rq, struct nbd_request_disk *d)
{
	*d = (struct nbd_request_disk){
		.magic = be32_put(REQUEST_MAGIC),
		.flags = be16_put(rq->flags),
		.type = be16_put(rq->type),
		.at = be64_put(rq->at),
		.len = be32_put(rq->len),
	};
	memcpy(d->cookie, rq->cookie, sizeof(d->cookie));
}

/* The flags a command may carry; -1: no such command. */
static int flags_of(const struct nbd_request *rq, const struct nbd_terms *t)
{
	switch (rq->type) {
	case NBD_READ:		return t->structured ? NBD_DF | NBD_FUA : NBD_FUA;
	case NBD_WRITE:
	case NBD_TRIM:
	case NBD_FLUSH:		return NBD_FUA;
	case NBD_WRITE_ZEROES:	return NBD_FUA | NBD_NO_HOLE | NBD_FAST;
	case NBD_BLOCK_STATUS:	return NBD_REQ_ONE | NBD_FUA;
	default:		return -1;
	}
}

int nbd_request_check(const struct nbd_request *rq, const struct nbd_export *e,
		      const struct nbd_terms *t)
{
	bool writes = rq->type == NBD_WRITE || rq->type == NBD_TRIM || rq->type == NBD_WRITE_ZEROES;
	int allowed = flags_of(rq, t);

	if (allowed < 0 || rq->flags & ~allowed)
		return -EINVAL;
	if (writes && e->flags & NBD_READ_ONLY)
		return -EPERM;
	if (rq->type == NBD_FLUSH)
		return 0;		/* offset and length mean nothing, and old clients fill them */
	if (!range_ok(rq->at, rq->len, e->size))
		return writes && rq->type != NBD_TRIM ? -ENOSPC : -EINVAL;
	if ((rq->type == NBD_READ || rq->type == NBD_WRITE) && rq->len > e->max_block)
		return -EOVERFLOW;
	if (rq->type == NBD_BLOCK_STATUS && (!t->allocation || !rq->len))
		return -EINVAL;
	return 0;
}

uint32_t nbd_errno(int err)
{
	switch (-err_kind(err)) {
	case 0:			return 0;
	case EPERM:
	case EROFS:
	case EACCES:		return 1;
	case ENOMEM:		return 12;
	case EINVAL:		return 22;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:		return 28;
	case EOVERFLOW:		return 75;
	case EOPNOTSUPP:	return 95;
	case ESHUTDOWN:		return 108;
	default:		return 5;	/* EIO */
	}
}

void nbd_reply_encode(struct nbd_reply_disk *d, const struct nbd_request *rq, int err)
{
	d->magic = be32_put(REPLY_MAGIC);
	d->error = be32_put(nbd_errno(err));
	memcpy(d->cookie, rq->cookie, sizeof(d->cookie));
}

/* A chunk with `body` bytes of its own fields and len of data behind it. */
static void start(struct nbd_chunk *c, const struct nbd_request *rq, uint16_t type, bool last,
		  size_t body, uint32_t len)
{
	c->d = (struct nbd_chunk_disk){
		.magic = be32_put(CHUNK_MAGIC),
		.flags = be16_put(last),
		.type = be16_put(type),
		.len = be32_put((uint32_t)body + len),
	};
	memcpy(c->d.cookie, rq->cookie, sizeof(c->d.cookie));
	c->n = offsetof(struct nbd_chunk_disk, body) + body;
}

void nbd_chunk_data(struct nbd_chunk *c, const struct nbd_request *rq, uint64_t at, uint32_t len,
		    bool last)
{
	be64 where = be64_put(at);

	start(c, rq, NBD_CHUNK_DATA, last, sizeof(where), len);
	memcpy(c->d.body, &where, sizeof(where));
}

void nbd_chunk_hole(struct nbd_chunk *c, const struct nbd_request *rq, uint64_t at, uint32_t len,
		    bool last)
{
	be64 where = be64_put(at);
	be32 n = be32_put(len);

	start(c, rq, NBD_CHUNK_HOLE, last, sizeof(where) + sizeof(n), 0);
	memcpy(c->d.body, &where, sizeof(where));
	memcpy(c->d.body + sizeof(where), &n, sizeof(n));
}

void nbd_chunk_end(struct nbd_chunk *c, const struct nbd_request *rq, int err)
{
	be32 n = be32_put(nbd_errno(err));

	if (!err) {
		start(c, rq, NBD_CHUNK_NONE, true, 0, 0);
		return;
	}
	/* The error, and a text of no length. */
	start(c, rq, NBD_CHUNK_ERROR, true, 6, 0);
	memcpy(c->d.body, &n, sizeof(n));
}

void nbd_chunk_status(struct nbd_chunk *c, const struct nbd_request *rq, uint32_t runs)
{
	be32 id = be32_put(NBD_ALLOCATION_ID);

	start(c, rq, NBD_CHUNK_STATUS, true, sizeof(id),
	      runs * (uint32_t)sizeof(struct nbd_run_disk));
	memcpy(c->d.body, &id, sizeof(id));
}
