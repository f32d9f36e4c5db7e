/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk served by the NBD protocol, to several connections at once.
 *
 *	struct server *s;
 *
 *	server_start(&s, disk, name);
 *	err = server_add(s, fd, true);		for each client; the descriptor is taken
 *	...
 *	server_stop(s);				all have been answered and are closed
 *
 * Each connection has threads of its own, one at first, more while requests
 * wait.  The one that has read a request lets the next thread read, does what
 * is asked, and sends the answer; so answers come in any order, and a single
 * request at a time costs no switch between threads.
 *
 * Memory, whatever the clients do: SERVER_THREADS buffers of SERVER_CHUNK bytes
 * and as many stacks, 18 MiB; larger requests are done in pieces.  With the
 * disk's notes and bitmaps and the program itself the process of one image of
 * 2040 GiB, the largest there is, has less than 32 MiB, all of it locked when it
 * serves the kernel (proc_guard() in arch/proc.h); tests/nbd.bats measures it.
 * In that are 2 bytes for each MiB of the disk, 4 MiB, which every parent in its
 * chain adds once more.
 */
#ifndef LIB_SERVE_SERVER_H
#define LIB_SERVE_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct disk;
struct server;

#define SERVER_CLIENTS	16u
#define SERVER_THREADS	32u		/* of all connections */
#define SERVER_CHUNK	((uint32_t)512 << 10)
#define SERVER_REQUEST	((uint32_t)32 << 20)	/* the largest read or write */

void server_start(struct server **s, struct disk *d, const char *name);
/* What the kernel's client is told, which does not ask: enum nbd_export_flags. */
uint16_t server_flags(bool writable);
/*
 * Serve a connected socket.  With hello the client says what it wants; without,
 * its requests begin at once.  -EBUSY when there are too many clients.
 */
int server_add(struct server *s, int fd, bool hello);
/* How many are connected now. */
size_t server_clients(struct server *s);
/*
 * Add to this eventfd whenever the last one has left; before the first comes.
 * It stays the caller's.
 */
void server_tell_left(struct server *s, int fd);
/* The disk has another size now. */
void server_resized(struct server *s);
/* Requests that were read are answered, then all is closed. */
void server_stop(struct server *s);

#endif
