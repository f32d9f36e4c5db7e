/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * JSON (RFC 8259): writing it as it comes, reading it into a tree.
 *
 *	struct json j = { .buf = &b, .pretty = true };
 *
 *	json_obj_begin(&j);
 *	json_key(&j, "schema");
 *	json_u64(&j, 1);
 *	json_key_str(&j, "uuid", uuid);
 *	json_obj_end(&j);
 *	json_end(&j);
 *
 * The writer puts the commas, line ends and indentation (two spaces), and
 * keeps the order it is given.  Strings that are not UTF-8 are repaired with
 * U+FFFD, so what comes out is JSON whatever went in.
 */
#ifndef LIB_TEXT_JSON_H
#define LIB_TEXT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/text/text.h"

struct arena;
struct buf;

#define JSON_DEPTH 64

struct json {
	struct buf *buf;
	bool pretty;			/* else all on one line, without blanks */
	/* The writer's own: */
	bool has_key;			/* the next value belongs to a key */
	uint8_t depth;
	uint64_t filled;		/* a bit for each depth: not the first in there */
};

void json_obj_begin(struct json *j);
void json_obj_end(struct json *j);
void json_arr_begin(struct json *j);
void json_arr_end(struct json *j);
void json_key(struct json *j, const char *key);
void json_str(struct json *j, const char *s);		/* NULL is null */
void json_u64(struct json *j, uint64_t n);
void json_i64(struct json *j, int64_t n);
void json_number(struct json *j, const char *text);	/* which the caller knows to be one */
void json_raw(struct json *j, const char *p, size_t n);	/* any value, already written as JSON */
void json_bool(struct json *j, bool b);
void json_null(struct json *j);
/* The end of a document or of a line: everything is closed, a new line follows. */
void json_end(struct json *j);

/* A key and its value in one line. */
void json_key_str(struct json *j, const char *key, const char *s);
void json_key_u64(struct json *j, const char *key, uint64_t n);
void json_key_bool(struct json *j, const char *key, bool b);
void json_key_obj(struct json *j, const char *key);	/* begins it */
void json_key_arr(struct json *j, const char *key);

enum jval_kind { JVAL_NULL, JVAL_BOOL, JVAL_NUMBER, JVAL_STRING, JVAL_ARRAY, JVAL_OBJECT };

struct jval {
	enum jval_kind kind;
	const char *key;		/* of a member of an object */
	const char *text;		/* STRING; NUMBER as it was written */
	bool truth;			/* BOOL */
	struct jval *first, *next;	/* as in lib/text/xmlrpc.h */
	size_t n;
	size_t at;			/* where it (or its key) stands in the document */
};

/*
 * Read a document of at most max bytes (0: TEXT_MAX).  Returns 0, -E_TEXT,
 * -E_TEXT_DEEP (more than JSON_DEPTH), -E_TEXT_BIG, -E_TEXT_UTF8 (half a
 * surrogate pair too), -E_TEXT_TWICE for a key given twice in an object, or
 * -E_TEXT_NUL for a string with \u0000, which ours cannot hold.
 */
int json_read(struct arena *a, const char *doc, size_t n, size_t max,
	      struct jval **root, struct text_where *where);

/* The member, or NULL: absent, or v is NULL or not an object. */
const struct jval *jval_get(const struct jval *v, const char *key);
/*
 * -E_TEXT_KIND if v is NULL, of another kind, or not a whole number that fits;
 * then *out is left alone.
 */
int jval_str(const struct jval *v, const char **out);
int jval_u64(const struct jval *v, uint64_t *out);
int jval_i64(const struct jval *v, int64_t *out);
int jval_bool(const struct jval *v, bool *out);

#endif
