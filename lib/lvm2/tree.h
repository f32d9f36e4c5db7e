/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Look into a section of an LVM2 text, change it, print it.
 *
 * Where an entry is asked for and there are two of the same name, the first
 * counts, as in LVM2.  Where LVM2 insists on an order, a new entry goes where
 * a table of keys says; what is not in the table stays where it was.
 */
#ifndef LIB_LVM2_TREE_H
#define LIB_LVM2_TREE_H

#include "lib/lvm2/text.h"

struct buf;

/* The keys of one kind of section, in the order in which LVM2 writes them. */
struct lvm_key {
	const char *name;
	bool blank;		/* LVM2 leaves an empty line in front */
};

static inline struct lvm_node *lvm_find(const struct lvm_node *section, const char *key)
{
	struct lvm_node *n = section->first;
	size_t len = __builtin_strlen(key);

	while (n && (n->key.n != len || *(const char *)n->key.p != *key ||
		     __builtin_memcmp(n->key.p, key, len)))
		n = n->next;
	return n;
}
/* 0, -ENOENT when there is no such key, -E_LVM_TYPE when it is no such value. */
int lvm_get_int(const struct lvm_node *section, const char *key, int64_t *v);
int lvm_get_u32(const struct lvm_node *section, const char *key, uint32_t *v);
int lvm_get_u64(const struct lvm_node *section, const char *key, uint64_t *v);
int lvm_get_str(const struct lvm_node *section, const char *key, struct view *v);
/* A list of strings; a single string counts as a list of one. */
int lvm_get_list(const struct lvm_node *section, const char *key, const struct lvm_node **list);

struct lvm_node *lvm_section_new(struct arena *a, const char *key);
/* Set or replace.  Strings are borrowed: they must live as long as the tree. */
void lvm_set_int(struct arena *a, struct lvm_node *section, const struct lvm_key *order,
		 const char *key, int64_t v);
void lvm_set_str(struct arena *a, struct lvm_node *section, const struct lvm_key *order,
		 const char *key, const char *v);
void lvm_set_list(struct arena *a, struct lvm_node *section, const struct lvm_key *order,
		  const char *key, const char *const *words, uint32_t n);
void lvm_unset(struct lvm_node *section, const char *key);
/* Append n to a section or to a list. */
void lvm_node_add(struct lvm_node *section, struct lvm_node *n);
struct lvm_value *lvm_value_add(struct arena *a, struct lvm_node *list);

/* As it goes to the disk.  A string made here is escaped, one that was read is not touched. */
void lvm_print(struct buf *b, const struct lvm_node *n);
/* As it goes to a file, so many tabs deep; and the two ends of a section alone. */
void lvm_print_at(struct buf *b, const struct lvm_node *n, int depth);
void lvm_print_key(struct buf *b, const struct lvm_node *n, int depth);
void lvm_print_end(struct buf *b, uint32_t n_blanks, int depth);

#endif
