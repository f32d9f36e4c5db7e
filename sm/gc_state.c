/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who collects, who wants him to stop, and how far he is. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "arch/clock.h"
#include "arch/lock.h"
#include "arch/proc.h"
#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/num.h"
#include "sm/gc.h"
#include "sm/locks.h"

#define TELL_EVERY	NS_PER_S
#define ABORT_PATIENCE	(60 * NS_PER_S)		/* upstream's */
#define POLL		(20 * NS_PER_MS)
#define DEATH_TAKES	(10 * NS_PER_S)

/* --- locks ------------------------------------------------------------------- */

/* -EAGAIN when somebody has it. */
static int try_lock(struct ctx *ctx, const struct uuid *sr, const char *name, int *fd)
{
	uint64_t deadline = ctx->deadline;
	int err;

	ctx->deadline = LOCK_TRY;
	err = lock_host(ctx, sr->s, name, fd);
	ctx->deadline = deadline;
	if (err != -E_DEADLINE)
		return err;
	fail_clear(ctx);
	return -EAGAIN;
}

static char *flag_path(struct ctx *ctx, const struct uuid *sr)
{
	return sm_path(ctx, "/run/sm/ipc/%s/abort", sr->s);
}

static void set_flag(struct ctx *ctx, const struct uuid *sr)
{
	char pid[24];
	_close_ int fd = -1;
	int n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());

	if (mkdir_p(sm_path(ctx, "/run/sm/ipc/%s", sr->s), 0755))
		return;
	fd = open(flag_path(ctx, sr), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd >= 0)
		(void)!write(fd, pid, (size_t)n);
}

int gc_abort(struct ctx *ctx, const struct uuid *sr, int *lock)
{
	uint64_t until = clock_now_mono() + ABORT_PATIENCE;
	int err = try_lock(ctx, sr, "gc_active", lock);

	if (err != -EAGAIN)
		return err;
	do {
		set_flag(ctx, sr);	/* again: one that begins takes old flags away */
		clock_sleep(POLL);
		err = try_lock(ctx, sr, "gc_active", lock);
	} while (err == -EAGAIN && clock_left(until) && clock_left(ctx->deadline));
	unlink(flag_path(ctx, sr));
	if (err != -EAGAIN)
		return err;
	hint(ctx, "sm gc status %s", sr->s);
	return fail_say(ctx, -E_BUSY, "a collector is at work and does not stop");
}

/* To become active one needs the SR's lock, which is ours. */
int gc_quiet_here(struct run *r)
{
	_unlock_ int lock = -1;

	return r->sr.type->layout->merge_begin ? gc_abort(r->ctx, &r->sr.uuid, &lock) : 0;
}

/* One elsewhere cannot be asked; to begin it needs the SR's lock among hosts, which is ours as well. */
int gc_quiet(struct run *r)
{
	int err = gc_quiet_here(r);

	return err || !WITH_READERS ? err : gc_none_elsewhere(r);
}

int gc_try_quiet(struct run *r)
{
	_unlock_ int lock = -1;
	int err = try_lock(r->ctx, &r->sr.uuid, "gc_active", &lock);

	return err || !WITH_READERS ? err : gc_none_elsewhere(r);
}

/* Taken only with the SR's lock, so that whoever has that can keep us out. */
static int try_active(struct gc *g)
{
	struct ctx *ctx = g->r->ctx;
	const struct uuid *sr = &g->r->sr.uuid;
	_unlock_ int lock = -1;
	int err = lock_host(ctx, sr->s, "sr", &lock);

	if (!err)
		err = try_lock(ctx, sr, "gc_active", &g->active);
	if (!err)
		err = try_lock(ctx, sr, "running", &g->running);
	if (err == -EAGAIN)
		lock_drop(&g->active);
	return err;
}

/* A collector was killed, and those who copied for him die, as soon as the kernel lets them. */
static bool is_dying(struct gc *g)
{
	struct gc_status st;

	return !gc_status_read(g->r->ctx, &g->r->sr.uuid, &st) && st.pid && !proc_is_there((pid_t)st.pid);
}

static int become_active(struct gc *g)
{
	struct ctx *ctx = g->r->ctx;
	const struct uuid *sr = &g->r->sr.uuid;
	uint64_t until = clock_now_mono() + DEATH_TAKES;
	int err = try_active(g);

	while (WITH_JOBS && err == -EAGAIN && is_dying(g) && clock_left(until) && clock_left(ctx->deadline)) {
		clock_sleep(POLL);
		err = try_active(g);
	}
	if (err != -EAGAIN)
		return err;
	hint(ctx, "sm gc status %s", sr->s);
	return fail_say(ctx, -E_BUSY, "a collector is at work here already");
}

/* --- stopping ----------------------------------------------------------------- */

static void signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGHUP);
}

int gc_must_stop(struct gc *g)
{
	struct ctx *ctx = g->r->ctx;
	const struct timespec now = { 0 };
	sigset_t set;
	int stop;

	signals(&set);
	if (g->signalled || sigtimedwait(&set, NULL, &now) > 0) {
		g->signalled = true;	/* whoever asks next is to hear of it, too */
		return fail_say(ctx, -EINTR, "interrupted");
	}
	if (WITH_JOBS && g->me && (stop = __atomic_load_n(&g->share->stop, __ATOMIC_ACQUIRE)))
		return fail_say(ctx, stop, "told to stop");
	if (!access(flag_path(ctx, &g->r->sr.uuid), F_OK))
		return fail_say(ctx, -EINTR, "asked to stop");
	if (!clock_left(ctx->deadline))
		return fail(ctx, -E_DEADLINE, "gc");
	return 0;
}

/* --- what is told --------------------------------------------------------------- */

static char *state_dir(struct ctx *ctx, const struct uuid *sr)
{
	return sm_path(ctx, "/run/sm/gc/%s", sr->s);
}

static int open_state(struct ctx *ctx, const struct uuid *sr, bool make)
{
	const char *path = state_dir(ctx, sr);
	int fd, err = make ? mkdir_p(path, 0755) : 0;

	if (err)
		return err;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Numbers of a status, as they are called. */
static const struct { const char *key; size_t at; } numbers[] = {
	{ "pid", offsetof(struct gc_status, pid) }, { "done", offsetof(struct gc_status, done) },
	{ "total", offsetof(struct gc_status, total) }, { "rate", offsetof(struct gc_status, rate) },
	{ "deleted", offsetof(struct gc_status, deleted) }, { "merged", offsetof(struct gc_status, merged) },
	{ "copied", offsetof(struct gc_status, copied) }, { "failed", offsetof(struct gc_status, failed) },
	{ "retry", offsetof(struct gc_status, retry) },
};

static uint64_t *number_at(struct gc_status *st, size_t i)
{
	return (void *)((char *)st + numbers[i].at);
}

static void print(struct gc_status *st, struct buf *b)
{
	st->pid = (uint64_t)getpid();
	buf_printf(b, "state=%s\naction=%s\nvdi=%s\nparent=%s\n", st->state, st->action, st->vdi.s,
		   st->parent.s);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		buf_printf(b, "%s=%llu\n", numbers[i].key, (unsigned long long)*number_at(st, i));
	buf_printf(b, "why=%s\n", st->why);
	for (size_t i = 0; WITH_JOBS && i < st->n_parts; i++) {
		const struct gc_part *p = &st->parts[i];

		buf_printf(b, "part=%s %s %s %llu %llu %llu\n", p->action, p->vdi.s, p->parent.s,
			   (unsigned long long)p->done, (unsigned long long)p->total,
			   (unsigned long long)p->rate);
	}
}

/* What cannot be told is no reason to stop. */
void gc_tell(struct gc *g, const char *state)
{
	uint64_t now = clock_now_mono();
	_buf_free_ struct buf b = { 0 };
	_close_ int dir = -1;

	if (WITH_JOBS && g->me) {
		gc_job_tell(g);
		return;
	}
	if (g->st.state == state && now - g->told < TELL_EVERY)
		return;
	if (WITH_JOBS)
		gc_jobs_sum(g);
	g->told = now;
	g->st.state = state;
	print(&g->st, &b);
	dir = open_state(g->r->ctx, &g->r->sr.uuid, true);
	if (dir >= 0)
		file_show(dir, "status", b.p, b.n, 0644);
}

static uint64_t number(const char *s)
{
	uint64_t n = 0;

	num_take(&s, &n);
	return n;
}

static const char *word(struct arena *a, const char **at)
{
	size_t n = strcspn(*at, " ");
	const char *s = arena_strndup(a, *at, n);

	*at += n + ((*at)[n] == ' ');
	return s;
}

static void take_part(struct arena *a, struct gc_status *st, const char *value)
{
	struct gc_part *p = &st->parts[st->n_parts];

	if (st->n_parts == GC_JOBS)
		return;
	p->action = word(a, &value);
	if (uuid_parse(&p->vdi, word(a, &value)) || uuid_parse(&p->parent, word(a, &value)))
		return;
	p->done = number(word(a, &value));
	p->total = number(word(a, &value));
	p->rate = number(word(a, &value));
	st->n_parts++;
}

static void take(struct arena *a, struct gc_status *st, const char *key, const char *value)
{
	const struct { const char *key; const char **s; } texts[] = {
		{ "state", &st->state }, { "action", &st->action }, { "why", &st->why },
	};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (!strcmp(key, numbers[i].key))
			*number_at(st, i) = number(value);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (!strcmp(key, texts[i].key))
			*texts[i].s = arena_strdup(a, value);
	if (WITH_JOBS && !strcmp(key, "part"))
		take_part(a, st, value);
	if (!strcmp(key, "vdi") && uuid_parse(&st->vdi, value))
		st->vdi.s[0] = '\0';
	if (!strcmp(key, "parent") && uuid_parse(&st->parent, value))
		st->parent.s[0] = '\0';
}

int gc_status_read(struct ctx *ctx, const struct uuid *sr, struct gc_status *st)
{
	_close_ int dir = open_state(ctx, sr, false);
	struct view text = { 0 };
	char *line, *next;
	pid_t pid = 0;
	int err = dir < 0 ? dir : file_read_small(dir, "status", &ctx->arena, 4096, &text);

	*st = (struct gc_status){ .sr = *sr, .state = "idle", .action = "", .why = "" };
	if (err)
		return err == -ENOENT ? 0 : fail(ctx, err, "read %s/status", state_dir(ctx, sr));
	for (line = arena_strndup(&ctx->arena, text.p, text.n); *line; line = next) {
		char *end = line + strcspn(line, "\n"), *eq = memchr(line, '=', (size_t)(end - line));

		next = end + (*end == '\n');
		*end = '\0';
		if (!eq)
			continue;
		*eq = '\0';
		take(&ctx->arena, st, line, eq + 1);
	}
	st->running = !lock_holder(sm_path(ctx, "/var/lock/sm/%s/gc_active", sr->s), &pid) && pid;
	if (!st->running && strcmp(st->state, "done") && strcmp(st->state, "stopped"))
		st->state = "died";
	return 0;
}

/* --- marks of disks that are being copied ------------------------------------------ */

int gc_mark(struct gc *g, const struct uuid *vdi)
{
	struct ctx *ctx = g->r->ctx;
	_close_ int dir = open_state(ctx, &g->r->sr.uuid, true);
	int err = dir < 0 ? dir : file_show(dir, vdi->s, "", 0, 0600);

	return err ? fail(ctx, err, "write %s/%s", state_dir(ctx, &g->r->sr.uuid), vdi->s) : 0;
}

bool gc_is_marked(struct gc *g, const struct uuid *vdi)
{
	_close_ int dir = open_state(g->r->ctx, &g->r->sr.uuid, false);

	return dir >= 0 && !unlinkat(dir, vdi->s, 0);
}

bool gc_is_still_marked(struct gc *g, const struct uuid *vdi)
{
	_close_ int dir = open_state(g->r->ctx, &g->r->sr.uuid, false);

	return dir >= 0 && !faccessat(dir, vdi->s, F_OK, 0);
}

void gc_disturb(struct sr *sr, const struct uuid *vdi)
{
	unlink(arena_printf(&sr->ctx->arena, "%s/%s", state_dir(sr->ctx, &sr->uuid), vdi->s));
}

/* --- the beginning and the end -------------------------------------------------------- */

/* Upstream's sign that there has been a collector since the boot. */
static void note_init(struct gc *g)
{
	struct ctx *ctx = g->r->ctx;
	const char *path = sm_path(ctx, "/run/nonpersistent/sm/%s", g->r->sr.uuid.s);
	_close_ int fd = -1;

	if (!mkdir_p(path, 0755))
		fd = open(arena_printf(&ctx->arena, "%s/gc_init", path),
			  O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
}

int gc_begin(struct gc *g)
{
	sigset_t set;
	int err = become_active(g);

	if (err)
		return err;
	signals(&set);
	for (int s = 1; s < 32; s++)
		if (sigismember(&set, s))
			signal(s, SIG_DFL);
	sigprocmask(SIG_BLOCK, &set, NULL);
	unlink(flag_path(g->r->ctx, &g->r->sr.uuid));
	note_init(g);
	g->st.action = g->st.why = "";
	gc_tell(g, "looking");
	return 0;
}

void gc_end(struct gc *g, int err)
{
	g->st.action = "";
	g->st.done = g->st.total = g->st.retry = 0;
	gc_tell(g, err == -EINTR ? "stopped" : err ? "failed" : "done");
	lock_drop(&g->running);
	lock_drop(&g->active);
}
