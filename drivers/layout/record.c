/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "drivers/layout/record.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/file.h"

static bool is_octal(const char *p)
{
	return p[0] >= '0' && p[0] <= '3' && p[1] >= '0' && p[1] <= '7' && p[2] >= '0' && p[2] <= '7';
}

/* Undo the escapes in place of a copy; \000 would end the string and is kept as text. */
static char *unescape(struct arena *a, const char *p, size_t n)
{
	char *s = arena_strndup(a, p, n), *to = s;

	for (const char *from = s; *from; ) {
		if (*from == '\\' && is_octal(from + 1) && memcmp(from + 1, "000", 3)) {
			*to++ = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
	return s;
}

void record_decode(struct arena *a, struct view text, struct kvs *kvs)
{
	const char *p = text.p, *end = p + text.n;

	while (p < end && kvs->n < RECORD_KEYS) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		const char *stop = nl ? nl : end;
		const char *eq = memchr(p, '=', (size_t)(stop - p));

		if (eq && eq > p && !memchr(p, '\0', (size_t)(stop - p)))
			kv_set(a, kvs, arena_strndup(a, p, (size_t)(eq - p)),
			       unescape(a, eq + 1, (size_t)(stop - eq - 1)));
		p = stop + 1;
	}
}

int record_read(struct arena *a, int dir, const char *name, struct kvs *kvs)
{
	struct view text;
	int err = file_read_small(dir, name, a, RECORD_MOST, &text);

	if (!err)
		record_decode(a, text, kvs);
	return err;
}

int record_write_new(int dir, const char *name, const struct kvs *kvs)
{
	_buf_free_ struct buf b = { 0 };

	for (size_t i = 0; i < kvs->n; i++) {
		buf_printf(&b, "%s=", kvs->v[i].key);
		for (const unsigned char *p = (const unsigned char *)kvs->v[i].value; *p; p++) {
			if (*p < 0x20 || *p == 0x7f || *p == '\\')
				buf_printf(&b, "\\%03o", *p);
			else
				buf_putc(&b, (char)*p);
		}
		buf_putc(&b, '\n');
	}
	if (b.n > RECORD_MOST)
		return -E_TEXT_BIG;	/* nobody could read it */
	return file_write_new(dir, name, b.p, b.n, 0600);
}
