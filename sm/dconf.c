/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/bytes.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/io.h"
#include "sm/dconf.h"

/* A password file or a list of keys is a few lines. */
#define FILE_MOST	((size_t)64 << 10)

static int read_file(struct ctx *ctx, const char *path, char **text)
{
	_close_ int own = -1;
	int fd = STDIN_FILENO;
	size_t n = 0;
	ssize_t got;

	/* A pipe is waited for: <(a command that tells a secret). */
	if (strcmp(path, "-")) {
		fd = own = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (fd < 0)
			return fail(ctx, -errno, "%s", path);
	}
	*text = arena_alloc(&ctx->arena, FILE_MOST + 1);
	while ((got = read(fd, *text + n, FILE_MOST + 1 - n)) > 0) {
		n += (size_t)got;
		if (n > FILE_MOST)
			return fail_say(ctx, -E_TEXT_BIG, "%s is larger than 64 KiB", path);
	}
	if (got < 0)
		return fail(ctx, -errno, "read %s", path);
	if (memchr(*text, '\0', n))
		return fail_say(ctx, -E_TEXT, "%s holds a NUL byte", path);
	return 0;
}

int dconf_add(struct ctx *ctx, struct kvs *dconf, const char *key, const char *value)
{
	char *text;
	int err;

	if (kv_get(dconf, key)) {
		hint(ctx, "give each key once");
		return fail_say(ctx, -E_ARG, "the key '%.64s' is given twice", key);
	}
	if (value[0] != '@') {
		kv_set(&ctx->arena, dconf, key, value);
		/* Others can read our argv: a secret stays there no longer than this. */
		if (kv_is_secret(key))
			memset((char *)value, 'x', strlen(value));
		return 0;
	}
	err = read_file(ctx, value + 1, &text);
	if (err)
		return fail(ctx, err, "value of '%.64s'", key);
	text[strcspn(text, "\r\n")] = '\0';
	kv_set(&ctx->arena, dconf, key, text);
	return 0;
}

int dconf_add_file(struct ctx *ctx, struct kvs *dconf, const char *path)
{
	char *text, *line, *next;
	size_t number = 0;
	int err = read_file(ctx, path, &text);

	for (line = text; !err && line; line = next) {
		char *eq;

		number++;
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		line += strspn(line, " \t");
		line[strcspn(line, "\r")] = '\0';
		if (!*line || *line == '#')
			continue;
		eq = strchr(line, '=');
		if (!eq || eq == line)
			return fail_say(ctx, -E_ARG, "%s: line %zu is not KEY=VALUE", path, number);
		*eq = '\0';
		err = dconf_add(ctx, dconf, line, eq + 1);
	}
	return err;
}
