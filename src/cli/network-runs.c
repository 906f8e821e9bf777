/* SPDX-License-Identifier: Apache-2.0 */
#include "network-runs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "gateway/gateway.h"
#include "named.h"

#define FOLLOW_MS 200
#define ANSWER_MS 5000
#define ANSWER_MAX (2u << 20)

int network_runs_open(struct network_runs *n, struct err *e)
{
	struct sandbox s = { .arena = ARENA_INIT(LIMIT_ARENA), .id = { .lock = -1 } };
	int r = sandbox_find_home(&s, e);

	*n = (struct network_runs){ .dir = -1, .heads = -1 };
	if (r == 0)
		r = egress_dirs(s.home, false, &n->dir, &n->heads, e);
	sandbox_done(&s);
	return r == -ENOENT ? 0 : r;
}

void network_runs_done(struct network_runs *n)
{
	cleanup_close(&n->dir);
	cleanup_close(&n->heads);
	n->dir = n->heads = -1;
}

static bool is_id(const char *word, size_t least)
{
	size_t n = strspn(word, "0123456789abcdef");

	return !word[n] && n >= least && n <= EGRESS_ID;
}

/* Call @each for every run; it returns what ends that, or 0. */
static int for_each(const struct network_runs *n,
		    int (*each)(void *arg, const char *id, const struct stat *st), void *arg)
{
	int fd = n->dir < 0 ? -1 : openat(n->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *en;
	struct stat st;

	if (!d) {
		cleanup_close(&fd);
		return 0;
	}
	while (r == 0 && (en = readdir(d))) {
		if (is_id(en->d_name, EGRESS_ID) &&
		    fstatat(n->dir, en->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISDIR(st.st_mode))
			r = each(arg, en->d_name, &st);
	}
	(void)closedir(d);
	return r;
}

/* What the run was: owned by @a. Return: NULL when that is not known. */
static const struct json_node *read_about(int dir, struct arena *a)
{
	_cleanup_close_ int fd = openat(dir, "about", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct buf b = BUF_INIT(1u << 17);
	const struct json_node *root = NULL;

	if (fd < 0 || fd_read_all(fd, &b) < 0 || !b.data ||
	    json_read("about", b.data, b.len, a, &root, NULL) < 0)
		root = NULL;
	buf_done(&b);
	return root;
}

static bool is_of(int runs, const char *id, const char *cwd)
{
	_cleanup_close_ int dir = openat(runs, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct arena a = ARENA_INIT(1u << 20);
	const struct json_node *root = dir < 0 ? NULL : read_about(dir, &a);
	const char *of = root ? json_text(root, "cwd") : NULL;
	bool is = of && strcmp(of, cwd) == 0;

	arena_done(&a);
	return is;
}

struct search {
	int runs;
	const char *word; /* or NULL: of this directory */
	const char *cwd;
	char id[EGRESS_ID + 1];
	struct timespec time;
	size_t found;
};

static int on_found(void *arg, const char *id, const struct stat *st)
{
	struct search *s = arg;
	bool newer = st->st_ctim.tv_sec > s->time.tv_sec || (st->st_ctim.tv_sec == s->time.tv_sec &&
							     st->st_ctim.tv_nsec > s->time.tv_nsec);

	if (s->word ? strncmp(id, s->word, strlen(s->word)) != 0 : !is_of(s->runs, id, s->cwd))
		return 0;
	if (s->found == 0 || newer) {
		memcpy(s->id, id, sizeof(s->id));
		s->time = st->st_ctim;
	}
	s->found++;
	return 0;
}

int network_runs_find(const struct network_runs *n, const char *word, char *id, struct err *e)
{
	char cwd[LIMIT_PATH];
	struct search s = { .runs = n->dir, .word = word, .cwd = cwd };
	struct named_ref box;
	int fd;

	/* a sandbox that stays has its own ID here, too */
	if (word && !is_id(word, EGRESS_ID) && named_ref(word, &box)) {
		(void)snprintf(id, EGRESS_ID + 1, "%s", box.id);
		fd = n->dir < 0 ?
			     -ENOENT :
			     openat(n->dir, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		return fd < 0 ? err_set(e, ERR_USAGE, -ENOENT,
					"sandbox '%.100s' has not used a network", word) :
				fd;
	}
	if (!getcwd(cwd, sizeof(cwd)))
		return err_sys(e, -errno, "current directory");
	if (word && !is_id(word, 4))
		return err_set(
			e, ERR_ABSENT, -ENOENT,
			"'%.100s' is no sandbox, and no ID of a run, which has 4 to %d hexadecimal digits (bailey network ls lists them)",
			word, EGRESS_ID);
	(void)for_each(n, on_found, &s);
	if (s.found == 0)
		return err_set(
			e, ERR_ABSENT, -ENOENT,
			word ? "no run '%.100s' has had a network (bailey network ls lists them)" :
			       "no run of this directory has had a network (bailey network ls lists all)%.0s",
			word ? word : "");
	if (word && s.found > 1)
		return err_set(e, ERR_USAGE, -EEXIST, "'%.100s' is the beginning of several IDs",
			       word);
	memcpy(id, s.id, sizeof(s.id));
	fd = openat(n->dir, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_sys(e, -errno, "network log %s", id) : fd;
}

/* --- the log --- */

#define KEPT_MAX 100000u

struct printing {
	const struct network_log_options *o;
	uint64_t last; /* printed or passed over */
	uint64_t from; /* lines before are passed over */
	bool counting;
	uint64_t matches;
	struct buf out;
};

/* A rule that was changed to deny something has denied nothing yet. */
static bool is_denial(const struct json_node *root)
{
	const char *decision = json_text(root, "decision"), *event = json_text(root, "event");

	return decision && strcmp(decision, "deny") == 0 && event && strcmp(event, "change") != 0;
}

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

/* Of a request that was looked into: what it was, and what came of it. */
static void print_request(struct buf *b, const struct json_node *root)
{
	const char *method = json_text(root, "method"), *target = json_text(root, "target");
	const char *status = json_text(root, "status"), *secret = json_text(root, "secret");

	if (method) {
		buf_puts(b, "  ");
		buf_quote(b, method);
	}
	if (target) {
		buf_puts(b, " ");
		buf_quote(b, target);
	}
	if (status)
		buf_printf(b, "  answered %s", status);
	if (secret) {
		buf_puts(b, "  with the secret ");
		buf_quote(b, secret);
	}
}

static void print_text(struct buf *b, const struct json_node *root)
{
	const char *event = or_empty(json_text(root, "event"));
	const char *name = json_text(root, "name"), *address = json_text(root, "address");
	const char *port = json_text(root, "port"), *via = json_text(root, "via");
	const char *rule = json_text(root, "rule"), *reason = json_text(root, "reason");
	const char *sent = json_text(root, "sent"), *received = json_text(root, "received");
	const char *decision = json_text(root, "decision");

	buf_printf(b, "%s  %-6s ", or_empty(json_text(root, "time")), event);
	if ((strcmp(event, "change") == 0 || strcmp(event, "request") == 0) && decision)
		buf_printf(b, " %s", decision);
	if (name || address) {
		buf_puts(b, " ");
		buf_quote(b, name ? name : address);
		if (port)
			buf_printf(b, ":%s", port);
		if (name && address)
			buf_printf(b, " (%s)", address);
	}
	if (via)
		buf_printf(b, "  %s", via);
	if (strcmp(event, "request") == 0)
		print_request(b, root);
	if (rule) {
		buf_puts(b, "  ");
		buf_quote(b, rule);
	}
	if (strcmp(event, "close") == 0 && sent && received)
		buf_printf(b, "  sent %s, received %s bytes in %s ms", sent, received,
			   or_empty(json_text(root, "ms")));
	if (reason) {
		buf_puts(b, "  ");
		buf_quote(b, reason);
	}
	buf_puts(b, "\n");
}

static int on_line(void *arg, const struct audit_line *line)
{
	struct printing *p = arg;
	struct arena a = ARENA_INIT(65536);
	const struct json_node *root;

	if (line->seq <= p->last)
		return 0;
	if (json_read("log", line->text, line->len, &a, &root, NULL) == 0 &&
	    (!p->o->denied || is_denial(root))) {
		p->matches++;
		if (!p->counting && p->matches > p->from) {
			if (p->o->json) {
				buf_add(&p->out, line->text, line->len);
				buf_puts(&p->out, "\n");
			} else {
				print_text(&p->out, root);
			}
		}
	}
	if (!p->counting)
		p->last = line->seq;
	arena_done(&a);
	return 0;
}

/* Whether the run's gateway, or its supervisor, still listens. */
static bool is_live(int dir)
{
	struct sockaddr_un at;
	socklen_t size = (socklen_t)egress_address(dir, &at);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && faccessat(dir, "control", F_OK, 0) == 0 &&
	       connect(fd, (struct sockaddr *)&at, size) == 0;
}

static int flush_out(struct printing *p, struct err *e)
{
	int r = p->out.failed ? err_set(e, ERR_SYSTEM, -E2BIG, "the log is too long; use --limit") :
				0;

	if (r == 0 && p->out.len > 0)
		r = fd_write_all(1, p->out.data, p->out.len);
	p->out.len = 0;
	return r;
}

/* Until it ends, or is removed with its log. @word: what it is called. Return: as audit_read(). */
static int follow(struct printing *p, const struct network_runs *n, int dir, const char *id,
		  const char *word, uint64_t *bad, const char **why, struct err *e)
{
	bool live = true, first = true;
	struct stat st;
	int r;

	for (;; first = false) {
		r = audit_read(dir, n->heads, id, on_line, p, bad, why, e);
		if (r == 0)
			r = flush_out(p, e);
		if (!p->o->follow || (r < 0 && first) || (r == 0 && !live && !*why))
			return r;
		live = faccessat(dir, "control", F_OK, 0) == 0;
		(void)poll(NULL, 0, FOLLOW_MS);
		if (fstat(dir, &st) == 0 && st.st_nlink == 0) {
			/* what was missing of it meanwhile was removed, too */
			(void)dprintf(2, "bailey: notice: %s was removed, and its log with it\n",
				      word ? word : id);
			*why = NULL;
			*e = (struct err)ERR_INIT;
			return 0;
		}
		if (r < 0 || *why)
			return r;
	}
}

static int say_whole(const char *id, bool json, uint64_t bad, const char *why)
{
	struct buf b = BUF_INIT(4096);
	struct json j = { .out = &b };
	int r;

	if (!json) {
		(void)dprintf(1, "the log %s is whole\n", id);
		return 0;
	}
	json_open(&j, NULL, '{');
	json_str(&j, "id", id);
	json_bool(&j, "whole", !why);
	if (why)
		json_int(&j, "line", (long long)bad);
	json_str(&j, "why", why);
	json_close(&j, '}');
	buf_puts(&b, "\n");
	r = cli_print(&b);
	buf_done(&b);
	return r;
}

int network_runs_log(const char *word, const struct network_log_options *o, struct err *e)
{
	struct printing p = { .o = o, .out = BUF_INIT((size_t)4 * LIMIT_AUDIT) };
	_cleanup_close_ int dir = -1;
	const char *why = NULL;
	struct network_runs n;
	uint64_t bad = 0;
	char id[EGRESS_ID + 1];
	int r = network_runs_open(&n, e);

	if (r == 0) {
		dir = network_runs_find(&n, word, id, e);
		r = dir < 0 ? dir : 0;
	}
	if (r == 0 && o->limit) {
		p.counting = true;
		r = audit_read(dir, n.heads, id, on_line, &p, NULL, NULL, e);
		p.from = p.matches > o->limit ? p.matches - o->limit : 0;
		p.matches = 0;
		p.counting = false;
	}
	if (r == 0)
		r = o->verify ? audit_read(dir, n.heads, id, NULL, &p, &bad, &why, e) :
				follow(&p, &n, dir, id, word, &bad, &why, e);
	if (r == 0 && o->verify && (o->json || !why))
		r = say_whole(id, o->json, bad, why);
	if (r == 0 && why && !(o->verify && o->json))
		(void)dprintf(
			2,
			"bailey: the log %s was tampered with, or a disk has failed: line %llu: %s\n",
			id, (unsigned long long)bad, why);
	if (r == 0 && why)
		r = 1;
	buf_done(&p.out);
	network_runs_done(&n);
	return r;
}

/* --- all of them --- */

/* A run that is listed. */
struct listed {
	char id[EGRESS_ID + 1];
	struct timespec start;
};

struct listing {
	const struct network_runs *runs;
	const struct json_node *boxes; /* the sandboxes that stay, or NULL */
	const char *only;              /* an ID, or NULL: all */
	bool json;
	struct json j;
	struct buf *out;
	struct listed *v;
	size_t n, room;
};

/* The name of the sandbox that stays whose ID is @id, or NULL. */
static const char *name_of(const struct listing *l, const char *id)
{
	const struct json_node *v;
	const char *its;

	for (v = l->boxes ? l->boxes->first : NULL; v; v = v->next) {
		its = json_text(v, "id");
		if (its && strcmp(its, id) == 0)
			return json_text(v, "name");
	}
	return NULL;
}

/* When it was started last: egress.c sets that time. */
static int on_found_start(void *arg, const char *id, const struct stat *st)
{
	struct listing *l = arg;
	char path[EGRESS_ID + 16];
	struct stat about;
	struct listed *more;

	if (l->only && strcmp(l->only, id) != 0)
		return 0;
	if (l->n == l->room) {
		more = reallocarray(l->v, l->room ? 2 * l->room : 64, sizeof(*l->v));
		if (!more)
			return -ENOMEM;
		l->v = more;
		l->room = l->room ? 2 * l->room : 64;
	}
	(void)snprintf(path, sizeof(path), "%s/about", id);
	if (fstatat(l->runs->dir, path, &about, AT_SYMLINK_NOFOLLOW) < 0)
		about.st_mtim = st->st_ctim; /* the nearest that there is */
	(void)snprintf(l->v[l->n].id, sizeof(l->v[l->n].id), "%s", id);
	l->v[l->n++].start = about.st_mtim;
	return 0;
}

static int by_start(const void *x, const void *y)
{
	const struct listed *a = x, *b = y;

	if (a->start.tv_sec != b->start.tv_sec)
		return a->start.tv_sec < b->start.tv_sec ? -1 : 1;
	if (a->start.tv_nsec != b->start.tv_nsec)
		return a->start.tv_nsec < b->start.tv_nsec ? -1 : 1;
	return strcmp(a->id, b->id);
}

static void list_one(struct listing *l, const struct listed *one)
{
	const char *name = name_of(l, one->id);
	_cleanup_close_ int dir =
		openat(l->runs->dir, one->id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct arena a = ARENA_INIT(1u << 20);
	struct buf words = BUF_INIT(1u << 17);
	const struct json_node *root, *n, *word;
	const char *cwd = NULL, *state;
	char start[32];
	struct tm tm;

	if (dir < 0)
		return;
	state = is_live(dir) ? "live" : "ended";
	root = read_about(dir, &a);
	if (root) {
		cwd = json_text(root, "cwd");
		for (n = root->first; n; n = n->next) {
			for (word = strcmp(n->key, "command") == 0 ? n->first : NULL; word;
			     word = word->next) {
				if (words.len > 0)
					buf_puts(&words, " ");
				text_shell(&words, word->text ? word->text : "");
			}
		}
	}
	if (l->json) {
		json_open(&l->j, NULL, '{');
		json_str(&l->j, "id", one->id);
		json_str(&l->j, "state", state);
		json_str(&l->j, "sandbox", name);
		json_int(&l->j, "time", (long long)one->start.tv_sec);
		json_str(&l->j, "cwd", cwd);
		json_str(&l->j, "command", words.data ? words.data : "");
		json_close(&l->j, '}');
	} else {
		if (!gmtime_r(&one->start.tv_sec, &tm))
			memset(&tm, 0, sizeof(tm));
		(void)strftime(start, sizeof(start), "%Y-%m-%dT%H:%M:%SZ", &tm);
		buf_printf(l->out, "%s  %-5s  %s  ", one->id, state, start);
		buf_quote(l->out, cwd ? cwd : "");
		buf_puts(l->out, "  ");
		buf_quote(l->out, name ? name : words.data ? words.data : "");
		buf_puts(l->out, "\n");
	}
	buf_done(&words);
	arena_done(&a);
}

int network_runs_list(const char *word, bool json, struct err *e)
{
	struct buf out = BUF_INIT(LIMIT_OUTPUT);
	struct network_runs n;
	struct named named = { .state = -1, .runtime = -1 };
	struct listing l = { .runs = &n, .json = json, .j = { .out = &out }, .out = &out };
	char id[EGRESS_ID + 1];
	int r = network_runs_open(&n, e), fd = -1;
	size_t i;

	if (r == 0 && word) {
		fd = network_runs_find(&n, word, id, e);
		r = fd < 0 ? fd : 0;
		l.only = id;
	}
	cleanup_close(&fd);
	if (r == 0 && n.dir >= 0 && named_open(&named, e) == 0)
		(void)named_list_quiet(&named, &l.boxes); /* without it they have no names */
	if (r == 0 && for_each(&n, on_found_start, &l) < 0)
		r = err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	if (r == 0) {
		if (l.n > 0)
			qsort(l.v, l.n, sizeof(*l.v), by_start);
		if (json)
			json_open(&l.j, NULL, '[');
		for (i = 0; i < l.n; i++)
			list_one(&l, &l.v[i]);
		if (json) {
			json_close(&l.j, ']');
			buf_puts(&out, "\n");
		}
		r = cli_print(&out);
	}
	free(l.v);
	buf_done(&out);
	named_done(&named);
	network_runs_done(&n);
	return r;
}

/* --- the gateway of a live one --- */

static int read_line(int fd, struct buf *b)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char part[8192];
	ssize_t n;

	while (b->len == 0 || b->data[b->len - 1] != '\n') {
		if (poll(&p, 1, ANSWER_MS) != 1)
			return -ETIMEDOUT;
		n = recv(fd, part, sizeof(part), 0);
		if (n <= 0)
			return n < 0 ? -errno : -ECONNRESET;
		buf_add(b, part, (size_t)n);
		if (b->failed)
			return -E2BIG;
	}
	return 0;
}

static int ask(const char *word, const char *request, bool change, struct arena *a,
	       const struct json_node **ret, struct err *e)
{
	_cleanup_close_ int dir = -1, fd = -1;
	struct buf answer = BUF_INIT(ANSWER_MAX);
	const struct json_node *n;
	struct sockaddr_un at;
	struct network_runs runs;
	char id[EGRESS_ID + 1];
	socklen_t size;
	int r = network_runs_open(&runs, e);

	if (r == 0) {
		dir = network_runs_find(&runs, word, id, e);
		r = dir < 0 ? dir : 0;
	}
	network_runs_done(&runs);
	if (r < 0)
		return r;
	size = (socklen_t)egress_address(dir, &at);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&at, size) < 0)
		return err_set(
			e, ERR_USAGE, -ENOENT,
			change ?
				"run %s has ended; its rules can't change any more%.0s" :
				"run %s has ended, and has no rules any more; what it reached, and what was refused: bailey network log %s",
			id, id);
	r = fd_write_all(fd, request, strlen(request));
	if (r == 0)
		r = fd_write_all(fd, "\n", 1);
	if (r == 0)
		r = read_line(fd, &answer);
	if (r < 0)
		(void)err_sys(e, r, "gateway of run %s", id);
	else
		r = json_read("gateway", answer.data, answer.len - 1, a, ret, e);
	buf_done(&answer);
	if (r < 0)
		return r;
	for (n = (*ret)->first; n; n = n->next) {
		if (strcmp(n->key, "ok") == 0 && n->value)
			return 0;
	}
	return err_set(e, ERR_USAGE, -EINVAL, "%s", or_empty(json_text(*ret, "error")));
}

int network_runs_ask(const char *word, const char *request, struct arena *a,
		     const struct json_node **ret, struct err *e)
{
	return ask(word, request, false, a, ret, e);
}

int network_runs_tell(const char *word, const struct net_change *c, struct err *e)
{
	struct arena a = ARENA_INIT(1u << 20);
	struct buf b = BUF_INIT(65536);
	struct json j = { .out = &b };
	const struct json_node *answer;
	int r;

	net_change_write(c, &j);
	r = b.failed ? err_set(e, ERR_USAGE, -E2BIG, "the rule is too long") :
		       ask(word, b.data, true, &a, &answer, e);
	buf_done(&b);
	arena_done(&a);
	return r;
}
