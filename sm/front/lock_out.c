/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/lease.h"
#include "lib/text/json.h"
#include "lib/time.h"
#include "sm/front/lock_out.h"

static const char *const kinds[] = {
	[LEASE_MARK] = "mark", [LEASE_PROCESS] = "process", [LEASE_BOOT] = "attached",
};

static const char *state(const struct lock_info *i)
{
	return i->broken ? "broken" : i->damaged ? "damaged" : i->dead ? "dead" : "held";
}

static const char *since(struct arena *a, const struct lease *l)
{
	char text[TIME_TEXT_MAX];

	time_text(text, l->since);
	return arena_strdup(a, text);
}

static void put_lock(struct json *j, const struct lock_info *i)
{
	const struct lease *l = i->lease;
	char text[TIME_TEXT_MAX];

	json_obj_begin(j);
	json_key_str(j, "vdi", i->vdi.s);
	json_key_str(j, "sr", i->sr.s);
	json_key_str(j, "state", state(i));
	json_key_str(j, "why", i->why);
	json_key_str(j, "kind", i->damaged ? NULL : kinds[l->kind]);
	json_key_str(j, "mode", i->damaged ? NULL : l->of.s[0] ? "shared" : "exclusive");
	json_key_str(j, "owner", i->damaged ? NULL : l->owner);
	json_key_str(j, "host", l->host.s[0] ? l->host.s : NULL);
	json_key_str(j, "boot", l->boot.s[0] ? l->boot.s : NULL);
	json_key_bool(j, "here", i->here);
	json_key_u64(j, "pid", (uint64_t)l->pid);
	json_key_str(j, "verb", i->damaged ? NULL : l->verb);
	time_text(text, l->since);
	json_key_str(j, "since", i->damaged ? NULL : text);
	json_key(j, "lease");
	if (l->term)
		json_u64(j, l->term);
	else
		json_null(j);
	json_key_u64(j, "generation", l->generation);
	json_obj_end(j);
}

void lock_out_json(const struct reply *rp, struct json *j)
{
	if (rp->kind == REPLY_LOCK) {
		json_key(j, "lock");
		if (rp->n_locks)
			put_lock(j, &rp->locks[0]);
		else
			json_null(j);
		return;
	}
	json_key_arr(j, "locks");
	for (size_t i = 0; i < rp->n_locks; i++)
		put_lock(j, &rp->locks[i]);
	json_arr_end(j);
}

void lock_out_table(struct arena *a, const struct reply *rp, const struct term *term, struct buf *b)
{
	static const struct column cols[] = {
		{ "VDI", COL_LEFT }, { "OWNER", COL_SHRINK }, { "HOST", COL_SHRINK },
		{ "PID", COL_RIGHT }, { "VERB", COL_LEFT }, { "SINCE", COL_LEFT },
		{ "STATE", COL_LEFT }, { "WHY", COL_SHRINK },
	};
	struct table t = { .arena = a, .cols = cols, .n_cols = ARRAY_SIZE(cols) };

	for (const struct lock_info *i = rp->locks; i < rp->locks + rp->n_locks; i++) {
		const struct lease *l = i->lease;

		table_cell(&t, i->vdi.s);
		table_cell(&t, l->owner);
		table_cell(&t, i->here ? "this host" : l->host.s);
		table_cell(&t, i->damaged ? NULL : arena_printf(a, "%d", l->pid));
		table_cell(&t, l->verb);
		table_cell(&t, i->damaged ? NULL : since(a, l));
		table_cell(&t, state(i));
		table_cell(&t, i->why);
	}
	table_print(&t, term, b);
}

void lock_out_ids(const struct reply *rp, struct buf *b)
{
	for (size_t i = 0; i < rp->n_locks; i++)
		buf_printf(b, "%s%s", i ? "," : "", rp->locks[i].vdi.s);
	buf_putc(b, '\n');
}

void lock_out_block(struct arena *a, const struct reply *rp, struct buf *b)
{
	const struct lock_info *i = rp->locks;
	const struct lease *l;

	if (!rp->n_locks) {
		block_line(b, "state", "free");
		return;
	}
	l = i->lease;
	block_line(b, "state", state(i));
	block_line(b, "why", i->why);
	if (i->damaged)
		return;
	block_line(b, "owner", l->owner);
	block_line(b, "kind", kinds[l->kind]);
	block_line(b, "host", i->here ? arena_printf(a, "%s (this host)", l->host.s) : l->host.s);
	block_line(b, "boot", l->boot.s);
	block_line(b, "process", arena_printf(a, "%d", l->pid));
	block_line(b, "verb", l->verb);
	block_line(b, "since", since(a, l));
	block_line(b, "lease", l->term ? arena_printf(a, "%u s", l->term) : "none");
	block_line(b, "generation", arena_printf(a, "%llu", (unsigned long long)l->generation));
}
