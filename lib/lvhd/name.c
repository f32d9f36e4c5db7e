/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/err.h"
#include "lib/lvhd/name.h"
#include "lib/lvm2/dm.h"
#include "lib/vhd/create.h"
#include "lib/vhd/locator.h"

const char *const lvhd_journal_names[] = {
	"inflate", "clone", "leaf", "coalesce", "relink", "zero", NULL,
};

static const struct { enum lvhd_kind kind; const char *prefix; } prefixes[] = {
	{ LVHD_RAW, "LV-" }, { LVHD_OLD, "VHD-OLD_" }, { LVHD_VHD, "VHD-" }, { LVHD_RESIZE, "jvhd_" },
};

static bool parse_prefix(const char *lv, struct lvhd_name *n)
{
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		size_t len = strlen(prefixes[i].prefix);

		if (strncmp(lv, prefixes[i].prefix, len) || uuid_parse(&n->uuid, lv + len))
			continue;
		n->kind = prefixes[i].kind;
		return true;
	}
	return false;
}

static bool parse_journal(const char *lv, struct lvhd_name *n)
{
	const char *p = strchr(lv, '_');

	for (int i = 0; p && lvhd_journal_names[i]; i++) {
		if (strlen(lvhd_journal_names[i]) != (size_t)(p - lv) ||
		    strncmp(lv, lvhd_journal_names[i], (size_t)(p - lv)))
			continue;
		p++;
		if (strlen(p) < UUID_LEN + 2 || p[UUID_LEN] != '_' ||
		    uuid_parse_n(&n->uuid, p, UUID_LEN))
			return false;
		n->kind = LVHD_JOURNAL;
		n->journal = (enum lvhd_journal_type)i;
		n->value = p + UUID_LEN + 1;
		return true;
	}
	return false;
}

void lvhd_name_parse(const char *lv, struct lvhd_name *n)
{
	*n = (struct lvhd_name){ .kind = LVHD_OTHER };
	if (!strcmp(lv, "MGT"))
		n->kind = LVHD_MGT;
	else if (parse_prefix(lv, n) || parse_journal(lv, n))
		return;
	else if (strlen(lv) == UUID_LEN + strlen(".cbtlog") && !strcmp(lv + UUID_LEN, ".cbtlog") &&
		 !uuid_parse_n(&n->uuid, lv, UUID_LEN))
		n->kind = LVHD_CBT;
	else
		n->uuid.s[0] = '\0';
}

char *lvhd_name(struct arena *a, enum lvhd_kind kind, const struct uuid *u)
{
	size_t i = 0;

	while (prefixes[i].kind != kind)
		i++;
	return arena_printf(a, "%s%s", prefixes[i].prefix, u->s);
}

int lvhd_parent_parse(struct arena *a, const char *vg, const char *path, struct lvhd_name *n)
{
	char *of, *lv, *layer;

	if (lvm_dm_split(a, vhd_basename(path), &of, &lv, &layer) || strcmp(of, vg) || *layer)
		return -E_VHD_PARENT_NAME;
	lvhd_name_parse(lv, n);
	return n->kind == LVHD_RAW || n->kind == LVHD_VHD ? 0 : -E_VHD_PARENT_NAME;
}

int lvhd_parent_path(struct arena *a, const char *vg, const char *lv, char **path)
{
	char dm[LVM_DM_NAME];
	int err = lvm_dm_name(dm, vg, lv, NULL);

	if (!err)
		*path = arena_printf(a, "./%s", dm);
	return err;
}

uint64_t lvhd_size_lv(uint64_t bytes)
{
	uint64_t up;

	return round_up_ok(bytes, LVHD_UNIT, &up) ? up : UINT64_MAX / LVHD_UNIT * LVHD_UNIT;
}

uint64_t lvhd_size_full(uint64_t virtual_size)
{
	uint64_t sum;

	if (!add_ok(virtual_size, vhd_overhead_empty(VHD_MSIZE) + vhd_overhead_bitmap(virtual_size),
		    &sum))
		sum = UINT64_MAX;
	return lvhd_size_lv(sum);
}

uint64_t lvhd_size_thin(void)
{
	return lvhd_size_lv(vhd_overhead_empty(VHD_MSIZE));
}

uint64_t lvhd_size_ahead(uint64_t held)
{
	uint64_t part = held / 8;

	return part < LVHD_AHEAD_LEAST ? LVHD_AHEAD_LEAST :
		part > LVHD_AHEAD_MOST ? LVHD_AHEAD_MOST : lvhd_size_lv(part);
}
