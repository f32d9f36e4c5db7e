/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/err.h"
#include "lib/mgt.h"
#include "tests/unit/t.h"

TEST(mgt_head_round_trip)
{
	struct arena a = { 0 };
	struct mgt_sr sr = { .name = "disks & <more>", .description = "", .allocation = "thin",
			     .used = 3072 }, got;
	char head[2048];

	uuid_parse(&sr.uuid, "6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11");
	mgt_head_encode(&a, &sr, head);
	OK(!memcmp(head, "XSSM:3072      :1:2 ", 20));
	EQ(mgt_head_decode(&a, head, &got), 0);
	OK(uuid_equal(&got.uuid, &sr.uuid));
	OK(!strcmp(got.name, sr.name));
	OK(!strcmp(got.allocation, "thin"));
	EQ(got.used, 3072);
	memset(head, 0, sizeof(head));
	EQ(mgt_head_decode(&a, head, &got), -E_DAMAGED);
	arena_free(&a);
}

TEST(mgt_vdi_round_trip)
{
	struct arena a = { 0 };
	struct mgt_vdi v = { .name = "root", .description = "a \"quoted\" <text>", .type = "user",
			     .vdi_type = "aio", .managed = true }, got;
	char rec[1024];

	uuid_parse(&v.uuid, "2b1f7c90-0c3d-4a6f-8e55-1d0a9c7e4f21");
	kv_set(&a, &v.other, "snapshot_time", "19700101T00:00:00Z");
	kv_set(&a, &v.other, "unheard_of", "kept");
	mgt_vdi_encode(&a, &v, rec);
	EQ(mgt_vdi_decode(&a, rec, &got), 0);
	OK(uuid_equal(&got.uuid, &v.uuid));
	OK(!strcmp(got.description, v.description));
	OK(got.managed && !got.deleted && !got.read_only && !got.snapshot_of.s[0]);
	OK(!strcmp(kv_get(&got.other, "unheard_of"), "kept"));
	OK(!strcmp(kv_get(&got.other, "snapshot_time"), "19700101T00:00:00Z"));
	arena_free(&a);
}

TEST(mgt_names_are_cut_between_characters_and_never_break_the_record)
{
	struct arena a = { 0 };
	char longname[2000], rec[1024], head[2048];

	for (int kind = 0; kind < 3; kind++) {
		struct mgt_vdi v = { .name = longname, .description = longname, .managed = true }, got;
		struct mgt_sr sr = { .name = longname, .description = longname, .used = 2048 }, back;
		const char *unit = kind == 0 ? "&" : kind == 1 ? "\xd0\xb4" : "\xf0\x9f\x92\xbe";
		size_t n = 0;

		while (n + 4 < sizeof(longname)) {
			memcpy(longname + n, unit, strlen(unit));
			n += strlen(unit);
		}
		longname[n] = '\0';
		uuid_parse(&v.uuid, "2b1f7c90-0c3d-4a6f-8e55-1d0a9c7e4f21");
		sr.uuid = v.uuid;
		mgt_vdi_encode(&a, &v, rec);
		EQ(mgt_vdi_decode(&a, rec, &got), 0);
		OK(strlen(got.name) > 0 && strlen(got.name) % strlen(unit) == 0);
		mgt_head_encode(&a, &sr, head);
		EQ(mgt_head_decode(&a, head, &back), 0);
		OK(strlen(back.name) > 0 && strlen(back.name) % strlen(unit) == 0);
	}
	arena_free(&a);
}

TEST(mgt_garbage_is_refused)
{
	struct arena a = { 0 };
	struct mgt_sr sr = { .allocation = "thin", .name = "disks", .used = MGT_HEAD }, back = { 0 };
	struct mgt_vdi got;
	char rec[1024], head[MGT_HEAD];

	memset(rec, ' ', sizeof(rec));
	EQ(mgt_vdi_decode(&a, rec, &got), -E_DAMAGED);
	memcpy(rec, "<vdi><uuid>nonsense</uuid></vdi>", 32);
	EQ(mgt_vdi_decode(&a, rec, &got), -E_DAMAGED);
	memset(rec, '<', sizeof(rec));
	EQ(mgt_vdi_decode(&a, rec, &got), -E_DAMAGED);
	/* Of a head without its first sector the rest is told. */
	mgt_head_encode(&a, &sr, head);
	head[3] = 'x';
	EQ(mgt_head_decode(&a, head, &back), -E_DAMAGED);
	STR_EQ(back.name, "disks");
	STR_EQ(back.allocation, "thin");
	arena_free(&a);
}
