/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. One poll loop over the supervisor, the socket that the sandbox connects to, the caller's agent, and the clients. A client has one request at a time: while that is
 * not answered nothing more of it is read. Most are answered at once, from what was read at the start; only a signature that may be is asked for from the caller's agent, one after
 * the other, since its answers have no numbers. A client that goes while its signature is made leaves its place in that order.
 *
 * The caller's agent gets no byte that a client chose but those of a log-in that was checked.
 */
#include "ssh-agent.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "fifo.h"
#include "keys.h"
#include "policy/policy.h"

#define CLIENTS 32u
#define NOBODY CLIENTS /* whose signature is made: nobody's, or of one that has gone */

enum place { AT_CONTROL, AT_LISTENER, AT_AGENT, AT_CLIENTS, AT_NUM = AT_CLIENTS + CLIENTS };

struct client {
	int fd; /* -1: a free place */
	struct fifo in, out;
	struct ssh_session session;
	bool waiting; /* for a signature */
	struct buf request;
	char said[SSH_NOTE_MAX];
};

static struct ssh_rules rules;

struct agent {
	int fd; /* of the caller's; -1: it is gone */
	struct fifo in, out;
	bool busy; /* it owes an answer */
	bool stays; /* when it has gone this process ends, too, and another one is started when it is needed */
	size_t for_whom, last;
	struct client clients[CLIENTS];
};

/* What the loop needs, and why. */
static const unsigned short calls[] = {
	/* the loop */
	SYS_poll, SYS_close, SYS_accept4, SYS_clock_gettime,
	/* clients, the caller's agent, the supervisor */
	SYS_recvfrom, SYS_sendto, SYS_read, SYS_write,
	/* memory; never executable */
	SYS_brk, SYS_munmap, SYS_mremap, SYS_madvise,
	/* OpenSSL: locks (nobody waits for one), random bytes for blinding */
	SYS_futex, SYS_getrandom, SYS_getpid,
	/* the end, and what the kernel itself begins anew */
	SYS_exit_group, SYS_exit, SYS_rt_sigreturn, SYS_restart_syscall
};

/* --- clients --- */

static void client_close(struct agent *a, size_t i)
{
	struct client *c = &a->clients[i];

	if (c->fd >= 0)
		(void)close(c->fd);
	fifo_done(&c->in);
	fifo_done(&c->out);
	buf_done(&c->request);
	*c = (struct client){ .fd = -1 };
	if (a->for_whom == i)
		a->for_whom = NOBODY;
}

static void client_accept(struct agent *a, int listener)
{
	struct sockaddr_un from; /* clients have no names */
	socklen_t size = sizeof(from);
	int fd = accept4(listener, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
	size_t i;

	for (i = 0; i < CLIENTS && a->clients[i].fd >= 0; i++)
		;
	if (fd < 0 || i == CLIENTS) {
		cleanup_close(&fd);
		return;
	}
	a->clients[i] = (struct client){ .fd = fd,
					 .in = FIFO_INIT(SSH_MESSAGE_MAX + 4),
					 .out = FIFO_INIT(SSH_ANSWER_MAX + 4),
					 .request = BUF_INIT(SSH_MESSAGE_MAX + 4) };
}

static void answer(struct client *c, const void *p, size_t n)
{
	struct buf b = BUF_INIT(SSH_ANSWER_MAX + 4);

	ssh_put_string(&b, p, n);
	if (b.failed || !fifo_add(&c->out, b.data, b.len))
		c->in.max = 0; /* no memory for an answer: it is closed */
	buf_done(&b);
}

static void answer_type(struct client *c, uint8_t type)
{
	answer(c, &type, 1);
}

static void answer_keys(struct client *c)
{
	struct buf b = BUF_INIT(SSH_ANSWER_MAX);
	const uint8_t type = SSH_IDENTITIES_ANSWER;
	size_t i;

	buf_add(&b, &type, 1);
	ssh_put_u32(&b, (uint32_t)rules.n_keys);
	for (i = 0; i < rules.n_keys; i++) {
		ssh_put_string(&b, rules.keys[i].blob, rules.keys[i].n);
		ssh_put_string(&b, rules.keys[i].comment, strlen(rules.keys[i].comment));
	}
	if (b.failed)
		answer_type(c, SSH_FAILURE);
	else
		answer(c, b.data, b.len);
	buf_done(&b);
}

static void ask_sign(struct client *c, const struct ssh_request *r)
{
	const uint8_t type = SSH_SIGN_REQUEST;

	if (!ssh_judge_sign(&rules, &c->session, r, c->said)) {
		answer_type(c, SSH_FAILURE);
		return;
	}
	/* written anew: what was understood, and nothing else */
	c->request.len = 0;
	ssh_put_u32(&c->request, (uint32_t)(1 + 4 + r->key.n + 4 + r->data.n + 4));
	buf_add(&c->request, &type, 1);
	ssh_put_string(&c->request, r->key.p, r->key.n);
	ssh_put_string(&c->request, r->data.p, r->data.n);
	ssh_put_u32(&c->request, r->flags);
	c->waiting = !c->request.failed;
	if (!c->waiting)
		answer_type(c, SSH_FAILURE);
}

static void take_request(struct client *c, const uint8_t *p, size_t n)
{
	struct ssh_request r;
	char name[48];

	if (ssh_request_parse(&r, p, n) < 0) {
		ssh_note(&rules, "refused: a message that is no request of an ssh client");
		answer_type(c, SSH_FAILURE);
		return;
	}
	switch (r.kind) {
	case SSH_ASK_IDENTITIES:
		answer_keys(c);
		return;
	case SSH_ASK_SIGN:
		ask_sign(c, &r);
		return;
	case SSH_ASK_BIND:
		answer_type(c, ssh_judge_bind(&rules, &c->session, &r) ? SSH_SUCCESS : SSH_FAILURE);
		return;
	case SSH_ASK_OTHER:
		break;
	}
	if (r.type == SSH_EXTENSION)
		ssh_note(&rules, "refused: the extension '%s'",
			 ssh_print(r.extension, name, sizeof(name)));
	else
		ssh_note(&rules, "refused: %s (request %u); no option allows that",
			 ssh_request_words(r.type), (unsigned int)r.type);
	answer_type(c, SSH_FAILURE);
}

/* Return: whether the client goes on. */
static bool client_write(struct client *c)
{
	ssize_t n = 0;

	while (c->out.n > 0) {
		n = send(c->fd, fifo_head(&c->out), c->out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		fifo_take(&c->out, (size_t)n);
	}
	return true;
}

/* Requests that are whole, one after the other, each answered before the next. */
static bool client_step(struct client *c)
{
	ssize_t n;

	while (client_write(c) && c->in.max > 0) {
		if (c->out.n > 0 || c->waiting || c->in.n == 0)
			return true;
		n = ssh_frame((const uint8_t *)fifo_head(&c->in), c->in.n, SSH_MESSAGE_MAX);
		if (n == 0)
			return true;
		if (n < 0) {
			ssh_note(&rules, "refused: a message of more than %u bytes, or of none",
				 SSH_MESSAGE_MAX);
			return false;
		}
		take_request(c, (const uint8_t *)fifo_head(&c->in) + 4, (size_t)n - 4);
		fifo_take(&c->in, (size_t)n);
	}
	return false;
}

static bool client_read(struct client *c)
{
	const size_t room = fifo_room(&c->in) < 4096 ? fifo_room(&c->in) : 4096;
	char *p = room > 0 ? fifo_space(&c->in, room) : NULL;
	ssize_t n = p ? recv(c->fd, p, room, MSG_DONTWAIT) : -1;

	if (n < 0 && p && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return false;
	fifo_added(&c->in, (size_t)n);
	return true;
}

/* --- the caller's agent --- */

static void agent_lost(struct agent *a)
{
	size_t i;

	ssh_note(&rules, "the caller's agent has ended, or said something that is no answer: %s",
		 a->stays ? "the next log-in looks for it again" : "nothing is signed any more");
	cleanup_close(&a->fd);
	a->fd = -1;
	a->busy = false;
	for (i = 0; i < CLIENTS; i++) {
		if (a->clients[i].waiting) {
			a->clients[i].waiting = false;
			answer_type(&a->clients[i], SSH_FAILURE);
		}
	}
}

/* Ask for the next signature; whoever comes behind the last one is first. */
static void agent_ask(struct agent *a)
{
	size_t i, at;

	for (i = 1; a->fd >= 0 && !a->busy && i <= CLIENTS; i++) {
		struct client *c = &a->clients[at = (a->last + i) % CLIENTS];

		if (c->fd < 0 || !c->waiting)
			continue;
		a->busy = true;
		a->for_whom = a->last = at;
		if (!fifo_add(&a->out, c->request.data, c->request.len))
			agent_lost(a);
	}
	for (i = 0; a->fd < 0 && i < CLIENTS; i++) {
		if (a->clients[i].fd >= 0 && a->clients[i].waiting) {
			a->clients[i].waiting = false;
			answer_type(&a->clients[i], SSH_FAILURE);
		}
	}
}

static void agent_answered(struct agent *a, const uint8_t *p, size_t n)
{
	struct client *c = a->for_whom < CLIENTS ? &a->clients[a->for_whom] : NULL;
	const bool is_signature = ssh_signature_check(p, n);

	a->busy = false;
	a->for_whom = NOBODY;
	if (!c)
		return;
	c->waiting = false;
	if (is_signature) {
		ssh_note_signed(&rules, c->said);
		answer(c, p, n);
	} else {
		ssh_note(&rules, "refused by your own agent, though it might be %s", c->said);
		answer_type(c, SSH_FAILURE);
	}
}

static void agent_step(struct agent *a, short events)
{
	ssize_t n;
	char *p;

	while (a->fd >= 0 && a->out.n > 0) {
		n = send(a->fd, fifo_head(&a->out), a->out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			agent_lost(a);
		if (n < 0)
			break;
		fifo_take(&a->out, (size_t)n);
	}
	if (a->fd < 0 || !(events & (POLLIN | POLLHUP | POLLERR)))
		return;
	p = fifo_space(&a->in, 4096);
	n = p ? recv(a->fd, p, 4096, MSG_DONTWAIT) : 0;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || !a->busy) { /* it speaks when it is asked */
		agent_lost(a);
		return;
	}
	fifo_added(&a->in, (size_t)n);
	n = ssh_frame((const uint8_t *)fifo_head(&a->in), a->in.n, SSH_MESSAGE_MAX);
	if (n < 0 || (n > 0 && (size_t)n != a->in.n)) {
		agent_lost(a);
	} else if (n > 0) {
		agent_answered(a, (const uint8_t *)fifo_head(&a->in) + 4, (size_t)n - 4);
		fifo_take(&a->in, (size_t)n);
	}
}

/* --- the loop --- */

static void wait_for_all(struct agent *a, struct pollfd p[AT_NUM])
{
	struct timespec now;
	bool room = false;
	size_t i;

	for (i = 0; i < CLIENTS; i++) {
		const struct client *c = &a->clients[i];

		room |= c->fd < 0;
		p[AT_CLIENTS + i] =
			(struct pollfd){ .fd = c->fd, .events = c->out.n > 0 ? POLLOUT : POLLIN };
		/* what it sends now waits with it; that it has gone is said all the same */
		if (c->waiting || fifo_room(&c->in) == 0)
			p[AT_CLIENTS + i].events = 0;
	}
	p[AT_CONTROL] = (struct pollfd){ .fd = KEYS_FD_CONTROL, .events = POLLIN };
	p[AT_LISTENER] = (struct pollfd){ .fd = room ? KEYS_FD_GATEWAY : -1, .events = POLLIN };
	p[AT_AGENT] = (struct pollfd){ .fd = a->fd,
				       .events = (short)(POLLIN | (a->out.n > 0 ? POLLOUT : 0)) };
	while (poll(p, AT_NUM, -1) < 0 && errno == EINTR)
		;
	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now); /* can't fail for this clock */
	rules.now = (uint64_t)now.tv_sec;
}

static void loop(struct agent *a)
{
	struct pollfd p[AT_NUM];
	size_t i;

	for (;;) {
		wait_for_all(a, p);
		if (p[AT_CONTROL].revents)
			return; /* it has nothing more to say */
		if (a->fd < 0 && a->stays)
			return; /* who waited has heard */
		if (p[AT_AGENT].revents)
			agent_step(a, p[AT_AGENT].revents);
		for (i = 0; i < CLIENTS; i++) {
			struct client *c = &a->clients[i];
			const short got = p[AT_CLIENTS + i].revents;
			bool on = true;

			if (c->fd < 0)
				continue;
			if (got & POLLIN)
				on = client_read(c);
			else if (got & (POLLHUP | POLLERR))
				on = false;
			if (!on || !client_step(c))
				client_close(a, i);
		}
		agent_ask(a);
		agent_step(a, 0);
		for (i = 0; i < CLIENTS;
		     i++) { /* what was answered by the way, and what waits behind it */
			if (a->clients[i].fd >= 0 && !client_step(&a->clients[i]))
				client_close(a, i);
		}
		if (p[AT_LISTENER].revents)
			client_accept(a, KEYS_FD_GATEWAY);
	}
}

/* --- the process --- */

static int read_line(struct buf *b)
{
	char part[4096];
	ssize_t n;

	do {
		n = read(KEYS_FD_CONTROL, part, sizeof(part));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EPIPE;
		buf_add(b, part, (size_t)n);
	} while (!b->failed && !(b->data && memchr(b->data, '\n', b->len)));
	return b->failed ? -E2BIG : 0;
}

static uid_t number_of(const struct json_node *root, const char *key)
{
	const struct json_node *n;

	for (n = root->first; n && strcmp(n->key, key) != 0; n = n->next)
		;
	return n && n->type == JSON_NUMBER ? (uid_t)strtoul(n->text, NULL, 10) : (uid_t)-1;
}

static void say(const struct buf *b)
{
	if (!b->failed)
		(void)fd_write_all(KEYS_FD_CONTROL, b->data,
				   b->len); /* who does not read has gone */
}

/* Each by itself: strings of our JSON have an end. Cuts @text. */
static void put_lines(struct json *j, char *text)
{
	char *end;

	json_open(j, "known", '[');
	for (; text && (end = strchr(text, '\n')); text = end + 1) {
		*end = '\0';
		json_str(j, NULL, text);
	}
	json_close(j, ']');
}

static int begin(struct agent *a, const struct buf *line, struct buf *out, struct err *e)
{
	struct arena arena = ARENA_INIT((size_t)8 * KEYS_LINE_MAX);
	const char *text = line->data ? line->data : "";
	struct buf known = BUF_INIT(KEYS_LINE_MAX / 2);
	struct json j = { .out = out };
	const struct json_node *root = NULL;
	bool missing = false;
	int r = json_read("control", text, strcspn(text, "\n"), &arena, &root, e);

	if (r == 0 && root->type != JSON_OBJECT)
		r = err_set(e, ERR_USAGE, -EINVAL, "control: expected an object");
	if (r == 0)
		r = a->fd = ssh_setup(&rules, root, &known, &missing, e);
	a->stays = r >= 0 && json_member_as(root, "stays", JSON_BOOL);
	if (r >= 0)
		r = confine(&(struct confine_plan){ .who = "ssh-agent",
						    .uid = number_of(root, "uid"),
						    .gid = number_of(root, "gid"),
						    .calls = calls,
						    .n = ARRAY_SIZE(calls) },
			    e);
	json_open(&j, NULL, '{');
	if (r < 0)
		json_str(&j, missing ? "missing" : "error", e->msg);
	else
		put_lines(&j, known.data);
	json_close(&j, '}');
	buf_puts(out, "\n");
	buf_done(&known);
	arena_done(&arena);
	return r;
}

static void put_notes(struct json *j, const char *key, const struct ssh_notes *n)
{
	char text[SSH_NOTE_MAX + 32];
	size_t i;

	json_open(j, key, '[');
	for (i = 0; i < n->n; i++) {
		(void)snprintf(text, sizeof(text), "%s", n->v[i].text); /* of that size */
		if (n->v[i].n > 1)
			(void)snprintf(text + strlen(text), 32, " (%u times)", n->v[i].n);
		json_str(j, NULL, text);
	}
	json_close(j, ']');
}

static void say_all(void)
{
	struct buf b = BUF_INIT(KEYS_LINE_MAX);
	struct json j = { .out = &b };

	json_open(&j, NULL, '{');
	put_notes(&j, "signed", &rules.notes[SSH_SIGNED]);
	json_int(&j, "more_signed", (long long)rules.notes[SSH_SIGNED].more);
	put_notes(&j, "said", &rules.notes[SSH_REFUSED]);
	json_int(&j, "more", (long long)rules.notes[SSH_REFUSED].more);
	json_close(&j, '}');
	buf_puts(&b, "\n");
	say(&b);
	buf_done(&b);
}

/* What OpenSSL reads, it reads now. */
static void prepare(void)
{
	uint8_t hash[SSH_HASH];

	(void)OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
				  NULL);
	(void)ssh_hash((struct ssh_bytes){ (const uint8_t *)"", 0 }, hash);
}

int keys_ssh_agent(void)
{
	static struct agent a = { .fd = -1,
				  .in = FIFO_INIT(SSH_MESSAGE_MAX + 8192),
				  .out = FIFO_INIT(SSH_MESSAGE_MAX + 4096),
				  .for_whom = NOBODY };
	const int keep[2] = { KEYS_FD_CONTROL, KEYS_FD_GATEWAY };
	struct buf line = BUF_INIT(KEYS_LINE_MAX), out = BUF_INIT(KEYS_LINE_MAX);
	struct err e = ERR_INIT;
	size_t i;
	int r;

	(void)signal(SIGPIPE, SIG_IGN); /* can't fail with these arguments */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	(void)prctl(PR_SET_NAME, "bailey-ssh", 0, 0, 0); /* for people */
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	for (i = 0; i < CLIENTS; i++)
		a.clients[i].fd = -1;
	r = fd_close_others(keep, 2);
	if (r == 0)
		r = confine_streams();
	if (r < 0 || read_line(&line) < 0)
		return 1;
	prepare();
	r = begin(&a, &line, &out, &e);
	buf_done(&line);
	confine_memory();
	say(&out);
	buf_done(&out);
	if (r < 0)
		return 1;
	loop(&a);
	say_all();
	return 0;
}
