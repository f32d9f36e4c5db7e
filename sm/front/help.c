/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Help and completion, said by the tables: nothing here knows a command. */
#include <stdlib.h>
#include <string.h>

#include "drivers/format.h"
#include "drivers/sr.h"
#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/num.h"
#include "lib/utf8.h"
#include "sm/front/cli.h"
#include "sm/run.h"

#define INDENT	24		/* where explanations begin */
#define WIDTH	78		/* of a usage line */

/* "  key    text": the key on a line of its own where it is too long. */
static void line(struct buf *b, const char *key, const char *text)
{
	size_t w = utf8_columns(key) + 2;

	buf_printf(b, "  %s", key);
	if (w + 2 > INDENT) {
		buf_putc(b, '\n');
		w = 0;
	}
	buf_printf(b, "%*s%s\n", (int)(INDENT - w), "", text);
}

static bool is_option(const struct usage_word *w)
{
	return w->word[0] == '-';
}

/* "--size SIZE", as it is typed. */
static void put_word(struct buf *b, const struct usage_word *w)
{
	buf_puts(b, w->word);
	if (w->value[0])
		buf_printf(b, " %s", w->value);
}

static void put_usage(struct buf *b, const struct op_row *row)
{
	_buf_free_ struct buf word = { 0 };
	struct cli_grammar g;
	size_t start = b->n;

	cli_grammar(&g, row);
	buf_printf(b, "usage: sm %s %s", row->object, row->verb);
	for (size_t i = 0; i < g.n_usage; i++) {
		buf_reset(&word);
		buf_puts(&word, g.w[i].optional ? " [" : " ");
		put_word(&word, &g.w[i]);
		buf_puts(&word, g.w[i].optional ? "]" : "");
		buf_puts(&word, g.w[i].many ? "…" : "");
		if (b->n - start + word.n > WIDTH) {
			buf_puts(b, "\n        ");
			start = b->n - 8;
		}
		buf_puts(b, buf_str(&word));
	}
	buf_putc(b, '\n');
}

static void put_globals(struct buf *b)
{
	_buf_free_ struct buf key = { 0 };

	for (const struct cli_global *o = cli_globals; o->word; o++) {
		buf_reset(&key);
		buf_printf(&key, "%s%s%s%s%s", o->letter ? o->letter : "", o->letter ? ", " : "",
			   o->word, o->value ? " " : "", o->value ? o->value : "");
		line(b, buf_str(&key), o->help);
	}
}

/* Is there an SR type for it?  What none can do yet should not look as if it worked. */
static bool is_possible(enum op op)
{
	bool none = true;

	for_each_registered(sr_types, t) {
		if (sr_can(*t, op))
			return true;
		none = false;
	}
	return none;
}

void help_row(struct buf *b, const struct op_row *row)
{
	_buf_free_ struct buf key = { 0 };
	struct cli_grammar g;
	const struct arg *arg;

	buf_printf(b, "%s\n%s\n", row->summary,
		   is_possible(row->op) ? "" : "No type of SR can do this yet.\n");
	put_usage(b, row);
	cli_grammar(&g, row);
	if (g.n)
		buf_putc(b, '\n');
	for (size_t i = 0; i < g.n; i++) {
		arg = arg_find(g.w[i].word);
		buf_reset(&key);
		put_word(&key, &g.w[i]);
		if (i == g.n_usage && !(row->flags & NEEDS_TYPE))
			buf_puts(b, "\nand for an SR that smtab does not know:\n");
		line(b, buf_str(&key), arg ? arg->help : "");
	}
	buf_puts(b, "\nOptions of every command are in: sm help\n");
	buf_printf(b, "\nexample:\n  %s\n", row->example);
}

/* Every verb of an object, or everything. */
static size_t put_verbs(struct buf *b, const char *object)
{
	_buf_free_ struct buf key = { 0 }, text = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < n_ops; i++) {
		if (!ops[i].object || (object && strcmp(object, ops[i].object)))
			continue;
		buf_reset(&key);
		buf_printf(&key, "%s %s", ops[i].object, ops[i].verb);
		buf_reset(&text);
		buf_printf(&text, "%s%s", ops[i].summary,
			   is_possible(ops[i].op) ? "" : " (no SR can yet)");
		line(b, buf_str(&key), buf_str(&text));
		n++;
	}
	return n;
}

static void put_overview(struct buf *b)
{
	buf_puts(b, "usage: sm OBJECT VERB [OPERAND]… [--option VALUE]…\n\n");
	put_verbs(b, NULL);
	buf_puts(b, "\noptions of every command:\n");
	put_globals(b);
	buf_puts(b, "\nmore: sm help OBJECT VERB, sm help types, sm completion bash\n");
}

/* --- SR types -------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void put_type(struct buf *b, const struct sr_type *t)
{
	const struct format *f;

	buf_printf(b, "%s", t->names[0]);
	for (const char *const *s = t->names + 1; *s; s++)
		buf_printf(b, "%s%s", s == t->names + 1 ? " (" : ", ", *s);
	buf_printf(b, "%s: %s\n", t->names[1] ? ")" : "", t->desc);
	for (size_t i = 0; (f = sr_format_at(t, i)); i++)
		buf_printf(b, "%s %s", i ? "" : "  formats:", f->name);
	if (sr_format_at(t, 1))
		buf_printf(b, "; default %s", sr_format_default(t)->name);
	buf_puts(b, sr_format_at(t, 0) ? "\n" : "");
	for (const struct key *k = t->keys; k && k->name; k++) {
		buf_printf(b, "  --dconf %s=… ", k->name);
		buf_printf(b, "%s%s\n", k->help, k->flags & KEY_MUST ? " (must be given)" : "");
	}
}

static void put_types(struct ctx *ctx, struct buf *b)
{
	const char **names;
	size_t most = 0, n = 0;

	for_each_registered(sr_types, t)
		most += *t != NULL;
	names = arena_array(&ctx->arena, most + 1, sizeof(*names));
	for_each_registered(sr_types, t)
		names[n++] = (*t)->names[0];
	num_sort(names, n, sizeof(*names), by_name);
	for (size_t i = 0; i < n; i++)
		put_type(b, sr_type_find(names[i]));
	if (!n)
		buf_puts(b, "No SR type is built in.\n");
}

/* --- completion ------------------------------------------------------------ */

static void put_options(struct buf *b, const struct op_row *row)
{
	struct cli_grammar g;

	cli_grammar(&g, row);
	for (size_t i = 0; i < g.n; i++)
		if (is_option(&g.w[i]))
			buf_printf(b, " %s", g.w[i].word);
}

/* The objects that there are, or the verbs of one. */
static void put_words(struct buf *b, const char *object)
{
	const char *last = "";

	for (size_t i = 0; i < n_ops; i++) {
		if (!ops[i].object || (object && strcmp(ops[i].object, object)))
			continue;
		if (object)
			buf_printf(b, " %s", ops[i].verb);
		else if (strcmp(last, ops[i].object))
			buf_printf(b, " %s", ops[i].object);
		last = ops[i].object;
	}
}

static void put_bash(struct buf *b)
{
	const char *last = "";

	buf_puts(b, "# eval \"$(sm completion bash)\"\n_sm()\n{\n\tlocal w g='");
	for (const struct cli_global *o = cli_globals; o->word; o++)
		buf_printf(b, "%s%s", o == cli_globals ? "" : " ", o->word);
	buf_puts(b, "'\n\tcase \"$COMP_CWORD ${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n"
		    "\t1\\ *) w='help completion");
	put_words(b, NULL);
	buf_puts(b, "' ;;\n");
	for (size_t i = 0; i < n_ops; i++) {
		if (!ops[i].object || !strcmp(last, ops[i].object))
			continue;
		last = ops[i].object;
		buf_printf(b, "\t2\\ %s\\ *) w='", last);
		put_words(b, last);
		buf_puts(b, "' ;;\n");
	}
	for (size_t i = 0; i < n_ops; i++) {
		if (!ops[i].object)
			continue;
		buf_printf(b, "\t*\\ %s\\ %s) w=\"$g", ops[i].object, ops[i].verb);
		put_options(b, &ops[i]);
		buf_puts(b, "\" ;;\n");
	}
	buf_puts(b, "\tesac\n"
		    "\tCOMPREPLY=($(compgen -W \"$w\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
		    "}\ncomplete -o default -F _sm sm\n");
}

static int completion(struct ctx *ctx, struct buf *b, const char *shell)
{
	if (!shell || strcmp(shell, "bash")) {
		hint(ctx, "sm completion bash");
		return fail_say(ctx, -E_USAGE, "completion: the only shell is bash");
	}
	put_bash(b);
	return 0;
}

/* --- topics ---------------------------------------------------------------- */

int help_topic(struct ctx *ctx, struct buf *b, const char *const *words, size_t n)
{
	const char *dash = n ? strchr(words[0], '-') : NULL;
	const struct op_row *row = NULL;

	if (n && dash)
		row = op_by_verb(arena_strndup(&ctx->arena, words[0], (size_t)(dash - words[0])),
				 dash + 1);
	else if (n > 1)
		row = op_by_verb(words[0], words[1]);
	if (row)
		help_row(b, row);
	else if (!n)
		put_overview(b);
	else if (!strcmp(words[0], "completion"))
		return completion(ctx, b, n > 1 ? words[1] : NULL);
	else if (n == 1 && !strcmp(words[0], "types"))
		put_types(ctx, b);
	else if (n > 1 || !put_verbs(b, words[0])) {
		hint(ctx, "sm help");
		return fail_say(ctx, -E_USAGE, "help: no such command '%.64s%s%.64s'", words[0],
				n > 1 ? " " : "", n > 1 ? words[1] : "");
	}
	return 0;
}
