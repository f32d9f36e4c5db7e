/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/text/json.h"
#include "lib/text/size.h"
#include "sm/front/cli.h"
#include "sm/front/image_out.h"
#include "sm/front/table.h"
#include "sm/image.h"

static const char *number(struct ctx *ctx, uint64_t n)
{
	return arena_printf(&ctx->arena, "%llu", (unsigned long long)n);
}

static const char *bytes(struct ctx *ctx, const struct cli *cli, uint64_t n)
{
	char text[SIZE_TEXT];

	return cli->units_b ? number(ctx, n) : arena_strdup(&ctx->arena, size_text(text, n));
}

static const char *id(struct ctx *ctx, const uint8_t b[16])
{
	struct uuid u;

	uuid_from_bytes(&u, b);
	return arena_strdup(&ctx->arena, u.s);
}

static void print_info(struct ctx *ctx, const struct cli *cli, const struct image_report *r,
		       struct buf *b)
{
	const struct image_info *i = &r->info;

	block_line(b, "path", r->path);
	block_line(b, "format", image_format_name(i->format));
	block_line(b, "type", i->type);
	block_line(b, "virtual size", bytes(ctx, cli, i->virtual_size));
	block_line(b, "physical size", bytes(ctx, cli, i->physical_size));
	if (i->has_uuid)
		block_line(b, "uuid", id(ctx, i->uuid));
	if (r->parent_path)
		block_line(b, "parent", r->parent_path);
	if (i->parent_has_uuid)
		block_line(b, "parent uuid", id(ctx, i->parent_uuid));
	if (r->levels > 1)
		block_line(b, "levels", number(ctx, r->levels));
	if (i->format != IMAGE_RAW)
		block_line(b, "hidden", i->hidden ? "yes" : "no");
	if (i->block_size) {
		block_line(b, "block size", bytes(ctx, cli, i->block_size));
		if (i->format == IMAGE_VHD)
			block_line(b, "blocks", number(ctx, i->allocated_blocks));
	}
	if (i->creator[0])
		block_line(b, "creator", i->creator);
}

static const char *kind(const struct image_run *r)
{
	if (r->data)
		return "data";
	return r->zero ? "zero" : "hole";
}

static void print_map(struct ctx *ctx, const struct image_map *m, const struct term *term,
		      struct buf *b)
{
	static const struct column cols[] = {
		{ "START", COL_RIGHT }, { "LENGTH", COL_RIGHT }, { "IS", COL_LEFT },
		{ "AT", COL_RIGHT }, { "FILE", COL_SHRINK },
	};
	struct table t = { .arena = &ctx->arena, .cols = cols, .n_cols = ARRAY_SIZE(cols) };

	for (const struct image_run *r = m->runs; r < m->runs + m->n; r++) {
		table_cell(&t, number(ctx, r->start));
		table_cell(&t, number(ctx, r->length));
		table_cell(&t, kind(r));
		table_cell(&t, r->has_offset ? number(ctx, r->offset) : NULL);
		table_cell(&t, r->present && r->depth < m->n_files ? m->files[r->depth].path : NULL);
	}
	table_print(&t, term, b);
}

void image_out(struct ctx *ctx, const struct cli *cli, const struct request *rq,
	       const struct reply *rp, const struct term *term, struct buf *b)
{
	if (rp->kind == REPLY_IMAGE && cli->minimal)
		buf_printf(b, "%s\n", rp->image->info.has_uuid ? id(ctx, rp->image->info.uuid) : "");
	else if (rp->kind == REPLY_MAP)
		print_map(ctx, rp->map, term, b);
	else if (rq->op == OP_IMAGE_INFO)	/* what changes an image says nothing when it is done */
		print_info(ctx, cli, rp->image, b);
}

/* --- JSON ------------------------------------------------------------------ */

static void key_id(struct json *j, const char *key, bool has, const uint8_t b[16])
{
	struct uuid u;

	uuid_from_bytes(&u, b);
	json_key_str(j, key, has ? u.s : NULL);
}

void image_json(struct json *j, const struct reply *rp)
{
	const struct image_report *r = rp->image;
	const struct image_info *i = &r->info;

	json_key_str(j, "path", r->path);
	json_key_str(j, "format", image_format_name(i->format));
	json_key_str(j, "type", i->type);
	json_key_u64(j, "virtual_size", i->virtual_size);
	json_key_u64(j, "physical_size", i->physical_size);
	key_id(j, "uuid", i->has_uuid, i->uuid);
	json_key(j, "parent");
	if (i->has_parent) {
		json_obj_begin(j);
		json_key_str(j, "path", r->parent_path);
		key_id(j, "uuid", i->parent_has_uuid, i->parent_uuid);
		json_key_str(j, "format", r->parent_format);
		json_obj_end(j);
	} else {
		json_null(j);
	}
	json_key_bool(j, "hidden", i->hidden);
	json_key_u64(j, "block_size", i->block_size);
	json_key_u64(j, "allocated_blocks", i->allocated_blocks);
	json_key_str(j, "creator", i->creator);
}

void image_json_map(struct json *j, const struct reply *rp)
{
	json_arr_begin(j);
	for (const struct image_run *r = rp->map->runs; r < rp->map->runs + rp->map->n; r++) {
		json_obj_begin(j);
		json_key_u64(j, "start", r->start);
		json_key_u64(j, "length", r->length);
		json_key_u64(j, "depth", r->depth);
		json_key_bool(j, "present", r->present);
		json_key_bool(j, "zero", r->zero);
		json_key_bool(j, "data", r->data);
		if (r->has_offset)
			json_key_u64(j, "offset", r->offset);
		json_obj_end(j);
	}
	json_arr_end(j);
}
