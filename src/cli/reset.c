/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "events.h"
#include "named.h"
#include "records.h"
#include "stay.h"

struct reset_options {
	bool force;
};

static void fill(struct reset_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_FLAG(
			"force", &o->force, NULL,
			"Stop it, if it runs, and throw away what nobody has taken over",
			"Its processes are killed. Without it a sandbox with changes in an overlay workspace stays as it is.",
			OPT_LETTER('f')),
		OPT_END,
	};

	*o = (struct reset_options){ .force = false };
	memcpy(table, rows, sizeof(rows));
}

#define ROWS 2

static const struct opt *options(void)
{
	static struct reset_options o;
	static struct opt table[ROWS];

	fill(&o, table);
	return table;
}

const struct command_words reset_words = {
	.about =
		"Empties sandboxes that do not run: their homes, what their commands left elsewhere, their output, the secrets that 'bailey secret set --sandbox' keeps for them, and what was changed in copies of workspaces. They keep their names, options, rules, services and volumes. " NAMED_SEVERAL,
	.options = options,
	.examples = { { "bailey reset -f box", "a fresh start" } },
	.statuses = { { "0", "done" },
		      { "3", "there is no such sandbox" },
		      { "4", "one runs, or has changes to be reviewed" },
		      { "2", "wrong options" } },
};

/* Whether the sandbox whose directory is @path has secrets of its own. */
static bool has_secrets(const char *path)
{
	char place[LIMIT_PATH + 16];
	const struct dirent *de = NULL;
	DIR *d;

	(void)snprintf(place, sizeof(place), "%s/secrets", path);
	d = opendir(place);
	do {
		de = d ? readdir(d) : NULL;
	} while (de && de->d_name[0] == '.');
	if (d)
		(void)closedir(d);
	return de;
}

/* Its directory is put out of the way as one, whatever ids its files have: who is killed leaves all of it or nothing. What is left then is removed by the next, or by prune. */
static int empty(const struct named *n, const struct named_box *box, struct err *e)
{
	struct jail_identity id = { .lock = -1 };
	char path[LIMIT_PATH], hidden[32];
	_cleanup_close_ int dir =
		openat(n->state, "sandboxes", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	bool secrets;
	int r;

	if (dir < 0)
		return err_sys(e, -errno, "sandbox '%s'", box->name);
	r = stay_look(box->ids ? (unsigned int)strtoul(box->ids, NULL, 10) : 0, &id, e);
	if (r == 0 &&
	    snprintf(path, sizeof(path), "%s/sandboxes/%s", n->path, box->id) >= (int)sizeof(path))
		r = err_set(e, ERR_SYSTEM, -ENAMETOOLONG, "the path of the state is too long");
	if (r == 0)
		r = set_ids_end(path, &id, e);
	if (r < 0)
		return r;
	secrets = has_secrets(path);
	(void)snprintf(hidden, sizeof(hidden), ".%s", box->id); /* 10 digits */
	(void)stay_forget(dir, hidden,
			  &id); /* of one who was killed; if it is there, the next fails */
	/* who has opened the lock sees that it is another's */
	if (renameat(dir, box->id, dir, hidden) < 0)
		return err_sys(e, -errno, "sandbox '%s'", box->name);
	named_dir(n, box->id);
	r = stay_forget(dir, hidden, &id);
	if (r == 0 && secrets)
		(void)dprintf(2, "bailey: notice: the secrets of sandbox '%s' are gone, too\n",
			      box->name);
	return r < 0 ? err_sys(e, r, "sandbox '%s'", box->name) : 0;
}

static int reset(struct named *n, const struct named_box *box, const void *arg, struct err *e)
{
	const struct reset_options *o = arg;
	_cleanup_close_ int lock = -1;
	int r = o->force ? named_stop(n, box, 0, e) : 0;

	if (r < 0)
		return r;
	lock = named_lock_stopped(n, box, e);
	if (lock < 0)
		return lock;
	r = records_may_go(box, "reset", o->force, e);
	if (r == 0)
		r = empty(n, box, e);
	if (r == 0)
		r = records_forget(box, e);
	if (r == 0)
		events_add(n->state, &(struct event){ .what = "reset",
						      .id = box->id,
						      .name = box->name,
						      .status = -1 });
	return r;
}

int reset_main(char **argv)
{
	struct reset_options o;
	struct opt table[ROWS];

	fill(&o, table);
	return named_each(argv, table, "reset", reset, &o);
}
