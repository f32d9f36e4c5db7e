/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "arch/mount.h"
#include "lib/arena.h"
#include "tests/unit/t.h"

static const char text[] =
	"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\n"
	"30 22 0:25 / /run rw,nosuid shared:5 master:2 - tmpfs tmpfs rw,size=10k\n"
	"31 30 0:40 / /run/sr-mount/a rw,nosuid,nodev - nfs nas:/export/a rw,vers=3\n"
	"32 30 8:1 /srv/sr\\040one /run/sr-mount/b\\040c ro,relatime - ext4 /dev/sda1 rw\n"
	"33 30 259:70000 / /run/sr-mount/d\\134040 rw - xfs /dev/nvme0n1p9 ro,attr2\n"
	"34 31 0:41 / /run/sr-mount/a rw - nfs4 nas:/over rw\n"
	"35 22 0:42 / /short\n"
	"36 22 x:42 / /wrong rw - a b c\n"
	"37 22 0:43 / /cut rw shared:1 - tm";

TEST(mount_is_found_in_a_text)
{
	struct arena a = { 0 };
	struct mount_entry m = { 0 };

	EQ(mount_find_in(&a, text, "/", &m), 0);
	EQ(m.dev, makedev(8, 1));
	STR_EQ(m.type, "ext4");
	STR_EQ(m.super, "rw,errors=remount-ro");
	OK(!m.read_only);
	EQ(mount_find_in(&a, text, "/run/sr-mount/a", &m), 0);
	STR_EQ(m.source, "nas:/over");		/* the upper of two */
	EQ(mount_find_in(&a, text, "/run/sr-mount/b c", &m), 0);
	STR_EQ(m.root, "/srv/sr one");
	STR_EQ(m.point, "/run/sr-mount/b c");
	STR_EQ(m.options, "ro,relatime");
	OK(m.read_only);
	EQ(mount_find_in(&a, text, "/run/sr-mount/d\\040", &m), 0);
	EQ(m.dev, makedev(259, 70000));
	OK(m.read_only);
	arena_free(&a);
}

TEST(mount_text_that_is_cut_or_wrong_is_passed_over)
{
	struct mount_entry m = { .type = "untouched" };
	struct arena a = { 0 };

	EQ(mount_find_in(&a, "", "/", &m), -ENOENT);
	EQ(mount_find_in(&a, "\n\n  \n-\n", "/", &m), -ENOENT);
	EQ(mount_find_in(&a, text, "/run/sr-mount", &m), -ENOENT);
	EQ(mount_find_in(&a, text, "/run/sr-mount/", &m), -ENOENT);
	EQ(mount_find_in(&a, text, "/short", &m), -ENOENT);
	EQ(mount_find_in(&a, text, "/wrong", &m), -ENOENT);
	STR_EQ(m.type, "untouched");
	EQ(mount_find_in(&a, text, "/cut", &m), 0);
	STR_EQ(m.type, "tm");
	STR_EQ(m.source, "");
	/* Every beginning of the text, in memory that ends with it. */
	for (size_t n = 0; n < sizeof(text); n++) {
		char *part = strndup(text, n);

		mount_find_in(&a, part, "/run/sr-mount/b c", &m);
		mount_find_in(&a, part, "/cut", &m);
		free(part);
	}
	arena_free(&a);
}

TEST(mount_points_of_this_host)
{
	char dir[] = "/tmp/smmnt.XXXXXX", link[64];
	struct mount_entry m;
	struct arena a = { 0 };

	OK(mkdtemp(dir));
	EQ(mount_is_point("/"), 1);
	EQ(mount_is_point("//"), 1);
	EQ(mount_is_point("/proc"), 1);
	EQ(mount_is_point("/proc/"), 1);
	EQ(mount_is_point(dir), 0);
	EQ(mount_is_point("/no/such/directory"), 0);
	EQ(mount_is_point("proc"), -EINVAL);
	EQ(mount_is_point("/proc/.."), -EINVAL);
	EQ(mount_find(&a, "/proc", &m), 0);
	STR_EQ(m.type, "proc");
	/* By way of a link to the directory above. */
	snprintf(link, sizeof(link), "%s/up", dir);
	EQ(symlink("/", link), 0);
	EQ(mount_is_point(link), 0);
	snprintf(link, sizeof(link), "%s/up/proc", dir);
	EQ(mount_is_point(link), 1);
	snprintf(link, sizeof(link), "%s/up", dir);
	unlink(link);
	EQ(umount_dir(dir, false) == 0 || geteuid(), true);
	rmdir(dir);
	arena_free(&a);
}
