/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "lib/image.h"
#include "lib/vhd/vhd.h"

/* Is all of its file the disk, holes too? */
static bool is_plain(const struct image_level *l)
{
	return l->format == IMAGE_RAW || (l->vhd && l->vhd->footer.type == VHD_FIXED);
}

static bool goes_on(const struct image_span *a, const struct image_span *b)
{
	return a->level == b->level &&
	       (a->level == IMAGE_NOWHERE || a->offset + a->length == b->offset);
}

int image_spans(struct image *im, struct arena *a, size_t most, struct image_span **v, size_t *n)
{
	size_t room = 0;

	*v = NULL;
	*n = 0;
	for (uint64_t at = 0; at < im->size; ) {
		struct image_span s = { .start = at, .level = IMAGE_NOWHERE };
		struct image_run r;
		int err = image_map(im, at, 0, &r);

		if (err)
			return err;
		s.length = r.length;
		if (r.has_offset && (r.data || is_plain(&im->levels[r.depth]))) {
			s.level = r.depth;
			s.offset = r.offset;
		} else if (r.data) {
			return -EOPNOTSUPP;		/* compressed */
		}
		at += s.length;
		if (*n && goes_on(&(*v)[*n - 1], &s)) {
			(*v)[*n - 1].length += s.length;
			continue;
		}
		if (*n == most)
			return -E2BIG;
		if (*n == room) {
			room = room ? room * 2 : 64;
			*v = arena_grow(a, *v, *n, room, sizeof(**v));
		}
		(*v)[(*n)++] = s;
	}
	return 0;
}
