/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* nfs: image files on an NFS export. */
#include <stddef.h>
#include <string.h>

#include "drivers/layout.h"
#include "drivers/sr.h"
#include "drivers/transport.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/kconfig.h"

/* SR-API 1.0: nfs@HOST:/remote/dir@/local/mountpoint; where it is mounted is our affair. */
static int dconf_srapi1(struct ctx *ctx, const char *text, const struct uuid *sr,
			struct kvs *dconf)
{
	const char *server = strncmp(text, "nfs@", 4) ? text : text + 4;
	const char *local = strrchr(server, '@'), *path = strstr(server, ":/");

	if (server == text || !local || !path || path == server || path > local ||
	    memchr(path, '@', (size_t)(local - path)) || !path_is_absolute_clean(local + 1))
		return fail_say(ctx, -E_DCONF_BAD,
				"dconf '%.128s' is not nfs@HOST:/remote/dir@/local/mountpoint", text);
	kv_set(&ctx->arena, dconf, "server",
	       arena_strndup(&ctx->arena, server, (size_t)(path - server)));
	kv_set(&ctx->arena, dconf, "serverpath",
	       arena_strndup(&ctx->arena, path + 1, (size_t)(local - path - 1)));
	return 0;
}

static const struct sr_type nfs = {
	.names     = (const char *const[]){ "nfs", "NFSSR", NULL },
	.desc      = "Image files on an NFS export",
	.api_name  = "NFS VHD",
	.api_desc  = "SR plugin which stores disks as VHD files on a remote NFS filesystem",
	.srapi1    = "NFS",
	.content   = "vhd",
	.storage_type = "nfs",
	.keys      = (const struct key[]){
		{ "server", KEY_HOST | KEY_MUST, "name or address of the server", -E_DCONF_SERVER },
		{ "serverpath", KEY_PATH | KEY_MUST, "exported directory; the SR is below it, by its uuid",
		  -E_DCONF_SERVERPATH },
		{ "nfsversion", KEY_TEXT, "3 (the default), 4, 4.0, 4.1 or 4.2", 0 },
		{ "options", KEY_TEXT, "more mount options, with commas: hard, ro, port=…", 0 },
		{ "nfs-timeout", KEY_TEXT, "tenths of a second until a request is sent again (200)", 0 },
		{ "nfs-retrans", KEY_TEXT, "how often, until the guest is told (4)", 0 },
		{ "nosubdir", KEY_TEXT, "true: the SR is serverpath itself", 0 },
		{ "subdir", KEY_TEXT, "false: the same", 0 },
		{ "useUDP", KEY_TEXT, "not offered any more", 0 },
#if IS_ENABLED(CONFIG_STORAGE_LOCKS)
		{ "shared", KEY_TEXT, "true: other hosts use it too, so attaching takes the disk's lock", 0 },
#endif
		{ "probeversion", KEY_TEXT, "sr probe also tells the versions of the server", 0 },
		{ }
	},
	.dconf_srapi1 = dconf_srapi1,
	.transport = &transport_nfs,
	.layout    = &layout_dir,
	.formats   = (const char *const[]){ "vhd", "raw", NULL },
	.datapaths = (const char *const[]){ "loop", "nbd", "socket", NULL },
	.thin      = true,
	.shared    = true,
};
REGISTER(sr_types, nfs);
