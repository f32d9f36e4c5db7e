/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * socket: a disk that "sm vdi serve" gives to programs.  Nothing here starts
 * it; what is served must be seen, so that nobody else gets the disk meanwhile.
 */
#include <stdio.h>
#include <string.h>

#include "drivers/datapath.h"
#include "drivers/server.h"
#include "drivers/sr.h"
#include "lib/err.h"
#include "lib/kconfig.h"

static bool serves(const struct vdi *vdi)
{
	return true;
}

static int find(struct sr *sr, const struct vdi *vdi, struct attachment *at)
{
	struct server_note n;
	int err = server_find(sr, &vdi->uuid, &n);

	if (err <= 0)
		return err;
	/* One that has not said yet what it does is taken for one of these. */
	if (n.backend[0] && strcmp(n.backend, "socket"))
		return 0;
	at->active = true;
	at->writable = n.writable;
	at->grows = IS_ENABLED(CONFIG_LVM_THIN_GROW) && !sr->shared;	/* sm/serve.c */
	at->backend = "socket";
	snprintf(at->device, sizeof(at->device), "%s", n.device);
	return 0;
}

static int find_all(struct sr *sr, struct vdis *l)
{
	int err = 0;

	for (size_t i = 0; i < l->n && !err; i++)
		if (l->v[i].at.attached)
			err = find(sr, &l->v[i], &l->v[i].at);
	return err;
}

static int deactivate(struct sr *sr, const struct vdi *vdi, const struct attachment *at)
{
	struct server_note n;
	int err = server_find(sr, &vdi->uuid, &n);

	if (err <= 0)
		return err;
	hint(sr->ctx, "kill %d", (int)n.pid);
	return fail_say(sr->ctx, -E_VDI_IN_USE, "process %d serves it on %s", (int)n.pid, n.device);
}

static const struct datapath sockets = {
	.name = "socket",
	.serves = serves,
	.find = find,
	.find_all = find_all,
	.deactivate = deactivate,
};
REGISTER(datapaths, sockets);
