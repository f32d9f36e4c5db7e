/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looking at logs of changed blocks: lists, and what is wrong with chains. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "drivers/cbt.h"
#include "drivers/layout.h"
#include "drivers/sr.h"
#include "lib/err.h"
#include "lib/io.h"

static const struct cbt_store *store(const struct sr *sr)
{
	return sr->type->layout->logs;
}

int cbt_find(struct sr *sr, const struct uuid *u, struct vdi *vdi)
{
	_io_close_ struct io *io = NULL;
	struct cbt c;
	int err = store(sr)->open(sr, u, false, &io);

	if (err == -ENOENT)
		return -E_VDI_MISSING;
	if (!err)
		err = cbt_read_head(io, &c);
	if (err)
		return fail(sr->ctx, -E_CBT_LOG, "%s" CBT_SUFFIX, u->s);
	*vdi = (struct vdi){
		.uuid = *u, .location = arena_strdup(&sr->ctx->arena, u->s), .name = "", .description = "",
		.format = "cbtlog", .type = CBT_TYPE, .virtual_size = c.size, .physical_size = io->size,
		.sector_size = 512, .read_only = true, .cbt = true,
	};
	snprintf(vdi->volume, sizeof(vdi->volume), "%s" CBT_SUFFIX, u->s);
	if (store(sr)->names)
		store(sr)->names(sr, vdi);
	vdi->type = CBT_TYPE;
	return 0;
}

static bool is_problem(const struct vdis *l, const struct uuid *u)
{
	for (size_t i = 0; i < l->n_problems; i++)
		if (!strcmp(l->problems[i].object, u->s))
			return true;
	return false;
}

static void tell(struct sr *sr, struct vdis *l, const struct uuid *u, const char *severity,
		 const char *what, const char *repair)
{
	struct arena *a = &sr->ctx->arena;

	vdis_problem(a, l, &(struct problem){ .object = arena_strdup(a, u->s), .severity = severity,
					      .what = arena_strdup(a, what), .repair = repair });
}

int cbt_fill(struct sr *sr, struct vdis *l)
{
	struct uuid *v;
	size_t n, n_disks = l->n;
	int err = store(sr)->list(sr, &v, &n);

	for (size_t i = 0; i < n && !err; i++) {
		struct vdis disks = { .v = l->v, .n = n_disks };
		struct vdi *disk = vdis_find(&disks, &v[i]), vdi;

		if (disk) {
			disk->cbt = true;
		} else if (is_problem(l, &v[i])) {
			continue;		/* the disk is there, and cannot be read */
		} else if (!cbt_find(sr, &v[i], &vdi)) {
			*vdis_add(&sr->ctx->arena, l) = vdi;
		} else {
			tell(sr, l, &v[i], "error", sr->ctx->why, "sm cbt check --repair");
			fail_clear(sr->ctx);
		}
	}
	return err;
}

/* --- chains ---------------------------------------------------------------------- */

struct look {
	struct sr *sr;
	struct vdis *l;
	bool repair;
	const struct uuid *u;		/* the log in question */
	struct cbt c;
	const struct vdi *disk;		/* or NULL: there is only the log */
};

static const struct uuid none = { "" };

static bool mends(const struct look *k, const char *what, const char *repair)
{
	if (!k->repair)
		tell(k->sr, k->l, k->u, "warning", what, repair);
	return k->repair;
}

/*
 * One end of it.  Where the neighbour leads past it, somebody has died who was
 * about to delete its disk: that is there still, or there is nothing but to end it.
 */
static int check_end(struct look *k, enum cbt_end end, bool *gone)
{
	enum cbt_end back = end == CBT_PARENT ? CBT_CHILD : CBT_PARENT;
	const struct uuid *to = end == CBT_PARENT ? &k->c.parent : &k->c.child;
	const struct uuid *past = end == CBT_PARENT ? &k->c.child : &k->c.parent, *has;
	struct cbt other = { 0 }, next;
	int err = to->s[0] && !*gone ? cbt_get(k->sr, to, false, &other) : 0;

	has = back == CBT_PARENT ? &other.parent : &other.child;
	if (err_kind(err) == -EUCLEAN) {
		fail_clear(k->sr->ctx);		/* told of by itself */
		return 0;
	}
	if (!to->s[0] || *gone || (!err && uuid_equal(has, k->u)))
		return 0;
	if (err && err != -ENOENT)
		return err;
	if (err)
		return mends(k, "the log next to its log is gone", "let the chain end here") ?
			cbt_point(k->sr, k->u, end, NULL, &none) : 0;
	/* Who died in the middle of a snapshot: the way back, of which nothing is lost, knows better. */
	if (has->s[0] && !cbt_get(k->sr, has, false, &next) && uuid_equal(&next.parent, k->u))
		return !mends(k, "the chain of logs leads past a log", "put it back") ? 0 :
			end == CBT_PARENT ? cbt_point(k->sr, to, CBT_CHILD, has, k->u) :
					    cbt_point(k->sr, k->u, CBT_CHILD, to, has);
	fail_clear(k->sr->ctx);
	if (!k->disk) {
		*gone = true;
		return mends(k, "the log of a disk that was deleted", "remove it") ?
			cbt_disable(k->sr, k->u) : 0;
	}
	if (uuid_equal(has, past))
		return mends(k, "the chain of logs leads past its log", "put it back") ?
			cbt_point(k->sr, to, back, past, k->u) : 0;
	return mends(k, "the log next to its log belongs to another chain", "let the chain end here") ?
		cbt_point(k->sr, k->u, end, NULL, &none) : 0;
}

static void tell_state(struct look *k)
{
	const struct vdi *d = k->disk;
	bool in_use = d && (d->at.active || d->at.attached || d->at.elsewhere);

	if (!k->c.consistent && !in_use)
		tell(k->sr, k->l, k->u, "warning", "its log of changed blocks is not complete: whoever "
		     "wrote the disk has died", "copy all of it, sm cbt disable, sm cbt enable");
	if (d && k->c.size < d->virtual_size)
		tell(k->sr, k->l, k->u, "warning", "its log of changed blocks is of a smaller disk",
		     "sm cbt disable, sm cbt enable");
	if (!d && !k->c.parent.s[0] && !k->c.child.s[0])
		tell(k->sr, k->l, k->u, "warning", "a log of changed blocks without a disk and without "
		     "neighbours", "sm vdi delete");
}

static int check_one(struct look *k)
{
	bool gone = false;
	int err = cbt_get(k->sr, k->u, false, &k->c);

	if (err == -ENOENT)
		return 0;			/* removed meanwhile */
	if (err_kind(err) == -EUCLEAN) {
		const char *why = arena_strdup(&k->sr->ctx->arena, k->sr->ctx->why);

		fail_clear(k->sr->ctx);
		if (k->repair)
			return cbt_disable(k->sr, k->u);
		if (!is_problem(k->l, k->u))
			tell(k->sr, k->l, k->u, "error", why, "remove it");
		return 0;
	}
	if (!err)
		err = check_end(k, CBT_PARENT, &gone);
	if (!err)
		err = check_end(k, CBT_CHILD, &gone);
	if (!err && !gone)
		tell_state(k);
	return err;
}

int cbt_check(struct sr *sr, bool repair, struct vdis *l)
{
	struct look k = { .sr = sr, .l = l, .repair = repair };
	struct uuid *v;
	size_t n;
	int err = store(sr)->list(sr, &v, &n);

	for (size_t i = 0; i < n && !err; i++) {
		k.u = &v[i];
		k.disk = vdis_find(l, k.u);
		if (k.disk && !strcmp(k.disk->type, CBT_TYPE) && !strcmp(k.disk->format, "cbtlog"))
			k.disk = NULL;
		/* A disk that is there and cannot be read is not gone. */
		if (k.disk || !is_problem(l, k.u))
			err = check_one(&k);
	}
	return err;
}
