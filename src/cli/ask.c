/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. While a question stands on the terminal, the supervisor does nothing else: the command's output waits, and so does what is typed,
 * but for the key that answers. A question is one line; an answer is one key; no answer in time is a no for this once.
 */
#include "ask.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "egress.h"
#include "network-runs.h"

#define LINE_BYTES 8192u
#define ANSWER_MS 110000 /* the gateway waits a little longer */
#define SLICE_MS 500     /* between two looks at what else is asked */
#define QUESTIONS 32     /* more than a gateway asks at a time */

/* What the gateway waits for. */
struct question {
	char id[24], port[8], name[NET_HOST_MAX + 1];
	long at;
};

struct ask {
	struct run *run;
	int sock, tty, again; /* again: readable where questions wait */
	struct loop_source *source;
	size_t n, n_waiting;
	char line[LINE_BYTES];
	struct question waiting[QUESTIONS];
};

long ask_until(const struct run *run, long from)
{
	return run->deadline && run->deadline < from + ANSWER_MS ? run->deadline : from + ANSWER_MS;
}

char ask_key(int tty, long until, void (*meanwhile)(void *arg), void *arg)
{
	struct termios old, raw;
	struct pollfd p = { .fd = tty, .events = POLLIN };
	bool set = tcgetattr(tty, &old) == 0;
	char key = 0;
	long left;
	int r = 0;

	if (set) {
		raw = old;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG); /* Ctrl-C is an answer */
		raw.c_cc[VMIN] = 1;
		raw.c_cc[VTIME] = 0;
		(void)tcsetattr(tty, TCSANOW, &raw); /* else a line must be ended */
		(void)tcflush(tty, TCIFLUSH); /* what was typed before was not meant for this */
	}
	while (r == 0 && (left = until - clock_ms()) > 0) {
		r = poll(&p, 1, left < SLICE_MS ? (int)left : SLICE_MS);
		if (r < 0 && errno == EINTR)
			r = 0;
		if (meanwhile)
			meanwhile(arg);
	}
	if (r == 1 && read(tty, &key, 1) != 1)
		key = 0;
	if (set)
		(void)tcsetattr(tty, TCSANOW, &old);
	return key;
}

/* A line of the gateway's: what it asks waits for its turn. */
static void queue(struct ask *a, const struct json_node *root)
{
	const char *event = json_text(root, "event"), *id = json_text(root, "id"),
		   *name = json_text(root, "name"), *port = json_text(root, "port");
	struct question *q;

	if (!event || strcmp(event, "ask") != 0 || !id || !name || !port ||
	    a->n_waiting == QUESTIONS)
		return;
	q = &a->waiting[a->n_waiting++];
	q->at = clock_ms();
	(void)snprintf(q->id, sizeof(q->id), "%s", id);
	(void)snprintf(q->name, sizeof(q->name), "%s", name);
	(void)snprintf(q->port, sizeof(q->port), "%s", port);
}

/* All that has come, while a question stands, too: how old one is counts from here. */
static void take(void *arg)
{
	struct ask *a = arg;
	ssize_t n = 1;
	char *nl;

	while (a->source->events && n > 0) {
		n = recv(a->sock, a->line + a->n, sizeof(a->line) - a->n, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			a->source->events = 0;
		a->n += n > 0 ? (size_t)n : 0;
		while ((nl = memchr(a->line, '\n', a->n))) {
			struct arena arena = ARENA_INIT(65536);
			const struct json_node *root;
			size_t len = (size_t)(nl - a->line);

			*nl = '\0';
			if (json_read("gateway", a->line, len, &arena, &root, NULL) == 0)
				queue(a, root);
			arena_done(&arena);
			a->n -= len + 1;
			memmove(a->line, nl + 1, a->n);
		}
		if (a->n == sizeof(a->line))
			a->source->events = 0; /* no gateway writes such a line */
	}
}

/* Return: NULL: nobody has answered, which the gateway takes for a no for this once when its own time is over. */
static const char *decide(struct ask *a, const struct question *q)
{
	const long until = ask_until(a->run, q->at);
	struct buf b = BUF_INIT(2048);
	const char *decision = NULL;
	char key = 1;

	buf_puts(&b, "\r\nbailey: the sandbox wants to connect to ");
	buf_quote(&b, q->name);
	buf_printf(&b, ":%s. Allow it? o = once, a = always in this run, n = never: ", q->port);
	if (!b.failed)
		(void)fd_write_all(a->tty, b.data, b.len); /* nobody sees it: nobody answers */
	buf_done(&b);
	while (!decision && key) {
		key = ask_key(a->tty, until, take, a);
		decision = key == 'o' || key == 'y' ? "once" :
			   key == 'a'               ? "always" :
			   key == 'n'               ? "never" :
						      NULL;
		if (key == 3 || key == 4 || key == 27) /* Ctrl-C, Ctrl-D, Esc */
			decision = "never";
	}
	(void)dprintf(a->tty, "%s\r\n", decision ? decision : "no answer");
	return decision;
}

/* One question; the others wait until the supervisor has seen to everything else. */
static void answer_one(struct ask *a)
{
	const char *decision;
	struct question q;
	char text[200];

	if (a->n_waiting == 0)
		return;
	q = a->waiting[0];
	memmove(a->waiting, a->waiting + 1, --a->n_waiting * sizeof(q));
	if (a->run->timed_out || ask_until(a->run, q.at) <= clock_ms())
		return; /* nobody waits for it any more */
	decision = decide(a, &q);
	if (!decision)
		return;
	(void)snprintf(text, sizeof(text), "{\"op\":\"answer\",\"id\":%.20s,\"decision\":\"%s\"}\n",
		       q.id, decision);
	(void)fd_write_all(a->sock, text, strlen(text)); /* a gateway that has gone asks anew */
}

static int on_again(void *arg, short revents, struct err *e)
{
	struct ask *a = arg;
	eventfd_t n;

	(void)revents;
	(void)e;
	(void)eventfd_read(a->again, &n); /* it only says that there is something */
	answer_one(a);
	if (a->n_waiting > 0)
		(void)eventfd_write(a->again, 1); /* can't fail with so few */
	return -EAGAIN;
}

static int on_line(void *arg, short revents, struct err *e)
{
	struct ask *a = arg;

	(void)revents;
	(void)e;
	take(a);
	if (a->n_waiting > 0)
		(void)eventfd_write(a->again, 1); /* the same */
	return -EAGAIN;
}

struct ask *ask_begin(struct run *run, int dir)
{
	static const char hello[] = "{\"op\":\"ask\"}\n";
	struct ask *a = calloc(1, sizeof(*a));
	struct sockaddr_un at;
	socklen_t size = (socklen_t)egress_address(dir, &at);

	if (!a)
		return NULL;
	a->run = run;
	a->again = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	a->tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	a->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (a->tty >= 0 && a->sock >= 0 && a->again >= 0 &&
	    connect(a->sock, (struct sockaddr *)&at, size) == 0 &&
	    fd_write_all(a->sock, hello, sizeof(hello) - 1) == 0)
		a->source = loop_add(&run->loop, a->sock, POLLIN, on_line, a);
	if (a->source && loop_add(&run->loop, a->again, POLLIN, on_again, a))
		return a;
	if (a->source)
		a->source->events = 0;
	ask_done(a);
	return NULL;
}

void ask_done(struct ask *a)
{
	if (!a)
		return;
	cleanup_close(&a->tty);
	cleanup_close(&a->sock);
	cleanup_close(&a->again);
	free(a);
}
