/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A label sector whose checksum is right, whatever else it says. */
#include <string.h>

#include "lib/bytes.h"
#include "lib/crc32.h"
#include "lib/err.h"
#include "lib/lvm2/label.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t sector[LVM_SECTOR] = { 0 }, out[LVM_SECTOR];
	struct lvm_label l, again;
	le32 sum;
	int err;

	memcpy(sector, data, size < sizeof(sector) ? size : sizeof(sector));
	memcpy(sector, "LABELONE\1\0\0\0\0\0\0\0", 16);
	memcpy(sector + 24, "LVM2 001", 8);
	sum = le32_put(crc32_lvm2(CRC32_LVM2, sector + 20, LVM_SECTOR - 20));
	memcpy(sector + 16, &sum, sizeof(sum));
	err = lvm_label_decode(&l, sector, sizeof(sector), 1);
	if (err) {
		CHECK(err == -E_LVM_LABEL);
		return 0;
	}
	CHECK(l.n_data <= LVM_LABEL_AREAS && l.n_mda <= LVM_LABEL_AREAS && l.n_boot <= LVM_LABEL_AREAS);
	err = lvm_label_encode(&l, out);
	CHECK(!err || err == -E_LVM_NEWER || err == -E_LVM_LABEL);
	if (err)
		return 0;
	CHECK(!lvm_label_decode(&again, out, sizeof(out), 1));
	/* What an old PV does not have, a new one is given. */
	l.ext_version = 2;
	CHECK(!memcmp(&l, &again, sizeof(l)));
	return 0;
}
