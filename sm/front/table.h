/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tables and "key: value" blocks for people, aligned by what a terminal shows.
 *
 *	struct table t = { .arena = a, .cols = cols, .n_cols = 3 };
 *
 *	table_cell(&t, "one");
 *	...				row after row, from left to right
 *	table_print(&t, &term, b);
 *
 * Whatever a cell says, it is printed as one line without control characters.
 */
#ifndef SM_FRONT_TABLE_H
#define SM_FRONT_TABLE_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct buf;

/* What the answer is printed on. */
struct term {
	bool is_tty;
	bool colour;		/* a terminal, and neither NO_COLOR nor a dumb one */
	size_t columns;		/* 0 = as many as it takes */
};
void term_of(int fd, struct term *t);

struct column {
	const char *title;
	enum column_flags {
		COL_LEFT  = 0,
		COL_RIGHT = 1 << 0,	/* numbers */
		COL_SHRINK = 1 << 1,	/* may be cut where the terminal is too narrow */
	} flags;
};

struct table {
	struct arena *arena;
	const struct column *cols;
	size_t n_cols;
	const char **cells;
	size_t n, room;
};

void table_cell(struct table *t, const char *text);
void table_print(const struct table *t, const struct term *term, struct buf *b);

/* One line of a block: the key, a colon, and the value in column 16. */
void block_line(struct buf *b, const char *key, const char *value);

#endif
