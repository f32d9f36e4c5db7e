/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What sweep.c disturbs: the verbs of a file SR. */
#ifndef VERBS_H
#define VERBS_H

#include <stdbool.h>

/*
 * In verbs: @ is DIR, $, % and & are the uuids, which no other sweep uses.  What begins with ! does
 * sweep.c by itself: !leaf and !copy write to the disks, !mark to the log of changed blocks, !damage
 * does what a repair mends.
 */
#define SR	"$"
#define VDI	"%"
#define COPY	"&"
#define CREATE	"sr create S --uuid " SR " --description about --type file --dconf location=@/loc"
#define ANY	"vdi create old --uuid " VDI " --sr " SR " --size 4M --description about"
#define DISK	ANY " --format raw"
#define VHD	ANY " --format vhd"
#define SNAPSHOT "vdi snapshot " VDI " copy --uuid " COPY " --sr " SR " --description about"
#define CLONE	"vdi clone " VDI " copy --uuid " COPY " --sr " SR " --description about"
#define MEMBER(k, v) "<member><name>" k "</name><value>" v "</value></member>"
/* No blank in it: one argument, of a driver and not of sm. */
#define OF_TWO(c, one, other) "<methodCall><methodName>" c "</methodName><params><param><value><struct>" \
	MEMBER("command", c) MEMBER("sr_uuid", SR) MEMBER("vdi_uuid", one) \
	MEMBER("args", "<array><data><value>" other "</value></data></array>") \
	MEMBER("device_config", "<struct>" MEMBER("location", "@/loc") "</struct>") \
	"</struct></value></param></params></methodCall>"
#define COMPOSE	OF_TWO("vdi_compose", VDI, COPY)
#define REVERT	OF_TWO("vdi_revert", COPY, VDI)

#define LOCK	"vdi lock " VDI " --owner x --lease 600"
#define TRACK	"cbt enable " VDI
#define COPIED	"vdi copy " VDI " copy --uuid " COPY " --sr " SR " --description about"
#define REPAIR	"sr check " SR " --repair"
#define UNDO	"sr check " SR " --undo @/root/var/lib/sm/" SR ".before-repair"
#define MEND	"image repair @/loc/" VDI ".vhd"

#define BEFORE_MOST	5

/* A verb, what comes before it, and which answers are right when it comes again. */
struct example {
	const char *name, *before[BEFORE_MOST], *verb;
	const char *again;	/* exit statuses, as digits */
	bool downhill;		/* once begun it is not undone: the next call goes on */
	const char *next;	/* who finds all in order only after this */
	bool turns;		/* of these a sample has a third each day */
};

/* Members that are not given are 0. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
static const struct example examples[] = {
	{ "sr create", { NULL }, CREATE, "01", true },	/* 1: it exists */
	{ "sr attach", { CREATE, DISK, "sr detach " SR }, "sr attach " SR, "0" },
	{ "sr detach", { CREATE, DISK }, "sr detach " SR, "0", true },
	{ "sr introduce", { CREATE, DISK, "sr forget " SR },
	  "sr introduce " SR " --type file --dconf location=@/loc", "0" },
	{ "sr forget", { CREATE, DISK }, "sr forget " SR, "04", true },
	{ "sr destroy", { CREATE }, "sr destroy " SR, "04", true },
	{ "sr rename", { CREATE, DISK }, "sr rename " SR " T", "0", true },
	{ "sr scan", { CREATE, DISK }, "sr scan " SR, "0" },
	{ "sr check", { CREATE, DISK }, REPAIR, "0" },
	{ "sr check repair", { CREATE, VHD, SNAPSHOT, "!leaf", "!damage" }, REPAIR, "0", true, REPAIR },
	{ "sr check undo", { CREATE, VHD, SNAPSHOT, "!damage", REPAIR }, UNDO, "0", true, REPAIR },
	{ "vdi create", { CREATE }, DISK, "01" },
	{ "vdi create thick", { CREATE }, DISK " --sm-config allocation=thick", "01" },
	{ "vdi delete", { CREATE, DISK }, "vdi delete " VDI, "04", true },
	{ "vdi resize", { CREATE, DISK }, "vdi resize " VDI " 8M", "0" },
	{ "vdi resize live", { CREATE, DISK, "vdi attach " VDI }, "vdi resize " VDI " 8M", "0" },
	{ "vdi rename", { CREATE, DISK }, "vdi rename " VDI " new", "0" },
	{ "vdi attach", { CREATE, DISK }, "vdi attach " VDI, "0" },
	{ "vdi detach", { CREATE, DISK, "vdi attach " VDI }, "vdi detach " VDI, "0", true },
	{ "vdi activate", { CREATE, DISK, "vdi attach " VDI, "vdi deactivate " VDI },
	  "vdi activate " VDI, "0" },
	{ "vdi deactivate", { CREATE, DISK, "vdi attach " VDI }, "vdi deactivate " VDI, "0", true },
	{ "vdi copy", { CREATE, DISK }, COPIED, "01", true },	/* half of it is hidden, and goes with a scan */
	{ "vdi list", { CREATE, DISK }, "vdi list", "0" },
	{ "vhd create", { CREATE }, VHD, "01" },
	{ "vhd snapshot", { CREATE, VHD }, SNAPSHOT, "01" },	/* 1: the copy exists */
	{ "vhd snapshot of raw", { CREATE, DISK }, SNAPSHOT " --force", "01" },
	{ "vhd clone of empty", { CREATE, VHD, SNAPSHOT, "vdi delete " COPY }, CLONE, "01" },
	{ "vhd copy", { CREATE, VHD, SNAPSHOT, "!leaf", "vdi delete " COPY }, COPIED, "01", true },
	{ "vhd resize", { CREATE, VHD }, "vdi resize " VDI " 8M", "0" },
	{ "vhd resize by journal", { CREATE, VHD }, "vdi resize " VDI " 64M", "0" },
	{ "vhd delete", { CREATE, VHD, SNAPSHOT }, "vdi delete " VDI, "04", true },
	{ "vhd delete last", { CREATE, VHD, SNAPSHOT, "vdi delete " COPY }, "vdi delete " VDI, "04", true },
	{ "vhd compose", { CREATE, VHD, CLONE, "!leaf", "!copy" }, COMPOSE, "0" },
	{ "vhd revert", { CREATE, VHD, SNAPSHOT, "!leaf" }, REVERT, "0", .turns = true },
	{ "vhd scan", { CREATE, VHD, SNAPSHOT }, "sr scan " SR, "0" },
	{ "image repair", { CREATE, VHD, "!damage" }, MEND, "0", true, MEND },
	{ "vhd tree", { CREATE, VHD, CLONE }, "vdi tree " SR, "0" },
	{ "vdi lock", { CREATE, DISK }, LOCK, "0", .turns = true },
	{ "vdi unlock", { CREATE, DISK, LOCK }, "vdi unlock " VDI " --owner x", "03", .turns = true },	/* 3: it is not locked */
	{ "lock break", { CREATE, DISK, LOCK }, "lock break " VDI " --force", "0", .turns = true },
	{ "lock renew", { CREATE, DISK, LOCK }, "lock renew " VDI " --owner x --lease 700", "0", .turns = true },
	{ "cbt enable", { CREATE, VHD }, TRACK, "0", .turns = true },
	{ "cbt disable", { CREATE, VHD, TRACK, "!mark" }, "cbt disable " VDI, "0", .turns = true },
	{ "cbt snapshot", { CREATE, VHD, TRACK, "!mark" }, SNAPSHOT, "01", .turns = true },
	{ "cbt data-destroy", { CREATE, VHD, TRACK, SNAPSHOT }, "cbt data-destroy " COPY, "0", true, .turns = true },
	{ "cbt revert", { CREATE, VHD, TRACK, SNAPSHOT, "!leaf" }, REVERT, "0", .turns = true },
};

#endif
