/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The command line for people, between its files.
 *
 *	cli.c		the front end: which calls are its own, exit codes
 *	cli_words.c	which words there are
 *	cli_parse.c	argv -> request, by the grammar in sm/ops.h
 *	cli_out.c	reply -> tables, blocks, ids
 *	json_out.c	reply -> JSON documents
 *	help.c		the tables -> help and completion
 */
#ifndef SM_FRONT_CLI_H
#define SM_FRONT_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "sm/front/progress.h"
#include "sm/ops.h"

struct buf;

/* What the command line said about the answer; rq->door points to it. */
struct cli {
	const struct op_row *row;	/* NULL = help, or no command was understood */
	const char *text;		/* an answer that needs no work: help, version */
	bool json, minimal, quiet, help, version;
	bool units_b;			/* sizes in tables as plain bytes */
	enum progress_mode progress;
};

/* An option of every command. */
struct cli_global {
	const char *word;	/* "--units" */
	const char *letter;	/* "-v", or NULL */
	const char *value;	/* "b|h"; NULL = a switch */
	const char *help;
};
extern const struct cli_global cli_globals[];	/* ends with a NULL word */

/* Most words in one usage string, with the options added to it. */
#define CLI_WORDS 24

/*
 * What a command takes: the words of its usage string, and for those that work
 * on an SR the options that say where it is when smtab does not know.
 */
struct cli_grammar {
	struct usage_word w[CLI_WORDS];
	bool seen[CLI_WORDS];
	size_t n;
	size_t n_usage;		/* of which in the usage string */
};
void cli_grammar(struct cli_grammar *g, const struct op_row *row);

int cli_parse(struct ctx *ctx, struct cli *c, int argc, char **argv, struct request *rq);

/* The member of words that was probably meant; NULL when none is close. */
const char *cli_nearest(const char *typed, const char *const *words, size_t n);

/* Append the answer to b. */
void cli_print(struct ctx *ctx, const struct request *rq, const struct reply *rp, struct buf *b);
/* Append one finding as a line. */
void cli_problem(const struct problem *p, struct buf *b);
/* 0, or 6 and 7 where the answer itself says that something is wrong. */
int cli_findings(const struct request *rq, const struct reply *rp);

/*
 * Append help on the command (or on one object, or on all) or on a topic;
 * -E_USAGE with a sentence when there is no such thing.
 */
int help_topic(struct ctx *ctx, struct buf *b, const char *const *words, size_t n);
void help_row(struct buf *b, const struct op_row *row);

#endif
