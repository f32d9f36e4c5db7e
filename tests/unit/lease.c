/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/crc32.h"
#include "lib/err.h"
#include "lib/lease.h"
#include "tests/unit/t.h"

#define HERE	{ "aaaaaaaa-0000-4000-8000-000000000001" }
#define THERE	{ "aaaaaaaa-0000-4000-8000-000000000002" }
#define BOOT1	{ "bbbbbbbb-0000-4000-8000-000000000001" }
#define BOOT2	{ "bbbbbbbb-0000-4000-8000-000000000002" }

static const struct lease full = {
	.state = LEASE_HELD, .kind = LEASE_PROCESS, .marked = true, .generation = 7, .stamp = 99,
	.term = 30, .pid = 1234, .started = 5678, .pid_space = 4026531836, .since = 1700000000,
	.vdi = { "2b1f7c90-0c3d-4a6f-8e55-1d0a9c7e4f21" }, .host = HERE, .boot = BOOT1,
	.verb = "vdi attach", .owner = "host1:dom3 \xc3\xa9",
};

TEST(lease_survives_a_round_trip)
{
	uint8_t bytes[LEASE_BYTES], again[LEASE_BYTES];
	struct lease l;

	lease_encode(&full, bytes);
	EQ(lease_decode(bytes, sizeof(bytes), &l), 0);
	OK(lease_same(&l, &full));
	EQ(l.kind, LEASE_PROCESS);
	EQ(l.term, 30);
	EQ(l.pid, 1234);
	EQ(l.started, 5678);
	EQ(l.pid_space, 4026531836);
	EQ(l.since, 1700000000);
	OK(l.marked);
	STR_EQ(l.owner, full.owner);
	STR_EQ(l.verb, full.verb);
	STR_EQ(l.boot.s, full.boot.s);
	lease_encode(&l, again);
	MEM_EQ(again, bytes, sizeof(bytes));
}

TEST(lease_of_the_longest_words)
{
	uint8_t bytes[LEASE_BYTES];
	struct lease l, in = full;

	memset(in.owner, 'x', LEASE_OWNER - 1);
	memset(in.verb, 'v', LEASE_VERB - 1);
	lease_encode(&in, bytes);
	EQ(lease_decode(bytes, sizeof(bytes), &l), 0);
	STR_EQ(l.owner, in.owner);
	STR_EQ(l.verb, in.verb);
}

/* What comes from the name of a host, or from who calls us. */
TEST(lease_with_text_that_is_none_can_be_read)
{
	uint8_t bytes[LEASE_BYTES];
	struct lease l, in = full;

	OK(lease_owner_good("host1:dom3 \xc3\xa9"));
	OK(!lease_owner_good("a\tb"));
	OK(!lease_owner_good("a\x7f"));
	OK(!lease_owner_good("a\xff"));
	snprintf(in.owner, sizeof(in.owner), "host\x01 \xff");
	snprintf(in.verb, sizeof(in.verb), "a\nverb");
	lease_encode(&in, bytes);
	EQ(lease_decode(bytes, sizeof(bytes), &l), 0);
	STR_EQ(l.owner, "host? ?");
	STR_EQ(l.verb, "a?verb");
}

TEST(lease_any_flipped_bit_is_seen)
{
	uint8_t bytes[LEASE_BYTES];
	struct lease l;
	int taken = 0;

	lease_encode(&full, bytes);
	for (size_t i = 0; i < sizeof(bytes) * 8; i++) {
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
		taken += lease_decode(bytes, sizeof(bytes), &l) != -E_DAMAGED;
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	EQ(taken, 0);
	EQ(lease_decode(bytes, LEASE_BYTES - 1, &l), -E_SHORT);
	memset(bytes, 0, sizeof(bytes));
	EQ(lease_decode(bytes, sizeof(bytes), &l), -ENOENT);
}

static int with(size_t at, uint8_t byte)
{
	uint8_t bytes[LEASE_BYTES];
	struct lease l;
	be32 sum;

	lease_encode(&full, bytes);
	bytes[at] = byte;
	memset(bytes + 8, 0, 4);
	sum = be32_put(crc32_zlib(0, bytes, sizeof(bytes)));
	memcpy(bytes + 8, &sum, 4);
	return lease_decode(bytes, sizeof(bytes), &l);
}

TEST(lease_with_a_good_checksum_and_bad_fields)
{
	EQ(with(144, 'H'), 0);
	EQ(with(12, 3), -E_DAMAGED);		/* state */
	EQ(with(13, 3), -E_DAMAGED);		/* kind */
	EQ(with(14, 2), -E_DAMAGED);
	EQ(with(15, 200), -E_DAMAGED);		/* the owner's length, over its NULs */
	EQ(with(15, 3), -E_DAMAGED);		/* and shorter than its text */
	EQ(with(16, 0xff), -E_DAMAGED);		/* a generation after which there is none */
	EQ(with(32, 0xff), -E_DAMAGED);		/* term */
	EQ(with(36, 0xff), -E_DAMAGED);		/* pid */
	EQ(with(145, '\n'), -E_DAMAGED);
	EQ(with(145, 0xff), -E_DAMAGED);	/* no UTF-8 */
	EQ(with(113, 0x1b), -E_DAMAGED);
	EQ(with(511, 1), -E_DAMAGED);
}

/* --- judging ------------------------------------------------------------------- */

static enum lease_verdict judge(struct lease l, struct lease_look look)
{
	char why[LEASE_WHY];
	enum lease_verdict v = lease_judge(&l, &look, why);

	OK(v == LEASE_IS_FREE || why[0]);
	return v;
}

static const struct lease_look nobody_knows = {
	.host = HERE, .boot = BOOT1, .pid_space = 1, .alive = -1, .watched = -1,
};
static const struct lease ours = {
	.state = LEASE_HELD, .generation = 1, .host = HERE, .boot = BOOT1, .pid = 10, .pid_space = 1,
};
static const struct uuid there = THERE, boot2 = BOOT2;

#define LOOK(...)	({ struct lease_look k = nobody_knows; __VA_ARGS__; k; })
#define HELD(...)	({ struct lease l = ours; __VA_ARGS__; l; })

TEST(lease_of_a_process_ends_with_it)
{
	EQ(judge(HELD(l.kind = LEASE_PROCESS), LOOK(k.alive = 1)), LEASE_LIVES);
	EQ(judge(HELD(l.kind = LEASE_PROCESS), LOOK(k.alive = 0)), LEASE_IS_DEAD);
	EQ(judge(HELD(l.kind = LEASE_PROCESS), LOOK(k.alive = -1)), LEASE_LIVES);
	/* Another host, or another namespace of pids, knows nothing of it. */
	EQ(judge(HELD(l.kind = LEASE_PROCESS, l.host = there), LOOK(k.alive = 0)), LEASE_LIVES);
	EQ(judge(HELD(l.kind = LEASE_PROCESS, l.pid_space = 2), LOOK(k.alive = 0)), LEASE_LIVES);
	EQ(judge(HELD(l.kind = LEASE_PROCESS), LOOK(k.boot = boot2)), LEASE_IS_DEAD);
}

TEST(lease_of_a_boot_ends_with_it_on_that_host_only)
{
	EQ(judge(HELD(l.kind = LEASE_BOOT), LOOK(k.alive = 0)), LEASE_LIVES);
	EQ(judge(HELD(l.kind = LEASE_BOOT), LOOK(k.boot = boot2)), LEASE_IS_DEAD);
	EQ(judge(HELD(l.kind = LEASE_BOOT, l.host = there), LOOK(k.boot = boot2)), LEASE_LIVES);
	EQ(judge(HELD(l.kind = LEASE_BOOT, l.host = there), LOOK(k.watched = 1000000)), LEASE_LIVES);
	EQ(judge(HELD(l.kind = LEASE_BOOT, l.host = (struct uuid){ "" }), LOOK(k.boot = boot2)), LEASE_LIVES);
}

TEST(lease_mark_ends_with_its_term_and_the_grace)
{
	EQ(judge(HELD(l.term = 30), LOOK(k.watched = 35)), LEASE_LIVES);
	EQ(judge(HELD(l.term = 30), LOOK(k.watched = 36)), LEASE_IS_DEAD);
	EQ(judge(HELD(l.term = 30, l.host = there), LOOK(k.watched = 35)), LEASE_LIVES);
	EQ(judge(HELD(l.term = 30, l.host = there), LOOK(k.watched = 36)), LEASE_IS_DEAD);
	EQ(judge(HELD(l.term = 30), LOOK(k.watched = -1)), LEASE_LIVES);
	/* The owner's word outlives the boot and the process that wrote it down. */
	EQ(judge(HELD(l.term = 30), LOOK(k.boot = boot2, k.watched = 1)), LEASE_LIVES);
	EQ(judge(HELD(l.term = 30), LOOK(k.alive = 0, k.watched = 1)), LEASE_LIVES);
	EQ(judge(HELD(l.term = 0), LOOK(k.watched = 1000000)), LEASE_LIVES);
}

TEST(lease_that_is_only_wanted)
{
	EQ(judge(HELD(l.state = LEASE_WANTED), LOOK(k.alive = 1)), LEASE_LIVES);
	EQ(judge(HELD(l.state = LEASE_WANTED), LOOK(k.alive = 0)), LEASE_IS_DEAD);
	EQ(judge(HELD(l.state = LEASE_WANTED, l.host = there), LOOK(k.watched = 36)), LEASE_IS_DEAD);
	EQ(judge(HELD(l.state = LEASE_WANTED, l.host = there), LOOK(k.watched = 35)), LEASE_LIVES);
	EQ(judge(HELD(l.state = LEASE_FREE), LOOK(k.alive = 1)), LEASE_IS_FREE);
}

/* --- the holder, whose clock has gone on while he slept -------------------------------- */

#define S		((uint64_t)1000000000)

TEST(lease_of_a_sleeper_is_not_his_any_more)
{
	const uint64_t t = 1000 * S;

	EQ(lease_left(t, t), LEASE_TERM - 5);
	EQ(lease_left(t, t + S - 1), LEASE_TERM - 5);
	EQ(lease_left(t, t + 24 * S), 1);
	EQ(lease_left(t, t + 25 * S - 1), 1);
	EQ(lease_left(t, t + 25 * S), 0);
	EQ(lease_left(t, t + 8 * 3600 * S), 0);		/* a night */
	EQ(lease_left(0, UINT64_MAX), 0);
	EQ(lease_left(t, t - S), LEASE_TERM - 5);	/* written a moment after the clock was read */
	OK(!lease_is_late(t, t + LEASE_TERM * S));
	OK(lease_is_late(t, t + LEASE_TERM * S + 1));
	OK(lease_is_late(t, t + 8 * 3600 * S));
	OK(!lease_is_late(t, t - 1));
	/* Who stops when he has nothing left has stopped before anybody may take it. */
	for (uint64_t now = t; now < t + 100 * S; now += S / 10) {
		struct lease_look look = nobody_knows;

		look.host = there;
		look.watched = (int64_t)((now - t) / S);
		if (judge(HELD(l.kind = LEASE_PROCESS, l.term = LEASE_TERM), look) == LEASE_IS_DEAD &&
		    !OK(!lease_left(t, now) && lease_is_late(t, now)))
			break;
	}
}
