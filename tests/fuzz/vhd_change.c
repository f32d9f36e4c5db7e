/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two images of strangers that open to be written, and what is done to them:
 * the first bytes say what the files are like, a list of steps, and the rest is
 * the beginnings of both.  No step may lose what was there before.
 */
#include "lib/arena.h"
#include "lib/err.h"
#include "lib/vhd/check.h"
#include "lib/vhd/coalesce.h"
#include "lib/vhd/edit.h"
#include "lib/vhd/resize.h"
#include "tests/fuzz/vhd_file.h"

#define STEPS 6
#define SAMPLES 24

/* Sectors here and there, as the image shows them alone. */
struct look {
	uint64_t size;
	uint8_t b[SAMPLES][512];
	bool there[SAMPLES];		/* its own, neither zero for want of one nor unreadable */
};

static uint64_t sample_at(uint64_t size, uint64_t i)
{
	uint64_t sectors = size / 512;

	return (i < SAMPLES / 2 ? i * i : sectors / SAMPLES * i) % (sectors ? sectors : 1) * 512;
}

static void look(struct vhd *v, uint64_t size, struct look *l)
{
	*l = (struct look){ .size = size };
	for (uint64_t i = 0; i < SAMPLES && size >= 512; i++) {
		uint64_t at = sample_at(size, i), n = 512, pos;

		l->there[i] = vhd_lookup(v, at, &n, &pos) == VHD_HERE;
		CHECK(!vhd_read_alone(v, at, l->b[i], 512));
	}
}

static void same(struct vhd *v, const struct look *before)
{
	struct look now;

	look(v, before->size, &now);
	CHECK(!memcmp(now.b, before->b, sizeof(now.b)));
}

/* Their batmaps may lie about their bitmaps, and their parents have no names: that is not ours. */
static bool is_damaged(struct io *io, bool tell)
{
	struct arena a = { 0 };
	struct vhd_findings f = { .arena = &a };
	bool damaged;

	CHECK(!vhd_check(io, 0, 1, &f));
	damaged = f.worst == VHD_DAMAGE;
	for (size_t i = 0; i < f.n && damaged && tell; i++)
		fprintf(stderr, "%s\n", f.v[i].what);
	arena_free(&a);
	return damaged;
}

static bool reopen(struct vhd **v, struct io *io)
{
	vhd_close(*v);
	*v = NULL;
	return !vhd_open(v, io, VHD_RDWR);
}

/* Grown, or dead on the way and given back what it was. */
static void resize(struct vhd **v, struct io *io, uint8_t how)
{
	struct io *journal = io_sparse(0, 64 * MiB, 0);
	struct io *fault = io_fault(io, how & 0x3f, -EIO, how & 0x40);
	uint64_t old = (*v)->footer.size;
	uint64_t size = old / VHD_BLOCK * VHD_BLOCK + (how & 0x80 ? 300 * MiB : 2 * VHD_BLOCK);
	struct look before;

	look(*v, old, &before);
	(*v)->io = fault;
	(void)!vhd_resize(*v, size, journal);
	if (!reopen(v, io)) {
		if (journal->size)
			(void)!vhd_revert(io, journal);
		if (!reopen(v, io))
			CHECK(!vhd_repair(io, NULL) && reopen(v, io));
	}
	CHECK((*v)->footer.size >= old);
	same(*v, &before);
	io_close(fault);
	io_close(journal);
}

static void merge(struct vhd *child, struct vhd *parent)
{
	struct vhd_coalesce *c;
	struct look want, got;

	if (child->footer.size > 64 * MiB || vhd_coalesce_start(&c, child, parent, NULL, 0))
		return;
	look(child, child->footer.size, &want);
	look(parent, child->footer.size, &got);
	while (c->done < c->total)
		if (vhd_coalesce_step(c))
			break;
	if (c->done == c->total && !vhd_coalesce_finish(c)) {
		for (size_t i = 0; i < SAMPLES; i++)
			if (want.there[i])
				memcpy(got.b[i], want.b[i], 512);
		same(parent, &got);
	}
	vhd_coalesce_free(c);
}

static void change(struct vhd **v, struct io *io, struct vhd *other, uint8_t what, uint8_t how)
{
	static const uint8_t id[16] = { 1, 2, 3 };
	uint8_t b[1024];
	struct look before;
	uint64_t size = (*v)->footer.size;

	look(*v, size, &before);
	switch (what % 8) {
	case 0:
		memset(b, how, sizeof(b));
		if (size >= 1024)
			(void)!vhd_write(*v, how * (size / 512 / 256) * 512 % (size - 512), b, 512);
		return;
	case 1:
		resize(v, io, how);
		return;
	case 2:
		if (other)
			merge(other, *v);
		return;
	case 3:
		(void)!vhd_reparent(*v, how & 1 ? "./a-parent-of-some-name.vhd" : "./p.vhd", id, how);
		break;
	case 4:
		(void)!vhd_set_marker(*v, how);
		break;
	case 5:
		(void)!vhd_set_hidden(*v, how & 1);
		break;
	case 6:
		(void)!vhd_discard(*v, 0, how & 1 ? size : size / 2);
		return;
	case 7:
		CHECK(!vhd_finish(*v));
		CHECK(reopen(v, io));
		break;
	}
	same(*v, &before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *steps = data + 4;
	struct vhd *v = NULL, *other = NULL;
	struct io *io, *more;
	bool damaged;
	size_t n;

	if (size < 4 + 2 * STEPS)
		return 0;
	n = (size_t)(data[2] | data[3] << 8);
	data += 4 + 2 * STEPS;
	size -= 4 + 2 * STEPS;
	n = n < size ? n : size;
	io = make_file(steps[-4], data, n);
	more = make_file(steps[-3], data + n, size - n);
	damaged = is_damaged(io, false);
	(void)!vhd_open(&other, more, VHD_RDWR);
	/* Large ones have nothing new, and cost time. */
	if (!vhd_open(&v, io, VHD_RDWR) && v->footer.size <= 16 * GiB) {
		for (size_t i = 0; i < STEPS && v; i++)
			change(&v, io, other, steps[2 * i], steps[2 * i + 1]);
		if (v && !vhd_finish(v)) {
			CHECK(reopen(&v, io));
			CHECK(damaged || !is_damaged(io, true));
		}
	}
	vhd_close(v);
	vhd_close(other);
	io_close(io);
	io_close(more);
	return 0;
}
