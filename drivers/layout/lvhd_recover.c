/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What journals speak of: finished or undone before any other change. */
#include <errno.h>
#include <string.h>

#include "drivers/cbt.h"
#include "drivers/layout/lvhd.h"
#include "drivers/sr.h"
#include "drivers/vdi.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/lvhd/journal.h"

static const char *const did_what[] = {
	[LVHD_LEFT] = "left to a collector", [LVHD_DROPPED] = "dropped: there is nothing to do",
	[LVHD_UNDONE] = "undone", [LVHD_FINISHED] = "finished",
};

/* Records of a snapshot that was finished, unless they are there. */
static int put_records(struct sr *sr, struct lvhd *h, const struct lvhd_journal *j)
{
	const struct uuid *who[2] = { &j->base, &j->clone };
	struct vdi v[2];
	const struct vdi *put[2];
	size_t n = 0;

	for (size_t i = 0; i < 2; i++) {
		enum lvhd_kind kind;

		if (!who[i]->s[0] || mgt_has(sr, who[i]) || !lvhd_find(h, who[i], &kind))
			continue;
		v[n] = (struct vdi){
			.uuid = *who[i], .name = i ? "" : "base copy", .description = "", .type = "user",
			.format = kind == LVHD_RAW ? "raw" : "vhd", .hidden = !i, .read_only = !i,
		};
		put[n] = &v[n];
		n++;
	}
	return n ? mgt_put_all(sr, put, n) : 0;
}

/* Both were there with the commit that made the snapshot, if the disk had one. */
static int link_logs(struct sr *sr, const struct lvhd_journal *j)
{
	struct cbt c;
	int err = j->clone.s[0] ? cbt_get(sr, &j->id, false, &c) : -ENOENT;

	if (err || !uuid_equal(&c.parent, &j->clone)) {
		fail_clear(sr->ctx);
		return 0;
	}
	return cbt_link(sr, &j->id, &j->clone);
}

static int resolve(struct sr *sr, struct lvhd *h, const struct lvhd_journal *j,
		   enum lvhd_result *did)
{
	const char *name = arena_strdup(h->arena, j->lv->name);
	int err = lvhd_resolve(h, j, did);

	if (err)
		return fail(sr->ctx, lvhd_failed(sr, h, err), "journal %s", name);
	if (*did == LVHD_LEFT)
		return 0;
	if (*did == LVHD_FINISHED && !j->resize && j->type == LVHD_CLONE)
		err = put_records(sr, h, j);
	if (IS_ENABLED(CONFIG_LVM_CBT) && !err && *did == LVHD_FINISHED && !j->resize && j->type == LVHD_CLONE)
		err = link_logs(sr, j);
	if (!err)
		err = lvm_commit_now(sr, "recovery");		/* commit */
	if (err && err != -E_LVM_HALF)
		return err;
	logf_warn(sr->ctx, "journal %s: %s", name, did_what[*did]);
	return 0;
}

/* One that cannot be dealt with is in the way of its own disk only. */
int lvhd_recover(struct sr *sr)
{
	for (size_t i = 0; ; ) {
		enum lvhd_result did = LVHD_LEFT;
		struct lvhd_journal *j;
		struct lvhd h;
		size_t n;
		int err;

		lvhd_bind(sr, &h);
		err = lvhd_journals(&h, &j, &n);
		if (err || i >= n)
			return err;
		err = resolve(sr, &h, &j[i], &did);
		if (!err && did != LVHD_LEFT)
			continue;		/* the list is shorter now */
		i++;
		if (!err)
			continue;
		logf_err(sr->ctx, "%s", sr->ctx->why);
		fail_clear(sr->ctx);
		err = lvm_reload(sr);		/* the VG in memory is half changed */
		if (err)
			return err;
	}
}
