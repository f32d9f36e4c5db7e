/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * In three steps: cut argv into operands and options, find the command that the
 * first operands name, and match the rest with its usage string.  Options may
 * stand anywhere, also before the command.
 */
#include <string.h>

#include "arch/clock.h"
#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "sm/about.h"
#include "sm/front.h"
#include "sm/front/cli.h"

#define LONGEST_WAIT	((uint64_t)1000000000)	/* seconds */

/* "no such verb 'creat'", and what it may have been. */
static int unknown(struct ctx *ctx, const char *kind, const char *typed,
		   const char *const *words, size_t n)
{
	const char *near = cli_nearest(typed, words, n);

	if (near)
		return fail_say(ctx, -E_USAGE, "%s '%.64s': did you mean %s?", kind, typed, near);
	return fail_say(ctx, -E_USAGE, "%s '%.64s'", kind, typed);
}

/* --- operands and options -------------------------------------------------- */

struct token {
	const char *option;	/* its name with the dashes; NULL = an operand */
	char *value;		/* the operand, or the option's value if it has one */
	bool attached;		/* written --option=value */
	bool done;
};

struct tokens {
	struct token *t;
	size_t n;
};

static const struct cli_global *find_global(const char *option)
{
	for (const struct cli_global *g = cli_globals; g->word; g++)
		if (!strcmp(g->word, option) || (g->letter && !strcmp(g->letter, option)))
			return g;
	return NULL;
}

static bool takes_value(const char *option)
{
	const struct cli_global *g = find_global(option);
	const struct arg *arg;

	if (g)
		return g->value;
	arg = arg_find(option);
	return arg && arg->kind != ARG_SWITCH;
}

static void cut(struct ctx *ctx, int argc, char **argv, struct tokens *all)
{
	bool options = true;
	struct token *t;
	char *eq;

	all->t = arena_array(&ctx->arena, (size_t)argc, sizeof(*all->t));
	for (int i = 1; i < argc; i++) {
		if (options && !strcmp(argv[i], "--")) {
			options = false;
			continue;
		}
		t = &all->t[all->n++];
		t->value = argv[i];
		if (!options || argv[i][0] != '-' || !argv[i][1])
			continue;
		eq = strchr(argv[i], '=');
		t->attached = eq;
		t->option = !eq ? argv[i] :
			arena_strndup(&ctx->arena, argv[i], (size_t)(eq - argv[i]));
		t->value = eq ? eq + 1 : NULL;
		/* "--sr --json" is a value forgotten, not an SR of that name. */
		if (!eq && takes_value(t->option) && i + 1 < argc && strncmp(argv[i + 1], "--", 2))
			t->value = argv[++i];
	}
}

/* Does the option stand with a value where it takes one, and else without? */
static int check_value(struct ctx *ctx, const struct token *t, bool wants)
{
	if (wants && !t->value)
		return fail_say(ctx, -E_USAGE, "%s needs a value", t->option);
	if (!wants && t->attached)
		return fail_say(ctx, -E_USAGE, "%s takes no value", t->option);
	return 0;
}

/* --- options of every command ---------------------------------------------- */

static int bad_global(struct ctx *ctx, const struct token *t, const struct cli_global *g)
{
	return fail_say(ctx, -E_USAGE, "%s '%.64s' is not %s", g->word, t->value, g->value);
}

static int set_timeout(struct ctx *ctx, const struct token *t, const struct cli_global *g)
{
	uint64_t seconds = 0;
	const char *p = t->value;

	for (; *p >= '0' && *p <= '9' && seconds <= LONGEST_WAIT; p++)
		seconds = seconds * 10 + (uint64_t)(*p - '0');
	if (*p || !seconds || seconds > LONGEST_WAIT)
		return bad_global(ctx, t, g);
	ctx->deadline = clock_now_mono() + seconds * NS_PER_S;
	return 0;
}

static int set_progress(struct ctx *ctx, struct cli *c, const struct token *t,
			const struct cli_global *g)
{
	if (!strcmp(t->value, "bar"))
		c->progress = PROGRESS_BAR;
	else if (!strcmp(t->value, "json"))
		c->progress = PROGRESS_JSON;
	else if (!strcmp(t->value, "none"))
		c->progress = PROGRESS_NONE;
	else
		return bad_global(ctx, t, g);
	return 0;
}

static int set_valued(struct ctx *ctx, struct cli *c, const struct token *t,
		      const struct cli_global *g)
{
	if (!strcmp(g->word, "--timeout"))
		return set_timeout(ctx, t, g);
	if (!strcmp(g->word, "--progress"))
		return set_progress(ctx, c, t, g);
	if (strcmp(t->value, "b") && strcmp(t->value, "h"))
		return bad_global(ctx, t, g);
	c->units_b = t->value[0] == 'b';
	return 0;
}

static void set_switch(struct ctx *ctx, struct cli *c, const char *word)
{
	const struct { const char *word; bool *to; } switches[] = {
		{ "--json", &c->json }, { "--minimal", &c->minimal }, { "--quiet", &c->quiet },
		{ "--help", &c->help }, { "--version", &c->version },
		{ "--dry-run", &ctx->dry_run }, { "--verbose", &ctx->verbose },
	};

	for (size_t i = 0; i < ARRAY_SIZE(switches); i++)
		if (!strcmp(word, switches[i].word))
			*switches[i].to = true;
}

/* All of them before anything can fail for another reason: --json forms errors too. */
static int set_globals(struct ctx *ctx, struct cli *c, struct tokens *all)
{
	const struct cli_global *g;
	size_t seen = 0, bit;
	int err = 0;

	for (struct token *t = all->t; t < all->t + all->n; t++) {
		g = t->option ? find_global(t->option) : NULL;
		if (!g)
			continue;
		t->done = true;
		bit = (size_t)1 << (g - cli_globals);
		if (!g->value)
			set_switch(ctx, c, g->word);
		else if (!err && seen & bit)
			err = fail_say(ctx, -E_USAGE, "%s is given twice", g->word);
		seen |= bit;
		if (!err)
			err = check_value(ctx, t, g->value);
		if (!err && g->value && t->value)
			err = set_valued(ctx, c, t, g);
	}
	if (!err && c->json && c->minimal)
		err = fail_say(ctx, -E_USAGE, "--json and --minimal exclude each other");
	if (err)
		hint(ctx, "sm help");
	return err;
}

/* --- the command ----------------------------------------------------------- */

/* The next operand that nothing has taken; NULL = no more. */
static struct token *next_operand(struct tokens *all)
{
	for (struct token *t = all->t; t < all->t + all->n; t++)
		if (!t->done && !t->option)
			return t;
	return NULL;
}

/* The distinct objects, or with an object its verbs. */
static const char **commands(struct ctx *ctx, const char *object, size_t *n)
{
	const char **list = arena_array(&ctx->arena, n_ops + 2, sizeof(*list));
	const char *word;

	*n = 0;
	for (size_t i = 0; i < n_ops; i++) {
		if (!ops[i].object || (object && strcmp(ops[i].object, object)))
			continue;
		word = object ? ops[i].verb : ops[i].object;
		if (!*n || strcmp(list[*n - 1], word))
			list[(*n)++] = word;
	}
	return list;
}

static int no_object(struct ctx *ctx, const char *typed)
{
	size_t n;
	const char **list = commands(ctx, NULL, &n);

	list[n++] = "help";
	hint(ctx, "sm help");
	return unknown(ctx, "no such object", typed, list, n);
}

static int no_verb(struct ctx *ctx, const char *object, const char *typed)
{
	size_t n;
	const char **list = commands(ctx, object, &n);

	if (!n)
		return no_object(ctx, object);
	hint(ctx, "sm help %s", object);
	if (!typed)
		return fail_say(ctx, -E_USAGE, "%s: the verb is missing", object);
	return fail(ctx, unknown(ctx, "no such verb", typed, list, n), "%s", object);
}

/* "vdi list", or in one word "vdi-list". */
static int find_row(struct ctx *ctx, struct cli *c, struct tokens *all)
{
	struct token *t = next_operand(all);
	char *object = t->value, *dash = strchr(object, '-');

	t->done = true;
	if (dash) {
		object = arena_strndup(&ctx->arena, object, (size_t)(dash - object));
		c->row = op_by_verb(object, dash + 1);
		return c->row ? 0 : no_verb(ctx, object, dash + 1);
	}
	t = next_operand(all);
	if (!t)
		return no_verb(ctx, object, NULL);
	t->done = true;
	c->row = op_by_verb(object, t->value);
	return c->row ? 0 : no_verb(ctx, object, t->value);
}

/* --- the rest, by the usage string ----------------------------------------- */

static bool is_option(const struct usage_word *w)
{
	return w->word[0] == '-';
}

static int no_option(struct ctx *ctx, const struct cli_grammar *g, const char *typed)
{
	const char *words[CLI_WORDS + 16];
	size_t n = 0;

	for (size_t i = 0; i < g->n; i++)
		if (is_option(&g->w[i]))
			words[n++] = g->w[i].word;
	for (const struct cli_global *o = cli_globals; o->word && n < ARRAY_SIZE(words); o++)
		words[n++] = o->word;
	return unknown(ctx, "unknown option", typed, words, n);
}

/* Which word of the usage string is this?  g->n when none. */
static size_t match(const struct cli_grammar *g, const struct token *t)
{
	size_t i;

	for (i = 0; i < g->n; i++) {
		if (t->option ? !strcmp(g->w[i].word, t->option) :
		    !is_option(&g->w[i]) && (!g->seen[i] || g->w[i].many))
			break;
	}
	return i;
}

/* What follows an equals sign may be a secret. */
static int too_many(struct ctx *ctx, const char *typed)
{
	size_t n = strcspn(typed, "=");

	return fail_say(ctx, -E_USAGE, "one operand too many: '%.*s%s'", n < 64 ? (int)n : 64,
			typed, typed[n] ? "=…" : "");
}

static int set_token(struct ctx *ctx, struct request *rq, struct cli_grammar *g,
		     const struct token *t)
{
	size_t i = match(g, t);
	const struct arg *arg = i < g->n ? arg_find(g->w[i].word) : NULL;
	int err;

	if (!arg && t->option)
		return no_option(ctx, g, t->option);
	if (!arg)
		return too_many(ctx, t->value);
	if (g->seen[i] && !g->w[i].many && arg->kind != ARG_SWITCH)
		return fail_say(ctx, -E_USAGE, "%s is given twice", g->w[i].word);
	err = t->option ? check_value(ctx, t, arg->kind != ARG_SWITCH) : 0;
	if (err)
		return err;
	g->seen[i] = true;
	return request_set(ctx, rq, arg, t->value ? t->value : "");
}

static int check_complete(struct ctx *ctx, const struct request *rq, const struct cli_grammar *g)
{
	for (size_t i = 0; i < g->n; i++) {
		const struct usage_word *w = &g->w[i];

		if (w->optional || g->seen[i] || (rq->type && !strcmp(w->word, "--type")))
			continue;
		return fail_say(ctx, -E_USAGE, "%s%s%s is missing", w->word,
				w->value[0] ? " " : "", w->value);
	}
	return 0;
}

static int set_arguments(struct ctx *ctx, struct cli *c, struct tokens *all, struct request *rq)
{
	struct cli_grammar g;
	int err = 0;

	cli_grammar(&g, c->row);
	for (struct token *t = all->t; t < all->t + all->n && !err; t++)
		if (!t->done)
			err = set_token(ctx, rq, &g, t);
	if (!err)
		err = check_complete(ctx, rq, &g);
	if (err_kind(err) == -EINVAL)
		hint(ctx, "sm help %s %s", c->row->object, c->row->verb);
	return err;
}

/* What people mean by a verb, where the machines' doors ask in smaller steps. */
static void set_defaults(struct request *rq, enum op op)
{
	rq->op = op;
	rq->writable = true;
	rq->activate = op == OP_VDI_ATTACH || op == OP_VDI_DETACH;
	rq->keep_tab = op == OP_SR_CREATE || op == OP_SR_INTRODUCE || op == OP_SR_ATTACH ||
		       op == OP_SR_FORGET || op == OP_SR_DESTROY;
}

/* --- help and version ------------------------------------------------------ */

static int answer_help(struct ctx *ctx, struct cli *c, struct tokens *all)
{
	_buf_free_ struct buf b = { 0 };
	const char **words = arena_array(&ctx->arena, all->n + 1, sizeof(*words));
	struct token *t;
	size_t n = 0;
	int err;

	while ((t = next_operand(all))) {
		t->done = true;
		words[n++] = t->value;
	}
	err = help_topic(ctx, &b, words, n);
	if (err)
		return err;
	c->text = arena_strdup(&ctx->arena, buf_str(&b));
	return FRONT_DONE;
}

/* "sm" alone is a question; "sm --siez" is an error. */
static int no_command(struct ctx *ctx, struct cli *c, struct tokens *all)
{
	for (struct token *t = all->t; t < all->t + all->n; t++)
		if (!t->done) {
			hint(ctx, "sm help");
			return no_option(ctx, &(struct cli_grammar){ 0 }, t->option);
		}
	return answer_help(ctx, c, all);
}

int cli_parse(struct ctx *ctx, struct cli *c, int argc, char **argv, struct request *rq)
{
	struct tokens all = { 0 };
	struct token *first;
	int err;

	cut(ctx, argc, argv, &all);
	err = set_globals(ctx, c, &all);
	if (err)
		return err;
	if (c->version) {
		c->text = arena_printf(&ctx->arena, "%s\n", version_text);
		return FRONT_DONE;
	}
	first = next_operand(&all);
	if (first && !strcmp(first->value, "help"))
		first->done = c->help = true;
	if (c->help || (first && !strcmp(first->value, "completion")))
		return answer_help(ctx, c, &all);
	if (!first)
		return no_command(ctx, c, &all);
	err = find_row(ctx, c, &all);
	if (err)
		return err;
	set_defaults(rq, c->row->op);
	rq->progress = c->progress;
	return set_arguments(ctx, c, &all, rq);
}
