/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/clock.h"
#include "drivers/lease.h"
#include "drivers/sr.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/num.h"

#define INVENTORY	"/etc/xensource-inventory"
#define SEEN		"/run/sm/seen"
#define SEEN_ROOM	256

struct lease_seen *lease_list_add(struct sr *sr, struct lease_list *l)
{
	if (l->n == l->room) {
		l->v = arena_grow(&sr->ctx->arena, l->v, l->n, 2 * l->n + 8, sizeof(*l->v));
		l->room = 2 * l->n + 8;
	}
	l->v[l->n] = (struct lease_seen){ 0 };
	return &l->v[l->n++];
}

/* --- who we are ---------------------------------------------------------------- */

/* INSTALLATION_UUID='6f0c1a52-…' */
static bool id_of_inventory(struct ctx *ctx, struct uuid *u)
{
	static const char key[] = "INSTALLATION_UUID=";
	struct view text;
	const char *p;

	if (file_read_small(AT_FDCWD, sm_path(ctx, INVENTORY), &ctx->arena, 1 << 16, &text))
		return false;
	for (p = text.p; p && strncmp(p, key, strlen(key)); p = strchr(p, '\n'), p += !!p)
		;
	if (!p)
		return false;
	p += strlen(key);
	p += *p == '\'' || *p == '"';
	return strnlen(p, UUID_LEN) == UUID_LEN && !uuid_parse_n(u, p, UUID_LEN);
}

/* 32 digits in a line. */
static bool id_of_machine(struct ctx *ctx, struct uuid *u)
{
	struct view text;
	const char *p;

	if (file_read_small(AT_FDCWD, sm_path(ctx, "/etc/machine-id"), &ctx->arena, 64, &text) ||
	    text.n < 32)
		return false;
	p = text.p;
	snprintf(u->s, sizeof(u->s), "%.8s-%.4s-%.4s-%.4s-%.12s", p, p + 8, p + 12, p + 16, p + 20);
	return !uuid_parse(u, arena_strdup(&ctx->arena, u->s));
}

/*
 * A host that has no name of its own is another one after each boot: of such
 * nobody can say that it was started anew.
 */
int lease_who(struct ctx *ctx, struct lease_look *look)
{
	struct stat st;
	int err;

	*look = (struct lease_look){ .alive = -1, .watched = -1 };
	err = boot_id(&look->boot);
	if (err)
		return fail(ctx, err, "which boot is this");
	if (!id_of_inventory(ctx, &look->host) && !id_of_machine(ctx, &look->host))
		look->host = look->boot;
	if (!stat("/proc/self/ns/pid", &st))
		look->pid_space = st.st_ino;
	return 0;
}

int lease_need_name(struct ctx *ctx)
{
	struct lease_look me;
	int err = lease_who(ctx, &me);

	if (err || !uuid_equal(&me.host, &me.boot))
		return err;
	hint(ctx, "systemd-machine-id-setup, or INSTALLATION_UUID in " INVENTORY);
	return fail_say(ctx, -E_UNSUPPORTED, "this host has no name of its own to lock by");
}

int lease_sign(struct ctx *ctx, struct lease *l)
{
	struct lease_look me;
	int err = lease_who(ctx, &me);

	if (!err)
		err = pid_started(getpid(), &l->started);
	if (err)
		return fail(ctx, err, "who writes the lock");
	l->host = me.host;
	l->boot = me.boot;
	l->pid_space = me.pid_space;
	l->pid = getpid();
	l->since = clock_now_real(NULL);
	return 0;
}

/* --- what can be known of others ------------------------------------------------- */

static int is_alive(const struct lease *l, const struct lease_look *me)
{
	uint64_t started;
	int err;

	if (!uuid_equal(&l->host, &me->host) || !uuid_equal(&l->boot, &me->boot) ||
	    l->pid_space != me->pid_space || l->pid <= 0)
		return -1;
	err = pid_started(l->pid, &started);
	return err == -ESRCH ? 0 : err ? -1 : started == l->started;
}

/*
 * The first time that we see a writing we note which it was, and when by the
 * clock that nobody sets.  Seen again, it has been unchanged for so long: from
 * after the first reading until before this one, however long each has taken.
 */
static int64_t watch(struct ctx *ctx, const struct lease *l, const struct lease_look *me, uint64_t as_of)
{
	const char *path = sm_path(ctx, SEEN);
	struct arena *a = &ctx->arena;
	const char *what = arena_printf(a, "%s %llx %llx ", me->boot.s, (unsigned long long)l->generation,
					(unsigned long long)l->stamp);
	uint64_t then;
	_close_ int dir = -1;
	/* A host may have two records of a disk: one that counts, and one that is wanted. */
	const char *name = arena_printf(a, "%s.%s%s", l->vdi.s, l->host.s, l->state == LEASE_WANTED ? ".w" : "");
	const char *s;
	struct view text;
	int err = mkdir_p(path, 0700);

	if (!err) {
		dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		err = dir < 0 ? -errno : 0;
	}
	if (!err && !file_read_small(dir, name, a, SEEN_ROOM, &text) &&
	    !strncmp(text.p, what, strlen(what))) {
		s = (const char *)text.p + strlen(what);
		if (num_take(&s, &then) && then <= clock_now_mono())
			return as_of < then ? 0 : (int64_t)((as_of - then) / NS_PER_S);
	}
	if (!err) {
		what = arena_printf(a, "%s%llu\n", what, (unsigned long long)clock_now_mono());
		err = file_replace(dir, name, what, strlen(what), 0600);
	}
	if (err)		/* then nothing is proven, and that is all */
		logf_warn(ctx, "%s: %s", path, err_text(err));
	return err ? -1 : 0;
}

void lease_unwatch(struct ctx *ctx, const struct uuid *vdi)
{
	DIR *d = opendir(sm_path(ctx, SEEN));
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (!strncmp(e->d_name, vdi->s, UUID_LEN))
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
}

int lease_check(struct ctx *ctx, const struct lease *l, uint64_t as_of, struct lease_known *k)
{
	uint32_t patience = lease_patience(l);
	struct lease_look look;
	int err = lease_who(ctx, &look);

	*k = (struct lease_known){ .verdict = LEASE_LIVES };
	if (err)
		return err;
	look.alive = is_alive(l, &look);
	if (l->state != LEASE_FREE && patience && l->vdi.s[0])
		look.watched = watch(ctx, l, &look, as_of);
	k->verdict = lease_judge(l, &look, k->why);
	k->here = uuid_equal(&l->host, &look.host) && uuid_equal(&l->boot, &look.boot);
	if (k->verdict == LEASE_LIVES && look.watched >= 0)
		k->left = patience + 1 - (uint32_t)look.watched;
	return 0;
}

void lease_hint(struct ctx *ctx, const struct lease_known *k)
{
	if (k->left)
		hint(ctx, "again in %u s: it is dead when nobody has renewed it until then", k->left);
}

void lease_pause(unsigned int attempt)
{
	uint16_t r;

	random_bytes(&r, sizeof(r));
	clock_sleep((1 + r % (10 << (attempt < 4 ? attempt : 4))) * NS_PER_MS);
}
