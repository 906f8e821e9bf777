/* SPDX-License-Identifier: Apache-2.0 */
/* What needs files and sockets, before the process confines itself: the caller's agent and its keys, files of public keys, known_hosts. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "keys.h"
#include "policy/policy.h"
#include "ssh-agent.h"
#include "ssh-known.h"

#define ANSWER_MS 5000
#define IDENTITIES 256u        /* that the caller's agent may have */
#define KNOWN_MAX (16u << 20)  /* bytes of a file of known hosts */
#define PUBLIC_MAX (16u << 10) /* of a file of a public key */
#define SHOWN_MAX (512u << 10) /* of the lines that the sandbox may see */

/* --- the agent --- */

static int connect_agent(const char *path, struct err *e)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(at.sun_path))
		return err_set(e, ERR_USAGE, -ENAMETOOLONG,
			       "SSH_AUTH_SOCK '%.200s' is too long for a socket", path);
	memcpy(at.sun_path, path, strlen(path) + 1);
	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return err_set(e, ERR_USAGE, -errno,
			       "no agent answers at SSH_AUTH_SOCK '%.200s': %s", path,
			       strerror(errno));
	return TAKE_FD(fd);
}

/* One whole message. */
static int read_answer(int fd, struct buf *b)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char part[4096];
	ssize_t n;

	while ((n = ssh_frame((const uint8_t *)b->data, b->len, SSH_ANSWER_MAX)) == 0) {
		if (poll(&p, 1, ANSWER_MS) <= 0)
			return -ETIMEDOUT;
		n = read(fd, part, sizeof(part));
		if (n <= 0)
			return n < 0 ? -errno : -EPIPE;
		buf_add(b, part, (size_t)n);
		if (b->failed)
			return -ENOMEM;
	}
	return n < 0 ? (int)n : (size_t)n == b->len ? 0 : -EBADMSG;
}

static ssize_t list_keys(int fd, struct buf *b, struct ssh_identity *ret, struct err *e)
{
	static const uint8_t ask[] = { 0, 0, 0, 1, SSH_REQUEST_IDENTITIES };
	ssize_t n = fd_write_all(fd, ask, sizeof(ask));

	if (n == 0)
		n = read_answer(fd, b);
	if (n == 0)
		n = ssh_identities_parse(ret, IDENTITIES, (const uint8_t *)b->data + 4, b->len - 4);
	return n < 0 ? err_sys(e, (int)n,
			       "the agent at SSH_AUTH_SOCK does not say which keys it has") :
		       n;
}

/* --- keys --- */

/* "~/x", or a path as it is; the process begins where the caller is. */
static int open_public(const char *path, const char *home)
{
	char full[LIMIT_PATH];
	int fd;

	if (strncmp(path, "~/", 2) == 0 && home) {
		if (snprintf(full, sizeof(full), "%s%s", home, path + 1) >= (int)sizeof(full))
			return -ENAMETOOLONG;
		path = full;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

/* The key in a file: "TYPE BASE64 COMMENT", as a line of known_hosts without its host. */
static int read_public(const char *path, const char *home, struct ssh_known *k, struct err *e)
{
	struct buf b = BUF_INIT(PUBLIC_MAX);
	_cleanup_close_ int fd = open_public(path, home);
	struct stat st;
	int r;

	if (fd < 0)
		return err_set(e, ERR_USAGE, fd, "'%.200s': %s", path, strerror(-fd));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, ERR_USAGE, -EINVAL, "'%.200s' is no file", path);
	buf_puts(&b, "x ");
	r = fd_read_all(fd, &b);
	if (r == 0 && (!b.data || ssh_known_parse(k, b.data, strcspn(b.data, "\n")) != 1))
		r = -EBADMSG;
	buf_done(&b);
	return r < 0 ? err_set(e, ERR_USAGE, r,
			       "'%.200s' holds no public key (the private one's file has another: .pub)",
			       path) :
		       0;
}

static bool fits(const struct ssh_identity *id, const struct ssh_grant *g,
		 const struct ssh_known *file)
{
	char print[SSH_PRINT_MAX];

	if (file)
		return ssh_same(id->blob, (struct ssh_bytes){ file->blob, file->n_blob });
	return ssh_is(id->comment, g->key) || strcmp(ssh_fingerprint(id->blob, print), g->key) == 0;
}

/* Return: the key's place, or NULL with @e. */
static struct ssh_key *add_key(struct ssh_rules *s, const struct ssh_identity *id, struct err *e)
{
	struct ssh_key *k;
	size_t i;

	for (i = 0; i < s->n_keys; i++) {
		if (ssh_same((struct ssh_bytes){ s->keys[i].blob, s->keys[i].n }, id->blob))
			return &s->keys[i];
	}
	k = &s->keys[s->n_keys];
	if (s->n_keys == SSH_KEYS) {
		(void)err_set(e, ERR_USAGE, -E2BIG, "more than %u keys", SSH_KEYS);
		return NULL;
	}
	if (ssh_key_type(id->blob, k->type) < 0) {
		(void)err_set(e, ERR_USAGE, -EBADMSG, "the agent's key is none");
		return NULL;
	}
	memcpy(k->blob, id->blob.p, id->blob.n); /* ssh_key_type() has looked how long it is */
	k->n = id->blob.n;
	(void)ssh_print(id->comment, k->comment, sizeof(k->comment));
	(void)ssh_fingerprint(id->blob, k->print);
	s->n_keys++;
	return k;
}

static int add_name(struct ssh_rules *s, const char *host, uint64_t *ret, struct err *e)
{
	size_t i;

	for (i = 0; i < s->n_names && strcmp(s->names[i], host) != 0; i++)
		;
	if (i == SSH_NAMES)
		return err_set(e, ERR_USAGE, -E2BIG, "more than %u hosts", SSH_NAMES);
	if (i == s->n_names)
		(void)snprintf(s->names[s->n_names++], sizeof(s->names[0]), "%s",
			       host); /* of the same size */
	*ret |= UINT64_C(1) << i;
	return 0;
}

/* One value of --ssh-key: the key must be there, once. */
static int take_grant(struct ssh_rules *s, const char *text, const char *home,
		      const struct ssh_identity *ids, size_t n, struct err *e)
{
	static struct ssh_known file;
	const struct ssh_identity *found = NULL;
	struct ssh_key *key;
	struct ssh_grant g;
	size_t i;
	int r = ssh_grant_parse(&g, text, e);

	if (r == 0 && ssh_grant_file(&g))
		r = read_public(g.key, home, &file, e);
	for (i = 0; r == 0 && i < n; i++) {
		if (!fits(&ids[i], &g, ssh_grant_file(&g) ? &file : NULL))
			continue;
		if (found && !ssh_same(found->blob, ids[i].blob))
			return err_set(
				e, ERR_USAGE, -EINVAL,
				"more than one key of the agent is '%.100s': name it by its fingerprint (ssh-add -l)",
				g.key);
		found = &ids[i];
	}
	if (r < 0)
		return r;
	if (!found)
		return err_set(
			e, ERR_USAGE, -ENOENT,
			"the agent at SSH_AUTH_SOCK has no key '%.100s'; it has %zu (ssh-add -l lists them; the host stands behind the last @)",
			g.key, n);
	key = add_key(s, found, e);
	if (!key)
		return -EINVAL;
	if (ssh_grant_any(&g))
		key->any = true;
	else
		r = add_name(s, g.host, &key->names, e);
	return r;
}

/* --- known hosts --- */

static struct ssh_host *host_of(struct ssh_rules *s, struct ssh_bytes blob)
{
	uint8_t hash[SSH_HASH];
	struct ssh_host *more;
	size_t i;

	if (!ssh_hash(blob, hash))
		return NULL;
	for (i = 0; i < s->n_hosts; i++) {
		if (memcmp(s->hosts[i].hash, hash, SSH_HASH) == 0)
			return &s->hosts[i];
	}
	if (s->n_hosts == s->size_hosts) {
		if (s->n_hosts == SSH_HOSTS)
			return NULL;
		more = realloc(s->hosts, (s->size_hosts + 1024) * sizeof(*more));
		if (!more)
			return NULL;
		s->hosts = more;
		s->size_hosts += 1024;
	}
	s->hosts[i] = (struct ssh_host){ .names = 0 };
	memcpy(s->hosts[i].hash, hash, SSH_HASH);
	s->n_hosts++;
	return &s->hosts[i];
}

static bool any_host(const struct ssh_rules *s)
{
	size_t i;

	for (i = 0; i < s->n_keys; i++) {
		if (s->keys[i].any)
			return true;
	}
	return false;
}

static void show(struct buf *known, const char *name, size_t n, const char *line, const char *end)
{
	buf_add(known, name, n);
	buf_puts(known, " ");
	buf_add(known, line, (size_t)(end - line));
	buf_puts(known, "\n");
}

/* A line, once it is parsed. What the sandbox may see of it: the key, by the names that grants have. */
static int take_known(struct ssh_rules *s, const struct ssh_known *k, const char *line,
		      const char *end, struct buf *known)
{
	const struct ssh_bytes blob = { k->blob, k->n_blob };
	struct ssh_host *h;
	size_t i;

	if (k->marker == SSH_KNOWN_AUTHORITY)
		return 0;
	h = host_of(s, blob);
	if (!h)
		return -ENOMEM;
	if (k->marker == SSH_KNOWN_REVOKED) {
		h->revoked = true; /* whichever host it was revoked for */
		return 0;
	}
	if (!*h->plain)
		(void)ssh_known_plain(k, h->plain, sizeof(h->plain)); /* or none */
	for (i = 0; i < s->n_names; i++) {
		if (!ssh_known_names(k, s->names[i], ssh_hashed_name))
			continue;
		h->names |= UINT64_C(1) << i;
		show(known, s->names[i], strlen(s->names[i]), k->hosts + k->n_hosts + 1, end);
	}
	if (any_host(s))
		show(known, line, (size_t)(k->hosts - line) + k->n_hosts, k->hosts + k->n_hosts + 1,
		     end);
	return 0;
}

/* A file that is not there lists nobody. */
static int read_known(struct ssh_rules *s, const char *path, struct buf *known, struct err *e)
{
	static struct ssh_known k;
	struct buf b = BUF_INIT(KNOWN_MAX);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	const char *p, *end, *nl;
	struct stat st;
	int r = 0;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	r = fd_read_all(fd, &b);
	for (p = b.data, end = p + b.len; r == 0 && p && p < end; p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(end - p));
		nl = nl ? nl : end;
		if (ssh_known_parse(&k, p, (size_t)(nl - p)) == 1)
			r = take_known(s, &k, p, nl, known);
		if (nl == end)
			break;
	}
	buf_done(&b);
	return r < 0 ? err_sys(e, r, "%.200s", path) : 0;
}

static int read_all_known(struct ssh_rules *s, const char *home, struct buf *known, struct err *e)
{
	static const char *const own[] = { "known_hosts", "known_hosts2" };
	char path[LIMIT_PATH];
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < 2 * ARRAY_SIZE(own); i++) {
		if (i >= ARRAY_SIZE(own))
			(void)snprintf(path, sizeof(path), "/etc/ssh/ssh_%s", own[i - 2]);
		else if (!home || snprintf(path, sizeof(path), "%s/.ssh/%s", home, own[i]) >=
					  (int)sizeof(path))
			continue;
		r = read_known(s, path, known, e);
	}
	for (i = 0; r == 0 && i < s->n_names; i++) {
		size_t k;

		for (k = 0; k < s->n_hosts && !(s->hosts[k].names & UINT64_C(1) << i); k++)
			;
		if (k == s->n_hosts)
			r = err_set(
				e, ERR_USAGE, -ENOENT,
				"'%.200s' is not in known_hosts: let ssh learn its key on the host first (ssh-keyscan prints it, unchecked)",
				s->names[i]);
	}
	return r;
}

/* --- all of it --- */

static int take_grants(struct ssh_rules *s, const struct json_node *root, const char *home,
		       const struct ssh_identity *ids, size_t n, struct err *e)
{
	const struct json_node *list, *g;
	int r = 0;

	for (list = root->first; list && strcmp(list->key, "grants") != 0; list = list->next)
		;
	if (!list || list->type != JSON_LIST || list->n == 0)
		return err_set(e, ERR_USAGE, -EINVAL, "control: grants: expected a list");
	for (g = list->first; r == 0 && g; g = g->next) {
		if (g->type != JSON_STRING)
			return err_set(e, ERR_USAGE, -EINVAL, "control: grants: expected strings");
		r = take_grant(s, g->text, home, ids, n, e);
	}
	return r;
}

int ssh_setup(struct ssh_rules *s, const struct json_node *root, struct buf *known,
	      bool *ret_missing, struct err *e)
{
	static struct ssh_identity ids[IDENTITIES];
	const char *agent = json_string(root, "agent"), *home = json_string(root, "home");
	struct buf b = BUF_INIT(SSH_ANSWER_MAX + 4096);
	_cleanup_close_ int fd = -1;
	ssize_t n;
	int r;

	if (!agent)
		return err_set(e, ERR_USAGE, -EINVAL, "control: agent: expected a path");
	*ret_missing = true;
	fd = connect_agent(agent, e);
	if (fd < 0)
		return fd;
	n = list_keys(fd, &b, ids, e);
	r = n < 0 ? (int)n : take_grants(s, root, home, ids, (size_t)n, e);
	*ret_missing = r < 0;
	if (r == 0)
		r = read_all_known(s, home, known, e);
	if (r == 0 && (known->failed || known->len > SHOWN_MAX))
		r = err_set(e, ERR_USAGE, -E2BIG,
			    "known_hosts is too long to be shown: name the hosts");
	buf_done(&b);
	return r < 0 ? r : TAKE_FD(fd);
}
