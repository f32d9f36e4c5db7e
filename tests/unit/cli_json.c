/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The documents are a contract: keys, their order, and what stands for nothing. */
#include <string.h>

#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "sm/front/json_out.h"
#include "tests/unit/t.h"

#define A "aaaaaaaa-3b7e-4d0a-9a51-0d2c4b8f7e11"
#define B "bbbbbbbb-3b7e-4d0a-9a51-0d2c4b8f7e11"
#define S "6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11"

/* The document without its line ends and indentation. */
static const char *packed(struct buf *b)
{
	char *to = b->p;

	for (const char *p = b->p; *p; p++)
		if (*p == '\n')
			p += strspn(p + 1, " ");
		else
			*to++ = *p;
	*to = '\0';
	return b->p;
}

static void says(const struct request *rq, const struct reply *rp, const char *want)
{
	_buf_free_ struct buf b = { 0 };

	json_out_reply(rq, rp, &b);
	EQ(b.p[b.n - 1], '\n');
	if (strcmp(packed(&b), want))
		printf("# got:  %s\n# want: %s\n", b.p, want);
	OK(!strcmp(b.p, want));
}

TEST(json_of_a_bare_vdi)
{
	struct vdi v = { .uuid = { A }, .sr = { S }, .name = "root", .format = "raw",
			 .virtual_size = 4096 };
	struct request rq = { .op = OP_VDI_CREATE };
	struct reply rp = { .kind = REPLY_VDI, .vdis = { .v = &v, .n = 1 } };

	says(&rq, &rp, "{\"schema\": 1,\"vdi\": {\"uuid\": \"" A "\",\"name\": \"root\","
	     "\"description\": \"\",\"sr\": \"" S "\",\"format\": \"raw\",\"virtual_size\": 4096,"
	     "\"physical_size\": 0,\"parent\": null,\"children\": [],\"hidden\": false,"
	     "\"read_only\": false,\"snapshot_of\": null,\"attached\": null}}");
}

TEST(json_of_a_vdi_with_everything)
{
	struct uuid children[] = { { B }, { S } };
	struct vdi v = {
		.uuid = { A }, .sr = { S }, .name = "a\"\n", .description = "d", .format = "vhd",
		.virtual_size = UINT64_MAX, .physical_size = 1, .parent = { B },
		.children = children, .n_children = 2, .hidden = true, .read_only = true,
		.snapshot_of = { B },
		.at = { .attached = true, .active = true, .device = "/dev/loop3", .backend = "loop" },
	};
	struct request rq = { .op = OP_VDI_ATTACH };
	struct reply rp = { .kind = REPLY_ATTACH, .vdis = { .v = &v, .n = 1 } };

	says(&rq, &rp, "{\"schema\": 1,\"vdi\": {\"uuid\": \"" A "\",\"name\": \"a\\\"\\n\","
	     "\"description\": \"d\",\"sr\": \"" S "\",\"format\": \"vhd\","
	     "\"virtual_size\": 18446744073709551615,\"physical_size\": 1,\"parent\": \"" B "\","
	     "\"children\": [\"" B "\",\"" S "\"],\"hidden\": true,\"read_only\": true,"
	     "\"snapshot_of\": \"" B "\",\"attached\": {\"device\": \"/dev/loop3\","
	     "\"mode\": \"ro\",\"backend\": \"loop\"}}}");
}

TEST(json_of_an_sr_hides_its_secrets)
{
	struct kv pairs[] = { { "device", "/dev/sdb", false }, { "password", "geheim", true } };
	struct sr_info sr = {
		.uuid = { S }, .name = "disks", .type = "lvm", .attached = true, .path = "/run/x",
		.dconf = { .v = pairs, .n = 2 }, .size = 3, .used = 2, .allocated = 1, .n_vdis = 7, .fast_clone = 1,
		.health = "ok",
	};
	struct request rq = { .op = OP_SR_SHOW };
	struct reply rp = { .kind = REPLY_SR, .srs = &sr, .n_srs = 1 };

	says(&rq, &rp, "{\"schema\": 1,\"sr\": {\"uuid\": \"" S "\",\"name\": \"disks\","
	     "\"type\": \"lvm\",\"attached\": true,\"path\": \"/run/x\",\"dconf\": {"
	     "\"device\": \"/dev/sdb\",\"password\": \"***\"},\"size\": 3,\"used\": 2,"
	     "\"allocated\": 1,\"vdis\": 7,\"fast_clone\": true,\"server_copy\": null,\"health\": \"ok\"}}");
}

TEST(json_of_lists_checks_plans_and_nothing)
{
	struct problem p = { "x.vhd", "is cut off", "error", NULL };
	const char *plan[] = { "make a", "write b" };
	struct request rq = { .op = OP_VDI_LIST };
	struct reply list = { .kind = REPLY_VDIS, .vdis = { .problems = &p, .n_problems = 1 } };
	struct reply probe = { .kind = REPLY_PROBE };
	struct reply check = { .kind = REPLY_CHECK, .object = S, .vdis = list.vdis };
	struct reply steps = { .kind = REPLY_PLAN, .plan = plan, .n_plan = 2, .space = 4096 };
	struct reply none = { .kind = REPLY_NONE };

	says(&rq, &list, "{\"schema\": 1,\"vdis\": [],\"problems\": [{\"object\": \"x.vhd\","
	     "\"what\": \"is cut off\",\"severity\": \"error\",\"repair\": null}]}");
	says(&rq, &probe, "{\"schema\": 1,\"srs\": [],\"problems\": []}");
	says(&rq, &check, "{\"schema\": 1,\"object\": \"" S "\",\"ok\": false,\"problems\": ["
	     "{\"object\": \"x.vhd\",\"what\": \"is cut off\",\"severity\": \"error\","
	     "\"repair\": null}]}");
	p.severity = "warning";
	says(&rq, &check, "{\"schema\": 1,\"object\": \"" S "\",\"ok\": true,\"problems\": ["
	     "{\"object\": \"x.vhd\",\"what\": \"is cut off\",\"severity\": \"warning\","
	     "\"repair\": null}]}");
	says(&rq, &steps, "{\"schema\": 1,\"plan\": [\"make a\",\"write b\"],\"space\": 4096}");
	says(&rq, &none, "{\"schema\": 1}");
}

TEST(json_of_an_error)
{
	struct ctx ctx = { .why = "SR x: VG is full", .hint = "sm gc run x" };
	struct ctx bare = { 0 };
	_buf_free_ struct buf b = { 0 };

	json_out_error(&ctx, -E_SR_NO_SPACE, &b);
	json_out_error(&bare, -ENOENT, &b);
	OK(!strcmp(b.p, "{\"error\":{\"code\":\"ENOSPC\",\"smapi\":44,\"message\":"
			"\"SR x: VG is full\",\"hint\":\"sm gc run x\"}}\n"
			"{\"error\":{\"code\":\"ENOENT\",\"smapi\":null,\"message\":"
			"\"No such file or directory\",\"hint\":null}}\n"));
}
