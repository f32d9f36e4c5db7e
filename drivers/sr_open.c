/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening an attached SR: for the core, and for servers that look again where their disk is. */
#include <string.h>
#include <unistd.h>

#include "arch/dm.h"
#include "arch/sandbox.h"
#include "drivers/chain.h"
#include "drivers/layout.h"
#include "drivers/lease.h"
#include "drivers/sr.h"
#include "drivers/transport.h"
#include "lib/err.h"
#include "lib/kconfig.h"

/* What reaching it has come to: an error and its sentence, and who is to be watched. */
struct sr_reached {
	int err;
	struct fail_words words;
	struct watched watched;
};

void sr_close(struct sr *sr)
{
	if (!sr->type)
		return;
	if (IS_ENABLED(CONFIG_SECCOMP_SANDBOX) && sr->reached) {
		sr->opened = false;
		return;
	}
	if (IS_ENABLED(CONFIG_SHARED_SR))
		sr_leave(sr);
	if (sr->type->layout->close)
		sr->type->layout->close(sr);
	if (sr->type->transport->close)
		sr->type->transport->close(sr);
	if (sr->dir >= 0)
		close(sr->dir);
	sr->dir = -1;
	sr->layout_data = NULL;
	sr->opened = false;
}

int sr_confine(struct sr *sr)
{
	int err, control;

	if (!IS_ENABLED(CONFIG_SECCOMP_SANDBOX) || !sr->confine)
		return 0;
	sr->confine = false;
	control = dm_open();		/* its node may have to be made */
	if (control >= 0)
		close(control);
	err = sandbox_enter(true);
	return err ? fail(sr->ctx, err, "give up rights") : 0;
}

static int reach(struct sr *sr, bool recover)
{
	int err = sr->type->transport->open(sr);

	if (err == -E_SR_DETACHED) {
		hint(sr->ctx, "sm sr attach %s", sr->uuid.s);
		return fail_say(sr->ctx, err, "%s", err_text(err));
	}
	return err || !sr->type->layout->lock ? err : sr->type->layout->lock(sr, recover);
}

void sr_reach(struct sr *sr)
{
	struct sr_reached *to;

	if (!IS_ENABLED(CONFIG_SECCOMP_SANDBOX))
		return;
	to = arena_alloc(&sr->ctx->arena, sizeof(*to));
	if (sr->ctx->watched)
		sr->ctx->watched->transport = NULL;
	to->err = reach(sr, false);
	fail_keep(sr->ctx, &to->words);
	if (sr->ctx->watched)
		to->watched = *sr->ctx->watched;
	sr->reached = to;
}

static int reached(struct sr *sr)
{
	const struct sr_reached *was = sr->reached;
	struct watched *w = sr->ctx->watched;

	if (w) {
		w->transport = NULL;
		memcpy(w->data, was->watched.data, sizeof(w->data));
		__atomic_store_n(&w->transport, was->watched.transport, __ATOMIC_RELEASE);
	}
	fail_again(sr->ctx, &was->words);
	return was->err;
}

int sr_open(struct sr *sr, bool recover)
{
	int err;

	if (sr->opened)
		return 0;
	err = IS_ENABLED(CONFIG_SECCOMP_SANDBOX) && sr->reached ? reached(sr) : reach(sr, recover);
	if (!err)
		err = sr_confine(sr);
	if (!err && sr->type->layout->open)
		err = sr->type->layout->open(sr, recover);
	if (IS_ENABLED(CONFIG_VDI_COPY) && !err && recover)
		chain_recover(sr);
	sr->opened = !err;		/* what is half open sr_close() undoes all the same */
	return err;
}
