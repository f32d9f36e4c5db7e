/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/lvm2/mda.h"
#include "lib/lvm2/tree.h"
#include "tests/unit/t.h"

/* All of a text as one section. */
static int parse(struct arena *a, struct lvm_node *top, const char *text)
{
	struct lvm_text t;
	struct lvm_node n;
	int err = lvm_text_open(&t, (struct view){ text, strlen(text) });

	*top = (struct lvm_node){ .kind = LVM_SECTION };
	top->end = &top->first;
	while (!err && (err = lvm_text_next(&t, &n)) == 1) {
		err = lvm_text_body(&t, a, &n);
		lvm_node_add(top, arena_copy(a, &n, sizeof(n)));
	}
	return err;
}

static int64_t number(const char *value)
{
	struct arena a = { 0 };
	struct lvm_node top;
	int64_t v = -99;
	char text[64];
	int err;

	snprintf(text, sizeof(text), "k=%s", value);
	err = parse(&a, &top, text);
	if (!err)
		err = lvm_get_int(&top, "k", &v);
	arena_free(&a);
	return err ? err : v;
}

TEST(lvm_text_numbers)
{
	EQ(number("17"), 17);
	EQ(number("-1"), -1);
	EQ(number("+5"), 5);
	EQ(number("010"), 8);
	EQ(number("0"), 0);
	EQ(number("08"), -E_RANGE);
	EQ(number("9223372036854775807"), INT64_MAX);
	EQ(number("-9223372036854775808"), INT64_MIN);
	EQ(number("9223372036854775808"), -E_RANGE);
	EQ(number("0x10"), -E_TEXT);
	EQ(number("1.5"), -E_LVM_TYPE);
	EQ(number("\"1\""), -E_LVM_TYPE);
	EQ(number("[1]"), -E_LVM_TYPE);
	EQ(number(""), -E_TEXT);
	EQ(number("-"), -E_LVM_TYPE);
}

TEST(lvm_text_of_every_shape)
{
	struct arena a = { 0 };
	struct lvm_node top;
	const struct lvm_node *list;
	struct view v;

	EQ(parse(&a, &top,
		 "# first \" { comment\n"
		 "c='say \"x\"' a{b='it\\s' b2=\"q\\\"u\\\\o\" empty=[] none=\"\"}"
		 "l = [ \"x\" 'y' , word # in between\n, 7 ]\n"
		 "tags = \"one\" key-1.2+[3],=4 'quoted key' = 5 b2 = dup b2 = second"), 0);
	EQ(lvm_get_str(&top, "c", &v), 0);
	OK(lvm_view_is(v, "say \"x\""));
	EQ(lvm_get_str(lvm_find(&top, "a"), "b", &v), 0);
	OK(lvm_view_is(v, "it\\s"));
	EQ(lvm_get_str(lvm_find(&top, "a"), "b2", &v), 0);
	OK(lvm_view_is(v, "q\"u\\o"));
	EQ(lvm_get_str(lvm_find(&top, "a"), "none", &v), 0);
	EQ(v.n, 0);
	EQ(lvm_get_list(lvm_find(&top, "a"), "empty", &list), 0);
	EQ(list->n_values, 0);
	EQ(lvm_get_list(&top, "l", &list), -E_LVM_TYPE);	/* there is a number in it */
	EQ(lvm_find(&top, "l")->n_values, 4);
	EQ(lvm_get_list(&top, "tags", &list), 0);
	EQ(list->n_values, 1);
	EQ(lvm_find(&top, "key-1.2+[3],")->value->num, 4);
	EQ(lvm_find(&top, "quoted key")->value->num, 5);
	EQ(lvm_get_str(&top, "b2", &v), 0);
	OK(lvm_view_is(v, "dup"));				/* the first one counts */
	EQ(lvm_get_list(&top, "gone", &list), -ENOENT);
	arena_free(&a);
}

TEST(lvm_text_that_is_none)
{
	static const char *const bad[] = {
		"a", "a =", "a {", "a { b = 1", "}", "a = [1", "a = [1,,2]", "a = \"x", "a = 'x",
		"= 1", "{ }", "a = 1 2", "a = }", "a = 1x", "a = [ [ ] ]", "a b = 1", "a = 1 ] b = 2",
		"\"\" = 1",
	};
	struct arena a = { 0 };
	struct lvm_node top;
	struct lvm_text t;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (!EQ(parse(&a, &top, bad[i]), -E_TEXT))
			printf("# accepted: %s\n", bad[i]);
	EQ(lvm_text_open(&t, (struct view){ "", 100 * MiB }), -E_TEXT_BIG);
	arena_free(&a);
}

TEST(lvm_text_has_a_floor)
{
	char deep[2 * 64 + 1] = "";
	struct arena a = { 0 };
	struct lvm_node top;

	for (int i = 0; i < 64; i++)
		strcat(deep, "a{");
	EQ(parse(&a, &top, deep), -E_TEXT_DEEP);
	arena_free(&a);
}

TEST(lvm_text_ends_at_the_first_nul)
{
	static const char text[] = "a = 1\0b = 2";
	struct lvm_text t;
	struct lvm_node n;
	struct arena a = { 0 };

	EQ(lvm_text_open(&t, (struct view){ text, sizeof(text) }), 0);
	EQ(lvm_text_next(&t, &n), 1);
	EQ(lvm_text_body(&t, &a, &n), 0);
	EQ(lvm_text_next(&t, &n), 0);
	EQ(lvm_text_line(&t), 1);
	arena_free(&a);
}

TEST(lvm_tree_puts_new_entries_in_their_place)
{
	static const struct lvm_key order[] = {
		{ "id", false }, { "status", false }, { "tags", false }, { "policy", true },
		{ "count", false }, { NULL, false },
	};
	static const char *const tags[] = { "b", "a" };
	_buf_free_ struct buf b = { 0 };
	struct arena a = { 0 };
	struct lvm_node top;
	struct lvm_node *s;

	EQ(parse(&a, &top, "s {\nid = \"x\"\nodd = 'raw'\n\nstatus = [ ]\nown = 1\ncount = 07\n"
		 "sub {\nk = 1\n}\n}\n"), 0);
	s = lvm_find(&top, "s");
	lvm_set_list(&a, s, order, "tags", tags, 2);
	lvm_set_str(&a, s, order, "policy", "say \"\\\"");
	lvm_set_int(&a, s, order, "count", -8);
	lvm_unset(s, "own");
	lvm_print(&b, s);
	STR_EQ(buf_str(&b),
	       "s {\nid = \"x\"\nodd = 'raw'\n\nstatus = []\ntags = [\"b\", \"a\"]\n\n"
	       "policy = \"say \\\"\\\\\\\"\"\ncount = -8\nsub {\nk = 1\n}\n}\n");
	arena_free(&a);
}
