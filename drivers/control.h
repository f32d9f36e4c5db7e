/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Changing what lies under a disk in use: its server lets go of it for a moment.
 *
 *	commander, who has the SR's lock		server
 *	  "pause 10000"	───────────────────────▶	requests wait; what was written is
 *							flushed, all images are closed
 *	  ◀──────────────────────────── "paused"
 *	  changes the SR (commit)
 *	  lets go of the lock
 *	  "resume" ────────────────────────────▶	takes the lock, opens the SR (which
 *							finishes what the dead left), finds
 *							the disk by its uuid, opens its
 *	  ◀─────────────────────── "running SIZE"	images, lets the requests go on
 *
 * A commander who still has the lock when all that the disk needs is done can say what
 * its images are ("all"): then it goes on at once, and need not look.  Otherwise
 * there is one way on, whoever asks for it and whoever died: under the lock, by
 * what the SR says is the disk now.  So a server never writes to an image that
 * has become another's parent: whoever makes it one holds the lock from the
 * pause on, and a commander who dies lets go of both.  One who stays longer than
 * he said, from "paused" on, and still has the lock is killed by the server,
 * since only that is sure to end what he may be about to do.  When the disk
 * cannot be opened again, requests fail.
 *
 * The socket is /run/sm/server/<VDI>.ctl; a word is a line.
 *
 *	pause MS	at most so long; "paused", "busy WHY" or "error WHY"
 *	resume		on the same connection; "running SIZE", "error WHY", or
 *			"later": another one has paused it meanwhile
 *	hold MS		as pause, but its images stay open
 *	go		after that: nothing has changed, or,
 *	go BASE LEAF	a letter and a descriptor each: the old image, which is a parent
 *			now and only read, and the disk's new one upon it.
 *			"running SIZE", or "error WHY", and it stays paused
 *	all LEAF ...	after either, and with the lock: likewise all its images, the leaf
 *			first.  The same answers
 *	state		"running", "paused", "opening" or "failed"
 *	log		"logged": the log of changed blocks has all that was written so far
 *
 * Closing the connection is as good as "resume".
 */
#ifndef DRIVERS_CONTROL_H
#define DRIVERS_CONTROL_H

#include <stdint.h>

struct chain;
struct sr;
struct uuid;

#define CONTROL_LINE	256		/* bytes of a line at most */

/*
 * Pause the server of a disk; *hold stands for that until it is closed, or
 * given to control_resume().  The SR's lock is held, and no other change of
 * this server's images may be under way.  -E_BUSY: not now; -E_VDI_UNAVAILABLE:
 * there is no server, or one that cannot.
 */
int control_pause(struct sr *sr, const struct uuid *vdi, int *hold);
/*
 * After the SR's lock has been dropped, which the server needs.  *size is the
 * disk's now, 0 when somebody else has it paused.  On failure requests wait or
 * fail, as the server goes on trying.
 */
int control_resume(struct sr *sr, const struct uuid *vdi, int *hold, uint64_t *size);

/*
 * The short way: who has the lock all the time says what the disk's images are, and
 * nobody needs to look.  A hold is for who makes a parent of its image and has a new
 * one upon it; after that, no levels: all is as it was.  If control_go() fails *hold
 * stays, and control_resume() is the way on; there the server forgets its images
 * first.  *size is the disk's now.
 */
int control_hold(struct sr *sr, const struct uuid *vdi, int *hold);
int control_go(struct sr *sr, const struct uuid *vdi, const struct chain *c, int *hold,
	       uint64_t *size);

/* Ask for the log of changed blocks; no lock is needed.  -E_BUSY, or it could not. */
int control_log(struct sr *sr, const struct uuid *vdi);

/* Where it listens. */
const char *control_path(struct sr *sr, const struct uuid *vdi);
/* A line without its end; 0, -EPIPE at the end of the connection, or -ETIMEDOUT. */
int control_hear(int fd, char line[CONTROL_LINE], int ms);
/* The same of one that may send images with it: none, or all that the line names. */
int control_hear_go(int fd, char line[CONTROL_LINE], int ms, struct chain *c);
int control_say(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
