/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A lock's record whose checksum is right, whatever else it says. */
#include <string.h>

#include "lib/bytes.h"
#include "lib/crc32.h"
#include "lib/err.h"
#include "lib/lease.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t record[LEASE_BYTES] = { 0 }, out[LEASE_BYTES];
	struct lease_look look = { .alive = -1, .watched = 40 };
	char why[LEASE_WHY];
	struct lease l;
	be32 sum;

	memcpy(record, data, size < sizeof(record) ? size : sizeof(record));
	memcpy(record, "SMLEASE1\0\0\0", 12);
	sum = be32_put(crc32_zlib(0, record, sizeof(record)));
	memcpy(record + 8, &sum, sizeof(sum));
	if (lease_decode(record, sizeof(record), &l))
		return 0;
	CHECK(strlen(l.owner) < LEASE_OWNER && strlen(l.verb) < LEASE_VERB);
	lease_encode(&l, out);
	CHECK(!memcmp(out, record, sizeof(out)));
	CHECK(lease_judge(&l, &look, why) == LEASE_IS_FREE || why[0]);
	return 0;
}
