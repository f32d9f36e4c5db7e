/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The record of a disk in a directory: what is read is written, and is read as the same again. */
#include <string.h>
#include <fcntl.h>
#include <unistd.h>

#include "drivers/layout/record.h"
#include "lib/err.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kvs kvs = { 0 }, again = { 0 };
	struct arena a = { 0 };
	char name[40];
	int dir, err;

	record_decode(&a, (struct view){ (const char *)data, size }, &kvs);
	CHECK(kvs.n <= RECORD_KEYS);
	for (size_t i = 0; i < kvs.n; i++)
		CHECK(kvs.v[i].key[0] && !strchr(kvs.v[i].key, '=') && !strchr(kvs.v[i].key, '\n'));
	snprintf(name, sizeof(name), "fuzz-record-%d", (int)getpid());
	dir = open("/dev/shm", O_DIRECTORY | O_CLOEXEC);
	unlinkat(dir, name, 0);
	err = record_write_new(dir, name, &kvs);
	CHECK(!err || err == -E_TEXT_BIG);
	if (!err) {
		CHECK(!record_read(&a, dir, name, &again) && again.n == kvs.n);
		for (size_t i = 0; i < kvs.n; i++)
			CHECK(!strcmp(kvs.v[i].key, again.v[i].key) && !strcmp(kvs.v[i].value, again.v[i].value));
	}
	unlinkat(dir, name, 0);
	close(dir);
	arena_free(&a);
	return 0;
}
