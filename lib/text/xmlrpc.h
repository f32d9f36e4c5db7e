/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * XML-RPC: how xapi calls a storage manager (SMAPIv1), and is called by it.
 *
 *	err = xmlrpc_read_call(&arena, argv[1], strlen(argv[1]), &call, &where);
 *	if (!err)
 *		err = xval_str(xval_get(call.params->first, "command"), &command);
 *
 *	struct xval *v = xval_struct(&arena);
 *	xval_put(v, "uuid", xval_string(&arena, uuid));
 *	xmlrpc_write_response(&buf, v);
 *
 * What is read: values typed or not (<value>text</value> is a string), <int>
 * <i4> <i8> <boolean> <double> <string> <dateTime.iso8601> <base64> <nil/>
 * <array> <struct>, with white space between elements.  What is written is laid
 * out as Python's xmlrpc does it, which xapi has been reading for years.
 */
#ifndef LIB_TEXT_XMLRPC_H
#define LIB_TEXT_XMLRPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/text/text.h"

struct arena;
struct buf;
struct kvs;

enum xval_kind {
	XVAL_NIL, XVAL_STRING, XVAL_INT, XVAL_BOOL,
	XVAL_DOUBLE, XVAL_DATETIME, XVAL_BASE64,	/* kept as the text they came as */
	XVAL_ARRAY, XVAL_STRUCT,
};

struct xval {
	enum xval_kind kind;
	const char *key;		/* of a member of a struct */
	const char *text;		/* STRING, DOUBLE, DATETIME, BASE64 */
	int64_t i;			/* INT, BOOL */
	struct xval *first, *last;	/* ARRAY, STRUCT: what is in it */
	struct xval *next;		/* beside it in the same one */
	size_t n;			/* ARRAY, STRUCT: how many */
};

struct xmlrpc_call {
	const char *method;
	struct xval *params;		/* an array */
};

struct xmlrpc_response {
	struct xval *value;		/* NULL when it is a fault */
	int64_t fault;
	const char *fault_text;
};

/*
 * Both return 0, an error of xml_read(), -E_XMLRPC for XML of another shape,
 * -E_TEXT_TWICE for a struct with two members of one name, or -E_TEXT_KIND for
 * a value that is not of its type, such as <int>x</int>.  Trees live in the
 * arena; max as for xml_read().
 */
int xmlrpc_read_call(struct arena *a, const char *doc, size_t n,
		     struct xmlrpc_call *call, struct text_where *where);
int xmlrpc_read_response(struct arena *a, const char *doc, size_t n, size_t max,
			 struct xmlrpc_response *r, struct text_where *where);

/* The member, or NULL: absent, or v is NULL or not a struct. */
const struct xval *xval_get(const struct xval *v, const char *key);

/*
 * The value, if v is of that kind; otherwise -E_TEXT_KIND, for NULL too, and
 * *out is left alone.  xval_u64() takes the decimal text of a string as well:
 * xapi sends sizes so.
 */
int xval_str(const struct xval *v, const char **out);
int xval_i64(const struct xval *v, int64_t *out);
int xval_u64(const struct xval *v, uint64_t *out);
int xval_bool(const struct xval *v, bool *out);
/* A struct whose members are all strings, such as device_config, as pairs. */
int xval_kvs(struct arena *a, const struct xval *v, struct kvs *out);

/* Values to write.  Strings are not copied. */
struct xval *xval_nil(struct arena *a);
struct xval *xval_string(struct arena *a, const char *s);
struct xval *xval_int(struct arena *a, int64_t i);
struct xval *xval_boolean(struct arena *a, bool b);
struct xval *xval_array(struct arena *a);
struct xval *xval_struct(struct arena *a);
/* Put v, which is in nothing yet, last into an array or a struct. */
void xval_add(struct xval *array, struct xval *v);
void xval_put(struct xval *st, const char *key, struct xval *v);

/* Append a whole document. */
void xmlrpc_write_response(struct buf *b, const struct xval *v);
void xmlrpc_write_fault(struct buf *b, int64_t code, const char *text);
/* params is an array, or NULL for none. */
void xmlrpc_write_call(struct buf *b, const char *method, const struct xval *params);

#endif
