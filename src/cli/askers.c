/* SPDX-License-Identifier: Apache-2.0 */
#include "askers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "network-runs.h"

#define NAME "open-urls"
#define CLIENTS 4
#define LINE_BYTES 1024u

struct asker {
	struct askers *all;
	struct loop_source *source; /* once the place was used */
	int fd;                     /* -1: free */
	bool asks;
	size_t n;
	char line[LINE_BYTES];
};

struct askers {
	struct loop *loop;
	int sock, dir;
	struct loop_source *source;
	unsigned int id; /* of the last question */
	bool open;       /* it stands */
	void (*answered)(void *arg, enum askers_answer answer);
	void *arg;
	struct asker asker[CLIENTS];
};

static bool anybody(const struct askers *a)
{
	size_t i;

	for (i = 0; i < CLIENTS; i++) {
		if (a->asker[i].fd >= 0 && a->asker[i].asks)
			return true;
	}
	return false;
}

static void answer(struct askers *a, enum askers_answer what)
{
	a->open = false;
	a->answered(a->arg, what);
}

static void drop(struct asker *c)
{
	cleanup_close(&c->fd);
	c->fd = -1;
	c->source->events = 0;
	c->asks = false;
	if (c->all->open && !anybody(c->all))
		answer(c->all, ASKERS_GONE);
}

/* Return: whether it was sent; a client that does not read has no place for more. */
static bool say(const struct asker *c, const struct buf *b)
{
	return !b->failed &&
	       send(c->fd, b->data, b->len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)b->len;
}

static bool reply(const struct asker *c, const char *error)
{
	struct buf b = BUF_INIT(1024);
	struct json j = { .out = &b };
	bool sent;

	json_open(&j, NULL, '{');
	json_bool(&j, "ok", !error);
	if (error)
		json_str(&j, "error", error);
	json_close(&j, '}');
	buf_puts(&b, "\n");
	sent = say(c, &b);
	buf_done(&b);
	return sent;
}

/* Return: NULL with the answer, or what is wrong. */
static const char *read_answer(const struct askers *a, const struct json_node *root,
			       enum askers_answer *ret)
{
	static const char *const words[] = { "once", "no", "never" };
	const char *id = json_text(root, "id"), *decision = json_text(root, "decision");
	char text[16];
	size_t i;

	(void)snprintf(text, sizeof(text), "%u", a->id);
	if (!a->open || !id || strcmp(id, text) != 0)
		return "id: nothing waits for that answer";
	for (i = 0; decision && i < ARRAY_SIZE(words); i++) {
		if (strcmp(decision, words[i]) == 0) {
			*ret = (enum askers_answer)i;
			return NULL;
		}
	}
	return "decision: expected once, no or never";
}

static void obey(struct asker *c, const char *line, size_t n)
{
	struct arena arena = ARENA_INIT(65536);
	const struct json_node *root = NULL;
	enum askers_answer what = ASKERS_GONE;
	const char *op = NULL, *error;

	if (json_read("ask", line, n, &arena, &root, NULL) == 0 && root->type == JSON_OBJECT)
		op = json_text(root, "op");
	if (op && strcmp(op, "ask") == 0) {
		c->asks = true;
		error = NULL;
	} else if (op && strcmp(op, "answer") == 0) {
		error = read_answer(c->all, root, &what);
	} else {
		error = "op: expected ask or answer";
	}
	arena_done(&arena);
	if (!reply(c, error))
		drop(c);
	if (what != ASKERS_GONE)
		answer(c->all, what);
}

static int on_client(void *arg, short revents, struct err *e)
{
	struct asker *c = arg;
	ssize_t n = recv(c->fd, c->line + c->n, sizeof(c->line) - 1 - c->n, MSG_DONTWAIT);
	char *nl;

	(void)revents;
	(void)e;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (n <= 0) {
		drop(c);
		return -EAGAIN;
	}
	c->n += (size_t)n;
	while (c->fd >= 0 && (nl = memchr(c->line, '\n', c->n))) {
		const size_t len = (size_t)(nl - c->line);

		*nl = '\0';
		obey(c, c->line, len);
		c->n -= len + 1;
		memmove(c->line, nl + 1, c->n);
	}
	if (c->fd >= 0 && c->n == sizeof(c->line) - 1)
		drop(c); /* no word of ours is so long */
	return -EAGAIN;
}

static int on_connect(void *arg, short revents, struct err *e)
{
	struct askers *a = arg;
	struct ucred peer;
	socklen_t size = sizeof(peer);
	struct asker *c;
	size_t i;
	struct sockaddr_un from;
	socklen_t from_size = sizeof(from);
	int fd = accept4(a->sock, (struct sockaddr *)&from, &from_size,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)revents;
	(void)e;
	if (fd < 0)
		return -EAGAIN;
	for (i = 0; i < CLIENTS && a->asker[i].fd >= 0; i++)
		;
	if (i == CLIENTS || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
	    peer.uid != geteuid()) {
		(void)close(fd);
		return -EAGAIN;
	}
	c = &a->asker[i];
	c->n = 0;
	c->asks = false;
	if (!c->source)
		c->source = loop_add(a->loop, fd, POLLIN, on_client, c);
	if (!c->source) {
		(void)close(fd);
		return -EAGAIN;
	}
	c->fd = c->source->fd = fd;
	c->source->events = POLLIN;
	return -EAGAIN;
}

struct askers *askers_begin(struct loop *loop, int dir,
			    void (*answered)(void *arg, enum askers_answer answer), void *arg)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct askers *a = calloc(1, sizeof(*a));
	size_t i;

	if (!a)
		return NULL;
	*a = (struct askers){
		.loop = loop, .dir = dir, .sock = -1, .answered = answered, .arg = arg
	};
	for (i = 0; i < CLIENTS; i++)
		a->asker[i] = (struct asker){ .all = a, .fd = -1 };
	/* as of the control socket: the path may be longer than an address can be */
	(void)snprintf(at.sun_path, sizeof(at.sun_path), "/proc/self/fd/%d/" NAME, dir);
	a->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (a->sock >= 0 && bind(a->sock, (struct sockaddr *)&at, sizeof(at)) == 0 &&
	    listen(a->sock, CLIENTS) == 0)
		a->source = loop_add(loop, a->sock, POLLIN, on_connect, a);
	if (a->source)
		return a;
	askers_end(a);
	return NULL;
}

bool askers_ask(struct askers *a, const char *url, const struct url *u)
{
	struct buf b = BUF_INIT((size_t)2 * URL_MAX);
	struct json j = { .out = &b };
	size_t i;

	a->id++;
	json_open(&j, NULL, '{');
	json_str(&j, "event", "open");
	json_int(&j, "id", a->id);
	json_str(&j, "url", url);
	json_str(&j, "host", u->host);
	json_int(&j, "port", u->port);
	json_close(&j, '}');
	buf_puts(&b, "\n");
	a->open = false; /* whoever is dropped here is not waited for */
	for (i = 0; i < CLIENTS; i++) {
		if (a->asker[i].fd >= 0 && a->asker[i].asks && !say(&a->asker[i], &b))
			drop(&a->asker[i]);
	}
	buf_done(&b);
	a->open = anybody(a);
	return a->open;
}

void askers_forget(struct askers *a)
{
	if (a)
		a->open = false;
}

void askers_end(struct askers *a)
{
	size_t i;

	if (!a)
		return;
	for (i = 0; i < CLIENTS; i++)
		cleanup_close(&a->asker[i].fd);
	if (a->sock >= 0)
		(void)unlinkat(a->dir, NAME, 0); /* nobody listens any more */
	cleanup_close(&a->sock);
	free(a);
}
