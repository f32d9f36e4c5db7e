/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which words the command line knows, and which one was probably meant. */
#include <string.h>

#include "lib/bytes.h"
#include "sm/front/cli.h"

const struct cli_global cli_globals[] = {
	{ "--json",	NULL, NULL,		"answer with one JSON document" },
	{ "--minimal",	NULL, NULL,		"answer with the uuids only, separated by commas" },
	{ "--units",	NULL, "b|h",		"sizes in tables: bytes, or for humans (default)" },
	{ "--dry-run",	NULL, NULL,		"say what would be done and do nothing" },
	{ "--timeout",	NULL, "SECONDS",	"give up after so long (exit code 124)" },
	{ "--progress",	NULL, "bar|json|none",	"how long work shows that it lives" },
	{ "--verbose",	"-v", NULL,		"log to standard error too" },
	{ "--quiet",	"-q", NULL,		"no warnings" },
	{ "--help",	"-h", NULL,		"help on the command" },
	{ "--version",	NULL, NULL,		"version, configuration and commit" },
	{ NULL, NULL, NULL, NULL },
};

void cli_grammar(struct cli_grammar *g, const struct op_row *row)
{
	static const struct usage_word where[] = {
		{ "--type", "TYPE", true, false },
		{ "--dconf", "KEY=VALUE", true, true },
		{ "--dconf-file", "FILE", true, true },
	};
	const char *at = row->usage;
	size_t known;

	*g = (struct cli_grammar){ 0 };
	while (g->n < CLI_WORDS - ARRAY_SIZE(where) && usage_next(&at, &g->w[g->n]))
		g->n++;
	g->n_usage = g->n;
	if (!(row->flags & (NEEDS_SR | NEEDS_OPEN | NEEDS_TYPE)) && row->op != OP_VDI_LIST)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(where); i++) {
		for (known = 0; known < g->n_usage; known++)
			if (!strcmp(g->w[known].word, where[i].word))
				break;
		if (known == g->n_usage)
			g->w[g->n++] = where[i];
	}
}

/* --- words that were nearly right ------------------------------------------ */

#define LONGEST_WORD	31

/* How many letters must change, be added or go to turn a into b; both short. */
static unsigned distance(const char *a, const char *b)
{
	unsigned char d[LONGEST_WORD + 1];
	size_t nb = strlen(b);

	for (size_t j = 0; j <= nb; j++)
		d[j] = (unsigned char)j;
	for (; *a; a++) {
		unsigned corner = d[0]++;	/* the value up and to the left */

		for (size_t j = 1; j <= nb; j++) {
			unsigned swap = corner + (*a != b[j - 1]);
			unsigned step = (d[j] < d[j - 1] ? d[j] : d[j - 1]) + 1u;

			corner = d[j];
			d[j] = (unsigned char)(swap < step ? swap : step);
		}
	}
	return d[nb];
}

const char *cli_nearest(const char *typed, const char *const *words, size_t n)
{
	const char *best = NULL;
	unsigned d, least = 3;

	if (strlen(typed) > LONGEST_WORD)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		if (strlen(words[i]) > LONGEST_WORD)
			continue;
		d = distance(typed, words[i]);
		/* Of three letters, two changed are another word. */
		if (d < least && d < strlen(words[i])) {
			least = d;
			best = words[i];
		}
	}
	return best;
}
