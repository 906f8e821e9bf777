/* SPDX-License-Identifier: Apache-2.0 */
/* What the process that reads the store says (bound.h), and what the supervisor gets to know of it. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine.h"
#include "erase.h"

#define NOTES_MAX 1024u

/* What the socket takes; the rest goes when it takes more. That the helper is gone is said by what is read of it. */
static void flush_helper(struct keys *k)
{
	ssize_t n;

	while (k->helper.fd >= 0 && k->to_helper.n > 0) {
		n = send(k->helper.fd, fifo_head(&k->to_helper), k->to_helper.n,
			 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EINTR)
			return;
		fifo_take(&k->to_helper, n > 0 ? (size_t)n : 0);
	}
}

/* A whole message, behind those that wait. Return: whether there is place, and a helper. */
static bool say_helper(struct keys *k, const void *p, size_t n)
{
	if (k->helper.fd < 0 || !fifo_add(&k->to_helper, p, n))
		return false;
	flush_helper(k);
	return true;
}

int keys_secrets_ask(struct keys *k, struct err *e)
{
	const char ask = BOUND_ASK;

	if (!say_helper(k, &ask, 1))
		return err_set(e, ERR_SYSTEM, -EIO, "secrets: the process that reads them is gone");
	k->asked = true;
	return 0;
}

/* Read on. Return: 1: all is there; 0: more is to come; negative: the helper is gone. */
static int read_helper(struct keys *k, int flags)
{
	bool head;
	ssize_t n;

	for (;;) {
		head = k->secrets_head < sizeof(k->secrets_n);
		if (!head && k->secrets_n > BOUND_MAX)
			return -EBADMSG;
		if (!head && !k->secrets.data && !erase_buf_init(&k->secrets, k->secrets_n))
			return -ENOMEM;
		if (!head && k->secrets.len == k->secrets_n)
			return 1;
		if (head)
			n = recv(k->helper.fd, (char *)&k->secrets_n + k->secrets_head,
				 sizeof(k->secrets_n) - k->secrets_head, flags);
		else
			n = recv(k->helper.fd, k->secrets.data + k->secrets.len,
				 k->secrets_n - k->secrets.len, flags);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 && errno == EAGAIN ? 0 : -EIO;
		if (head)
			k->secrets_head += (size_t)n;
		else
			k->secrets.len += (size_t)n;
	}
}

static void end_reading(struct keys *k)
{
	erase_buf_done(&k->secrets);
	k->secrets_n = 0;
	k->secrets_head = 0;
}

/* What has come is bound, or nothing changes. @r: of read_helper() */
static int take_secrets(struct keys *k, int r, struct buf *notes, struct err *e)
{
	if (r == 1)
		r = bound_take(&k->bound, k->names, k->n_names, k->secrets.data, k->secrets.len,
			       notes, e);
	else
		r = err_set(e, ERR_SYSTEM, r, "secrets: the process that reads them is gone");
	end_reading(k);
	return r;
}

/* What was kept of log-ins. */
static int take_logins(struct keys *k, int r, struct err *e)
{
	const size_t n = k->secrets.len;

	if (r != 1 || n == 0 || (*k->secrets.data != 'L' && *k->secrets.data != 'E'))
		r = err_set(e, ERR_SYSTEM, -EIO, "secrets: the process that reads them is gone");
	else if (*k->secrets.data == 'E')
		r = err_set(e, ERR_POLICY, -EBADMSG, "log-ins: %.*s",
			    (int)(n - 1 < 400 ? n - 1 : 400), k->secrets.data + 1);
	else
		r = n > 1 ? logins_load(&k->logins, k->secrets.data + 1, n - 1, e) : 0;
	end_reading(k);
	return r;
}

/* As above, whether it was asked for or not. */
static void hear_helper(struct keys *k, int r)
{
	const char kind = *(r == 1 && k->secrets.len > 0 ? k->secrets.data : "");
	struct buf notes = BUF_INIT(NOTES_MAX);
	struct err e = ERR_INIT;

	if (kind == 'N') {
		k->secrets.data[k->secrets.len] = '\0'; /* it has a byte more */
		keys_say_notice(k, k->secrets.data + 1);
		end_reading(k);
		return;
	}
	r = take_secrets(k, r, &notes, &e);
	if (k->asked && kind != 'P') {
		k->asked = false;
		keys_say_result(k, r, notes.len ? notes.data : "", &e);
	} else if (r < 0 || notes.len) {
		keys_say_notice(k, r < 0 ? e.msg : notes.data);
	}
	buf_done(&notes);
}

/* All tokens as they are now. While older ones wait they do, too: one message of that length is enough. */
static void keep_tokens(struct keys *k)
{
	struct buf b = BUF_INIT(0);
	uint32_t n;
	bool good;

	if (!k->logins.changed || !k->keeps_logins || k->to_helper.n > 0)
		return;
	k->logins.changed = false;
	good = erase_buf_init(&b, LOGIN_KEPT + 16);
	if (good) {
		buf_add(&b, (const char[]){ BOUND_KEEP }, 1);
		buf_add(&b, "\0\0\0\0", sizeof(n));
		logins_print(&k->logins, &b);
		n = (uint32_t)(b.len - 1 - sizeof(n));
		memcpy(b.data + 1, &n, sizeof(n));
		good = !b.failed && say_helper(k, b.data, b.len);
	}
	erase_buf_done(&b);
	if (!good)
		keys_say_notice(
			k,
			"the tokens of log-ins can't be kept: they are gone when the sandbox ends");
}

static void on_helper(struct keys *k, struct watch *w, uint32_t events)
{
	int r;

	if (events & EPOLLOUT)
		flush_helper(k);
	if (k->logins.changed && k->to_helper.n == 0)
		keep_tokens(k);
	do {
		r = read_helper(k, MSG_DONTWAIT);
		if (r != 0 && (r == 1 || k->asked))
			hear_helper(k, r);
	} while (r == 1);
	if (r < 0) {
		end_reading(k);
		fifo_done(&k->to_helper);
		keys_unwatch(k, w);
	}
	keys_lines(k);
}

/* Before there is a key of ours that the helper could inherit. */
int keys_secrets_begin(struct keys *k, const char *store, const char *own, struct err *e)
{
	const struct bound_places places = { .state = store,
					     .own = own,
					     .names = k->names,
					     .n = k->n_names,
					     .shared = k->n_shared,
					     .logins = k->keeps_logins };
	int fds[2], r;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return err_sys(e, -errno, "secrets");
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* its socket's end says so, too */
		(void)prctl(PR_SET_NAME, "bailey-secrets", 0, 0, 0);
		r = fd_close_others(&fds[1], 1);
		if (r == 0)
			bound_helper(fds[1], &places);
		_exit(0);
	}
	(void)close(fds[1]);
	if (pid < 0) {
		(void)close(fds[0]);
		return err_sys(e, -errno, "secrets: fork");
	}
	k->helper = (struct watch){ .fd = fds[0], .on = on_helper };
	r = keys_secrets_ask(k, e);
	if (r == 0)
		r = take_secrets(k, read_helper(k, 0), /* notes= */ NULL, e);
	if (r == 0 && k->keeps_logins)
		r = take_logins(k, read_helper(k, 0), e);
	k->asked = false;
	return r;
}

void keys_logins_keep(struct keys *k, struct login *login)
{
	char text[160];

	if (!login->told && k->logins.changed) {
		login->told = true;
		(void)snprintf(text, sizeof(text),
			       "log-in '%s': its tokens stay outside, the command has stand-ins",
			       login->name);
		keys_say_notice(k, text);
	}
	keep_tokens(k);
}

int keys_pairs(struct keys *k, const struct json_node *pairs, struct err *e)
{
	int r = masks_pairs(&k->masks, pairs, e);

	if (r < 0 || k->masks.n == 0)
		return r;
	k->bound.masks = k->masks.bound;
	k->bound.n_masks = k->masks.n_bound;
	return bound_take(&k->bound, NULL, 0, "O", 1, NULL, e);
}

int keys_masks_begin(struct keys *k, const struct json_node *masks, const struct json_node *pairs,
		     struct err *e)
{
	int r = masks_take(&k->masks, masks, e);

	if (r == 0 && k->masks.n > 0 && k->n_names > 0)
		return err_set(e, ERR_USAGE, -EINVAL, "control: masks: not beside secrets");
	return r == 0 ? keys_pairs(k, pairs, e) : r;
}

static void say_one(struct json *j, const char *name, bool login, const char *const *hosts,
		    size_t n)
{
	size_t i;

	json_open(j, NULL, '{');
	json_str(j, "name", name);
	json_bool(j, "login", login);
	json_open(j, "hosts", '[');
	for (i = 0; i < n; i++)
		json_str(j, NULL, hosts[i]);
	json_close(j, ']');
	json_close(j, '}');
}

void keys_secrets_say(const struct keys *k, struct json *j)
{
	const struct bound_set *set = k->bound.now;
	size_t i;

	json_open(j, "bound", '[');
	for (i = 0; set && i < set->n; i++) {
		if (!set->v[i].mask)
			say_one(j, set->v[i].secret.name, false, set->v[i].hosts.v,
				set->v[i].hosts.n);
	}
	for (i = 0; i < k->logins.n; i++)
		say_one(j, k->logins.v[i].name, true, k->logins.v[i].hosts, k->logins.v[i].n_hosts);
	json_close(j, ']');
}
