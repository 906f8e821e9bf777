/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files in and out of a sandbox that stays. Inside, a copy of PID 1 packs or unpacks (init/copy.c), by the sandbox's rights; here, this process does the other half, by
 * the caller's. Between them is one pipe with a stream of tar, whose bytes are hostile when they come from inside.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "archive/archive.h"
#include "client.h"
#include "inside.h"
#include "sandbox.h"

#define BYTES_MAX "64G"
#define NOT_WHOLE 1 /* our exit status then */
#define BUSY 4      /* and when nothing was begun */

struct cp_options {
	bool archive, follow;
	const char *most;
};

#define ROWS 4

static void fill(struct cp_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_FLAG(
			"archive", &o->archive, NULL, "Keep owner and group, by their numbers",
			"Without it what is copied belongs to whoever copies: to you here, to the sandbox's user inside. Who may not give files away gets an error.",
			OPT_LETTER('a')),
		OPT_FLAG("follow-link", &o->follow, NULL, "Follow the link that the source is",
			 "Without it a link is copied as a link. Links below the source always are.",
			 OPT_LETTER('L')),
		OPT_STRING(
			"max-size", &o->most, NULL, "SIZE",
			"Take no more than SIZE out of a sandbox; default: " BYTES_MAX,
			"As 512M or 10G. Holes of files count, too, although they take no room here."),
		OPT_END,
	};

	*o = (struct cp_options){ .most = NULL };
	memcpy(table, rows, sizeof(rows));
	_Static_assert(ARRAY_SIZE(rows) == ROWS, "say how many rows there are");
}

static const struct opt *options(void)
{
	static struct cp_options o;
	static struct opt table[ROWS];

	fill(&o, table);
	return table;
}

const struct command_words cp_words = {
	.about =
		"Copies a file or a directory out of a sandbox that stays, or into it, which is started if it does not run. One of the two is SANDBOX:PATH; a PATH that is relative begins "
		"where commands of the sandbox begin. As with cp, a directory that is there gets what is copied, else that is its new name; DIR/. means what is in DIR.\n\n"
		"In the place of the path here may stand -: then an archive of tar is written to stdout, or read from stdin and unpacked into the directory PATH. "
		"A PATH here that is a device, a FIFO, a socket or a link to one is refused, and so is a link as the place to write, unless it leads to a directory.\n\n"
		"What is copied is read and written inside by the rights of the sandbox. Modes, times and attributes of the user are kept, set-id bits are not; sockets, FIFOs and devices are left out, of an archive, too, and a notice names each. "
		"No link in what comes leads to another place: a name that would be reached through one is an error. A local file with a colon in its name is written as ./NAME.",
	.options = options,
	.examples = { { "bailey cp box:result.txt .", "out of the sandbox" },
		      { "bailey cp src box:/tmp/work", "a directory into it" },
		      { "bailey cp box:/tmp/work - | tar -t", "as an archive" } },
	.statuses = { { "0", "copied" },
		      { "1", "it could not be copied whole; one line says why" },
		      { "2", "wrong options or names; nothing was copied" },
		      { "3", "there is no such sandbox" },
		      { "4",
			"it is paused, and only 'bailey resume' may wake it; or it is being stopped" },
		      { "125", "the sandbox can't be started" } },
};

/* What is asked for. */
struct copy {
	const char *box; /* the sandbox */
	const char *inside, *here;
	bool out;    /* of the sandbox */
	bool stream; /* here is stdin, or stdout */
	char name[64];
};

/* "NAME:PATH". Return: the path, with the name in @name; or NULL: it is a path here. */
static const char *split(const char *word, char name[64])
{
	const char *colon = strchr(word, ':');

	if (!colon || colon == word || word[0] == '/' || word[0] == '.' ||
	    memchr(word, '/', (size_t)(colon - word)) || colon - word > 63)
		return NULL;
	(void)snprintf(name, 64, "%.*s", (int)(colon - word), word);
	return colon + 1;
}

static int read_words(char *const *argv, struct copy *c, struct err *e)
{
	const char *from, *to;
	char other[64];

	if (!argv[0] || !argv[1] || argv[2])
		return err_set(e, ERR_USAGE, -EINVAL,
			       "name two places: bailey cp SANDBOX:PATH PATH, or the other way");
	from = split(argv[0], c->name);
	to = split(argv[1], from ? other : c->name);
	if (!from == !to)
		return err_set(
			e, ERR_USAGE, -EINVAL,
			from ? "'%.60s' and '%.60s' are both in sandboxes; one must be here" :
			       "neither '%.60s' nor '%.60s' is SANDBOX:PATH",
			argv[0], argv[1]);
	c->out = from != NULL;
	c->inside = c->out ? from : to;
	c->here = argv[c->out ? 1 : 0];
	c->box = c->name;
	if (!*c->inside)
		return err_set(e, ERR_USAGE, -EINVAL, "'%.100s': the path is missing",
			       argv[c->out ? 0 : 1]);
	if (!*c->here)
		return err_set(e, ERR_USAGE, -EINVAL, "the path here is empty");
	c->stream = strcmp(c->here, "-") == 0;
	return 0;
}

static int begin(struct inside *h, const struct copy *c, const struct cp_options *o, struct err *e)
{
	char flags[4] = "", ids[24];
	char *argv[] = { (char *)(uintptr_t)(c->out ? INIT_COPY_OUT : INIT_COPY_IN),
			 (char *)(uintptr_t)c->inside, flags,
			 c->stream ? NULL :
				     ids, /* a stream of the caller's own says what it means */
			 NULL };
	size_t n = 0;

	(void)snprintf(ids, sizeof(ids), "%u:%u", geteuid(), getegid());
	if (c->out && o->follow)
		flags[n++] = INIT_COPY_FOLLOW;
	if (!c->out && o->archive)
		flags[n++] = INIT_COPY_OWNER;
	if (!c->out && c->stream)
		flags[n++] = INIT_COPY_INTO;
	return inside_begin(h, argv, NULL, c->out ? INSIDE_WRITES : INSIDE_READS, NULL, c->box, e);
}

/* All bytes of @from to @to. Return: 0 or negative errno with @e. */
static int carry(int from, int to, uint64_t most, const char *what, struct err *e)
{
	static char part[65536]; /* one process, one thread */
	uint64_t bytes = 0;
	ssize_t n;
	int r;

	while ((n = read(from, part, sizeof(part))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		bytes += n > 0 ? (uint64_t)n : 0;
		if (most && bytes > most)
			return err_set(e, ERR_USAGE, -EFBIG, "more than %llu bytes come",
				       (unsigned long long)most);
		r = n < 0 ? -errno : fd_write_all(to, part, (size_t)n);
		if (r < 0)
			return err_sys(e, r, "%s", what);
	}
	return 0;
}

static void left_out(void *arg, const char *path, const char *why)
{
	struct buf b = BUF_INIT(2ul * LIMIT_PATH);

	(void)arg;
	buf_puts(&b, "bailey: " INIT_COPY_NOTICE);
	buf_quote(&b, path);
	buf_printf(&b, ": %s is left out\n", why);
	if (!b.failed)
		(void)fd_write_all(2, b.data, b.len); /* nobody is left to tell */
	buf_done(&b);
}

/* Our half. Return: 0 or negative errno with @e. */
static int half(const struct inside *h, const struct copy *c, const struct cp_options *o,
		uint64_t most, struct err *e)
{
	const struct archive_unpack u = {
		.path = c->here, .named = true, .owner = o->archive, .bytes = most
	};
	const struct archive_pack p = { .path = c->here,
					.follow = o->follow,
					.left_out = left_out };

	if (c->out)
		return c->stream ? carry(h->data, 1, most, "stdout", e) :
				   archive_unpack(&u, h->data, e);
	return c->stream ? carry(0, h->data, 0, "the sandbox", e) : archive_pack(&p, h->data, e);
}

/*
 * Both halves. What failed inside says more than what that made of ours: a pipe that nobody reads, an archive that is cut off.
 * Return: exit status, or negative errno with @e.
 */
static int copy(struct inside *h, const struct copy *c, const struct cp_options *o, uint64_t most,
		struct err *e)
{
	struct err own = ERR_INIT;
	char said[512];
	int r = begin(h, c, o, e), ours, theirs;

	if (r < 0)
		return r;
	ours = half(h, c, o, most, &own);
	cleanup_close(&h->data); /* its end, or nobody is there any more */
	h->data = -1;
	theirs = inside_end(h, said, sizeof(said), e);
	if (theirs < 0)
		return theirs;
	if (theirs != 0 && (ours == 0 || own.sys == EPIPE || own.sys == EBADMSG))
		return err_set(e, ERR_SYSTEM, -EIO, "sandbox '%s': %s", c->box,
			       *said ? said : "the copying was ended");
	/* it has all that it wants: archives are padded behind their end */
	if (theirs == 0 && !c->out && (own.sys == EPIPE || own.sys == ECONNRESET))
		return 0;
	if (ours < 0)
		*e = own;
	return ours;
}

/* Before a sandbox is started for it. */
static int check_here(const struct copy *c, struct err *e)
{
	struct stat st;

	if (c->stream)
		return 0;
	if (!c->out && lstat(c->here, &st) < 0)
		return err_set(e, ERR_USAGE, -errno, "'%.150s': %s", c->here, strerror(errno));
	return archive_named(AT_FDCWD, c->here, c->here, c->out, e);
}

int cp_main(char **argv)
{
	struct cp_options o;
	struct opt table[ROWS];
	struct inside h = INSIDE_INIT;
	struct named n = { .state = -1, .runtime = -1 };
	struct err e = ERR_INIT;
	struct copy c = { .inside = "", .here = "" };
	uint64_t most = 0;
	bool begun, busy;
	int r;

	(void)signal(SIGPIPE, SIG_IGN); /* a half that has ended says why */
	fill(&o, table);
	r = opt_parse_all(table, argv, &e);
	if (r == 0)
		r = read_words(argv, &c, &e);
	if (r == 0 &&
	    policy_limit_parse(POLICY_LIMIT_FSIZE, o.most ? o.most : BYTES_MAX, &most, &e) < 0)
		r = err_wrap(&e, -EINVAL, "--max-size");
	if (r == 0)
		r = check_here(&c, &e);
	if (r == 0)
		r = named_open(&n, &e);
	if (r == 0)
		r = client_connect(&n, c.box, &h.sock, &e);
	begun = r == 0;
	if (r == 0)
		r = copy(&h, &c, &o, most, &e);
	busy = h.busy;
	inside_done(&h);
	named_done(&n);
	if (r < 0 && begun)
		return (void)cli_fail(&e), busy ? BUSY : NOT_WHOLE;
	return r < 0 ? cli_fail(&e) : r;
}
