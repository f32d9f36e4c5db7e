/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch/syslog.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/log.h"
#include "sm/front.h"
#include "sm/run.h"

/*
 * Descriptors 0 to 2 must be taken, or the first disk we open becomes one of
 * them and is written to as standard output.  A closed one can be neither read
 * nor written afterwards, so an answer for it still fails; errors go nowhere.
 */
static void take_standard_fds(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd == 1 ? O_RDONLY : O_RDWR) != fd)
			_exit(1);
}

/* Paths below SM_ROOT have to fit struct sr and struct attachment. */
#define ROOT_MOST	((size_t)100)

/* "smbox sm vdi list" is the same as "sm vdi list". */
static void shift_name(int *argc, char ***argv)
{
	char *slash = strrchr((*argv)[0], '/');

	if (slash)
		(*argv)[0] = slash + 1;
	while (!strcmp((*argv)[0], "smbox") && *argc > 1 && (*argv)[1][0] != '-') {
		(*argv)++;
		(*argc)--;
	}
}

/* SM_ROOT: the folder below which our own files, mounts and locks lie. */
static int set_root(struct ctx *ctx)
{
	const char *root = getenv("SM_ROOT");
	size_t n;

	ctx->root = "";
	if (!root || !*root)
		return 0;
	if (!path_is_absolute_clean(root))
		return fail_say(ctx, -E_USAGE, "SM_ROOT '%.200s' is not an absolute path without '..'",
				root);
	for (n = strlen(root); n && root[n - 1] == '/'; n--)
		;
	if (n > ROOT_MOST)
		return fail_say(ctx, -E_USAGE, "SM_ROOT is longer than %zu bytes", ROOT_MOST);
	ctx->root = arena_strndup(&ctx->arena, root, n);
	return 0;
}

int main(int argc, char **argv)
{
	struct syslog syslog = SYSLOG_INIT;
	struct ctx ctx = { 0 };
	struct request rq = { 0 };
	struct reply rp = { 0 };
	const struct front *front;
	int err;

	if (!argc)
		return 2;	/* the kernel allows it; there is no name to go by */
	take_standard_fds();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);	/* beyond "ulimit -f" a write fails like any other */
	log_set_sink(syslog_line, &syslog);
	shift_name(&argc, &argv);
	front = front_for(argc, argv);

	err = set_root(&ctx);
	if (!err)
		err = front->parse(&ctx, argc, argv, &rq);
	if (!err)
		err = sm_run(&ctx, &rq, &rp);
	err = front->emit(&ctx, &rq, &rp, err);
	arena_free(&ctx.arena);
	return err;
}
