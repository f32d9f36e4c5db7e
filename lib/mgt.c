/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/mgt.h"
#include "lib/text/xml.h"
#include "lib/utf8.h"

#define SECTOR	512
#define DECLARATION	"<?xml version=\"1.0\" ?>"

/* Upstream cuts names that together would not leave room for their tags. */
#define BOTH_MOST	445
#define EACH_MOST	222

/* The text of an area: blanks around it and NUL bytes do not count. */
static void get_text(struct buf *b, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			buf_putc(b, p[i]);
}

static int read_xml(struct arena *a, const struct buf *b, const char *root, struct xml_node **node)
{
	struct text_where where;
	int err = xml_read(a, buf_str(b), b->n, b->n + 1, node, &where);

	return err || strcmp((*node)->name, root) ? -E_DAMAGED : 0;
}

/* The text of an element without the blanks around it; "" when there is none. */
static const char *trimmed(struct arena *a, const struct xml_node *node, const char *name)
{
	const char *s = xml_text(node, name);
	size_t n;

	if (!s)
		return "";
	s += strspn(s, " \t\r\n");
	n = strlen(s);
	while (n && strchr(" \t\r\n", s[n - 1]))
		n--;
	return arena_strndup(a, s, n);
}

static void get_uuid(struct uuid *u, const char *s)
{
	if (uuid_parse(u, s))
		*u = (struct uuid){ "" };
}

static int decode_used(const char *head, size_t *used)
{
	char digits[11], *end;
	unsigned long n;

	if (memcmp(head, "XSSM:", 5) || head[15] != ':')
		return -E_DAMAGED;
	memcpy(digits, head + 5, 10);
	digits[10] = '\0';
	n = strtoul(digits, &end, 10);
	if (end == digits || end[strspn(end, " ")] || n < MGT_HEAD || n > MGT_SIZE)
		return -E_DAMAGED;
	*used = n - (n - MGT_HEAD) % MGT_RECORD;
	return 0;
}

int mgt_head_decode(struct arena *a, const void *head, struct mgt_sr *sr)
{
	const char *p = head;
	_buf_free_ struct buf b = { 0 };
	struct xml_node *root;
	int err;

	buf_puts(&b, "<SRMetadata>");
	get_text(&b, p + SECTOR + strlen(DECLARATION), MGT_HEAD - SECTOR - strlen(DECLARATION));
	buf_puts(&b, "</SRMetadata>");
	err = read_xml(a, &b, "SRMetadata", &root);
	if (err)
		return err;
	get_uuid(&sr->uuid, trimmed(a, root, "uuid"));
	sr->allocation = trimmed(a, root, "allocation");
	sr->name = trimmed(a, root, "name_label");
	sr->description = trimmed(a, root, "name_description");
	return decode_used(p, &sr->used);
}

/* Escape, but no more than most bytes of it, cut between characters. */
static void put_cut(struct buf *b, const char *s, size_t most)
{
	size_t start = b->n;

	while (*s) {
		uint32_t cp;
		size_t n = utf8_decode(s, strlen(s), &cp);
		size_t was = b->n;
		char one[8] = "";

		if (!n)
			n = 1;		/* not UTF-8: nothing we wrote, and left out */
		else
			memcpy(one, s, n);
		xml_escape(b, one);
		if (b->n - start > most) {
			b->n = was;
			break;
		}
		s += n;
	}
	buf_room(b, 0)[0] = '\0';
}

static void put_sector(char *to, const struct buf *b)
{
	memset(to, ' ', SECTOR);
	memcpy(to, buf_str(b), b->n < SECTOR ? b->n : SECTOR);
}

static void put_leaf(char *to, const char *tag, const char *text)
{
	_buf_free_ struct buf b = { 0 };

	buf_printf(&b, "<%s>", tag);
	put_cut(&b, text, SECTOR - 2 * strlen(tag) - 5);
	buf_printf(&b, "</%s>", tag);
	put_sector(to, &b);
}

void mgt_head_encode(struct arena *a, const struct mgt_sr *sr, void *head)
{
	_buf_free_ struct buf b = { 0 };
	char *p = head;

	buf_printf(&b, "XSSM:%-10zu:1:2", sr->used);
	put_sector(p, &b);
	buf_reset(&b);
	buf_printf(&b, DECLARATION "<uuid>%s</uuid><allocation>%s</allocation>", sr->uuid.s,
		   sr->allocation && !strcmp(sr->allocation, "thin") ? "thin" : "thick");
	put_sector(p + SECTOR, &b);
	put_leaf(p + 2 * SECTOR, "name_label", sr->name ? sr->name : "");
	put_leaf(p + 3 * SECTOR, "name_description", sr->description ? sr->description : "");
}

static bool known(const char *name)
{
	static const char *const names[] = {
		"name_label", "name_description", "uuid", "is_a_snapshot", "snapshot_of", "type",
		"vdi_type", "read_only", "managed", "deleted", "offset",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

int mgt_vdi_decode(struct arena *a, const void *record, struct mgt_vdi *vdi)
{
	_buf_free_ struct buf b = { 0 };
	struct xml_node *root;
	int err;

	get_text(&b, record, MGT_RECORD);
	err = read_xml(a, &b, "vdi", &root);
	if (err)
		return err;
	*vdi = (struct mgt_vdi){
		.name = trimmed(a, root, "name_label"),
		.description = trimmed(a, root, "name_description"),
		.type = trimmed(a, root, "type"),
		.vdi_type = trimmed(a, root, "vdi_type"),
		.is_a_snapshot = !strcmp(trimmed(a, root, "is_a_snapshot"), "1"),
		.read_only = !strcmp(trimmed(a, root, "read_only"), "1"),
		.managed = strcmp(trimmed(a, root, "managed"), "0"),
		.deleted = !strcmp(trimmed(a, root, "deleted"), "1"),
	};
	get_uuid(&vdi->uuid, trimmed(a, root, "uuid"));
	get_uuid(&vdi->snapshot_of, trimmed(a, root, "snapshot_of"));
	for (const struct xml_node *n = root->first; n; n = n->next)
		if (!known(n->name))
			kv_set(a, &vdi->other, n->name, trimmed(a, root, n->name));
	return vdi->uuid.s[0] ? 0 : -E_DAMAGED;
}

static size_t escaped(const char *s)
{
	_buf_free_ struct buf b = { 0 };

	put_cut(&b, s, SIZE_MAX);
	return b.n;
}

static void element(struct buf *b, const char *name, const char *text)
{
	buf_printf(b, "<%s>", name);
	xml_escape(b, text);
	buf_printf(b, "</%s>", name);
}

void mgt_vdi_encode(struct arena *a, const struct mgt_vdi *vdi, void *record)
{
	const char *name = vdi->name ? vdi->name : "";
	const char *description = vdi->description ? vdi->description : "";
	size_t most = escaped(name) + escaped(description) > BOTH_MOST ? EACH_MOST : BOTH_MOST;
	_buf_free_ struct buf b = { 0 };
	bool had_time = false;

	buf_puts(&b, "<vdi><name_label>");
	put_cut(&b, name, most);
	buf_puts(&b, "</name_label><name_description>");
	put_cut(&b, description, most);
	buf_puts(&b, "</name_description>");
	put_sector(record, &b);

	buf_reset(&b);
	element(&b, "uuid", vdi->uuid.s);
	element(&b, "is_a_snapshot", vdi->is_a_snapshot ? "1" : "0");
	element(&b, "snapshot_of", vdi->snapshot_of.s);
	element(&b, "type", vdi->type ? vdi->type : "user");
	element(&b, "vdi_type", vdi->vdi_type ? vdi->vdi_type : "aio");
	element(&b, "read_only", vdi->read_only ? "1" : "0");
	element(&b, "managed", vdi->managed ? "1" : "0");
	element(&b, "deleted", vdi->deleted ? "1" : "0");
	for (size_t i = 0; i < vdi->other.n; i++) {
		size_t was = b.n;

		element(&b, vdi->other.v[i].key, vdi->other.v[i].value);
		if (b.n + strlen("</vdi>") > SECTOR)
			b.n = was;	/* no room: what nobody here knows has to give way */
		else
			had_time |= !strcmp(vdi->other.v[i].key, "snapshot_time");
	}
	/* Upstream's reader expects these two, empty or not. */
	if (!had_time && b.n + 60 < SECTOR)
		element(&b, "snapshot_time", "");
	if (!kv_get(&vdi->other, "metadata_of_pool") && b.n + 60 < SECTOR)
		element(&b, "metadata_of_pool", "");
	buf_puts(&b, "</vdi>");
	put_sector((char *)record + SECTOR, &b);
}
