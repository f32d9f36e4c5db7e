/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/text/json.h"
#include "lib/text/size.h"
#include "lib/utf8.h"
#include "sm/front/cli.h"
#include "sm/front/gc_out.h"
#include "sm/front/table.h"
#include "sm/gc.h"

static const char *bytes(struct arena *a, const struct cli *c, uint64_t n)
{
	return c->units_b ? arena_printf(a, "%llu", (unsigned long long)n) :
		arena_strdup(a, SIZE_STR(n));
}

/* --- a plan -------------------------------------------------------------------- */

/* Seconds that copying takes at the rate measured last; 0 = nobody knows. */
static uint64_t seconds(const struct gc_report *r)
{
	return r->rate ? r->plan.copy / r->rate + 1 : 0;
}

static void print_todo(struct arena *a, const struct cli *c, const struct gc_report *r,
		       const struct term *term, struct buf *b)
{
	static const struct column cols[] = {
		{ "ACTION", COL_LEFT }, { "VDI", COL_LEFT }, { "NAME", COL_SHRINK },
		{ "PARENT", COL_LEFT }, { "COPY", COL_RIGHT }, { "NEEDS", COL_RIGHT },
		{ "FREES", COL_RIGHT },
	};
	struct table t = { .arena = a, .cols = cols, .n_cols = ARRAY_SIZE(cols) };

	for (const struct gc_step *s = r->plan.v; s < r->plan.v + r->plan.n_todo; s++) {
		table_cell(&t, gc_action_names[s->action]);
		table_cell(&t, s->vdi.s);
		table_cell(&t, s->name);
		table_cell(&t, s->parent.s);
		table_cell(&t, bytes(a, c, s->copy));
		table_cell(&t, bytes(a, c, s->need));
		table_cell(&t, bytes(a, c, s->gain));
	}
	if (r->plan.n_todo)
		table_print(&t, term, b);
}

static void print_plan(struct arena *a, const struct cli *c, const struct gc_report *r,
		       const struct term *term, struct buf *b)
{
	print_todo(a, c, r, term, b);
	for (size_t i = r->plan.n_todo; i < r->plan.n; i++) {
		const struct gc_step *s = &r->plan.v[i];

		buf_printf(b, "%s: VDI %s: ", s->action == GC_WAIT ? "waits" : "stays", s->vdi.s);
		utf8_show(b, s->why);
		if (s->remedy)
			buf_printf(b, " (try: %s)", s->remedy);
		buf_putc(b, '\n');
	}
	if (!r->plan.n_todo) {
		buf_printf(b, "SR %s: nothing to do\n", r->name[0] ? r->name : r->sr.s);
		return;
	}
	buf_printf(b, "to copy: %s\n", bytes(a, c, r->plan.copy));
	buf_printf(b, "space needed: %s\n", bytes(a, c, r->plan.space));
	buf_printf(b, "space freed: %s\n", bytes(a, c, r->plan.gain));
	if (seconds(r) && r->plan.copy)
		buf_printf(b, "at %s/s, as measured last: %s\n", SIZE_STR(r->rate),
			   DURATION_STR(seconds(r)));
}

/* --- a collector ------------------------------------------------------------------ */

static void print_status(struct arena *a, const struct cli *c, const struct gc_status *s,
			 struct buf *b)
{
	block_line(b, "sr", s->name && s->name[0] ? s->name : s->sr.s);
	block_line(b, "state", s->state);
	if (s->running)
		block_line(b, "process", arena_printf(a, "%llu", (unsigned long long)s->pid));
	if (s->running && s->action[0])
		block_line(b, s->action, arena_printf(a, "%s%s%s", s->vdi.s, s->parent.s[0] ? " into " : "",
						      s->parent.s));
	if (s->running && s->total)
		block_line(b, "copied", arena_printf(a, "%s of %s, %s/s", bytes(a, c, s->done),
						     bytes(a, c, s->total), SIZE_STR(s->rate)));
	if (s->running && s->total && s->rate && s->done <= s->total)
		block_line(b, "left", DURATION_STR((s->total - s->done) / s->rate));
	for (size_t i = 0; WITH_JOBS && s->running && s->n_parts > 1 && i < s->n_parts; i++) {
		const struct gc_part *p = &s->parts[i];

		block_line(b, "at a time", arena_printf(a, "%s into %s: %s of %s", p->vdi.s, p->parent.s,
							bytes(a, c, p->done), bytes(a, c, p->total)));
	}
	if (s->retry)
		block_line(b, "again in", DURATION_STR(s->retry));
	block_line(b, "deleted", arena_printf(a, "%llu", (unsigned long long)s->deleted));
	block_line(b, "merged", arena_printf(a, "%llu, %s", (unsigned long long)s->merged,
					     bytes(a, c, s->copied)));
	if (s->failed)
		block_line(b, "failed", arena_printf(a, "%llu: %s", (unsigned long long)s->failed, s->why));
}

void gc_out_print(struct arena *a, const struct cli *c, const struct reply *rp,
		  const struct term *term, struct buf *b)
{
	for (size_t i = 0; i < rp->n_gc; i++) {
		if (i)
			buf_putc(b, '\n');
		if (rp->kind == REPLY_GC_PLAN)
			print_plan(a, c, &rp->gc[i], term, b);
		else
			print_status(a, c, &rp->gc_status[i], b);
	}
}

/* --- JSON --------------------------------------------------------------------------- */

static void put_uuid(struct json *j, const char *key, const struct uuid *u)
{
	json_key_str(j, key, u->s[0] ? u->s : NULL);
}

static void put_plan(struct json *j, const struct gc_report *r)
{
	json_obj_begin(j);
	put_uuid(j, "sr", &r->sr);
	json_key_str(j, "name", r->name);
	json_key_arr(j, "steps");
	for (const struct gc_step *s = r->plan.v; s < r->plan.v + r->plan.n; s++) {
		json_obj_begin(j);
		json_key_str(j, "action", gc_action_names[s->action]);
		put_uuid(j, "vdi", &s->vdi);
		json_key_str(j, "name", s->name);
		put_uuid(j, "parent", &s->parent);
		put_uuid(j, "grandparent", &s->grand);
		json_key_u64(j, "copy", s->copy);
		json_key_u64(j, "space", s->need);
		json_key_u64(j, "freed", s->gain);
		json_key_str(j, "why", s->why);
		json_key_str(j, "remedy", s->remedy);
		json_obj_end(j);
	}
	json_arr_end(j);
	json_key_u64(j, "copy", r->plan.copy);
	json_key_u64(j, "space", r->plan.space);
	json_key_u64(j, "freed", r->plan.gain);
	json_key(j, "seconds");
	if (r->rate)
		json_u64(j, seconds(r));
	else
		json_null(j);
	json_obj_end(j);
}

static void put_status(struct json *j, const struct gc_status *s)
{
	json_obj_begin(j);
	put_uuid(j, "sr", &s->sr);
	json_key_bool(j, "running", s->running);
	json_key_u64(j, "pid", s->pid);
	json_key_str(j, "state", s->state);
	json_key_str(j, "action", s->action[0] ? s->action : NULL);
	put_uuid(j, "vdi", &s->vdi);
	put_uuid(j, "parent", &s->parent);
	json_key_u64(j, "done", s->done);
	json_key_u64(j, "total", s->total);
	json_key_u64(j, "rate", s->rate);
	json_key_u64(j, "deleted", s->deleted);
	json_key_u64(j, "merged", s->merged);
	json_key_u64(j, "copied", s->copied);
	json_key_u64(j, "failed", s->failed);
	json_key_u64(j, "retry_in", s->retry);
	json_key_str(j, "why", s->why[0] ? s->why : NULL);
	if (WITH_JOBS)
		json_key_arr(j, "parts");
	for (size_t i = 0; WITH_JOBS && i < s->n_parts; i++) {
		json_obj_begin(j);
		json_key_str(j, "action", s->parts[i].action);
		put_uuid(j, "vdi", &s->parts[i].vdi);
		put_uuid(j, "parent", &s->parts[i].parent);
		json_key_u64(j, "done", s->parts[i].done);
		json_key_u64(j, "total", s->parts[i].total);
		json_key_u64(j, "rate", s->parts[i].rate);
		json_obj_end(j);
	}
	if (WITH_JOBS)
		json_arr_end(j);
	json_obj_end(j);
}

void gc_out_json(struct json *j, const struct reply *rp)
{
	json_key_arr(j, rp->kind == REPLY_GC_PLAN ? "plans" : "collectors");
	for (size_t i = 0; i < rp->n_gc; i++)
		if (rp->kind == REPLY_GC_PLAN)
			put_plan(j, &rp->gc[i]);
		else
			put_status(j, &rp->gc_status[i]);
	json_arr_end(j);
}
