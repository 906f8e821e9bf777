/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Headers of tar: ustar with pax extensions (POSIX.1-2001) both ways, GNU's long names only read. Strict where it costs nobody anything: a sum that is wrong, a number
 * that is none, a name that leads elsewhere end the stream.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "archive.h"

#define PAX_MAX 262144u /* bytes of one extended header */
#define XATTR "SCHILY.xattr."
#define MODES 01777u

struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100],
		magic[8], uname[32], gname[32], major[8], minor[8], prefix[155], zero[12];
};

_Static_assert(sizeof(struct header) == TAR_BLOCK, "a block");

void tar_entry_init(struct tar_entry *t)
{
	memset(t, 0, sizeof(*t));
	t->xattrs = (struct buf)BUF_INIT(LIMIT_ARCHIVE_XATTRS);
}

void tar_entry_done(struct tar_entry *t)
{
	buf_done(&t->xattrs);
}

bool tar_path(const char *text, char out[LIMIT_PATH])
{
	size_t n, len = 0;

	if (*text == '/' || !*text)
		return false;
	for (; *text; text += n + (text[n] == '/')) {
		n = strcspn(text, "/");
		if (n == 2 && memcmp(text, "..", 2) == 0)
			return false;
		if (n == 0 || (n == 1 && *text == '.'))
			continue;
		if (len + n + 2 > LIMIT_PATH)
			return false;
		if (len)
			out[len++] = '/';
		memcpy(out + len, text, n);
		len += n;
	}
	if (!len)
		out[len++] = '.';
	out[len] = '\0';
	return true;
}

/* --- attributes --- */

bool tar_xattr_ok(const char *name)
{
	/* those of overlays would be taken for the kernel's own notes in a layer */
	return strncmp(name, "user.", 5) == 0 && name[5] && strlen(name) <= 255 &&
	       strncmp(name, "user.overlay.", 13) != 0 && !strchr(name, '=');
}

int tar_xattr_add(struct tar_entry *t, const char *name, const void *value, size_t n)
{
	const uint32_t size = (uint32_t)n;

	if (n > LIMIT_ARCHIVE_XATTRS)
		return -E2BIG;
	buf_add(&t->xattrs, name, strlen(name) + 1);
	buf_add(&t->xattrs, &size, sizeof(size));
	buf_add(&t->xattrs, value, n);
	return t->xattrs.failed ? -E2BIG : 0;
}

bool tar_xattr_next(const struct tar_entry *t, size_t *at, const char **ret_name, const void **ret,
		    size_t *ret_n)
{
	const char *p = t->xattrs.data;
	uint32_t size;
	size_t n;

	if (*at >= t->xattrs.len)
		return false;
	n = strlen(p + *at) + 1; /* only tar_xattr_add() writes there */
	memcpy(&size, p + *at + n, sizeof(size));
	*ret_name = p + *at;
	*ret = p + *at + n + sizeof(size);
	*ret_n = size;
	*at += n + sizeof(size) + size;
	return true;
}

/* --- reading --- */

static int bad(struct err *e, const char *what)
{
	return err_set(e, ERR_USAGE, -EBADMSG, "this is no archive of tar: %s", what);
}

/* Octal digits between blanks, or GNU's binary form. Return: false: it is neither, or has more than 63 bits. */
static bool number(const char *p, size_t n, uint64_t *ret)
{
	uint64_t v = 0;
	size_t i = 0;

	if ((unsigned char)p[0] == 0x80) {
		for (i = 1; i < n; i++) {
			if (v >> 55)
				return false;
			v = v << 8 | (unsigned char)p[i];
		}
		*ret = v;
		return true;
	}
	while (i < n && p[i] == ' ')
		i++;
	for (; i < n && p[i] >= '0' && p[i] <= '7'; i++) {
		if (v >> 60)
			return false;
		v = v << 3 | (uint64_t)(p[i] - '0');
	}
	for (; i < n; i++) {
		if (p[i] != ' ' && p[i])
			return false;
	}
	*ret = v;
	return true;
}

static bool sum_ok(const struct header *h)
{
	const unsigned char *p = (const unsigned char *)h;
	uint64_t want, sum = 0;
	size_t i;

	for (i = 0; i < sizeof(*h); i++)
		sum += i >= offsetof(struct header, sum) &&
				       i < offsetof(struct header, sum) + sizeof(h->sum) ?
			       ' ' :
			       p[i];
	return number(h->sum, sizeof(h->sum), &want) && want == sum;
}

static bool is_zero(const void *p, size_t n)
{
	const unsigned char *s = p;

	return n == 0 || (s[0] == 0 && memcmp(s, s + 1, n - 1) == 0);
}

/* What extended headers say of the next entry. */
struct extended {
	char path[LIMIT_PATH], link[LIMIT_PATH]; /* "": nothing */
	bool sized, dated, has_uid, has_gid;
	uint64_t size, uid, gid;
	struct timespec mtime;
};

static bool decimal(const char *p, size_t n, uint64_t *ret)
{
	uint64_t v = 0;
	size_t i;

	for (i = 0; i < n && i < 19 && p[i] >= '0' && p[i] <= '9'; i++)
		v = v * 10 + (uint64_t)(p[i] - '0');
	*ret = v;
	return n > 0 && i == n && v <= INT64_MAX;
}

/* "[-]SECONDS[.FRACTION]" */
static bool when(const char *p, size_t n, struct timespec *ret)
{
	const bool minus = n > 0 && p[0] == '-';
	const char *dot = memchr(p, '.', n);
	size_t whole = dot ? (size_t)(dot - p) : n, i;
	long nsec = 0, unit = 100000000;
	uint64_t sec;

	if (!decimal(p + minus, whole - minus, &sec) || sec > INT64_MAX / 2)
		return false;
	for (i = whole + 1; i < n; i++, unit /= 10) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		nsec += (p[i] - '0') * unit;
	}
	ret->tv_sec = minus ? -(time_t)sec : (time_t)sec;
	if (minus && nsec) {
		ret->tv_sec--;
		nsec = 1000000000 - nsec;
	}
	ret->tv_nsec = nsec;
	return true;
}

static bool text(const char *p, size_t n, char out[LIMIT_PATH])
{
	if (n == 0 || n >= LIMIT_PATH || memchr(p, '\0', n))
		return false;
	memcpy(out, p, n);
	out[n] = '\0';
	return true;
}

static bool key_is(const char *key, size_t n, const char *name)
{
	return strlen(name) == n && memcmp(key, name, n) == 0;
}

/* One record, "KEY=VALUE". Return: 0 or negative errno with @e. */
static int take_record(const char *key, size_t k, const char *v, size_t n, struct extended *x,
		       struct tar_entry *t, struct err *e)
{
	char name[256];
	bool ok = true;

	if (key_is(key, k, "path"))
		ok = text(v, n, x->path);
	else if (key_is(key, k, "linkpath"))
		ok = text(v, n, x->link);
	else if (key_is(key, k, "size"))
		ok = x->sized = decimal(v, n, &x->size);
	else if (key_is(key, k, "mtime"))
		ok = x->dated = when(v, n, &x->mtime);
	else if (key_is(key, k, "uid"))
		ok = x->has_uid = decimal(v, n, &x->uid);
	else if (key_is(key, k, "gid"))
		ok = x->has_gid = decimal(v, n, &x->gid);
	else if (k > 11 && memcmp(key, "GNU.sparse.", 11) == 0)
		return err_set(
			e, ERR_USAGE, -EOPNOTSUPP,
			"a sparse file in GNU's own form; make the archive without --sparse");
	else if (k > strlen(XATTR) && k - strlen(XATTR) < sizeof(name) &&
		 memcmp(key, XATTR, strlen(XATTR)) == 0) {
		memcpy(name, key + strlen(XATTR), k - strlen(XATTR));
		name[k - strlen(XATTR)] = '\0';
		if (strlen(name) == k - strlen(XATTR) && tar_xattr_ok(name) &&
		    tar_xattr_add(t, name, v, n) < 0)
			return err_set(e, ERR_USAGE, -E2BIG,
				       "more than %u bytes of attributes of one file",
				       LIMIT_ARCHIVE_XATTRS);
	}
	return ok ? 0 : bad(e, "an extended header says what nothing can be");
}

static int take_pax(const char *p, size_t n, struct extended *x, struct tar_entry *t, struct err *e)
{
	size_t len, i;
	const char *eq;
	int r = 0;

	for (; r == 0 && n > 0; p += len, n -= len) {
		for (len = 0, i = 0; i < n && i < 7 && p[i] >= '0' && p[i] <= '9'; i++)
			len = len * 10 + (size_t)(p[i] - '0');
		if (i == 0 || i >= n || p[i] != ' ' || len <= i + 2 || len > n ||
		    p[len - 1] != '\n')
			return bad(e, "an extended header is broken");
		eq = memchr(p + i + 1, '=', len - i - 1);
		if (!eq)
			return bad(e, "an extended header is broken");
		r = take_record(p + i + 1, (size_t)(eq - p) - i - 1, eq + 1,
				(size_t)(p + len - 1 - eq - 1), x, t, e);
	}
	return r;
}

static int fill(struct tar_in *in, void *p, size_t n, struct err *e)
{
	int r = in->read(in->arg, p, n);

	if (r == -ENODATA || r == -EBADMSG)
		return bad(e, "it is cut off");
	return r < 0 ? err_sys(e, r, "the archive") : 0;
}

/* What is left of an entry. */
static int pass(struct tar_in *in, struct err *e)
{
	char part[4096];
	int r = 0;

	in->left += in->pad;
	in->pad = 0;
	while (r == 0 && in->left > 0) {
		size_t n = in->left < sizeof(part) ? (size_t)in->left : sizeof(part);

		r = fill(in, part, n, e);
		in->left -= n;
	}
	return r;
}

/* The data of a header that speaks of the next one. @most: bytes of it */
static int take_extended(struct tar_in *in, const struct header *h, uint64_t size,
			 struct extended *x, struct tar_entry *t, struct err *e)
{
	const size_t most = h->type == 'x' || h->type == 'g' ? PAX_MAX : LIMIT_PATH;
	const size_t padded = (size_t)((size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK);
	char *p;
	int r;

	if (size > most)
		return err_set(e, ERR_USAGE, -E2BIG, "an extended header is longer than %zu bytes",
			       most);
	p = malloc(padded + 1);
	if (!p)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	r = fill(in, p, padded, e);
	if (r == 0 && h->type == 'x')
		r = take_pax(p, (size_t)size, x, t, e);
	else if (r == 0 && h->type != 'g' &&
		 !text(p, strnlen(p, (size_t)size), h->type == 'L' ? x->path : x->link))
		r = bad(e, "a long name is none");
	free(p);
	return r;
}

static void join(const struct header *h, char out[LIMIT_PATH])
{
	const bool split = memcmp(h->magic, "ustar\0", 6) == 0 && h->prefix[0];

	(void)snprintf(out, LIMIT_PATH, "%.155s%s%.100s", split ? h->prefix : "", split ? "/" : "",
		       h->name);
}

static int take_type(const struct header *h, const char *path, struct tar_entry *t, struct err *e)
{
	const size_t n = strlen(path);

	switch (h->type) {
	case '\0':
	case '0':
	case '7':
		/* before there was a type, a slash said it */
		t->type = n && path[n - 1] == '/' ? TAR_DIR : TAR_FILE;
		return 0;
	case '1':
		t->type = TAR_HARDLINK;
		return 0;
	case '2':
		t->type = TAR_SYMLINK;
		return 0;
	case '5':
		t->type = TAR_DIR;
		return 0;
	case '3':
	case '4':
		t->type = TAR_DEVICE;
		return 0;
	case '6':
		t->type = TAR_FIFO;
		return 0;
	default:
		return err_set(e, ERR_USAGE, -EOPNOTSUPP,
			       "'%.100s': a file of an unknown kind can't be copied", path);
	}
}

/* The entry itself. */
static int take_entry(struct tar_in *in, const struct header *h, uint64_t size,
		      const struct extended *x, struct tar_entry *t, struct err *e)
{
	char path[LIMIT_PATH], link[LIMIT_PATH];
	uint64_t mode, uid, gid, mtime;
	int r;

	join(h, path);
	(void)snprintf(link, sizeof(link), "%.100s", h->link);
	if (x->path[0])
		memcpy(path, x->path, sizeof(path));
	if (x->link[0])
		memcpy(link, x->link, sizeof(link));
	r = take_type(h, path, t, e);
	if (r < 0)
		return r;
	if (!number(h->mode, sizeof(h->mode), &mode) || !number(h->uid, sizeof(h->uid), &uid) ||
	    !number(h->gid, sizeof(h->gid), &gid) || !number(h->mtime, sizeof(h->mtime), &mtime) ||
	    mtime > INT64_MAX / 2)
		return bad(e, "a header is broken");
	uid = x->has_uid ? x->uid : uid;
	gid = x->has_gid ? x->gid : gid;
	if (!tar_path(path, t->path) || uid >= UINT32_MAX || gid >= UINT32_MAX)
		return err_set(e, ERR_USAGE, -EBADMSG, "'%.100s': a name that leads elsewhere",
			       path);
	if (t->type == TAR_HARDLINK && !tar_path(link, t->link))
		return err_set(e, ERR_USAGE, -EBADMSG, "'%.100s': a link that leads elsewhere",
			       path);
	if (t->type == TAR_SYMLINK) {
		if (!link[0])
			return bad(e, "a link to nothing");
		memcpy(t->link, link, sizeof(link));
	}
	t->mode = (mode_t)mode & MODES;
	t->uid = (uint32_t)uid;
	t->gid = (uint32_t)gid;
	t->mtime = x->dated ? x->mtime : (struct timespec){ .tv_sec = (time_t)mtime };
	size = x->sized ? x->size : size;
	/* of all others nothing follows, whatever they say */
	t->size = t->type == TAR_FILE ? size : 0;
	if (in->most && (t->size > in->most || in->bytes > in->most - t->size))
		return err_set(e, ERR_USAGE, -EFBIG, "'%.100s': more than %llu bytes come", path,
			       (unsigned long long)in->most);
	in->bytes += t->size;
	in->left = t->size;
	in->pad = (unsigned int)(-t->size & (TAR_BLOCK - 1));
	return 0;
}

int tar_next(struct tar_in *in, struct tar_entry *ret, struct err *e)
{
	struct extended x = { .sized = false };
	struct header h;
	uint64_t size;
	int r = pass(in, e);

	tar_entry_done(ret);
	tar_entry_init(ret);
	for (; r == 0;) {
		r = in->read(in->arg, &h, sizeof(h));
		/* many end without the two empty blocks */
		if (r == -ENODATA && in->entries)
			return 0;
		if (r < 0)
			return r == -ENODATA ? bad(e, "it is empty") :
			       r == -EBADMSG ? bad(e, "it is cut off") :
					       err_sys(e, r, "the archive");
		if (is_zero(&h, sizeof(h)))
			return 0;
		if (!sum_ok(&h) || !number(h.size, sizeof(h.size), &size))
			return bad(e, "a header is broken");
		if (++in->entries > LIMIT_ARCHIVE_ENTRIES)
			return err_set(e, ERR_USAGE, -E2BIG, "more than %u files",
				       LIMIT_ARCHIVE_ENTRIES);
		if (h.type != 'x' && h.type != 'g' && h.type != 'L' && h.type != 'K') {
			r = take_entry(in, &h, size, &x, ret, e);
			return r < 0 ? r : 1;
		}
		r = take_extended(in, &h, size, &x, ret, e);
	}
	return r;
}

ssize_t tar_data(struct tar_in *in, void *p, size_t n, struct err *e)
{
	int r;

	n = in->left < n ? (size_t)in->left : n;
	if (n == 0)
		return 0;
	r = fill(in, p, n, e);
	if (r < 0)
		return r;
	in->left -= n;
	return (ssize_t)n;
}

/* --- writing --- */

static void octal(char *p, size_t n, uint64_t v)
{
	p[n - 1] = '\0';
	while (--n > 0) {
		p[n - 1] = (char)('0' + (v & 7));
		v >>= 3;
	}
}

/* "LENGTH KEY=VALUE\n", whose length counts itself. */
static void record(struct buf *b, const char *key, const char *name, const void *v, size_t n)
{
	const size_t rest = strlen(key) + strlen(name) + n + 3;
	size_t len = rest + 1;

	while (rest + (size_t)snprintf(NULL, 0, "%zu", len) != len)
		len++;
	buf_printf(b, "%zu ", len);
	buf_puts(b, key);
	buf_puts(b, name);
	buf_puts(b, "=");
	buf_add(b, v, n);
	buf_puts(b, "\n");
}

static void record_number(struct buf *b, const char *key, uint64_t v)
{
	char digits[24];
	const int n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)v);

	record(b, key, "", digits, (size_t)n);
}

static void put_block(struct buf *b, char type, const struct tar_entry *t, uint64_t size)
{
	struct header h;
	const unsigned char *p;
	unsigned int sum = 0;
	size_t i;

	memset(&h, 0, sizeof(h));
	(void)snprintf(h.name, sizeof(h.name), "%.98s%s", t->path, type == '5' ? "/" : "");
	octal(h.mode, sizeof(h.mode), t->mode & MODES);
	octal(h.uid, sizeof(h.uid), t->uid);
	octal(h.gid, sizeof(h.gid), t->gid);
	octal(h.size, sizeof(h.size), size);
	octal(h.mtime, sizeof(h.mtime), t->mtime.tv_sec > 0 ? (uint64_t)t->mtime.tv_sec : 0);
	memset(h.sum, ' ', sizeof(h.sum));
	h.type = type;
	(void)snprintf(h.link, sizeof(h.link), "%.99s", t->link);
	memcpy(h.magic, "ustar\00000", 8);
	for (p = (const unsigned char *)&h, i = 0; i < sizeof(h); i++)
		sum += p[i];
	octal(h.sum, 7, sum);
	buf_add(b, &h, sizeof(h));
}

static void put_pad(struct buf *b, size_t n)
{
	static const char zeros[TAR_BLOCK];

	buf_add(b, zeros, -n & (TAR_BLOCK - 1));
}

void tar_header(const struct tar_entry *t, struct buf *b)
{
	static const char types[] = {
		[TAR_FILE] = '0', [TAR_DIR] = '5', [TAR_SYMLINK] = '2', [TAR_HARDLINK] = '1'
	};
	struct buf x = BUF_INIT(PAX_MAX);
	char text[48];
	const char *name;
	const void *value;
	size_t at = 0, n;

	if (strlen(t->path) > 98)
		record(&x, "path", "", t->path, strlen(t->path));
	if (strlen(t->link) > 99)
		record(&x, "linkpath", "", t->link, strlen(t->link));
	if (t->size > 077777777777)
		record_number(&x, "size", t->size);
	if (t->uid > 07777777)
		record_number(&x, "uid", t->uid);
	if (t->gid > 07777777)
		record_number(&x, "gid", t->gid);
	if (t->mtime.tv_sec >= 0 && (t->mtime.tv_nsec || t->mtime.tv_sec > 077777777777)) {
		n = (size_t)snprintf(text, sizeof(text), "%lld.%09ld", (long long)t->mtime.tv_sec,
				     t->mtime.tv_nsec);
		record(&x, "mtime", "", text, n);
	}
	while (tar_xattr_next(t, &at, &name, &value, &n))
		record(&x, XATTR, name, value, n);
	if (x.failed)
		b->failed = true;
	if (x.len) {
		put_block(b, 'x', t, x.len);
		buf_add(b, x.data, x.len);
		put_pad(b, x.len);
	}
	put_block(b, types[t->type], t, t->size);
	buf_done(&x);
}
