/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A hash table from strings to objects, in an arena. */
#ifndef LIB_LVM2_MAP_H
#define LIB_LVM2_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "lib/bytes.h"

struct arena;

/* The string is the object's own: get it with this. */
typedef const char *(*lvm_name_of)(const void *object);

struct lvm_map {
	void **slot;		/* a mark of its own where one was taken out */
	uint32_t *hash;		/* of each: few strangers are looked at */
	size_t room, used;	/* a power of two; used: slots that are not empty */
	size_t n;		/* objects */
};

/* Make room for so many at once; it grows without this too. */
void lvm_map_expect(struct lvm_map *m, struct arena *a, size_t n);
/* The object of that name, or NULL. */
void *lvm_map_find(const struct lvm_map *m, lvm_name_of name, struct view key);
/* Insert unless there is one of that name: returns the one that was there, or NULL. */
void *lvm_map_add(struct lvm_map *m, struct arena *a, lvm_name_of name, void *object);
void lvm_map_del(struct lvm_map *m, lvm_name_of name, const void *object);

#endif
