/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What decode.c and decode_lv.c share; for nobody else. */
#ifndef LIB_LVM2_DECODE_H
#define LIB_LVM2_DECODE_H

#include "lib/arena.h"
#include "lib/lvm2/text.h"
#include "lib/lvm2/vg.h"

/* An area or a field that names something; found when everything has been read. */
struct lvm_link {
	struct lvm_lv *from;
	struct lvm_leg *leg;		/* to be filled, or NULL */
	struct view name;
};

struct lvm_decoder {
	struct lvm_vg *vg;
	struct arena scratch;		/* the tree of one PV or LV */
	struct arena keep;		/* until the end of decoding */
	struct lvm_map pv_by_key, pv_by_id;
	struct lvm_link *link;
	size_t n_links, link_room;
	const char *host;		/* the last creation_host: most LVs share it */
	struct lvm_pv *pv;		/* the last one named */
	const char *why;
	bool general;			/* read everything the general way */
};

/* Say what is wrong, unless that was said already; returns err. */
int lvm_decode_fail(struct lvm_decoder *d, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
char *lvm_decode_str(struct lvm_decoder *d, struct view v);
int lvm_decode_tags(struct lvm_decoder *d, const struct lvm_node *n, struct lvm_tags *tags);
/* An unknown word of "status" makes the VG one we do not write to. */
int lvm_decode_words(struct lvm_decoder *d, const struct lvm_node *n, const struct lvm_word *words,
		     bool status, uint32_t *flags);
struct lvm_pv *lvm_decode_pv_find(struct lvm_decoder *d, struct view key);

const char *lvm_decode_host(struct lvm_decoder *d, struct view v);

int lvm_decode_lv(struct lvm_decoder *d, const struct lvm_node *n);
/* The next one if it is written as nearly all are: 1; 0: read it the general way. */
int lvm_decode_plain(struct lvm_decoder *d, struct lvm_text *t);
/* An LV that has been read becomes one of the VG's. */
int lvm_decode_add(struct lvm_decoder *d, struct lvm_lv *lv);
/* When all LVs are known: find what areas and fields name, and that there is no circle. */
int lvm_decode_links(struct lvm_decoder *d);

/* lvm_vg_decode(), with d->general; for tests. */
int lvm_decode_text(struct arena *a, struct view text, bool general, struct lvm_vg **vg,
		    const char **why);

#endif
