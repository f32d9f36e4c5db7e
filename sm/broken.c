/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk whose image cannot be read: it can be deleted, and nothing else.
 *
 * Who stands on it says so himself, so it need not be read for that either.
 * Another that cannot be read might stand on it, too: then its owner decides.
 */
#include <string.h>

#include "lib/err.h"
#include "lib/uuid.h"
#include "sm/core.h"
#include "sm/snapshot.h"

/* The volume is there and of a format of ours, and what is in it is the trouble. */
bool is_broken(const struct run *r, int err)
{
	bool about_image = err_kind(err) == -EUCLEAN || err == -EIO || err == -E_SHORT;

	return r->rq->op == OP_VDI_DELETE && r->vdi.volume[0] && r->vdi.format && about_image;
}

int bind_broken(struct run *r)
{
	r->broken = arena_strdup(&r->ctx->arena, r->ctx->why);
	fail_clear(r->ctx);
	r->vdi.parent.s[0] = '\0';
	return vdi_complete(&r->sr, &r->vdi);
}

int may_delete_broken(struct run *r)
{
	struct arena *a = &r->ctx->arena;
	struct vdis l = { 0 };
	struct uuid u;
	int err = r->sr.force ? 0 : r->sr.type->layout->list(&r->sr, &l);

	for (size_t i = 0; !err && i < l.n_problems; i++) {
		if (uuid_parse(&u, l.problems[i].object) || uuid_equal(&u, &r->vdi.uuid) ||
		    vdis_find(&l, &u))
			continue;
		hint(r->ctx, "remove that first; or --force");
		err = fail_say(r->ctx, -E_VDI_NODE, "VDI %s cannot be read, and neither can VDI %s, "
			       "which may stand on it", r->vdi.uuid.s, u.s);
	}
	if (err || r->ctx->dry_run)
		return err;
	vdis_problem(a, &r->rp->vdis, &(struct problem){
		.object = arena_strdup(a, r->vdi.uuid.s), .severity = "warning",
		.what = arena_printf(a, "deleted unread: %s", r->broken) });
	return 0;
}
