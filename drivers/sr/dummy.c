/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dummy: an SR that accepts everything and keeps nothing, for trying out a
 * toolstack.  Its VDIs live only in xapi's database; each is /dev/null.
 */
#include <stdio.h>
#include <string.h>

#include "drivers/datapath.h"
#include "drivers/format.h"
#include "drivers/layout.h"
#include "drivers/sr.h"
#include "drivers/transport.h"
#include "lib/err.h"

#define DUMMY_SIZE	((uint64_t)2000000000000)

static int nothing(struct sr *sr)
{
	return 0;
}

static int stage(struct sr *sr, bool create)
{
	return 0;
}

static const struct transport transport_dummy = {
	.name = "dummy",
	.stage = stage,
	.attach = nothing,
	.detach = nothing,
	.open = nothing,
};

static int dummy_stat(struct sr *sr, struct sr_info *info)
{
	info->size = DUMMY_SIZE;
	return 0;
}

static int dummy_list(struct sr *sr, struct vdis *l)
{
	return 0;
}

/* Any uuid is a VDI: only the caller knows which ones were made. */
static int dummy_find(struct sr *sr, const struct uuid *uuid, struct vdi *vdi)
{
	*vdi = (struct vdi){
		.uuid = *uuid, .location = arena_strdup(&sr->ctx->arena, uuid->s),
		.name = "", .description = "", .type = "", .format = "raw", .sector_size = 512,
	};
	return 0;
}

static int dummy_create(struct sr *sr, struct vdi *vdi, const struct volume_spec *spec)
{
	vdi->format = "raw";
	vdi->location = arena_strdup(&sr->ctx->arena, vdi->uuid.s);
	vdi->virtual_size = spec->virtual_size;
	vdi->sector_size = 512;
	kv_set(&sr->ctx->arena, &vdi->sm_config, "samplekey", "This is a test VDI");
	return 0;
}

static int dummy_delete(struct sr *sr, const struct vdi *vdi)
{
	return 0;
}

static int dummy_resize(struct sr *sr, struct vdi *vdi, uint64_t virtual_size)
{
	vdi->virtual_size = virtual_size;
	return 0;
}

static const struct layout layout_dummy = {
	.name = "dummy",
	.create = nothing,
	.destroy = nothing,
	.stat = dummy_stat,
	.list = dummy_list,
	.find = dummy_find,
	.volume_create = dummy_create,
	.volume_delete = dummy_delete,
	.volume_resize = dummy_resize,
	.volume_describe = dummy_delete,
};

static bool null_serves(const struct vdi *vdi)
{
	return true;
}

static int null_find(struct sr *sr, const struct vdi *vdi, struct attachment *at)
{
	return 0;
}

static int null_activate(struct sr *sr, const struct vdi *vdi, bool writable,
			 struct attachment *at)
{
	at->active = true;
	at->writable = writable;
	at->backend = "null";
	snprintf(at->device, sizeof(at->device), "/dev/null");
	return 0;
}

static int null_deactivate(struct sr *sr, const struct vdi *vdi, const struct attachment *at)
{
	return 0;
}

static const struct datapath null = {
	.name = "null",
	.serves = null_serves,
	.find = null_find,
	.activate = null_activate,
	.deactivate = null_deactivate,
};
REGISTER(datapaths, null);

static const struct sr_type dummy = {
	.names     = (const char *const[]){ "dummy", "DummySR", NULL },
	.desc      = "Accepts everything, keeps nothing: for trying out a toolstack",
	.api_name  = "dummy",
	.api_desc  = "SR plugin which manages fake data",
	.api_version = "1.1",
	.srapi1    = "DUMMY",
	.content   = "phy",
	.storage_type = "dummy",
	.keys      = (const struct key[]){ { } },
	.transport = &transport_dummy,
	.layout    = &layout_dummy,
	.formats   = (const char *const[]){ "raw", NULL },
	.datapaths = (const char *const[]){ "null", NULL },
};
REGISTER(sr_types, dummy);
