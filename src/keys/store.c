/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A secret's file is
 *	"bailey-secret 1\n"  F or K  8 bytes of the key's name  12 bytes nonce  ciphertext  16 bytes tag
 * by AES-256-GCM; all that stands before the ciphertext is authenticated with it, and so is the secret's name. The key is in the file
 * "key" beside it (F), or in the caller's keyring (K). A file is written beside its place, synced, renamed, and the directory is
 * synced: when that is cut short, the old one is there or the new one. One writer at a time holds the directory's lock; readers need none.
 */
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "erase.h"
#include "keyring.h"

#define MAGIC "bailey-secret 1\n"
#define MAGIC_LEN (sizeof(MAGIC) - 1)
#define ID_LEN 8u
#define NONCE_LEN 12u
#define TAG_LEN 16u
#define HEAD_LEN (MAGIC_LEN + 1 + ID_LEN + NONCE_LEN)
#define FILE_MAX (HEAD_LEN + SECRET_RECORD_MAX + TAG_LEN)
#define SUFFIX ".secret"
#define KEPT ".kept"
#define KEY_FILE "key"
#define NAME_MAX_LEN (SECRET_NAME_MAX + sizeof(SUFFIX) + 8)

static int check_place(const struct stat *st, bool dir, const char *name, struct err *e)
{
	if (dir ? !S_ISDIR(st->st_mode) : !S_ISREG(st->st_mode))
		return err_set(e, ERR_POLICY, -EPERM, "%s: it is no %s", name,
			       dir ? "directory" : "file");
	if (st->st_uid != geteuid() || (st->st_mode & 077))
		return err_set(e, ERR_POLICY, -EPERM, "%s: it must be yours, with mode %s", name,
			       dir ? "700" : "600");
	return 0;
}

/* Every directory of @path that is missing; those of ours are for us alone. */
static int make_dirs(const char *path, struct err *e)
{
	char dir[LIMIT_PATH];
	const char *slash = path;

	do {
		slash = strchr(slash + 1, '/');
		(void)snprintf(dir, sizeof(dir), "%.*s",
			       slash ? (int)(slash - path) : (int)strlen(path), path);
		if (mkdir(dir, 0700) < 0 && errno != EEXIST)
			return err_sys(e, -errno, "%s", dir);
	} while (slash);
	return 0;
}

/* What a writer that was killed has left. */
static void sweep(const struct store *s)
{
	_cleanup_close_ int fd = openat(s->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	SYS_DIRENT_ALIGN char entries[4096];
	const struct sys_dirent *d;
	long n, o;

	while (fd >= 0 && (n = sys_getdents(fd, entries, sizeof(entries))) > 0) {
		for (o = 0; (d = sys_dirent_next(entries, n, &o));) {
			size_t len = strlen(d->name);

			/* a file that stays is swept the next time */
			if (d->name[0] == '.' && len > 4 && strcmp(d->name + len - 4, ".new") == 0)
				(void)unlinkat(s->fd, d->name, 0);
		}
	}
}

int store_open(struct store *s, const char *state, bool make, struct err *e)
{
	struct stat st;
	int r;

	*s = (struct store)STORE_INIT;
	if (snprintf(s->path, sizeof(s->path), "%s/secrets", state) >= (int)sizeof(s->path))
		return err_set(e, ERR_USAGE, -ENAMETOOLONG, "the path of the state is too long");
	if (make) {
		r = make_dirs(s->path, e);
		if (r < 0)
			return r;
	}
	s->fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (s->fd < 0)
		return errno == ENOENT ? -ENOENT : err_sys(e, -errno, "%s", s->path);
	if (fstat(s->fd, &st) < 0)
		r = err_sys(e, -errno, "%s", s->path);
	else
		r = check_place(&st, true, s->path, e);
	if (r == 0 && make && flock(s->fd, LOCK_EX) < 0)
		r = err_sys(e, -errno, "%s: lock", s->path);
	if (r < 0) {
		store_done(s);
		return r;
	}
	s->locked = make;
	if (make)
		sweep(s);
	return 0;
}

void store_done(struct store *s)
{
	OPENSSL_cleanse(s->key, sizeof(s->key));
	s->kind = STORE_KEY_ANY;
	if (s->fd >= 0)
		(void)close(s->fd); /* and the lock with it */
	s->fd = -1;
}

/* Name of the file of @name, NAME_MAX_LEN bytes. */
static int file_name(const char *name, char *out, struct err *e)
{
	int r = secret_name_check(name, e);

	if (r == 0)
		(void)snprintf(out, NAME_MAX_LEN, "%s" SUFFIX, name); /* it fits */
	return r;
}

bool store_has(const struct store *s, const char *name)
{
	struct err ignored = ERR_INIT;
	char file[NAME_MAX_LEN];
	struct stat st;

	return s->fd >= 0 && file_name(name, file, &ignored) == 0 &&
	       fstatat(s->fd, file, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int read_file(const struct store *s, const char *file, struct buf *b, struct err *e)
{
	_cleanup_close_ int fd =
		openat(s->fd, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char shown[LIMIT_PATH + NAME_MAX_LEN];
	struct stat st;
	int r;

	(void)snprintf(shown, sizeof(shown), "%s/%s", s->path, file);
	if (fd < 0)
		return err_sys(e, -errno, "%s", shown);
	if (fstat(fd, &st) < 0)
		return err_sys(e, -errno, "%s", shown);
	r = check_place(&st, false, shown, e);
	if (r < 0)
		return r;
	r = fd_read_all(fd, b);
	return r < 0 ? err_sys(e, r, "%s", shown) : 0;
}

/* --- the key ---------------------------------------------------------------------------------------------------------------------- */

static void ring_name(const struct store *s, char *out, size_t size)
{
	(void)snprintf(out, size, "bailey:%s", s->path);
}

static int read_key_file(struct store *s, struct err *e)
{
	struct buf b = BUF_INIT(0);
	int r;

	if (!erase_buf_init(&b, STORE_KEY + 2))
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	r = read_file(s, KEY_FILE, &b, e);
	if (r == 0 && b.len != STORE_KEY)
		r = err_set(e, ERR_POLICY, -EBADMSG, "%s/" KEY_FILE ": it is no key", s->path);
	if (r == 0) {
		memcpy(s->key, b.data, STORE_KEY);
		s->kind = STORE_KEY_FILE;
	}
	erase_buf_done(&b);
	return r;
}

static int read_key_ring(struct store *s, struct err *e)
{
	char name[LIMIT_PATH + 16];
	int r;

	ring_name(s, name, sizeof(name));
	r = keyring_get(name, s->key, STORE_KEY);
	if (r == 0)
		s->kind = STORE_KEY_RING;
	else if (r == -ENOKEY)
		return err_set(
			e, ERR_POLICY, r,
			"the key of the secrets was in the kernel's keyring and is gone, as it is after a restart or the last log-out: set them again");
	else
		return err_sys(e, r, "the kernel's keyring");
	return 0;
}

static int load_key(struct store *s, enum store_key kind, struct err *e)
{
	if (s->kind == kind)
		return 0;
	s->kind = STORE_KEY_ANY;
	return kind == STORE_KEY_FILE ? read_key_file(s, e) : read_key_ring(s, e);
}

/* Write @n bytes beside @file and put them in its place. */
static int replace(const struct store *s, const char *file, const void *p, size_t n, struct err *e)
{
	_cleanup_close_ int fd = -1;
	char beside[NAME_MAX_LEN + 8];
	int r;

	(void)snprintf(beside, sizeof(beside), ".%s.new", file);
	/* of one that was killed: whoever writes holds the lock */
	(void)unlinkat(s->fd, beside, 0);
	fd = openat(s->fd, beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(e, -errno, "%s/%s", s->path, beside);
	r = fd_write_all(fd, p, n);
	if (r == 0 && (fsync(fd) < 0 || renameat(s->fd, beside, s->fd, file) < 0))
		r = -errno;
	if (r < 0) {
		(void)unlinkat(s->fd, beside, 0); /* or it is swept the next time */
		return err_sys(e, r, "%s/%s: nothing has changed", s->path, file);
	}
	return fsync(s->fd) < 0 ? err_sys(e, -errno, "%s", s->path) : 0;
}

static int make_key(struct store *s, enum store_key kind, struct err *e)
{
	char name[LIMIT_PATH + 16];
	int r;

	if (getrandom(s->key, STORE_KEY, 0) != STORE_KEY)
		return err_sys(e, -errno, "random numbers");
	if (kind == STORE_KEY_RING) {
		ring_name(s, name, sizeof(name));
		r = keyring_put(name, s->key, STORE_KEY);
		if (r < 0)
			r = err_sys(e, r, "the kernel's keyring");
	} else {
		r = replace(s, KEY_FILE, s->key, STORE_KEY, e);
	}
	if (r == 0)
		s->kind = kind;
	return r;
}

/* The key to write with: the one that is there, or a new one. */
static int write_key(struct store *s, enum store_key want, struct err *e)
{
	struct err ignored = ERR_INIT;
	struct stat st;
	bool file = fstatat(s->fd, KEY_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0;
	bool ring = !file && read_key_ring(s, &ignored) == 0;

	if ((file && want == STORE_KEY_RING) || (ring && want == STORE_KEY_FILE))
		return err_set(
			e, ERR_USAGE, -EEXIST,
			"--key: the key of %s is in %s already; all its secrets have one key",
			s->path, file ? "a file" : "the kernel's keyring");
	if (file)
		return load_key(s, STORE_KEY_FILE, e);
	return ring ? 0 : make_key(s, want == STORE_KEY_RING ? want : STORE_KEY_FILE, e);
}

/* A name of the key that says nothing about it. */
static bool key_id(const struct store *s, unsigned char ret[ID_LEN])
{
	static const char label[] = "bailey: which key\n";
	unsigned char digest[32], text[sizeof(label) - 1 + STORE_KEY];
	bool good;

	memcpy(text, label, sizeof(label) - 1);
	memcpy(text + sizeof(label) - 1, s->key, STORE_KEY);
	good = EVP_Digest(text, sizeof(text), digest, NULL, EVP_sha256(), NULL) == 1;
	memcpy(ret, digest, ID_LEN);
	OPENSSL_cleanse(text, sizeof(text));
	return good;
}

/* --- one file --------------------------------------------------------------------------------------------------------------------- */

/* @in to @out, @n bytes; the tag is made, or checked. */
static bool seal(const struct store *s, bool encrypt, const unsigned char *head, const char *name,
		 const unsigned char *in, size_t n, unsigned char *out, unsigned char *tag)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int len = 0;
	bool good = c &&
		    EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL, s->key,
				      head + HEAD_LEN - NONCE_LEN, encrypt) == 1 &&
		    EVP_CipherUpdate(c, NULL, &len, head, (int)HEAD_LEN) == 1 &&
		    EVP_CipherUpdate(c, NULL, &len, (const unsigned char *)name,
				     (int)strlen(name)) == 1 &&
		    EVP_CipherUpdate(c, out, &len, in, (int)n) == 1 && (size_t)len == n;

	if (good && !encrypt)
		good = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, (int)TAG_LEN, tag) == 1;
	good = good && EVP_CipherFinal_ex(c, out + n, &len) == 1;
	if (good && encrypt)
		good = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, (int)TAG_LEN, tag) == 1;
	EVP_CIPHER_CTX_free(c);
	return good;
}

static int open_record(struct store *s, const char *name, const struct buf *file, struct buf *text,
		       struct err *e)
{
	unsigned char *p = (unsigned char *)file->data, id[ID_LEN];
	size_t n = file->len > HEAD_LEN + TAG_LEN ? file->len - HEAD_LEN - TAG_LEN : 0;
	int r;

	if (n == 0 || memcmp(p, MAGIC, MAGIC_LEN) != 0 ||
	    (p[MAGIC_LEN] != 'F' && p[MAGIC_LEN] != 'K'))
		return err_set(e, ERR_POLICY, -EBADMSG,
			       "secret '%s': its file is damaged, or of another release", name);
	r = load_key(s, p[MAGIC_LEN] == 'F' ? STORE_KEY_FILE : STORE_KEY_RING, e);
	if (r < 0)
		return err_wrap(e, r, "secret '%s'", name);
	if (!key_id(s, id))
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	if (memcmp(id, p + MAGIC_LEN + 1, ID_LEN) != 0)
		return err_set(
			e, ERR_POLICY, -EBADMSG,
			"secret '%s': it was kept with another key than the one that is there: set it again",
			name);
	if (!seal(s, false, p, name, p + HEAD_LEN, n, (unsigned char *)text->data,
		  p + HEAD_LEN + n))
		return err_set(
			e, ERR_POLICY, -EBADMSG,
			"secret '%s': its file was changed, or is that of another secret: set it again",
			name);
	text->len = n;
	text->data[n] = '\0';
	return 0;
}

int store_read(struct store *s, const char *name, struct arena *a, struct secret *ret,
	       struct err *e)
{
	struct buf file = BUF_INIT(0), text = BUF_INIT(0);
	char at[NAME_MAX_LEN];
	int r = file_name(name, at, e);

	if (r < 0)
		return r;
	if (!store_has(s, name))
		return err_set(e, ERR_USAGE, -ENOENT,
			       "there is no secret '%s' (bailey secret ls; bailey secret set %s)",
			       name, name);
	if (!erase_buf_init(&file, FILE_MAX + 1) || !erase_buf_init(&text, FILE_MAX))
		r = err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	if (r == 0)
		r = read_file(s, at, &file, e);
	if (r == 0)
		r = open_record(s, name, &file, &text, e);
	if (r == 0)
		r = secret_parse(ret, name, text.data, text.len, a, e);
	erase_buf_done(&file);
	erase_buf_done(&text);
	erase_stack();
	return r;
}

/* What stands in the file of @name. @file: has room for it */
static int seal_text(struct store *s, const char *name, const struct buf *text, struct buf *file,
		     struct err *e)
{
	unsigned char head[HEAD_LEN] = { 0 }, tag[TAG_LEN] = { 0 };

	memcpy(head, MAGIC, MAGIC_LEN);
	head[MAGIC_LEN] = s->kind == STORE_KEY_FILE ? 'F' : 'K';
	if (!key_id(s, head + MAGIC_LEN + 1) ||
	    getrandom(head + HEAD_LEN - NONCE_LEN, NONCE_LEN, 0) != NONCE_LEN)
		return err_set(e, ERR_SYSTEM, -EIO, "random numbers, or memory");
	buf_add(file, head, sizeof(head));
	if (!seal(s, true, head, name, (const unsigned char *)text->data, text->len,
		  (unsigned char *)file->data + HEAD_LEN, tag))
		return err_set(e, ERR_SYSTEM, -EIO, "secret '%s': it can't be encrypted", name);
	file->len += text->len;
	buf_add(file, tag, sizeof(tag));
	return 0;
}

static int close_record(struct store *s, const struct secret *secret, struct buf *file,
			struct err *e)
{
	struct buf text = BUF_INIT(0);
	int r;

	if (!erase_buf_init(&text, SECRET_RECORD_MAX))
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	secret_print(secret, &text);
	r = text.failed ?
		    err_set(e, ERR_USAGE, -E2BIG, "secret '%s': it is too long", secret->name) :
		    seal_text(s, secret->name, &text, file, e);
	erase_buf_done(&text);
	erase_stack();
	return r;
}

/* No secret has such a name, so neither file is the other. */
static void kept_name(const char *name, char sealed[NAME_MAX_LEN], char file[NAME_MAX_LEN])
{
	(void)snprintf(sealed, NAME_MAX_LEN, "*%.40s", name);
	(void)snprintf(file, NAME_MAX_LEN, "%.40s" KEPT, name);
}

int store_keep(struct store *s, const char *name, const struct buf *text, struct err *e)
{
	struct buf file = BUF_INIT(0);
	char sealed[NAME_MAX_LEN], at[NAME_MAX_LEN];
	int r = write_key(s, STORE_KEY_ANY, e);

	kept_name(name, sealed, at);
	if (r == 0 && text->len > STORE_KEPT)
		r = err_set(e, ERR_SYSTEM, -E2BIG, "%s/%s: too long", s->path, at);
	if (r == 0 && !erase_buf_init(&file, HEAD_LEN + text->len + TAG_LEN + 1))
		r = err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	if (r == 0)
		r = seal_text(s, sealed, text, &file, e);
	if (r == 0)
		r = replace(s, at, file.data, file.len, e);
	erase_buf_done(&file);
	return r;
}

int store_kept(struct store *s, const char *name, struct buf *text, struct err *e)
{
	struct buf file = BUF_INIT(0);
	char sealed[NAME_MAX_LEN], at[NAME_MAX_LEN];
	struct stat st;
	int r = 0;

	kept_name(name, sealed, at);
	if (fstatat(s->fd, at, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return -ENOENT;
	if (!erase_buf_init(&file, HEAD_LEN + STORE_KEPT + TAG_LEN + 1))
		r = err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	if (r == 0)
		r = read_file(s, at, &file, e);
	if (r == 0)
		r = open_record(s, sealed, &file, text, e);
	erase_buf_done(&file);
	return r;
}

/* Return: how many there are, up to STORE_SECRETS. */
static size_t count(const struct store *s)
{
	_cleanup_close_ int fd = openat(s->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	SYS_DIRENT_ALIGN char entries[4096];
	size_t found = 0;
	long n, o;

	while (fd >= 0 && found < STORE_SECRETS &&
	       (n = sys_getdents(fd, entries, sizeof(entries))) > 0) {
		for (o = 0; sys_dirent_next(entries, n, &o);)
			found++;
	}
	return found;
}

int store_write(struct store *s, const struct secret *secret, enum store_key key, struct err *e)
{
	struct buf file = BUF_INIT(0);
	char at[NAME_MAX_LEN];
	int r = file_name(secret->name, at, e);

	if (r == 0)
		r = secret_check(secret, e);
	if (r == 0 && !store_has(s, secret->name) && count(s) >= STORE_SECRETS)
		r = err_set(e, ERR_USAGE, -E2BIG, "there are %u secrets already", STORE_SECRETS);
	if (r == 0)
		r = write_key(s, key, e);
	if (r == 0 && !erase_buf_init(&file, FILE_MAX + 1))
		r = err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	if (r == 0)
		r = close_record(s, secret, &file, e);
	if (r == 0)
		r = replace(s, at, file.data, file.len, e);
	erase_buf_done(&file);
	return r;
}

int store_remove(struct store *s, const char *name, struct err *e)
{
	char at[NAME_MAX_LEN];
	int r = file_name(name, at, e);

	if (r < 0)
		return r;
	if (unlinkat(s->fd, at, 0) < 0)
		return errno == ENOENT ?
			       err_set(e, ERR_USAGE, -ENOENT,
				       "there is no secret '%s' (bailey secret ls)", name) :
			       err_sys(e, -errno, "%s/%s", s->path, at);
	return fsync(s->fd) < 0 ? err_sys(e, -errno, "%s", s->path) : 0;
}

static int by_name(const void *x, const void *y)
{
	return strcmp(*(const char *const *)x, *(const char *const *)y);
}

/* The name whose file this is, into @out of SECRET_NAME_MAX + 1 bytes. */
static bool name_of(const char *file, char *out)
{
	struct err ignored = ERR_INIT;
	size_t n = strlen(file), k = strlen(SUFFIX);

	if (n <= k || n - k > SECRET_NAME_MAX || strcmp(file + n - k, SUFFIX) != 0)
		return false;
	memcpy(out, file, n - k);
	out[n - k] = '\0';
	return secret_name_check(out, &ignored) == 0;
}

int store_list(struct store *s, struct arena *a, const char ***ret, struct err *e)
{
	_cleanup_close_ int fd = openat(s->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char **names = arena_alloc(a, STORE_SECRETS * sizeof(*names));
	SYS_DIRENT_ALIGN char entries[4096];
	char name[SECRET_NAME_MAX + 1];
	const struct sys_dirent *d;
	size_t found = 0;
	long n = 0, o;

	if (fd < 0)
		return err_sys(e, -errno, "%s", s->path);
	while (names && (n = sys_getdents(fd, entries, sizeof(entries))) > 0) {
		for (o = 0; (d = sys_dirent_next(entries, n, &o));) {
			if (!name_of(d->name, name))
				continue;
			if (found == STORE_SECRETS)
				return err_set(e, ERR_POLICY, -E2BIG, "%s: more than %u secrets",
					       s->path, STORE_SECRETS);
			names[found] = arena_strdup(a, name);
			if (!names[found++])
				return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
		}
	}
	if (!names)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	if (n < 0)
		return err_sys(e, (int)n, "%s", s->path);
	qsort(names, found, sizeof(*names), by_name);
	*ret = names;
	return (int)found;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Under the lock: whether somebody has changed it since it was @was. */
static int changed_since(struct store *s, const struct secret *was, struct err *e)
{
	struct arena a = ARENA_INIT(0);
	struct secret is = { .name = NULL };
	int r;

	if (!erase_arena_init(&a, SECRET_MEMORY))
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	r = store_read(s, was->name, &a, &is, e);
	if (r == 0)
		r = is.changed != was->changed || !same_text(is.value, was->value) ||
		    !same_text(is.command, was->command);
	erase_arena_done(&a);
	return r;
}

int store_refresh(struct store *s, const char *name, struct arena *a, struct secret *ret,
		  struct err *e)
{
	int r = store_read(s, name, a, ret, e);
	struct secret was;

	if (r < 0 || !secret_expired(ret, (int64_t)time(NULL)))
		return r;
	was = *ret;
	r = store_command(ret, a, e);
	if (r < 0)
		return r;
	/* commands run without the lock, so it may have been rotated meanwhile: then that counts */
	if (!s->locked && flock(s->fd, LOCK_EX) < 0)
		return err_sys(e, -errno, "%s: lock", s->path);
	r = changed_since(s, &was, e);
	if (r == 0)
		r = store_write(s, ret, STORE_KEY_ANY, e);
	else if (r > 0)
		r = store_read(s, name, a, ret, e);
	if (!s->locked)
		(void)flock(s->fd, LOCK_UN); /* or when it is closed */
	return r;
}
