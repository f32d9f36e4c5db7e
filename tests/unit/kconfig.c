/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/kconfig.h"
#include "tests/unit/t.h"

#define CONFIG_TEST_ON	1
#define CONFIG_TEST_OFF	0

#if IS_ENABLED(CONFIG_TEST_ON) && !IS_ENABLED(CONFIG_TEST_NEVER_HEARD_OF)
#define WORKS_IN_IF	1
#else
#define WORKS_IN_IF	0
#endif

TEST(is_enabled_knows_on_off_and_unknown)
{
	EQ(IS_ENABLED(CONFIG_TEST_ON), 1);
	EQ(IS_ENABLED(CONFIG_TEST_OFF), 0);
	EQ(IS_ENABLED(CONFIG_TEST_NEVER_HEARD_OF), 0);
	EQ(IS_ENABLED(CONFIG_UNIT_TESTS), 1);
	EQ(WORKS_IN_IF, 1);
}
