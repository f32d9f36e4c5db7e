/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "tests/unit/t.h"
#include "tests/unit/text_help.h"

bool text_data(const char *name, struct buf *b)
{
	const char *top = getenv("SRCTREE");
	char path[512];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/tests/data/text/%s", top ? top : ".", name);
	f = fopen(path, "r");
	if (!t_ok(__FILE__, __LINE__, path, f))
		return false;
	while ((n = fread(buf_room(b, 4096), 1, 4096, f)))
		b->n += n;
	buf_add(b, "", 0);
	fclose(f);
	return true;
}

void text_repeat(struct buf *b, const char *s, size_t n)
{
	while (n--)
		buf_puts(b, s);
}

char *text_exact(const void *p, size_t n)
{
	char *copy = must_alloc(n);

	if (n)
		memcpy(copy, p, n);
	return copy;
}
