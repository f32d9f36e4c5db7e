/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The doors of machines: from words to a request. */
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/err.h"
#include "sm/front.h"
#include "tests/unit/t.h"

#define SR	"6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11"
#define VDI	"2b1f7c90-0c3d-4a6f-8e55-1d0a9c7e4f21"

#define M(name, value) "<member><name>" name "</name><value>" value "</value></member>"
#define CALL(method, members)							\
	"<methodCall><methodName>" method "</methodName><params><param><value>"	\
	"<struct>" members "</struct></value></param></params></methodCall>"

#define S(a, b) (!strcmp((a) ? (a) : "(null)", (b)))

static int parse(struct ctx *ctx, struct request *rq, int argc, char **argv)
{
	const struct front *front = front_for(argc, argv);

	*ctx = (struct ctx){ .root = "" };
	*rq = (struct request){ 0 };
	return front ? front->parse(ctx, argc, argv, rq) : -ENOSYS;
}

TEST(fronts_share_out_the_calls)
{
	static const struct { const char *prog, *arg, *front; } want[] = {
		{ "FileSR", "<methodCall>", "smapi1" },
		{ "NoSuchSR", "<", "smapi1" },
		{ "FileSR", "vdi_create", "srapi1" },
		{ "FileSR", "sr_", "srapi1" },
		{ "sm", "vdi_nonsense", "srapi1" },
		{ "sm", "sr_create", "srapi1" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		char *argv[] = { (char *)want[i].prog, (char *)want[i].arg, NULL };
		const struct front *front = front_for(2, argv);

		OK(front && S(front->name, want[i].front));
	}
	for (size_t i = 0; i < 4; i++) {
		static const char *const people[][2] = {
			{ "sm", "<a>" }, { "sm", "vdi" }, { "SR", "<a>" }, { "FileSR", "help" },
		};
		char *argv[] = { (char *)people[i][0], (char *)people[i][1], NULL };
		const struct front *front = front_for(2, argv);

		OK(!front || (!S(front->name, "smapi1") && !S(front->name, "srapi1")));
	}
}

TEST(fronts_smapi1_fills_the_request)
{
	char doc[] = CALL("vdi_create",
		M("host_ref", "OpaqueRef:h") M("command", "vdi_create")
		M("args", "<array><data><value>1048576</value><value>a &amp; b</value><value/>"
			  "<value/><value>false</value></data></array>")
		M("device_config", "<struct>" M("SRmaster", "true") M("password", "s3cret") "</struct>")
		M("session_ref", "OpaqueRef:s") M("vdi_type", "redo_log") M("sr_uuid", SR)
		M("vdi_uuid", VDI) M("vdi_sm_config", "<struct>" M("type", "raw") "</struct>")
		M("subtask_of", "OpaqueRef:t") M("vdi_on_boot", "reset"));
	char *argv[] = { "FileSR", doc, NULL };
	struct request rq;
	struct ctx ctx;

	EQ(parse(&ctx, &rq, 2, argv), 0);
	EQ(rq.op, OP_VDI_CREATE);
	OK(S(rq.sr, SR) && S(rq.new_uuid.s, VDI) && S(rq.type, "file"));
	OK(S(rq.name, "a & b") && S(rq.description, "") && S(rq.vdi_type, "redo_log"));
	OK(S(rq.format, "raw") && S(rq.session, "OpaqueRef:s") && S(rq.subtask_of, "OpaqueRef:t"));
	OK(S(kv_get(&rq.dconf, "password"), "s3cret") && S(kv_get(&rq.dconf, "SRmaster"), "true"));
	OK(rq.has_size && rq.size == MiB);
	OK(rq.by_uuid && rq.idempotent && rq.on_boot_reset && !rq.activate && !rq.keep_tab);
	OK(is_zero(doc, sizeof(doc)));		/* nothing for ps to show */
	arena_free(&ctx.arena);
}

TEST(fronts_smapi1_attaches_for_writing_or_not)
{
	static const struct { const char *value; int err; bool writable; } want[] = {
		{ "true", 0, true }, { "false", 0, false }, { "True", -E_REQUEST, false },
		{ "<boolean>1</boolean>", 0, true }, { "<boolean>0</boolean>", 0, false },
		{ "<i4>1</i4>", -E_REQUEST, false }, { "", -E_REQUEST, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		struct request rq;
		struct ctx ctx;
		char doc[1024];
		char *argv[] = { "FileSR", doc, NULL };

		snprintf(doc, sizeof(doc), CALL("vdi_attach", M("sr_uuid", SR) M("vdi_uuid", VDI)
			 M("device_config", "<struct/>")
			 M("args", "<array><data><value>%s</value></data></array>")), want[i].value);
		EQ(parse(&ctx, &rq, 2, argv), want[i].err);
		OK(want[i].err || rq.writable == want[i].writable);
		arena_free(&ctx.arena);
	}
}

TEST(fronts_smapi1_refuses_what_is_longer_than_an_argument_can_be)
{
	size_t n = 10 * MiB;
	char *doc = malloc(n + 1);
	char *argv[] = { "FileSR", doc, NULL };
	struct request rq;
	struct ctx ctx;

	memset(doc, 'x', n);
	doc[0] = '<';
	doc[n] = '\0';
	EQ(parse(&ctx, &rq, 2, argv), -E_TEXT_BIG);
	OK(is_zero(doc, n));
	arena_free(&ctx.arena);
	free(doc);
}

TEST(fronts_srapi1_fills_the_request)
{
	char xml[] = "<dconf><location>/srv</location><password>s3cret</password></dconf>";
	char *argv[] = { "sm", "vdi_create", "-tfile", SR, "-d", xml, VDI, "10", NULL };
	struct request rq;
	struct ctx ctx;

	EQ(parse(&ctx, &rq, 8, argv), 0);
	EQ(rq.op, OP_VDI_CREATE);
	OK(S(rq.sr, SR) && S(rq.sr_uuid.s, SR) && S(rq.new_uuid.s, VDI) && S(rq.type, "file"));
	OK(rq.has_size && rq.size == 10 * MiB);
	OK(rq.by_uuid && !rq.idempotent && rq.writable && !rq.activate && !rq.keep_tab);
	OK(S(kv_get(&rq.dconf, "location"), "/srv") && S(kv_get(&rq.dconf, "password"), "s3cret"));
	OK(is_zero(xml, sizeof(xml)));
	arena_free(&ctx.arena);
}

TEST(fronts_srapi1_attach_is_attach_and_activate)
{
	char *argv[] = { "FileSR", "vdi_attach", "/srv", SR, VDI, NULL };
	char *lock[] = { "FileSR", "vdi_lock", "/srv", SR, VDI, "TRUE", "host1:dom3", NULL };
	struct request rq;
	struct ctx ctx;

	EQ(parse(&ctx, &rq, 5, argv), 0);
	OK(rq.activate && rq.writable && rq.idempotent && S(rq.vdi_uuid.s, VDI));
	OK(S(kv_get(&rq.dconf, "location"), "/srv/" SR));
	arena_free(&ctx.arena);

	EQ(parse(&ctx, &rq, 7, lock), 0);
	OK(rq.force && S(rq.owner, "host1:dom3") && !rq.activate && !rq.idempotent);
	arena_free(&ctx.arena);
}
