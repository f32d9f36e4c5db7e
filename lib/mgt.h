/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The MGT volume of an LVM SR: names and descriptions, as upstream keeps them.
 *
 *	     0  512  "XSSM:" used length in decimal, 10 characters, ":1:2"
 *	   512  512  <?xml version="1.0" ?><uuid>SR</uuid><allocation>thick</allocation>
 *	  1024  512  <name_label>…</name_label>
 *	  1536  512  <name_description>…</name_description>
 *	  2048 1024  one record a VDI: <vdi><name_label>… in the first sector,
 *	             the other elements and </vdi> in the second
 *
 * Sectors are filled with blanks.  A deleted record stays where it is and is
 * used again.  This is bytes and text only; who reads and writes the volume is
 * drivers/layout/lvm_mgt.c.
 */
#ifndef LIB_MGT_H
#define LIB_MGT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/kv.h"
#include "lib/uuid.h"

#define MGT_SIZE	((uint64_t)4 << 20)
#define MGT_HEAD	((size_t)2048)
#define MGT_RECORD	((size_t)1024)
#define MGT_RECORDS	((size_t)4094)

struct mgt_sr {
	struct uuid uuid;
	const char *allocation;		/* "thick" or "thin" */
	const char *name, *description;
	size_t used;			/* bytes from the start to the end of the last record */
};

struct mgt_vdi {
	struct uuid uuid;
	const char *name, *description;
	const char *type;		/* "user", "metadata" … */
	const char *vdi_type;		/* "vhd", "aio" */
	struct uuid snapshot_of;
	bool is_a_snapshot, read_only, managed, deleted;
	struct kvs other;		/* elements we do not act on, kept as they are */
};

/*
 * The head: MGT_HEAD bytes.  -E_DAMAGED for another header, or an empty one; what
 * can be read of the other three sectors is in sr all the same.
 */
int mgt_head_decode(struct arena *a, const void *head, struct mgt_sr *sr);
void mgt_head_encode(struct arena *a, const struct mgt_sr *sr, void *head);

/*
 * One record: MGT_RECORD bytes.  -E_DAMAGED when it is not one; the others may be
 * good all the same.
 */
int mgt_vdi_decode(struct arena *a, const void *record, struct mgt_vdi *vdi);
/* Names too long for the sector are cut between characters, before escaping. */
void mgt_vdi_encode(struct arena *a, const struct mgt_vdi *vdi, void *record);

#endif
