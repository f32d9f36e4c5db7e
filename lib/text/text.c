/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/num.h"
#include "lib/text/text.h"

int text_error(struct text_where *where, const char *doc, size_t at, int err)
{
	if (!where)
		return err;
	*where = (struct text_where){ .at = at, .line = 1 };
	for (size_t i = 0; i < at; i++)
		where->line += doc[i] == '\n';
	return err;
}

bool text_u64(const char *s, uint64_t *out)
{
	uint64_t n = 0;

	if (!*s)
		return false;
	for (; *s; s++)
		if (*s < '0' || *s > '9' || !mul_ok(n, 10, &n) ||
		    !add_ok(n, (uint64_t)(*s - '0'), &n))
			return false;
	*out = n;
	return true;
}

bool text_i64(const char *s, int64_t *out)
{
	bool negative = *s == '-';
	uint64_t n;

	if (!text_u64(s + (*s == '-' || *s == '+'), &n) || n > INT64_MAX + (uint64_t)negative)
		return false;
	*out = (int64_t)(negative ? -n : n);
	return true;
}

static int by_name(const void *a, const void *b)
{
	const struct text_key *x = a, *y = b;
	int order = strcmp(x->s, y->s);

	return order ? order : (x->at > y->at) - (x->at < y->at);
}

bool text_twice(struct text_key *keys, size_t n, size_t *at)
{
	bool found = false;

	if (n)
		num_sort(keys, n, sizeof(*keys), by_name);
	for (size_t i = 1; i < n; i++) {
		if (strcmp(keys[i - 1].s, keys[i].s) || (found && keys[i].at > *at))
			continue;
		*at = keys[i].at;
		found = true;
	}
	return found;
}
