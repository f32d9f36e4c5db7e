/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A whole conversation from a stranger: options, then requests. */
#include <string.h>

#include "lib/buf.h"
#include "lib/nbd/hello.h"
#include "tests/fuzz/fuzz.h"

static const struct nbd_export disk = {
	.name = "disk", .description = "a disk", .size = 1 << 20, .flags = NBD_HAS_FLAGS,
	.min_block = 512, .best_block = 4096, .max_block = 1 << 16,
};

static void requests(const struct nbd_hello *h, const uint8_t *p, size_t n)
{
	struct nbd_request_disk d;
	struct nbd_request rq;

	while (!nbd_request_decode(&rq, p, n)) {
		int err = nbd_request_check(&rq, &disk, &h->terms);

		CHECK(err || rq.type == NBD_FLUSH || range_ok(rq.at, rq.len, disk.size));
		CHECK(!err == !nbd_errno(err));
		nbd_request_encode(&rq, &d);
		CHECK(!memcmp(&d, p, sizeof(d)));
		p += sizeof(d);
		n -= sizeof(d);
		if (nbd_payload(&rq) > n)
			return;
		p += nbd_payload(&rq);
		n -= nbd_payload(&rq);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_buf_free_ struct buf out = { 0 };
	struct nbd_hello h;
	size_t used, at = 0;
	int err;

	nbd_hello_start(&h, &disk, &out);
	do {
		/* An answer is never much larger than the question: no client can fill memory. */
		buf_reset(&out);
		err = nbd_hello_take(&h, data + at, size - at, &used, &out);
		CHECK(used <= size - at);
		CHECK(out.n <= 256 + 32 * used);
		at += used;
	} while (!err && used && h.state < NBD_HELLO_DONE);
	CHECK(!h.terms.allocation || h.terms.structured);
	if (!err && h.state == NBD_HELLO_DONE)
		requests(&h, data + at, size - at);
	return 0;
}
