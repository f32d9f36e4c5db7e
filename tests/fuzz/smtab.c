/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /etc/smtab, which people edit by hand: read, and every SR of it found again. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/ctx.h"
#include "lib/err.h"
#include "sm/smtab.h"
#include "tests/fuzz/fuzz.h"

static void write_tab(const char *root, const uint8_t *data, size_t size)
{
	char path[80];
	int fd;

	mkdir(root, 0700);
	snprintf(path, sizeof(path), "%s/etc", root);
	mkdir(path, 0700);
	strcat(path, "/smtab");
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size && !close(fd));
}

static void clear(const char *root)
{
	char path[80];

	snprintf(path, sizeof(path), "%s/etc/smtab", root);
	unlink(path);
	snprintf(path, sizeof(path), "%s/etc", root);
	rmdir(path);
	rmdir(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char root[40];
	struct ctx ctx = { .root = root };
	const struct smtab_entry *e;
	struct smtab tab;

	snprintf(root, sizeof(root), "/dev/shm/fuzz-smtab-%d", (int)getpid());
	write_tab(root, data, size);
	if (!smtab_read(&ctx, &tab))
		for (size_t i = 0; i < tab.n && i < 8; i++) {
			CHECK(tab.v[i].type && tab.v[i].name && tab.v[i].uuid.s[35] && !tab.v[i].uuid.s[36]);
			for (size_t k = 0; k < tab.v[i].dconf.n; k++)
				CHECK(tab.v[i].dconf.v[k].key[0] && tab.v[i].dconf.v[k].value);
			if (!smtab_find(&ctx, &tab, tab.v[i].uuid.s, &e))
				CHECK(uuid_equal(&e->uuid, &tab.v[i].uuid));
			smtab_find(&ctx, &tab, tab.v[i].name, &e);
		}
	clear(root);
	arena_free(&ctx.arena);
	return 0;
}
