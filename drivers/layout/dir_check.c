/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sr check on a directory: what does not belong together, and how to mend it. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "drivers/layout.h"
#include "drivers/layout/dir.h"
#include "drivers/sr.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/file.h"

/* A record of a VDI that is not there: harmless, and ours to remove. */
static int check_records(struct sr *sr, bool repair, struct vdis *found)
{
	struct arena *a = &sr->ctx->arena;
	_close_ int records = -1;
	struct dirent *e;
	struct dir_seen seen = dir_begin(sr->ctx->watched);
	DIR *d;
	int err = dir_sub(sr, ".sm/vdi", &records);

	if (err)
		return err == -ENOENT ? 0 : fail(sr->ctx, err, "open .sm/vdi");
	d = dir_entries(records);
	if (!d)
		return fail(sr->ctx, -errno, "read .sm/vdi");
	while (!err && (e = dir_next(d, &seen))) {
		struct vdi vdi;
		struct uuid u;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (!uuid_parse(&u, e->d_name)) {
			err = dir_find(sr, &u, &vdi);
			fail_clear(sr->ctx);
			if (err != -E_VDI_MISSING || (WITH_LOGS && dir_has_log(sr, &u))) {
				err = 0;
				continue;
			}
			err = 0;
		}
		if (repair) {
			err = unlink_quiet(records, e->d_name);
			continue;
		}
		vdis_problem(a, found, &(struct problem){
			.object = arena_printf(a, ".sm/vdi/%s", e->d_name),
			.what = "a record of a VDI that does not exist",
			.severity = "warning",
			.repair = "remove the record",
		});
	}
	if (!err)
		err = -errno;
	closedir(d);
	return err ? fail(sr->ctx, err, "clear .sm/vdi") : 0;
}

static int check_marker(struct sr *sr, bool repair, struct vdis *found)
{
	struct sr_info info = { 0 };
	int err = layout_dir.probe(sr, &info);

	if (!err)
		return 0;
	fail_clear(sr->ctx);
	if (repair)
		return layout_dir.rename(sr, NULL, NULL);
	vdis_problem(&sr->ctx->arena, found, &(struct problem){
		.object = ".sm/sr",
		.what = err == -E_SR_MISSING ? "the directory does not say which SR it is" :
			"the record that says which SR this is cannot be read",
		.severity = "warning",
		.repair = "write it again",
	});
	return 0;
}

/* A journal of an image that is not there; a leaf that upstream never put in place. */
static int check_names(struct sr *sr, bool repair, struct vdis *found)
{
	struct arena *a = &sr->ctx->arena;
	_closedir_ DIR *d = dir_entries(sr->dir);
	struct dirent *e;
	struct dir_seen seen = dir_begin(sr->ctx->watched);
	int err = 0;

	while (!err && d && (e = dir_next(d, &seen))) {
		if (!dir_is_leftover(sr, e->d_name))
			continue;
		if (repair) {
			err = unlink_quiet(sr->dir, e->d_name);
			continue;
		}
		vdis_problem(a, found, &(struct problem){
			.object = arena_strdup(a, e->d_name),
			.what = "left by a snapshot or a resize that did not end",
			.severity = "warning", .repair = "remove it",
		});
	}
	if (!err)
		err = -errno;
	return err ? fail(sr->ctx, err, "clear the directory") : 0;
}

/* Only this program finds a parent by its id; others go by the name. */
static void check_parents(struct sr *sr, struct vdis *found)
{
	struct arena *a = &sr->ctx->arena;

	for (size_t i = 0; i < found->n; i++)
		if (found->v[i].parent_name)
			vdis_problem(a, found, &(struct problem){
				.object = arena_strdup(a, found->v[i].uuid.s),
				.what = arena_printf(a, "its image calls its parent '%.128s', as no "
						     "disk here is called", found->v[i].parent_name),
				.severity = "warning",
			});
}

int dir_check(struct sr *sr, bool repair, struct vdis *found)
{
	int err = check_marker(sr, repair, found);

	if (!err)
		err = check_records(sr, repair, found);
	if (WITH_TREES && !err) {
		check_parents(sr, found);
		err = check_names(sr, repair, found);
	}
	return err;
}
