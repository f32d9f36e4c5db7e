/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the words of usage strings mean, and the one place where values are judged. */
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/kconfig.h"
#include "lib/lease.h"
#include "lib/num.h"
#include "lib/text/size.h"
#include "lib/utf8.h"
#include "sm/dconf.h"
#include "sm/ops.h"

/* Is there a command that takes files and devices? */
#define HAS_PATHS	(IS_ENABLED(CONFIG_CLI_IMAGE) || IS_ENABLED(CONFIG_CHECK_BACKUP) || IS_ENABLED(CONFIG_CLI_VG) || \
			 IS_ENABLED(CONFIG_DATAPATH_SOCKET))

/* Longer names than this fit no table and no lock record. */
#define TEXT_MOST	((size_t)1024)

static const struct arg args[] = {
	{ "SR",			ARG_TEXT,   "an SR: uuid, the first 8 or more of its digits, or name" },
	{ "VDI",		ARG_TEXT,   "a disk: uuid, the first 8 or more of its digits, or name" },
	{ "NAME",		ARG_TEXT,   "the new name" },
	{ "UUID",		ARG_UUID,   "the uuid of the SR" },
	{ "NEWVDI",		ARG_UUID,   "the uuid of the new VDI" },
	{ "SIZE",		ARG_SIZE,   "bytes, or a number with K, M, G or T" },
	{ "MB",			ARG_MIB,    "the size in MiB" },
	{ "FORCE",		ARG_BOOL,   "TRUE or FALSE" },
	{ "OWNER",		ARG_TEXT,   "who uses the disk" },
	{ "TARGET",		ARG_TEXT,   "a directory or device to look at" },
#if IS_ENABLED(CONFIG_CLI_IMAGE) || IS_ENABLED(CONFIG_CLI_VG)
	{ "PATH",		ARG_PATH,   "a device or a file" },
#endif
#if IS_ENABLED(CONFIG_CLI_VG)
	{ "--vg",		ARG_TEXT,   "the VG that is meant, where there are several: name or uuid" },
	{ "--from",		ARG_PATH,   "a file with what to restore" },
	{ "--pv",		ARG_PAIR,   "the PV with this uuid is the device PATH, whose label is lost" },
	{ "--to",		ARG_PATH,   "the file to write" },
	{ "--seqno",		ARG_NUMBER, "an older version, by its number in sm vg history" },
#endif
	{ "--sr",		ARG_TEXT,   "the SR that holds the disk; of vdi copy the one it is copied to" },
	{ "--type",		ARG_TEXT,   "SR type (sm help types)" },
	{ "--dconf",		ARG_PAIR,   "where the storage is; @FILE as VALUE is read from the file" },
	{ "--dconf-file",	ARG_FILE,   "a file of KEY=VALUE lines, - for standard input" },
	{ "--sm-config",	ARG_PAIR,   "allocation=thick gives the disk all its space now" },
	{ "--size",		ARG_SIZE,   "bytes, or a number with K, M, G or T" },
	{ "--format",		ARG_TEXT,   "image format (sm help types lists those of each type)" },
	{ "--name",		ARG_TEXT,   "the name to show" },
	{ "--description",	ARG_TEXT,   "a longer text beside the name" },
	{ "--uuid",		ARG_UUID,   "use this uuid instead of a random one" },
	{ "--owner",		ARG_TEXT,   "who uses the disk" },
	{ "--force",		ARG_SWITCH, "do it although somebody may lose something by it" },
#if IS_ENABLED(CONFIG_STORAGE_LOCKS)
	{ "--lease",		ARG_NUMBER, "seconds after which it may be taken, unless it is renewed (0: never)" },
	{ "--shared",		ARG_SWITCH, "other hosts use the SR too: take the lock of the disk" },
#endif
	{ "--read-only",	ARG_SWITCH, "a device that cannot be written" },
#if IS_ENABLED(CONFIG_CBT)
	{ "TO",			ARG_TEXT,   "the newer disk: uuid or name" },
#endif
#if IS_ENABLED(CONFIG_GC)
	{ "--rate",		ARG_SIZE,   "copy no more bytes a second than that" },
#endif
	{ "--repair",		ARG_SWITCH, "mend what can be mended" },
#if IS_ENABLED(CONFIG_CLI_IMAGE) || IS_ENABLED(CONFIG_CHECK_BACKUP)
	{ "--backup",		ARG_PATH,   "where to keep what is overwritten (….before-repair)" },
#endif
#if IS_ENABLED(CONFIG_CHECK_BACKUP)
	{ "--undo",		ARG_PATH,   "put back what a repair has kept there" },
#endif
#if IS_ENABLED(CONFIG_DATAPATH_SOCKET)
	{ "--socket",		ARG_PATH,   "where to make the socket" },
#endif
#if IS_ENABLED(CONFIG_CLI_IMAGE)
	{ "SRC",		ARG_PATH,   "the image or device to read" },
	{ "DST",		ARG_PATH,   "the image to make, or the device to write" },
	{ "PARENT",		ARG_PATH,   "the image to stand on" },
	{ "CHILD",		ARG_PATH,   "the image to make" },
	{ "-f",			ARG_TEXT,   "format of the image: raw, vhd or qcow2" },
	{ "-O",			ARG_TEXT,   "format to write: raw or vhd" },
	{ "--journal",		ARG_PATH,   "what undoes an interrupted resize (PATH.journal)" },
	{ "--any-parent",	ARG_SWITCH, "follow the names of parents out of the image's folder" },
#endif
};

const struct arg *arg_find(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(args); i++)
		if (!strcmp(args[i].word, word))
			return &args[i];
	return NULL;
}

static int set_text(struct ctx *ctx, const char **to, const struct arg *arg, const char *text)
{
	if (strlen(text) > TEXT_MOST)
		return fail_say(ctx, -E_ARG, "%s is longer than %zu bytes", arg->word, TEXT_MOST);
	if (utf8_good(text, strlen(text)) != strlen(text))
		return fail(ctx, -E_TEXT_UTF8, "%s", arg->word);
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return fail_say(ctx, -E_XML_CHAR, "%s holds a control character (0x%02x)",
					arg->word, (unsigned char)*p);
	*to = text;
	return 0;
}

static int set_uuid(struct ctx *ctx, struct uuid *to, const struct arg *arg, const char *text)
{
	int err = uuid_parse(to, text);

	if (err) {
		hint(ctx, "a UUID has the form 6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11");
		return fail(ctx, err, "%s '%.64s'", arg->word, text);
	}
	return 0;
}

static int set_size(struct ctx *ctx, struct request *rq, const struct arg *arg, const char *text)
{
	uint64_t unit = arg->kind == ARG_MIB ? MiB : 1;
	uint64_t n;
	int err = size_parse(text, &n);

	/* MiB are a bare number: "10G" of them would be a surprise. */
	if (arg->kind == ARG_MIB && (!*text || text[strspn(text, "0123456789")]))
		err = -E_VDI_SIZE;

	else if (!err && (!mul_ok(n, unit, &n) || n > INT64_MAX))
		err = -E_SIZE_BIG;
	if (err) {
		hint(ctx, arg->kind == ARG_MIB ? "a number of MiB" : "a number, perhaps with K, M, G or T");
		return fail(ctx, err, "%s '%.64s'", arg->word, text);
	}
	rq->size = n;
	rq->has_size = true;
	return 0;
}

static int set_bool(struct ctx *ctx, bool *to, const struct arg *arg, const char *text)
{
	bool yes = !strcasecmp(text, "true");

	if (!yes && strcasecmp(text, "false"))
		return fail_say(ctx, -E_ARG, "%s '%.64s' is neither TRUE nor FALSE", arg->word, text);
	*to = yes;
	return 0;
}

static int set_pair(struct ctx *ctx, struct kvs *to, const struct arg *arg, const char *text)
{
	const char *eq = strchr(text, '=');

	if (!eq || eq == text) {
		hint(ctx, "%s key=value", arg->word);
		return fail_say(ctx, -E_ARG, "%s '%.64s' is not KEY=VALUE", arg->word,
				eq ? "=…" : text);
	}
	return dconf_add(ctx, to, arena_strndup(&ctx->arena, text, (size_t)(eq - text)), eq + 1);
}

/* Paths of files are not text: whatever the file system takes. */
static int set_path(struct ctx *ctx, struct request *rq, const struct arg *arg, const char *text)
{
	const struct { const char *word; const char **to; } options[] = {
		{ "--from", &rq->from }, { "--to", &rq->to },
		{ "--socket", &rq->socket }, { "--backup", &rq->backup },
		{ "--journal", &rq->journal }, { "--undo", &rq->undo },
	};

	if (!*text || strlen(text) >= PATH_MAX)
		return fail_say(ctx, -E_ARG, "%s is %s", arg->word, *text ? "too long" : "empty");
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (strcmp(arg->word, options[i].word))
			continue;
		*options[i].to = text;
		return 0;
	}
	rq->paths = arena_grow(&ctx->arena, rq->paths, rq->n_paths, rq->n_paths + 1,
			       sizeof(*rq->paths));
	rq->paths[rq->n_paths++] = text;
	return 0;
}

static int set_number(struct ctx *ctx, struct request *rq, const struct arg *arg, const char *text)
{
	const char *s = text;

	uint64_t n;

	if (!num_take(&s, &n) || *s)
		return fail_say(ctx, -E_ARG, "%s '%.32s' is not a number", arg->word, text);
	if (!IS_ENABLED(CONFIG_STORAGE_LOCKS) || strcmp(arg->word, "--lease")) {
		rq->seqno = n;
		rq->has_seqno = true;
		return 0;
	}
	if (n > LEASE_TERM_MOST)
		return fail_say(ctx, -E_ARG, "%s '%.32s' is more than a year", arg->word, text);
	rq->lease = (uint32_t)n;
	rq->has_lease = true;
	return 0;
}

int request_set(struct ctx *ctx, struct request *rq, const struct arg *arg, const char *text)
{
	const char *w = arg->word;
	const struct { const char *word; const char **to; } texts[] = {
		{ "SR", &rq->sr }, { "--sr", &rq->sr }, { "VDI", &rq->vdi },
		{ "NAME", &rq->name }, { "--name", &rq->name },
		{ "--description", &rq->description }, { "--type", &rq->type },
		{ "--format", &rq->format }, { "OWNER", &rq->owner }, { "--owner", &rq->owner },
		{ "TARGET", &rq->sr }, { "--vg", &rq->vg }, { "-f", &rq->format }, { "-O", &rq->out_format },
#if IS_ENABLED(CONFIG_CBT)
		{ "TO", &rq->other },
#endif
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (strcmp(w, texts[i].word))
			continue;
		/* A variable of a script that was never set must not mean what has no name. */
		if (!*text && (texts[i].to == &rq->sr || texts[i].to == &rq->vdi))
			return fail_say(ctx, -E_ARG, "%s is empty", w);
		return set_text(ctx, texts[i].to, arg, text);
	}
	switch (arg->kind) {
	case ARG_SIZE:
	case ARG_MIB:
		return set_size(ctx, rq, arg, text);
	case ARG_UUID:
		return set_uuid(ctx, &rq->new_uuid, arg, text);
	case ARG_BOOL:
		return set_bool(ctx, &rq->force, arg, text);
	case ARG_PAIR:
		if (IS_ENABLED(CONFIG_CLI_VG) && !strcmp(w, "--pv"))
			return set_pair(ctx, &rq->pvs, arg, text);
		return set_pair(ctx, !strcmp(w, "--dconf") ? &rq->dconf : &rq->sm_config, arg, text);
	case ARG_PATH:
		return HAS_PATHS ? set_path(ctx, rq, arg, text) : 0;
	case ARG_NUMBER:
		return HAS_PATHS || IS_ENABLED(CONFIG_STORAGE_LOCKS) ? set_number(ctx, rq, arg, text) : 0;
	case ARG_FILE:
		return dconf_add_file(ctx, &rq->dconf, text);
	case ARG_SWITCH:
		if (!strcmp(w, "--force"))
			rq->force = true;
		else if (!strcmp(w, "--repair"))
			rq->repair = true;
		else if (IS_ENABLED(CONFIG_STORAGE_LOCKS) && !strcmp(w, "--shared"))
			rq->shared = true;
		else if (IS_ENABLED(CONFIG_CLI_IMAGE) && !strcmp(w, "--any-parent"))
			rq->anywhere = true;
		else
			rq->writable = false;	/* --read-only */
		return 0;
	case ARG_TEXT:
		break;
	}
	return fail(ctx, -E_ARG, "%s", w);
}
