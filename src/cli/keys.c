/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. bailey-keys is executed by the descriptor that was checked, with two sockets and an environment of four variables. It gets one line, and one
 * line comes back; what is in that is checked as if a stranger had sent it. It ends when the socket closes, or when we die.
 */
#include "keys.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "egress.h"
#include "keys-program.h"
#include "keys/keys.h"
#include "overruled.h"
#include "own-secrets.h"
#include "sandbox.h"
#include "settings.h"

#define ANSWER_MS 15000 /* a secret may come from a command */
#define BUNDLE_MAX (4u << 20)
#define PROGRAM "bailey-keys"

struct keys_run {
	pid_t pid;
	int control, gateway, store; /* store: inotify */
	struct loop_source *said;    /* of control, while the command runs */
};

/* Where systems keep the certificates that programs trust. */
static const char *const bundles[] = { "/etc/ssl/certs/ca-certificates.crt",
				       "/etc/pki/tls/certs/ca-bundle.crt",
				       "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
				       "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem" };

/* Java's own file of them; Debian's packages make it of the others. */
static const char java_store[] = "/etc/ssl/certs/java/cacerts";

bool keys_wanted(const struct sandbox *s)
{
	return egress_wanted(s) &&
	       (s->n_inspect > 0 || s->n_secrets + s->n_own_secrets + s->n_logins > 0 ||
		s->net.inspect_all);
}

/* --- starting it --- */

static int spawn(struct keys_run *k, struct err *e)
{
	int control[2], gateway[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) < 0)
		return err_sys(e, -errno, PROGRAM);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, gateway) < 0) {
		r = -errno;
		(void)close(control[0]);
		(void)close(control[1]);
		return err_sys(e, r, PROGRAM);
	}
	k->control = control[0];
	k->gateway = gateway[0];
	r = keys_program_start("serve", control[1], gateway[1], &k->pid, e);
	(void)close(control[1]);
	(void)close(gateway[1]);
	return r;
}

/* --- the first line --- */

static void say_mask(struct json *j, const struct sandbox_mask *m)
{
	size_t i;

	json_open(j, NULL, '{');
	json_str(j, "name", m->name);
	json_str(j, "value", m->value);
	json_str(j, "sentinel", m->sentinel);
	json_open(j, "hosts", '[');
	for (i = 0; i < m->n_hosts; i++)
		json_str(j, NULL, m->hosts[i]);
	json_close(j, ']');
	json_close(j, '}');
}

static void say_pairs(struct json *j, const struct sandbox_pairs *p)
{
	size_t i;

	json_open(j, "pairs", '{');
	if (!p->stay) {
		json_open(j, "sign", '[');
		for (i = 0; i < p->n; i++) {
			json_open(j, NULL, '[');
			json_int(j, NULL, (long long)p->v[i].id);
			json_int(j, NULL, (long long)p->v[i].value);
			if (p->v[i].token != SANDBOX_NO_MASK)
				json_int(j, NULL, (long long)p->v[i].token);
			json_close(j, ']');
		}
		json_close(j, ']');
	}
	json_bool(j, "chunks", p->chunks);
	json_bool(j, "urls", p->urls);
	json_close(j, '}');
}

/* What a front wants. */
static void say_front(struct json *j, const struct sandbox_front *f)
{
	const struct json_node *k;
	size_t i;

	/* it puts in what it knows, and other credentials are the command's own business */
	json_open(j, "own", '[');
	json_str(j, NULL, "**");
	json_close(j, ']');
	json_open(j, "masks", '[');
	for (i = 0; i < f->n_masks; i++)
		say_mask(j, &f->masks[i]);
	json_close(j, ']');
	if (f->n_masks > 0)
		say_pairs(j, &f->pairs);
	if (f->handshake_ms)
		json_int(j, "handshake", f->handshake_ms);
	json_open(j, "strip", '[');
	for (k = f->strip ? f->strip->first : NULL; k; k = k->next)
		json_str(j, NULL, k->text);
	json_close(j, ']');
	if (f->ca_certificate) {
		json_open(j, "ca", '{');
		json_str(j, "certificate", f->ca_certificate);
		json_str(j, "key", f->ca_key);
		json_close(j, '}');
	}
}

/* What is kept for this sandbox alone; it goes before what is kept for all of them. */
static void say_own(struct json *j, const struct sandbox *s)
{
	size_t i;

	if (!s->own_store)
		return;
	json_str(j, "own_store", s->own_store);
	json_open(j, "own_secrets", '[');
	for (i = 0; i < s->n_own_secrets; i++)
		json_str(j, NULL, s->own_secrets[i]);
	json_close(j, ']');
}

static void say_logins(struct json *j, const struct sandbox *s)
{
	const struct opt_list *l = &s->options->secrets;
	size_t i;

	json_open(j, "logins", '[');
	for (i = 0; i < l->n; i++) {
		if (strcmp(l->v[i].opt->name, "login") != 0)
			continue;
		if (*l->v[i].value == '{')
			json_raw(j, NULL, l->v[i].value);
		else
			json_str(j, NULL, l->v[i].value);
	}
	json_close(j, ']');
}

/* All of the line's memory at once, and erased: it may hold secrets. */
static bool line_begin(struct buf *b)
{
	*b = (struct buf)BUF_INIT(KEYS_LINE_MAX);
	b->data = malloc(KEYS_LINE_MAX + 1);
	b->size = b->data ? KEYS_LINE_MAX + 1 : 0;
	if (b->data)
		b->data[0] = '\0';
	return b->data;
}

static void line_done(struct buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->len);
	buf_done(b);
}

static int tell(const struct run *run, const struct sandbox *s, struct err *e)
{
	const struct sandbox_front *front = s->options->front;
	struct buf b;
	struct json j = { .out = &b };
	char store[LIMIT_PATH], id[17] = "";
	unsigned char random[8];
	size_t i;
	int r;

	if (s->n_secrets > 0 && settings_state_dir(s->home, store) < 0)
		return err_set(e, ERR_USAGE, -EINVAL,
			       "HOME is not set to an absolute path, so there are no secrets");
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return err_sys(e, -errno, "random numbers");
	for (i = 0; i < sizeof(random); i++)
		(void)snprintf(id + 2 * i, 3, "%02x", random[i]);
	if (!line_begin(&b))
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	json_open(&j, NULL, '{');
	json_int(&j, "version", KEYS_VERSION);
	json_str(&j, "id", id);
	json_str(&j, "store", s->n_secrets > 0 ? store : NULL);
	inspect_names(s, &j, "secrets", "secret");
	say_own(&j, s);
	say_logins(&j, s);
	if (front)
		say_front(&j, front);
	else
		inspect_names(s, &j, "own", "allow-own-credentials");
	json_open(&j, "inspect", '[');
	for (i = 0; i < s->n_inspect; i++)
		json_raw(&j, NULL, s->inspect[i]);
	json_close(&j, ']');
	if (access(java_store, F_OK) == 0)
		json_bool(&j, "java", true);
	if (geteuid() == 0) {
		json_int(&j, "uid", egress_uid(s));
		json_int(&j, "gid", egress_gid(s));
	}
	json_close(&j, '}');
	buf_puts(&b, "\n");
	r = b.failed ? err_set(e, ERR_USAGE, -E2BIG,
			       "what is to be inspected is too long to be told") :
		       fd_write_all(run->keys->control, b.data, b.len);
	if (r < 0 && !b.failed)
		r = err_sys(e, r, PROGRAM);
	line_done(&b);
	return r;
}

int keys_begin(struct run *run, struct err *e)
{
	const struct sandbox *s = supervise_sandbox(run);
	int r;

	if (!keys_wanted(s))
		return 0;
	run->keys = malloc(sizeof(*run->keys));
	if (!run->keys)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	*run->keys = (struct keys_run){ .control = -1, .gateway = -1, .store = -1 };
	r = spawn(run->keys, e);
	return r < 0 ? r : tell(run, s, e);
}

/* --- its answer --- */

int keys_read_line(int fd, struct buf *b, struct err *e)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char part[4096];
	ssize_t n;
	int r;

	for (;;) {
		r = poll(&p, 1, ANSWER_MS);
		if (r < 0 && errno == EINTR)
			continue;
		if (r == 0)
			return err_set(e, ERR_SYSTEM, -ETIMEDOUT, PROGRAM ": no answer");
		n = read(fd, part, sizeof(part));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(e, ERR_SYSTEM, -EPIPE, PROGRAM " has ended without a word");
		buf_add(b, part, (size_t)n);
		if (b->failed)
			return err_set(e, ERR_SYSTEM, -E2BIG, PROGRAM ": its answer is too long");
		if (part[n - 1] == '\n')
			return 0;
	}
}

static int take_hosts(struct sandbox *s, const struct json_node *hosts, struct err *e)
{
	const struct json_node *k;
	int r = 0;

	for (k = hosts->first; r == 0 && k; k = k->next) {
		if (k->type != JSON_STRING)
			return err_set(e, ERR_SYSTEM, -EBADMSG, PROGRAM ": a host is no string");
		r = inspect_add_secret(s, k->text, e);
	}
	return r;
}

static int take_variables(struct sandbox *s, const struct json_node *env, struct err *e)
{
	const struct json_node *k;

	s->stand_ins = arena_alloc(&s->arena, (env->n + 1) * sizeof(*s->stand_ins));
	for (k = env->first; s->stand_ins && k; k = k->next) {
		const char *entry = k->type == JSON_STRING && *k->key && !strchr(k->key, '=') ?
					    arena_printf(&s->arena, "%s=%s", k->key, k->text) :
					    NULL;

		if (!entry)
			return err_set(e, ERR_SYSTEM, -EBADMSG,
				       PROGRAM ": a variable that is none");
		s->stand_ins[s->n_stand_ins++] = entry;
	}
	return s->stand_ins ? 0 : sandbox_oom(e);
}

static int digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* base64 with its padding, appended. Return: whether it was that. */
static bool decode(const char *text, struct buf *out)
{
	size_t n = strlen(text), have = 0, i, k;
	unsigned char some[768];

	for (i = 0; i + 4 <= n; i += 4) {
		size_t pad = i + 4 < n ? 0 : text[i + 3] != '=' ? 0 : text[i + 2] != '=' ? 1 : 2;
		unsigned int v = 0;

		for (k = 0; k < 4; k++) {
			int d = k + pad < 4 ? digit(text[i + k]) : 0;

			if (d < 0)
				return false;
			v = v << 6 | (unsigned int)d;
		}
		for (k = 0; k < 3 - pad; k++)
			some[have++] = (unsigned char)(v >> (16 - 8 * k));
		if (have > sizeof(some) - 3) {
			buf_add(out, some, have);
			have = 0;
		}
	}
	buf_add(out, some, have);
	return n % 4 == 0 && !out->failed;
}

static int take_java(struct sandbox *s, const struct json_node *pieces, struct err *e)
{
	struct buf b = BUF_INIT(KEYS_LINE_MAX);
	const struct json_node *k;
	char *store = NULL;
	bool ok = true;

	for (k = pieces->first; ok && k; k = k->next)
		ok = k->type == JSON_STRING && decode(k->text, &b);
	if (ok && b.len > 0)
		store = arena_alloc(&s->arena, b.len);
	if (store)
		memcpy(store, b.data, b.len);
	s->java = store;
	s->java_len = b.len;
	buf_done(&b);
	if (!ok || !pieces->first)
		return err_set(e, ERR_SYSTEM, -EBADMSG, PROGRAM ": a trust store that is none");
	return store ? 0 : sandbox_oom(e);
}

/* What it says, in parts that are there and of their type. */
static int take_answer(struct sandbox *s, const struct json_node *root, struct err *e)
{
	const struct json_node *error = json_member_as(root, "error", JSON_STRING);
	const struct json_node *ca = json_member_as(root, "ca", JSON_STRING);
	const struct json_node *hosts = json_member_as(root, "hosts", JSON_LIST);
	const struct json_node *env = json_member_as(root, "env", JSON_OBJECT);
	const struct json_node *java = json_member_as(root, "java", JSON_LIST);
	const struct json_node *bound = json_member_as(root, "bound", JSON_LIST);
	int r;

	if (error)
		return err_set(e, ERR_POLICY, -EINVAL, "%.400s", error->text);
	if (!ca || !hosts || !env)
		return err_set(e, ERR_SYSTEM, -EBADMSG, PROGRAM ": an answer that makes no sense");
	s->ca = sandbox_keep(s, ca->text);
	r = s->ca ? take_hosts(s, hosts, e) : sandbox_oom(e);
	if (r == 0)
		r = inspect_check_udp(s, e);
	if (r == 0)
		inspect_say_bypasses(s);
	if (r == 0 && bound)
		overruled_say_secrets(s, bound);
	if (r == 0)
		r = take_variables(s, env, e);
	return r == 0 && java ? take_java(s, java, e) : r;
}

int keys_answer(struct run *run, struct err *e)
{
	struct buf b = BUF_INIT(KEYS_LINE_MAX);
	struct arena a = ARENA_INIT((size_t)8 * KEYS_LINE_MAX);
	const struct json_node *root;
	int r;

	if (!run->keys)
		return 0;
	r = keys_read_line(run->keys->control, &b, e);
	if (r == 0)
		r = json_read(PROGRAM, b.data, b.len - 1, &a, &root, e);
	if (r == 0)
		r = take_answer(supervise_sandbox(run), root, e);
	arena_done(&a);
	buf_done(&b);
	return r;
}

/* --- while the command runs --- */

static void say(const char *what)
{
	char line[600];
	int n = snprintf(line, sizeof(line), "bailey: notice: %.500s\n", what);

	(void)fd_write_all(2, line, (size_t)n); /* a notice */
}

static void take_notice(const char *line, size_t n)
{
	struct arena a = ARENA_INIT(65536);
	const struct json_node *root = NULL, *text;
	char what[512];

	if (json_read(PROGRAM, line, n, &a, &root, NULL) == 0 && root->type == JSON_OBJECT) {
		text = json_member_as(root, "error", JSON_STRING);
		if (text) {
			(void)snprintf(what, sizeof(what), "the secrets stay as they were: %.400s",
				       text->text);
			say(what);
		}
		text = json_member_as(root, "notice", JSON_STRING);
		if (text)
			say(text->text);
	}
	arena_done(&a);
}

/* Answers to reloads and notices, each of which fits into one read; or the end. */
static int on_control(void *arg, short revents, struct err *e)
{
	struct keys_run *k = arg;
	char text[16384], *line = text, *stop;
	ssize_t n = recv(k->control, text, sizeof(text), MSG_DONTWAIT);

	(void)revents;
	(void)e;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		k->said->events = 0;
		say(PROGRAM
		    " has ended: hosts that are inspected, or have a secret, can't be reached any more");
	}
	for (; n > 0 && (stop = memchr(line, '\n', (size_t)(text + n - line))); line = stop + 1) {
		*stop = '\0';
		take_notice(line, (size_t)(stop - line));
	}
	return -EAGAIN;
}

/* One line, and its answer: what it says holds for the next request then. Return: 0 or negative errno. */
static int change(const struct keys_run *k, const struct buf *line)
{
	struct buf answer = BUF_INIT(KEYS_LINE_MAX);
	int r = line->failed ? -ENOMEM : 0;

	/* short, so it fits into the socket; and it may have no reader any more */
	if (r == 0 && send(k->control, line->data, line->len, MSG_NOSIGNAL) != (ssize_t)line->len)
		r = -EPIPE;
	if (r == 0)
		r = keys_read_line(k->control, &answer, NULL);
	if (r == 0 && (!answer.data || !strstr(answer.data, "{\"ok\":true")))
		r = -EBADMSG;
	buf_done(&answer);
	return r;
}

void keys_pairs(struct run *run, const struct sandbox_pairs *p)
{
	struct keys_run *k = run->keys;
	struct buf b = BUF_INIT(KEYS_LINE_MAX);
	struct json j = { .out = &b };

	if (!k || (k->said && !k->said->events))
		return; /* it has ended: nothing signs */
	json_open(&j, NULL, '{');
	say_pairs(&j, p);
	json_close(&j, '}');
	buf_puts(&b, "\n");
	/* nobody signs as it was before: its end is said by on_control() */
	if (change(k, &b) < 0)
		(void)kill(k->pid, SIGKILL);
	buf_done(&b);
}

/* The store is read again. */
static void reload(const struct keys_run *k)
{
	static const char line[] = "{\"reload\":true}\n";

	/* best effort, as all of this is */
	(void)send(k->control, line, sizeof(line) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Something in the store has changed, whatever that was. */
static int on_store(void *arg, short revents, struct err *e)
{
	struct keys_run *k = arg;
	char events[4096];

	(void)revents;
	(void)e;
	while (read(k->store, events, sizeof(events)) > 0)
		;
	reload(k);
	return -EAGAIN;
}

void keys_supervise(struct run *run)
{
	const struct sandbox *s = supervise_sandbox(run);
	struct keys_run *k = run->keys;
	char path[LIMIT_PATH + 16];
	bool heard = false;

	if (!k)
		return;
	k->said = loop_add(&run->loop, k->control, POLLIN, on_control, k);
	if (s->n_secrets + s->n_own_secrets == 0)
		return;
	k->store = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (k->store < 0)
		return;
	if (s->n_secrets > 0 && settings_state_dir(s->home, path) == 0) {
		(void)strncat(path, "/secrets", sizeof(path) - strlen(path) - 1);
		heard = inotify_add_watch(k->store, path, IN_MOVED_TO | IN_DELETE) >= 0;
	}
	if (own_secrets_place(s, path))
		heard |= inotify_add_watch(k->store, path, IN_MOVED_TO | IN_DELETE) >= 0;
	if (!heard)
		return;
	(void)loop_add(&run->loop, k->store, POLLIN, on_store, k);
	/* it was read before it was watched: of what has changed in between nobody would hear */
	reload(k);
}

int keys_gateway(const struct run *run)
{
	return run->keys ? run->keys->gateway : -1;
}

void keys_end(struct run *run)
{
	struct keys_run *k = run->keys;

	if (!k)
		return;
	cleanup_close(&k->control);
	cleanup_close(&k->gateway);
	cleanup_close(&k->store);
	if (k->pid > 0) {
		(void)kill(k->pid, SIGKILL); /* our child, not reaped yet; it keeps nothing */
		while (waitpid(k->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	free(k);
	run->keys = NULL;
}

/* --- what the sandbox sees --- */

const char *keys_bundle(const struct sandbox *s)
{
	size_t i;

	for (i = 0; s->ca && i < ARRAY_SIZE(bundles); i++) {
		if (s->host.type(s->host.ctx, bundles[i]) == JAIL_FILE)
			return bundles[i];
	}
	return NULL;
}

static int add_file(struct buf *b, const char *path, struct err *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? -errno : fd_read_all(fd, b);

	if (r < 0)
		return err_sys(e, r, "%s", path);
	if (b->len && strlen(b->data) != b->len)
		return err_set(e, ERR_SYSTEM, -EBADMSG, "%s: not a file of text", path);
	buf_puts(b, "\n");
	return 0;
}

/* The host's certificates, those that the caller's variables name beside them, and ours. Return: text of the arena, or NULL with @e. */
static const char *read_bundle(struct sandbox *s, const char *path, struct err *e)
{
	static const char *const more[] = { "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS" };
	struct buf b = BUF_INIT(BUNDLE_MAX);
	const char *text = NULL, *v;
	size_t i;
	int r = add_file(&b, path, e);

	for (i = 0; r == 0 && i < ARRAY_SIZE(more); i++) {
		v = getenv(more[i]);
		if (v && *v && strcmp(v, path) != 0)
			r = add_file(&b, v, e);
	}
	if (s->options->front && s->options->front->roots)
		buf_puts(&b, s->options->front->roots);
	buf_puts(&b, s->ca);
	if (r == 0) {
		text = b.failed ? NULL : sandbox_keep(s, b.data);
		if (!text)
			(void)sandbox_oom(e);
	}
	buf_done(&b);
	return text;
}

int keys_plan(struct sandbox *s, struct err *e)
{
	const char *text;
	size_t i;
	int r = 0;

	if (!s->ca)
		return 0;
	if (!keys_bundle(s))
		return err_set(
			e, ERR_SYSTEM, -ENOENT,
			"there is no bundle of certificates for programs to trust (%s): install ca-certificates",
			bundles[0]);
	for (i = 0; r == 0 && i < ARRAY_SIZE(bundles); i++) {
		if (s->host.type(s->host.ctx, bundles[i]) != JAIL_FILE)
			continue;
		text = read_bundle(s, bundles[i], e);
		r = text ? jail_plan_text(&s->plan, &s->policy, &s->host, bundles[i], text,
					  strlen(text), e) :
			   -EIO;
	}
	if (r == 0 && s->java)
		r = jail_plan_text(&s->plan, &s->policy, &s->host, java_store, s->java, s->java_len,
				   e);
	return r;
}
