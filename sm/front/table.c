/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/kconfig.h"
#include "lib/utf8.h"
#include "sm/front/table.h"

#define GAP		2	/* blanks between columns */
#define LEAST		8	/* a column that shrinks keeps so many */
#define MOST_COLS	12
#define ELLIPSIS	"…"

void term_of(int fd, struct term *t)
{
	const char *term = getenv("TERM"), *no_colour = getenv("NO_COLOR");
	struct winsize size;

	*t = (struct term){ .is_tty = isatty(fd) };
	if (!t->is_tty)
		return;
	t->colour = !(no_colour && *no_colour) && term && strcmp(term, "dumb");
	if (!ioctl(fd, TIOCGWINSZ, &size))
		t->columns = size.ws_col;
}

static const char *shown(struct arena *a, const char *text)
{
	_buf_free_ struct buf b = { 0 };
	const char *p = text;

	while (!IS_ENABLED(CONFIG_OPTIMIZE_SIZE) && *p >= ' ' && *p < 0x7f)
		p++;
	if (!*p)			/* nearly always, and then nothing has to be made */
		return arena_strdup(a, text);
	utf8_show(&b, text);
	return arena_strdup(a, buf_str(&b));
}

void table_cell(struct table *t, const char *text)
{
	if (t->n == t->room) {
		t->cells = arena_grow(t->arena, t->cells, t->n, 2 * t->n + 64, sizeof(*t->cells));
		t->room = 2 * t->n + 64;
	}
	t->cells[t->n++] = text && *text ? shown(t->arena, text) : "-";
}

/* How wide each column is, cut down where the terminal is narrow. */
static void measure(const struct table *t, const struct term *term, size_t *width)
{
	size_t total = 0, w, over;

	for (size_t c = 0; c < t->n_cols; c++) {
		width[c] = utf8_columns(t->cols[c].title);
		for (size_t i = c; i < t->n; i += t->n_cols) {
			w = utf8_columns(t->cells[i]);
			if (w > width[c])
				width[c] = w;
		}
		total += width[c] + (c ? GAP : 0);
	}
	for (size_t c = 0; c < t->n_cols && term->columns && total > term->columns; c++) {
		over = total - term->columns;
		if (!(t->cols[c].flags & COL_SHRINK) || width[c] <= LEAST)
			continue;
		w = width[c] - LEAST < over ? LEAST : width[c] - over;
		total -= width[c] - w;
		width[c] = w;
	}
}

static void pad(struct buf *b, size_t n)
{
	while (n--)
		buf_putc(b, ' ');
}

static void put_cell(struct buf *b, const char *text, size_t width, unsigned flags, bool is_last)
{
	size_t w = utf8_columns(text);

	if (w > width) {
		buf_add(b, text, utf8_fit(text, width - 1));
		buf_puts(b, ELLIPSIS);
		return;
	}
	if (flags & COL_RIGHT)
		pad(b, width - w);
	buf_puts(b, text);
	if (!(flags & COL_RIGHT) && !is_last)
		pad(b, width - w);
}

static void put_row(const struct table *t, const char *const *cells, const size_t *width,
		    struct buf *b)
{
	for (size_t c = 0; c < t->n_cols; c++) {
		if (c)
			pad(b, GAP);
		put_cell(b, cells[c], width[c], t->cols[c].flags, c + 1 == t->n_cols);
	}
}

void table_print(const struct table *t, const struct term *term, struct buf *b)
{
	size_t width[MOST_COLS];
	const char *titles[MOST_COLS];

	measure(t, term, width);
	for (size_t c = 0; c < t->n_cols; c++)
		titles[c] = t->cols[c].title;
	if (term->colour)
		buf_puts(b, "\033[1m");
	put_row(t, titles, width, b);
	buf_puts(b, term->colour ? "\033[0m\n" : "\n");
	for (size_t i = 0; i + t->n_cols <= t->n; i += t->n_cols) {
		put_row(t, t->cells + i, width, b);
		buf_putc(b, '\n');
	}
}

void block_line(struct buf *b, const char *key, const char *value)
{
	buf_printf(b, "%s:", key);
	if (value && *value) {
		pad(b, strlen(key) < 14 ? 15 - strlen(key) : 1);
		utf8_show(b, value);
	}
	buf_putc(b, '\n');
}
