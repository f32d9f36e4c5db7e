/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A tree of images, and beside each a plain array of what it must show.
 *
 * The array holds one number for each sector, from which the sector's bytes
 * follow; 0 stands for zeroes.  Blocks of it are shared by those who inherit
 * them.  After each step every leaf is compared: a leaf none of whose files has
 * changed since is the same as before; of the others each sector is looked up
 * through the chain, and the bytes where it lies are compared, of which
 * reading makes one copy less.  Reading itself is tried in random places.
 */
#ifndef TESTS_UNIT_VHD_WORLD_H
#define TESTS_UNIT_VHD_WORLD_H

#include "lib/vhd/vhd.h"
#include "tests/unit/vhd_util.h"

#define NODES	12u
#define NOBODY	NODES
#define READ_MAX ((size_t)64 << 10)

struct tags {
	uint32_t refs;
	uint16_t v[VHD_BLOCK_SECTORS];
};

struct model {
	uint64_t size;
	uint32_t n;
	struct tags **v;		/* a block each; NULL: zeroes */
};

struct node {
	bool used;
	enum image_format format;
	uint32_t parent;		/* NOBODY: none */
	uint32_t id, name;		/* both change never and now and then */
	struct io *io;
	struct vhd *v;			/* open: to write when it is a leaf */
	struct model m;
	uint64_t seen;			/* what was compared last, as the sum of all changes */
};

struct world {
	struct rnd r;
	bool volumes;			/* images lie in volumes full of old data */
	bool alone;			/* one image without a parent, ever */
	struct node node[NODES];
	uint32_t last_id;
	bool by_uuid;			/* how parents are found */
	size_t compared;
	uint64_t want[READ_MAX / 8 + 128], got[READ_MAX / 8 + 128];
};

/* --- the array ----------------------------------------------------------- */

void model_start(struct model *m, uint64_t size);
void model_copy(struct model *to, const struct model *from);
void model_free(struct model *m);
void model_resize(struct model *m, uint64_t size);	/* larger */
/* From tag upwards, so that sectors differ from their neighbours; or zeroes. */
void model_put(struct model *m, uint64_t sector, uint64_t n, uint16_t tag);
uint16_t model_get(const struct model *m, uint64_t sector);
/* The bytes of n sectors. */
void model_fill(const struct model *m, uint64_t sector, uint64_t n, void *buf);

/* --- the tree ------------------------------------------------------------ */

uint32_t node_new(struct world *w);			/* a free one, or NOBODY */
uint32_t node_children(const struct world *w, uint32_t n);
uint32_t node_depth(const struct world *w, uint32_t n);
void node_free(struct world *w, uint32_t n);
/* "./7-xxx.vhd" */
const char *node_path(const struct world *w, uint32_t n, char path[64]);
/* Open it as its place in the tree wants it, or to write. */
void node_open(struct world *w, uint32_t n, bool write);
void node_close(struct world *w, uint32_t n);		/* finished, if it is open to write */
/* One of those that fn likes, or NOBODY. */
uint32_t node_pick(struct world *w, bool (*fn)(const struct world *w, uint32_t n));
bool node_is_leaf(const struct world *w, uint32_t n);

/* --- comparing ----------------------------------------------------------- */

/* Every leaf against its array. */
void world_compare(struct world *w);
/* The same by opening all anew, reading every byte, and by vhd_check(). */
void world_compare_all(struct world *w);
void world_free(struct world *w);

#endif
