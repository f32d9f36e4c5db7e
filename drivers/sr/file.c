/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* file: image files in a local directory. */
#include <string.h>

#include "drivers/layout.h"
#include "drivers/sr.h"
#include "drivers/transport.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/kconfig.h"

/* SR-API 1.0: the dconf is a directory; the SR is the one below it named by its uuid. */
static int dconf_srapi1(struct ctx *ctx, const char *text, const struct uuid *sr,
			struct kvs *dconf)
{
	size_t n = strlen(text);

	if (!path_is_absolute_clean(text))
		return fail_say(ctx, -E_DCONF_BAD, "dconf '%.128s' is not an absolute path without '..'",
				text);
	while (n > 1 && text[n - 1] == '/')
		n--;
	kv_set(&ctx->arena, dconf, "location",
	       arena_printf(&ctx->arena, "%.*s/%s", n == 1 ? 0 : (int)n, text, sr->s));
	return 0;
}

static const struct sr_type file = {
	.names     = (const char *const[]){ "file", "FileSR", NULL },
	.desc      = "Image files in a local directory",
	.api_name  = "Local Path VHD",
	.api_desc  = "SR plugin which represents disks as files stored on a local path",
	.srapi1    = "FILE",
	.content   = "vhd",
	.storage_type = "ext",
	.keys      = (const struct key[]){
		{ "location", KEY_PATH | KEY_MUST, "directory that holds the images",
		  -E_DCONF_LOCATION },
#if IS_ENABLED(CONFIG_STORAGE_LOCKS)
		{ "shared", KEY_TEXT, "true: other hosts use it too, so attaching takes the disk's lock", 0 },
#endif
		{ }
	},
	.dconf_srapi1 = dconf_srapi1,
	.transport = &transport_local,
	.layout    = &layout_dir,
	.formats   = (const char *const[]){ "vhd", "raw", NULL },
	.datapaths = (const char *const[]){ "loop", "map", "nbd", "socket", NULL },
	.thin      = true,
};
REGISTER(sr_types, file);
