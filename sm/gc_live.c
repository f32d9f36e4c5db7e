/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disks in use while what they stand on is merged: who waits, for what, and how much is left to merge. */
#include <errno.h>

#include "arch/clock.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/log.h"
#include "lib/text/size.h"
#include "sm/gc.h"
#include "sm/live.h"
#include "sm/snapshot.h"
#include "sm/tree.h"

/*
 * It waits while it is merged, so there must be little of it.  If there is more, a
 * new, empty image takes its place; what it had is then a hidden one that can be
 * merged while the disk goes on, and this comes to an end if the disk is written
 * more slowly than that.
 */
#define LIVE_MOST	(4 * MiB)
#define LIVE_GOAL	(1 * MiB)	/* as long as each round leaves less */
#define SCATTERED	4u		/* so many times as long takes what lies about in many blocks */
#define ROUNDS_MOST	20u
#define IDLE_MOST	3u

static const struct layout *layout_of(const struct gc_look *k)
{
	return k->run.sr.type->layout;
}

/* --- waiting ------------------------------------------------------------------ */

int gc_hold_below(struct gc_look *k, const struct vdi *top)
{
	int err = 0;

	for (size_t i = 0; IS_ENABLED(CONFIG_SERVE) && !err && i < k->l.n; i++) {
		const struct vdi *v = &k->l.v[i], *at = v;

		while (at && at != top)
			at = tree_parent(&k->l, at);
		if (at && v->at.active)
			err = live_hold(&k->run, v);
	}
	return err;
}

int gc_hold_not(struct gc_look *k, const struct vdi *vdi)
{
	return IS_ENABLED(CONFIG_SERVE) ? live_release(&k->run, vdi) : 0;
}

int gc_hold_pair(struct gc_look *k, const struct vdi *vdi, const struct vdi *parent)
{
	int err = gc_hold_below(k, vdi);

	if (!err)
		err = gc_hold_not(k, vdi);
	return err ? err : gc_hold_not(k, parent);
}

void gc_go_on(void *arg)
{
	struct gc_look *k = arg;

	if (IS_ENABLED(CONFIG_SERVE) && live_go_all(&k->run))
		logf_err(&k->ctx, "gc: %s", k->ctx.why);
	fail_clear(&k->ctx);
}

/* --- rounds -------------------------------------------------------------------- */

static struct gc_round *round_of(struct gc *g, const struct uuid *vdi)
{
	size_t i = 0;

	while (i < g->n_rounds && !uuid_equal(&g->rounds[i].vdi, vdi))
		i++;
	if (i == g->n_rounds) {
		g->rounds = arena_grow(&g->r->ctx->arena, g->rounds, i, i + 1, sizeof(*g->rounds));
		g->rounds[g->n_rounds++] = (struct gc_round){ .vdi = *vdi, .least = UINT64_MAX };
	}
	return &g->rounds[i];
}

/* For the layout: a disk that does not wait already does so only for what changes names. */
struct leaf {
	struct gc_look *k;
	const struct vdi *vdi;
};

static int hold_leaf(void *arg)
{
	struct leaf *l = arg;
	struct run *r = &l->k->run;

	return !IS_ENABLED(CONFIG_SERVE) ? 0 : IS_ENABLED(CONFIG_CBT) && l->vdi->cbt ? live_hold(r, l->vdi) :
		live_hold_split(r, l->vdi);
}

static void go_leaf(void *arg, const struct vdi *leaf, const struct vdi *base)
{
	if (IS_ENABLED(CONFIG_SERVE))
		live_go_on(&((struct leaf *)arg)->k->run, leaf, base);
}

int gc_split(struct gc_look *k, const struct vdi *vdi, uint64_t data)
{
	struct leaf leaf = { k, vdi };
	struct gc_round *round = round_of(k->g, &vdi->uuid);
	struct vdi base = { .name = "base copy", .description = "", .type = vdi->type };
	struct volume_split s = {
		.leaf = vdi, .format = child_format(k->run.sr.type), .base = &base, .leaf_active = true,
		.hold = k->run.held ? NULL : hold_leaf, .go = go_leaf, .arg = &leaf,
	};

	round->idle = data < round->least ? 0 : round->idle + 1;
	round->least = data < round->least ? data : round->least;
	if (round->n++ >= ROUNDS_MOST || round->idle >= IDLE_MOST)
		return fail_say(&k->ctx, -E_UNSUPPORTED, "VDI %s is written faster than it can be merged: "
				"%s after %u rounds", vdi->uuid.s, SIZE_STR(data), round->n - 1);
	if (tree_depth(&k->l, vdi) >= TREE_DEPTH_MAX)
		return fail(&k->ctx, -E_VDI_DEEP, "VDI %s", vdi->uuid.s);
	random_uuid(&base.uuid);
	return layout_of(k)->volume_split(&k->run.sr, &s);
}

static int data_of(struct gc_look *k, const struct vdi *vdi, uint64_t *data)
{
	struct image_use use = { .count = true };
	struct io *io = NULL;
	int err = layout_of(k)->volume_io(&k->run.sr, vdi, false, &io);

	if (!err)
		err = sr_format(k->run.sr.type, vdi->format)->use(&k->ctx, io, &use);
	io_close(io);
	*data = use.counted * SCATTERED < use.data ? use.counted * SCATTERED : use.data;
	return err;
}

/* What was written last the image does not say before the disk waits. */
int gc_too_much(struct gc_look *k, const struct vdi *vdi, uint64_t *data)
{
	int err = data_of(k, vdi, data);

	return err ? err : *data > (*data < round_of(k->g, &vdi->uuid)->least ? LIVE_GOAL : LIVE_MOST);
}
