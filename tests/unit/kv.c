/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/arena.h"
#include "lib/kv.h"
#include "tests/unit/t.h"

TEST(kv_keeps_order_and_replaces)
{
	struct arena a = { 0 };
	struct kvs s = { 0 };
	char key[16];

	OK(!kv_get(&s, "none"));
	for (int i = 0; i < 100; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		kv_set(&a, &s, key, key + 1);
	}
	EQ(s.n, 100);
	kv_set(&a, &s, "k7", "");
	EQ(s.n, 100);
	OK(!strcmp(kv_get(&s, "k7"), ""));
	OK(!strcmp(kv_get(&s, "k99"), "99"));
	OK(!kv_get(&s, "k100"));
	for (int i = 0; i < 100; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		OK(!strcmp(s.v[i].key, key));
	}
	arena_free(&a);
}

TEST(kv_shows_no_secret)
{
	struct arena a = { 0 };
	struct kvs s = { 0 };

	kv_set(&a, &s, "server", "nas");
	kv_set(&a, &s, "chappassword", "hunter2");
	kv_set(&a, &s, "cifsPassword_secret", "ref");
	OK(!strcmp(kv_show(&s.v[0]), "nas"));
	OK(!strcmp(kv_show(&s.v[1]), "***"));
	OK(!strcmp(kv_show(&s.v[2]), "***"));
	OK(kv_is_secret("PASSWORD"));
	OK(!kv_is_secret("pass"));
	kv_set(&a, &s, "chappassword", "other");
	OK(!strcmp(kv_show(&s.v[1]), "***"));
	arena_free(&a);
}
