/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. This process waits, and holds nothing: for SIGTERM, the lifeline's end, and what the two others say. To end, it closes its side of bailey-keys' socket; that
 * one refuses what is undecided, gives answers on their way a moment, and ends, which ends the dialer. What has not ended then is killed; and both end when this process does.
 */
#include "srt-serve.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/gateway.h"
#include "keys-program.h"
#include "keys/keys.h"
#include "srt.h"

#define END_MS 3000 /* for the two others, once they were told */
#define NAMES 256u  /* of --strip-response-header */

struct serve {
	const struct srt_serve *setup;
	pid_t keys, dialer;
	int control, tell, signals;
	bool serving, failed;
	char why[512];  /* it stops, or could not begin; "": neither */
	char line[512]; /* what bailey-keys says */
	size_t n;
	uint64_t end; /* ms */
};

int srt_serve_bind(const char *host, uint16_t port, struct err *e)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_storage to;
	struct net_addr a = { { 0 } };
	unsigned int size;
	bool any = !*host;

	if (strcasecmp(host, "localhost") == 0)
		host = "127.0.0.1";
	if (!any && !net_addr_parse(&a, host, strlen(host)))
		return err_set(e, ERR_USAGE, -EINVAL, "--listen: '%.100s' is no address", host);
	size = gateway_sockaddr(&a, port, &to);
	fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) < 0 ||
	    bind(fd, (struct sockaddr *)&to, size) < 0)
		return err_sys(e, -errno, "--listen: bind");
	return TAKE_FD(fd);
}

/* --- starting --- */

static int start_keys(struct serve *s, int control, int dialer, struct err *e)
{
	const struct srt_serve *setup = s->setup;
	const int fds[] = { control, dialer, setup->decider_in, setup->decider_out, setup->ca };
	char letters[8] = { PX_WORD_NONE }, *words[NAMES + 4];
	size_t n = 1, i;

	if (setup->ca >= 0)
		letters[n++] = PX_WORD_CA;
	if (setup->decider_out != setup->decider_in)
		letters[n++] = PX_WORD_OUT;
	if (setup->header_set)
		letters[n++] = PX_WORD_SET;
	if (setup->n_strip > NAMES)
		return err_set(e, ERR_USAGE, -E2BIG, "--strip-response-header: more than %u names",
			       NAMES);
	n = 0;
	words[n++] = (char *)(uintptr_t) "bailey-keys";
	words[n++] = (char *)(uintptr_t) "srt-proxy";
	words[n++] = letters;
	for (i = 0; i < setup->n_strip; i++)
		words[n++] = (char *)(uintptr_t)setup->strip[i];
	words[n] = NULL;
	return keys_program_start_with(words, fds, ARRAY_SIZE(fds), &s->keys, e);
}

static void close_all(const int *fds, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		cleanup_close(&fds[i]);
}

static int start(struct serve *s, struct err *e)
{
	const struct srt_serve *setup = s->setup;
	int control[2] = { -1, -1 }, dialer[2] = { -1, -1 }, tell[2] = { -1, -1 }, flags, r;

	flags = fcntl(setup->listener, F_GETFL);
	if (flags < 0 || fcntl(setup->listener, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_sys(e, -errno, "the listening socket");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, dialer) < 0 ||
	    pipe2(tell, O_CLOEXEC) < 0)
		r = err_sys(e, -errno, "sockets");
	else
		r = dialer_start(&(struct dialer_setup){ .listener = setup->listener,
							 .keys = dialer[0],
							 .tell = tell[1] },
				 &s->dialer, e);
	if (r == 0)
		r = start_keys(s, control[1], dialer[1], e);
	s->control = control[0];
	s->tell = tell[0];
	close_all((const int[]){ control[1], dialer[0], dialer[1], tell[1] }, 4);
	/* they have their own: whoever waits for an end of one of these must see it */
	close_all((const int[]){ setup->listener, setup->decider_in, setup->ca }, 3);
	if (setup->decider_out != setup->decider_in)
		(void)close(setup->decider_out);
	return r;
}

/* --- waiting --- */

/* The first reason counts. */
static void stop(struct serve *s, const char *why, bool failed)
{
	if (s->why[0])
		return;
	(void)snprintf(s->why, sizeof(s->why), "%s", why); /* cut where it is long */
	s->failed = failed;
	s->end = (uint64_t)clock_ms() + END_MS;
}

/* The caller's wish; before anything was served its decider has said nothing. */
static void wish(struct serve *s, const char *why)
{
	if (s->serving)
		stop(s, why, false);
	else
		stop(s, "decider unavailable: closed", true);
	(void)shutdown(s->control, SHUT_WR); /* it may be gone */
}

static void say_where(const struct srt_serve *setup, const char *address)
{
	if (setup->given)
		srt_say("srt proxy: serving fd %d", (int)strtol(setup->given, NULL, 10));
	else
		srt_say("srt proxy: serving %s", address);
}

static void on_tell(struct serve *s, const char *address)
{
	char text[256];
	ssize_t n = read(s->tell, text, sizeof(text) - 1);

	if (n < 0 && errno == EINTR)
		return;
	(void)close(TAKE_FD(s->tell));
	text[n > 0 ? n : 0] = '\0';
	if (strcmp(text, ".") == 0) {
		s->serving = true;
		say_where(s->setup, address);
	} else if (n > 0) {
		stop(s, text, true);
		(void)shutdown(s->control, SHUT_WR);
	}
}

/* Return: whether bailey-keys is still there. */
static bool on_control(struct serve *s)
{
	ssize_t n = read(s->control, s->line + s->n, sizeof(s->line) - 1 - s->n);
	char *end;

	if (n < 0 && errno == EINTR)
		return true;
	if (n <= 0)
		return false;
	s->n += (size_t)n;
	s->line[s->n] = '\0';
	end = strchr(s->line, '\n');
	if (!end)
		return s->n < sizeof(s->line) - 1;
	*end = '\0';
	stop(s, s->line + 1, s->line[0] == 'f');
	s->n = 0;
	return true;
}

static void on_lifeline(struct serve *s, int *fd)
{
	char waste[512];
	ssize_t n = read(*fd, waste, sizeof(waste));

	if (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN)))
		return;
	*fd = -1;
	wish(s, n == 0 ? "lifeline closed" : "lifeline error");
}

static void on_signal(struct serve *s)
{
	struct signalfd_siginfo info;

	if (read(s->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		wish(s, "SIGTERM");
}

static int until(const struct serve *s)
{
	uint64_t now = (uint64_t)clock_ms();

	return !s->why[0] ? -1 : now >= s->end ? 0 : (int)(s->end - now);
}

static void loop(struct serve *s, const char *address)
{
	int lifeline = s->setup->lifeline;
	bool lives = true;

	while (lives && !(s->why[0] && until(s) == 0)) {
		struct pollfd p[] = { { .fd = s->control, .events = POLLIN },
				      { .fd = s->tell, .events = POLLIN },
				      { .fd = s->signals, .events = POLLIN },
				      { .fd = lifeline, .events = POLLIN } };

		if (poll(p, ARRAY_SIZE(p), until(s)) < 0)
			continue; /* a signal */
		if (p[1].revents)
			on_tell(s, address);
		if (p[2].revents)
			on_signal(s);
		if (p[3].revents)
			on_lifeline(s, &lifeline);
		if (p[0].revents)
			lives = on_control(s);
	}
	if (!s->why[0])
		stop(s, "bailey-keys has ended", true);
}

static void reap(pid_t pid)
{
	if (pid <= 0)
		return;
	(void)kill(pid, SIGKILL); /* it has ended, or has had its time */
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* Where clients find it, as it was bound. */
static void find_address(int fd, char *out, size_t size)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof(ss);
	struct net_addr a;
	uint16_t port;

	out[0] = '\0';
	if (getsockname(fd, (struct sockaddr *)&ss, &n) < 0 || !gateway_address(&ss, &a, &port))
		return;
	net_addr_text(&a, out);
	n = (socklen_t)strlen(out);
	(void)snprintf(out + n, size - n, ":%u", port); /* fits */
}

int srt_serve(const struct srt_serve *setup)
{
	struct serve s = { .setup = setup, .control = -1, .tell = -1 };
	char address[NET_ADDR_TEXT + 8];
	struct err e = ERR_INIT;
	sigset_t term;

	(void)signal(SIGPIPE, SIG_IGN); /* can't fail with these arguments */
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &term, NULL); /* nor this */
	s.signals = signalfd(-1, &term, SFD_CLOEXEC | SFD_NONBLOCK);
	find_address(setup->listener, address, sizeof(address));
	if (start(&s, &e) < 0)
		stop(&s, e.msg, true);
	else
		loop(&s, address);
	reap(s.keys);
	reap(s.dialer);
	close_all((const int[]){ s.control, s.tell, s.signals }, 3);
	if (s.failed)
		srt_say("srt proxy: %s", s.why);
	else
		srt_say("srt proxy: stopped (%s)", s.why);
	return s.failed ? 2 : 0;
}
