/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. What a sandbox is stands in the store: bailey-store alone reads and writes that. Whether it lives is said by the lock in
 * sandboxes/ID, which its supervisor has from who started it and holds until it ends, however it ends. Its socket has its name, so that to
 * reach one that lives nothing is read and no other program is started.
 */
#include "named.h"

#include <dirent.h>
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
#include <time.h>
#include <unistd.h>

#include "libexec.h"
#include "live-words.h"
#include "live.h"
#include "sandbox.h"
#include "settings.h"
#include "store/store.h"

#define START_MS 60000
#define ANSWER_MS 5000
#define WAIT_MS 5
#define LOOK_MS 200

int named_open(struct named *n, struct err *e)
{
	struct sandbox s = { .arena = ARENA_INIT(LIMIT_ARENA), .id = { .lock = -1 } };
	int r;

	*n = (struct named){ .state = -1, .runtime = -1, .arena = ARENA_INIT(LIMIT_KEPT_ARENA) };
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
	const int null = n->quiet ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;
	char *words[16] = { (char *)(uintptr_t)STORE_PROGRAM, (char *)(uintptr_t)n->path };
	struct err e = ERR_INIT;
	size_t i;

	for (i = 0; argv[i] && i + 3 < ARRAY_SIZE(words); i++)
		words[i + 2] = argv[i];
	if ((in >= 0 && dup2(in, 0) < 0) || (out >= 0 && dup2(out, 1) < 0) ||
	    (null >= 0 && dup2(null, 2) < 0))
		_exit(125);
	(void)libexec_exec(program, STORE_PROGRAM, words, &e);
	(void)cli_fail(&e);
	_exit(125);
}

int named_store(const struct named *n, char *const *argv, const struct buf *input, struct buf *out,
		struct err *e)
{
	char path[LIMIT_PATH];
	_cleanup_close_ int program = libexec_open(STORE_PROGRAM, "keeps what sandboxes are", path,
						   e),
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
		return err_sys(e, r, STORE_PROGRAM);
	if (!WIFEXITED(status))
		return err_set(e, ERR_SYSTEM, -EIO, STORE_PROGRAM " was ended by signal %d",
			       WTERMSIG(status));
	return WEXITSTATUS(status);
}

/* Ask for something, and read the answer. */
static int ask(struct named *n, char *const *argv, const struct json_node **ret, struct err *e)
{
	struct buf out = BUF_INIT(LIMIT_KEPT);
	int r = named_store(n, argv, NULL, &out, e);

	if (r == 0)
		r = json_read_kept(STORE_PROGRAM, out.data ? out.data : "", out.len, &n->arena, ret,
				   e);
	buf_done(&out);
	return r;
}

int named_object(struct named *n, const char *word, const struct json_node **ret, struct err *e)
{
	char *const argv[] = { (char *)(uintptr_t) "get", (char *)(uintptr_t)word, NULL };

	return ask(n, argv, ret, e);
}

bool named_box(const struct json_node *root, struct named_box *ret)
{
	*ret = (struct named_box){ .id = json_text(root, "id"),
				   .name = json_text(root, "name"),
				   .cwd = json_text(root, "cwd"),
				   .generation = json_text(root, "generation"),
				   .ids = json_text(root, "ids"),
				   .options = json_member_as(root, "options", JSON_LIST),
				   .changes = json_member_as(root, "network", JSON_LIST),
				   .services = json_member_as(root, "services", JSON_LIST) };
	return ret->id && ret->name && ret->cwd && ret->options;
}

int named_get(struct named *n, const char *word, struct named_box *ret, struct err *e)
{
	const struct json_node *root;
	int r = named_object(n, word, &root, e);

	if (r != 0)
		return r;
	return named_box(root, ret) ? 0 :
				      err_set(e, ERR_SYSTEM, -EBADMSG,
					      STORE_PROGRAM ": an answer that is not understood");
}

bool named_find(struct named *n, const char *word, struct named_box *ret)
{
	struct err e = ERR_INIT;
	int r;

	if (faccessat(n->state, STORE_FILE, F_OK, 0) < 0)
		return false;
	n->quiet = true;
	r = named_get(n, word, ret, &e);
	n->quiet = false;
	return r == 0;
}

static bool has_copies(const struct json_node *options)
{
	static const char mode[] = ":overlay";
	const struct json_node *v;
	size_t n;

	for (v = options->first; v; v = v->next) {
		n = strlen(v->text);
		if (n >= sizeof(mode) && strcmp(v->text + n - (sizeof(mode) - 1), mode) == 0)
			return true;
	}
	return false;
}

bool named_ref(const char *word, struct named_ref *ret)
{
	struct named n = { .state = -1, .runtime = -1 };
	struct err e = ERR_INIT;
	struct named_box box;
	const bool found = named_open(&n, &e) == 0 && named_find(&n, word, &box);

	*ret = (struct named_ref){ .copies = found && has_copies(box.options) };
	if (found) {
		(void)snprintf(ret->id, sizeof(ret->id), "%s", box.id);       /* 10 digits */
		(void)snprintf(ret->name, sizeof(ret->name), "%s", box.name); /* at most 63 */
	}
	named_done(&n);
	return found;
}

int named_list(struct named *n, const struct json_node **ret, struct err *e)
{
	char *const argv[] = { (char *)(uintptr_t) "ls", NULL };
	int r = ask(n, argv, ret, e);

	return r == 0 && (*ret)->type != JSON_LIST ?
		       err_set(e, ERR_SYSTEM, -EBADMSG,
			       STORE_PROGRAM ": an answer that is not understood") :
		       r;
}

bool named_list_quiet(struct named *n, const struct json_node **ret)
{
	struct err e = ERR_INIT;
	int r;

	if (faccessat(n->state, STORE_FILE, F_OK, 0) < 0)
		return false;
	n->quiet = true;
	r = named_list(n, ret, &e);
	n->quiet = false;
	return r == 0;
}

/* Whether there is something in the directory @name of the state that has such a name as the store gives. */
static bool holds(const struct named *n, const char *name)
{
	int fd = openat(n->state, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *de = NULL;

	if (!d)
		cleanup_close(&fd);
	while (d && (de = readdir(d)) &&
	       (de->d_name[0] == '.' || strcmp(de->d_name, "lost+found") == 0))
		;
	if (d)
		(void)closedir(d);
	return de;
}

int named_kept(const struct named *n, struct err *e)
{
	static const char *const dirs[] = { "sandboxes", "volumes" };
	size_t i;

	if (faccessat(n->state, STORE_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
		return 0;
	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		if (holds(n, dirs[i]))
			return err_set(
				e, ERR_SYSTEM, -ENOENT,
				"%s/" STORE_FILE
				" is gone, and %s/ beside it is not empty: put a copy of it back, or move %s/ away",
				n->path, dirs[i], dirs[i]);
	}
	return 0;
}

/* A directory of its own, before it is needed: what is kept of it is the store's. */
static int make_dir(const struct named *n, const char *id, bool *ret_new)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "sandboxes/%s", id);
	if (mkdirat(n->state, path, 0700) == 0) {
		*ret_new = true;
		return 0;
	}
	*ret_new = false;
	if (errno != ENOENT)
		return errno == EEXIST ? 0 : -errno;
	if (mkdirat(n->state, "sandboxes", 0700) < 0 && errno != EEXIST)
		return -errno;
	*ret_new = mkdirat(n->state, path, 0700) == 0;
	return *ret_new || errno == EEXIST ? 0 : -errno;
}

void named_dir(const struct named *n, const char *id)
{
	bool new;

	(void)make_dir(n, id, &new); /* or the first start makes it */
}

/*
 * The directory of a sandbox that is being removed: whoever was killed between taking it away and telling the store has left it there, and it is put back.
 * Return: the lock; -ENOENT: there is none, which is as it should be; -EWOULDBLOCK: somebody removes it now; other negative errno.
 */
static int put_back(const struct named *n, const char *id)
{
	_cleanup_close_ int fd = -1;
	char path[64], away[64];
	int r;

	(void)snprintf(path, sizeof(path), "sandboxes/%s", id);
	(void)snprintf(away, sizeof(away), "sandboxes/" NAMED_AWAY "%s/lock", id);
	fd = openat(n->state, away, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	*strrchr(away, '/') = '\0';
	r = sys_rename_new(n->state, away, path);
	return r < 0 ? r : TAKE_FD(fd);
}

int named_lock(const struct named *n, const char *id, bool *ret_new)
{
	_cleanup_close_ int fd = -1;
	struct stat held, there;
	char path[64];
	int r = put_back(n, id);

	if (r >= 0) {
		*ret_new = true; /* it may have been removed after all: the store knows */
		return r;
	}
	if (r == -EWOULDBLOCK)
		return -ENOENT;
	r = make_dir(n, id, ret_new);
	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), "sandboxes/%s/lock", id);
	fd = openat(n->state, path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &held) < 0)
		return -errno;
	if (fstatat(n->state, path, &there, AT_SYMLINK_NOFOLLOW) < 0 || there.st_ino != held.st_ino)
		return -ENOENT;
	return TAKE_FD(fd);
}

bool named_mark(int state, const char *id, bool up)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	char path[64];

	(void)snprintf(path, sizeof(path), "sandboxes/%s/up", id);
	if (!up)
		return unlinkat(state, path, 0) == 0;
	fd = openat(state, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0 || errno != EEXIST)
		return false;
	fd = openat(state, path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return true;
	return st.st_size == 0 || ftruncate(fd, 0) < 0; /* better twice than never */
}

void named_mark_written(int state, const char *id)
{
	_cleanup_close_ int fd = -1;
	char path[64];

	(void)snprintf(path, sizeof(path), "sandboxes/%s/up", id);
	fd = openat(state, path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0)
		(void)fd_write_all(fd, "written\n", 8); /* at worst it is written twice */
}

void named_sync(int state, const char *id)
{
	_cleanup_close_ int dir = -1;
	char path[64];

	(void)snprintf(path, sizeof(path), "sandboxes/%s", id);
	dir = openat(state, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir >= 0)
		(void)fsync(dir); /* a mark that is lost costs a start that nobody waits for */
}

bool named_marked(const struct named *n, const char *id)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "sandboxes/%s/up", id);
	return faccessat(n->state, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int named_settle(const struct named *n, const struct named_box *box, int *ret_lock, struct err *e)
{
	int sock, waited;
	bool new;

	for (waited = 0; waited < START_MS; waited += WAIT_MS) {
		*ret_lock = named_lock(n, box->id, &new);
		if (*ret_lock >= 0)
			return 1;
		if (*ret_lock != -EWOULDBLOCK)
			return err_sys(e, *ret_lock, "sandbox '%s'", box->name);
		sock = named_connect(n, box->name);
		if (sock >= 0) {
			(void)close(sock);
			return 0;
		}
		(void)usleep(WAIT_MS * 1000); /* it is being started, or ends */
	}
	return err_set(e, ERR_SYSTEM, -ETIMEDOUT, "sandbox '%s' is not ready after a minute",
		       box->name);
}

int named_keep(struct named *n, const struct named_box *box, const char *key, const char *json,
	       const char **ret_generation, struct err *e)
{
	struct buf b = BUF_INIT(LIMIT_SPAWN);
	struct json j = { .out = &b };
	int r;

	json_open(&j, NULL, '{');
	json_raw(&j, "generation", box->generation);
	json_raw(&j, key, json);
	json_close(&j, '}');
	r = named_set(n, box, &b, ret_generation, e);
	buf_done(&b);
	return r;
}

int named_set(struct named *n, const struct named_box *box, const struct buf *what,
	      const char **ret_generation, struct err *e)
{
	char *words[] = { (char *)(uintptr_t) "set", (char *)(uintptr_t)box->id, NULL };
	struct buf out = BUF_INIT(4096);
	int r;

	n->quiet = true;
	r = what->failed ? err_set(e, ERR_USAGE, -E2BIG, "what is to be kept is too long") :
			   named_store(n, words, what, &out, e);
	n->quiet = false;
	if (r == 0) {
		*ret_generation = arena_printf(&n->arena, "%.*s",
					       (int)strcspn(out.data ? out.data : "", "\n"),
					       out.data ? out.data : "");
		if (!*ret_generation)
			r = sandbox_oom(e);
	}
	buf_done(&out);
	if (r == STORE_EXIT_CONFLICT)
		return -ESTALE;
	if (r == STORE_EXIT_ABSENT)
		return err_set(e, ERR_ABSENT, -ENOENT, "sandbox '%s' was removed meanwhile",
			       box->name);
	if (r == STORE_EXIT_INPUT)
		return err_set(
			e, ERR_USAGE, -E2BIG,
			"what is new of sandbox '%s' is not kept: it has, or all sandboxes together have, more than can be kept",
			box->name);
	return r > 0 ? err_set(e, ERR_SYSTEM, -EIO,
			       "what is new of sandbox '%s' can't be kept (%s: is the disk full?)",
			       box->name, n->path) :
		       r;
}

int named_lock_stopped(const struct named *n, const struct named_box *box, struct err *e)
{
	int fd, waited;
	bool new;

	/* who only looks has it for a moment */
	for (waited = 0; (fd = named_lock(n, box->id, &new)) == -EWOULDBLOCK && waited < LOOK_MS;
	     waited += WAIT_MS)
		(void)usleep(WAIT_MS * 1000);
	if (fd == -EWOULDBLOCK)
		return err_set(e, ERR_SYSTEM, -EBUSY, "sandbox '%s' runs; first: bailey stop %s",
			       box->name, box->name);
	return fd < 0 ? err_sys(e, fd, "sandbox '%s'", box->name) : fd;
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

	if (!name || strlen(name) > LIVE_SOCKET - 16 || strchr(name, '/'))
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

int named_reach(const struct named *n, const struct named_box *box)
{
	const long until = clock_ms() + START_MS;
	int fd;

	for (;;) {
		fd = named_connect(n, box->name);
		if (fd != -ENOENT && fd != -ECONNREFUSED)
			return fd;
		if (!named_lives(n, box->id))
			return -ENOENT;
		if (clock_ms() > until)
			return -ETIMEDOUT;
		(void)usleep(WAIT_MS * 1000);
	}
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
	if (strncmp(text, "ok", 2) == 0) {
		if (text[2])
			(void)dprintf(
				2,
				"bailey: notice: sandbox '%s': %s; the next log-in looks again\n",
				name, text + 2); /* nobody is left to tell */
		return 0;
	}
	return err_set(e, ERR_LAYER, -EIO, "sandbox '%s' can't be started: %s", name,
		       n ? text : "its supervisor has ended without a word");
}

static int start(struct named *n, const struct named_box *box, int lock, struct err *e)
{
	char path[64];
	_cleanup_close_ int words = live_words_write(box), log = -1, status = -1, theirs = -1;
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
	_cleanup_close_ int fd = named_reach(n, box);

	if (fd == -ENOENT)
		return -EAGAIN;
	if (fd == -ETIMEDOUT)
		return err_set(e, ERR_SYSTEM, -ETIMEDOUT,
			       "sandbox '%s' is not ready after a minute", box->name);
	return fd < 0 ? err_sys(e, fd, "sandbox '%s'", box->name) : 0;
}

void named_changed(const struct named *n, const char *id)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "sandboxes/%s", id);
	(void)utimensat(n->state, path, NULL,
			AT_SYMLINK_NOFOLLOW); /* ours, and there: we hold its lock */
}

/* Whether what was read at @since may be older than what the store has now: named_changed(), by the clock that files have. */
static bool is_stale(const struct named *n, const char *id, const struct timespec *since)
{
	char path[64];
	struct stat st;

	(void)snprintf(path, sizeof(path), "sandboxes/%s", id);
	return fstatat(n->state, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	       st.st_mtim.tv_sec > since->tv_sec ||
	       (st.st_mtim.tv_sec == since->tv_sec && st.st_mtim.tv_nsec >= since->tv_nsec);
}

int named_start(struct named *n, const char *word, struct named_box *ret, struct err *e)
{
	struct timespec since;
	bool new;
	int r, lock;

	do {
		(void)clock_gettime(CLOCK_REALTIME_COARSE, &since); /* can't fail for this clock */
		r = named_get(n, word, ret, e);
		if (r != 0)
			return r;
		lock = named_lock(n, ret->id, &new);
		if (lock >= 0) {
			/* who removes one takes its directory away first, and who changes one dates it, with the lock: else it is what we have read */
			if (new || is_stale(n, ret->id, &since))
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

int named_gone(int r, struct err *e)
{
	if (r == -EPROTONOSUPPORT)
		return err_set(
			e, ERR_SYSTEM, r,
			"the sandbox was started by another version of bailey: 'bailey stop' ends it, and what is started then is of this one");
	return err_set(e, ERR_SYSTEM, -EPIPE, "the sandbox has ended");
}

/* Over @fd, which is taken, or a negative errno. Return: as named_ask(). */
static int ask_over(const struct named *n, int fd, const struct named_box *box,
		    const struct wire_msg *m, struct wire_msg *ret, struct err *e)
{
	_cleanup_close_ int sock = fd;
	struct pollfd p = { .fd = sock, .events = POLLIN };
	int fds[WIRE_FDS], r;
	bool port;
	size_t i;

	if (sock == -ENOENT || sock == -ECONNREFUSED)
		return -ENOENT;
	r = sock < 0 ? sock : wire_send(sock, m, NULL, 0, true);
	if (r < 0)
		return err_sys(e, r, "sandbox '%s'", box->name);
	if (poll(&p, 1, n->answer_ms ? n->answer_ms : ANSWER_MS) != 1)
		return err_set(e, ERR_SYSTEM, -ETIMEDOUT,
			       "sandbox '%s': its supervisor does not answer", box->name);
	r = wire_recv(sock, WIRE_FROM_INIT, ret, fds);
	for (i = 0; i < WIRE_FDS; i++)
		cleanup_close(&fds[i]);
	if (r == 0 || r == -ECONNRESET) /* it ends */
		return -ENOENT;
	if (r == -EPROTONOSUPPORT)
		return named_gone(r, e);
	if (r == 1 && ret->type == WIRE_FAILED) {
		*e = ret->failed;
		return e->sys ? -e->sys : -EIO;
	}
	port = m->type == WIRE_PORT_ASK || m->type == WIRE_PUBLISH;
	return r == 1 && ret->type == (port ? WIRE_PORT : WIRE_STATE) ?
		       0 :
		       err_sys(e, r < 0 ? r : -EBADMSG, "sandbox '%s'", box->name);
}

int named_ask(const struct named *n, const struct named_box *box, const struct wire_msg *m,
	      struct wire_msg *ret, struct err *e)
{
	return ask_over(n, named_connect(n, box->name), box, m, ret, e);
}

int named_order(const struct named *n, const struct named_box *box, const struct wire_msg *m,
		struct wire_msg *ret, struct err *e)
{
	int r = ask_over(n, named_reach(n, box), box, m, ret,
			 e); /* it may be about to be complete */

	return r == -ENOENT ?
		       err_set(e, ERR_SYSTEM, -EBUSY, "sandbox '%s' does not run", box->name) :
		       r;
}

int named_words(struct named *n, char *const *words, named_word_fn *fn, const void *arg)
{
	int first = 0;

	for (; *words; words++) {
		struct err e = ERR_INIT;
		int r = fn(n, *words, arg, &e);

		if (r < 0)
			r = r == -EBUSY ? (cli_fail(&e), 4) : cli_fail(&e);
		first = first ? first : r;
	}
	return first;
}

/* What is done with a sandbox, of which a name is given. */
struct each {
	named_box_fn *fn;
	const void *arg;
};

static int each_word(struct named *n, const char *word, const void *arg, struct err *e)
{
	const struct each *each = arg;
	struct named_box box;
	int r = named_get(n, word, &box, e);

	return r == 0 ? each->fn(n, &box, each->arg, e) : r;
}

int named_boxes(struct named *n, char *const *words, named_box_fn *fn, const void *arg)
{
	return named_words(n, words, each_word, &(struct each){ .fn = fn, .arg = arg });
}

int named_each(char **argv, const struct opt *table, const char *verb, named_box_fn *fn,
	       const void *arg)
{
	struct err e = ERR_INIT;
	struct named n = { .state = -1, .runtime = -1 };
	int r = opt_parse_all(table, argv, &e);

	if (r == 0 && !argv[0])
		r = err_set(&e, ERR_USAGE, -EINVAL, "name the sandbox: bailey %s SANDBOX", verb);
	if (r == 0)
		r = named_open(&n, &e);
	r = r < 0 ? cli_fail(&e) : named_boxes(&n, argv, fn, arg);
	named_done(&n);
	return r;
}

int named_order_one(struct named *n, const struct named_box *box, const void *m, struct err *e)
{
	struct wire_msg answer;

	return named_order(n, box, m, &answer, e);
}
