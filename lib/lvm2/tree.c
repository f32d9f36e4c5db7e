/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/lvm2/tree.h"

int lvm_get_int(const struct lvm_node *section, const char *key, int64_t *v)
{
	const struct lvm_node *n = lvm_find(section, key);

	if (!n)
		return -ENOENT;
	if (n->kind != LVM_SCALAR || n->value->type != LVM_INT)
		return -E_LVM_TYPE;
	*v = n->value->num;
	return 0;
}

int lvm_get_u64(const struct lvm_node *section, const char *key, uint64_t *v)
{
	int64_t i;
	int err = lvm_get_int(section, key, &i);

	if (!err && i < 0)
		err = -E_LVM_TYPE;
	if (!err)
		*v = (uint64_t)i;
	return err;
}

int lvm_get_u32(const struct lvm_node *section, const char *key, uint32_t *v)
{
	uint64_t i;
	int err = lvm_get_u64(section, key, &i);

	if (!err && i > UINT32_MAX)
		err = -E_LVM_TYPE;
	if (!err)
		*v = (uint32_t)i;
	return err;
}

int lvm_get_str(const struct lvm_node *section, const char *key, struct view *v)
{
	const struct lvm_node *n = lvm_find(section, key);

	if (!n)
		return -ENOENT;
	if (n->kind != LVM_SCALAR || n->value->type != LVM_STRING)
		return -E_LVM_TYPE;
	*v = n->value->str;
	return 0;
}

int lvm_get_list(const struct lvm_node *section, const char *key, const struct lvm_node **list)
{
	const struct lvm_node *n = lvm_find(section, key);

	if (!n)
		return -ENOENT;
	if (n->kind == LVM_SECTION)
		return -E_LVM_TYPE;
	for (uint32_t i = 0; i < n->n_values; i++)
		if (n->value[i].type != LVM_STRING)
			return -E_LVM_TYPE;
	*list = n;
	return 0;
}

static struct view view_of(const char *s)
{
	return (struct view){ s, strlen(s) };
}

struct lvm_node *lvm_section_new(struct arena *a, const char *key)
{
	struct lvm_node *n = arena_alloc(a, sizeof(*n));

	n->kind = LVM_SECTION;
	n->key = view_of(key);
	n->end = &n->first;
	return n;
}

void lvm_node_add(struct lvm_node *section, struct lvm_node *n)
{
	n->next = NULL;
	*section->end = n;
	section->end = &n->next;
}

/* The place of a key in the table; past its end when it is not there. */
static size_t rank(const struct lvm_key *order, struct view key)
{
	size_t i = 0;

	while (order[i].name && !lvm_view_is(key, order[i].name))
		i++;
	return i;
}

/* The entry of that key, made in its place when there is none, and emptied. */
static struct lvm_node *fresh(struct arena *a, struct lvm_node *section,
			      const struct lvm_key *order, const char *key)
{
	struct lvm_node *n = lvm_find(section, key), **at = &section->first;
	size_t mine = rank(order, view_of(key));

	if (n) {
		n->value = NULL;
		n->n_values = 0;
		n->new_line = false;
		return n;
	}
	n = arena_alloc(a, sizeof(*n));
	n->key = view_of(key);
	n->blanks = order[mine].name && order[mine].blank;
	/* Behind the last entry that the table has before this one. */
	for (struct lvm_node **p = at; *p; p = &(*p)->next)
		if (rank(order, (*p)->key) < mine)
			at = &(*p)->next;
	n->next = *at;
	*at = n;
	if (!n->next)
		section->end = &n->next;
	return n;
}

struct lvm_value *lvm_value_add(struct arena *a, struct lvm_node *list)
{
	list->value = arena_grow(a, list->value, list->n_values, (size_t)list->n_values + 1,
				 sizeof(*list->value));
	return &list->value[list->n_values++];
}

static void set_one(struct arena *a, struct lvm_node *n, struct lvm_value v)
{
	n->kind = LVM_SCALAR;
	*lvm_value_add(a, n) = v;
}

void lvm_set_int(struct arena *a, struct lvm_node *section, const struct lvm_key *order,
		 const char *key, int64_t v)
{
	set_one(a, fresh(a, section, order, key), (struct lvm_value){ .type = LVM_INT, .num = v });
}

void lvm_set_str(struct arena *a, struct lvm_node *section, const struct lvm_key *order,
		 const char *key, const char *v)
{
	set_one(a, fresh(a, section, order, key),
		(struct lvm_value){ .type = LVM_STRING, .str = view_of(v) });
}

void lvm_set_list(struct arena *a, struct lvm_node *section, const struct lvm_key *order,
		  const char *key, const char *const *words, uint32_t n)
{
	struct lvm_node *list = fresh(a, section, order, key);

	list->kind = LVM_LIST;
	list->value = arena_array(a, n, sizeof(*list->value));
	list->n_values = n;
	for (uint32_t i = 0; i < n; i++)
		list->value[i] = (struct lvm_value){ .type = LVM_STRING, .str = view_of(words[i]) };
}

void lvm_unset(struct lvm_node *section, const char *key)
{
	struct lvm_node **p = &section->first;

	while (*p)
		if (lvm_view_is((*p)->key, key))
			*p = (*p)->next;
		else
			p = &(*p)->next;
	section->end = p;
}

static void print_value(struct buf *b, const struct lvm_value *v)
{
	if (v->raw.n) {
		buf_add(b, v->raw.p, v->raw.n);
	} else if (v->type == LVM_INT) {
		buf_printf(b, "%" PRId64, v->num);
	} else {
		buf_putc(b, '"');
		for (size_t i = 0; i < v->str.n; i++) {
			char c = ((const char *)v->str.p)[i];

			if (c == '"' || c == '\\')
				buf_putc(b, '\\');
			buf_putc(b, c);
		}
		buf_putc(b, '"');
	}
}

/* Tabs for a file that people read; on a disk (depth < 0) there are none. */
static void indent(struct buf *b, int depth)
{
	for (int i = 0; i < depth; i++)
		buf_putc(b, '\t');
}

static int deeper(int depth)
{
	return depth < 0 ? depth : depth + 1;
}

static void print_list(struct buf *b, const struct lvm_node *n, int depth)
{
	buf_putc(b, '[');
	for (uint32_t i = 0; i < n->n_values; i++) {
		if (i)
			buf_puts(b, n->value[i].new_line ? "," : ", ");
		if (n->value[i].new_line) {
			buf_putc(b, '\n');
			indent(b, deeper(depth));
		}
		print_value(b, &n->value[i]);
	}
	if (n->new_line) {
		buf_putc(b, '\n');
		indent(b, depth);
	}
	buf_putc(b, ']');
}

static void print_blanks(struct buf *b, uint32_t n)
{
	while (n--)
		buf_putc(b, '\n');
}

/* A key that was quoted in the text keeps its quotes. */
void lvm_print_key(struct buf *b, const struct lvm_node *n, int depth)
{
	const char *raw = n->raw.p;
	bool quoted = raw && (*raw == '"' || *raw == '\'');

	print_blanks(b, n->blanks);
	indent(b, depth);
	buf_add(b, quoted ? raw : n->key.p, quoted ? n->key.n + 2 : n->key.n);
	buf_puts(b, n->kind == LVM_SECTION ? " {\n" : " = ");
}

void lvm_print_end(struct buf *b, uint32_t n_blanks, int depth)
{
	print_blanks(b, n_blanks);
	indent(b, depth);
	buf_puts(b, "}\n");
}

void lvm_print_at(struct buf *b, const struct lvm_node *n, int depth)
{
	if (n->kind == LVM_RAW) {
		print_blanks(b, n->blanks);
		buf_add(b, n->raw.p, n->raw.n);
		buf_putc(b, '\n');
		return;
	}
	lvm_print_key(b, n, depth);
	if (n->kind == LVM_SECTION) {
		for (const struct lvm_node *c = n->first; c; c = c->next)
			lvm_print_at(b, c, deeper(depth));
		lvm_print_end(b, n->end_blanks, depth);
		return;
	}
	if (n->kind == LVM_LIST)
		print_list(b, n, depth);
	else
		print_value(b, n->value);
	buf_putc(b, '\n');
}

void lvm_print(struct buf *b, const struct lvm_node *n)
{
	lvm_print_at(b, n, -1);
}
