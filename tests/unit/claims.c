/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/serve/claims.h"
#include "tests/unit/t.h"

static struct claims world = { .lock = PTHREAD_MUTEX_INITIALIZER, .gone = PTHREAD_COND_INITIALIZER };

/* One change of a connection that was seen to be there at *turn, all of it; must it look? */
static bool looks(const void *who, uint64_t *turn)
{
	struct claim c = { .from = 0, .to = 512 };
	bool look = claim_make(&world, &c, who, turn);

	claim_drop(&world, &c);
	return look;
}

TEST(claims_all_who_come_late_look_whether_their_client_is_there)
{
	uint64_t a = 0, b = 0, late[3];
	char one = 0, other = 0;

	OK(looks(&one, &a));
	OK(!looks(&one, &a));
	for (size_t i = 0; i < 3; i++)
		late[i] = a;		/* they have read what was asked, and begin later */
	OK(looks(&other, &b));
	OK(!looks(&other, &b));
	for (size_t i = 0; i < 3; i++)
		OK(looks(&one, &late[i]));
	OK(looks(&other, &b));
	OK(looks(&one, &late[2]));
	OK(!looks(&one, &late[2]));
}

TEST(claims_a_connection_that_is_alone_looks_no_more)
{
	uint64_t a = 0;
	char one = 0;

	looks(&one, &a);
	for (size_t i = 0; i < 100; i++)
		OK(!looks(&one, &a));
	OK(!claims_any(&world));
}
