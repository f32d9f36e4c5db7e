/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch/lvmhost.h"
#include "lib/arena.h"
#include "lib/file.h"
#include "lib/io.h"
#include "tests/unit/t.h"

static char top[64];

static const char *at(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s%s", top, name);
	return path;
}

static void touch(const char *name)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	OK(fd >= 0);
	close(fd);
}

static bool is_there(const char *name)
{
	return !access(at(name), F_OK);
}

TEST(lvmhost_forgets_what_lvm2_has_noted)
{
	strcpy(top, "/tmp/smlvm.XXXXXX");
	OK(mkdtemp(top));
	EQ(lvmhost_look_again(top), 0);
	EQ(lvmhost_gone(top, "vg", "pv"), 0);
	OK(!is_there("/run"));

	EQ(mkdir_p(at("/run/lvm/pvs_online"), 0755), 0);
	EQ(mkdir_p(at("/run/lvm/vgs_online"), 0755), 0);
	touch("/run/lvm/hints");
	touch("/run/lvm/pvs_online/pv");
	touch("/run/lvm/pvs_online/pv2");
	touch("/run/lvm/vgs_online/vg");
	for (int again = 0; again < 2; again++) {
		EQ(lvmhost_look_again(top), 0);
		OK(is_there("/run/lvm/newhints") && !is_there("/run/lvm/hints"));
		EQ(lvmhost_gone(top, "vg", "pv"), 0);
		OK(!is_there("/run/lvm/pvs_online/pv") && !is_there("/run/lvm/vgs_online/vg"));
		OK(is_there("/run/lvm/pvs_online/pv2"));
	}
	EQ(lvmhost_gone(top, "../hints", NULL), -EINVAL);

	unlink(at("/run/lvm/newhints"));
	EQ(symlink("/etc/passwd", at("/run/lvm/newhints")), 0);
	EQ(lvmhost_look_again(top), -ELOOP);

	unlink(at("/run/lvm/newhints"));
	unlink(at("/run/lvm/pvs_online/pv2"));
	rmdir(at("/run/lvm/pvs_online"));
	rmdir(at("/run/lvm/vgs_online"));
	rmdir(at("/run/lvm"));
	rmdir(at("/run"));
	EQ(rmdir(top), 0);
}

static void write_conf(const char *name, const char *text)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (OK(fd >= 0))
		EQ(write_all(fd, text, strlen(text)), 0);
	close(fd);
}

TEST(lvmhost_system_id_by_lvm2s_configuration)
{
	struct arena a = { 0 };

	strcpy(top, "/tmp/smlvm.XXXXXX");
	OK(mkdtemp(top));
	OK(!lvmhost_system_id(top, &a));
	EQ(mkdir_p(at("/etc/lvm"), 0755), 0);
	write_conf("/etc/lvm/lvmlocal.conf", "# mine\nlocal {\n\tsystem_id = \"host A!\"\n}\n");
	OK(!lvmhost_system_id(top, &a));		/* the source is "none" */
	write_conf("/etc/lvm/lvm.conf", "devices { dir = \"/dev\" scan = [ \"/dev\" ] }\n"
		   "global {\n\t# system_id_source = \"uname\"\n\tsystem_id_source = \"lvmlocal\"\n}\n");
	STR_EQ(lvmhost_system_id(top, &a), "hostA");
	write_conf("/etc/lvm/lvm.conf", "global/system_id_source=\"machineid\"\n");
	OK(!lvmhost_system_id(top, &a));
	write_conf("/etc/machine-id", "0123456789abcdef\n");
	STR_EQ(lvmhost_system_id(top, &a), "0123456789abcdef");
	write_conf("/etc/lvm/lvm.conf", "global { system_id_source = \"file\"\n"
		   "system_id_file = \"/etc/lvm/id\" }");
	write_conf("/etc/lvm/id", "\n# a comment\n --localhost\n");
	OK(!lvmhost_system_id(top, &a));
	write_conf("/etc/lvm/id", "\n# a comment\n  node-7  \n");
	STR_EQ(lvmhost_system_id(top, &a), "node-7");
	write_conf("/etc/lvm/lvm.conf", "global { system_id_source = \"file");
	OK(!lvmhost_system_id(top, &a));
	write_conf("/etc/lvm/lvm.conf", "global { system_id_source = 3 }");
	OK(!lvmhost_system_id(top, &a));

	unlink(at("/etc/lvm/id"));
	unlink(at("/etc/lvm/lvm.conf"));
	unlink(at("/etc/lvm/lvmlocal.conf"));
	unlink(at("/etc/machine-id"));
	rmdir(at("/etc/lvm"));
	rmdir(at("/etc"));
	rmdir(top);
	arena_free(&a);
}
