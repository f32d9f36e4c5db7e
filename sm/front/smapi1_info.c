/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What SMAPIv1 tells about a type of SR, and about a disk that is attached. */
#include <string.h>

#include "lib/buf.h"
#include "lib/bytes.h"
#include "sm/front/smapi1.h"
#include "sm/run.h"
#include "version.h"

/* --- driver info ----------------------------------------------------------- */

static bool is_thin(const struct sr_type *t)
{
	return t->thin;
}

/* A capability is an operation that the type can do, or a property it has. */
static const struct {
	const char *name;
	enum op op;
	bool (*has)(const struct sr_type *t);
} capabilities[] = {
	{ "SR_PROBE",			OP_SR_PROBE, NULL },
	{ "SR_UPDATE",			OP_SR_UPDATE, NULL },
	{ "VDI_CREATE",			OP_VDI_CREATE, NULL },
	{ "VDI_DELETE",			OP_VDI_DELETE, NULL },
	{ "VDI_ATTACH",			OP_VDI_ATTACH, NULL },
	{ "VDI_DETACH",			OP_VDI_DETACH, NULL },
	{ "VDI_CLONE",			OP_VDI_CLONE, NULL },
	{ "VDI_SNAPSHOT",		OP_VDI_SNAPSHOT, NULL },
	{ "VDI_RESIZE",			OP_VDI_RESIZE, NULL },
	{ "VDI_INTRODUCE",		OP_VDI_INTRODUCE, NULL },
	{ "VDI_UPDATE",			OP_VDI_UPDATE, NULL },
	{ "VDI_COMPOSE",		OP_VDI_COMPOSE, NULL },
	{ "VDI_REVERT",			OP_VDI_REVERT, NULL },
	{ "VDI_GENERATE_CONFIG",	OP_VDI_GENERATE_CONFIG, NULL },
	{ "VDI_RESET_ON_BOOT/2",	OP_VDI_EPOCH_BEGIN, NULL },
	{ "ATOMIC_PAUSE",		OP_VDI_ACTIVATE, NULL },	/* attach only answers */
	{ "VDI_CONFIG_CBT",		OP_VDI_ENABLE_CBT, NULL },
	{ "VDI_ACTIVATE",		OP_VDI_ACTIVATE, NULL },
	{ "VDI_DEACTIVATE",		OP_VDI_DEACTIVATE, NULL },
	{ "THIN_PROVISIONING",		OP_NONE, is_thin },
};

static void put_line(struct buf *b, const char *name, const char *text)
{
	smapi1_put_member(b, name, text ? text : "");
	buf_putc(b, '\n');
}

static void put_capabilities(struct buf *b, const struct sr_type *t)
{
	buf_puts(b, "<member><name>capabilities</name><value><array><data>");
	for (size_t i = 0; i < ARRAY_SIZE(capabilities); i++)
		if (capabilities[i].has ? capabilities[i].has(t) : sr_can(t, capabilities[i].op))
			smapi1_put_string(b, capabilities[i].name);
	buf_puts(b, "</data></array></value></member>\n");
}

static void put_configuration(struct buf *b, const struct sr_type *t)
{
	buf_puts(b, "<member><name>configuration</name><value><array><data>");
	for (const struct key *k = t->keys; k && k->name && *k->name; k++) {
		buf_puts(b, "<value><struct>");
		smapi1_put_member(b, "key", k->name);
		smapi1_put_member(b, "description", k->help);
		buf_puts(b, "</struct></value>");
	}
	buf_puts(b, "</data></array></value></member>\n");
}

void smapi1_put_info(struct buf *b, const struct sr_type *t)
{
	put_line(b, "name", t->api_name);
	put_line(b, "description", t->api_desc);
	put_line(b, "vendor", "smbox");
	put_line(b, "copyright", "(C) the smbox authors, LGPL-2.1-or-later");
	put_line(b, "driver_version", SMBOX_VERSION);
	put_line(b, "required_api_version", t->api_version ? t->api_version : "1.0");
	put_capabilities(b, t);
	put_configuration(b, t);
}

/* --- attach ---------------------------------------------------------------- */

static void put_base64(struct buf *b, const void *p, size_t n)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *in = p;

	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)in[i] << 16;

		v |= i + 1 < n ? (uint32_t)in[i + 1] << 8 : 0;
		v |= i + 2 < n ? in[i + 2] : 0;
		buf_putc(b, digits[v >> 18]);
		buf_putc(b, digits[v >> 12 & 63]);
		buf_putc(b, i + 1 < n ? digits[v >> 6 & 63] : '=');
		buf_putc(b, i + 2 < n ? digits[v & 63] : '=');
	}
}

static void put_page(struct buf *b, const char *name, const struct buf *page)
{
	_buf_free_ struct buf text = { 0 };

	put_base64(&text, page->p, page->n);
	smapi1_put_member(b, name, buf_str(&text));
}

/* Answers to SCSI INQUIRY for the guest's disk: serial number, and device identification. */
static void put_scsi_pages(struct buf *b, const struct uuid *u)
{
	_buf_free_ struct buf serial = { 0 }, id = { 0 };

	buf_add(&serial, "\x00\x80\x00\x12", 4);	/* page 80h, 18 bytes */
	buf_printf(&serial, "%.16s  ", u->s);
	put_page(b, "scsi/0x12/0x80", &serial);

	/* Page 83h, 49 bytes: one designator, ASCII, by T10 vendor, 45 bytes. */
	buf_add(&id, "\x00\x83\x00\x31\x02\x01\x00\x2d", 8);
	buf_printf(&id, "XENSRC  %s ", u->s);
	put_page(b, "scsi/0x12/0x83", &id);
}

/*
 * Why reads bypass the page cache.  xapi wants to know for the types of SR
 * whose images many guests read through one cache; "" = they do not bypass it.
 */
static const char *o_direct_reason(const struct request *rq, const struct vdi *v)
{
	static const char *const cached[] = { "nfs", "ext", "smb" };
	bool has_cache = false;

	for (size_t i = 0; i < ARRAY_SIZE(cached); i++)
		has_cache |= !strcmp(rq->type, cached[i]);
	if (!has_cache)
		return "SR_NOT_SUPPORTED";
	return !rq->writable && !v->parent.s[0] ? "RO_WITH_NO_PARENT" : "";
}

/*
 * The device, which is there once the disk is active, or the socket of a disk
 * that "sm vdi serve" gives away, which has no device.
 */
static void put_params(struct buf *b, const struct vdi *v)
{
	_buf_free_ struct buf nbd = { 0 };

	if (v->at.active && !strcmp(v->at.backend, "socket"))
		buf_printf(&nbd, "nbd:unix:%s:exportname=%s", v->at.device, v->uuid.s);
	else if (v->at.link || v->at.device[0])
		smapi1_put_member(b, "params", v->at.link ? v->at.link : v->at.device);
	smapi1_put_member(b, "params_nbd", buf_str(&nbd));
}

void smapi1_put_attach(struct buf *b, const struct request *rq, const struct vdi *v)
{
	const struct sr_type *t = sr_type_find(rq->type);
	const char *reason = o_direct_reason(rq, v);

	buf_puts(b, "<struct>");
	put_params(b, v);
	buf_printf(b, "<member><name>o_direct</name><value><boolean>%d</boolean></value></member>",
		   *reason != '\0');
	smapi1_put_member(b, "o_direct_reason", reason);
	buf_puts(b, "<member><name>xenstore_data</name><value><struct>");
	smapi1_put_member(b, "vdi-uuid", v->uuid.s);
	put_scsi_pages(b, &v->uuid);
	if (t && t->storage_type) {
		smapi1_put_member(b, "storage-type", t->storage_type);
		/* Drivers of volumes tell what is in them, by the names that LVHD gave it. */
		if (!strcmp(t->storage_type, "lvm"))
			smapi1_put_member(b, "vdi-type", strcmp(v->format, "raw") ? v->format : "aio");
	}
	buf_puts(b, "</struct></value></member></struct>");
}
