/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. What a sandbox is stands in the store: bailey-store alone reads and writes that. Whether it lives is said by the lock in
 * sandboxes/ID, which its supervisor has from who started it and holds until it ends, however it ends. Its socket has its name, so that to
 * reach one that lives nothing is read and no other program is started.
 */
#include "named.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libexec.h"
#include "live.h"
#include "sandbox.h"
#include "settings.h"
#include "stay.h"

#define STORE "bailey-store"
#define START_MS 60000

int named_open(struct named *n, struct err *e)
{
	struct sandbox s = { .arena = ARENA_INIT(LIMIT_ARENA), .id = { .lock = -1 } };
	int r;

	*n = (struct named){ .state = -1, .runtime = -1, .arena = ARENA_INIT(LIMIT_ARENA) };
	r = sandbox_find_home(&s, e);
	if (r == 0 && settings_state_dir(s.home, n->path) < 0)
		r = err_set(e, ERR_SYSTEM, -ENOENT,
			    "there is no directory for bailey's state; set HOME");
	sandbox_done(&s);
	if (r < 0)
		return r;
	if (settings_make_dirs(n->path) < 0)
		return err_sys(e, -errno, "%s", n->path);
	n->state = open(n->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	n->runtime = n->state < 0 ? -errno : guard_sockets(n->state);
	return n->runtime < 0 ? err_sys(e, n->runtime, "%s", n->path) : 0;
}

void named_done(struct named *n)
{
	cleanup_close(&n->state);
	cleanup_close(&n->runtime);
	n->state = n->runtime = -1;
	arena_done(&n->arena);
}

static void __attribute__((noreturn))
become_store(const struct named *n, int program, char *const *argv, int in, int out)
{
	char *words[16] = { (char *)(uintptr_t)STORE, (char *)(uintptr_t)n->path };
	struct err e = ERR_INIT;
	size_t i;

	for (i = 0; argv[i] && i + 3 < ARRAY_SIZE(words); i++)
		words[i + 2] = argv[i];
	if ((in >= 0 && dup2(in, 0) < 0) || (out >= 0 && dup2(out, 1) < 0))
		_exit(125);
	(void)libexec_exec(program, STORE, words, &e);
	(void)cli_fail(&e);
	_exit(125);
}

int named_store(const struct named *n, char *const *argv, const struct buf *input, struct buf *out,
		struct err *e)
{
	char path[LIMIT_PATH];
	_cleanup_close_ int program = libexec_open(STORE, "keeps what sandboxes are", path, e),
			    in = -1;
	int pipes[2] = { -1, -1 }, status, r = 0;
	pid_t pid;

	if (program < 0)
		return program;
	if (input) {
		in = memfd_create("bailey-input", MFD_CLOEXEC);
		if (in < 0 || fd_write_all(in, input->data, input->len) < 0 ||
		    lseek(in, 0, SEEK_SET) < 0)
			return err_sys(e, -errno, "memory");
	}
	if (out && pipe2(pipes, O_CLOEXEC) < 0)
		return err_sys(e, -errno, "pipe");
	pid = fork();
	if (pid == 0)
		become_store(n, program, argv, in, pipes[1]);
	cleanup_close(&pipes[1]);
	if (pid > 0 && out)
		r = fd_read_all(pipes[0], out);
	cleanup_close(&pipes[0]);
	if (pid < 0)
		return err_sys(e, -errno, "fork");
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r < 0)
		return err_sys(e, r, STORE);
	if (!WIFEXITED(status))
		return err_set(e, ERR_SYSTEM, -EIO, STORE " was ended by signal %d",
			       WTERMSIG(status));
	return WEXITSTATUS(status);
}

const char *named_text(const struct json_node *node, const char *key)
{
	const struct json_node *v;

	for (v = node->first; v; v = v->next) {
		if (v->key && strcmp(v->key, key) == 0)
			return v->type == JSON_STRING || v->type == JSON_NUMBER ? v->text : NULL;
	}
	return NULL;
}

/* Ask for something, and read the answer. */
static int ask(struct named *n, char *const *argv, const struct json_node **ret, struct err *e)
{
	struct buf out = BUF_INIT(LIMIT_SPAWN);
	int r = named_store(n, argv, NULL, &out, e);

	if (r == 0)
		r = json_read(STORE, out.data ? out.data : "", out.len, &n->arena, ret, e);
	buf_done(&out);
	return r;
}

int named_object(struct named *n, const char *word, const struct json_node **ret, struct err *e)
{
	char *const argv[] = { (char *)(uintptr_t) "get", (char *)(uintptr_t)word, NULL };

	return ask(n, argv, ret, e);
}

int named_get(struct named *n, const char *word, struct named_box *ret, struct err *e)
{
	const struct json_node *root, *v;
	int r = named_object(n, word, &root, e);

	if (r != 0)
		return r;
	*ret = (struct named_box){ .id = named_text(root, "id"),
				   .name = named_text(root, "name"),
				   .cwd = named_text(root, "cwd"),
				   .ids = named_text(root, "ids") };
	for (v = root->first; v; v = v->next) {
		if (strcmp(v->key, "options") == 0 && v->type == JSON_LIST)
			ret->options = v;
	}
	return ret->id && ret->name && ret->cwd && ret->options ?
		       0 :
		       err_set(e, ERR_SYSTEM, -EBADMSG, STORE ": an answer that is not understood");
}

int named_list(struct named *n, const struct json_node **ret, struct err *e)
{
	char *const argv[] = { (char *)(uintptr_t) "ls", NULL };
	int r = ask(n, argv, ret, e);

	return r == 0 && (*ret)->type != JSON_LIST ?
		       err_set(e, ERR_SYSTEM, -EBADMSG,
			       STORE ": an answer that is not understood") :
		       r;
}

static int lock_dir(const struct named *n, const char *id)
{
	char path[LIMIT_PATH];
	int fd;

	if (mkdirat(n->state, "sandboxes", 0700) < 0 && errno != EEXIST)
		return -errno;
	(void)snprintf(path, sizeof(path), "sandboxes/%s", id);
	if (mkdirat(n->state, path, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(n->state, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int named_lock(const struct named *n, const char *id)
{
	_cleanup_close_ int dir = lock_dir(n, id), fd = -1;
	struct stat held, there;

	if (dir < 0)
		return dir;
	fd = openat(dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &held) < 0)
		return -errno;
	if (fstatat(dir, "lock", &there, AT_SYMLINK_NOFOLLOW) < 0 || there.st_ino != held.st_ino)
		return -ENOENT;
	return TAKE_FD(fd);
}

int named_lock_stopped(const struct named *n, const struct named_box *box, struct err *e)
{
	int fd = named_lock(n, box->id);

	if (fd == -EWOULDBLOCK)
		return err_set(e, ERR_SYSTEM, -EBUSY, "sandbox '%s' runs; first: bailey stop %s",
			       box->name, box->name);
	return fd < 0 ? err_sys(e, fd, "sandbox '%s'", box->name) : fd;
}

void named_forget(const struct named *n, const struct named_box *box)
{
	int dir = openat(n->state, "sandboxes", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct jail_identity id = { .lock = -1 };
	struct err e = ERR_INIT;
	char path[LIMIT_PATH];

	if (dir >= 0 &&
	    stay_look(box->ids ? (unsigned int)strtoul(box->ids, NULL, 10) : 0, &id, &e) == 0) {
		/* what is left is in nobody's way: the store does not know it any more */
		if (snprintf(path, sizeof(path), "%s/sandboxes/%s", n->path, box->id) <
		    (int)sizeof(path))
			(void)set_ids_end(path, &id, &e);
		(void)stay_forget(dir, box->id, &id);
	}
	cleanup_close(&dir);
}

bool named_lives(const struct named *n, const char *id)
{
	char path[64];
	_cleanup_close_ int fd = -1;

	(void)snprintf(path, sizeof(path), "sandboxes/%s/lock", id);
	fd = openat(n->state, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0;
}

int named_connect(const struct named *n, const char *name)
{
	char sock_name[LIMIT_PATH];
	struct sockaddr_un a;
	struct ucred peer;
	socklen_t len;
	_cleanup_close_ int fd = -1;

	if (strlen(name) > LIVE_SOCKET - 16 || strchr(name, '/'))
		return -ENOENT;
	live_socket(name, sock_name);
	len = sock_address(n->runtime, sock_name, &a);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, len) < 0)
		return -errno;
	len = sizeof(peer);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
	    (peer.uid != geteuid() && peer.uid != 0))
		return -EPERM;
	return TAKE_FD(fd);
}

/* What the supervisor reads: directory, name, ID, block of ids, words. Return: fd or negative errno. */
static int write_words(const struct named_box *box)
{
	_cleanup_close_ int fd = memfd_create("bailey-words", MFD_CLOEXEC);
	struct buf b = BUF_INIT(LIMIT_SPAWN);
	const struct json_node *v;
	int r = fd < 0 ? -errno : 0;

	buf_add(&b, box->cwd, strlen(box->cwd) + 1);
	buf_add(&b, box->name, strlen(box->name) + 1);
	buf_add(&b, box->id, strlen(box->id) + 1);
	buf_printf(&b, "%s%c", box->ids ? box->ids : "0", '\0');
	for (v = box->options->first; v; v = v->next)
		buf_add(&b, v->text, strlen(v->text) + 1);
	if (r == 0)
		r = b.failed ? -E2BIG : fd_write_all(fd, b.data, b.len);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	buf_done(&b);
	return r < 0 ? r : TAKE_FD(fd);
}

/* In a child of ours, which forks again: the supervisor is nobody's child. */
static void __attribute__((noreturn)) become_supervisor(int log, int status, int words, int lock)
{
	char *const argv[] = { (char *)(uintptr_t) "bailey", (char *)(uintptr_t)LIVE_WORD, NULL };
	int null;

	(void)setsid();
	if (fork() != 0)
		_exit(0);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	/* away from where they go first, so that none is closed by another */
	log = fcntl(log, F_DUPFD_CLOEXEC, 16);
	status = fcntl(status, F_DUPFD_CLOEXEC, 16);
	words = fcntl(words, F_DUPFD_CLOEXEC, 16);
	lock = fcntl(lock, F_DUPFD_CLOEXEC, 16);
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(log, 2) < 0 ||
	    dup2(status, LIVE_FD_STATUS) < 0 || dup2(words, LIVE_FD_WORDS) < 0 ||
	    dup2(lock, LIVE_FD_LOCK) < 0)
		_exit(125);
	(void)sys_close_range(LIVE_FD_LOCK + 1, ~0u);
	(void)execve("/proc/self/exe", argv, environ);
	_exit(125);
}

/* Until it is ready, or has said why not. */
static int wait_ready(int fd, const char *name, struct err *e)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char text[sizeof(e->msg)];
	size_t n = 0;
	ssize_t got = 1;

	while (got > 0 && n < sizeof(text) - 1 && (n < 2 || strncmp(text, "ok", 2) != 0)) {
		if (poll(&p, 1, START_MS) <= 0)
			return err_set(e, ERR_SYSTEM, -ETIMEDOUT,
				       "sandbox '%s' is not ready after a minute", name);
		got = read(fd, text + n, sizeof(text) - 1 - n);
		n += got > 0 ? (size_t)got : 0;
	}
	text[n] = '\0';
	if (strcmp(text, "ok") == 0)
		return 0;
	return err_set(e, ERR_LAYER, -EIO, "sandbox '%s' can't be started: %s", name,
		       n ? text : "its supervisor has ended without a word");
}

static int start(struct named *n, const struct named_box *box, int lock, struct err *e)
{
	char path[64];
	_cleanup_close_ int words = write_words(box), log = -1, status = -1, theirs = -1;
	int pipes[2];
	pid_t pid;

	(void)snprintf(path, sizeof(path), "sandboxes/%s/log", box->id);
	log = openat(n->state, path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (words < 0 || log < 0)
		return err_sys(e, words < 0 ? words : -errno, "sandbox '%s'", box->name);
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return err_sys(e, -errno, "pipe");
	status = pipes[0];
	theirs = pipes[1];
	pid = fork();
	if (pid < 0)
		return err_sys(e, -errno, "fork");
	if (pid == 0)
		become_supervisor(log, theirs, words, lock);
	cleanup_close(&theirs);
	theirs = -1;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return wait_ready(status, box->name, e);
}

/* Somebody else is starting it. */
static int wait_for_other(const struct named *n, const struct named_box *box, struct err *e)
{
	int waited, fd;

	for (waited = 0; waited < START_MS; waited += 5) {
		fd = named_connect(n, box->name);
		if (fd >= 0) {
			(void)close(fd);
			return 0;
		}
		if (!named_lives(n, box->id))
			return -EAGAIN;
		(void)usleep(5000);
	}
	return err_set(e, ERR_SYSTEM, -ETIMEDOUT, "sandbox '%s' is not ready after a minute",
		       box->name);
}

int named_start(struct named *n, const char *word, struct named_box *ret, struct err *e)
{
	int r, lock;

	do {
		r = named_get(n, word, ret, e);
		if (r != 0)
			return r;
		lock = named_lock(n, ret->id);
		if (lock >= 0) {
			/* it may have been removed before we had the lock */
			r = named_get(n, ret->id, ret, e);
			if (r == 0)
				r = start(n, ret, lock, e);
			(void)close(lock);
			return r;
		}
		if (lock == -EWOULDBLOCK)
			r = wait_for_other(n, ret, e);
		else
			r = lock == -ENOENT ? -EAGAIN : err_sys(e, lock, "sandbox '%s'", ret->name);
	} while (r == -EAGAIN);
	return r;
}

int named_stop(const struct named *n, const struct named_box *box, unsigned int grace_ms,
	       struct err *e)
{
	struct wire_msg m = { .type = WIRE_STOP, .stop = { .grace_ms = grace_ms } };
	_cleanup_close_ int fd = named_connect(n, box->name);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int i, r;

	if (fd < 0 && !named_lives(n, box->id))
		return 0;
	r = fd < 0 ? fd : wire_send(fd, &m, NULL, 0, true);
	if (r < 0)
		return err_sys(e, r, "sandbox '%s'", box->name);
	(void)poll(&p, 1, (int)grace_ms + START_MS); /* it hangs up when it ends */
	for (i = 0; i < 1000 && named_lives(n, box->id); i++)
		(void)usleep(5000);
	return named_lives(n, box->id) ?
		       err_set(e, ERR_SYSTEM, -ETIMEDOUT, "sandbox '%s' does not end", box->name) :
		       0;
}
