/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/lvm2/dm.h"
#include "lib/lvm2/vg.h"

/* Append s with its dashes doubled; NULL when it does not fit. */
static char *mangle(char *at, const char *end, const char *s)
{
	for (; *s && at; s++) {
		if (end - at < 1 + (*s == '-'))
			return NULL;
		*at++ = *s;
		if (*s == '-')
			*at++ = '-';
	}
	return at;
}

int lvm_dm_name(char out[LVM_DM_NAME], const char *vg, const char *lv, const char *layer)
{
	const char *const part[] = { vg, lv, layer };
	const char *end = &out[LVM_DM_NAME - 1];	/* where the NUL must be, at the latest */
	char *at = out;

	for (int i = 0; i < 3 && part[i] && at; i++) {
		if (i && at < end)
			*at++ = '-';
		/* The layer has a meaning of its own and no user chose it. */
		if (i < 2)
			at = mangle(at, end, part[i]);
		else if ((size_t)(end - at) >= strlen(layer))
			at = stpcpy(at, layer);
		else
			at = NULL;
	}
	if (!at)
		return -ENAMETOOLONG;
	*at = '\0';
	return 0;
}

/* One part, up to a dash that stands alone. */
static char *unmangle(struct arena *a, const char **s)
{
	char *out = arena_alloc(a, strlen(*s) + 1), *at = out;
	const char *p = *s;

	for (; *p; p++) {
		if (*p == '-') {
			if (p[1] != '-')
				break;
			p++;
		}
		*at++ = *p;
	}
	*s = p;
	return out;
}

int lvm_dm_split(struct arena *a, const char *name, char **vg, char **lv, char **layer)
{
	*vg = unmangle(a, &name);
	if (*name != '-')
		return -E_LVM_NAME;
	name++;
	*lv = unmangle(a, &name);
	*layer = arena_strdup(a, *name == '-' ? name + 1 : "");
	return **vg && **lv ? 0 : -E_LVM_NAME;
}

void lvm_dm_uuid(char out[LVM_DM_UUID], const struct lvm_vg *vg, const struct lvm_lv *lv,
		 const char *suffix)
{
	char bare[65] = "";

	lvm_id_bare(&vg->id, bare);
	lvm_id_bare(&lv->id, bare + 32);
	snprintf(out, LVM_DM_UUID, "LVM-%s%s%s", bare, suffix ? "-" : "", suffix ? suffix : "");
}

static int line(const struct lvm_vg *vg, const struct lvm_seg *s,
		const char *(*of_pv)(void *arg, const struct lvm_pv *pv), void *arg, struct buf *b)
{
	uint64_t extent = vg->extent_size;

	buf_printf(b, "%" PRIu64 " %" PRIu64, s->start * extent, s->count * extent);
	if (s->n_legs == 1)
		buf_puts(b, " linear");
	else
		buf_printf(b, " striped %u %u", s->n_legs, s->stripe_size);
	for (uint32_t i = 0; i < s->n_legs; i++) {
		const struct lvm_leg *leg = &s->leg[i];
		const char *dev = leg->pv ? of_pv(arg, leg->pv) : NULL;

		if (!leg->pv)
			return -E_LVM_LV_TYPE;
		if (!dev)
			return -E_LVM_PARTIAL;
		buf_printf(b, " %s %" PRIu64, dev, leg->pv->pe_start + leg->extent * extent);
	}
	buf_putc(b, '\n');
	return 0;
}

int lvm_dm_table(const struct lvm_vg *vg, const struct lvm_lv *lv,
		 const char *(*of_pv)(void *arg, const struct lvm_pv *pv), void *arg, struct buf *b)
{
	size_t before = b->n;
	int err = 0;

	for (uint32_t i = 0; i < lv->n_segs && !err; i++)
		err = lv->seg[i].kind == LVM_SEG_STRIPED ? line(vg, &lv->seg[i], of_pv, arg, b)
							 : -E_LVM_LV_TYPE;
	if (err)
		b->n = before;
	return err;
}
