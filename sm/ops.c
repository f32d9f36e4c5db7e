/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/bytes.h"
#include "lib/kconfig.h"
#include "sm/ops.h"

#define SR_OPEN		(NEEDS_SR | NEEDS_OPEN)
#if IS_ENABLED(CONFIG_CHECK_BACKUP)
#define BACKUP_USAGE	" [--backup=DIR]"
#define UNDO_USAGE	BACKUP_USAGE " [--undo=DIR] [--force]"
#define KEEPS
#else
#define BACKUP_USAGE
#define UNDO_USAGE
#define KEEPS		", and keeps nothing"
#endif
#if IS_ENABLED(CONFIG_STORAGE_LOCKS)
#define ATTACH_USAGE	"VDI [--sr=SR] [--read-only] [--shared]"
#define LOCK_USAGE	"VDI --owner=TEXT [--lease=SECONDS] [--sr=SR] [--force]"
#else
#define LOCK_USAGE	"VDI --owner=TEXT [--sr=SR] [--force]"
#define ATTACH_USAGE	"VDI [--sr=SR] [--read-only]"
#endif
#define VDI		(NEEDS_SR | NEEDS_VDI | NEEDS_OPEN)

const struct op_row ops[] = {
	/* --- storage repositories --- */
	{ OP_SR_CREATE, NEEDS_TYPE | CHANGES | LOCKS_SR,
	  "sr", "create", "NAME --type=TYPE [--dconf=KEY=VALUE…] [--uuid=UUID] [--description=TEXT] [--force]",
	  "sr_create", "SR",
	  "Make a new SR on empty storage, remember it in smtab and attach it",
	  "sm sr create disks --type file --dconf location=/srv/disks" },
	{ OP_SR_INTRODUCE, NEEDS_TYPE | CHANGES | LOCKS_SR,
	  "sr", "introduce", "UUID --type=TYPE [--dconf=KEY=VALUE…] [--name=NAME]",
	  NULL, NULL,
	  "Remember an SR that exists already and attach it",
	  "sm sr introduce 6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11 --type file --dconf location=/srv/disks" },
	{ OP_SR_PROBE, NEEDS_TYPE,
	  "sr", "probe", "[TARGET] [--type=TYPE] [--dconf=KEY=VALUE…]",
	  "sr_probe", NULL,
	  "Which SRs are on this storage, and how to attach them",
	  "sm sr probe /srv/disks" },
	{ OP_SR_LIST, INSPECTS,
	  "sr", "list", "", NULL, NULL,
	  "The SRs of smtab, attached or not",
	  "sm sr list --json" },
	{ OP_SR_SHOW, NEEDS_SR | INSPECTS,
	  "sr", "show", "SR", "sr_get_params", "SR",
	  "One SR: sizes, dconf, health",
	  "sm sr show disks" },
	{ OP_SR_ATTACH, NEEDS_SR | CHANGES | LOCKS_SR,
	  "sr", "attach", "SR", "sr_attach", "SR",
	  "Make the SR's storage reachable on this host",
	  "sm sr attach disks" },
	{ OP_SR_DETACH, NEEDS_SR | CHANGES | LOCKS_SR,
	  "sr", "detach", "SR", "sr_detach", "SR",
	  "Let go of the storage; refused while a VDI is attached",
	  "sm sr detach disks" },
	{ OP_SR_SCAN, SR_OPEN | CHANGES | LOCKS_SR,
	  "sr", "scan", "SR", "sr_scan", NULL,
	  "Look at every VDI again and finish what was left half done",
	  "sm sr scan disks" },
	{ OP_SR_CHECK, SR_OPEN | CHANGES | LOCKS_SR,
	  "sr", "check", "SR [--repair]" UNDO_USAGE, NULL, NULL,
	  "Explain what is wrong with an SR; --repair mends what can be mended" KEEPS,
	  "sm sr check disks" },
	{ OP_SR_RENAME, SR_OPEN | CHANGES | LOCKS_SR,
	  "sr", "rename", "SR NAME [--description=TEXT]", NULL, NULL,
	  "Give an SR another name",
	  "sm sr rename disks old-disks" },
	{ OP_SR_FORGET, NEEDS_SR | CHANGES | LOCKS_SR,
	  "sr", "forget", "SR", NULL, NULL,
	  "Detach an SR and remove it from smtab; its data stays",
	  "sm sr forget disks" },
	{ OP_SR_DESTROY, NEEDS_SR | CHANGES | LOCKS_SR,
	  "sr", "destroy", "SR", "sr_delete", "SR",
	  "Remove an SR that holds no VDI from its storage and from smtab",
	  "sm sr destroy disks" },

	/* --- virtual disks --- */
	{ OP_VDI_CREATE, SR_OPEN | CHANGES | LOCKS_SR,
	  "vdi", "create",
	  "NAME --sr=SR --size=SIZE [--format=FORMAT] [--description=TEXT] [--uuid=UUID] "
	  "[--sm-config=KEY=VALUE…]",
	  "vdi_create", "SR NEWVDI MB",
	  "Make an empty disk",
	  "sm vdi create root --sr disks --size 20G" },
	{ OP_VDI_LIST, INSPECTS,
	  "vdi", "list", "[--sr=SR]", NULL, NULL,
	  "The disks of one SR, or of all that are attached",
	  "sm vdi list --sr disks" },
	{ OP_VDI_SHOW, VDI | INSPECTS,
	  "vdi", "show", "VDI [--sr=SR]", "vdi_get_params", "SR VDI",
	  "One disk: sizes, format, where it is attached",
	  "sm vdi show root" },
	{ OP_VDI_ATTACH, VDI | CHANGES | LOCKS_SR | LOCKS_VDI,
	  "vdi", "attach", ATTACH_USAGE, "vdi_attach", "SR VDI",
	  "Give a disk a block device on this host, and print it",
	  "sm vdi attach root" },
	{ OP_VDI_DETACH, VDI | CHANGES | LOCKS_SR | LOCKS_VDI,
	  "vdi", "detach", "VDI [--sr=SR]", "vdi_detach", "SR VDI",
	  "Take the block device away; refused while it is open",
	  "sm vdi detach root" },
#if IS_ENABLED(CONFIG_DATAPATH_SOCKET)
	{ OP_VDI_SERVE, VDI | CHANGES | LOCKS_SR | LOCKS_VDI,
	  "vdi", "serve", "VDI --socket=PATH [--sr=SR] [--read-only]", NULL, NULL,
	  "Give a disk to NBD clients on a Unix socket, until a signal ends it",
	  "sm vdi serve root --socket /run/root.sock" },
#endif
	{ OP_VDI_ACTIVATE, VDI | CHANGES | LOCKS_SR | LOCKS_VDI,
	  "vdi", "activate", ATTACH_USAGE, "vdi_activate", NULL,
	  "Start the datapath of an attached disk (attach does it too)",
	  "sm vdi activate root" },
	{ OP_VDI_DEACTIVATE, VDI | CHANGES | LOCKS_SR | LOCKS_VDI,
	  "vdi", "deactivate", "VDI [--sr=SR]", "vdi_deactivate", NULL,
	  "Stop the datapath and leave the disk attached",
	  "sm vdi deactivate root" },
	{ OP_VDI_RESIZE, VDI | CHANGES | LOCKS_SR | LOCKS_VDI,
	  "vdi", "resize", "VDI SIZE [--sr=SR]", "vdi_resize", "SR VDI MB",
	  "Grow a disk, also while it is attached; disks never shrink",
	  "sm vdi resize root 40G" },
	{ OP_VDI_RENAME, VDI | CHANGES | LOCKS_SR,
	  "vdi", "rename", "VDI NAME [--sr=SR] [--description=TEXT]", NULL, NULL,
	  "Give a disk another name",
	  "sm vdi rename root old-root" },
	{ OP_VDI_DELETE, VDI | CHANGES | LOCKS_SR | LOCKS_VDI,
	  "vdi", "delete", "VDI [--sr=SR] [--force]", "vdi_delete", "SR VDI",
	  "Delete a disk and its data; refused while it is attached",
	  "sm vdi delete root" },
#if IS_ENABLED(CONFIG_SNAPSHOTS)
	{ OP_VDI_SNAPSHOT, VDI | CHANGES | LOCKS_SR | LOCKS_VDI,
	  "vdi", "snapshot", "VDI [NAME] [--sr=SR] [--description=TEXT] [--uuid=UUID] [--force]",
	  "vdi_snapshot", "SR VDI NEWVDI",
	  "Keep the disk as it is now",
	  "sm vdi snapshot root before-upgrade" },
	{ OP_VDI_CLONE, VDI | CHANGES | LOCKS_SR | LOCKS_VDI,
	  "vdi", "clone", "VDI [NAME] [--sr=SR] [--description=TEXT] [--uuid=UUID] [--force]",
	  "vdi_clone", "SR VDI NEWVDI",
	  "A writable copy that shares what has not changed",
	  "sm vdi clone golden web1" },
#endif
#if IS_ENABLED(CONFIG_VDI_COPY)
	{ OP_VDI_COPY, CHANGES,
	  "vdi", "copy", "VDI [NAME] [--sr=SR] [--format=FORMAT] [--description=TEXT] [--uuid=UUID]",
	  NULL, NULL,
	  "A disk of its own with the same data, in SR or beside the first",
	  "sm vdi copy root root-moved --sr other" },
#endif
#if IS_ENABLED(CONFIG_SNAPSHOTS)
	{ OP_VDI_TREE, INSPECTS,
	  "vdi", "tree", "[SR]", NULL, NULL,
	  "Which disks stand on which, hidden ones too",
	  "sm vdi tree disks" },
#endif
	{ OP_VDI_LOCK, VDI | CHANGES | LOCKS_SR,
	  "vdi", "lock", LOCK_USAGE, "vdi_lock", "SR VDI FORCE OWNER",
	  "Mark a disk as used by somebody; --force steals the mark",
	  "sm vdi lock root --owner host1:dom3" },
	{ OP_VDI_UNLOCK, VDI | CHANGES | LOCKS_SR,
	  "vdi", "unlock", "VDI --owner=TEXT [--sr=SR] [--force]", "vdi_unlock", "SR VDI FORCE OWNER",
	  "Take the mark away",
	  "sm vdi unlock root --owner host1:dom3" },
#if IS_ENABLED(CONFIG_STORAGE_LOCKS)

	/* --- locks that live with the storage --- */
	{ OP_LOCK_LIST, 0,	/* how old a lease is shows only what is written beside it */
	  "lock", "list", "[SR]", NULL, NULL,
	  "Which disks are locked, by whom, and whether that one is still there",
	  "sm lock list disks" },
	{ OP_LOCK_SHOW, VDI,
	  "lock", "show", "VDI [--sr=SR]", NULL, NULL,
	  "Who holds the lock of a disk",
	  "sm lock show root" },
	{ OP_LOCK_BREAK, VDI | CHANGES | LOCKS_SR,
	  "lock", "break", "VDI [--sr=SR] [--force]", NULL, NULL,
	  "Take the lock from a holder that is proven dead; with --force from any",
	  "sm lock break root" },
	{ OP_LOCK_RENEW, VDI | CHANGES | LOCKS_SR,
	  "lock", "renew", "VDI --owner=TEXT [--lease=SECONDS] [--sr=SR]", NULL, NULL,
	  "Say that the owner of a lock is still there",
	  "sm lock renew root --owner host1:dom3" },
#endif
#if IS_ENABLED(CONFIG_CBT)

	/* --- which blocks have changed --- */
	{ OP_VDI_ENABLE_CBT, VDI | CHANGES | LOCKS_SR | LOCKS_VDI,
	  "cbt", "enable", "VDI [--sr=SR]", "vdi_enable_cbt", "SR VDI",
	  "Track which blocks of a disk change, from now on",
	  "sm cbt enable root" },
	{ OP_VDI_DISABLE_CBT, VDI | CHANGES | LOCKS_SR | LOCKS_VDI,
	  "cbt", "disable", "VDI [--sr=SR]", "vdi_disable_cbt", "SR VDI",
	  "Track them no more, and forget what is known",
	  "sm cbt disable root" },
	{ OP_CBT_SHOW, VDI,
	  "cbt", "show", "VDI [--sr=SR]", NULL, NULL,
	  "What has changed since the last snapshot, and what the log is next to",
	  "sm cbt show root" },
	{ OP_VDI_LIST_CHANGED_BLOCKS, VDI,
	  "cbt", "changed", "VDI TO [--sr=SR]", "vdi_list_changed_blocks", "SR VDI TO",
	  "Which blocks differ between an older snapshot and a newer one, or the disk",
	  "sm cbt changed root-monday root-tuesday --json" },
	{ OP_VDI_DATA_DESTROY, VDI | CHANGES | LOCKS_SR | LOCKS_VDI,
	  "cbt", "data-destroy", "VDI [--sr=SR]", "vdi_data_destroy", "SR VDI",
	  "Delete the data of a snapshot and keep its log of changed blocks",
	  "sm cbt data-destroy root-monday" },
	{ OP_CBT_CHECK, SR_OPEN | CHANGES | LOCKS_SR,
	  "cbt", "check", "SR [--repair]" BACKUP_USAGE, NULL, NULL,
	  "What is wrong with the logs of an SR; --repair mends what can be mended",
	  "sm cbt check disks" },
#endif
#if IS_ENABLED(CONFIG_CLI_IMAGE)

	/* --- images without an SR --- */
	{ OP_IMAGE_INFO, INSPECTS,
	  "image", "info", "PATH [-f=FMT] [--any-parent]", NULL, NULL,
	  "What an image is: format, sizes, parent, what is wrong with it",
	  "sm image info root.vhd" },
	{ OP_IMAGE_CHECK, INSPECTS,
	  "image", "check", "PATH [-f=FMT] [--any-parent]", NULL, NULL,
	  "Look for everything that is wrong with an image and its parents",
	  "sm image check root.vhd" },
	{ OP_IMAGE_REPAIR, CHANGES,
	  "image", "repair", "PATH [-f=FMT] [--backup=FILE] [--journal=FILE]", NULL, NULL,
	  "Mend footers, batmap and an interrupted resize; what is overwritten is kept",
	  "sm image repair root.vhd" },
	{ OP_IMAGE_MAP, INSPECTS,
	  "image", "map", "PATH [-f=FMT] [--any-parent]", NULL, NULL,
	  "Which bytes of the disk are where",
	  "sm image map root.vhd --json" },
	{ OP_IMAGE_CONVERT, CHANGES,
	  "image", "convert", "SRC DST [-f=FMT] [-O=FMT] [--uuid=UUID] [--any-parent] [--force]",
	  NULL, NULL,
	  "Copy a disk, with all its image stands on, into one image of another format",
	  "sm image convert disk.qcow2 disk.vhd" },
	{ OP_IMAGE_CREATE, CHANGES,
	  "image", "create", "PATH --size=SIZE [-f=FMT] [--uuid=UUID]", NULL, NULL,
	  "Make an empty image",
	  "sm image create root.vhd --size 20G" },
	{ OP_IMAGE_SNAPSHOT, CHANGES,
	  "image", "snapshot", "PARENT CHILD [-f=FMT] [--uuid=UUID]", NULL, NULL,
	  "Make an empty image that stands on another; write to that one no more",
	  "sm image snapshot root.vhd root-new.vhd" },
	{ OP_IMAGE_RESIZE, CHANGES,
	  "image", "resize", "PATH SIZE [-f=FMT] [--journal=FILE]", NULL, NULL,
	  "Grow an image; images never shrink",
	  "sm image resize root.vhd 40G" },
	{ OP_IMAGE_COALESCE, CHANGES,
	  "image", "coalesce", "PATH [-f=FMT] [--force]", NULL, NULL,
	  "Merge the data of an image into its parent, on which nothing else may stand",
	  "sm image coalesce root-new.vhd" },
#endif
#if IS_ENABLED(CONFIG_GC)

	/* --- what snapshots leave --- */
	{ OP_GC_RUN, CHANGES,
	  "gc", "run", "[SR] [VDI] [--rate=SIZE]", NULL, NULL,
	  "Delete and merge hidden images that are not needed any more",
	  "sm gc run disks" },
	{ OP_GC_PLAN, INSPECTS,
	  "gc", "plan", "[SR] [VDI]", NULL, NULL,
	  "What would be deleted and merged, in which order, what it takes, and why not",
	  "sm gc plan disks" },
	{ OP_GC_STATUS, INSPECTS,
	  "gc", "status", "[SR]", NULL, NULL,
	  "How far a collector is that runs by itself or was started by somebody",
	  "sm gc status disks" },
	{ OP_GC_STOP, NEEDS_SR | CHANGES,
	  "gc", "stop", "SR", NULL, NULL,
	  "Let the collector of an SR end; what it has done stays",
	  "sm gc stop disks" },
#endif
#if IS_ENABLED(CONFIG_CLI_VG)
	/* --- LVM metadata, without an SR --- */
	{ OP_VG_SHOW, INSPECTS,
	  "vg", "show", "PATH…", NULL, NULL,
	  "The volume groups on devices or in files: PVs, LVs, extents",
	  "sm vg show /dev/sdb /dev/sdc" },
	{ OP_VG_CHECK, INSPECTS,
	  "vg", "check", "PATH…", NULL, NULL,
	  "Read every copy of the metadata and say what is wrong",
	  "sm vg check /dev/sdb" },
	{ OP_VG_HISTORY, INSPECTS,
	  "vg", "history", "PATH… [--vg=VG] [--seqno=N]", NULL, NULL,
	  "Older metadata that is still there; with --seqno the text itself",
	  "sm vg history /dev/sdb" },
	{ OP_VG_BACKUP, 0,
	  "vg", "backup", "PATH… [--vg=VG] [--seqno=N] [--to=FILE]", NULL, NULL,
	  "Print the metadata, or save it, as vgcfgbackup of LVM2 does",
	  "sm vg backup /dev/sdb --to /root/vg0.backup" },
	{ OP_VG_RESTORE, CHANGES,
	  "vg", "restore", "PATH… [--seqno=N] [--from=FILE] [--vg=VG] [--pv=UUID=PATH…] [--force]", NULL, NULL,
	  "Write older metadata, or a backup, back to all devices of a VG",
	  "sm vg restore /dev/sdb /dev/sdc --seqno 41 --dry-run" },
#endif
#if IS_ENABLED(CONFIG_FRONT_SMAPI1) || IS_ENABLED(CONFIG_FRONT_SRAPI1)
	/* --- only machines call these --- */
	{ OP_SR_UPDATE, SR_OPEN,
	  NULL, NULL, NULL, "sr_update", NULL, "Read the sizes of the SR again", NULL },
	{ OP_SR_CONTENT_TYPE, NEEDS_TYPE,
	  NULL, NULL, NULL, "sr_content_type", NULL, "What kind of images the SR keeps", NULL },
	{ OP_SR_DRIVER_INFO, 0,
	  NULL, NULL, NULL, "sr_get_driver_info", NULL, "What the driver is and can do", NULL },
	{ OP_VDI_UPDATE, VDI | CHANGES | LOCKS_SR,
	  NULL, NULL, NULL, "vdi_update", NULL, "Take over the names that xapi keeps", NULL },
	{ OP_VDI_INTRODUCE, SR_OPEN | CHANGES | LOCKS_SR,
	  NULL, NULL, NULL, "vdi_introduce", NULL, "Make a VDI of something that lies there", NULL },
	{ OP_VDI_FORGET, VDI,
	  NULL, NULL, NULL, "vdi_forget", NULL, "Leave a VDI that lies there to nobody", NULL },
	{ OP_VDI_COMPOSE, VDI | CHANGES | LOCKS_SR,
	  NULL, NULL, NULL, "vdi_compose", NULL, "Layer one VDI on top of another", NULL },
	{ OP_VDI_GENERATE_CONFIG, VDI,
	  NULL, NULL, NULL, "vdi_generate_config", NULL, "A document for static attach", NULL },
	{ OP_VDI_ATTACH_FROM_CONFIG, NEEDS_SR | NEEDS_VDI | CHANGES | LOCKS_SR,
	  NULL, NULL, NULL, "vdi_attach_from_config", NULL, "Static attach, before xapi is up", NULL },
	{ OP_VDI_DETACH_FROM_CONFIG, VDI | CHANGES | LOCKS_SR | LOCKS_VDI,
	  NULL, NULL, NULL, "vdi_detach_from_config", NULL, "Undo a static attach", NULL },
	{ OP_VDI_EPOCH_BEGIN, VDI,
	  NULL, NULL, NULL, "vdi_epoch_begin", NULL, "A VM starts: reset on boot", NULL },
	{ OP_VDI_EPOCH_END, VDI,
	  NULL, NULL, NULL, "vdi_epoch_end", NULL, "A VM has ended", NULL },
#if !IS_ENABLED(CONFIG_CBT)
	{ OP_VDI_ENABLE_CBT, VDI | CHANGES | LOCKS_SR,
	  NULL, NULL, NULL, "vdi_enable_cbt", NULL, "Start to track changed blocks", NULL },
	{ OP_VDI_DISABLE_CBT, VDI | CHANGES | LOCKS_SR,
	  NULL, NULL, NULL, "vdi_disable_cbt", NULL, "Stop to track changed blocks", NULL },
	{ OP_VDI_DATA_DESTROY, VDI | CHANGES | LOCKS_SR,
	  NULL, NULL, NULL, "vdi_data_destroy", NULL, "Delete the data, keep the change log", NULL },
	{ OP_VDI_LIST_CHANGED_BLOCKS, VDI,
	  NULL, NULL, NULL, "vdi_list_changed_blocks", NULL, "What changed between two VDIs", NULL },
#endif
	{ OP_VDI_REVERT, VDI | CHANGES | LOCKS_SR,
	  NULL, NULL, NULL, "vdi_revert", NULL, "Give a disk the contents of its snapshot", NULL },
#endif
};

const size_t n_ops = ARRAY_SIZE(ops);

const struct op_row *op_row(enum op op)
{
	for (size_t i = 0; i < n_ops; i++)
		if (ops[i].op == op)
			return &ops[i];
	return NULL;
}

const struct op_row *op_by_verb(const char *object, const char *verb)
{
	for (size_t i = 0; i < n_ops; i++)
		if (ops[i].object && !strcmp(ops[i].object, object) && !strcmp(ops[i].verb, verb))
			return &ops[i];
	return NULL;
}

const struct op_row *op_by_api(const char *name)
{
	for (size_t i = 0; i < n_ops; i++)
		if (ops[i].api && !strcmp(ops[i].api, name))
			return &ops[i];
	return NULL;
}

/* --- usage strings --------------------------------------------------------- */

static size_t copy_word(char *to, size_t room, const char *from)
{
	size_t n = strcspn(from, "= ]");
	size_t keep = n < room - 1 ? n : room - 1;

	memcpy(to, from, keep);
	to[keep] = '\0';
	return n;
}

bool usage_next(const char **at, struct usage_word *w)
{
	const char *p = *at + strspn(*at, " ");
	size_t n;

	if (!*p)
		return false;
	*w = (struct usage_word){ .optional = *p == '[' };
	p += w->optional;
	p += copy_word(w->word, sizeof(w->word), p);
	n = strlen(w->word);
	if (n > 3 && !memcmp(w->word + n - 3, "…", 3)) {
		w->word[n - 3] = '\0';
		w->many = true;
	}
	if (*p == '=') {
		/* KEY=VALUE… keeps its own equals sign. */
		n = strcspn(++p, " ]");
		if (n >= sizeof(w->value))
			n = sizeof(w->value) - 1;
		memcpy(w->value, p, n);
		p += strcspn(p, " ]");
		if (n > 3 && !memcmp(w->value + n - 3, "…", 3)) {
			w->value[n - 3] = '\0';
			w->many = true;
		}
	}
	*at = p + (*p == ']');
	return true;
}
