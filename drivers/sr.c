/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What every driver shares: rows by name, dconf, paths, lists of VDIs. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "drivers/datapath.h"
#include "drivers/format.h"
#include "drivers/layout.h"
#include "drivers/sr.h"
#include "drivers/vdi.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/file.h"

const struct sr_type *sr_type_find(const char *name)
{
	for_each_registered(sr_types, t)
		for (const char *const *n = (*t)->names; *n; n++)
			if (!strcasecmp(*n, name))
				return *t;
	return NULL;
}

int volume_hold(struct volume_split *s)
{
	int err = s->hold ? s->hold(s->arg) : 0;

	s->hold = NULL;
	return err;
}

void volume_go(struct volume_split *s, const struct vdi *leaf, const struct vdi *base)
{
	if (s->go)
		s->go(s->arg, leaf, base);
}

const struct format *sr_format(const struct sr_type *t, const char *name)
{
	const struct format *f;

	for (size_t i = 0; (f = sr_format_at(t, i)); i++)
		if (!strcmp(f->name, name))
			return f;
	return NULL;
}

static const struct format *format_find(const char *name)
{
	for_each_registered(formats, f)
		if (!strcmp((*f)->name, name))
			return *f;
	return NULL;
}

static const struct datapath *datapath_find(const char *name)
{
	for_each_registered(datapaths, d)
		if (!strcmp((*d)->name, name))
			return *d;
	return NULL;
}

const struct format *sr_format_at(const struct sr_type *t, size_t i)
{
	const struct format *f;

	for (const char *const *n = t->formats; n && *n; n++)
		if ((f = format_find(*n)) && !i--)
			return f;
	return NULL;
}

const struct datapath *sr_datapath_at(const struct sr_type *t, size_t i)
{
	const struct datapath *d;

	for (const char *const *n = t->datapaths; n && *n; n++)
		if ((d = datapath_find(*n)) && !i--)
			return d;
	return NULL;
}

static bool can_attach(const struct sr_type *t, const struct format *f)
{
	struct vdi vdi = { .format = f->name };
	const struct datapath *d;

	for (size_t i = 0; (d = sr_datapath_at(t, i)); i++)
		if (d->activate && d->serves(&vdi))
			return true;
	return false;
}

const struct format *sr_format_default(const struct sr_type *t)
{
	const struct format *f;

	for (size_t i = 0; IS_ENABLED(CONFIG_FMT_VHD) && (f = sr_format_at(t, i)); i++)
		if (can_attach(t, f))
			return f;
	return sr_format_at(t, 0);
}

char *sm_path(struct ctx *ctx, const char *fmt, ...)
{
	va_list ap;
	char *tail;

	va_start(ap, fmt);
	tail = arena_vprintf(&ctx->arena, fmt, ap);
	va_end(ap);
	return ctx->root && *ctx->root ? arena_printf(&ctx->arena, "%s%s", ctx->root, tail) : tail;
}

/* Keys that xapi and its tools add to every PBD, whatever the driver. */
static bool is_common_key(const char *key)
{
	static const char *const common[] = {
		"SRmaster", "SCSIid", "multipathing", "multipathhandle", "multiSession",
		"localIQN", "shared",
	};

	for (size_t i = 0; i < ARRAY_SIZE(common); i++)
		if (!strcmp(key, common[i]))
			return true;
	return false;
}

static void hint_keys(struct ctx *ctx, const struct sr_type *t)
{
	char list[128] = "";
	size_t n = 0;

	for (const struct key *k = t->keys; k && k->name && n < sizeof(list); k++)
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", n ? ", " : "", k->name);
	hint(ctx, n ? "keys of type %s: %s" : "type %s has no keys%s", t->names[0], list);
}

static int check_value(struct ctx *ctx, const struct key *k, const char *value)
{
	if (strlen(value) > 4096)
		return fail_say(ctx, -E_DCONF_BAD, "dconf %s is longer than 4096 bytes", k->name);
	for (const char *p = value; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return fail_say(ctx, -E_DCONF_BAD, "dconf %s holds a control character (0x%02x)",
					k->name, (unsigned char)*p);
	if (k->flags & KEY_PATH && !path_is_absolute_clean(value)) {
		hint(ctx, "give an absolute path without '..'");
		return fail_say(ctx, -E_DCONF_BAD, "dconf %s=%.128s is not an absolute path without '..'",
				k->name, value);
	}
	return 0;
}

int sr_check_dconf(struct ctx *ctx, const struct sr_type *t, const struct kvs *dconf, bool strict)
{
	for (const struct key *k = t->keys; k && k->name; k++) {
		const char *value = kv_get(dconf, k->name);
		int err;

		if (k->flags & KEY_MUST && (!value || !*value)) {
			hint(ctx, "--dconf %s=…", k->name);
			return fail_say(ctx, k->missing ? k->missing : -E_DCONF_KEY,
					"type %s: the dconf key '%s' is missing", t->names[0], k->name);
		}
		if (value && (err = check_value(ctx, k, value)))
			return err;
	}
	for (size_t i = 0; strict && i < dconf->n; i++) {
		const struct key *k = t->keys;

		while (k && k->name && strcmp(k->name, dconf->v[i].key))
			k++;
		if ((!k || !k->name) && !is_common_key(dconf->v[i].key)) {
			hint_keys(ctx, t);
			return fail_say(ctx, -E_DCONF_BAD, "type %s has no dconf key '%.64s'",
					t->names[0], dconf->v[i].key);
		}
	}
	return 0;
}

void vdis_expect(struct arena *a, struct vdis *l, size_t n)
{
	if (l->room - l->n >= n)
		return;
	l->room = l->n + n;
	l->v = arena_grow(a, l->v, l->n, l->room, sizeof(*l->v));
}

struct vdi *vdis_add(struct arena *a, struct vdis *l)
{
	if (l->n == l->room)
		vdis_expect(a, l, l->n ? l->n : 16);
	return &l->v[l->n++];
}

void vdis_problem(struct arena *a, struct vdis *l, const struct problem *p)
{
	if (l->n_problems == l->problems_room) {
		size_t room = l->problems_room ? l->problems_room * 2 : 8;

		l->problems = arena_grow(a, l->problems, l->n_problems, room, sizeof(*p));
		l->problems_room = room;
	}
	l->problems[l->n_problems++] = *p;
}

struct vdi *vdis_find(const struct vdis *l, const struct uuid *u)
{
	for (size_t i = 0; i < l->n; i++)
		if (uuid_equal(&l->v[i].uuid, u))
			return &l->v[i];
	return NULL;
}
