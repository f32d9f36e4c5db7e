/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Everything that can be said against an image, as a list; and mending it.
 *
 *	struct arena a = { 0 };
 *	struct vhd_findings f = { .arena = &a };
 *
 *	err = vhd_check(io, 0, now, &f);
 *	for (size_t i = 0; i < f.n; i++)
 *		puts(f.v[i].what);
 *
 * vhd_check() returns an error only when io cannot be read; an image that
 * cannot be opened is one finding more.  One image is checked: that the
 * parents exist and fit is what opening the chain shows.
 */
#ifndef LIB_VHD_CHECK_H
#define LIB_VHD_CHECK_H

#include "lib/arena.h"
#include "lib/vhd/vhd.h"

enum vhd_severity {
	VHD_NOTE,		/* unusual, and harmless */
	VHD_WARNING,		/* wrong, but no data is lost and repair knows what to do */
	VHD_DAMAGE,		/* data is lost or cannot be believed */
};

struct vhd_finding {
	enum vhd_severity severity;
	bool mendable;		/* vhd_repair() deals with it */
	const char *what;
};

struct vhd_findings {
	struct arena *arena;
	struct vhd_finding *v;
	size_t n, room;
	size_t dropped;		/* beyond the first thousand */
	enum vhd_severity worst;
};

enum vhd_check_flags {
	VHD_CHECK_BITMAPS = 1 << 0,	/* read every bitmap and compare it with the batmap */
};

/* now: seconds since 2000, for time stamps of the future; 0 not to ask. */
int vhd_check(struct io *io, int flags, uint32_t now, struct vhd_findings *f);
const char *vhd_severity_name(enum vhd_severity s);	/* "note", "warning", "damage" */

/*
 * Write both footers from the one that counts, a null id replaced by uuid when
 * that is given; rebuild a damaged batmap from the bitmaps; cut a file behind
 * its data.  The data is not touched.  An image whose BAT is damaged is
 * -E_VHD_ENTRY; nothing to mend is success.
 */
int vhd_repair(struct io *io, const uint8_t *uuid);

/*
 * vhd_open() to write, where vhd_write_footers() may have died between the two:
 * a copy that is just what we would make of the footer that counts, with
 * another size or mark, gets its words again.  Copies unlike it in any other
 * way are a stranger's, and -E_VHD_FOOTERS as ever.
 */
int vhd_open_settled(struct vhd **v, struct io *io);

#endif
