/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/err.h"
#include "lib/vhd/locator.h"
#include "lib/vhd/open.h"
#include "lib/vhd/parent.h"

bool vhd_is_own_parent(const struct vhd *v, const uint8_t parent_uuid[16])
{
	return !is_zero(parent_uuid, 16) && !memcmp(parent_uuid, v->footer.uuid, 16);
}

int vhd_parent_path(const struct vhd *v, int i, char path[VHD_PATH_MAX])
{
	const struct vhd_locator *l = &v->header.locators[i];
	uint8_t text[VHD_TEXT_MAX];
	int err;

	if (!vhd_locator_is_usable(v, l) || l->len > sizeof(text))
		return -E_VHD_PARENT_NAME;
	err = io_read(v->io, l->at, text, l->len);
	return err ? err : vhd_locator_path(l->code, text, l->len, path);
}

int vhd_parent(const struct vhd *v, struct arena *a, struct vhd_parent *p)
{
	char path[VHD_PATH_MAX], name[VHD_NAME_MAX];

	*p = (struct vhd_parent){
		.raw = is_zero(v->header.parent_uuid, sizeof(v->header.parent_uuid)),
	};
	memcpy(p->uuid, v->header.parent_uuid, sizeof(p->uuid));
	for (int i = 0; i < VHD_LOCATORS; i++) {
		int err = vhd_parent_path(v, i, path);

		if (!err)
			p->paths[p->n++] = arena_strdup(a, path);
		else if (err != -E_VHD_PARENT_NAME)
			return err;
	}
	if (!vhd_header_name(&v->header, name) && name[0])
		p->paths[p->n++] = arena_strdup(a, name);
	return p->n ? 0 : -E_VHD_PARENT_NAME;
}
