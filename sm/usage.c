/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who serves an attached disk, and how much was done with it.  All of it is
 * news of a moment ago: what cannot be told is left out, and is no error.
 */
#include "drivers/server.h"
#include "sm/core.h"

void usage_fill(struct sr *sr, struct vdi *vdi)
{
	struct attachment *at = &vdi->at;
	struct server_note note;
	struct usage *u;

	if (!at->active)
		return;
	u = arena_alloc(&sr->ctx->arena, sizeof(*u));
	if (server_find(sr, &vdi->uuid, &note) > 0 && note.pid > 0)
		u->pid = note.pid;
	u->counted = !blk_stat(at->device, &u->io);
	at->usage = u;
	fail_clear(sr->ctx);
}
