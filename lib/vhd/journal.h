/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Upstream's undo journal of a resize, as it lies on disk. */
#ifndef LIB_VHD_JOURNAL_H
#define LIB_VHD_JOURNAL_H

#include <assert.h>

#include "lib/bytes.h"
#include "lib/io.h"

#define VHD_JOURNAL_ENTRY	0xaaaa12344321aaaaull
#define VHD_JOURNAL_MAX		65536u		/* entries of either kind */

struct vhd_journal_disk {
	char	cookie[8];	/* "vjournal" */
	uint8_t	uuid[16];	/* of the image */
	be64	footer_at;	/* of the primary footer before the change */
	be32	n_data;
	be32	n_meta;
	be64	data_at;	/* of the first data entry in the journal */
	be64	meta_at;
	le64	end;		/* the one field upstream does not swap */
	uint8_t	pad[448];
};
static_assert(sizeof(struct vhd_journal_disk) == 512, "a VHD journal header is one sector");

struct vhd_journal_entry {
	be64	cookie;
	be32	type;
	be32	len;		/* of what follows */
	be64	at;		/* in the image */
	be32	sum;		/* of this, with 0 here, and what follows */
	uint8_t	pad[4];
};
static_assert(sizeof(struct vhd_journal_entry) == 32, "a VHD journal entry is 32 bytes");

enum vhd_journal_type {
	JOURNAL_PRIMARY = 1, JOURNAL_BACKUP, JOURNAL_HEADER, JOURNAL_LOCATOR,
	JOURNAL_BAT, JOURNAL_BATMAP_HEADER, JOURNAL_BATMAP, JOURNAL_DATA,
};

/* A journal as it is written: metadata entries first, then data. */
struct vhd_journal {
	struct io *io;
	uint64_t at;		/* where the next entry goes */
	struct vhd_journal_disk d;
};

void vhd_journal_start(struct vhd_journal *j, struct io *io, const uint8_t uuid[16],
		       uint64_t footer_at);
/* Copy len bytes at `at` of the image into the journal. */
int vhd_journal_add(struct vhd_journal *j, enum vhd_journal_type type, struct io *image,
		    uint64_t at, uint32_t len);
/* Flush the entries, then write the header that makes them count, and flush. */
int vhd_journal_commit(struct vhd_journal *j);
/* Nothing is to be undone any more. */
int vhd_journal_empty(struct io *io);

#endif
