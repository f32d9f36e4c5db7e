/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the readers of XML, JSON and s-expressions have in common. */
#ifndef LIB_TEXT_TEXT_H
#define LIB_TEXT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bytes.h"

#define TEXT_MAX	(8 * MiB)	/* of a document, when the caller names no limit */
#define TEXT_NODES	200000		/* in a document: bounds what a tree can cost */

/*
 * Where in a document an error was found, for "line 3, byte 123".  Readers take
 * a pointer to one, or NULL, and fill it only when they fail.
 */
struct text_where {
	size_t at;		/* bytes before it */
	size_t line;		/* from 1 */
};

/* Set where to a place in doc, and return err. */
int text_error(struct text_where *where, const char *doc, size_t at, int err);

/*
 * Decimal digits and nothing else; a signed one may have a '-' or a '+' before
 * them.  False, and *out left alone, for anything else and for what does not fit.
 */
bool text_u64(const char *s, uint64_t *out);
bool text_i64(const char *s, int64_t *out);

/* The keys of one object, to find a key that is given twice. */
struct text_key {
	const char *s;
	size_t at;		/* where it stands in the document */
};

/*
 * Is a key given twice among these n?  Then *at is where the second one stands.
 * Sorts the keys, so ten thousand of them cost no more than they should.
 */
bool text_twice(struct text_key *keys, size_t n, size_t *at);

#endif
