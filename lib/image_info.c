/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an image says about itself. */
#include <ctype.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/image.h"
#include "lib/kconfig.h"
#include "lib/qcow2/qcow2.h"
#include "lib/vhd/parent.h"

static void note(struct image_info *i, const char *what, bool damage)
{
	if (i->n_problems == ARRAY_SIZE(i->problems))
		return;
	i->problems[i->n_problems].what = what;
	i->problems[i->n_problems++].damage = damage;
}

/* "tap 1.3": four characters without what a terminal should not see. */
static const char *creator(struct image *im, const struct vhd_footer *f)
{
	char app[5] = { 0 };
	size_t n = 0;

	for (int shift = 24; shift >= 0; shift -= 8) {
		char c = (char)(f->creator >> shift);

		if (isgraph((unsigned char)c))
			app[n++] = c;
	}
	return arena_printf(&im->arena, "%s %u.%u", app, f->creator_version >> 16,
			    f->creator_version & 0xffff);
}

static int vhd_parent_info(struct image *im, struct vhd *v, struct image_info *i)
{
	struct vhd_parent p;
	int err;

	if (!vhd_has_parent(v))
		return 0;
	i->has_parent = true;
	err = vhd_parent(v, &im->arena, &p);
	i->parent_raw = p.raw;
	i->parent_has_uuid = !p.raw;
	memcpy(i->parent_uuid, p.uuid, sizeof(p.uuid));
	if (err == -E_VHD_PARENT_NAME)
		note(i, "the parent's name is not usable", true);
	else if (err)
		return err;
	i->parent_path = p.n ? p.paths[0] : "";
	return 0;
}

static int vhd_info(struct image *im, struct vhd *v, struct image_info *i)
{
	static const char *const types[] = {
		[VHD_FIXED] = "fixed", [VHD_DYNAMIC] = "dynamic", [VHD_DIFF] = "differencing",
	};

	i->type = types[v->footer.type];
	i->has_uuid = true;
	memcpy(i->uuid, v->footer.uuid, sizeof(i->uuid));
	i->hidden = v->footer.hidden;
	i->creator = creator(im, &v->footer);
	if (v->footer.type != VHD_FIXED) {
		i->block_size = VHD_BLOCK;
		i->allocated_blocks = v->bat ? vhd_allocated(v) : 0;
	}
	if (v->degraded)
		note(i, "the footer at the end is missing or damaged: opened by its copy", true);
	if (v->short_footer)
		note(i, "the footer is one byte short, as old Virtual PC wrote it", false);
	if (v->differ)
		note(i, "the copy of the footer is damaged or says something else", true);
	if (v->n_bad)
		note(i, "the block table has invalid entries", true);
	if (v->batmap.state == BATMAP_BAD)
		note(i, "the batmap is damaged and not used", false);
	if (v->batmap.keyed)
		note(i, "encrypted: what is read are the stored bytes", false);
	return vhd_parent_info(im, v, i);
}

static int qcow2_info(struct image *im, struct qcow2 *q, struct image_info *i)
{
	i->type = q->backing ? "differencing" : "dynamic";
	i->hidden = q->hidden;
	i->block_size = (uint64_t)1 << q->cluster_bits;
	i->creator = arena_printf(&im->arena, "qcow2 version %u", q->version);
	i->has_parent = q->backing;
	i->parent_path = q->backing;
	i->parent_raw = q->backing_format && !strcmp(q->backing_format, "raw");
	if (q->incompatible & QCOW2_DIRTY)
		note(i, "not closed cleanly: reference counts may be wrong", false);
	if (q->incompatible & QCOW2_CORRUPT)
		note(i, "marked corrupt", true);
	if (q->n_snapshots)
		note(i, "holds internal snapshots", false);
	return 0;
}

int image_info(struct image *im, size_t level, struct image_info *i)
{
	const struct image_level *l = &im->levels[level];

	*i = (struct image_info){
		.format = l->format, .type = "raw", .virtual_size = l->size,
		.physical_size = l->io->size, .creator = "",
	};
	if (IS_ENABLED(CONFIG_VHD) && l->vhd)
		return vhd_info(im, l->vhd, i);
	if (IS_ENABLED(CONFIG_QCOW2) && l->qcow2)
		return qcow2_info(im, l->qcow2, i);
	return 0;
}
