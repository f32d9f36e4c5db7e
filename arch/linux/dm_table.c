/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables and lists, as the kernel packs them and as text. */
#include <errno.h>
#include <inttypes.h>
#include <linux/dm-ioctl.h>
#include <stdlib.h>
#include <string.h>

#include "arch/linux/dm_impl.h"
#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/err.h"

static size_t align8(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

/* --- to the kernel --------------------------------------------------------- */

/* next counts from this target to the one behind it. */
int dm_table_encode(struct buf *b, const struct dm_table *t)
{
	static const char zero[8] = "";

	if (!t->n || t->n > UINT32_MAX / sizeof(struct dm_target_spec))
		return -EINVAL;
	for (size_t i = 0; i < t->n; i++) {
		const struct dm_target *g = &t->target[i];
		size_t text = strlen(g->params) + 1, len = align8(sizeof(struct dm_target_spec) + text);
		struct dm_target_spec s = {
			.sector_start = g->start,
			.length = g->length,
			.next = (uint32_t)len,
		};

		if (!*g->type || strlen(g->type) > DM_TYPE_MAX || len > UINT32_MAX / 2)
			return -EINVAL;
		memcpy(s.target_type, g->type, strlen(g->type));
		buf_add(b, &s, sizeof(s));
		buf_add(b, g->params, text);
		buf_add(b, zero, len - sizeof(s) - text);
	}
	return 0;
}

/* --- from the kernel --------------------------------------------------------- */

/* A string at `at` that ends within the view; NULL if it does not. */
static const char *string_at(struct view in, size_t at)
{
	const char *s = (const char *)in.p + at;

	return at < in.n && memchr(s, '\0', in.n - at) ? s : NULL;
}

/* next counts from the first target here. */
int dm_table_decode(struct arena *a, struct view in, uint32_t n, struct dm_table *t)
{
	size_t at = 0;

	*t = (struct dm_table){ 0 };
	if (n > in.n / sizeof(struct dm_target_spec))
		return -EPROTO;
	t->target = arena_array(a, n, sizeof(*t->target));
	for (uint32_t i = 0; i < n; i++) {
		struct dm_target_spec s;
		const char *params;

		if (!range_ok(at, sizeof(s), in.n))
			return -EPROTO;
		memcpy(&s, (const char *)in.p + at, sizeof(s));
		params = string_at(in, at + sizeof(s));
		if (!params)
			return -EPROTO;
		t->target[i] = (struct dm_target){
			.start = s.sector_start,
			.length = s.length,
			.type = arena_strndup(a, s.target_type, sizeof(s.target_type)),
			.params = arena_strdup(a, params),
		};
		at = s.next;
	}
	t->n = n;
	return 0;
}

/*
 * Behind a name, at the next multiple of 8: the event number (from 4.38 on),
 * flags, and at the next multiple of 8 the uuid (both from 4.46 on, and only
 * if they were asked for).
 */
static const char *uuid_of(struct view in, size_t at, bool *has)
{
	uint32_t flags;

	*has = false;
	at = align8(at);
	if (!range_ok(at, 8, in.n))
		return "";
	memcpy(&flags, (const char *)in.p + at + 4, sizeof(flags));
	*has = flags & (DM_NAME_LIST_FLAG_HAS_UUID | DM_NAME_LIST_FLAG_DOESNT_HAVE_UUID);
	return flags & DM_NAME_LIST_FLAG_HAS_UUID ? string_at(in, at + 8) : "";
}

static char *plain(struct arena *a, const char *mangled)
{
	size_t n = strlen(mangled) + 1;
	char *out = arena_alloc(a, n);

	dm_demangle(out, n, mangled);
	return out;
}

int dm_list_decode(struct arena *a, struct view in, uint32_t minor_nr, struct dm_entry **list,
		   size_t *count, bool *has_uuids)
{
	const size_t name_at = offsetof(struct dm_name_list, name);
	size_t at = 0, n = 0, room = 0;
	struct dm_entry *v = NULL;

	*has_uuids = true;
	for (;;) {
		const char *name, *uuid = "";
		struct dm_name_list rec;
		bool has = false;

		if (!range_ok(at, sizeof(rec), in.n))
			return -EPROTO;
		memcpy(&rec, (const char *)in.p + at, sizeof(rec));
		if (!rec.dev)
			break;		/* there are none at all */
		name = string_at(in, at + name_at);
		if (name && minor_nr >= 46)
			uuid = uuid_of(in, at + name_at + strlen(name) + 1, &has);
		if (!name || !uuid)
			return -EPROTO;
		*has_uuids = *has_uuids && has;
		if (n == room) {
			room = room ? room * 2 : 32;
			v = arena_grow(a, v, n, room, sizeof(*v));
		}
		v[n++] = (struct dm_entry){ dm_dev_get(rec.dev), plain(a, name), plain(a, uuid) };
		if (!rec.next)
			break;
		at += rec.next;
	}
	*list = v;
	*count = n;
	return 0;
}

int dm_deps_decode(struct arena *a, struct view in, dev_t **devs, size_t *n)
{
	struct dm_target_deps d;
	uint64_t word;

	if (in.n < sizeof(d))
		return -EPROTO;
	memcpy(&d, in.p, sizeof(d));
	if (d.count > (in.n - sizeof(d)) / sizeof(word))
		return -EPROTO;
	*devs = arena_array(a, d.count, sizeof(**devs));
	for (uint32_t i = 0; i < d.count; i++) {
		memcpy(&word, (const char *)in.p + sizeof(d) + i * sizeof(word), sizeof(word));
		(*devs)[i] = dm_dev_get(word);
	}
	*n = d.count;
	return 0;
}

/* --- as text ---------------------------------------------------------------------- */

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool number(const char **p, const char *end, uint64_t *v)
{
	const char *s = *p;

	for (*v = 0; s < end && *s >= '0' && *s <= '9'; s++)
		if (!mul_ok(*v, 10, v) || !add_ok(*v, (uint64_t)(*s - '0'), v))
			return false;
	if (s == *p || s == end || !blank(*s))
		return false;
	while (s < end && blank(*s))
		s++;
	*p = s;
	return true;
}

/* "START LENGTH TYPE PARAMS", where there may be no parameters. */
static bool parse_line(struct arena *a, const char *p, const char *end, struct dm_target *g)
{
	const char *type;

	while (p < end && blank(*p))
		p++;
	while (end > p && blank(end[-1]))
		end--;
	if (!number(&p, end, &g->start) || !number(&p, end, &g->length))
		return false;
	for (type = p; p < end && !blank(*p); )
		p++;
	if (p == type || p - type > DM_TYPE_MAX)
		return false;
	g->type = arena_strndup(a, type, (size_t)(p - type));
	while (p < end && blank(*p))
		p++;
	g->params = arena_strndup(a, p, (size_t)(end - p));
	return true;
}

int dm_table_parse(struct arena *a, const char *text, struct dm_table *t)
{
	size_t room = 0;

	*t = (struct dm_table){ 0 };
	for (const char *p = text; *p; ) {
		const char *end = p + strcspn(p, "\n");

		if (t->n == room) {
			room = room ? room * 2 : 8;
			t->target = arena_grow(a, t->target, t->n, room, sizeof(*t->target));
		}
		if (end != p && !parse_line(a, p, end, &t->target[t->n++]))
			return -E_DM_TABLE;
		p = *end ? end + 1 : end;
	}
	return t->n ? 0 : -E_DM_TABLE;
}

void dm_table_print(const struct dm_table *t, struct buf *b)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct dm_target *g = &t->target[i];

		buf_printf(b, "%" PRIu64 " %" PRIu64 " %s%s%s\n", g->start, g->length, g->type,
			   *g->params ? " " : "", g->params);
	}
}

bool dm_table_equal(const struct dm_table *a, const struct dm_table *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct dm_target *x = &a->target[i], *y = &b->target[i];

		if (x->start != y->start || x->length != y->length ||
		    strcmp(x->type, y->type) || strcmp(x->params, y->params))
			return false;
	}
	return true;
}
