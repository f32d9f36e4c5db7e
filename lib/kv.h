/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ordered key and value pairs: dconf, sm_config, tags of a record.
 *
 * Strings belong to an arena.  A value marked secret is printed as stars by
 * kv_show() and never by anything else.
 */
#ifndef LIB_KV_H
#define LIB_KV_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

struct kv {
	const char *key;
	const char *value;
	bool secret;
};

struct kvs {
	struct kv *v;
	size_t n;
	size_t room;
};

/* The value, or NULL when the key is absent (an empty value is ""). */
const char *kv_get(const struct kvs *s, const char *key);
bool kv_is(const struct kvs *s, const char *key, const char *value);
/* Set or replace; both strings are copied. */
void kv_set(struct arena *a, struct kvs *s, const char *key, const char *value);
/* Is this the name of a key whose value nobody may read: password, chappassword …? */
bool kv_is_secret(const char *key);
/* The value as a person or a log may see it. */
const char *kv_show(const struct kv *kv);

#endif
