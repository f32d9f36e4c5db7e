/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "drivers/chain.h"
#include "lib/err.h"
#include "lib/kconfig.h"
#include "lib/log.h"
#include "sm/keeper.h"
#include "sm/live.h"

int live_can(struct run *r, const struct vdi *vdi)
{
	const struct datapath *d = vdi->at.active ? datapath_now(&r->sr, vdi) : NULL;

	if (!vdi->at.active || (d && d->pause))
		return 0;
	hint(r->ctx, "sm vdi detach %s", vdi->uuid.s);
	return fail_say(r->ctx, -E_VDI_IN_USE, "VDI %s is attached", vdi->uuid.s);
}

/* Who can serve it in use, from where it can be held?  NULL: nobody, or it is there. */
static const struct datapath *taker(struct run *r, const struct vdi *vdi, const struct datapath *now)
{
	const struct datapath *d;

	for (size_t i = 0; now->give_way && !now->pause && (d = sr_datapath_at(r->sr.type, i)); i++)
		if (d->take && d->serves(vdi))
			return d;
	return NULL;
}

int live_can_split(struct run *r, const struct vdi *vdi)
{
	const struct datapath *d = vdi->at.active ? datapath_now(&r->sr, vdi) : NULL;

	if (d && ((d->read_only && d->refresh) || (IS_ENABLED(CONFIG_LIVE_RAW) && taker(r, vdi, d))))
		return 0;
	return live_can(r, vdi);
}

int live_settle(struct run *r)
{
	const struct datapath *d;
	int err = 0;

	for (size_t i = 0; !err && (d = sr_datapath_at(r->sr.type, i)); i++)
		if (d->give_way && d->serves(&r->vdi) && strcmp(d->name, r->vdi.at.backend))
			err = d->give_way(&r->sr, &r->vdi);
	return err;
}

/* Until it is held nobody waits for anything.  What it has left is let go of before it is another's image. */
int live_take(struct run *r)
{
	struct vdi *vdi = &r->vdi;
	const struct datapath *d = vdi->at.active ? datapath_now(&r->sr, vdi) : NULL, *to;
	int err;

	if (!d || !d->give_way)
		return 0;
	/* One that was cut off, since another host may write it, stays so. */
	err = WITH_KEEPER ? keeper_admit(r) : 0;
	if (!err)
		err = live_settle(r);
	to = taker(r, vdi, d);
	if (err || !to)
		return err;
	err = to->take(&r->sr, vdi, &vdi->at);		/* commit */
	if (!err)
		logf_info(r->ctx, "VDI %s: moved from %s to %s", vdi->uuid.s, d->name, to->name);
	return err ? err : live_settle(r);
}

static int hold(struct run *r, const struct vdi *vdi, bool split)
{
	struct held *h;
	int err = live_can(r, vdi);

	if (err || !vdi->at.active)
		return err;
	for (h = r->held; h; h = h->next)
		if (uuid_equal(&h->vdi.uuid, &vdi->uuid))
			return 0;
	h = arena_alloc(&r->ctx->arena, sizeof(*h));
	*h = (struct held){ .d = datapath_now(&r->sr, vdi), .vdi = *vdi, .fd = -1, .next = r->held };
	h->whole = split && h->d->hold;
	err = (h->whole ? h->d->hold : h->d->pause)(&r->sr, vdi, &h->fd);
	if (!err)
		r->held = h;
	return err;
}

int live_hold(struct run *r, const struct vdi *vdi)
{
	return hold(r, vdi, false);
}

int live_hold_split(struct run *r, const struct vdi *vdi)
{
	return hold(r, vdi, true);
}

/* With these images, under the SR's lock.  If that cannot be, as others do. */
static int go_now(struct run *r, struct held **at, struct chain *c, int err)
{
	struct held *h = *at;

	if (!err)
		err = h->d->go(&r->sr, &h->vdi, c, &h->fd);
	chain_drop(c);
	if (h->fd < 0) {
		*at = h->next;
		return err;
	}
	logf_warn(r->ctx, "VDI %s goes on later: %s", h->vdi.uuid.s,
		  r->ctx->why[0] ? r->ctx->why : err_text(err));
	fail_clear(r->ctx);
	return 0;
}

int live_go_all(struct run *r)
{
	struct held **at = &r->held, *h;
	int err, first = 0;

	while ((h = *at)) {
		struct chain *c = arena_alloc(&r->ctx->arena, sizeof(*c));

		/* Of its log of changed blocks only who opens it anew knows. */
		if (h->d->go && !h->vdi.cbt) {
			err = chain_all(&r->sr, &h->vdi, c);
			err = go_now(r, at, c, err);
			first = first ? first : err;
		}
		if (*at == h)
			at = &h->next;
	}
	return first;
}

void live_go_on(struct run *r, const struct vdi *vdi, const struct vdi *base)
{
	struct chain *c = arena_alloc(&r->ctx->arena, sizeof(*c));
	struct held **at = &r->held, *h;
	int err = 0;

	while ((h = *at) && !uuid_equal(&h->vdi.uuid, &vdi->uuid))
		at = &h->next;
	if (!h || !h->whole)
		return;
	if (base)
		err = chain_new_top(&r->sr, vdi, base, h->vdi.at.writable, c);
	go_now(r, at, c, err);
	fail_clear(r->ctx);
}

int live_release(struct run *r, const struct vdi *vdi)
{
	return r->held ? chain_pause(&r->sr, vdi) : 0;
}

int live_go(struct run *r)
{
	struct held *h;
	int first = 0;

	while ((h = r->held)) {
		int err = h->d->resume(&r->sr, &h->vdi, &h->fd);

		r->held = h->next;
		if (err)
			logf_err(r->ctx, "VDI %s does not go on: %s", h->vdi.uuid.s, r->ctx->why);
		if (err && !first)
			first = fail(r->ctx, err, "it is done, but VDI %s does not go on", h->vdi.uuid.s);
	}
	return first;
}
