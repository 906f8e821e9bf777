/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. One process per user and mount namespace (watch-place.c) looks after all of that user's runs there, because the kernel
 * gives a user few inotify instances. A run that has lasted some milliseconds connects, and hands over its state directory and its id: the journal says the rest. The watcher sweeps it once,
 * then whenever a name of the table has come into one of its directories. A connection that ends is the end of the run: its bailey has swept it,
 * or was killed; then the journal is still there, and the watcher sweeps in its place. Without runs the watcher ends by itself.
 *
 * When the kernel has lost events, nobody knows what has come. Then the run is asked to freeze (its bailey does that, and knows its terminal and
 * cgroup), its directories are watched anew, everything is looked at, and the run is thawed.
 *
 * Whatever goes wrong here costs the quickness only: the sweep at the end of each run does not rely on the watcher.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "late.h"
#include "watch-place.h"

#define VERSION 3      /* is in the name of the socket, too */
#define LINGER_MS 3000 /* without runs */
#define REST \
	10 /* between two sweeps, times what the last one took: a flood of names costs a tenth of a CPU */

#define FREEZE_MS 1000 /* for the answer of a run */

#define LATE_TRIES 20 /* of what could not be covered */
#define LATE_AGAIN_NS 50000000

struct hello {
	uint32_t version;
	char id[GUARD_ID + 1];
};

struct watched_run {
	int sock, state;
	char id[GUARD_ID + 1];
	struct arena arena;
	struct jail_plan plan; /* only its absent names */
	struct policy policy;
	struct jail_protect protect;
	int64_t start;
	struct late late;
	bool dirty, late_dirty;
	bool lost; /* events */
	unsigned int late_tries;
	int64_t next, late_next; /* ns: not swept, not looked at before */
	size_t moved;
};

struct watcher {
	int listener, lock;
	struct trees trees;
	struct watched_run *runs[LIMIT_WATCHED_RUNS];
	size_t n;
};

static bool is_root_of(const struct policy_rule *rule)
{
	return rule->kind == POLICY_ALLOW_WRITE && !rule->copy && rule->path[1];
}

static bool covers(const struct watched_run *run, const char *dir)
{
	size_t i;

	if (policy_copy(&run->policy, dir))
		return false; /* what comes there is not the run's */
	for (i = 0; i < run->policy.n; i++) {
		if (is_root_of(&run->policy.rules[i]) &&
		    path_covers(run->policy.rules[i].path, dir))
			return true;
	}
	return false;
}

/* Whether @path, or something below it, is to be moved: it may be a directory that has come with all that is in it. */
static bool leads_to_absent(const struct watched_run *run, const char *path)
{
	size_t i;

	for (i = 0; i < run->plan.n_absent; i++) {
		if (path_covers(path, run->plan.absent[i].path))
			return true;
	}
	return false;
}

static void on_name(void *arg, const char *dir, const char *name, bool is_dir, bool known)
{
	struct watcher *w = arg;
	char path[LIMIT_PATH];
	size_t i;
	int n = snprintf(path, sizeof(path), "%s/%s", dir, name);

	for (i = 0; i < w->n; i++) {
		struct watched_run *run = w->runs[i];

		if (!covers(run, dir))
			continue;
		if (is_dir || n >= LIMIT_PATH || (!run->late_dirty && late_wants(&run->late, path)))
			run->late_dirty = true;
		if (known || (n < LIMIT_PATH && leads_to_absent(run, path)))
			run->dirty = true;
	}
}

static bool wanted(void *arg, const char *dir)
{
	const struct watcher *w = arg;
	size_t i;

	for (i = 0; i < w->n; i++) {
		if (covers(w->runs[i], dir))
			return true;
	}
	return false;
}

static void sweep_run(struct watched_run *run)
{
	struct arena arena = ARENA_INIT(LIMIT_ARENA);
	struct guard_report rep = { .arena = &arena };
	struct err e = ERR_INIT;
	int64_t begin = clock_ns(), end;

	run->dirty = false;
	/* whoever makes names faster than that is not stopped by moving each; the last one goes at the end of the run */
	if (run->moved < LIMIT_MOVED_LIVE)
		(void)sweep(&(struct sweep_of){ .state = run->state,
						.run = run->id,
						.start = run->start,
						.plan = &run->plan,
						.policy = &run->policy,
						.protect = &run->protect,
						.lives = true },
			    &rep, &e);
	run->moved += rep.n;
	end = clock_ns();
	run->next = end + REST * (end - begin);
	if (rep.again) {
		run->dirty = true;
		run->next += GUARD_YOUNG_MS * INT64_C(1000000);
	}
	arena_done(&arena);
}

/* What this process and its children have used, in ns. */
static int64_t cpu_ns(void)
{
	const int who[] = { RUSAGE_SELF, RUSAGE_CHILDREN };
	struct rusage u = { .ru_utime = { 0 } };
	int64_t us = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(who); i++) {
		(void)getrusage(who[i], &u); /* can't fail for these */
		us += (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec +
		      u.ru_stime.tv_usec;
	}
	return us * 1000;
}

static void look_for_late(struct watched_run *run, const struct trees *trees)
{
	int64_t begin = cpu_ns();
	bool whole = late_look(&run->late, trees);

	/* a machine that is busy with other things must not make the window longer than that does anyway */
	run->late_next = clock_ns() + REST * (cpu_ns() - begin);
	run->late_tries = whole ? 0 : run->late_tries + 1;
	run->late_dirty = !whole && run->late_tries < LATE_TRIES;
	if (run->late_dirty)
		run->late_next += LATE_AGAIN_NS;
}

static void watch_trees(struct watcher *w, const struct watched_run *run, bool again)
{
	size_t i;

	for (i = 0; i < run->policy.n; i++) {
		if (is_root_of(&run->policy.rules[i]))
			(void)trees_add(&w->trees, run->policy.rules[i].path,
					again); /* what can't be watched is swept at the end */
	}
}

/* Ask a run to freeze. Return: whether it is. */
static bool freeze(const struct watched_run *run)
{
	struct pollfd p = { .fd = run->sock, .events = POLLIN };
	char c = GUARD_FREEZE;

	if (send(run->sock, &c, 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1 ||
	    poll(&p, 1, FREEZE_MS) != 1 || recv(run->sock, &c, 1, MSG_PEEK | MSG_DONTWAIT) != 1)
		return false;
	if (c != GUARD_FROZEN && c != GUARD_NOT_FROZEN)
		return false; /* it has ended meanwhile */
	(void)recv(run->sock, &c, 1, MSG_DONTWAIT);
	return c == GUARD_FROZEN;
}

/* Events were lost. A run that can't be frozen has said so; it is looked at all the same. */
static void look_at_all(struct watcher *w, struct watched_run *run)
{
	const char thaw = GUARD_THAW;
	const bool frozen = freeze(run);

	run->lost = false;
	watch_trees(w, run, true);
	sweep_run(run);
	look_for_late(run, &w->trees);
	if (frozen)
		(void)send(run->sock, &thaw, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void run_free(struct watched_run *run)
{
	late_done(&run->late);
	cleanup_close(&run->sock);
	cleanup_close(&run->state);
	arena_done(&run->arena);
	free(run);
}

static int open_journal(const struct watched_run *run)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "open/%s", run->id);
	return openat(run->state, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

/* A new connection, of the same user. Return: the run, or NULL. */
static struct watched_run *accept_run(int sock)
{
	struct watched_run *run;
	_cleanup_close_ int journal = -1;
	pid_t pid1;
	struct hello hello;
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int fds[8], r;
	size_t i;

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.uid != geteuid() ||
	    fd_recv(sock, &hello, sizeof(hello), fds, 0) != (ssize_t)sizeof(hello))
		return NULL;
	for (i = 1 + JAIL_NS_NUM; i < 8; i++)
		cleanup_close(&fds[i]);
	hello.id[GUARD_ID] = '\0';
	run = fds[0] >= 0 && hello.version == VERSION && store_id_ok(hello.id) ?
		      calloc(1, sizeof(*run)) :
		      NULL;
	if (!run) {
		for (i = 0; i <= JAIL_NS_NUM; i++)
			cleanup_close(&fds[i]);
		return NULL;
	}
	memcpy(run->late.ns, fds + 1, sizeof(run->late.ns));
	run->sock = -1;
	run->state = fds[0];
	memcpy(run->id, hello.id, sizeof(run->id));
	run->arena = (struct arena)ARENA_INIT(LIMIT_ARENA);
	policy_init(&run->policy, &run->arena);
	journal = open_journal(run);
	r = journal < 0 ? -errno :
			  journal_read(journal, &run->plan, &run->policy, &run->protect,
				       &run->start, &pid1, &run->late.patterns);
	if (r < 0) {
		run_free(run);
		return NULL;
	}
	run->late.policy = &run->policy;
	return run;
}

static void on_connection(struct watcher *w)
{
	struct sockaddr_un peer;
	socklen_t len = sizeof(peer);
	_cleanup_close_ int sock =
		accept4(w->listener, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC);
	const struct timeval second = { .tv_sec = 1 };
	struct watched_run *run;

	if (sock < 0 || w->n == LIMIT_WATCHED_RUNS ||
	    setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second)) < 0)
		return;
	run = accept_run(sock);
	if (!run)
		return;
	run->sock = TAKE_FD(sock);
	w->runs[w->n++] = run;
	watch_trees(w, run, false);
	run->dirty = run->late_dirty = true; /* what was made before it was watched */
}

/* Its bailey takes over, or has gone. One that was killed left the journal, unlocked. */
static void on_end(struct watcher *w, size_t i)
{
	struct watched_run *run = w->runs[i];
	char bye;
	const bool polite = recv(run->sock, &bye, 1, MSG_DONTWAIT) == 1;
	const char thaw = GUARD_THAW;
	struct arena arena = ARENA_INIT(LIMIT_ARENA);
	struct guard_report rep = { .arena = &arena };
	struct err e = ERR_INIT;
	char path[64];
	int tries;

	if (polite && bye) { /* the answer comes late */
		(void)send(run->sock, &thaw, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		return;
	}
	w->runs[i] = w->runs[--w->n];
	late_done(&run->late);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", run->state);
	/* a process that ends closes its descriptors one after the other: the lock may be the last */
	for (tries = 0; !polite && tries < 50; tries++) {
		_cleanup_close_ int journal = open_journal(run);

		if (journal < 0)
			break;
		if (tries)
			(void)usleep(10000);
		(void)guard_heal(path, &rep, &e); /* else the next bailey does it */
	}
	arena_done(&arena);
	run_free(run);
	trees_keep(&w->trees, wanted, w);
}

static int wait_ms(const struct watcher *w)
{
	int64_t now = clock_ns(), first = -1;
	size_t i;

	for (i = 0; i < w->n; i++) {
		if (w->runs[i]->dirty && (first < 0 || w->runs[i]->next < first))
			first = w->runs[i]->next;
		if (w->runs[i]->late_dirty && (first < 0 || w->runs[i]->late_next < first))
			first = w->runs[i]->late_next;
	}
	if (first >= 0)
		return first <= now ? 0 : (int)((first - now) / 1000000 + 1);
	return w->n ? -1 : LINGER_MS;
}

static void loop(struct watcher *w)
{
	struct pollfd p[2 + LIMIT_WATCHED_RUNS];
	size_t i, n;
	int r;

	for (;;) {
		p[0] = (struct pollfd){ .fd = w->trees.fd, .events = POLLIN };
		p[1] = (struct pollfd){ .fd = w->listener, .events = POLLIN };
		n = w->n;
		for (i = 0; i < n; i++)
			p[2 + i] = (struct pollfd){ .fd = w->runs[i]->sock, .events = POLLIN };
		r = poll(p, 2 + n, wait_ms(w));
		if (r == 0 && w->n == 0)
			return;
		if (r < 0 && errno != EINTR)
			return;
		if (r > 0 && p[0].revents && trees_read(&w->trees, on_name, w) != 0) {
			for (i = 0; i < w->n; i++)
				w->runs[i]->dirty = w->runs[i]->late_dirty = w->runs[i]->lost =
					true;
		}
		for (i = n;
		     r > 0 &&
		     i-- > 0;) { /* backwards: the last one takes the place of one that goes */
			if (p[2 + i].revents)
				on_end(w, i);
		}
		if (r > 0 && p[1].revents)
			on_connection(w);
		for (i = 0; i < w->n; i++) {
			if (w->runs[i]->lost && w->runs[i]->next <= clock_ns())
				look_at_all(w, w->runs[i]);
			if (w->runs[i]->dirty && w->runs[i]->next <= clock_ns())
				sweep_run(w->runs[i]);
			if (w->runs[i]->late_dirty && w->runs[i]->late_next <= clock_ns())
				look_for_late(w->runs[i], &w->trees);
		}
	}
}

int guard_watch_main(int runtime)
{
	struct watcher w = { .listener = -1, .lock = -1, .trees = { .fd = -1 } };
	size_t i;
	int r;

	w.trees.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w.trees.fd < 0)
		return 125;
	r = watch_place_take(runtime, &w.listener, &w.lock);
	if (r < 0) {
		cleanup_close(&w.trees.fd);
		return r == -EALREADY ? 0 : 125; /* who comes second goes */
	}
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)signal(SIGPIPE, SIG_IGN);
	loop(&w);
	/* nobody connects to a name that has gone; who did just now tries again */
	watch_place_leave(runtime);
	for (i = 0; i < w.n; i++)
		run_free(w.runs[i]);
	trees_done(&w.trees);
	cleanup_close(&w.listener);
	cleanup_close(&w.lock);
	return 0;
}

/* Start one, as nobody's child. It is this program, from its beginning: nothing of what this process holds goes with it. */
static void spawn(int runtime)
{
	char number[16];
	char *const argv[] = { (char *)(uintptr_t) "bailey", (char *)(uintptr_t)GUARD_WATCH_WORD,
			       number, NULL };
	char *const envp[] = { NULL };
	pid_t pid = fork();
	int null;

	if (pid != 0) {
		while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		return;
	}
	(void)setsid();
	if (fork() != 0)
		_exit(0);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 ||
	    dup2(runtime, 3) < 0 || fcntl(3, F_SETFD, 0) < 0 ||
	    chdir("/") < 0) /* dup2(3, 3) leaves O_CLOEXEC */
		_exit(1);
	(void)sys_close_range(4, ~0u);
	(void)snprintf(number, sizeof(number), "%d", 3);
	(void)umask(077);
	(void)execve("/proc/self/exe", argv, envp);
	_exit(1);
}

int guard_hear(struct guard *g)
{
	char c;
	ssize_t n = g->watch < 0 ? 0 : recv(g->watch, &c, 1, MSG_DONTWAIT);

	if (n == 1)
		return c == GUARD_FREEZE || c == GUARD_THAW ? c : -EAGAIN;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	cleanup_close(&g->watch);
	g->watch = -1;
	return 0;
}

void guard_answer(const struct guard *g, bool frozen)
{
	const char c = frozen ? GUARD_FROZEN : GUARD_NOT_FROZEN;

	(void)send(g->watch, &c, 1, MSG_NOSIGNAL | MSG_DONTWAIT); /* who has gone needs none */
}

void guard_unwatch(struct guard *g)
{
	struct pollfd p = { .fd = g->watch, .events = POLLIN };
	int r = -EAGAIN;

	if (g->watch < 0)
		return;
	/* two at the same names would move half of a directory each; a watcher that does not answer is stuck, and not waited for */
	if (send(g->watch, "", 1, MSG_NOSIGNAL) == 1) {
		while (r != 0 && poll(&p, 1, 2000) == 1)
			r = guard_hear(g); /* it may have asked for something */
	}
	cleanup_close(&g->watch);
	g->watch = -1;
}

int guard_watch(struct guard *g, const int ns[JAIL_NS_NUM])
{
	_cleanup_close_ int runtime = -1, sock = -1;
	struct hello hello = { .version = VERSION };
	int fds[1 + JAIL_NS_NUM] = { g->state, ns[JAIL_NS_USER], ns[JAIL_NS_MNT], ns[JAIL_NS_NET] };
	struct sockaddr_un a;
	int r;

	if (g->journal < 0)
		return -ENOENT;
	runtime = guard_runtime(g->state);
	if (runtime < 0)
		return runtime;
	r = watch_place_address(runtime, &a);
	if (r < 0)
		return r;
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -errno;
	if (connect(sock, (struct sockaddr *)&a, (socklen_t)r) < 0) {
		if (errno != ENOENT && errno != ECONNREFUSED)
			return -errno;
		spawn(runtime);
		return -EAGAIN;
	}
	memcpy(hello.id, g->id, sizeof(hello.id));
	r = fd_send(sock, &hello, sizeof(hello), fds, ns[JAIL_NS_USER] < 0 ? 1 : 1 + JAIL_NS_NUM,
		    0);
	if (r == 0)
		g->watch = TAKE_FD(sock);
	return r;
}
