/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A stream from a server: the first byte says how it is cut into reads and what
 * it is an answer to, then come the fragments.
 */
#include <string.h>

#include "lib/err.h"
#include "lib/rpc/mountd.h"
#include "lib/rpc/nfs4.h"
#include "tests/fuzz/fuzz.h"

static void decode(struct xdr *x, int what)
{
	struct arena a = { 0 };
	struct nfs4_dir d;
	struct rpc_export *v;
	uint32_t port;
	size_t n;

	if (what == 0) {
		if (!portmap_port(x, x->n > 4, &port))
			CHECK(port < 65536);
	} else if (what == 1) {
		if (!mountd_exports(&a, x, &v, &n))
			for (size_t i = 0; i < n; i++)
				CHECK(v[i].path[0] == '/' && strlen(v[i].path) <= 1024 && v[i].hosts);
	} else if (!nfs4_dir(&a, x, &d)) {
		for (size_t i = 0; i < d.n; i++)
			CHECK(d.v[i].name[0] && !strchr(d.v[i].name, '/'));
	}
	arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rpc_in in = { .left = 0 };
	struct rpc_range range;
	struct xdr x;
	size_t piece = size ? (size_t)1 + data[0] % 61 : 1, at = 1;
	int want, err = 0;

	while (!err && at < size && (want = rpc_want(&in)) > 0) {
		size_t n = size - at < piece ? size - at : piece;

		n = n < (size_t)want ? n : (size_t)want;
		err = rpc_take(&in, data + at, n);
		at += n;
		CHECK(in.record.n <= RPC_RECORD_MOST);
	}
	if (!err && in.whole && !rpc_answer(&in, 9, &x, &range))
		decode(&x, data[0] / 61 % 3);
	rpc_in_free(&in);
	return 0;
}
