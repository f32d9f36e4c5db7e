/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "arch/dm.h"
#include "tests/unit/t.h"

static const char *mangled(const char *plain)
{
	static char out[DM_NAME_MAX + 1];

	return dm_mangle(out, sizeof(out), plain) ? "(no)" : out;
}

static const char *demangled(const char *name)
{
	static char out[DM_NAME_MAX + 1];

	dm_demangle(out, sizeof(out), name);
	return out;
}

TEST(dm_mangle_leaves_plain_names_alone)
{
	STR_EQ(mangled("VG_XenStorage--1-LV--2"), "VG_XenStorage--1-LV--2");
	STR_EQ(mangled("aZ09#+-.:=@_"), "aZ09#+-.:=@_");
}

TEST(dm_mangle_writes_the_others_in_hex)
{
	STR_EQ(mangled("a b"), "a\\x20b");
	STR_EQ(mangled("a/b\\c"), "a\\x2fb\\x5cc");
	STR_EQ(mangled("\303\244"), "\\xc3\\xa4");
	STR_EQ(mangled("a\\x20b"), "a\\x5cx20b");
}

TEST(dm_mangle_knows_what_is_no_name)
{
	char out[DM_NAME_MAX + 1], longest[DM_NAME_MAX + 2];

	EQ(dm_mangle(out, sizeof(out), ""), -EINVAL);
	EQ(dm_mangle(out, sizeof(out), "."), -EINVAL);
	EQ(dm_mangle(out, sizeof(out), ".."), -EINVAL);
	EQ(dm_mangle(out, sizeof(out), "..."), 0);
	memset(longest, 'x', sizeof(longest));
	longest[DM_NAME_MAX] = '\0';
	EQ(dm_mangle(out, sizeof(out), longest), 0);
	STR_EQ(out, longest);
	longest[0] = ' ';		/* takes three more */
	EQ(dm_mangle(out, sizeof(out), longest), -ENAMETOOLONG);
	longest[DM_NAME_MAX - 3] = '\0';
	EQ(dm_mangle(out, sizeof(out), longest), 0);
	EQ((long long)strlen(out), DM_NAME_MAX);
	longest[0] = 'x';
	longest[DM_NAME_MAX - 3] = 'x';
	longest[DM_NAME_MAX] = 'x';
	longest[DM_NAME_MAX + 1] = '\0';
	EQ(dm_mangle(out, sizeof(out), longest), -ENAMETOOLONG);
}

TEST(dm_demangle_is_the_reverse)
{
	char out[8];

	STR_EQ(demangled("a\\x20b"), "a b");
	STR_EQ(demangled("a\\x5cx20b"), "a\\x20b");
	STR_EQ(demangled("\\xC3\\xa4"), "\303\244");
	STR_EQ(demangled("\\x00\\x0"), "\\x00\\x0");
	STR_EQ(demangled("\\xg0\\"), "\\xg0\\");
	dm_demangle(out, sizeof(out), "0123456789");
	STR_EQ(out, "0123456");
}

TEST(dm_path_is_where_the_node_lies)
{
	char path[DM_PATH_MAX];

	EQ(dm_path(path, "vg-a b"), 0);
	STR_EQ(path, "/dev/mapper/vg-a\\x20b");
	EQ(dm_path(path, ""), -EINVAL);
}
