/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The NBD protocol: what a server answers, byte for byte. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/nbd/hello.h"
#include "tests/unit/t.h"

static const struct nbd_export disk = {
	.name = "disk", .description = "a disk", .size = 1 << 20,
	.flags = NBD_HAS_FLAGS | NBD_CAN_FLUSH | NBD_CAN_FUA,
	.min_block = 512, .best_block = 4096, .max_block = 1 << 16,
};

#define HELLO	"NBDMAGIC" "IHAVEOPT" "\0\3"
#define REPLY	"\0\3\xe8\x89\4\x55\x65\xa9"
#define EXPORT	REPLY "\0\0\0\7\0\0\0\3\0\0\0\x0c" "\0\0" "\0\0\0\0\0\x10\0\0" "\0\x0d"
#define BLOCKS	REPLY "\0\0\0\7\0\0\0\3\0\0\0\x0e" "\0\3" "\0\0\2\0" "\0\0\x10\0" "\0\1\0\0"

/* What a client sends, grown piece by piece. */
static void option(struct buf *b, char number, const char *data, size_t n)
{
	const char head[8] = { 0, 0, 0, number, 0, 0, (char)(n >> 8), (char)n };

	buf_puts(b, "IHAVEOPT");
	buf_add(b, head, sizeof(head));
	buf_add(b, data, n);
}

/* All of it, in pieces of the given size, to a new server; its answers without the hello. */
static int talk(struct nbd_hello *h, const struct buf *in, size_t piece, struct buf *out)
{
	size_t done = 0, have = 0, used;
	int err = 0;

	nbd_hello_start(h, &disk, out);
	EQ(out->n, 18);
	MEM_EQ(out->p, HELLO, 18);
	buf_reset(out);
	while (!err && have < in->n && h->state < NBD_HELLO_DONE) {
		have = in->n - have < piece ? in->n : have + piece;
		do {
			err = nbd_hello_take(h, in->p + done, have - done, &used, out);
			done += used;
		} while (!err && used && h->state < NBD_HELLO_DONE);
	}
	return err;
}

static void expect(const struct buf *in, const char *want, size_t n, enum nbd_hello_state end,
		   struct nbd_terms terms)
{
	for (size_t piece = 1; piece <= in->n; piece += piece) {
		_buf_free_ struct buf out = { 0 };
		struct nbd_hello h;

		EQ(talk(&h, in, piece, &out), 0);
		EQ(h.state, end);
		EQ(h.terms.structured, terms.structured);
		EQ(h.terms.allocation, terms.allocation);
		if (EQ(out.n, n))
			MEM_EQ(out.p, want, n);
	}
}

TEST(nbd_hello_go)
{
	_buf_free_ struct buf in = { 0 };
	static const char want[] = EXPORT BLOCKS REPLY "\0\0\0\7\0\0\0\1\0\0\0\0";

	buf_add(&in, "\0\0\0\3", 4);
	option(&in, 7, "\0\0\0\4disk\0\0", 10);
	expect(&in, want, sizeof(want) - 1, NBD_HELLO_DONE, (struct nbd_terms){ 0 });
}

TEST(nbd_hello_of_the_old_kind)
{
	_buf_free_ struct buf in = { 0 }, want = { 0 };
	static const char zeroes[124];

	buf_add(&in, "\0\0\0\1", 4);
	option(&in, 1, "", 0);
	buf_add(&want, "\0\0\0\0\0\x10\0\0\0\x0d", 10);
	buf_add(&want, zeroes, sizeof(zeroes));
	expect(&in, want.p, want.n, NBD_HELLO_DONE, (struct nbd_terms){ 0 });
}

TEST(nbd_hello_options)
{
	_buf_free_ struct buf in = { 0 };
	static const char want[] =
		REPLY "\0\0\0\x63\x80\0\0\1\0\0\0\0"			/* no such option */
		REPLY "\0\0\0\3\0\0\0\2\0\0\0\x08" "\0\0\0\4disk"	/* the list */
		REPLY "\0\0\0\3\0\0\0\1\0\0\0\0"
		REPLY "\0\0\0\x0a\x80\0\0\3\0\0\0\0"			/* not yet structured */
		REPLY "\0\0\0\x08\0\0\0\1\0\0\0\0"
		REPLY "\0\0\0\x09\0\0\0\4\0\0\0\x13" "\0\0\0\1base:allocation"
		REPLY "\0\0\0\x09\0\0\0\1\0\0\0\0"
		REPLY "\0\0\0\x0a\0\0\0\4\0\0\0\x13" "\0\0\0\1base:allocation"
		REPLY "\0\0\0\x0a\0\0\0\1\0\0\0\0"
		REPLY "\0\0\0\6\x80\0\0\6\0\0\0\0"			/* no such export */
		REPLY "\0\0\0\2\0\0\0\1\0\0\0\0";

	buf_add(&in, "\0\0\0\3", 4);
	option(&in, 0x63, "xyz", 3);
	option(&in, 3, "", 0);
	option(&in, 10, "\0\0\0\0\0\0\0\1\0\0\0\x0f" "base:allocation", 27);
	option(&in, 8, "", 0);
	option(&in, 9, "\0\0\0\0\0\0\0\0", 8);
	option(&in, 10, "\0\0\0\0\0\0\0\2\0\0\0\1x\0\0\0\x0f" "base:allocation", 32);
	option(&in, 6, "\0\0\0\3abc\0\0", 9);
	option(&in, 2, "", 0);
	expect(&in, want, sizeof(want) - 1, NBD_HELLO_BYE, (struct nbd_terms){ true, true });
}

TEST(nbd_hello_of_strangers_ends)
{
	static const struct { const char *p; size_t n; } bad[] = {
		{ "\0\0\0\4", 4 },					/* a flag we do not know */
		{ "GET / HTTP/1.1\r\n\r\n", 18 },
		{ "\0\0\0\3IHAVEOP?\0\0\0\3\0\0\0\0", 20 },
		{ "\0\0\0\3IHAVEOPT\0\0\0\3\0\0\x40\1", 20 },		/* an option of 16 KiB and a byte */
		{ "\0\0\0\3IHAVEOPT\0\0\0\3\xff\xff\xff\xff", 20 },
		{ "\0\0\0\3IHAVEOPT\0\0\0\1\0\0\0\3abc", 23 },		/* another export, the old way */
	};
	_buf_free_ struct buf many = { 0 }, out = { 0 };
	struct nbd_hello h;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct buf in = { .p = must_alloc(bad[i].n), .n = bad[i].n };

		memcpy(in.p, bad[i].p, bad[i].n);
		EQ(talk(&h, &in, 1, &out), -E_NBD);
		buf_reset(&out);
		buf_free(&in);
	}
	buf_add(&many, "\0\0\0\3", 4);
	for (unsigned int i = 0; i <= NBD_OPTIONS; i++)
		option(&many, 3, "", 0);
	EQ(talk(&h, &many, 1000, &out), -E_NBD);
}

static int check(uint16_t type, uint16_t flags, uint64_t at, uint32_t len, struct nbd_terms t)
{
	struct nbd_request rq = { .type = type, .flags = flags, .at = at, .len = len };

	return nbd_request_check(&rq, &disk, &t);
}

TEST(nbd_requests_are_checked)
{
	struct nbd_terms plain = { 0 }, full = { true, true };
	struct nbd_export ro = disk;
	struct nbd_request rq = { .type = NBD_WRITE, .len = 512 };

	EQ(check(NBD_READ, 0, 0, 4096, plain), 0);
	EQ(check(NBD_READ, 0, disk.size - 1, 1, plain), 0);
	EQ(check(NBD_READ, 0, disk.size, 1, plain), -EINVAL);
	EQ(check(NBD_READ, 0, UINT64_MAX, 2, plain), -EINVAL);
	EQ(check(NBD_READ, 0, 0, (1 << 16) + 1, plain), -EOVERFLOW);
	EQ(check(NBD_READ, NBD_DF, 0, 1, plain), -EINVAL);
	EQ(check(NBD_READ, NBD_DF, 0, 1, full), 0);
	EQ(check(NBD_WRITE, NBD_FUA, disk.size, 512, full), -ENOSPC);
	EQ(check(NBD_WRITE, NBD_NO_HOLE, 0, 512, full), -EINVAL);
	EQ(check(NBD_WRITE_ZEROES, NBD_NO_HOLE | NBD_FUA, 0, 1 << 20, full), 0);
	EQ(check(NBD_TRIM, 0, 1, UINT32_MAX, full), -EINVAL);
	EQ(check(NBD_FLUSH, 0, UINT64_MAX, UINT32_MAX, plain), 0);
	EQ(check(NBD_BLOCK_STATUS, NBD_REQ_ONE, 0, 512, full), 0);
	EQ(check(NBD_BLOCK_STATUS, 0, 0, 0, full), -EINVAL);
	EQ(check(NBD_BLOCK_STATUS, 0, 0, 512, plain), -EINVAL);
	EQ(check(5, 0, 0, 512, full), -EINVAL);
	EQ(check(99, 0, 0, 512, full), -EINVAL);
	ro.flags |= NBD_READ_ONLY;
	EQ(nbd_request_check(&rq, &ro, &full), -EPERM);
}

TEST(nbd_requests_and_replies_on_the_wire)
{
	static const char wire[29] = "\x25\x60\x95\x13\0\1\0\1cookie..\0\0\0\0\1\2\3\4\0\1\0\0";
	struct nbd_request_disk d;
	struct nbd_request rq;
	struct nbd_reply_disk r;
	struct nbd_chunk c;

	EQ(nbd_request_decode(&rq, wire, 27), -E_SHORT);
	EQ(nbd_request_decode(&rq, "GET /", 28), -E_NBD);
	if (!EQ(nbd_request_decode(&rq, wire, 28), 0))
		return;
	EQ(rq.flags, NBD_FUA);
	EQ(rq.type, NBD_WRITE);
	EQ(rq.at, 0x1020304);
	EQ(nbd_payload(&rq), 65536);
	nbd_request_encode(&rq, &d);
	MEM_EQ(&d, wire, 28);

	nbd_reply_encode(&r, &rq, -E_VHD_NO_ROOM);
	MEM_EQ(&r, "\x67\x44\x66\x98\0\0\0\x1c" "cookie..", 16);
	nbd_reply_encode(&r, &rq, 0);
	MEM_EQ(&r, "\x67\x44\x66\x98\0\0\0\0cookie..", 16);

	nbd_chunk_data(&c, &rq, 7, 3, false);
	EQ(c.n, 28);
	MEM_EQ(&c.d, "\x66\x8e\x33\xef\0\0\0\1cookie..\0\0\0\x0b\0\0\0\0\0\0\0\7", 28);
	nbd_chunk_hole(&c, &rq, 7, 3, true);
	EQ(c.n, 32);
	MEM_EQ(&c.d, "\x66\x8e\x33\xef\0\1\0\2cookie..\0\0\0\x0c\0\0\0\0\0\0\0\7\0\0\0\3", 32);
	nbd_chunk_end(&c, &rq, 0);
	EQ(c.n, 20);
	MEM_EQ(&c.d, "\x66\x8e\x33\xef\0\1\0\0cookie..\0\0\0\0", 20);
	nbd_chunk_end(&c, &rq, -EIO);
	EQ(c.n, 26);
	MEM_EQ(&c.d, "\x66\x8e\x33\xef\0\1\x80\1cookie..\0\0\0\6\0\0\0\5\0\0", 26);
	nbd_chunk_status(&c, &rq, 2);
	EQ(c.n, 24);
	MEM_EQ(&c.d, "\x66\x8e\x33\xef\0\1\0\5cookie..\0\0\0\x14\0\0\0\1", 24);
}
