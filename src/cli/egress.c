/* SPDX-License-Identifier: Apache-2.0 */
#include "egress.h"
#include "keys.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ask.h"
#include "cli.h"
#include "gateway/gateway.h"
#include "live.h"
#include "open-urls.h"
#include "published.h"
#include "refusals.h"
#include "settings.h"
#include "stay.h"
#include "steer.h"

#define STARTS_MAX 8      /* of one run: a gateway that always dies is not begun for ever */
#define END_MS 2000       /* in which it writes the ends of its connections */
#define ABOUT_MAX 49152ul /* bytes of what is kept of a command line */
#define LAST_WORDS 4096u  /* that are read when it has ended */
#define NOBODY 65534      /* whom root's gateway becomes where the sandbox has no block of ids */

const char *const egress_env[] = { "HTTP_PROXY=http://127.0.0.1:3128",
				   "HTTPS_PROXY=http://127.0.0.1:3128",
				   "ALL_PROXY=socks5h://127.0.0.1:1080",
				   "NO_PROXY=localhost,127.0.0.1,::1",
				   "http_proxy=http://127.0.0.1:3128",
				   "https_proxy=http://127.0.0.1:3128",
				   "all_proxy=socks5h://127.0.0.1:1080",
				   "no_proxy=localhost,127.0.0.1,::1",
				   "NODE_USE_ENV_PROXY=1",
				   NULL };

const char egress_hosts[] = "127.0.0.1 localhost\n"
			    "::1 localhost ip6-localhost ip6-loopback\n";

struct egress {
	struct run *run;
	struct loop_source *wanted[JAIL_NET_NUM]; /* until there is a gateway */
	struct loop_source *gone;                 /* hangs up with it */
	pid_t pid;                                /* 0: none */
	int alive;                                /* our end, or -1 */
	bool unlogged;                            /* it was said that the log can't be written */
	int dir, heads;                           /* of the logs */
	int own;                                  /* the directory of this run's */
	int log[2], head, control;
	char id[EGRESS_ID + 1];                           /* "": there is no log yet */
	struct loop_source *controlled;                   /* until there is a gateway */
	struct loop_source *published[GATEWAY_PUBLISHED]; /* the same */
	int door;                                         /* socket of the door, or -1 */
	pid_t door_pid;                                   /* 0: none */
	unsigned int starts;
	struct upstream upstream;
	struct steer steer;
	struct gateway_kept *kept;                /* of a gateway that died, for the next */
	uint16_t host_ports[JAIL_HOST_PORTS + 1]; /* of the sandbox's loopback, that lead out */
	struct ask *ask;
};

bool egress_wanted(const struct sandbox *s)
{
	return s->net.mode == NET_MODE_DENY || s->net.mode == NET_MODE_ALLOW;
}

enum jail_network egress_kind(const struct sandbox *s)
{
	if (s->net.mode == NET_MODE_HOST)
		return JAIL_NETWORK_HOST;
	return egress_wanted(s) ? JAIL_NETWORK_GATEWAY : JAIL_NETWORK_NONE;
}

/* Ports of the sandbox's loopback that are its own in any case: where it is published, and where the gateway listens. */
static bool is_taken(const struct sandbox *s, uint16_t port)
{
	size_t i;

	for (i = 0; i < s->n_published && s->published[i].inside != port; i++)
		;
	return i < s->n_published || port == 53 || port == JAIL_NET_CAPTURE_PORT ||
	       port == JAIL_NET_HTTP_PORT || port == JAIL_NET_SOCKS_PORT;
}

void egress_host_ports(const struct sandbox *s, uint16_t *ret)
{
	size_t i, k, n = 0;

	for (i = 0; i < s->net.n && n < JAIL_HOST_PORTS; i++) {
		const struct net_rule *r = &s->net.rules[i];

		if (!r->local || !r->allow || !(r->proto & NET_TCP) || !r->port ||
		    is_taken(s, r->port))
			continue;
		for (k = 0; k < n && ret[k] != htons(r->port); k++)
			;
		if (k == n)
			ret[n++] = htons(r->port);
	}
	ret[n] = 0;
}

uid_t egress_uid(const struct sandbox *s)
{
	return s->id.mode == JAIL_IDS_BLOCK ? s->id.host_uid + JAIL_BLOCK_SIZE - 1 :
	       s->id.mode == JAIL_IDS_KEPT  ? s->id.base + JAIL_BLOCK_SIZE - 1 :
					      NOBODY;
}

gid_t egress_gid(const struct sandbox *s)
{
	return s->id.mode == JAIL_IDS_BLOCK ? s->id.host_gid + JAIL_BLOCK_SIZE - 1 :
	       s->id.mode == JAIL_IDS_KEPT  ? s->id.base_gid + JAIL_BLOCK_SIZE - 1 :
					      NOBODY;
}

static int open_dir(int at, const char *path, bool make)
{
	int fd;

	if (make && mkdirat(at, path, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int egress_dirs(const char *home, bool make, int *ret_dir, int *ret_heads, struct err *e)
{
	char state[LIMIT_PATH];
	_cleanup_close_ int at = -1, dir = -1;
	struct stat st;
	int r;

	if (settings_state_dir(home, state) < 0)
		return err_set(e, ERR_USAGE, -EINVAL, "HOME is not set to an absolute path");
	r = make ? settings_make_dirs(state) : 0;
	if (r == 0) {
		at = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = at < 0 ? -errno : 0;
	}
	if (r == 0) {
		dir = open_dir(at, "network", make);
		r = dir < 0 ? dir : 0;
	}
	if (r == 0 && (fstat(dir, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 022)))
		r = -EPERM; /* others could write it */
	if (r == 0) {
		*ret_heads = open_dir(dir, "heads", make);
		r = *ret_heads < 0 ? *ret_heads : 0;
	}
	if (r < 0)
		return err_sys(e, r, "%.200s/network", state);
	*ret_dir = TAKE_FD(dir);
	return 0;
}

/* What the command was, for whoever lists the logs. The file's time is that of the last start. */
static void write_about(int dir, char *const *argv, const char *cwd)
{
	_cleanup_close_ int fd =
		openat(dir, "about", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct buf b = BUF_INIT(2 * ABOUT_MAX);
	struct json j = { .out = &b };

	json_open(&j, NULL, '{');
	json_str(&j, "cwd", cwd);
	json_open(&j, "command", '[');
	for (; argv && *argv && b.len + 6 * strlen(*argv) < ABOUT_MAX; argv++)
		json_str(&j, NULL, *argv);
	if (argv && *argv)
		json_str(&j, NULL, "..."); /* a command line can be longer than any list */
	json_close(&j, ']');
	json_close(&j, '}');
	buf_puts(&b, "\n");
	if (fd >= 0 && !b.failed)
		(void)fd_write_all(fd, b.data, b.len); /* only for people */
	else if (fd < 0)
		(void)utimensat(dir, "about", NULL, AT_SYMLINK_NOFOLLOW); /* the same */
	buf_done(&b);
}

int egress_address(int dir, struct sockaddr_un *ret)
{
	/* a path may be longer than an address can be */
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	(void)snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/control", dir);
	return (int)sizeof(*ret);
}

/* Who can reach the socket is decided by the directory, and again by the gateway (SO_PEERCRED). */
static int open_control(struct egress *g)
{
	struct sockaddr_un at;
	socklen_t size = (socklen_t)egress_address(g->own, &at);

	(void)unlinkat(g->own, "control", 0); /* of one that was killed */
	g->control = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (g->control < 0 || bind(g->control, (struct sockaddr *)&at, size) < 0 ||
	    listen(g->control, 8) < 0)
		return -errno;
	return 0;
}

/* A log of this run. */
static int open_log(struct egress *g, struct err *e)
{
	const struct sandbox *s = supervise_sandbox(g->run);
	unsigned char random[EGRESS_ID / 2];
	size_t i;
	int r;

	r = egress_dirs(s->home, true, &g->dir, &g->heads, e);
	if (r < 0)
		return r;
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return err_sys(e, -errno, "random numbers");
	for (i = 0; i < sizeof(random); i++)
		(void)snprintf(g->id + 2 * i, 3, "%02x", random[i]);
	if (live_id(g->run)) /* one log for all its life, which goes on where it has ended */
		(void)snprintf(g->id, sizeof(g->id), "%s", live_id(g->run));
	g->own = open_dir(g->dir, g->id, true);
	if (g->own < 0)
		return err_sys(e, g->own, "network log");
	write_about(g->own, g->run->argv, s->cwd);
	r = open_control(g);
	if (r < 0)
		return err_sys(e, r, "control socket of the gateway");
	return audit_open(g->own, g->heads, g->id, g->log, &g->head, e);
}

static int on_word(void *arg, short revents, struct err *e);

static void close_pair(int pair[2])
{
	(void)close(pair[0]);
	(void)close(pair[1]);
}

static int start(struct egress *g, struct err *e)
{
	const struct sandbox *s = supervise_sandbox(g->run);
	const int *net = g->run->jail.net, *ns = g->run->jail.ns;
	struct gateway_setup setup;
	int pair[2], domain = AF_INET, r = 0;
	size_t i;
	socklen_t n = sizeof(domain);

	if (g->door < 0)
		r = door_start(ns[JAIL_NS_USER], ns[JAIL_NS_NET], &g->door, &g->door_pid, e);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, -errno, "gateway");
	(void)getsockopt(net[JAIL_NET_TCP], SOL_SOCKET, SO_DOMAIN, &domain, &n); /* else: IPv4 */
	setup = (struct gateway_setup){ .tcp = net[JAIL_NET_TCP],
					.dns = net[JAIL_NET_DNS],
					.http = net[JAIL_NET_HTTP],
					.socks = net[JAIL_NET_SOCKS],
					.door = g->door,
					.control = g->control,
					.log = { g->log[0], g->log[1] },
					.head = g->head,
					.alive = pair[1],
					.v6 = domain == AF_INET6,
					.ask = s->ask,
					.audit_required = s->audit_required,
					.owner = geteuid(),
					.policy = &g->steer.policy,
					.id = g->id,
					.uid = (uid_t)-1,
					.gid = (gid_t)-1 };
	setup.upstream = &g->upstream;
	setup.box = s->stay ? s->stay->name : NULL;
	if (s->options->front) {
		setup.external_http = s->options->front->external_http;
		setup.external_socks = s->options->front->external_socks;
		setup.style = s->options->front->style;
		setup.settings = s->options->front->settings;
		setup.opaque = s->options->front->opaque;
		setup.tunnels = s->options->front->tunnels;
		setup.handshake_ms = s->options->front->handshake_ms;
	}
	setup.kept = g->kept;
	setup.keys = keys_gateway(g->run);
	for (i = 0; i < s->n_published; i++)
		setup.published[i] = (struct gateway_published){ .listener = s->published[i].fd,
								 .port = s->published[i].inside };
	supervise_memory(g->run, &setup.forget, &setup.n_forget);
	if (geteuid() == 0) {
		setup.uid = egress_uid(s);
		setup.gid = egress_gid(s);
	}
	r = gateway_start(&setup, &g->pid, e);
	if (r < 0) {
		close_pair(pair);
		return r;
	}
	(void)close(pair[1]);
	g->alive = pair[0];
	g->starts++;
	if (!g->gone)
		g->gone = loop_add(&g->run->loop, g->alive, POLLIN, on_word, g);
	if (g->gone) {
		g->gone->fd = g->alive;
		g->gone->events = POLLIN;
	}
	return 0;
}

static void want(struct egress *g, bool yes)
{
	size_t i;

	for (i = 0; i < JAIL_NET_NUM; i++) {
		if (g->wanted[i])
			g->wanted[i]->events = yes ? POLLIN : 0;
	}
	if (g->controlled)
		g->controlled->events = yes ? POLLIN : 0;
	for (i = 0; i < GATEWAY_PUBLISHED; i++) {
		if (g->published[i])
			g->published[i]->events = yes && g->published[i]->fd >= 0 ? POLLIN : 0;
	}
}

static void say(const char *what, const char *why)
{
	char line[700];
	int n = snprintf(line, sizeof(line), "bailey: network: %s: %.400s\n", what, why);

	(void)fd_write_all(2, line, (size_t)n); /* a notice */
}

/* Somebody inside uses the network, and there is no gateway. */
static int on_wanted(void *arg, short revents, struct err *e)
{
	struct egress *g = arg;
	struct err own = ERR_INIT;

	(void)revents;
	(void)e;
	want(g, false);
	if (start(g, &own) < 0) {
		/* nobody answers: closed is what it is, and what it stays */
		say("the gateway can't be started, so there is none", own.msg);
		egress_close(g->run);
	}
	return -EAGAIN;
}

/* Datagrams find no socket before there is a gateway; connections and questions do. */
void egress_ready(struct run *run)
{
	const struct net_policy *p = &supervise_sandbox(run)->net;
	size_t i;

	for (i = 0; run->egress && i < p->n; i++) {
		if (p->rules[i].allow && p->rules[i].what == NET_RULE_CIDR &&
		    (p->rules[i].proto & NET_UDP)) {
			(void)on_wanted(run->egress, 0, NULL);
			return;
		}
	}
}

static void reap(struct egress *g)
{
	if (g->pid > 0) {
		while (waitpid(g->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	g->pid = 0;
}

static void end(struct egress *g)
{
	if (g->gone)
		g->gone->events = 0;
	cleanup_close(&g->alive);
	g->alive = -1;
	(void)kill(g->pid, SIGKILL); /* our child, not reaped yet */
	reap(g);
	g->kept->use.connections = 0;
	if (g->starts < STARTS_MAX) {
		say("the gateway has ended",
		    "open connections are lost; the next one starts it again");
		want(g, true);
	} else {
		say("the gateway has ended too often", "there is no network any more");
		egress_close(g->run);
	}
}

static void say_unlogged(struct egress *g)
{
	if (!g->unlogged)
		say("its log can't be written (is the disk full?)",
		    supervise_sandbox(g->run)->audit_required ?
			    "connections are refused until it can be again" :
			    "connections go on without lines in it; the next line will count them");
	g->unlogged = true;
}

/* What it says, or its end. */
static int on_word(void *arg, short revents, struct err *e)
{
	struct egress *g = arg;
	struct gateway_message m;
	int r = steer_hear(g->alive, &m);

	(void)revents;
	(void)e;
	if (r > 0 && m.word == GATEWAY_UNLOGGED)
		say_unlogged(g);
	else if (r > 0 && m.word == GATEWAY_WAKE && g->run->live)
		live_wake(g->run);
	else if (r < 0 || (r > 0 && !steer_answer(&g->steer, g->alive, &m)))
		end(g);
	return -EAGAIN;
}

/* Nothing is answered any more. */
static void hear_last_words(struct egress *g)
{
	struct gateway_message m;
	unsigned int i;

	for (i = 0; i < LAST_WORDS && steer_hear(g->alive, &m) > 0; i++) {
		if (m.word == GATEWAY_UNLOGGED)
			say_unlogged(g);
	}
}

int egress_change(struct run *run, const struct sandbox_network_rules *c, struct err *e)
{
	struct egress *g = run->egress;
	int r;

	if (!g)
		return err_set(e, ERR_POLICY, -ENOTCONN, "this run has no network (%s)",
			       supervise_sandbox(run)->net.mode_origin ?
				       supervise_sandbox(run)->net.mode_origin :
				       "no rule allows anything");
	r = steer_change(&g->steer, supervise_sandbox(run), c, g->alive, e);
	if (r != -EPIPE)
		return r;
	end(g); /* the next one begins with these rules */
	return 0;
}

uint64_t egress_logged(const struct run *run)
{
	struct audit_head head;

	if (!run->egress || run->egress->head < 0 || audit_head_read(run->egress->head, &head) < 0)
		return 0;
	return head.seq;
}

struct gateway_use egress_use(const struct run *run)
{
	return run->egress ? run->egress->kept->use : (struct gateway_use){ .connections = 0 };
}

void egress_paused(struct run *run, bool paused)
{
	if (run->egress)
		run->egress->kept->use.paused = paused;
}

void egress_close(struct run *run)
{
	size_t i;

	for (i = 0; i < JAIL_NET_NUM; i++) {
		if (run->egress->wanted[i])
			run->egress->wanted[i]->events = 0;
		cleanup_close(&run->jail.net[i]);
		run->jail.net[i] = -1;
	}
}

/* Where there is no gateway, who connects is what starts one. Return: 0 or negative errno with @e. */
static int wait_for(struct egress *g, size_t place, struct err *e)
{
	const int fd = supervise_sandbox(g->run)->published[place].fd;

	if (!g->published[place])
		g->published[place] = loop_add(&g->run->loop, fd, 0, on_wanted, g);
	if (!g->published[place])
		return err_set(e, ERR_SYSTEM, -ENOSPC, "too many things to wait for");
	g->published[place]->fd = fd;
	g->published[place]->events = g->alive < 0 && fd >= 0 ? POLLIN : 0;
	return 0;
}

/* Listen for the host's programs. */
static int publish(struct egress *g, struct err *e)
{
	struct sandbox *s = supervise_sandbox(g->run);
	char text[NET_ADDR_TEXT], line[200];
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < s->n_published; i++) {
		struct published *p = &s->published[i];
		const bool chosen = p->host == 0;

		r = published_listen(p, e);
		if (r == 0 && chosen) {
			net_addr_text(&p->at, text);
			(void)snprintf(line, sizeof(line),
				       "bailey: port %u of the sandbox is %s port %u here\n",
				       p->inside, text, p->host);
			(void)fd_write_all(2, line, strlen(line)); /* a notice */
		}
		if (r == 0)
			r = wait_for(g, i, e);
	}
	return r;
}

/* A gateway that can't be told ends, and the next one begins with what is published then. */
static void tell_published(struct egress *g, size_t place)
{
	const struct published *p = &supervise_sandbox(g->run)->published[place];
	struct gateway_message m;

	memset(&m, 0, sizeof(m));
	m.word = GATEWAY_PUBLISH;
	m.ticket = place;
	m.port = p->inside;
	if (g->alive >= 0 && fd_send(g->alive, &m, sizeof(m), &p->fd, p->fd >= 0, 0) < 0)
		end(g);
}

/* A port that leads to the host can't lead in. */
static bool is_of_host(const struct egress *g, uint16_t port)
{
	size_t i;

	for (i = 0; g->host_ports[i] && g->host_ports[i] != htons(port); i++)
		;
	return g->host_ports[i] != 0;
}

int egress_publish(struct run *run, const struct published *want, struct published *ret,
		   struct err *e)
{
	struct sandbox *s = supervise_sandbox(run);
	struct published p = *want;
	size_t i = 0;
	int r;

	if (!run->egress || run->jail.net[JAIL_NET_TCP] < 0)
		return err_set(e, ERR_USAGE, -ENOTCONN, "%s, so nothing leads in while it runs",
			       run->egress ? "its gateway has ended too often" :
					     "it was started without a network of its own");
	if (is_of_host(run->egress, p.inside))
		return err_set(e, ERR_USAGE, -EADDRINUSE,
			       "its port %u leads to the host while it runs (--allow-host-port %u)",
			       p.inside, p.inside);
	while (i < s->n_published && s->published[i].inside)
		i++;
	if (i == GATEWAY_PUBLISHED)
		return err_set(e, ERR_USAGE, -E2BIG, "more than %u published ports",
			       GATEWAY_PUBLISHED);
	r = published_listen(&p, e);
	if (r < 0)
		return r;
	s->published[i] = p;
	s->n_published += i == s->n_published;
	r = wait_for(run->egress, i, e);
	if (r < 0) {
		(void)egress_unpublish(run, &p, NULL);
		return r;
	}
	tell_published(run->egress, i);
	*ret = p;
	return 0;
}

int egress_unpublish(struct run *run, const struct published *which, struct err *e)
{
	struct sandbox *s = supervise_sandbox(run);
	size_t i;

	for (i = 0; i < s->n_published; i++) {
		struct published *p = &s->published[i];

		if (!p->inside || p->inside != which->inside || p->host != which->host ||
		    memcmp(p->at.b, which->at.b, sizeof(p->at.b)) != 0)
			continue;
		(void)shutdown(p->fd, SHUT_RDWR); /* at once, whoever else has it open */
		cleanup_close(&p->fd);
		*p = (struct published){ .fd = -1 };
		if (run->egress->published[i])
			(void)wait_for(run->egress, i, NULL); /* it is there: it can't fail */
		tell_published(run->egress, i);
		return 0;
	}
	return err_set(e, ERR_USAGE, -ENOENT, "port %u is not published any more", which->inside);
}

/* HTTP_PROXY in capitals is not read, as curl does: a web server's scripts get it from any client. */
static const char *either(const char *lower, const char *upper)
{
	const char *v = getenv(lower);

	return v && *v ? v : upper ? getenv(upper) : NULL;
}

static int read_proxies(struct upstream *ret, struct err *e)
{
	return upstream_parse(ret, either("http_proxy", NULL), either("https_proxy", "HTTPS_PROXY"),
			      either("no_proxy", "NO_PROXY"), e);
}

int egress_check(const struct sandbox *s, struct err *e)
{
	struct upstream u = { .n = 0 };

	return egress_wanted(s) ? read_proxies(&u, e) : 0;
}

int egress_begin(struct run *run, struct err *e)
{
	struct egress *g = calloc(1, sizeof(*g));
	struct sandbox_front *front;
	size_t i;
	int r;

	if (!g)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	*g = (struct egress){ .run = run,
			      .alive = -1,
			      .dir = -1,
			      .heads = -1,
			      .own = -1,
			      .log = { -1, -1 },
			      .head = -1,
			      .control = -1,
			      .door = -1 };
	run->egress = g;
	g->kept = gateway_kept_new();
	if (!g->kept)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	egress_host_ports(supervise_sandbox(run), g->host_ports);
	front = supervise_sandbox(run)->options->front;
	steer_begin(&g->steer, supervise_sandbox(run));
	if (front && front->upstream)
		g->upstream = *front->upstream;
	r = front && front->upstream ? 0 : read_proxies(&g->upstream, e);
	if (r < 0)
		return r;
	r = open_log(g, e);
	if (r < 0)
		return r;
	for (i = 0; i < JAIL_NET_NUM; i++) {
		g->wanted[i] = loop_add(&run->loop, run->jail.net[i], POLLIN, on_wanted, g);
		if (!g->wanted[i])
			return err_set(e, ERR_SYSTEM, -ENOSPC, "too many things to wait for");
	}
	g->controlled = loop_add(&run->loop, g->control, POLLIN, on_wanted, g);
	if (!g->controlled)
		return err_set(e, ERR_SYSTEM, -ENOSPC, "too many things to wait for");
	r = publish(g, e);
	if (r < 0)
		return r;
	if (supervise_sandbox(run)->ask)
		g->ask = ask_begin(run, g->own);
	open_urls_askers(run, g->own);
	if (front && front->source)
		front->source->events = POLLIN; /* what it changes is there now */
	return 0;
}

/* --- the end --- */

void egress_forget(int dir, int heads, const char *id)
{
	static const char *const names[] = { "log.0", "log.1", "about", "control" };
	_cleanup_close_ int own = open_dir(dir, id, false);
	size_t i;

	for (i = 0; own >= 0 && i < ARRAY_SIZE(names); i++)
		(void)unlinkat(own, names[i], 0);
	(void)unlinkat(dir, id, AT_REMOVEDIR);
	(void)unlinkat(heads, id, 0);
}

/* Whether nothing was ever written. */
static bool is_empty(const struct egress *g)
{
	struct audit_head head;

	return g->starts == 0 && audit_head_read(g->head, &head) == 0 && head.seq == 0;
}

void egress_end(struct run *run, void (*out)(const char *line))
{
	struct egress *g = run->egress;
	int i;

	if (!g)
		return;
	if (g->alive >= 0)
		(void)shutdown(g->alive, SHUT_WR); /* it writes the ends of its connections now */
	for (i = 0; g->pid > 0 && i < END_MS; i++) {
		if (waitpid(g->pid, NULL, WNOHANG) == g->pid)
			g->pid = 0;
		else
			(void)usleep(1000);
	}
	if (g->pid > 0)
		(void)kill(g->pid, SIGKILL);
	reap(g);
	if (g->alive >= 0)
		hear_last_words(g);
	cleanup_close(&g->alive);
	g->alive = -1;
	ask_done(g->ask);
	open_urls_unask(run);
	for (i = 0; i < (int)GATEWAY_PUBLISHED; i++) {
		struct sandbox *s = supervise_sandbox(run);

		if ((size_t)i < s->n_published) {
			cleanup_close(&s->published[i].fd);
			s->published[i].fd = -1;
		}
	}
	cleanup_close(&g->door); /* which ends it */
	while (g->door_pid > 0 && waitpid(g->door_pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (g->head >= 0 && run->reader.network)
		run->reader.network(run->reader.arg, g->own, g->heads, g->id);
	else if (g->head >= 0 && !run->live) /* nobody reads it there; the log is kept */
		refusals_say(g->own, g->heads, g->id, 0, g->id, out);
	if (g->own >= 0)
		(void)unlinkat(g->own, "control", 0); /* nobody listens any more */
	if (g->head >= 0 && is_empty(g)) /* nobody has used the network: there is nothing to keep */
		egress_forget(g->dir, g->heads, g->id);
	cleanup_close(&g->dir);
	cleanup_close(&g->heads);
	cleanup_close(&g->log[0]);
	cleanup_close(&g->log[1]);
	cleanup_close(&g->head);
	cleanup_close(&g->control);
	cleanup_close(&g->own);
	steer_done(&g->steer);
	(void)gateway_kept_free(g->kept);
	free(g);
	run->egress = NULL;
}
