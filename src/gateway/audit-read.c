/* SPDX-License-Identifier: Apache-2.0 */
#include "audit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define TRIES 8 /* a log is full once in thousands of lines */

/* A chain that is being followed. */
struct reading {
	int (*each)(void *arg, const struct audit_line *line);
	void *arg;
	struct audit_head head;
	uint64_t seq;   /* of the line before; 0: there was none */
	uint64_t first; /* of the first line */
	char prev[2 * SHA256_SIZE + 1];
	uint64_t bad;
	const char *why;
};

static void broken(struct reading *r, uint64_t seq, const char *why)
{
	if (!r->why) {
		r->bad = seq;
		r->why = why;
	}
}

static void check(struct reading *r, const struct audit_line *line, bool whole, const char *prev,
		  const char *sum)
{
	uint64_t next = r->seq + 1;

	if (!whole)
		broken(r, next, "a line is no line of the log, or was edited");
	else if (r->seq && line->seq != next)
		broken(r, next,
		       line->seq > next ? "lines are missing" : "lines are in another order");
	else if (r->seq && memcmp(prev, r->prev, sizeof(r->prev)) != 0)
		broken(r, line->seq, "a line does not follow from the one before");
	else if (line->seq == r->head.seq && memcmp(sum, r->head.hash, sizeof(r->head.hash)) != 0)
		broken(r, line->seq, "the last line is not the one that was written");
	if (whole) {
		r->first = r->seq ? r->first : line->seq;
		r->seq = line->seq;
		memcpy(r->prev, sum, sizeof(r->prev));
	}
}

static int read_text(struct reading *r, const char *p, size_t n)
{
	char prev[2 * SHA256_SIZE + 1], sum[2 * SHA256_SIZE + 1];
	struct audit_line line;
	int ret = 0;

	while (n > 0 && ret == 0) {
		const char *nl = memchr(p, '\n', n);
		size_t len = nl ? (size_t)(nl - p) : n;
		bool whole = nl && audit_line_parse(p, len, &line, prev, sum);

		check(r, &line, whole, prev, sum);
		if (whole && r->each)
			ret = r->each(r->arg, &line);
		p += nl ? len + 1 : len;
		n -= nl ? len + 1 : len;
	}
	return ret;
}

/* Both files, the older one first, and the head that was there before and after. */
struct copies {
	struct audit_head head;
	struct buf text[2];
};

static int read_file(int dir, const char *name, struct buf *b, struct err *e)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int ret;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, -errno, "%s", name);
	ret = fd_read_all(fd, b);
	return ret < 0 ? err_sys(e, ret, "%s", name) : 0;
}

static int read_head(int fd, struct audit_head *ret, struct err *e)
{
	int r = audit_head_read(fd, ret);

	return r < 0 ? err_sys(e, r, "head of the network log") : 0;
}

static void copies_done(struct copies *c)
{
	buf_done(&c->text[0]);
	buf_done(&c->text[1]);
	c->text[0] = c->text[1] = (struct buf)BUF_INIT(LIMIT_AUDIT + 1);
}

/* A log that goes on in its other file is another one than that whose head was read: it is read anew. */
static int read_copies(struct copies *c, int dir, int head, struct err *e)
{
	static const char *const names[] = { "log.0", "log.1" };
	struct audit_head now;
	int i, r = 0;

	for (i = 0; i < TRIES && r == 0; i++) {
		copies_done(c);
		r = read_head(head, &c->head, e);
		/* a line that is written now may be in the log, and not yet in the head */
		if (r == 0)
			r = read_file(dir, names[!c->head.at], &c->text[0], e);
		if (r == 0)
			r = read_file(dir, names[c->head.at], &c->text[1], e);
		if (r == 0)
			r = read_head(head, &now, e);
		if (r == 0 && now.at == c->head.at &&
		    memcmp(now.start, c->head.start, sizeof(now.start)) == 0)
			return 0;
	}
	return r;
}

int audit_read(int dir, int heads, const char *id,
	       int (*each)(void *arg, const struct audit_line *line), void *arg, uint64_t *ret_bad,
	       const char **ret_why, struct err *e)
{
	_cleanup_close_ int head = openat(heads, id, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct reading r = { .each = each, .arg = arg };
	struct copies c = { .text = { BUF_INIT(LIMIT_AUDIT + 1), BUF_INIT(LIMIT_AUDIT + 1) } };
	uint64_t start;
	int ret;

	if (head < 0)
		return err_sys(e, -errno, "head of the network log");
	ret = read_copies(&c, dir, head, e);
	r.head = c.head;
	if (ret == 0)
		ret = read_text(&r, c.text[0].data, c.text[0].len);
	if (ret == 0)
		ret = read_text(&r, c.text[1].data, c.text[1].len);
	copies_done(&c);
	if (ret < 0)
		return ret;
	start = r.head.start[!r.head.at] ? r.head.start[!r.head.at] : r.head.start[r.head.at];
	if (start && r.first > start)
		broken(&r, start, "lines at the beginning are missing");
	if (r.seq < r.head.seq)
		broken(&r, r.seq + 1, "lines at the end are missing");
	if (r.why && ret_bad)
		*ret_bad = r.bad;
	if (ret_why)
		*ret_why = r.why;
	return ret;
}
