/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "arch/clock.h"
#include "lib/buf.h"
#include "lib/io.h"
#include "lib/text/json.h"
#include "lib/text/size.h"
#include "sm/front/progress.h"
#include "sm/front/table.h"

#define QUIET_FIRST	NS_PER_S		/* short work shows nothing */
#define BAR_EVERY	(100 * NS_PER_MS)
#define JSON_EVERY	NS_PER_S
#define BAR_LEAST	8			/* a narrower bar is left out */
#define COLUMNS		80			/* of a terminal that does not say */

/* Bytes a second over the whole time. */
static uint64_t rate(const struct progress *p, uint64_t now)
{
	uint64_t ms = (now - p->started) / NS_PER_MS;

	if (!ms)
		return 0;
	/* Above 2^53 bytes the product would overflow, and a second less matters not. */
	return p->done >> 53 ? p->done / (ms / 1000 + 1) : p->done * 1000 / ms;
}

/* Seconds to the end at that rate; false while nobody can know. */
static bool left(const struct progress *p, uint64_t now, uint64_t *seconds)
{
	uint64_t r = rate(p, now), rest = p->total - p->done;

	if (!r || !p->total || p->done > p->total)
		return false;
	*seconds = rest / r + (rest % r > r / 2);
	return true;
}

static unsigned percent(const struct progress *p)
{
	if (p->done >= p->total)
		return 100;
	return (unsigned)(p->total >> 56 ? p->done / (p->total / 100) : p->done * 100 / p->total);
}

void progress_bar(const struct progress *p, uint64_t now, size_t columns, struct buf *b)
{
	_buf_free_ struct buf tail = { 0 };
	size_t start = b->n, room, full;
	uint64_t seconds;

	if (p->total)
		buf_printf(&tail, " %3u %%", percent(p));
	buf_printf(&tail, "  %s", SIZE_STR(p->done));
	if (p->total)
		buf_printf(&tail, " of %s", SIZE_STR(p->total));
	buf_printf(&tail, "  %s/s", SIZE_STR(rate(p, now)));
	if (left(p, now, &seconds))
		buf_printf(&tail, "  %s left", DURATION_STR(seconds));

	buf_puts(b, p->what);
	room = columns > b->n - start + tail.n + 3 ? columns - (b->n - start) - tail.n - 3 : 0;
	if (p->total && room >= BAR_LEAST) {
		full = room * percent(p) / 100;
		buf_puts(b, " [");
		for (size_t i = 0; i < room; i++)
			buf_putc(b, i < full ? '#' : '.');
		buf_putc(b, ']');
	}
	buf_puts(b, buf_str(&tail));
}

void progress_json(const struct progress *p, uint64_t now, struct buf *b)
{
	struct json j = { .buf = b };
	uint64_t seconds;

	json_obj_begin(&j);
	json_key_obj(&j, "progress");
	json_key_str(&j, "what", p->what);
	json_key_u64(&j, "done", p->done);
	json_key(&j, "total");
	if (p->total)
		json_u64(&j, p->total);
	else
		json_null(&j);
	json_key_u64(&j, "rate", rate(p, now));
	json_key(&j, "seconds_left");
	if (left(p, now, &seconds))
		json_u64(&j, seconds);
	else
		json_null(&j);
	json_obj_end(&j);
	json_obj_end(&j);
	json_end(&j);
}

/* What cannot be shown is no reason to stop the work. */
static void say(const char *text, size_t n)
{
	(void)!write_all(STDERR_FILENO, text, n);
}

static void show(const struct progress *p, uint64_t now, bool in_place)
{
	_buf_free_ struct buf b = { 0 };
	struct term term;

	if (p->mode == PROGRESS_JSON) {
		progress_json(p, now, &b);
	} else {
		term_of(STDERR_FILENO, &term);
		buf_puts(&b, in_place ? "\r" : "");
		progress_bar(p, now, term.columns ? term.columns - 1 : COLUMNS, &b);
		buf_puts(&b, in_place ? "\033[K" : "\n");
	}
	say(b.p, b.n);
}

void progress_start(struct progress *p, enum progress_mode mode, const char *what, uint64_t total)
{
	sigset_t usr1;

	if (mode == PROGRESS_AUTO)
		mode = isatty(STDERR_FILENO) ? PROGRESS_BAR : PROGRESS_NONE;
	*p = (struct progress){
		.mode = mode, .what = what, .total = total, .started = clock_now_mono(),
	};
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, &p->old);
	p->signals = signalfd(-1, &usr1, SFD_NONBLOCK | SFD_CLOEXEC);
}

static bool was_asked(const struct progress *p)
{
	struct signalfd_siginfo info;

	return p->signals >= 0 && read(p->signals, &info, sizeof(info)) == sizeof(info);
}

void progress_step(struct progress *p, uint64_t done)
{
	uint64_t now = clock_now_mono();
	uint64_t every = p->mode == PROGRESS_JSON ? JSON_EVERY : BAR_EVERY;

	p->done = done;
	if (now - (p->shown ? p->shown : p->started) < (p->shown ? every : BAR_EVERY))
		return;
	if (was_asked(p))
		show(p, now, false);
	if (p->mode != PROGRESS_NONE && now - p->started >= QUIET_FIRST)
		show(p, now, p->mode == PROGRESS_BAR);
	if (p->mode == PROGRESS_NONE || now - p->started >= QUIET_FIRST)
		p->shown = now;
}

void progress_end(struct progress *p)
{
	static const char wipe[] = "\r\033[K";

	if (p->mode == PROGRESS_BAR && p->shown)
		say(wipe, strlen(wipe));
	if (p->signals >= 0)
		close(p->signals);
	sigprocmask(SIG_SETMASK, &p->old, NULL);
}
