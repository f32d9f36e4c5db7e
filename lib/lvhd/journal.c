/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/lvhd/journal.h"
#include "lib/lvm2/lv_io.h"
#include "lib/lvm2/ops.h"

/* The name of a device-mapper device, as upstream reckons it: dashes of the LV count once. */
#define DM_MOST	127

void lvhd_journal_encode(const char *value, char sector[512])
{
	int n = snprintf(sector, 512, "%zu %s", strlen(value), value);

	if (n < 512)
		memset(sector + n, ' ', (size_t)(512 - n));
}

int lvhd_journal_decode(struct arena *a, const char sector[512], const char **value)
{
	char text[513], *end;
	unsigned long n;

	memcpy(text, sector, 512);
	text[512] = '\0';
	if (text[0] < '0' || text[0] > '9')
		return -E_LVHD_JOURNAL;
	n = strtoul(text, &end, 10);
	if (*end != ' ' || !n || n > (size_t)(text + 512 - (end + 1)) || strnlen(end + 1, n) != n)
		return -E_LVHD_JOURNAL;
	*value = arena_strndup(a, end + 1, n);
	return 0;
}

static int read_value(struct lvhd *h, struct lvhd_journal *j)
{
	_io_close_ struct io *io = NULL;
	char sector[512];
	int err = lvm_lv_io(&io, h->vg, j->lv);

	if (!err)
		err = io_read(io, 0, sector, sizeof(sector));
	return err ? err : lvhd_journal_decode(h->arena, sector, &j->value);
}

static int parse_number(const char *s, uint64_t *n)
{
	char *end;

	if (*s < '0' || *s > '9' || strlen(s) > 18)
		return -E_LVHD_JOURNAL;
	*n = strtoull(s, &end, 10);
	return *end ? -E_LVHD_JOURNAL : 0;
}

static int parse_clone(struct lvhd_journal *j)
{
	const char *p = j->value;

	if (strlen(p) <= UUID_LEN || p[UUID_LEN] != '_' || uuid_parse_n(&j->base, p, UUID_LEN))
		return -E_LVHD_JOURNAL;
	p += UUID_LEN + 1;
	return *p && uuid_parse(&j->clone, p) ? -E_LVHD_JOURNAL : 0;
}

static int parse_value(struct lvhd *h, struct lvhd_journal *j)
{
	int err = 0;

	/* In 2012 the value was always in the name. */
	if ((j->type == LVHD_CLONE || j->type == LVHD_LEAF) && !strcmp(j->value, "1"))
		err = read_value(h, j);
	if (err)
		return err;
	switch (j->type) {
	case LVHD_INFLATE:
	case LVHD_ZERO:
		return parse_number(j->value, &j->bytes);
	case LVHD_CLONE:
		return parse_clone(j);
	case LVHD_LEAF:
		return uuid_parse(&j->base, j->value) ? -E_LVHD_JOURNAL : 0;
	default:
		return 0;
	}
}

/* inflate, the resizes, then clone, leaf, and what only a collector can finish. */
static int rank(const struct lvhd_journal *j)
{
	return j->resize ? 1 : j->type == LVHD_INFLATE ? 0 : 2 + (int)j->type;
}

static int by_rank(const void *a, const void *b)
{
	const struct lvhd_journal *x = a, *y = b;
	int d = rank(x) - rank(y);

	return d ? d : strcmp(x->lv->name, y->lv->name);
}

static bool is_journal(const struct lvm_lv *lv, struct lvhd_name *n)
{
	const char *tag;

	if (!lv->tags.n)		/* most LVs, and no name is looked at */
		return false;
	lvhd_name_parse(lv->name, n);
	tag = n->kind == LVHD_JOURNAL ? LVHD_TAG_JOURNAL : n->kind == LVHD_RESIZE ? LVHD_TAG_RESIZE : NULL;
	return tag && lvm_has_tag(&lv->tags, tag);
}

int lvhd_journals(struct lvhd *h, struct lvhd_journal **v, size_t *n)
{
	struct lvhd_name name;
	size_t room = 0;

	*v = NULL;
	*n = 0;
	for (struct lvm_lv *lv = h->vg->first; lv; lv = lv->next)
		room += is_journal(lv, &name);
	if (!room)
		return 0;
	*v = arena_array(h->arena, room, sizeof(**v));
	for (struct lvm_lv *lv = h->vg->first; lv; lv = lv->next) {
		struct lvhd_journal *j = *v + *n;

		if (!is_journal(lv, &name))
			continue;
		*j = (struct lvhd_journal){
			.lv = lv, .type = name.journal, .resize = name.kind == LVHD_RESIZE,
			.id = name.uuid, .value = name.value,
		};
		if (!j->resize)
			j->err = parse_value(h, j);
		++*n;
	}
	qsort(*v, *n, sizeof(**v), by_rank);
	return 0;
}

const struct lvm_lv *lvhd_journal_of(const struct lvhd *h, const struct uuid *u)
{
	struct lvhd_name n;

	for (const struct lvm_lv *lv = h->vg->first; lv; lv = lv->next)
		if (is_journal(lv, &n) && uuid_equal(&n.uuid, u))
			return lv;
	return NULL;
}

/* As long as upstream would find it. */
static size_t dm_length(const char *vg, const char *lv)
{
	size_t n = strlen(vg) + 1 + strlen(lv);

	for (; *vg; vg++)
		n += *vg == '-';
	return n;
}

int lvhd_journal_add(struct lvhd *h, enum lvhd_journal_type type, const struct uuid *id,
		     const char *value)
{
	const char *word = lvhd_journal_names[type];
	char *name = arena_printf(h->arena, "%s_%s_%s", word, id->s, value);
	_io_close_ struct io *io = NULL;
	char sector[512] = { 0 };
	struct lvm_lv *lv;
	int err;

	if (dm_length(h->vg->name, name) > DM_MOST) {
		name = arena_printf(h->arena, "%s_%s_1", word, id->s);
		lvhd_journal_encode(value, sector);
	}
	err = lvhd_new_lv(h, name, LVHD_UNIT, LVHD_TAG_JOURNAL, &lv);
	if (!err)
		err = lvm_lv_io(&io, h->vg, lv);
	if (!err && sector[0])
		err = io_write(io, 0, sector, sizeof(sector));
	if (!err && sector[0])
		err = io_flush(io);
	if (err)
		h->why = name;
	return err;
}

int lvhd_journal_drop(struct lvhd *h, enum lvhd_journal_type type, const struct uuid *id)
{
	struct lvm_lv *next;
	struct lvhd_name n;
	int err = 0;

	for (struct lvm_lv *lv = h->vg->first; lv && !err; lv = next) {
		next = lv->next;
		if (is_journal(lv, &n) && n.kind == LVHD_JOURNAL && n.journal == type &&
		    uuid_equal(&n.uuid, id))
			err = lvm_lv_remove(h->vg, lv);
	}
	return err;
}
