/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The first part of an NBD connection: the client asks for what is offered,
 * and which of it is used ("fixed newstyle").
 *
 *	struct nbd_hello h;
 *
 *	nbd_hello_start(&h, &export, &out);
 *	while (h.state < NBD_HELLO_DONE) {
 *		write out; reset it; read something; put it behind what is left of in
 *		err = nbd_hello_take(&h, in, n, &used, &out);
 *	}
 *
 * It owns no socket and keeps nothing of the input.  An option of more than
 * NBD_OPTION_MAX bytes, or more than NBD_OPTIONS of them, ends the connection.
 */
#ifndef LIB_NBD_HELLO_H
#define LIB_NBD_HELLO_H

#include "lib/nbd/nbd.h"

struct buf;

#define NBD_NAME_MAX	4096u
#define NBD_OPTION_MAX	16384u		/* bytes behind an option's header */
#define NBD_OPTIONS	256u		/* a client asks for */

enum nbd_hello_state {
	NBD_HELLO_FLAGS, NBD_HELLO_OPTIONS,
	NBD_HELLO_DONE,		/* requests follow */
	NBD_HELLO_BYE,		/* the client has left; send what there is, and close */
};

struct nbd_hello {
	const struct nbd_export *e;
	enum nbd_hello_state state;
	struct nbd_terms terms;
	bool no_zeroes;		/* the client does without 124 of them */
	unsigned int options;	/* seen so far */
};

/* The server speaks first. */
void nbd_hello_start(struct nbd_hello *h, const struct nbd_export *e, struct buf *out);

/*
 * Understand one piece of the n bytes that the client has sent, append the
 * answer to out, and say in *used how many bytes that was; 0 means that more
 * are needed.  -E_NBD when this is no client of ours: close.
 */
int nbd_hello_take(struct nbd_hello *h, const void *in, size_t n, size_t *used, struct buf *out);

#endif
