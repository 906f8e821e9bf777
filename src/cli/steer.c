/* SPDX-License-Identifier: Apache-2.0 */
#include "steer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Where a path leads now. What does not exist yet is a name in a directory that does. */
static void set_socket(struct steer *st, const char *path)
{
	char real[LIMIT_PATH];

	st->socket[0] = '\0';
	if (path &&
	    (jail_host_resolve(path, true, real) == 0 || jail_host_resolve(path, false, real) == 0))
		memcpy(st->socket, real, strlen(real) + 1);
	else if (path)
		memcpy(st->socket, path, strlen(path) + 1);
}

void steer_begin(struct steer *st, const struct sandbox *s)
{
	const struct sandbox_front *front = s->options->front;

	*st = (struct steer){ .policy = s->net, .memory = ARENA_INIT(LIMIT_ARENA) };
	if (!front)
		return;
	st->policy.handed = front->network.handed;
	st->policy.n_handed = front->network.n_handed;
	set_socket(st, front->network.socket);
}

void steer_done(struct steer *st)
{
	arena_done(&st->memory);
}

static int add(struct net_policy *p, struct net_rule rule, struct err *e)
{
	const char **strings[] = { &rule.host, &rule.text, &rule.origin, &rule.reason };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(strings); i++) {
		if (!*strings[i])
			continue;
		*strings[i] = arena_strdup(p->arena, *strings[i]);
		if (!*strings[i])
			return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory for rules");
	}
	return net_policy_add(p, &rule, e);
}

/* The new policy as a whole, in @a. */
static int make(struct net_policy *ret, const struct sandbox *s,
		const struct sandbox_network_rules *c, struct arena *a, struct err *e)
{
	struct net_policy handed;
	size_t i;
	int r = 0;

	net_policy_init(ret, a);
	ret->mode = s->net.mode;
	ret->mode_origin = s->net.mode_origin;
	ret->most_specific = s->net.most_specific;
	ret->quotas = s->net.quotas;
	ret->n_quotas = s->net.n_quotas;
	for (i = 0; r == 0 && i < s->net.n; i++) {
		if (s->net.rules[i].layer != POLICY_COMMAND)
			r = add(ret, s->net.rules[i], e);
	}
	for (i = 0; r == 0 && i < c->n; i++)
		r = add(ret, c->rules[i], e);
	net_policy_init(&handed, a);
	for (i = 0; r == 0 && i < c->n_handed; i++)
		r = add(&handed, c->handed[i], e);
	/* these are settled at the start */
	ret->inspects = s->net.inspects;
	ret->n_inspects = s->net.n_inspects;
	ret->inspect_all = s->net.inspect_all;
	ret->forwards = s->net.forwards;
	ret->n_forwards = s->net.n_forwards;
	ret->handed = handed.rules;
	ret->n_handed = handed.n;
	return r;
}

/* Return: a file of memory with the policy in it, or negative errno. */
static int pack(const struct net_policy *p)
{
	struct buf b = BUF_INIT(LIMIT_NET_PACK);
	_cleanup_close_ int fd = memfd_create("rules", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : 0;

	net_policy_pack(p, &b);
	if (r == 0 && b.failed)
		r = -E2BIG;
	if (r == 0)
		r = fd_write_all(fd, b.data, b.len);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	buf_done(&b);
	return r < 0 ? r : TAKE_FD(fd);
}

int steer_change(struct steer *st, const struct sandbox *s, const struct sandbox_network_rules *c,
		 int line, struct err *e)
{
	struct gateway_message m;
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	struct net_policy next;
	_cleanup_close_ int fd = -1;
	int r = make(&next, s, c, &a, e);

	if (r == 0) {
		fd = pack(&next);
		r = fd < 0 ? err_sys(e, fd, "network rules") : 0;
	}
	if (r < 0) {
		arena_done(&a);
		return r;
	}
	arena_done(&st->memory);
	st->memory = a;
	st->policy = next;
	st->policy.arena = &st->memory;
	set_socket(st, c->socket);
	memset(&m, 0, sizeof(m));
	m.word = GATEWAY_RULES;
	if (line >= 0 && fd_send(line, &m, sizeof(m), &fd, 1, 0) < 0)
		return err_set(e, ERR_SYSTEM, -EPIPE, "the gateway takes no rules any more");
	return 0;
}

/*
 * A socket that is connected to st->socket. A link that was not there at the start is not followed: the command could have put it there, to have another socket
 * of the host reached. Return: it, or negative errno.
 */
static int dial(const struct steer *st)
{
	_cleanup_close_ int at = -1, fd = -1;
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct stat sb;

	if (!*st->socket)
		return -ENOENT;
	at = sys_openat2(AT_FDCWD, st->socket, O_PATH | O_CLOEXEC, RESOLVE_NO_SYMLINKS);
	if (at == -ENOSYS) {
		at = open(st->socket, O_PATH | O_CLOEXEC | O_NOFOLLOW);
		at = at < 0 ? -errno : at;
	}
	if (at < 0)
		return at;
	if (fstat(at, &sb) < 0 || !S_ISSOCK(sb.st_mode))
		return -ENOTSOCK;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* by what was looked at, and a path may be longer than an address can be */
	(void)snprintf(to.sun_path, sizeof(to.sun_path), "/proc/self/fd/%d", at);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int steer_hear(int line, struct gateway_message *ret)
{
	int fds[8];
	ssize_t n = fd_recv(line, ret, sizeof(*ret), fds, MSG_DONTWAIT);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fds); i++)
		cleanup_close(&fds[i]); /* it has no business to send one */
	if (n == -EAGAIN)
		return 0;
	return n == (ssize_t)sizeof(*ret) ? 1 : -1;
}

bool steer_answer(const struct steer *st, int line, const struct gateway_message *m)
{
	struct gateway_message answer = *m;
	_cleanup_close_ int got = -1;
	int fd;

	if (m->word != GATEWAY_DIAL)
		return false;
	fd = dial(st);
	got = fd < 0 ? -1 : fd;
	answer.word = GATEWAY_DIALLED;
	answer.error = fd < 0 ? -fd : 0;
	/* when it does not read, its question is left without an answer, and ends in time */
	return fd_send(line, &answer, sizeof(answer), &got, got >= 0, 0) != -EPIPE;
}
