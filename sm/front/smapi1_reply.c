/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The answers, laid out as xapi's own samples are: one line, but for that of
 * sr_get_driver_info, which has one for each member.
 */
#include <string.h>

#include "drivers/transport.h"
#include "lib/buf.h"
#include "lib/kconfig.h"
#include "lib/utf8.h"
#include "sm/front/faults.h"
#include "sm/front/smapi1.h"

#define BEGIN	"<methodResponse><params><param><value>"
#define END	"</value></param></params></methodResponse>\n"

/* A character that XML cannot hold, in a name on a disk perhaps, shows as U+FFFD. */
void smapi1_put_text(struct buf *b, const char *s)
{
	for (size_t left = strlen(s); left; ) {
		uint32_t c = 0;
		size_t n = utf8_decode(s, left, &c);

		if (!n || !xml_char_ok(c))
			utf8_put(b, 0xfffd);
		else if (c == '<')
			buf_puts(b, "&lt;");
		else if (c == '>')
			buf_puts(b, "&gt;");
		else if (c == '&')
			buf_puts(b, "&amp;");
		else if (c == '\r')
			buf_puts(b, "&#13;");	/* a plain one is read as a line feed */
		else
			buf_add(b, s, n);
		s += n ? n : 1;
		left -= n ? n : 1;
	}
}

void smapi1_put_string(struct buf *b, const char *s)
{
	buf_puts(b, "<value><string>");
	smapi1_put_text(b, s);
	buf_puts(b, "</string></value>");
}

void smapi1_put_member(struct buf *b, const char *name, const char *s)
{
	buf_printf(b, "<member><name>%s</name>", name);
	smapi1_put_string(b, s);
	buf_puts(b, "</member>");
}

/* --- documents within a string --------------------------------------------- */

static void put_leaf(struct buf *b, const char *name, const char *text)
{
	buf_printf(b, "<%s>", name);
	smapi1_put_text(b, text);
	buf_printf(b, "</%s>", name);
}

static void put_srlist(struct buf *b, const struct request *rq, const struct reply *rp)
{
	const char *asked = kv_get(&rq->sm_config, "metadata");

	buf_puts(b, "<?xml version=\"1.0\" ?><SRlist>");
	for (size_t i = 0; i < rp->n_srs; i++) {
		const struct sr_info *sr = &rp->srs[i];
		const char *device = kv_get(&sr->dconf, "device");

		buf_puts(b, "<SR>");
		put_leaf(b, "UUID", sr->uuid.s);
		if (device) {
			put_leaf(b, "Devlist", device);
			buf_printf(b, "<size>%llu</size>", (unsigned long long)sr->size);
		}
		if (asked && !strcmp(asked, "true")) {
			put_leaf(b, "name_label", sr->name ? sr->name : "");
			put_leaf(b, "name_description", sr->description ? sr->description : "");
		}
		buf_puts(b, "</SR>");
	}
	if (IS_ENABLED(CONFIG_TRANSPORT_NFS) && rp->versions) {
		buf_puts(b, "<SupportedVersions>");
		for (const char *p = rp->versions; *p; p++)
			if (*p != ',')
				buf_printf(b, "<Version>%c</Version>", *p);
		buf_puts(b, "</SupportedVersions>");
	}
	buf_puts(b, "</SRlist>");
}

void smapi1_write_offers(struct buf *b, const struct reply *rp)
{
	buf_puts(b, "<?xml version=\"1.0\" ?><nfs-exports>");
	for (size_t i = 0; i < rp->n_offers; i++) {
		buf_puts(b, "<Export>");
		put_leaf(b, "Target", rp->offers[i].server);
		put_leaf(b, "Path", rp->offers[i].path);
		put_leaf(b, "Accesslist", rp->offers[i].hosts);
		buf_puts(b, "</Export>");
	}
	buf_puts(b, "</nfs-exports>\n");
}

/* A member as xapi writes it in calls: the value has no type. */
static void put_call_member(struct buf *b, const char *name, const char *text)
{
	buf_puts(b, "<member>");
	put_leaf(b, "name", name);
	if (*text)
		put_leaf(b, "value", text);
	else
		buf_puts(b, "<value/>");
	buf_puts(b, "</member>");
}

static void put_call_struct(struct buf *b, const char *name, const struct kvs *s)
{
	buf_printf(b, "<member><name>%s</name><value><struct>", name);
	for (size_t i = 0; i < s->n; i++)
		put_call_member(b, s->v[i].key, s->v[i].value);
	buf_puts(b, "</struct></value></member>");
}

/*
 * The call by which this VDI is attached at boot, before xapi is up.  It is
 * the one answer that shows secrets, for without them it were of no use; the
 * caller keeps it in a file of its own.
 */
static void put_config(struct buf *b, const struct request *rq, const struct reply *rp)
{
	static const char command[] = "vdi_attach_from_config";

	buf_printf(b, "<methodCall><methodName>%s</methodName><params><param><value><struct>", command);
	put_call_struct(b, "device_config", &rp->srs[0].dconf);
	put_call_member(b, "sr_uuid", rp->srs[0].uuid.s);
	put_call_member(b, "vdi_uuid", rp->vdis.v[0].uuid.s);
	put_call_member(b, "command", command);
	if (rq->sm_config.n)
		put_call_struct(b, "sr_sm_config", &rq->sm_config);
	if (rq->other_config.n)
		put_call_struct(b, "sr_other_config", &rq->other_config);
	buf_puts(b, "</struct></value></param></params></methodCall>");
}

/* --- replies --------------------------------------------------------------- */

static void write_string(struct buf *b, const char *s)
{
	buf_puts(b, BEGIN "<string>");
	smapi1_put_text(b, s);
	buf_puts(b, "</string>" END);
}

static void write_vdi(struct buf *b, const struct vdi *v)
{
	buf_puts(b, BEGIN "<struct>");
	smapi1_put_member(b, "location", v->location ? v->location : v->uuid.s);
	smapi1_put_member(b, "uuid", v->uuid.s);
	buf_puts(b, "</struct>" END);
}

static void write_attach(struct buf *b, const struct request *rq, const struct vdi *v)
{
	buf_puts(b, BEGIN);
	smapi1_put_attach(b, rq, v);
	buf_puts(b, END);
}

static void write_info(struct buf *b, const struct sr_type *t)
{
	buf_puts(b, "<?xml version='1.0'?>\n" BEGIN "<struct>\n");
	smapi1_put_info(b, t);
	buf_puts(b, "</struct>" END);
}

/* Is the answer the VDI that was made or changed? */
static bool answers_vdi(enum op op)
{
	switch (op) {
	case OP_VDI_CREATE:
	case OP_VDI_INTRODUCE:
	case OP_VDI_SNAPSHOT:
	case OP_VDI_CLONE:
	case OP_VDI_RESIZE:
		return true;
	default:
		return false;
	}
}

void smapi1_write_reply(struct buf *b, const struct request *rq, const struct reply *rp)
{
	_buf_free_ struct buf doc = { 0 };

	switch (rp->kind) {
	case REPLY_VDI:
		if (!answers_vdi(rq->op))
			break;
		write_vdi(b, &rp->vdis.v[0]);
		return;
	case REPLY_ATTACH:
		if (rq->op != OP_VDI_ATTACH && rq->op != OP_VDI_ATTACH_FROM_CONFIG)
			break;
		write_attach(b, rq, &rp->vdis.v[0]);
		return;
	case REPLY_INFO:
		write_info(b, rp->type);
		return;
	case REPLY_CBT:
	case REPLY_TEXT:
		write_string(b, rp->text);
		return;
	case REPLY_CONFIG:
		put_config(&doc, rq, rp);
		write_string(b, buf_str(&doc));
		return;
	case REPLY_PROBE:
		put_srlist(&doc, rq, rp);
		write_string(b, buf_str(&doc));
		return;
	default:
		break;
	}
	buf_puts(b, BEGIN "<nil/>" END);
}

void smapi1_write_fault(struct buf *b, int code, const char *detail)
{
	buf_printf(b, "<methodResponse><fault><value><struct><member><name>faultCode</name>"
		   "<value><int>%d</int></value></member>"
		   "<member><name>faultString</name><value><string>%s [opterr=",
		   code, fault_text(code));
	smapi1_put_text(b, detail);
	buf_puts(b, "]</string></value></member></struct></value></fault></methodResponse>\n");
}
