/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/lvm2/backup.h"
#include "lib/lvm2/tree.h"
#include "lib/lvm2/vg.h"

/* Entry by entry, to the end of a section or of the text: a VG may be large. */
static int entries(struct buf *b, struct lvm_text *t, int depth, uint32_t *end_blanks)
{
	struct arena tmp = { 0 };
	struct lvm_node n;
	int more, err = 0;

	while (!err && (more = lvm_text_next(t, &n)) == 1) {
		uint32_t blanks;

		if (n.kind == LVM_SECTION) {
			n.blanks = depth ? n.blanks : 0;
			lvm_print_key(b, &n, depth);
			err = entries(b, t, depth + 1, &blanks);
			lvm_print_end(b, blanks, depth);
			continue;
		}
		/* Outside of the VG there is only the trailer, which is made anew. */
		err = lvm_text_body(t, &tmp, &n);
		if (!err && depth)
			lvm_print_at(b, &n, depth);
		arena_reset(&tmp);
	}
	arena_free(&tmp);
	*end_blanks = n.blanks;
	return err ? err : more;
}

int lvm_backup_print(struct buf *b, struct view text, const struct lvm_stamp *stamp)
{
	struct lvm_text t;
	uint32_t blanks;
	int err = lvm_text_open(&t, text);

	if (err)
		return err;
	lvm_stamp_print(b, stamp);
	return entries(b, &t, 0, &blanks);
}
