/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/vhd/footer.h"
#include "lib/vhd/journal.h"
#include "lib/vhd/open.h"
#include "lib/vhd/resize.h"

static const char cookie[8] = "vjournal";

/* --- writing ------------------------------------------------------------- */

void vhd_journal_start(struct vhd_journal *j, struct io *io, const uint8_t uuid[16],
		       uint64_t footer_at)
{
	*j = (struct vhd_journal){ .io = io, .at = sizeof(j->d) };
	memcpy(j->d.cookie, cookie, sizeof(cookie));
	memcpy(j->d.uuid, uuid, sizeof(j->d.uuid));
	j->d.footer_at = be64_put(footer_at);
	j->d.meta_at = j->d.data_at = be64_put(j->at);
}

static uint32_t entry_sum(const struct vhd_journal_entry *e, const uint8_t *p, uint32_t n)
{
	struct vhd_journal_entry c = *e;

	c.sum = be32_put(0);
	return ~(~vhd_sum(&c, sizeof(c)) + ~vhd_sum(p, n));
}

static be32 one_more(be32 n)
{
	return be32_put(be32_get(n) + 1);
}

int vhd_journal_add(struct vhd_journal *j, enum vhd_journal_type type, struct io *image,
		    uint64_t at, uint32_t len)
{
	struct vhd_journal_entry e = {
		.cookie = be64_put(VHD_JOURNAL_ENTRY), .type = be32_put(type),
		.len = be32_put(len), .at = be64_put(at),
	};
	uint8_t *p = must_alloc(len);
	int err = io_read(image, at, p, len);

	e.sum = be32_put(entry_sum(&e, p, len));
	if (!err)
		err = io_write(j->io, j->at, &e, sizeof(e));
	if (!err)
		err = io_write(j->io, j->at + sizeof(e), p, len);
	free(p);
	if (err)
		return err;
	j->at += sizeof(e) + len;
	if (type == JOURNAL_DATA) {
		j->d.n_data = one_more(j->d.n_data);
	} else {
		j->d.n_meta = one_more(j->d.n_meta);
		j->d.data_at = be64_put(j->at);
	}
	return 0;
}

int vhd_journal_commit(struct vhd_journal *j)
{
	int err = io_flush(j->io);

	j->d.end = le64_put(j->at);
	if (!err)
		err = io_write(j->io, 0, &j->d, sizeof(j->d));	/* commit: it can be undone */
	return err ? err : io_flush(j->io);
}

int vhd_journal_empty(struct io *io)
{
	struct vhd_journal_disk d;
	int err = io_read(io, 0, &d, sizeof(d));

	if (err)
		return err;
	d.n_data = d.n_meta = be32_put(0);
	err = io_write(io, 0, &d, sizeof(d));
	return err ? err : io_flush(io);
}

/* --- undoing ------------------------------------------------------------- */

struct undo {
	struct io *io, *journal;
	struct vhd_journal_disk d;
	uint64_t footer_at;
	uint8_t *p;			/* what follows the entry at hand */
};

/* An upper limit for what each kind of entry may carry. */
static uint32_t len_max(uint32_t type)
{
	switch (type) {
	case JOURNAL_PRIMARY:
	case JOURNAL_BACKUP:
	case JOURNAL_BATMAP_HEADER:
		return 512;
	case JOURNAL_HEADER:
		return 1024;
	case JOURNAL_LOCATOR:
		return 64 << 10;
	case JOURNAL_BATMAP:
		return 128 << 10;
	case JOURNAL_BAT:
		return 4 << 20;
	case JOURNAL_DATA:
		return VHD_BLOCK + 512;
	}
	return 0;
}

static int read_entry(struct undo *u, uint64_t *at, struct vhd_journal_entry *e)
{
	uint32_t len, type;
	uint64_t end;
	int err = io_read(u->journal, *at, e, sizeof(*e));

	if (err)
		return err == -E_SHORT ? -E_VHD_JOURNAL : err;
	len = be32_get(e->len);
	type = be32_get(e->type);
	if (be64_get(e->cookie) != VHD_JOURNAL_ENTRY || !len || len > len_max(type) ||
	    !add_ok(be64_get(e->at), len, &end) || end > u->footer_at + VHD_SECTOR)
		return -E_VHD_JOURNAL;
	if ((type == JOURNAL_PRIMARY || type == JOURNAL_BACKUP) && len != VHD_SECTOR)
		return -E_VHD_JOURNAL;
	err = io_read(u->journal, *at + sizeof(*e), u->p, len);
	if (err)
		return err == -E_SHORT ? -E_VHD_JOURNAL : err;
	/* Upstream checks data alone: what it sums up for the rest may be garbage. */
	if (type == JOURNAL_DATA && be32_get(e->sum) != entry_sum(e, u->p, len))
		return -E_VHD_JOURNAL;
	*at += sizeof(*e) + len;
	return 0;
}

typedef int entry_fn(struct undo *u, const struct vhd_journal_entry *e);

static int for_each_entry(struct undo *u, uint64_t at, uint32_t n, entry_fn *fn)
{
	struct vhd_journal_entry e;
	int err = 0;

	for (uint32_t i = 0; i < n && !err; i++) {
		err = read_entry(u, &at, &e);
		if (!err)
			err = fn(u, &e);
	}
	return err;
}

static int for_all(struct undo *u, entry_fn *fn)
{
	int err = for_each_entry(u, be64_get(u->d.meta_at), be32_get(u->d.n_meta), fn);

	return err ? err : for_each_entry(u, be64_get(u->d.data_at), be32_get(u->d.n_data), fn);
}

static int just_read(struct undo *u, const struct vhd_journal_entry *e)
{
	return 0;
}

static bool is_footer(const struct vhd_journal_entry *e)
{
	return be32_get(e->type) == JOURNAL_PRIMARY || be32_get(e->type) == JOURNAL_BACKUP;
}

static int write_back(struct undo *u, const struct vhd_journal_entry *e)
{
	return is_footer(e) ? 0 : io_write(u->io, be64_get(e->at), u->p, be32_get(e->len));
}

static int write_footer(struct undo *u, const struct vhd_journal_entry *e)
{
	if (!is_footer(e))
		return 0;
	vhd_footer_unpoison((struct vhd_footer_disk *)(void *)u->p);
	return io_write(u->io, be64_get(e->at), u->p, be32_get(e->len));
}

/* All was done but this. */
static int cure(struct io *io, uint64_t at)
{
	struct vhd_footer_disk d;
	int err = io_read(io, at, &d, sizeof(d));

	if (err || !vhd_footer_unpoison(&d))
		return err;
	err = io_write(io, at, &d, sizeof(d));
	return err ? err : io_flush(io);
}

/* A journal that outlived its resize must not take anything back. */
static int is_poisoned(struct io *io, uint64_t at)
{
	struct vhd_footer_disk d;
	int err = io_read(io, at, &d, sizeof(d));

	return err ? err : vhd_footer_unpoison(&d);
}

/* Is this the image that the journal is about? Its footers may be poisoned. */
static int check_image(struct undo *u)
{
	struct vhd_footer_disk d;
	int err = io_read(u->io, 0, &d, sizeof(d));

	if (err)
		return err;
	return memcmp(d.uuid, u->d.uuid, sizeof(d.uuid)) ? -E_VHD_JOURNAL : 0;
}

static int read_header(struct undo *u)
{
	int err = io_read(u->journal, 0, &u->d, sizeof(u->d));

	if (err)
		return err == -E_SHORT ? -E_VHD_JOURNAL : err;
	u->footer_at = be64_get(u->d.footer_at);
	if (memcmp(u->d.cookie, cookie, sizeof(cookie)) || u->footer_at % VHD_SECTOR ||
	    !range_ok(u->footer_at, VHD_SECTOR, u->io->size) ||
	    be32_get(u->d.n_meta) > VHD_JOURNAL_MAX || be32_get(u->d.n_data) > VHD_JOURNAL_MAX)
		return -E_VHD_JOURNAL;
	return check_image(u);
}

/* Everything but the footers, the old end, and last the footers, which make it valid. */
static int undo_all(struct undo *u)
{
	int err = for_all(u, just_read);

	if (!err)
		err = for_all(u, write_back);
	if (!err)
		err = io_flush(u->io);
	if (!err && !vhd_io_is_fixed(u->io))
		err = io_resize(u->io, u->footer_at + VHD_SECTOR);
	if (!err)
		err = for_all(u, write_footer);			/* commit */
	if (!err)
		err = io_flush(u->io);
	return err ? err : vhd_journal_empty(u->journal);
}

int vhd_revert(struct io *io, struct io *journal)
{
	struct undo u = { .io = io, .journal = journal };
	int err, either;

	if (io->size < 1024)
		return -E_VHD_JOURNAL;
	err = read_header(&u);
	if (err)
		return err;
	either = is_poisoned(io, 0);
	if (!either)
		either = is_poisoned(io, io->size - VHD_SECTOR);
	if (either <= 0)
		return either;
	if (!be32_get(u.d.n_meta) && !be32_get(u.d.n_data)) {
		err = cure(io, 0);
		return err ? err : cure(io, io->size - VHD_SECTOR);
	}
	u.p = must_alloc(4 << 20);
	err = undo_all(&u);
	free(u.p);
	return err;
}
