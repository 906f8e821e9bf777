/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A private directory of the host holds a socket, which the process listens at, and a file of known hosts; the sandbox is shown both at the same
 * place. When it has its mounts the names are removed on the host: what is mounted stays, nobody else can come by them, and nothing is left behind when we are killed.
 *
 * A sandbox that stays starts without an agent, too (a boot), and outlives one (a log-out): no process is there then, and who connects to the socket is heard by us. If an agent
 * answers now a process is started, which finds the client waiting; else the client is let go. So code inside may have it tried as often as it likes: once in RETRY_MS.
 */
#include "ssh.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "egress.h"
#include "keys-program.h"
#include "keys.h"
#include "keys/keys.h"
#include "private-dir.h"
#include "sandbox.h"

#define PROGRAM "bailey-keys"
#define DIR_MAX PRIVATE_DIR_MAX
#define END_MS 2000
#define RETRY_MS 1000
#define SAID_MAX 20 /* lines of each kind that the end of a run prints */
#define CONFIG "/etc/ssh/ssh_config"
#define CONFIG_MAX (1u << 20)

struct ssh_run {
	pid_t pid;
	int control;
	char dir[DIR_MAX];   /* "": its names are gone */
	int listener, known; /* the socket and the file in it; of a run known alone */
	/* the rest is a sandbox's that stays */
	struct run *run;
	bool ready; /* the process has answered */
	struct loop_source *asked,
		*said; /* listener, while there is no process; control, while there is one */
	long retry_at; /* ms of CLOCK_MONOTONIC */
	char missing[sizeof(
		((struct err *)0)->msg)]; /* why there is no process, as it was said last, or "" */
};

static bool is_key(const struct opt_value *v)
{
	return strcmp(v->opt->name, "ssh-key") == 0;
}

int ssh_check(struct sandbox *s, struct err *e)
{
	const struct opt_list *l = &s->options->secrets;
	char where[LIMIT_WHERE];
	struct ssh_grant g;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < l->n; i++) {
		if (!is_key(&l->v[i]))
			continue;
		s->n_ssh++;
		r = ssh_grant_parse(&g, l->v[i].value, e);
		if (r == 0 && l->v[i].source && ssh_grant_file(&g) && g.key[0] != '/' &&
		    strncmp(g.key, "~/", 2) != 0)
			r = err_set(e, ERR_USAGE, -EINVAL,
				    "'%.100s': a file's path begins with / or ~/ in a policy file",
				    g.key);
		if (r < 0)
			return err_wrap(e, r, "%s", sandbox_where(&l->v[i], where));
	}
	if (s->n_ssh > 0 && egress_kind(s) == JAIL_NETWORK_NONE)
		sandbox_notice(
			s,
			"--ssh-key: there is no network to log in over; --allow-host HOST:22 allows a host");
	return 0;
}

/* --- starting it --- */

/* Show @path, which we have made. */
static int add_socket(struct sandbox *s, const char *path, struct err *e)
{
	struct sandbox_socket *sock = arena_alloc(&s->arena, sizeof(*sock));
	struct stat st;

	if (!sock || !(sock->path = sandbox_keep(s, path)))
		return sandbox_oom(e);
	sock->fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (sock->fd < 0 || fstat(sock->fd, &st) < 0)
		return err_sys(e, -errno, "%s", path);
	sock->dev = st.st_dev;
	sock->ino = st.st_ino;
	sock->next = s->sockets;
	s->sockets = sock;
	return policy_add(&s->policy, POLICY_SOCKET, POLICY_COMMAND, sock->path, "--ssh-key", e);
}

static int show(struct sandbox *s, const struct ssh_run *k, struct err *e)
{
	char path[DIR_MAX + 32];
	const char *known;
	int r;

	(void)snprintf(path, sizeof(path), "%s/agent", k->dir); /* fits */
	r = add_socket(s, path, e);
	if (r < 0)
		return r;
	s->ssh_dir = sandbox_keep(s, k->dir);
	known = arena_printf(&s->arena, "%s/known_hosts", k->dir);
	if (!s->ssh_dir || !known)
		return sandbox_oom(e);
	return policy_add(&s->policy, POLICY_ALLOW_READ, POLICY_COMMAND, known, "--ssh-key", e);
}

/* The directory and what is in it. Return: the listening socket, or negative errno with @e. */
static int make_dir(struct sandbox *s, struct ssh_run *k, struct err *e)
{
	char path[DIR_MAX + 32];
	_cleanup_close_ int listener = -1;
	int r = private_dir_make("bailey-ssh", k->dir, e);

	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), "%s/known_hosts", k->dir); /* fits */
	k->known = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (k->known < 0 || fchmod(k->known, 0644) < 0)
		return err_sys(e, -errno, "%s", path);
	listener = private_dir_socket(k->dir, "agent", e);
	if (listener < 0)
		return listener;
	r = show(s, k, e);
	return r < 0 ? r : TAKE_FD(listener);
}

static int tell(const struct sandbox *s, const struct ssh_run *k, const char *agent, struct err *e)
{
	const struct opt_list *l = &s->options->secrets;
	struct buf b = BUF_INIT(KEYS_LINE_MAX);
	struct json j = { .out = &b };
	size_t i;
	int r;

	json_open(&j, NULL, '{');
	json_int(&j, "version", KEYS_VERSION);
	json_str(&j, "agent", agent);
	json_str(&j, "home", s->home);
	if (k->run->live)
		json_bool(&j, "stays", true);
	json_open(&j, "grants", '[');
	for (i = 0; i < l->n; i++) {
		if (is_key(&l->v[i]))
			json_str(&j, NULL, l->v[i].value);
	}
	json_close(&j, ']');
	if (geteuid() == 0) {
		json_int(&j, "uid", egress_uid(s));
		json_int(&j, "gid", egress_gid(s));
	}
	json_close(&j, '}');
	buf_puts(&b, "\n");
	r = b.failed ? -E2BIG : fd_write_all(k->control, b.data, b.len);
	buf_done(&b);
	return r < 0 ? err_sys(e, r, "--ssh-key: " PROGRAM) : 0;
}

bool ssh_answers(const char *path)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	if (fd < 0 || !path || *path != '/' || strlen(path) >= sizeof(at.sun_path))
		return false;
	memcpy(at.sun_path, path, strlen(path) + 1);
	return connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0 || errno == EAGAIN;
}

/* The process, for the agent that the variable names. */
static int start_program(struct ssh_run *k, struct err *e)
{
	const char *agent = getenv("SSH_AUTH_SOCK");
	int control[2], r;

	if (!agent || *agent != '/')
		return err_set(
			e, ERR_USAGE, -ENOENT,
			"--ssh-key: SSH_AUTH_SOCK names no agent of yours: start one and add the key (eval \"$(ssh-agent)\"; ssh-add)");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) < 0)
		return err_sys(e, -errno, "--ssh-key: " PROGRAM);
	k->control = control[0];
	r = keys_program_start("ssh-agent", control[1], k->listener, &k->pid, e);
	(void)close(control[1]);
	return r < 0 ? err_wrap(e, r, "--ssh-key") : tell(supervise_sandbox(k->run), k, agent, e);
}

static void end_program(struct ssh_run *k)
{
	cleanup_close(&k->control);
	k->control = -1;
	if (k->pid > 0) {
		(void)kill(k->pid, SIGKILL); /* our child, not reaped yet; it keeps nothing */
		while (waitpid(k->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	k->pid = 0;
	k->ready = false;
}

/* There is no agent, or it has not the keys. Return: whether that is new. */
static bool is_new(struct ssh_run *k, const struct err *why)
{
	if (strcmp(k->missing, why->msg) == 0)
		return false;
	(void)snprintf(k->missing, sizeof(k->missing), "%s", why->msg);
	return true;
}

/* It starts without. */
static void go_without(struct ssh_run *k, struct err *e)
{
	if (is_new(k, e))
		sandbox_notice(supervise_sandbox(k->run),
			       "%s; the first log-in that needs it looks again", k->missing);
	end_program(k);
	*e = (struct err)ERR_INIT;
}

int ssh_begin(struct run *run, struct err *e)
{
	struct sandbox *s = supervise_sandbox(run);
	struct ssh_run *k;
	int r;

	if (s->n_ssh == 0)
		return 0;
	run->ssh = k = malloc(sizeof(*k));
	if (!k)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	*k = (struct ssh_run){ .run = run, .control = -1, .listener = -1, .known = -1 };
	k->listener = make_dir(s, k, e);
	if (k->listener < 0)
		return err_wrap(e, k->listener, "--ssh-key");
	r = start_program(k, e);
	if (r == -ENOENT && e->code == ERR_USAGE && run->live) {
		go_without(k, e);
		r = 0;
	}
	if (!run->live) {
		cleanup_close(&k->listener);
		k->listener = -1;
	}
	return r;
}

/* --- its answers --- */

static int write_known(const struct ssh_run *k, const struct json_node *lines, struct err *e)
{
	struct buf b = BUF_INIT(KEYS_LINE_MAX);
	const struct json_node *n;
	int r;

	for (n = lines->first; n; n = n->next) {
		buf_puts(&b, n->type == JSON_STRING ? n->text : "");
		buf_puts(&b, "\n");
	}
	r = b.failed ? -ENOMEM : 0;
	/* of one that was there before: the sandbox has the file mounted */
	if (r == 0 && (ftruncate(k->known, 0) < 0 || lseek(k->known, 0, SEEK_SET) < 0))
		r = -errno;
	if (r == 0)
		r = fd_write_all(k->known, b.data ? b.data : "", b.len);
	buf_done(&b);
	return r < 0 ? err_sys(e, r, "the sandbox's known_hosts") : 0;
}

/* @ret_missing: after a failure: the agent, or a key, is not there */
static int take_answer(struct ssh_run *k, bool *ret_missing, struct err *e)
{
	struct buf b = BUF_INIT(KEYS_LINE_MAX);
	struct arena a = ARENA_INIT((size_t)8 * KEYS_LINE_MAX);
	const struct json_node *root, *error = NULL, *known = NULL, *missing = NULL;
	int r = keys_read_line(k->control, &b, e);

	if (r == 0)
		r = json_read(PROGRAM, b.data, b.len - 1, &a, &root, e);
	if (r == 0 && root->type == JSON_OBJECT) {
		missing = json_member_as(root, "missing", JSON_STRING);
		error = missing ? missing : json_member_as(root, "error", JSON_STRING);
		known = json_member_as(root, "known", JSON_LIST);
	}
	*ret_missing = missing;
	if (r == 0 && error)
		r = err_set(e, ERR_POLICY, -EINVAL, "--ssh-key: %.400s", error->text);
	else if (r == 0 && known)
		r = write_known(k, known, e);
	else if (r == 0)
		r = err_set(e, ERR_SYSTEM, -EBADMSG, PROGRAM ": an answer that makes no sense");
	k->ready = r == 0;
	arena_done(&a);
	buf_done(&b);
	return r;
}

int ssh_answer(struct run *run, struct err *e)
{
	bool missing;
	int r;

	if (!run->ssh || run->ssh->pid <= 0)
		return 0;
	r = take_answer(run->ssh, &missing, e);
	if (r == 0 || !missing || !run->live)
		return r;
	go_without(run->ssh, e);
	return 0;
}

/* What it has to say at the end; its words are made of what clients sent, so only letters are printed. */
static void say_line(const char *text, void (*say)(const char *line))
{
	char line[600];
	size_t i;
	int n = snprintf(line, sizeof(line), "ssh: %s", text);

	for (i = 0; n > 0 && i < sizeof(line) && line[i]; i++) {
		if (line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	}
	say(line);
}

/* The lines of one kind, and how many there is no place for. Return: whether they are there. */
static bool say_kind(const struct json_node *root, const char *lines, const char *rest,
		     const char *what, void (*say)(const char *line))
{
	const struct json_node *list = json_member_as(root, lines, JSON_LIST), *n;
	const struct json_node *more = json_member_as(root, rest, JSON_NUMBER);
	char line[80];
	size_t i = 0;

	for (n = list ? list->first : NULL; n; n = n->next, i++) {
		if (n->type == JSON_STRING && i < SAID_MAX)
			say_line(n->text, say);
	}
	if (i > SAID_MAX || (more && strcmp(more->text, "0") != 0)) {
		(void)snprintf(line, sizeof(line), "ssh: and more: %zu lines, %.20s %s",
			       i > SAID_MAX ? i - SAID_MAX : 0, more ? more->text : "0", what);
		say(line);
	}
	return list;
}

static void say_all(const struct buf *b, void (*say)(const char *line))
{
	struct arena a = ARENA_INIT((size_t)8 * KEYS_LINE_MAX);
	const struct json_node *root = NULL;
	bool there = b->len > 0 && json_read(PROGRAM, b->data, b->len - 1, &a, &root, NULL) == 0 &&
		     root->type == JSON_OBJECT;

	if (there)
		there = say_kind(root, "signed", "more_signed", "signatures", say);
	if (there)
		there = say_kind(root, "said", "more", "refusals", say);
	if (!there)
		say("ssh: the agent has ended before the run did");
	arena_done(&a);
}

/* Its last line, in a time that ends. */
static void ask_all(const struct ssh_run *k, void (*say)(const char *line))
{
	struct pollfd p = { .fd = k->control, .events = POLLIN };
	struct buf b = BUF_INIT(KEYS_LINE_MAX);
	char part[4096];
	ssize_t n = 1;

	(void)shutdown(k->control, SHUT_WR); /* a peer that has gone says nothing */
	while (n > 0 && !b.failed && poll(&p, 1, END_MS) == 1) {
		n = read(k->control, part, sizeof(part));
		if (n > 0)
			buf_add(&b, part, (size_t)n);
	}
	say_all(&b, say);
	buf_done(&b);
}

/* --- while a sandbox that stays lives --- */

static void say_stderr(const char *line)
{
	(void)dprintf(2, "bailey: %s\n", line); /* its log */
}

/* Who waits for an agent that is not there. */
static void let_go(const struct ssh_run *k)
{
	struct sockaddr_un from;
	int fd;

	while ((fd = accept4(k->listener, (struct sockaddr *)&from, &(socklen_t){ sizeof(from) },
			     SOCK_CLOEXEC)) >= 0)
		(void)close(fd);
}

/* There is a process, or there is none, and then somebody may ask for one. */
static void watch_what_is_there(struct ssh_run *k)
{
	k->asked->events = k->pid > 0 ? 0 : POLLIN;
	k->said->fd = k->pid > 0 ? k->control : -1;
	k->said->events = k->pid > 0 ? POLLIN : 0;
}

static void not_there(struct ssh_run *k, const struct err *why)
{
	if (is_new(k, why))
		(void)dprintf(2, "bailey: notice: %s\n", why->msg); /* its log */
	end_program(k);
	let_go(k);
}

/* Somebody inside has connected, and there is no process. */
static int on_asked(void *arg, short revents, struct err *e)
{
	struct ssh_run *k = arg;
	const char *path = getenv("SSH_AUTH_SOCK");
	struct err own = ERR_INIT;

	(void)revents;
	(void)e;
	if (clock_ms() < k->retry_at) {
		let_go(k);
		return -EAGAIN;
	}
	k->retry_at = clock_ms() + RETRY_MS;
	if (path && *path == '/' && !ssh_answers(path))
		(void)err_set(&own, ERR_USAGE, -ECONNREFUSED,
			      "--ssh-key: no agent answers at SSH_AUTH_SOCK '%.100s'", path);
	else
		(void)start_program(k, &own);
	if (own.code)
		not_there(k, &own);
	watch_what_is_there(k);
	return -EAGAIN;
}

/* It has its answer, or has ended. */
static int on_said(void *arg, short revents, struct err *e)
{
	struct ssh_run *k = arg;
	struct err own = ERR_INIT;
	bool missing;

	(void)revents;
	(void)e;
	if (k->ready) {
		ask_all(k, say_stderr);
		end_program(k);
	} else if (take_answer(k, &missing, &own) < 0) {
		not_there(k, &own);
	} else {
		k->missing[0] = '\0';
	}
	watch_what_is_there(k);
	return -EAGAIN;
}

void ssh_supervise(struct run *run)
{
	struct ssh_run *k = run->ssh;

	if (!k || !run->live)
		return;
	k->asked = loop_add(&run->loop, k->listener, 0, on_asked, k); /* there is room */
	k->said = loop_add(&run->loop, -1, 0, on_said, k);
	if (k->asked && k->said)
		watch_what_is_there(k);
}

const char *ssh_missing(const struct run *run)
{
	return run->ssh && *run->ssh->missing ? run->ssh->missing : NULL;
}

/* --- what the sandbox sees --- */

const char *ssh_variable(struct sandbox *s)
{
	return s->ssh_dir ? arena_printf(&s->arena, "SSH_AUTH_SOCK=%s/agent", s->ssh_dir) : NULL;
}

int ssh_plan(struct sandbox *s, struct err *e)
{
	struct buf b = BUF_INIT(CONFIG_MAX);
	_cleanup_close_ int fd = -1;
	const char *text;
	int r;

	if (!s->ssh_dir || s->host.type(s->host.ctx, CONFIG) != JAIL_FILE)
		return 0; /* its ssh has another place; then it asks about the host, or refuses */
	buf_printf(
		&b,
		"# bailey: the hosts that --ssh-key names\n"
		"Match all\n    GlobalKnownHostsFile /etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2 %s/known_hosts\n\n",
		s->ssh_dir);
	fd = open(CONFIG, O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? -errno : fd_read_all(fd, &b);
	text = r == 0 && !b.failed ? sandbox_keep(s, b.data) : NULL;
	buf_done(&b);
	if (r < 0)
		return err_sys(e, r, CONFIG);
	if (!text)
		return sandbox_oom(e);
	return jail_plan_text(&s->plan, &s->policy, &s->host, CONFIG, text, strlen(text), e);
}

/* --- the end --- */

void ssh_ready(struct run *run)
{
	static const char *const names[] = { "agent", "known_hosts", NULL };

	if (run->ssh)
		private_dir_gone(run->ssh->dir, names);
}

void ssh_end(struct run *run, void (*say)(const char *line))
{
	struct ssh_run *k = run->ssh;

	if (!k)
		return;
	ssh_ready(run);
	if (k->ready && say)
		ask_all(k, say);
	end_program(k);
	cleanup_close(&k->listener);
	cleanup_close(&k->known);
	free(k);
	run->ssh = NULL;
}
