/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ONC RPC: calls by the byte, and the answers of servers that are not what they seem. */
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/rpc/mountd.h"
#include "lib/rpc/nfs4.h"
#include "tests/unit/t.h"

/* Give it to the reader in pieces of at most that many bytes. */
static int feed(struct rpc_in *in, const void *p, size_t n, size_t piece)
{
	const char *at = p;
	int want, err = 0;

	while (!err && n && (want = rpc_want(in)) > 0) {
		size_t take = (size_t)want < n ? (size_t)want : n;

		take = take < piece ? take : piece;
		err = rpc_take(in, at, take);
		at += take;
		n -= take;
	}
	return err;
}

static void put_answer(struct buf *b, uint32_t xid)
{
	buf_reset(b);
	xdr_put_u32(b, 0);
	xdr_put_u32(b, xid);
	xdr_put_u32(b, 1);
	xdr_put_u32(b, 0);
	xdr_put_u64(b, 0);
	xdr_put_u32(b, 0);
}

static int answer(const struct buf *b, uint32_t xid, struct rpc_in *in, struct xdr *x,
		  struct rpc_range *range)
{
	int err;

	*in = (struct rpc_in){ .left = 0 };
	err = feed(in, b->p, b->n, b->n);
	if (err)
		return err;
	return in->whole ? rpc_answer(in, xid, x, range) : -E_SHORT;
}

TEST(rpc_calls_are_what_the_rfc_says)
{
	static const uint8_t getport[] = {
		0x80, 0, 0, 0x38, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0x86, 0xa0,
		0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 1, 0x86, 0xa5, 0, 0, 0, 3, 0, 0, 0, 6, 0, 0, 0, 0,
	};
	_buf_free_ struct buf b = { 0 };

	portmap_ask(&b, 7, MOUNT_PROGRAM, 3, false);
	if (EQ(b.n, sizeof(getport)))
		MEM_EQ(b.p, getport, sizeof(getport));
	mountd_ask_exports(&b, 7);
	EQ(b.n, 44);
}

TEST(rpc_fragments_are_one_record_however_they_come)
{
	static const uint8_t stream[] = {
		0, 0, 0, 1, 'a', 0, 0, 0, 3, 'b', 'c', 'd', 0x80, 0, 0, 0,
	};

	for (size_t piece = 1; piece <= sizeof(stream); piece++) {
		struct rpc_in in = { .left = 0 };

		EQ(feed(&in, stream, sizeof(stream) - 1, piece), 0);
		OK(!in.whole);
		rpc_in_free(&in);
		in = (struct rpc_in){ .left = 0 };
		EQ(feed(&in, stream, sizeof(stream), piece), 0);
		OK(in.whole);
		EQ(rpc_want(&in), 0);
		if (EQ(in.record.n, 4))
			MEM_EQ(in.record.p, "abcd", 4);
		rpc_in_free(&in);
	}
}

TEST(rpc_records_that_are_too_large_or_never_end_are_refused)
{
	static const uint8_t large[] = { 0x80, 0x10, 0, 1 };
	static const uint8_t most[] = { 0xff, 0xff, 0xff, 0xff };
	static const uint8_t empty[] = { 0, 0, 0, 0 };
	struct rpc_in in = { .left = 0 };

	EQ(feed(&in, large, 4, 4), -E_RPC_BIG);
	in = (struct rpc_in){ .left = 0 };
	EQ(feed(&in, most, 4, 4), -E_RPC_BIG);
	in = (struct rpc_in){ .left = 0 };
	EQ(feed(&in, empty, 4, 4), -E_RPC);
}

TEST(rpc_answers_are_told_apart)
{
	_buf_free_ struct buf b = { 0 };
	struct rpc_range range = { 0, 0 };
	struct rpc_in in;
	struct xdr x;

	put_answer(&b, 9);
	xdr_put_u32(&b, 42);
	rpc_end(&b);
	EQ(answer(&b, 9, &in, &x, NULL), 0);
	EQ(xdr_u32(&x), 42);
	OK(!x.bad);
	EQ(xdr_u32(&x), 0);
	OK(x.bad);
	rpc_in_free(&in);
	EQ(answer(&b, 8, &in, &x, NULL), -E_RPC);		/* to another call */
	rpc_in_free(&in);

	put_answer(&b, 9);
	b.p[b.n - 1] = 2;					/* not that version */
	xdr_put_u32(&b, 3);
	xdr_put_u32(&b, 4);
	rpc_end(&b);
	EQ(answer(&b, 9, &in, &x, &range), -E_RPC_VERSION);
	EQ(range.low, 3);
	EQ(range.high, 4);
	rpc_in_free(&in);
	b.p[27] = 1;
	EQ(answer(&b, 9, &in, &x, &range), -E_RPC_PROGRAM);
	rpc_in_free(&in);
	b.p[27] = 4;						/* "garbage arguments" */
	EQ(answer(&b, 9, &in, &x, &range), -E_RPC);
	rpc_in_free(&in);
	b.p[15] = 1;						/* denied */
	EQ(answer(&b, 9, &in, &x, &range), -E_RPC_DENIED);
	rpc_in_free(&in);
	b.p[11] = 0;						/* a call, not an answer */
	EQ(answer(&b, 9, &in, &x, &range), -E_RPC);
	rpc_in_free(&in);
}

/* Cut off anywhere, a good answer is a bad one; no byte behind its end is read (ASan). */
static void cut_everywhere(const struct buf *b, int (*decode)(struct xdr *x))
{
	for (size_t n = 4; n < b->n; n++) {
		uint8_t *copy = memcpy(must_alloc(n), b->p, n);
		struct rpc_in in = { .record = { (char *)copy + 4, n - 4, n - 4 }, .whole = true };
		struct xdr x;
		int err = rpc_answer(&in, 9, &x, NULL);

		OK((err ? err : decode(&x)) == -E_RPC);
		free(copy);
	}
}

static int decode_exports(struct xdr *x)
{
	struct arena a = { 0 };
	struct rpc_export *v;
	size_t n;
	int err = mountd_exports(&a, x, &v, &n);

	arena_free(&a);
	return err;
}

TEST(rpc_export_lists_are_read_and_refused)
{
	_buf_free_ struct buf b = { 0 };
	struct arena a = { 0 };
	struct rpc_export *v;
	struct rpc_in in;
	struct xdr x;
	size_t n;

	put_answer(&b, 9);
	xdr_put_u32(&b, 1);
	xdr_put_opaque(&b, "/srv/a", 6);
	xdr_put_u32(&b, 1);
	xdr_put_opaque(&b, "10.0.0.0/8", 10);
	xdr_put_u32(&b, 1);
	xdr_put_opaque(&b, "host", 4);
	xdr_put_u32(&b, 0);
	xdr_put_u32(&b, 1);
	xdr_put_opaque(&b, "/b", 2);
	xdr_put_u32(&b, 0);
	xdr_put_u32(&b, 0);
	rpc_end(&b);
	EQ(answer(&b, 9, &in, &x, NULL), 0);
	EQ(mountd_exports(&a, &x, &v, &n), 0);
	if (EQ(n, 2)) {
		STR_EQ(v[0].path, "/srv/a");
		STR_EQ(v[0].hosts, "10.0.0.0/8,host");
		STR_EQ(v[1].path, "/b");
		STR_EQ(v[1].hosts, "*");
	}
	cut_everywhere(&b, decode_exports);
	rpc_in_free(&in);

	put_answer(&b, 9);			/* a path of 4 GiB */
	xdr_put_u32(&b, 1);
	xdr_put_u32(&b, 0xffffffff);
	rpc_end(&b);
	EQ(answer(&b, 9, &in, &x, NULL), 0);
	EQ(decode_exports(&x), -E_RPC);
	rpc_in_free(&in);

	put_answer(&b, 9);			/* more and more of nothing */
	for (int i = 0; i < 100000; i++)
		xdr_put_u32(&b, 1);
	rpc_end(&b);
	EQ(answer(&b, 9, &in, &x, NULL), 0);
	EQ(decode_exports(&x), -E_RPC);
	rpc_in_free(&in);
	arena_free(&a);
}

TEST(rpc_ports_are_ports)
{
	_buf_free_ struct buf b = { 0 };
	struct xdr x;
	uint32_t port;

	xdr_put_u32(&b, 20048);
	xdr_put_u32(&b, 65536);
	x = (struct xdr){ (const uint8_t *)b.p, b.n, false };
	EQ(portmap_port(&x, false, &port), 0);
	EQ(port, 20048);
	EQ(portmap_port(&x, false, &port), -E_RPC);
	EQ(portmap_port(&x, false, &port), -E_RPC);
}

TEST(rpc_ports_of_ipv6_are_the_end_of_an_address)
{
	static const struct { const char *address; int err; uint32_t port; } all[] = {
		{ "fd77::2.78.80", 0, 20048 }, { "::.0.111", 0, 111 }, { "", 0, 0 },
		{ "::.255.255", 0, 65535 }, { "::.256.1", -E_RPC, 0 }, { "::.1.", -E_RPC, 0 },
		{ "1.2", -E_RPC, 0 }, { ".1.2", 0, 258 }, { "::1", -E_RPC, 0 },
		{ "::.1.0000000001", -E_RPC, 0 }, { "::.1.x", -E_RPC, 0 }, { ".", -E_RPC, 0 },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		_buf_free_ struct buf b = { 0 };
		struct xdr x;
		uint32_t port = 1;

		xdr_put_opaque(&b, all[i].address, strlen(all[i].address));
		x = (struct xdr){ (const uint8_t *)b.p, b.n, false };
		EQ(portmap_port(&x, true, &port), all[i].err);
		if (!all[i].err)
			EQ(port, all[i].port);
	}
}

static void put_fsid(struct buf *b, bool type, uint64_t major)
{
	xdr_put_u32(b, 1);
	xdr_put_u32(b, type ? 0x102 : 0x100);
	xdr_put_u32(b, type ? 20 : 16);
	if (type)
		xdr_put_u32(b, 2);
	xdr_put_u64(b, major);
	xdr_put_u64(b, 0);
}

static int decode_dir(struct xdr *x)
{
	struct arena a = { 0 };
	struct nfs4_dir d;
	int err = nfs4_dir(&a, x, &d);

	arena_free(&a);
	return err;
}

TEST(rpc_directories_of_nfs4_are_read)
{
	_buf_free_ struct buf b = { 0 };
	struct arena a = { 0 };
	struct nfs4_dir d;
	struct rpc_in in;
	struct xdr x;

	EQ(nfs4_ask_dir(&b, 1, "/a/b/c/d/e/f/g/h/i"), -ENAMETOOLONG);
	EQ(nfs4_ask_dir(&b, 1, "/a//b"), 0);
	EQ(b.n % 4, 0);
	put_answer(&b, 9);
	xdr_put_u32(&b, 0);			/* NFS4_OK */
	xdr_put_opaque(&b, "", 0);
	xdr_put_u32(&b, 3);
	xdr_put_u32(&b, 24);
	xdr_put_u32(&b, 0);
	xdr_put_u32(&b, 9);
	xdr_put_u32(&b, 0);
	put_fsid(&b, false, 1);
	xdr_put_u32(&b, 26);
	xdr_put_u32(&b, 0);
	xdr_put_u64(&b, 77);
	for (int i = 0; i < 2; i++) {
		xdr_put_u32(&b, 1);
		xdr_put_u64(&b, 5);
		xdr_put_opaque(&b, i ? "data" : "srv", i ? 4 : 3);
		put_fsid(&b, true, i ? 2 : 1);
	}
	xdr_put_u32(&b, 0);
	xdr_put_u32(&b, 1);			/* that was all */
	rpc_end(&b);
	EQ(answer(&b, 9, &in, &x, NULL), 0);
	EQ(nfs4_dir(&a, &x, &d), 0);
	EQ(d.fsid.major, 1);
	OK(d.whole);
	if (EQ(d.n, 2)) {
		STR_EQ(d.v[0].name, "srv");
		STR_EQ(d.v[1].name, "data");
		OK(d.v[0].is_dir && d.v[1].is_dir);
		EQ(d.v[0].fsid.major, 1);
		EQ(d.v[1].fsid.major, 2);
	}
	cut_everywhere(&b, decode_dir);
	rpc_in_free(&in);

	/* A second list, which nobody asked for. */
	put_answer(&b, 9);
	xdr_put_u32(&b, 0);
	xdr_put_opaque(&b, "", 0);
	xdr_put_u32(&b, 2);
	for (int i = 0; i < 2; i++) {
		xdr_put_u32(&b, 26);
		xdr_put_u32(&b, 0);
		xdr_put_u64(&b, 77);
		for (int k = 0; k < (i ? 1000 : 1); k++) {
			xdr_put_u32(&b, 1);
			xdr_put_u64(&b, 5);
			xdr_put_opaque(&b, "data", 4);
			put_fsid(&b, true, 1);
		}
		xdr_put_u64(&b, 1);		/* no more, and that was all */
	}
	rpc_end(&b);
	EQ(answer(&b, 9, &in, &x, NULL), 0);
	EQ(nfs4_dir(&a, &x, &d), -E_RPC);
	rpc_in_free(&in);

	put_answer(&b, 9);
	xdr_put_u32(&b, 13);
	xdr_put_opaque(&b, "", 0);
	xdr_put_u32(&b, 1);
	rpc_end(&b);
	EQ(answer(&b, 9, &in, &x, NULL), 0);
	EQ(nfs4_dir(&a, &x, &d), -EACCES);
	rpc_in_free(&in);
	arena_free(&a);
}
