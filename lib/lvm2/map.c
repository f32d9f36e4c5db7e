/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdint.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/lvm2/map.h"

static const char gone = 1;
#define GONE ((void *)(uintptr_t)&gone)

static uint32_t hash_of(const char *s, size_t n)
{
	uint64_t h = n, word;

	for (; n >= 8; n -= 8, s += 8) {
		memcpy(&word, s, 8);
		h = (h ^ word) * 0x9e3779b97f4a7c15;
		h ^= h >> 32;
	}
	for (word = 0; n--; )
		word = word << 8 | (uint8_t)s[n];
	h = (h ^ word) * 0x9e3779b97f4a7c15;
	return (uint32_t)(h >> 32);
}

/* The slot that holds the key, or NULL. */
static void **lookup(const struct lvm_map *m, lvm_name_of name, const char *s, size_t n,
		     uint32_t hash)
{
	if (!m->room)
		return NULL;
	for (size_t i = hash; ; i++) {
		size_t at = i & (m->room - 1);
		const char *other;

		if (!m->slot[at])
			return NULL;
		if (m->hash[at] != hash || m->slot[at] == GONE)
			continue;
		other = name(m->slot[at]);
		if (!strncmp(other, s, n) && !other[n])
			return &m->slot[at];
	}
}

void *lvm_map_find(const struct lvm_map *m, lvm_name_of name, struct view key)
{
	void **slot = lookup(m, name, key.p, key.n, hash_of(key.p, key.n));

	return slot ? *slot : NULL;
}

static void put(struct lvm_map *m, uint32_t hash, void *object)
{
	size_t i = hash;

	while (m->slot[i & (m->room - 1)])
		i++;
	m->slot[i & (m->room - 1)] = object;
	m->hash[i & (m->room - 1)] = hash;
	m->used++;
	m->n++;
}

/* At most three quarters full, so that a search soon meets an empty slot. */
void lvm_map_expect(struct lvm_map *m, struct arena *a, size_t n)
{
	struct lvm_map old = *m;

	*m = (struct lvm_map){ .room = 64 };
	while (m->room / 8 * 3 < old.n || m->room / 4 * 3 < n)
		m->room *= 2;
	m->slot = arena_array(a, m->room, sizeof(*m->slot));
	m->hash = arena_array(a, m->room, sizeof(*m->hash));
	for (size_t i = 0; i < old.room; i++)
		if (old.slot[i] && old.slot[i] != GONE)
			put(m, old.hash[i], old.slot[i]);
}

void *lvm_map_add(struct lvm_map *m, struct arena *a, lvm_name_of name, void *object)
{
	const char *s = name(object);
	size_t n = strlen(s);
	uint32_t hash = hash_of(s, n);
	void **there = lookup(m, name, s, n, hash);

	if (there)
		return *there;
	if (m->used >= m->room / 4 * 3)
		lvm_map_expect(m, a, 0);
	put(m, hash, object);
	return NULL;
}

void lvm_map_del(struct lvm_map *m, lvm_name_of name, const void *object)
{
	const char *s = name(object);
	void **slot = lookup(m, name, s, strlen(s), hash_of(s, strlen(s)));

	if (slot && *slot == object) {
		*slot = GONE;
		m->n--;
	}
}
