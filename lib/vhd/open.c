/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/kconfig.h"
#include "lib/vhd/bat.h"
#include "lib/vhd/batmap.h"
#include "lib/vhd/gaps.h"
#include "lib/vhd/open.h"

#define SPACE_MAX	((uint32_t)64 << 10)	/* of a parent's name, by whatever locator */

bool vhd_io_is_fixed(const struct io *io)
{
	struct stat st;

	if (!io->ops->resize)
		return true;
	return io->fd >= 0 && !fstat(io->fd, &st) && !S_ISREG(st.st_mode);
}

int vhd_peek(struct vhd_footer *f, struct vhd_header *h, const void *head, size_t len)
{
	int err = vhd_footer_decode(f, head, len);

	if (err)
		return err;
	if (f->type == VHD_FIXED)
		return -E_VHD_TYPE;
	if (f->header_at != VHD_SECTOR)
		return -E_VHD_HEADER_AT;
	return vhd_header_decode(h, (const char *)head + VHD_SECTOR, len - VHD_SECTOR);
}

/* Not a footer at all, as opposed to a footer that says something impossible. */
static bool is_no_footer(int err)
{
	return err == -E_VHD_MAGIC || err == -E_VHD_SUM || err == -E_SHORT;
}

/*
 * While an image is written the sector at the end of its file is the guest's,
 * who may have made a footer of it: another size, another place of a header
 * that names any parent.  One that does not know the image's id is none.  (The
 * start of a fixed image is the guest's too, and says nothing; nobody can take
 * the footer of that from its place.)
 */
static bool is_forged(const struct vhd_footer_disk *primary, const void *head)
{
	struct vhd_footer copy;

	return be32_get(primary->type) != VHD_FIXED && !vhd_footer_decode(&copy, head, 512) &&
	       copy.type != VHD_FIXED && memcmp(primary->uuid, copy.uuid, sizeof(copy.uuid));
}

/* The footer that counts, in the order in which libvhd looks for it. */
static int find_footer(struct vhd *v, struct vhd_footer_disk *primary, const void *head)
{
	uint64_t size = v->io->size;
	int err = -E_VHD_MAGIC, other;

	v->footer_at = size;
	if (size < VHD_SECTOR)
		return err;
	if (size % VHD_SECTOR == 0) {
		err = io_read(v->io, size - 512, primary, 512);
		if (err)
			return err;
		err = vhd_footer_decode(&v->footer, primary, 512);
		v->footer_at = err ? size : size - 512;
	} else if (size % VHD_SECTOR == 511) {
		memset(primary, 0, sizeof(*primary));
		err = io_read(v->io, size - 511, primary, 511);
		if (err)
			return err;
		err = vhd_footer_decode(&v->footer, primary, 512);
		v->footer_at = err ? size : size - 511;
		v->short_footer = !err;
	}
	if (!is_no_footer(err) && is_forged(primary, head)) {
		err = -E_VHD_MAGIC;
		v->footer_at = size;
		v->short_footer = false;
	}
	if (!is_no_footer(err))
		return err;
	v->degraded = true;
	other = vhd_footer_decode(&v->footer, head, 512);
	if (other == -E_VHD_MAGIC)
		return err;
	if (!other && v->footer.type == VHD_FIXED)
		return -E_VHD_MAGIC;
	return other;
}

/* Does the copy at 0 agree with the footer that was found? */
static void compare_copy(struct vhd *v, const struct vhd_footer_disk *primary, const void *head)
{
	struct vhd_footer_disk copy;
	struct vhd_footer f;

	if (v->degraded)
		return;
	memcpy(&copy, head, sizeof(copy));
	/* The second tapdisk changed this byte in the copy only, and without a checksum. */
	if (vhd_by_tap(&v->footer) && v->footer.creator_version == 0x00010001 &&
	    !vhd_footer_decode(&f, head, sizeof(copy))) {
		v->footer.hidden = copy.hidden;
		copy.hidden = primary->hidden;
		copy.sum = primary->sum;
	}
	v->differ = memcmp(&copy, primary, v->short_footer ? 511 : 512);
}

static int find_header(struct vhd *v, const uint8_t *head)
{
	const uint8_t *from = head + VHD_SECTOR;
	uint8_t buf[1024];
	int err = 0;

	if (!range_ok(v->footer.header_at, sizeof(buf), v->footer_at))
		return -E_VHD_HEADER_AT;
	if (v->footer.header_at != VHD_SECTOR) {
		err = io_read(v->io, v->footer.header_at, buf, sizeof(buf));
		from = buf;
	}
	if (!err)
		err = vhd_header_decode(&v->header, from, sizeof(buf));
	if (err != -E_VHD_HEADER_SUM)
		return err;
	err = vhd_header_complete(v, from, &v->header);
	v->torn = !err;
	return err;
}

static int check_table(const struct vhd *v)
{
	const struct vhd_header *h = &v->header;
	uint64_t len = vhd_table_len(h->max_bat), head = v->footer.header_at;

	if (v->n_blocks > h->max_bat)
		return -E_VHD_TABLE_SMALL;
	if (h->table_at < VHD_SECTOR || !range_ok(h->table_at, len, v->footer_at))
		return -E_VHD_TABLE;
	if (h->table_at < head + 1024 && head < h->table_at + len)
		return -E_VHD_TABLE;
	return 0;
}

static bool has_sense(const struct vhd_locator *l)
{
	return l->code && l->space && l->space <= SPACE_MAX && l->len <= l->space &&
	       l->at >= VHD_SECTOR;
}

bool vhd_locator_is_usable(const struct vhd *v, const struct vhd_locator *l)
{
	return has_sense(l) && range_ok(l->at, l->space, v->footer_at);
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void find_meta_end(struct vhd *v)
{
	const struct vhd_header *h = &v->header;
	uint64_t end = later(v->footer.header_at + 1024, h->table_at + vhd_table_len(h->max_bat));

	if (v->batmap.state == BATMAP_GOOD)
		end = later(end, v->batmap.at + v->batmap.covered);
	for (int i = 0; i < VHD_LOCATORS; i++)
		if (vhd_locator_is_usable(v, &h->locators[i]))
			end = later(end, h->locators[i].at + h->locators[i].space);
	v->meta_end = end;
}

static int open_blocks(struct vhd *v, int flags)
{
	int err = vhd_batmap_load(v);

	if (err)
		return err;
	if (flags & VHD_NO_BATMAP && v->batmap.state == BATMAP_GOOD) {
		v->batmap.state = BATMAP_BAD;
		memset(v->batmap.bits, 0, (size_t)v->batmap.covered);
	}
	find_meta_end(v);
	v->data_end = v->meta_end;
	if (IS_ENABLED(CONFIG_GC_SHARE) && flags & VHD_NO_TABLE)
		return 0;
	v->bits = must_alloc(VHD_BITMAPS * sizeof(*v->bits));
	memset(v->bits_block, 0xff, sizeof(v->bits_block));
	err = vhd_bat_load(v);
	/* Who reads asks of blocks that are there. */
	if (!err && !(IS_ENABLED(CONFIG_GC_SHARE) && v->io->read_only))
		vhd_batmap_trim(v);
	return err;
}

static int open_parts(struct vhd *v, int flags)
{
	struct vhd_footer_disk primary;
	uint8_t head[VHD_HEAD] = { 0 };
	size_t n = v->io->size < sizeof(head) ? (size_t)v->io->size : sizeof(head);
	int err = io_read(v->io, 0, head, n);

	if (!err)
		err = find_footer(v, &primary, head);
	if (err)
		return err;
	v->n_blocks = (uint32_t)((v->footer.size + VHD_BLOCK - 1) / VHD_BLOCK);
	if (v->footer.type == VHD_FIXED) {
		v->data_end = v->footer_at;
		return v->footer.size > v->footer_at ? -E_VHD_SIZE : 0;
	}
	compare_copy(v, &primary, head);
	err = find_header(v, head);
	if (!err)
		err = check_table(v);
	if (!err && !(flags & VHD_HEADERS))
		err = open_blocks(v, flags);
	return err;
}

/*
 * A text that is said to be behind the end means nothing now.  Once blocks have
 * grown over it, it would be metadata in the midst of them, and the guest's.
 */
static bool waits_behind(const struct vhd *v, const struct vhd_locator *l)
{
	const uint64_t most = ((uint64_t)VHD_BAD + 1) * VHD_SECTOR + VHD_BLOCK;

	return has_sense(l) && l->at < most && !range_ok(l->at, l->space, v->footer_at);
}

static int check_writable(struct vhd *v, int flags)
{
	if (v->io->read_only)
		return -EROFS;
	for (int i = 0; v->footer.type != VHD_FIXED && i < VHD_LOCATORS; i++)
		if (waits_behind(v, &v->header.locators[i]))
			return -E_VHD_LOCATOR;
	if (!(flags & VHD_MENDING) && (v->degraded || v->differ || v->short_footer))
		return -E_VHD_FOOTERS;
	if (v->n_bad)
		return -E_VHD_ENTRY;
	if (v->batmap.state == BATMAP_BAD)	/* told to write an empty one, if there is room */
		v->batmap.dirty = true;
	v->writable = true;
	return v->torn ? vhd_header_write(v, &v->header) : 0;
}

static void forget_blocks(struct vhd *v)
{
	free(v->bat);
	free(v->bat_dirty);
	free(v->batmap.bits);
	free(v->bits);
	v->bat = NULL;
	v->bat_dirty = NULL;
	v->bits = NULL;
	if (IS_ENABLED(CONFIG_GC_RESUME))
		vhd_gaps_free(&v->gaps);
	v->batmap = (struct vhd_batmap){ 0 };
}

int vhd_reload(struct vhd *v)
{
	uint8_t head[VHD_HEAD];
	int err;

	forget_blocks(v);
	v->n_blocks = (uint32_t)((v->footer.size + VHD_BLOCK - 1) / VHD_BLOCK);
	v->n_bad = 0;
	v->dirty = v->grown = false;
	v->next_at = v->ahead_end = 0;
	err = io_read(v->io, 0, head, sizeof(head));
	if (!err)
		err = find_header(v, head);
	if (!err)
		err = check_table(v);
	return err ? err : open_blocks(v, 0);
}

int vhd_open(struct vhd **out, struct io *io, int flags)
{
	struct vhd *v = must_alloc(sizeof(*v));
	int err;

	*v = (struct vhd){
		.io = io, .fixed_size = vhd_io_is_fixed(io),
		.alone = IS_ENABLED(CONFIG_GC_RESUME) && flags & VHD_ALONE,
	};
	err = open_parts(v, flags);
	if (!err && flags & VHD_RDWR)
		err = check_writable(v, flags);
	if (err) {
		vhd_close(v);
		return err;
	}
	*out = v;
	return 0;
}

void vhd_close(struct vhd *v)
{
	if (!v)
		return;
	forget_blocks(v);
	free(v);
}
