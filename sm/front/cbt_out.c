/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/buf.h"
#include "lib/text/json.h"
#include "sm/cbt.h"
#include "sm/front/cbt_out.h"

static void put_uuid(struct json *j, const char *key, const struct uuid *u)
{
	json_key_str(j, key, u->s[0] ? u->s : NULL);
}

/* Blocks at the end of a disk may be shorter. */
static uint64_t bytes(const struct cbt *c)
{
	uint64_t at = 0, len, sum = 0;

	for (; c->n && cbt_next(c, &at, &len); at += len)
		sum += len;
	return sum;
}

static void put_sums(struct json *j, const struct cbt *c)
{
	json_key_u64(j, "size", c->size);
	json_key_u64(j, "block_size", CBT_BLOCK);
	json_key_u64(j, "changed_blocks", c->n ? cbt_count(c) : 0);
	json_key_u64(j, "changed_bytes", bytes(c));
}

static void put_changed(struct json *j, const struct cbt_report *c)
{
	uint64_t at = 0, len;

	json_key_obj(j, "changed");
	put_uuid(j, "from", &c->vdi);
	put_uuid(j, "to", &c->to);
	put_sums(j, &c->log);
	json_key_arr(j, "ranges");
	for (; cbt_next(&c->log, &at, &len); at += len) {
		json_obj_begin(j);
		json_key_u64(j, "start", at);
		json_key_u64(j, "length", len);
		json_obj_end(j);
	}
	json_arr_end(j);
	json_key_str(j, "bitmap", c->bitmap);
	json_obj_end(j);
}

void cbt_out_json(const struct cbt_report *c, struct json *j)
{
	if (c->to.s[0]) {
		put_changed(j, c);
		return;
	}
	json_key_obj(j, "cbt");
	put_uuid(j, "vdi", &c->vdi);
	json_key_bool(j, "enabled", c->enabled);
	json_key_bool(j, "consistent", c->enabled && (c->log.consistent || c->in_use));
	json_key_bool(j, "in_use", c->in_use);
	put_uuid(j, "parent", &c->log.parent);
	put_uuid(j, "child", &c->log.child);
	put_sums(j, &c->log);
	json_obj_end(j);
}

static void print_log(const struct cbt_report *c, struct buf *b)
{
	buf_printf(b, "vdi         %s\n", c->vdi.s);
	buf_printf(b, "tracked     %s\n", !c->enabled ? "no" : c->in_use ? "yes, and being written" :
		   c->log.consistent ? "yes" : "not completely: whoever wrote the disk has died");
	if (!c->enabled)
		return;
	buf_printf(b, "changed     %llu blocks of 64 KiB, %llu bytes of %llu\n",
		   (unsigned long long)cbt_count(&c->log), (unsigned long long)bytes(&c->log),
		   (unsigned long long)c->log.size);
	buf_printf(b, "since       %s\n", c->log.parent.s[0] ? c->log.parent.s : "tracking began");
	if (c->log.child.s[0])
		buf_printf(b, "next        %s\n", c->log.child.s);
}

void cbt_out(const struct cbt_report *c, bool minimal, struct buf *b)
{
	uint64_t at = 0, len;

	if (!c->to.s[0] && !minimal)
		print_log(c, b);
	else if (!c->to.s[0])
		buf_printf(b, "%s\n", c->enabled ? c->vdi.s : "");
	else if (minimal)
		buf_printf(b, "%s\n", c->bitmap);
	else
		for (; cbt_next(&c->log, &at, &len); at += len)
			buf_printf(b, "%llu %llu\n", (unsigned long long)at, (unsigned long long)len);
}
