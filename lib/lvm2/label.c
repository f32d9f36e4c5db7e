/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/crc32.h"
#include "lib/err.h"
#include "lib/lvm2/label.h"

#define HEADER_AT	32	/* of the PV header in the label; always, as written */
#define LISTS_AT	40	/* of the area lists in the PV header */
#define CRC_FROM	20
#define EXT_VERSION	2	/* the newest we know */

struct label_disk {
	char	id[8];		/* "LABELONE" */
	le64	sector;
	le32	sum;		/* of everything behind it */
	le32	header_at;
	char	type[8];	/* "LVM2 001" */
};
static_assert(sizeof(struct label_disk) == HEADER_AT, "label header");

struct area_disk {
	le64	at;
	le64	size;
};
static_assert(sizeof(struct area_disk) == 16, "area of a PV header");

static bool id_char(char c)
{
	return (uint8_t)((c | 32) - 'a') <= 25 || (uint8_t)(c - '0') <= 9 || c == '!' || c == '#';
}

/* Does a dash follow the i-th character, counted from 1? */
static bool dash_after(int i)
{
	return i >= 6 && i <= 26 && (i - 6) % 4 == 0;
}

int lvm_id_parse(struct lvm_id *id, const char *s, size_t n)
{
	int digits = 0, at = 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i] == '-')
			continue;
		if (!id_char(s[i]) || digits == 32)
			return -E_LVM_ID;
		id->s[at++] = s[i];
		if (dash_after(++digits))
			id->s[at++] = '-';
	}
	id->s[at] = '\0';
	return digits == 32 ? 0 : -E_LVM_ID;
}

bool lvm_id_copy(struct lvm_id *id, const char *s)
{
	/* 32 characters and six dashes, those in their places: no other sum of 38 is this. */
	static const uint8_t weight[256] = {
		['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1, ['!'] = 1, ['#'] = 1,
		['-'] = 64,
	};
	unsigned int sum = 0, dashes = 0;

	for (size_t i = 0; i < LVM_ID_LEN; i++)
		sum += weight[(uint8_t)s[i]];
	for (size_t i = 6; i < LVM_ID_LEN - 6; i += 5)
		dashes += s[i] == '-';
	memcpy(id->s, s, LVM_ID_LEN);
	id->s[LVM_ID_LEN] = '\0';
	return sum == 32 + 6 * 64 && dashes == 6;
}

void lvm_id_make(struct lvm_id *id, const uint8_t random[32])
{
	static const char digits[] =
		"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char bare[32];
	int err;

	for (int i = 0; i < 32; i++)
		bare[i] = digits[random[i] % (sizeof(digits) - 1)];
	err = lvm_id_parse(id, bare, sizeof(bare));
	assert(!err);
}

void lvm_id_bare(const struct lvm_id *id, char out[32])
{
	const char *s = id->s;

	for (int n = 0; n < 32 && *s; s++)
		if (*s != '-')
			out[n++] = *s;
}

/*
 * One list of areas, from *p to the pair with offset 0.  The list must end
 * within the sector, by that pair and not by the end.
 */
static int areas_get(const uint8_t **p, const uint8_t *end, struct lvm_area *area, uint32_t *n)
{
	for (*n = 0; ; (*n)++) {
		struct area_disk d;

		if ((size_t)(end - *p) < sizeof(d))
			return -E_LVM_LABEL;
		memcpy(&d, *p, sizeof(d));
		*p += sizeof(d);
		if (!le64_get(d.at))
			return 0;
		if (*n == LVM_LABEL_AREAS)
			return -E_LVM_LABEL;
		area[*n] = (struct lvm_area){ le64_get(d.at), le64_get(d.size) };
	}
}

static int extension_get(struct lvm_label *l, const uint8_t *p, const uint8_t *end)
{
	le32 version, flags;

	if ((size_t)(end - p) < sizeof(version) + sizeof(flags))
		return 0;			/* no room: an old PV */
	memcpy(&version, p, sizeof(version));
	memcpy(&flags, p + sizeof(version), sizeof(flags));
	l->ext_version = le32_get(version);
	if (!l->ext_version)
		return 0;
	l->ext_flags = le32_get(flags);
	p += sizeof(version) + sizeof(flags);
	return areas_get(&p, end, l->boot, &l->n_boot);
}

static bool is_sound(const struct label_disk *d, const uint8_t *p, uint32_t sector)
{
	return le64_get(d->sector) == sector &&
	       le32_get(d->sum) == crc32_lvm2(CRC32_LVM2, p + CRC_FROM, LVM_SECTOR - CRC_FROM);
}

static int decode(struct lvm_label *l, const void *buf, uint32_t sector, bool must_be_sound)
{
	const uint8_t *p = buf, *end = p + LVM_SECTOR;
	struct lvm_label got = { .sector = sector };
	struct label_disk d;
	int err;

	memcpy(&d, buf, sizeof(d));
	if (memcmp(d.id, "LABELONE", 8))
		return -E_LVM_NO_LABEL;
	if (must_be_sound && !is_sound(&d, p, sector))
		return -E_LVM_LABEL;
	if (memcmp(d.type, "LVM2 001", 8))
		return -E_LVM_NO_LABEL;		/* wiped, or another LVM's */
	if (le32_get(d.header_at) < HEADER_AT || le32_get(d.header_at) > LVM_SECTOR - LISTS_AT)
		return -E_LVM_LABEL;

	p += le32_get(d.header_at);
	err = lvm_id_parse(&got.pv, (const char *)p, 32);
	if (err)
		return -E_LVM_LABEL;
	memcpy(&d.sector, p + 32, sizeof(d.sector));
	got.device_size = le64_get(d.sector);
	p += LISTS_AT;
	err = areas_get(&p, end, got.data, &got.n_data);
	if (!err)
		err = areas_get(&p, end, got.mda, &got.n_mda);
	if (!err)
		err = extension_get(&got, p, end);
	if (!err)
		*l = got;
	return err;
}

int lvm_label_decode(struct lvm_label *l, const void *buf, size_t len, uint32_t sector)
{
	return len < LVM_SECTOR ? -E_SHORT : decode(l, buf, sector, true);
}

int lvm_label_guess(struct lvm_label *l, const void *buf, size_t len)
{
	for (uint32_t i = 0; i < 4 && len / LVM_SECTOR > i; i++)
		if (!decode(l, (const uint8_t *)buf + (size_t)i * LVM_SECTOR, i, false))
			return 0;
	return -E_LVM_NO_LABEL;
}

int lvm_label_find(struct lvm_label *l, const void *buf, size_t len)
{
	int worst = -E_LVM_NO_LABEL;

	for (uint32_t i = 0; i < 4 && len / LVM_SECTOR > i; i++) {
		int err = lvm_label_decode(l, (const uint8_t *)buf + (size_t)i * LVM_SECTOR,
					   LVM_SECTOR, i);

		if (!err)
			return 0;
		if (err == -E_LVM_LABEL)
			worst = err;
	}
	return worst;
}

static uint8_t *areas_put(uint8_t *p, const struct lvm_area *area, uint32_t n)
{
	struct area_disk d;

	for (uint32_t i = 0; i < n; i++, p += sizeof(d)) {
		d = (struct area_disk){ le64_put(area[i].at), le64_put(area[i].size) };
		memcpy(p, &d, sizeof(d));
	}
	return p + sizeof(d);			/* the end of the list is zero already */
}

int lvm_label_encode(const struct lvm_label *l, uint8_t buf[LVM_SECTOR])
{
	struct label_disk d = {
		.id = "LABELONE", .sector = le64_put(l->sector),
		.header_at = le32_put(HEADER_AT), .type = "LVM2 001",
	};
	le64 size = le64_put(l->device_size);
	le32 version = le32_put(EXT_VERSION), flags = le32_put(l->ext_flags);
	uint8_t *p = buf + HEADER_AT;

	if (l->ext_version > EXT_VERSION)
		return -E_LVM_NEWER;
	/* Three lists with their ends and the extension must fit behind the uuid. */
	if ((l->n_data + l->n_mda + l->n_boot + 3) * sizeof(struct area_disk) + 8 >
	    LVM_SECTOR - HEADER_AT - LISTS_AT)
		return -E_LVM_LABEL;

	memset(buf, 0, LVM_SECTOR);
	lvm_id_bare(&l->pv, (char *)p);
	memcpy(p + 32, &size, sizeof(size));
	p = areas_put(p + LISTS_AT, l->data, l->n_data);
	p = areas_put(p, l->mda, l->n_mda);
	memcpy(p, &version, sizeof(version));
	memcpy(p + 4, &flags, sizeof(flags));
	areas_put(p + 8, l->boot, l->n_boot);

	memcpy(buf, &d, sizeof(d));
	d.sum = le32_put(crc32_lvm2(CRC32_LVM2, buf + CRC_FROM, LVM_SECTOR - CRC_FROM));
	memcpy(buf, &d, sizeof(d));
	return 0;
}
