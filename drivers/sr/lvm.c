/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lvm: logical volumes of a VG on local devices, as upstream lays them out. */

#include "drivers/layout.h"
#include "drivers/sr.h"
#include "drivers/transport.h"
#include "lib/err.h"
#include "lib/kconfig.h"

/* SR-API 1.0: the dconf is the list of devices. */
static int dconf_srapi1(struct ctx *ctx, const char *text, const struct uuid *sr,
			struct kvs *dconf)
{
	if (!*text)
		return fail(ctx, -E_DCONF_DEVICE, "dconf");
	kv_set(&ctx->arena, dconf, "device", text);
	return 0;
}

static const struct sr_type lvm = {
	.names     = (const char *const[]){ "lvm", "LVMSR", "LVHDSR", "lvhd", NULL },
	.desc      = "Logical volumes on local disks",
	.api_name  = "Local VHD on LVM",
	.api_desc  = "SR plugin which represents disks as logical volumes on local disks",
	.srapi1    = "LVM",
	.content   = "vhd",
	.storage_type = "lvm",
	.keys      = (const struct key[]){
		{ "device", KEY_DEVICE | KEY_MUST, "disk, or several separated by commas",
		  -E_DCONF_DEVICE },
		{ "allocation", KEY_TEXT, "thick (default) or thin" , 0 },
#if IS_ENABLED(CONFIG_LVM_THIN_GROW)
		{ "live_growth", KEY_TEXT, "true: a thin disk that is attached takes space as it fills", 0 },
#endif
#if IS_ENABLED(CONFIG_STORAGE_LOCKS)
		{ "shared", KEY_TEXT, "true: other hosts use it too, so attaching takes the disk's lock", 0 },
#endif
		{ }
	},
	.dconf_srapi1 = dconf_srapi1,
	.transport = &transport_devices,
	.layout    = &layout_lvm,
	.formats   = (const char *const[]){ "vhd", "raw", NULL },
	.datapaths = (const char *const[]){ "lv", "map", "nbd", "socket", NULL },
};
REGISTER(sr_types, lvm);
