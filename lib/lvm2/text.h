/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The text LVM2 keeps its metadata in, read entry by entry.
 *
 *	vg0 {					a section
 *	seqno = 7				a number
 *	status = ["RESIZEABLE", "READ"]		a list, of strings or numbers
 *	}
 *	contents = "Text Format Volume Group"	# a comment
 *
 * Line ends mean nothing, the commas of a list neither, and the text ends at
 * the first NUL.  A number that begins with 0 is octal.  Backslashes escape in
 * double quotes only, single quotes escape nothing.
 *
 * A VG of 10,000 volumes is a text of 3 MiB, so nobody builds a tree of all of
 * it: lvm_text_next() goes from entry to entry, into a section or, with
 * lvm_text_body(), over it, and then there is a tree of that section alone.
 * Every node remembers where it lay in the text, so what nobody changes can be
 * written back as it was, to the byte.
 */
#ifndef LIB_LVM2_TEXT_H
#define LIB_LVM2_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bytes.h"

struct arena;

#define LVM_TEXT_DEPTH	32		/* of sections; LVM2 itself goes to 5 */
#define LVM_TEXT_THINGS	(1 << 20)	/* in one body: a tree is larger than its text */

enum lvm_value_type { LVM_INT = 1, LVM_FLOAT, LVM_STRING };

struct lvm_value {
	enum lvm_value_type type;
	bool new_line;		/* it began a line */
	struct view raw;	/* as in the text, with its quotes; n = 0 when made here */
	struct view str;	/* a string's content; not terminated */
	int64_t num;
};

enum lvm_node_kind { LVM_SECTION = 1, LVM_SCALAR, LVM_LIST, LVM_RAW };

struct lvm_node {
	struct lvm_node *next;
	struct view key;
	enum lvm_node_kind kind;
	uint32_t blanks;		/* empty lines in front of it */
	uint32_t end_blanks;		/* of a section: in front of its closing brace */
	bool new_line;			/* a list's bracket closed on a line of its own */
	struct lvm_node *first, **end;	/* of a section */
	struct lvm_value *value;	/* of a scalar (one) or a list */
	uint32_t n_values;
	struct view raw;		/* the whole entry in the text; LVM_RAW: what to print */
};

struct lvm_text {
	const char *at, *end;
	const char *begin;
	uint32_t depth;
	uint32_t things;	/* nodes and values of the body being read */
};

/* -E_TEXT_BIG above LVM_TEXT_MAX. */
int lvm_text_open(struct lvm_text *t, struct view text);
/*
 * The key of the next entry, with n->kind LVM_SECTION or LVM_SCALAR (which may
 * turn out to be a list).  1 when there is one, 0 at the end of the section or
 * of the text, -E_TEXT otherwise.  After that either read its body, or, in a
 * section, go on with lvm_text_next(), which is then inside of it.
 */
int lvm_text_next(struct lvm_text *t, struct lvm_node *n);
/* Read the rest of that entry; a section becomes a tree.  -E_TEXT_BIG for too large a one. */
int lvm_text_body(struct lvm_text *t, struct arena *a, struct lvm_node *n);
/* The line reached, counted from 1: for a person who has to mend the text. */
unsigned int lvm_text_line(const struct lvm_text *t);

static inline bool lvm_view_is(struct view v, const char *s)
{
	/* Most differ in their first letter. */
	if (v.n && *(const char *)v.p != *s)
		return false;
	return __builtin_strlen(s) == v.n && !__builtin_memcmp(s, v.p, v.n);
}

#endif
