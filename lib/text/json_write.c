/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/kconfig.h"
#include "lib/text/json.h"
#include "lib/utf8.h"

/* Documents of 10,000 volumes have to be fast, but small is what small programs want. */
#define FAST !IS_ENABLED(CONFIG_OPTIMIZE_SIZE)

static void new_line(struct json *j)
{
	if (!j->pretty)
		return;
	buf_putc(j->buf, '\n');
	for (int i = 0; i < j->depth; i++)
		buf_puts(j->buf, "  ");
}

/* Before a value or a key: what sets it apart from the one before. */
static void before(struct json *j)
{
	uint64_t bit;

	if (j->has_key) {
		j->has_key = false;
		return;
	}
	if (!j->depth)
		return;
	bit = (uint64_t)1 << (j->depth - 1);
	if (j->filled & bit)
		buf_putc(j->buf, ',');
	j->filled |= bit;
	new_line(j);
}

static void begin(struct json *j, char bracket)
{
	before(j);
	assert(j->depth < JSON_DEPTH);
	buf_putc(j->buf, bracket);
	j->filled &= ~((uint64_t)1 << j->depth++);
}

static void end(struct json *j, char bracket)
{
	assert(j->depth && !j->has_key);
	j->depth--;
	if (j->filled >> j->depth & 1)
		new_line(j);
	buf_putc(j->buf, bracket);
}

void json_obj_begin(struct json *j)
{
	begin(j, '{');
}

void json_obj_end(struct json *j)
{
	end(j, '}');
}

void json_arr_begin(struct json *j)
{
	begin(j, '[');
}

void json_arr_end(struct json *j)
{
	end(j, ']');
}

/* Nearly all strings, and all our keys: nothing in them has to be looked at twice. */
static bool quoted_at_once(struct buf *b, const char *s)
{
	const char *p = s;
	size_t n;
	char *to;

	while (*p >= ' ' && *p < 0x7f && *p != '"' && *p != '\\')
		p++;
	if (*p)
		return false;
	n = (size_t)(p - s);
	to = buf_room(b, n + 2);
	to[0] = '"';
	memcpy(to + 1, s, n);
	to[n + 1] = '"';
	to[n + 2] = '\0';
	b->n += n + 2;
	return true;
}

static void quote(struct buf *b, const char *s)
{
	static const char plain[] = "\b\t\n\f\r\"\\", escaped[] = "btnfr\"\\";
	size_t n, len;

	if (FAST && quoted_at_once(b, s))
		return;
	n = strlen(s);
	buf_putc(b, '"');
	for (; n; s += len, n -= len) {
		const char *hit = strchr(plain, *s);
		uint32_t cp = 0;

		len = utf8_decode(s, n, &cp);
		if (!len) {
			utf8_put(b, 0xfffd);
			len = 1;
		} else if (hit) {
			buf_putc(b, '\\');
			buf_putc(b, escaped[hit - plain]);
		} else if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0)) {
			buf_printf(b, "\\u%04x", (unsigned)cp);
		} else {
			buf_add(b, s, len);
		}
	}
	buf_putc(b, '"');
}

void json_key(struct json *j, const char *key)
{
	assert(j->depth && !j->has_key);
	before(j);
	quote(j->buf, key);
	buf_puts(j->buf, j->pretty ? ": " : ":");
	j->has_key = true;
}

void json_str(struct json *j, const char *s)
{
	before(j);
	if (s)
		quote(j->buf, s);
	else
		buf_puts(j->buf, "null");
}

static void digits(struct buf *b, uint64_t n)
{
	char text[20];
	size_t at = sizeof(text);

	do {
		text[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	buf_add(b, text + at, sizeof(text) - at);
}

void json_u64(struct json *j, uint64_t n)
{
	before(j);
	if (FAST)
		digits(j->buf, n);
	else
		buf_printf(j->buf, "%" PRIu64, n);
}

void json_i64(struct json *j, int64_t n)
{
	before(j);
	buf_printf(j->buf, "%" PRId64, n);
}

void json_number(struct json *j, const char *text)
{
	before(j);
	buf_puts(j->buf, text);
}

void json_raw(struct json *j, const char *p, size_t n)
{
	before(j);
	buf_add(j->buf, p, n);
}

void json_bool(struct json *j, bool b)
{
	before(j);
	buf_puts(j->buf, b ? "true" : "false");
}

void json_null(struct json *j)
{
	json_str(j, NULL);
}

void json_end(struct json *j)
{
	assert(!j->depth && !j->has_key);
	buf_putc(j->buf, '\n');
}

void json_key_str(struct json *j, const char *key, const char *s)
{
	json_key(j, key);
	json_str(j, s);
}

void json_key_u64(struct json *j, const char *key, uint64_t n)
{
	json_key(j, key);
	json_u64(j, n);
}

void json_key_bool(struct json *j, const char *key, bool b)
{
	json_key(j, key);
	json_bool(j, b);
}

void json_key_obj(struct json *j, const char *key)
{
	json_key(j, key);
	json_obj_begin(j);
}

void json_key_arr(struct json *j, const char *key)
{
	json_key(j, key);
	json_arr_begin(j);
}
