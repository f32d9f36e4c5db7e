/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names in the MGT volume: a head and a record, and what is decoded is encoded and found again. */
#include <string.h>

#include "lib/arena.h"
#include "lib/mgt.h"
#include "tests/fuzz/fuzz.h"

/* Blanks fill what is not given, as they do on disk. */
static void fill(uint8_t *to, size_t room, const uint8_t *data, size_t size)
{
	memset(to, ' ', room);
	memcpy(to, data, size < room ? size : room);
}

static bool same(const char *a, const char *b)
{
	return (!a && !b) || (a && b && !strcmp(a, b));
}

static void head(struct arena *a, const uint8_t *data, size_t size)
{
	uint8_t bytes[MGT_HEAD];
	struct mgt_sr sr, again;

	fill(bytes, sizeof(bytes), data, size);
	if (mgt_head_decode(a, bytes, &sr))
		return;
	mgt_head_encode(a, &sr, bytes);
	CHECK(!mgt_head_decode(a, bytes, &again));
	CHECK(uuid_equal(&sr.uuid, &again.uuid) && sr.used == again.used);
	CHECK(!strncmp(sr.name, again.name, strlen(again.name)));	/* it may have been cut */
}

static void record(struct arena *a, const uint8_t *data, size_t size)
{
	uint8_t bytes[MGT_RECORD];
	struct mgt_vdi v, again;

	fill(bytes, sizeof(bytes), data, size);
	if (mgt_vdi_decode(a, bytes, &v))
		return;
	mgt_vdi_encode(a, &v, bytes);
	CHECK(!mgt_vdi_decode(a, bytes, &again));
	CHECK(uuid_equal(&v.uuid, &again.uuid) && v.deleted == again.deleted);
	CHECK(v.read_only == again.read_only && v.is_a_snapshot == again.is_a_snapshot);
	CHECK(same(v.name, again.name) || strlen(again.name) < strlen(v.name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { 0 };

	if (size && data[0] & 1)
		head(&a, data + 1, size - 1);
	else if (size)
		record(&a, data + 1, size - 1);
	arena_free(&a);
	return 0;
}
