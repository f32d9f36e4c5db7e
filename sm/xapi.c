/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/log.h"
#include "sm/xapi.h"

#define XAPI_SOCKET	"/var/lib/xcp/xapi"

/*
 * Connect without waiting: a listener whose queue is full answers -EAGAIN, one
 * that is gone -ECONNREFUSED.
 */
static int xapi_connect(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	_close_ int sock = -1;

	if (strlen(path) >= sizeof(to.sun_path))
		return access(path, F_OK) ? -errno : -ENAMETOOLONG;
	strcpy(to.sun_path, path);
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock < 0)
		return -errno;
	if (connect(sock, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	return take_fd(&sock);
}

int xapi_check(struct ctx *ctx, const struct request *rq)
{
	const char *path = sm_path(ctx, XAPI_SOCKET);
	_close_ int sock = -1;

	if (!rq->session || !*rq->session)
		return 0;
	sock = xapi_connect(path);
	if (sock == -ENOENT) {
		logf_info(ctx, "there is no %s: working without xapi", path);
		return 0;
	}
	if (sock < 0)
		return fail(ctx, -E_XAPI, "connect %s: %s", path, err_text(sock));
	return fail_say(ctx, -E_XAPI, "%s answers, but call-backs to xapi are not built in", path);
}
