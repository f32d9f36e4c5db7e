/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The binary under its own name: which names it answers to, and the links that
 * make them commands.  Whatever no other front end claims ends here too.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/sr.h"
#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/kconfig.h"
#include "lib/num.h"
#include "lib/utf8.h"
#include "sm/about.h"
#include "sm/front.h"

#define SELF	"/proc/self/exe"
#define PATHS	4096		/* longest path of the binary */

static const char usage[] =
	"usage: smbox APPLET [ARGUMENT]...	as if called by the applet's name\n"
	"       smbox --list			the applets in this binary\n"
	"       smbox --install [-s] DIR	link them into DIR; -s makes symbolic links\n"
	"       smbox --version | --help\n";

static bool claims(int argc, char **argv)
{
	return true;
}

static const struct front smbox;

/* Would another front end take a call of this name with such an argument? */
static bool is_claimed(const char *name, const char *arg)
{
	char *argv[] = { (char *)name, (char *)arg, NULL };

	return front_for(arg ? 2 : 1, argv) != &smbox;
}

/* A driver's name is for machines, which speak either of two ways. */
static bool is_driver_applet(const char *name)
{
	size_t n = strlen(name);

	return n > 2 && !strcmp(name + n - 2, "SR") &&
	       (is_claimed(name, "<methodCall>") || is_claimed(name, "sr_attach"));
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char **applets(struct arena *a, size_t *n)
{
	const char **list;
	size_t most = 3;		/* those that are no types */

	for_each_registered(sr_types, t)
		for (const char *const *s = (*t)->names; *s; s++)
			most++;
	list = arena_array(a, most, sizeof(*list));
	*n = 0;
	if (is_claimed("sm", NULL) || is_claimed("sm", "sr_attach"))
		list[(*n)++] = "sm";
	if (IS_ENABLED(CONFIG_FRONT_BLOCK))
		list[(*n)++] = "block-sm";
	if (IS_ENABLED(CONFIG_LOCK_UTIL))
		list[(*n)++] = "lock-util";
	for_each_registered(sr_types, t)
		for (const char *const *s = (*t)->names; *s; s++)
			if (is_driver_applet(*s))
				list[(*n)++] = *s;
	num_sort(list, *n, sizeof(*list), by_name);
	return list;
}

static const char *joined(struct arena *a, const char *between)
{
	_buf_free_ struct buf b = { 0 };
	size_t n;
	const char **list = applets(a, &n);

	for (size_t i = 0; i < n; i++)
		buf_printf(&b, "%s%s", i ? between : "", list[i]);
	return arena_strdup(a, buf_str(&b));
}

/* --- install --------------------------------------------------------------- */

struct install {
	struct stat self;
	char target[PATHS];	/* what symbolic links say; "" for hard links */
	int dir;
};

/* A link of this name that leads to us already, or something foreign? */
static int look_at(struct ctx *ctx, const struct install *in, const char *name, bool *is_there)
{
	struct stat st;

	*is_there = false;
	if (fstatat(in->dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : fail(ctx, -errno, "%s", name);
	*is_there = true;
	if (!fstatat(in->dir, name, &st, 0) &&
	    st.st_dev == in->self.st_dev && st.st_ino == in->self.st_ino)
		return 0;
	hint(ctx, "remove it, or choose another folder");
	return fail_say(ctx, -EEXIST, "%s is there already and is not smbox", name);
}

static int make_link(struct ctx *ctx, const struct install *in, const char *name)
{
	int err = in->target[0] ? symlinkat(in->target, in->dir, name) :
		  linkat(AT_FDCWD, SELF, in->dir, name, AT_SYMLINK_FOLLOW);

	if (!err)
		return 0;
	if (errno == EXDEV)
		hint(ctx, "smbox --install -s makes symbolic links, which may cross filesystems");
	return fail(ctx, -errno, "link %s", name);
}

/* Beside the binary its bare name is enough, and the folder may be moved. */
static int choose_target(struct ctx *ctx, struct install *in)
{
	char path[PATHS];
	struct stat st;
	ssize_t n = readlink(SELF, path, sizeof(path) - 1);
	char *base;

	if (n < 0)
		return fail(ctx, -errno, "read " SELF);
	path[n] = '\0';
	base = strrchr(path, '/');
	base = base ? base + 1 : path;
	if (!fstatat(in->dir, base, &st, AT_SYMLINK_NOFOLLOW) &&
	    st.st_dev == in->self.st_dev && st.st_ino == in->self.st_ino)
		strcpy(in->target, base);
	else
		strcpy(in->target, path);
	return 0;
}

static int install(struct ctx *ctx, const char *dir, bool symbolic)
{
	struct install in = { 0 };
	size_t n;
	const char **list = applets(&ctx->arena, &n);
	_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool *is_there = arena_array(&ctx->arena, n, sizeof(*is_there));
	int err = 0;

	if (fd < 0)
		return fail(ctx, -errno, "open %.200s", dir);
	in.dir = fd;
	if (stat(SELF, &in.self))
		return fail(ctx, -errno, "find " SELF);
	if (symbolic)
		err = choose_target(ctx, &in);
	/* All are looked at before any is made: a refusal leaves the folder as it was. */
	for (size_t i = 0; i < n && !err; i++)
		err = look_at(ctx, &in, list[i], &is_there[i]);
	for (size_t i = 0; i < n && !err; i++)
		if (!is_there[i])
			err = make_link(ctx, &in, list[i]);
	return err ? fail(ctx, err, "install into %.200s", dir) : FRONT_DONE;
}

static int parse_install(struct ctx *ctx, int argc, char **argv)
{
	const char *dir = NULL;
	bool symbolic = false;

	for (int i = 2; i < argc; i++)
		if (!strcmp(argv[i], "-s"))
			symbolic = true;
		else if (argv[i][0] != '-' && !dir)
			dir = argv[i];
		else
			return fail_say(ctx, -E_USAGE, "--install: unexpected '%.64s'", argv[i]);
	if (!dir)
		return fail_say(ctx, -E_USAGE, "--install: the folder is missing");
	return install(ctx, dir, symbolic);
}

/* --- the front end --------------------------------------------------------- */

/* An unknown name, or one of ours called in a way that this build does not know. */
static int not_ours(struct ctx *ctx, const char *name, const char *what)
{
	size_t n;
	const char **list = applets(&ctx->arena, &n);

	for (size_t i = 0; i < n; i++)
		if (!strcmp(list[i], name))
			return fail_say(ctx, -E_USAGE, "%s: no front end for '%.64s' is built in",
					name, what);
	hint(ctx, "smbox --help");
	return fail_say(ctx, -E_USAGE, "no applet '%.64s'; there are: %s", name,
			joined(&ctx->arena, " "));
}

static int parse(struct ctx *ctx, int argc, char **argv, struct request *rq)
{
	const char *what = argc > 1 ? argv[1] : "--help";

	if (strcmp(argv[0], "smbox"))
		return not_ours(ctx, argv[0], what);
	if (!strcmp(what, "--install"))
		return parse_install(ctx, argc, argv);
	if (argc > 2)
		return fail_say(ctx, -E_USAGE, "unexpected '%.64s'", argv[2]);
	if (!strcmp(what, "--list"))
		rq->door = arena_printf(&ctx->arena, "%s\n", joined(&ctx->arena, "\n"));
	else if (!strcmp(what, "--version"))
		rq->door = arena_printf(&ctx->arena, "%s\n", version_text);
	else if (!strcmp(what, "--help") || !strcmp(what, "-h"))
		rq->door = arena_printf(&ctx->arena, "%s\n%sapplets: %s\n", version_text, usage,
					joined(&ctx->arena, " "));
	else
		return fail_say(ctx, -E_USAGE, "unknown option %.64s", what);
	return FRONT_DONE;
}

static int emit(struct ctx *ctx, const struct request *rq, const struct reply *rp, int err)
{
	_buf_free_ struct buf b = { 0 };
	const char *text = rq->door;

	if (err == FRONT_DONE)
		err = text ? write_all(STDOUT_FILENO, text, strlen(text)) : 0;
	if (!err)
		return 0;
	if (!ctx->why[0])
		fail(ctx, err, "write the answer");
	if (err_kind(err) == -EINVAL)
		hint(ctx, "smbox --help");
	buf_puts(&b, "smbox: ");
	utf8_show(&b, ctx->why);
	if (ctx->hint[0])
		buf_printf(&b, " (try: %s)", ctx->hint);
	buf_putc(&b, '\n');
	if (write_all(STDERR_FILENO, b.p, b.n))
		return 1;	/* nobody is left to be told */
	return err_kind(err) == -EINVAL ? 2 : 1;
}

static const struct front smbox = {
	.name = "smbox",
	.rank = 1000,
	.claims = claims,
	.parse = parse,
	.emit = emit,
};
REGISTER(fronts, smbox);
