/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The product's functions for devices as a program, for tests in the lab:
 *
 *	dmt COMMAND [key=value...] [<TABLE]
 *
 * One command, one function.  Keys are the fields of what it takes: name, uuid,
 * kind, ro, group, volume, root, how, to, ...  A failure is one word on stderr,
 * the error's name, and status 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "arch/clock.h"
#include "arch/dm.h"
#include "arch/lvmhost.h"
#include "arch/scan.h"
#include "arch/udev.h"
#include "lib/arena.h"
#include "lib/blkid.h"
#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/io.h"

struct args {
	struct arena a;
	int ctl;
	char **v;
	struct dm_device d;
	struct dm_table table;
	struct dm_event event;
};

static const char *arg(const struct args *x, const char *key)
{
	size_t n = strlen(key);

	for (char **v = x->v; *v; v++)
		if (!strncmp(*v, key, n) && (*v)[n] == '=')
			return *v + n + 1;
	return NULL;
}

static unsigned number(const struct args *x, const char *key)
{
	const char *s = arg(x, key);

	return s ? (unsigned)strtoul(s, NULL, 0) : 0;
}

/* The table on stdin, when there is one. */
static int read_table(struct args *x)
{
	struct buf b = { 0 };
	ssize_t n;
	int err;

	while ((n = read(0, buf_room(&b, 65536), 65536)) > 0)
		b.n += (size_t)n;
	buf_putc(&b, '\n');
	err = dm_table_parse(&x->a, b.p, &x->table);
	buf_free(&b);
	x->d.table = &x->table;
	return err;
}

static struct dm_ref ref(const struct args *x)
{
	const char *dev = arg(x, "dev");
	unsigned ma, mi;

	if (dev && sscanf(dev, "%u:%u", &ma, &mi) == 2)
		return dm_by_dev(makedev(ma, mi));
	return (struct dm_ref){ .name = arg(x, "name"), .uuid = arg(x, "uuid") };
}

static void print_table(const struct dm_table *t)
{
	struct buf b = { 0 };

	dm_table_print(t, &b);
	fputs(buf_str(&b), stdout);
	buf_free(&b);
}

/* --- the kernel's calls ------------------------------------------------------ */

static int do_version(struct args *x)
{
	uint32_t minor_nr;
	int err = dm_version(x->ctl, &minor_nr);

	if (!err)
		printf("4.%u\n", minor_nr);
	return err;
}

static int do_create(struct args *x)
{
	dev_t dev;
	int err = dm_create(x->ctl, arg(x, "name"), arg(x, "uuid"), &dev);

	if (!err)
		printf("%u:%u\n", major(dev), minor(dev));
	return err;
}

/* NAME-0, NAME-1 … with long uuids, to fill buffers. */
static int do_create_many(struct args *x)
{
	int err = 0;

	for (unsigned i = 0; i < number(x, "n") && !err; i++)
		err = dm_create(x->ctl, arena_printf(&x->a, "%s-%u", arg(x, "name"), i),
				arena_printf(&x->a, "U-%0120u", i), NULL);
	return err;
}

static int do_load(struct args *x)
{
	int err = read_table(x);

	return err ? err : dm_load(x->ctl, ref(x), &x->table, x->d.read_only);
}

static int do_clear(struct args *x)
{
	return dm_clear(x->ctl, ref(x));
}

static int do_suspend(struct args *x)
{
	return dm_suspend(x->ctl, ref(x), number(x, "how"));
}

static int do_resume(struct args *x)
{
	return dm_resume(x->ctl, ref(x), number(x, "how"), &x->event);
}

static int do_rename(struct args *x)
{
	return dm_rename(x->ctl, arg(x, "name"), arg(x, "to"), &x->event);
}

static int do_remove(struct args *x)
{
	return dm_remove(x->ctl, ref(x), number(x, "later"), &x->event);
}

static int do_info(struct args *x)
{
	struct dm_info i;
	int err = dm_info(x->ctl, ref(x), &i);

	if (err)
		return err;
	printf("name=%s uuid=%s dev=%u:%u open=%u events=%u targets=%u%s%s%s%s%s\n", i.name, i.uuid,
	       major(i.dev), minor(i.dev), i.open_count, i.event_nr, i.n_targets,
	       i.live ? " live" : "", i.inactive ? " inactive" : "",
	       i.suspended ? " suspended" : "", i.read_only ? " ro" : "",
	       i.remove_later ? " later" : "");
	return 0;
}

static int do_table(struct args *x)
{
	int err = dm_table(x->ctl, ref(x), number(x, "inactive"), &x->a, &x->table);

	if (!err)
		print_table(&x->table);
	return err;
}

static int do_status(struct args *x)
{
	int err = dm_status(x->ctl, ref(x), &x->a, &x->table);

	if (!err)
		print_table(&x->table);
	return err;
}

static int do_deps(struct args *x)
{
	dev_t *v;
	size_t n;
	int err = dm_deps(x->ctl, ref(x), &x->a, &v, &n);

	for (size_t i = 0; !err && i < n; i++)
		printf("%u:%u\n", major(v[i]), minor(v[i]));
	return err;
}

static int do_message(struct args *x)
{
	const char *answer;
	int err = dm_message(x->ctl, ref(x), number(x, "sector"), arg(x, "text"), &x->a, &answer);

	if (!err && answer)
		puts(answer);
	return err;
}

static int do_list(struct args *x)
{
	struct dm_entry *v;
	size_t n;
	int err = dm_list(x->ctl, &x->a, &v, &n);

	for (size_t i = 0; !err && i < n; i++)
		printf("%u:%u %s %s\n", major(v[i].dev), minor(v[i].dev), v[i].name, v[i].uuid);
	return err;
}

/* --- sequences ---------------------------------------------------------------------- */

static int do_activate(struct args *x)
{
	dev_t dev;
	int err = read_table(x);

	if (!err)
		err = dm_activate(x->ctl, &x->d, &dev);
	if (!err)
		printf("%u:%u\n", major(dev), minor(dev));
	return err;
}

static int do_reload(struct args *x)
{
	int err = read_table(x);

	return err ? err : dm_reload(x->ctl, &x->d, number(x, "how"));
}

static int do_deactivate(struct args *x)
{
	return dm_deactivate(x->ctl, &x->d);
}

static int do_move(struct args *x)
{
	return dm_move(x->ctl, &x->d, arg(x, "to"), arg(x, "to_volume"));
}

/* commit=ok, =fail or =die: what happens while the device is held still. */
static int freeze(struct args *x, const char *commit)
{
	_dm_thaw_ struct dm_frozen f = { 0 };
	struct dm_info i = { 0 };
	int err = read_table(x);

	if (!err)
		err = dm_info(x->ctl, ref(x), &i);
	if (!err)
		err = dm_load(x->ctl, dm_by_dev(i.dev), &x->table, x->d.read_only);
	if (!err)
		err = dm_freeze(&f, x->ctl, i.dev, number(x, "how"), &x->event);
	if (err)
		return err;
	if (commit && !strcmp(commit, "die"))
		raise(SIGKILL);
	if (commit && !strcmp(commit, "fail"))
		return -EIO;
	return dm_thaw(&f);
}

static int do_freeze(struct args *x)
{
	return freeze(x, arg(x, "commit"));
}

/* --- looking at devices ------------------------------------------------------------------- */

/* "NAME PATH: what is known", and why it is left alone. */
static int do_scan(struct args *x)
{
	struct scan s;
	int err = scan_devices(&x->a, "", &s);

	for (size_t i = 0; !err && i < s.n; i++) {
		const struct scan_device *d = &s.dev[i];
		const char *why = scan_refuses(&s, d, number(x, "guests"));
		const char *used = scan_in_use(&x->a, &s, d);

		if (!d->size)
			continue;
		printf("%s %s %u:%u %" PRIu64 " %u%s%s%s%s: %s; %s\n", d->name, d->path, major(d->dev),
		       minor(d->dev), d->size, d->sector, d->read_only ? " ro" : "",
		       d->wwid ? " " : "", d->wwid ? d->wwid : "", d->root ? " root" : "",
		       why ? why : "ok", used ? used : "free");
	}
	return err;
}

static int probe(struct args *x, bool wipe)
{
	struct io *io = NULL;
	struct blkid_sign *v;
	size_t n = 0;
	int err = io_open(&io, AT_FDCWD, arg(x, "path"), wipe ? IO_RDWR : IO_RDONLY);

	if (!err)
		err = blkid_probe(io, &x->a, &v, &n);
	for (size_t i = 0; i < n; i++)
		printf("%s 0x%" PRIx64 "\n", v[i].name, v[i].at);
	if (!err && wipe)
		err = blkid_wipe(io, v, n);
	io_close(io);
	return err;
}

static int do_probe(struct args *x)
{
	return probe(x, false);
}

static int do_wipe(struct args *x)
{
	return probe(x, true);
}

static int do_look_again(struct args *x)
{
	return lvmhost_look_again("");
}

/* --- main --------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	int (*run)(struct args *x);
} commands[] = {
	{ "version", do_version }, { "create", do_create },
	{ "create_many", do_create_many }, { "load", do_load },
	{ "clear", do_clear }, { "suspend", do_suspend }, { "resume", do_resume },
	{ "rename", do_rename }, { "remove", do_remove }, { "info", do_info },
	{ "table", do_table }, { "status", do_status }, { "deps", do_deps },
	{ "message", do_message }, { "list", do_list }, { "activate", do_activate },
	{ "reload", do_reload }, { "deactivate", do_deactivate }, { "move", do_move },
	{ "freeze", do_freeze }, { "scan", do_scan }, { "probe", do_probe }, { "wipe", do_wipe },
	{ "look_again", do_look_again },
};

static void fill(struct args *x)
{
	const char *wait = arg(x, "wait");

	x->d = (struct dm_device){
		.name = arg(x, "name"),
		.uuid = arg(x, "uuid"),
		.kind = number(x, "kind"),
		.read_only = number(x, "ro"),
		.group = arg(x, "group"),
		.volume = arg(x, "volume"),
		.root = arg(x, "root"),
		.deadline = wait ? clock_now_mono() + strtoul(wait, NULL, 10) * NS_PER_MS : 0,
	};
	x->event.flags = UDEV_PRIMARY | UDEV_NO_NODE | UDEV_NO_SUBSYSTEM;
}

int main(int argc, char **argv)
{
	struct args x = { .v = argv + (argc > 1 ? 2 : 1) };
	int err = -ENOSYS;

	fill(&x);
	x.ctl = dm_open();
	if (x.ctl < 0)
		err = x.ctl;
	for (size_t i = 0; argc > 1 && x.ctl >= 0 && i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			err = commands[i].run(&x);
	arena_free(&x.a);
	if (err)
		fprintf(stderr, "%s\n", err <= -E_BASE ? err_text(err) : err_name(err));
	return !!err;
}
