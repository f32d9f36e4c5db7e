/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/io.h"
#include "lib/lvm2/lost.h"

#define FIRST_DATA	MiB		/* what pvcreate aligns the first extent to */
#define DATA_MOST	(64 * MiB)	/* XenServer's is 11 MiB */

bool lvm_text_begins(const char *s, size_t n)
{
	const char *blank = memchr(s, ' ', n < 129 ? n : 129);

	return blank && (size_t)(blank - s) + 2 < n && blank[1] == '{' && blank[2] == '\n' &&
	       lvm_name_ok(s, (size_t)(blank - s));
}

/* Where the first PV of the first text in the first MiB has its data; 0: there is no text. */
static uint64_t data_by_text(const struct lvm_dev *dev)
{
	static const char key[] = "\npe_start = ";
	size_t n = FIRST_DATA - LVM_FIRST_MDA;
	uint64_t sectors = 0;
	char *p, *found = NULL;

	if (dev->io->size < FIRST_DATA)
		return 0;
	p = must_alloc(n);
	if (!io_read(dev->io, LVM_FIRST_MDA, p, n))
		for (size_t at = 0; at < n && !found; at += LVM_SECTOR)
			if (lvm_text_begins(p + at, n - at))
				found = memmem(p + at, n - at, key, sizeof(key) - 1);
	if (found) {
		const char *s = found + sizeof(key) - 1, *end = p + n;

		for (; s < end && *s >= '0' && *s <= '9' && sectors <= DATA_MOST / LVM_SECTOR; s++)
			sectors = sectors * 10 + (uint64_t)(*s - '0');
	}
	free(p);
	return sectors <= DATA_MOST / LVM_SECTOR ? sectors * LVM_SECTOR : 0;
}

/* Areas as somebody might have written them: one of data, one or two of metadata. */
static bool makes_sense(const struct lvm_label *l, uint64_t size)
{
	for (uint32_t i = 0; i < l->n_mda; i++)
		if (l->mda[i].at % LVM_SECTOR || l->mda[i].at < LVM_LABEL_SCAN ||
		    l->mda[i].size <= LVM_SECTOR || !range_ok(l->mda[i].at, l->mda[i].size, size))
			return false;
	return l->n_data == 1 && l->data[0].at % LVM_SECTOR == 0 && l->n_mda && l->n_mda <= 2 &&
	       l->n_boot <= 1 && l->ext_version <= 2;
}

void lvm_lost_label(const struct lvm_dev *dev, struct lvm_label *label)
{
	uint8_t head[LVM_LABEL_SCAN];
	struct lvm_label guess = { .sector = 1 };
	struct lvm_mda m;
	uint64_t data;

	*label = guess;
	if (io_read(dev->io, 0, head, sizeof(head)))
		return;
	if (!lvm_label_guess(&guess, head, sizeof(head)) && makes_sense(&guess, dev->io->size)) {
		*label = guess;
		return;
	}
	label->pv = guess.pv;
	label->sector = guess.sector;
	label->n_mda = 1;
	label->mda[0].at = LVM_FIRST_MDA;
	if (!lvm_mda_read(&m, dev->io, LVM_FIRST_MDA)) {
		label->mda[0].size = m.size;
		return;
	}
	data = data_by_text(dev);
	label->mda[0].size = (data > LVM_FIRST_MDA ? data : FIRST_DATA) - LVM_FIRST_MDA;
}

/* The header knows its size better than the label, unless it says what cannot be. */
static bool site_of(const struct lvm_dev *dev, const struct lvm_area *area, struct lvm_site *s)
{
	uint64_t size = dev->io->size;

	s->sound = !lvm_mda_read(&s->mda, dev->io, area->at) &&
		   range_ok(s->mda.start, s->mda.size, size);
	if (!s->sound)
		s->mda = (struct lvm_mda){ .start = area->at, .size = area->size };
	return s->mda.size > LVM_SECTOR && range_ok(s->mda.start, s->mda.size, size);
}

uint32_t lvm_sites(const struct lvm_dev *dev, struct lvm_site site[LVM_LABEL_AREAS])
{
	struct lvm_label lost;
	const struct lvm_label *l = &dev->label;
	uint32_t n = 0;

	if (dev->err) {
		lvm_lost_label(dev, &lost);
		l = &lost;
	}
	for (uint32_t i = 0; i < l->n_mda; i++)
		n += site_of(dev, &l->mda[i], &site[n]);
	return n;
}
