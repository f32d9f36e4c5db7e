/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * S-expressions, as SR-API 1.0 answers in them:
 *
 *	(sr (uuid 6f0c…) (label "local disk") (VDIs (2b1f… 77aa…)) (size 4096))
 *
 * An atom is written in quotes when it is empty or holds anything outside
 * [A-Za-z0-9_./:+-]; in quotes, " and \ have a \ before them and nothing else
 * is special.  The reader takes any run of visible characters for an atom.
 */
#ifndef LIB_TEXT_SEXPR_H
#define LIB_TEXT_SEXPR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/text/text.h"

struct arena;
struct buf;

#define SEXPR_DEPTH 32

struct sexpr {
	const char *atom;		/* NULL for a list */
	struct sexpr *first, *next;	/* in the list; beside it in the same list */
	size_t n;			/* how many in the list */
};

/*
 * Read one expression of at most max bytes (0: TEXT_MAX).  Returns 0, -E_TEXT,
 * -E_TEXT_DEEP, -E_TEXT_BIG, -E_TEXT_UTF8 or -E_TEXT_NUL.
 */
int sexpr_read(struct arena *a, const char *doc, size_t n, size_t max,
	       struct sexpr **root, struct text_where *where);

/* What follows key in the first list (key …) within list, or NULL. */
const struct sexpr *sexpr_get(const struct sexpr *list, const char *key);

/*
 *	struct sexpr_out s = { .buf = &b };
 *	sexpr_begin(&s, "sr");
 *	sexpr_pair(&s, "uuid", uuid);
 *	sexpr_end(&s);
 */
struct sexpr_out {
	struct buf *buf;
	bool apart;			/* the next one needs a blank before it */
};

void sexpr_begin(struct sexpr_out *s, const char *key);	/* NULL: a list without one */
void sexpr_end(struct sexpr_out *s);
void sexpr_atom(struct sexpr_out *s, const char *atom);
void sexpr_pair(struct sexpr_out *s, const char *key, const char *atom);
void sexpr_pair_u64(struct sexpr_out *s, const char *key, uint64_t n);

#endif
