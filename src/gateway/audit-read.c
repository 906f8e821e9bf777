/* SPDX-License-Identifier: Apache-2.0 */
#include "audit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

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

static int read_file(struct reading *r, int dir, const char *name, struct err *e)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct buf b = BUF_INIT(LIMIT_AUDIT + 1);
	int ret;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, -errno, "%s", name);
	ret = fd_read_all(fd, &b);
	if (ret < 0)
		(void)err_sys(e, ret, "%s", name);
	else
		ret = read_text(r, b.data, b.len);
	buf_done(&b);
	return ret;
}

int audit_read(int dir, int heads, const char *id,
	       int (*each)(void *arg, const struct audit_line *line), void *arg, uint64_t *ret_bad,
	       const char **ret_why, struct err *e)
{
	static const char *const names[] = { "log.0", "log.1" };
	_cleanup_close_ int head = openat(heads, id, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct reading r = { .each = each, .arg = arg };
	struct audit_head now;
	uint64_t start;
	int ret;

	if (head < 0)
		return err_sys(e, -errno, "head of the network log");
	ret = audit_head_read(head, &r.head);
	if (ret < 0)
		return err_sys(e, ret, "head of the network log");
	/* a line that is written now may be in the log, and not yet in the head */
	ret = read_file(&r, dir, names[!r.head.at], e);
	if (ret == 0)
		ret = read_file(&r, dir, names[r.head.at], e);
	if (ret < 0)
		return ret;
	/* of now: it may have begun with the other file meanwhile */
	if (audit_head_read(head, &now) == 0) {
		start = now.start[!now.at] ? now.start[!now.at] : now.start[now.at];
		if (start && r.first > start)
			broken(&r, start, "lines at the beginning are missing");
	}
	if (r.seq < r.head.seq)
		broken(&r, r.seq + 1, "lines at the end are missing");
	if (r.why && ret_bad)
		*ret_bad = r.bad;
	if (ret_why)
		*ret_why = r.why;
	return ret;
}
