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
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "egress.h"
#include "network-runs.h"

#define LINE_BYTES 8192u
#define ANSWER_MS 110000 /* the gateway waits a little longer */

struct ask {
	int sock, tty;
	struct loop_source *source;
	size_t n;
	char line[LINE_BYTES];
};

char ask_key(int tty)
{
	struct termios old, raw;
	struct pollfd p = { .fd = tty, .events = POLLIN };
	bool set = tcgetattr(tty, &old) == 0;
	char key = 0;

	if (set) {
		raw = old;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG); /* Ctrl-C is an answer */
		raw.c_cc[VMIN] = 1;
		raw.c_cc[VTIME] = 0;
		(void)tcsetattr(tty, TCSANOW, &raw); /* else a line must be ended */
		(void)tcflush(tty, TCIFLUSH); /* what was typed before was not meant for this */
	}
	if (poll(&p, 1, ANSWER_MS) == 1 && read(tty, &key, 1) != 1)
		key = 0;
	if (set)
		(void)tcsetattr(tty, TCSANOW, &old);
	return key;
}

static const char *decide(const struct ask *a, const char *name, const char *port)
{
	struct buf b = BUF_INIT(2048);
	const char *decision = NULL;
	char key;

	buf_puts(&b, "\r\nbailey: the sandbox wants to connect to ");
	buf_quote(&b, name);
	buf_printf(&b, ":%s. Allow it? o = once, a = always in this run, n = never: ", port);
	if (!b.failed)
		(void)fd_write_all(a->tty, b.data, b.len); /* nobody sees it: nobody answers */
	buf_done(&b);
	while (!decision) {
		key = ask_key(a->tty);
		decision = key == 'o' || key == 'y' ? "once" :
			   key == 'a'               ? "always" :
			   key == 'n' || !key       ? "never" :
						      NULL;
		if (key == 3 || key == 4 || key == 27) /* Ctrl-C, Ctrl-D, Esc */
			decision = "never";
	}
	(void)dprintf(a->tty, "%s\r\n", decision);
	return decision;
}

static void answer(struct ask *a, const struct json_node *root)
{
	const char *event = json_text(root, "event"), *id = json_text(root, "id"),
		   *name = json_text(root, "name"), *port = json_text(root, "port");
	char text[200];

	if (!event || strcmp(event, "ask") != 0 || !id || !name || !port)
		return;
	(void)snprintf(text, sizeof(text), "{\"op\":\"answer\",\"id\":%.20s,\"decision\":\"%s\"}\n",
		       id, decide(a, name, port));
	(void)fd_write_all(a->sock, text, strlen(text)); /* a gateway that has gone asks anew */
}

static int on_line(void *arg, short revents, struct err *e)
{
	struct ask *a = arg;
	ssize_t n = recv(a->sock, a->line + a->n, sizeof(a->line) - 1 - a->n, MSG_DONTWAIT);
	char *nl;

	(void)revents;
	(void)e;
	if (n <= 0 || a->n + (size_t)n == sizeof(a->line) - 1) {
		if (n >= 0 || errno != EAGAIN)
			a->source->events = 0;
		return -EAGAIN;
	}
	a->n += (size_t)n;
	while ((nl = memchr(a->line, '\n', a->n))) {
		struct arena arena = ARENA_INIT(65536);
		const struct json_node *root;
		size_t len = (size_t)(nl - a->line);

		*nl = '\0';
		if (json_read("gateway", a->line, len, &arena, &root, NULL) == 0)
			answer(a, root);
		arena_done(&arena);
		a->n -= len + 1;
		memmove(a->line, nl + 1, a->n);
	}
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
	a->tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	a->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (a->tty >= 0 && a->sock >= 0 && connect(a->sock, (struct sockaddr *)&at, size) == 0 &&
	    fd_write_all(a->sock, hello, sizeof(hello) - 1) == 0)
		a->source = loop_add(&run->loop, a->sock, POLLIN, on_line, a);
	if (a->source)
		return a;
	ask_done(a);
	return NULL;
}

void ask_done(struct ask *a)
{
	if (!a)
		return;
	cleanup_close(&a->tty);
	cleanup_close(&a->sock);
	free(a);
}
