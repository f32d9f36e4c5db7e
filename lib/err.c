/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stddef.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/err.h"

static const struct {
	const char *text;
	int kind;
	int smapi;
} ours[] = {
#define E(name, kind, smapi, text) [name - E_BASE - 1] = { text, kind, smapi },
#include "lib/errors.def"
#undef E
};

static const struct {
	int err;
	const char *name;
} names[] = {
#define N(e) { e, #e }
	N(EPERM), N(ENOENT), N(EINTR), N(EIO), N(ENXIO), N(E2BIG), N(EBADF), N(EAGAIN),
	N(ENOMEM), N(EACCES), N(EFAULT), N(ENOTBLK), N(EBUSY), N(EEXIST), N(EXDEV), N(ENODEV),
	N(ENOTDIR), N(EISDIR), N(EINVAL), N(ENFILE), N(EMFILE), N(ENOTTY), N(ETXTBSY), N(EFBIG),
	N(ENOSPC), N(ESPIPE), N(EROFS), N(EMLINK), N(EPIPE), N(ERANGE), N(EDEADLK), N(ENAMETOOLONG),
	N(ENOLCK), N(ENOSYS), N(ENOTEMPTY), N(ELOOP), N(ENODATA), N(ETIME), N(EBADMSG), N(EOVERFLOW),
	N(EILSEQ), N(EMSGSIZE), N(EPROTO), N(EOPNOTSUPP), N(ECONNREFUSED), N(ETIMEDOUT), N(EHOSTUNREACH),
	N(ENETUNREACH), N(ESTALE), N(EUCLEAN), N(EDQUOT), N(ECANCELED), N(ENOMEDIUM), N(EPROTONOSUPPORT),
#if IS_ENABLED(CONFIG_TRANSPORT_NFS)
	N(EHOSTDOWN),
#endif
	N(ECONNRESET), N(ENOTCONN), N(ENOTUNIQ), N(EADDRINUSE), N(EALREADY), N(EINPROGRESS),
#undef N
};

static int is_ours(int err)
{
	return err < -E_BASE && err > -E_END;
}

const char *err_text(int err)
{
	return is_ours(err) ? ours[-err - E_BASE - 1].text : strerror(-err);
}

int err_kind(int err)
{
	return is_ours(err) ? -ours[-err - E_BASE - 1].kind : err;
}

int err_smapi(int err)
{
	return is_ours(err) ? ours[-err - E_BASE - 1].smapi : 0;
}

const char *err_name(int err)
{
	int kind = -err_kind(err);

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].err == kind)
			return names[i].name;
	return "EIO";
}
