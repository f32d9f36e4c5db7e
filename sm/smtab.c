/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "arch/lock.h"
#include "drivers/sr.h"
#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/file.h"
#include "sm/locks.h"
#include "sm/smtab.h"

/* Ten thousand SRs of a hundred bytes. */
#define SMTAB_MOST	((size_t)1 << 20)

static bool is_octal(const char *p)
{
	return p[0] >= '0' && p[0] <= '3' && p[1] >= '0' && p[1] <= '7' && p[2] >= '0' && p[2] <= '7';
}

static void put_field(struct buf *b, const char *s)
{
	if (!*s)
		buf_puts(b, "\\040");	/* an empty field would be none; read back as "" */
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c <= ' ' || c == ',' || c == '\\' || c == '#' || c == 0x7f)
			buf_printf(b, "\\%03o", c);
		else
			buf_putc(b, *s);
	}
}

static char *get_field(struct arena *a, const char *p, size_t n)
{
	char *s = arena_strndup(a, p, n), *to = s;

	if (!strcmp(s, "\\040"))
		return arena_strdup(a, "");
	for (const char *from = s; *from; ) {
		if (*from == '\\' && is_octal(from + 1) && memcmp(from + 1, "000", 3)) {
			*to++ = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
	return s;
}

/* The next field of a line, and past it; false at the end. */
static bool next_field(const char **p, const char *end, struct view *field)
{
	while (*p < end && (**p == ' ' || **p == '\t'))
		++*p;
	field->p = *p;
	while (*p < end && **p != ' ' && **p != '\t')
		++*p;
	field->n = (size_t)(*p - (const char *)field->p);
	return field->n > 0;
}

static bool parse_line(struct arena *a, const char *p, const char *end, struct smtab_entry *e)
{
	struct view f;

	*e = (struct smtab_entry){ 0 };
	if (memchr(p, '\0', (size_t)(end - p)))
		return false;
	if (!next_field(&p, end, &f) || f.n != UUID_LEN || uuid_parse_n(&e->uuid, f.p, f.n))
		return false;
	if (!next_field(&p, end, &f))
		return false;
	e->type = get_field(a, f.p, f.n);
	if (!next_field(&p, end, &f))
		return false;
	e->name = get_field(a, f.p, f.n);
	while (next_field(&p, end, &f)) {
		const char *eq = memchr(f.p, '=', f.n);
		const char *key = eq ? get_field(a, f.p, (size_t)(eq - (const char *)f.p)) : "";

		if (!*key)
			return false;
		kv_set(a, &e->dconf, key,
		       get_field(a, eq + 1, f.n - (size_t)(eq + 1 - (const char *)f.p)));
	}
	return true;
}

static int open_etc(struct ctx *ctx, bool make, int *dir)
{
	const char *path = sm_path(ctx, "/etc");
	int err;

	if (make && (err = mkdir_p(path, 0755)))
		return fail(ctx, err, "make %s", path);
	*dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *dir < 0 ? -errno : 0;
}

static int read_text(struct ctx *ctx, int dir, struct view *text)
{
	int err = file_read_small(dir, "smtab", &ctx->arena, SMTAB_MOST, text);

	*text = err ? (struct view){ "", 0 } : *text;
	return err && err != -ENOENT ? fail(ctx, err, "read %s", sm_path(ctx, "/etc/smtab")) : 0;
}

int smtab_read(struct ctx *ctx, struct smtab *t)
{
	_close_ int dir = -1;
	struct view text;
	const char *p, *end;
	size_t line = 0, room = 0;
	int err = open_etc(ctx, false, &dir);

	*t = (struct smtab){ 0 };
	if (err == -ENOENT)
		return 0;
	if (err)
		return fail(ctx, err, "open %s", sm_path(ctx, "/etc"));
	err = read_text(ctx, dir, &text);
	if (err)
		return err;
	for (p = text.p, end = p + text.n; p < end; ) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		const char *stop = nl ? nl : end;
		const char *first = p + strspn(p, " \t");
		struct smtab_entry e;

		line++;
		if (first >= stop || *first == '#') {
			;
		} else if (parse_line(&ctx->arena, p, stop, &e)) {
			if (t->n == room) {
				room = room ? room * 2 : 8;
				t->v = arena_grow(&ctx->arena, t->v, t->n, room, sizeof(e));
			}
			t->v[t->n++] = e;
		} else if (!t->bad_line) {
			t->bad_line = line;
		}
		p = stop + 1;
	}
	return 0;
}

/* Copy the table, leaving out the line of u, and put e (which may be NULL) at its place. */
static void rewrite(struct arena *a, struct view text, const struct uuid *u,
		    const struct smtab_entry *e, struct buf *out)
{
	const char *p = text.p, *end = p + text.n;
	bool done = !e;

	for (int last = 0; p < end || !last; ) {
		const char *nl = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;
		const char *stop = nl ? nl : end;
		struct smtab_entry old;
		bool mine = p < end && parse_line(a, p, stop, &old) && uuid_equal(&old.uuid, u);

		if (p < end && !mine) {
			buf_add(out, p, (size_t)(stop - p));
			buf_putc(out, '\n');
		}
		last = p >= end;
		if (!done && (mine || last)) {
			buf_printf(out, "%s ", e->uuid.s);
			put_field(out, e->type);
			buf_putc(out, ' ');
			put_field(out, e->name);
			for (size_t i = 0; i < e->dconf.n; i++) {
				buf_putc(out, ' ');
				put_field(out, e->dconf.v[i].key);
				buf_putc(out, '=');
				if (*e->dconf.v[i].value)
					put_field(out, e->dconf.v[i].value);
			}
			buf_putc(out, '\n');
			done = true;
		}
		p = stop + 1;
	}
}

static int change(struct ctx *ctx, const struct uuid *u, const struct smtab_entry *e)
{
	_buf_free_ struct buf out = { 0 };
	_close_ int dir = -1;
	_unlock_ int lock = -1;
	struct view text;
	int err = lock_host(ctx, NULL, "smtab", &lock);

	if (!err)
		err = open_etc(ctx, e, &dir);
	if (err == -ENOENT)
		return 0;		/* nothing to remove from */
	if (!err)
		err = read_text(ctx, dir, &text);
	if (err)
		return fail(ctx, err, "change %s", sm_path(ctx, "/etc/smtab"));
	rewrite(&ctx->arena, text, u, e, &out);
	if (out.n == text.n && (!out.n || !memcmp(out.p, text.p, out.n)))
		return 0;
	if (out.n > SMTAB_MOST)
		return fail_say(ctx, -E_TEXT_BIG, "%s would be longer than 1 MiB",
				sm_path(ctx, "/etc/smtab"));
	err = file_replace(dir, "smtab", out.p, out.n, 0600);	/* commit */
	return err ? fail(ctx, err, "write %s", sm_path(ctx, "/etc/smtab")) : 0;
}

int smtab_put(struct ctx *ctx, const struct smtab_entry *e)
{
	return change(ctx, &e->uuid, e);
}

int smtab_remove(struct ctx *ctx, const struct uuid *u)
{
	return change(ctx, u, NULL);
}

int smtab_find(struct ctx *ctx, const struct smtab *t, const char *what,
	       const struct smtab_entry **e)
{
	const struct smtab_entry *first = NULL;
	size_t n = 0;

	/* A whole uuid, then a name, then a prefix: the surest meaning first. */
	for (int pass = 0; pass < 3 && !n; pass++)
		for (size_t i = 0; i < t->n; i++) {
			const struct smtab_entry *x = &t->v[i];
			bool hit = pass == 0 ? !strcasecmp(x->uuid.s, what) :
				   pass == 1 ? !strcmp(x->name, what) :
				   uuid_is_prefix(what) && !strncasecmp(x->uuid.s, what, strlen(what));

			if (hit && !n++)
				first = x;
			else if (hit)
				hint(ctx, "%s or %s", first->uuid.s, x->uuid.s);
		}
	if (!n) {
		hint(ctx, "sm sr list");
		return fail(ctx, -E_SR_MISSING, "SR %.128s", what);
	}
	if (n > 1)
		return fail_say(ctx, -E_AMBIGUOUS, "%zu SRs are called %.128s", n, what);
	*e = first;
	return 0;
}
