/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of operations.  Positions, names, help and completion of every
 * door come from here; a door has no list of its own.
 *
 * A row's usage strings are both the grammar and the help.  A word in capitals
 * is an operand, --name=WORD an option with a value, --name a switch; what is
 * in brackets is optional; what is followed by … may be given several times.
 *
 *	"NAME --sr=SR --size=SIZE [--format=FORMAT] [--description=TEXT]"
 *
 * Each word (and each option's name) is looked up in args[], which says what
 * kind of value it is and what it sets.
 */
#ifndef SM_OPS_H
#define SM_OPS_H

#include <stdbool.h>
#include <stddef.h>

#include "sm/request.h"

enum op_flags {
	NEEDS_SR      = 1 << 0,
	NEEDS_VDI     = 1 << 1,
	NEEDS_OPEN    = 1 << 2,	/* the SR must be attached */
	CHANGES       = 1 << 3,	/* writes storage, the kernel's state or smtab */
	LOCKS_SR      = 1 << 4,	/* under <SR>/sr */
	LOCKS_VDI     = 1 << 5,	/* under <VDI>/vdi */
	NEEDS_TYPE    = 1 << 6,	/* a type and dconf, but no existing SR */
	INSPECTS      = 1 << 7,	/* only looks: goes on in a sandbox (arch/sandbox.h) */
};

struct op_row {
	enum op op;
	unsigned int flags;
	const char *object, *verb;	/* people: "vdi", "create"; NULL = no such command */
	const char *usage;		/* people: what follows the verb */
	const char *api;		/* SMAPIv1 and SR-API 1.0 name: "vdi_create"; NULL = none */
	const char *usage07;		/* SR-API 1.0: operands after dconf; NULL = not in it */
	const char *summary;		/* one line of help */
	const char *example;		/* a whole command line */
};

/* In the order in which help shows them. */
extern const struct op_row ops[];
extern const size_t n_ops;

const struct op_row *op_row(enum op op);
const struct op_row *op_by_verb(const char *object, const char *verb);	/* or NULL */
const struct op_row *op_by_api(const char *name);			/* or NULL */

/* What a word of a usage string means. */
enum arg_kind {
	ARG_TEXT, ARG_UUID, ARG_SIZE, ARG_MIB, ARG_PAIR, ARG_BOOL, ARG_SWITCH, ARG_FILE, ARG_PATH, ARG_NUMBER,
};

struct arg {
	const char *word;	/* "SIZE", or "--size" for an option */
	enum arg_kind kind;
	const char *help;
};

/* The argument behind an operand word or an option name; NULL = none of ours. */
const struct arg *arg_find(const char *word);

/*
 * Set one argument of the request from its text: sizes are parsed, uuids
 * checked, pairs split.  The one place where a value of a door is judged.
 */
int request_set(struct ctx *ctx, struct request *rq, const struct arg *arg, const char *text);

/* The next word of a usage string. */
struct usage_word {
	char word[24];		/* operand word, or option name with its dashes */
	char value[24];		/* placeholder of an option's value; "" = a switch */
	bool optional, many;
};

/* Walk a usage string: false at its end. *at starts as the string itself. */
bool usage_next(const char **at, struct usage_word *w);

#endif
