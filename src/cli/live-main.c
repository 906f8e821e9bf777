/* SPDX-License-Identifier: Apache-2.0 */
/* How the supervisor of a sandbox that stays begins, and what is left when it ends. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "live-state.h"
#include "live-words.h"
#include "sandbox.h"
#include "settings.h"
#include "start-env.h"

/* @ret_state: the directory of bailey's state */
static int listen_as(struct live *l, const char *name, const char *id, int *ret_state,
		     struct err *e)
{
	struct sandbox s = { .arena = ARENA_INIT(LIMIT_ARENA), .id = { .lock = -1 } };
	char path[LIMIT_PATH];
	struct sockaddr_un a;
	_cleanup_close_ int state = -1;
	socklen_t len;
	int r = sandbox_find_home(&s, e);

	if (r == 0 && settings_state_dir(s.home, path) < 0)
		r = err_set(e, ERR_SYSTEM, -ENOENT, "there is no directory for bailey's state");
	sandbox_done(&s);
	if (r < 0)
		return r;
	state = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	l->runtime = state < 0 ? -errno : guard_sockets(state);
	if (l->runtime < 0)
		return err_sys(e, l->runtime, "the directory of sockets below %s", path);
	live_socket(name, l->socket);
	l->name = name;
	if (snprintf(l->dir, sizeof(l->dir), "%s/sandboxes/%s", path, id) >= (int)sizeof(l->dir))
		return err_set(e, ERR_SYSTEM, -ENAMETOOLONG, "the path of the state is too long");
	len = sock_own_address(l->runtime, l->socket, &a);
	l->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	(void)unlinkat(l->runtime, l->socket, 0); /* of one that was killed: we hold the lock */
	if (l->listener < 0 || bind(l->listener, (struct sockaddr *)&a, len) < 0 ||
	    listen(l->listener, 128) < 0)
		return err_sys(e, -errno, "the sandbox's socket");
	*ret_state = TAKE_FD(state);
	return 0;
}

/* Whatever still ran was killed with PID 1, and nobody was left who could say so. */
static void end_sessions(const struct live *l)
{
	const struct session *one;

	for (one = l->sessions.first; one; one = one->next) {
		if (one->pid && !one->ended)
			life_session(&l->life, one->number, one->service ? one->name : NULL,
				     128 + SIGKILL);
	}
}

/* The sandbox is not of the shell that happens to start it: what programs get from the kernel's first one, within the hard limits. Signals are PID 1's own to set. */
static void leave_caller(void)
{
	static const struct {
		int which;
		rlim_t soft; /* the rest: as the hard one */
	} usual[] = { { RLIMIT_STACK, 8u << 20 }, { RLIMIT_CORE, 0 }, { RLIMIT_NOFILE, 1024 } };
	struct rlimit l;
	int which;
	size_t i;

	(void)umask(022);
	(void)setpriority(PRIO_PROCESS, 0, 0); /* not everybody may */
	for (which = 0; which < (int)RLIM_NLIMITS; which++) {
		if (getrlimit((unsigned int)which, &l) < 0)
			continue;
		l.rlim_cur = l.rlim_max;
		for (i = 0; i < ARRAY_SIZE(usual); i++) {
			if (usual[i].which == which && usual[i].soft < l.rlim_max)
				l.rlim_cur = usual[i].soft;
		}
		(void)setrlimit((unsigned int)which, &l); /* within the hard limit it can't fail */
	}
}

/* To who starts it: one line. What is held by others, or damaged, other options would not mend. */
static void say_failure(int status, const char *name, const struct err *e)
{
	struct buf b = BUF_INIT(4096), hint = BUF_INIT(256);

	buf_quote(&b, e->msg);
	buf_printf(&hint, "; for other options: bailey create --replace %s", name ? name : "");
	/* the whole of it goes into one message, with the name once more */
	if (name && e->sys != EBUSY && e->sys != EBADMSG && !hint.failed &&
	    b.len + 2 * hint.len < sizeof(e->msg))
		buf_puts(&b, hint.data);
	(void)fd_write_all(status, b.data, b.len);
	buf_done(&b);
	buf_done(&hint);
}

int live_main(void)
{
	static struct live l = { /* too big for a stack */
				 .listener = -1,
				 .status = LIVE_FD_STATUS,
				 .runtime = -1,
				 .life = { .state = -1 }
	};
	struct life_options o;
	struct opt table[LIFE_OPTIONS];
	struct buf words = BUF_INIT(LIMIT_SPAWN);
	struct arena arena = ARENA_INIT(LIMIT_ARENA);
	struct err e = ERR_INIT;
	char **argv = NULL;
	bool dashes;
	size_t rest;
	int r, fd, state = -1;

	for (fd = LIVE_FD_STATUS; fd <= LIVE_FD_LOCK; fd++)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	(void)signal(SIGPIPE, SIG_IGN);
	leave_caller();
	life_options(&o, table);
	r = live_words_read(&words, &argv, &e);
	(void)close(LIVE_FD_WORDS);
	if (r == 0 && argv)
		life_enter(&o, argv[LIVE_WORD_CWD]);
	if (r == 0 && argv)
		r = opt_parse(table, argv + LIVE_WORDS, &rest, &dashes, &e);
	if (r == 0)
		r = start_env_set(&o.host_env, &e);
	if (argv)
		o.sandbox.box = argv[LIVE_WORD_ID];
	if (r == 0 && argv && *argv[LIVE_WORD_CHANGES])
		r = json_read_kept("changes of the network", argv[LIVE_WORD_CHANGES],
				   strlen(argv[LIVE_WORD_CHANGES]), &arena, &o.sandbox.changes, &e);
	if (r == 0 && sessions_begin(&l.sessions) < 0)
		r = err_sys(&e, -errno, "epoll");
	live_services(&l);
	if (r == 0 && argv && *argv[LIVE_WORD_SERVICES])
		r = services_set(&l.services, argv[LIVE_WORD_SERVICES],
				 strlen(argv[LIVE_WORD_SERVICES]), &e);
	if (r == 0 && argv)
		r = listen_as(&l, argv[LIVE_WORD_NAME], argv[LIVE_WORD_ID], &state, &e);
	if (r == 0 && argv) {
		l.id = argv[LIVE_WORD_ID];
		l.volumes = &o.volumes;
		l.host_env = &o.host_env;
		l.home = o.home;
		l.block = (unsigned int)strtoul(argv[LIVE_WORD_BLOCK], NULL, 10);
		r = life_open(&l.life, &o, state, argv[LIVE_WORD_ID], argv[LIVE_WORD_NAME], &e);
	}
	if (r == 0)
		r = run_live(&o.sandbox, &l, &e);
	end_sessions(&l);
	life_end(&l.life);
	if (l.listener >= 0) /* it was never built */
		(void)unlinkat(l.runtime, l.socket, 0);
	if (r < 0 && l.status >= 0)
		say_failure(l.status, argv ? argv[LIVE_WORD_NAME] : NULL, &e);
	life_options_done(&o);
	arena_done(&arena);
	free(argv);
	buf_done(&words);
	return r < 0 ? cli_fail(&e) : 0;
}
