/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "lib/num.h"
#include "lib/refcount.h"

void refcount_decode(struct view text, struct refcount *c)
{
	char copy[REFCOUNT_TEXT];
	const char *s = copy;
	uint64_t normal, binary;

	*c = (struct refcount){ 0 };
	if (text.n >= sizeof(copy))
		return;
	snprintf(copy, sizeof(copy), "%.*s", (int)text.n, (const char *)text.p);
	if (!num_take(&s, &normal) || *s++ != ' ' || !num_take(&s, &binary) || (*s && *s != '\n') ||
	    normal > UINT32_MAX)
		return;
	c->normal = (uint32_t)normal;
	c->binary = binary;
}

int refcount_encode(const struct refcount *c, char text[REFCOUNT_TEXT])
{
	if (!c->normal && !c->binary)
		return 0;
	return snprintf(text, REFCOUNT_TEXT, "%u %d\n", c->normal, c->binary);
}
