/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The name that marks VGs as this host's, by lvm2's configuration. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/utsname.h>

#include "arch/lvmhost.h"
#include "lib/arena.h"
#include "lib/file.h"
#include "lib/lvm2/tree.h"

#define CONF_MOST	(1u << 20)
#define ID_MOST		128

struct conf {
	struct arena *a;
	const char *root;
	const char *source, *id, *file;		/* global/system_id_source, local/system_id … */
};

static const char *string(struct arena *a, const struct lvm_node *n)
{
	const struct lvm_value *v = n->kind == LVM_SCALAR ? n->value : NULL;

	return v && v->type == LVM_STRING ? arena_strndup(a, v->str.p, v->str.n) : NULL;
}

/* "section/name", or name within a section. */
static bool is_key(const struct lvm_node *n, const struct lvm_node *section, const char *where,
		   const char *name)
{
	size_t len = strlen(where);
	const char *key = n->key.p;

	if (section)
		return lvm_view_is(section->key, where) && lvm_view_is(n->key, name);
	return n->key.n == len + 1 + strlen(name) && !memcmp(key, where, len) && key[len] == '/' &&
	       !memcmp(key + len + 1, name, strlen(name));
}

static void take(struct conf *c, const struct lvm_node *n, const struct lvm_node *section)
{
	if (is_key(n, section, "global", "system_id_source"))
		c->source = string(c->a, n);
	else if (is_key(n, section, "global", "system_id_file"))
		c->file = string(c->a, n);
	else if (is_key(n, section, "local", "system_id"))
		c->id = string(c->a, n);
}

/* A file that is not there, or that lvm2 could not read either, says nothing. */
static void read_conf(struct conf *c, const char *name)
{
	struct lvm_text t;
	struct lvm_node n;
	struct view text;

	if (file_read_small(AT_FDCWD, arena_printf(c->a, "%s/etc/lvm/%s", c->root, name), c->a,
			    CONF_MOST, &text) || lvm_text_open(&t, text))
		return;
	while (lvm_text_next(&t, &n) == 1 && !lvm_text_body(&t, c->a, &n)) {
		if (n.kind != LVM_SECTION)
			take(c, &n, NULL);
		for (const struct lvm_node *in = n.kind == LVM_SECTION ? n.first : NULL; in;
		     in = in->next)
			take(c, in, &n);
	}
}

/* The first line that is no comment. */
static const char *first_line(struct conf *c, const char *path)
{
	struct view text;
	const char *p;

	if (!path || file_read_small(AT_FDCWD, arena_printf(c->a, "%s%s", c->root, path), c->a,
				     CONF_MOST, &text))
		return NULL;
	for (p = text.p; *p; p += strcspn(p, "\n"), p += *p == '\n') {
		p += strspn(p, " \t");
		if (*p != '#' && *p != '\n' && *p)
			return arena_strndup(c->a, p, strcspn(p, " \t\n"));
	}
	return NULL;
}

/* lvm2 drops what may not be in an id. */
static const char *valid(struct arena *a, const char *id)
{
	char *out, *to;

	if (!id)
		return NULL;
	out = to = arena_strndup(a, id, ID_MOST);
	for (const char *p = out; *p; p++)
		if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
		    (*p >= '0' && *p <= '9') || strchr("+_.-", *p))
			*to++ = *p;
	*to = '\0';
	out += strspn(out, "-");
	return *out && strncmp(out, "localhost", 9) ? out : NULL;
}

const char *lvmhost_system_id(const char *root, struct arena *a)
{
	struct conf c = { .a = a, .root = root };
	struct utsname u;

	read_conf(&c, "lvm.conf");
	read_conf(&c, "lvmlocal.conf");
	if (!c.source)
		return NULL;
	if (!strcmp(c.source, "lvmlocal"))
		return valid(a, c.id);
	if (!strcmp(c.source, "uname"))
		return uname(&u) ? NULL : valid(a, arena_strdup(a, u.nodename));
	if (!strcmp(c.source, "machineid"))
		return valid(a, first_line(&c, "/etc/machine-id"));
	if (!strcmp(c.source, "file"))
		return valid(a, first_line(&c, c.file));
	return NULL;
}
