/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/arena.h"
#include "lib/kv.h"

static struct kv *find(const struct kvs *s, const char *key)
{
	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->v[i].key, key))
			return &s->v[i];
	return NULL;
}

const char *kv_get(const struct kvs *s, const char *key)
{
	const struct kv *kv = find(s, key);

	return kv ? kv->value : NULL;
}

bool kv_is(const struct kvs *s, const char *key, const char *value)
{
	const char *is = kv_get(s, key);

	return is && !strcmp(is, value);
}

void kv_set(struct arena *a, struct kvs *s, const char *key, const char *value)
{
	struct kv *kv = find(s, key);

	if (!kv) {
		if (s->n == s->room) {
			size_t room = s->room ? s->room * 2 : 8;

			s->v = arena_grow(a, s->v, s->n, room, sizeof(*s->v));
			s->room = room;
		}
		kv = &s->v[s->n++];
		kv->key = arena_strdup(a, key);
		kv->secret = kv_is_secret(key);
	}
	kv->value = arena_strdup(a, value);
}

bool kv_is_secret(const char *key)
{
	/* password, chappassword, cifspassword, incoming_chappassword, and
	 * *_secret, which names a secret that xapi keeps. */
	return strcasestr(key, "password") || strcasestr(key, "secret");
}

const char *kv_show(const struct kv *kv)
{
	return kv->secret ? "***" : kv->value;
}
