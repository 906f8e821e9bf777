/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A line goes to the log first, then the head is rewritten in place. Whoever is killed in between leaves one line that the head
 * does not know: audit_begin() and audit_read() take one such line, when it fits the chain. Two files are written in turn; the older one
 * is emptied when the newer one is full, so the log is bounded and always holds at least LIMIT_AUDIT of the past.
 */
#include "audit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINES_PER_SECOND 2000u
#define TAIL 8192u /* longer than any line */

#define HEX_LEN 64
_Static_assert(HEX_LEN == 2 * SHA256_SIZE, "the length of a hash as text");

static const char zero_hash[] = "0000000000000000000000000000000000000000000000000000000000000000";

int audit_open(int dir, int heads, const char *id, int ret_log[2], int *ret_head, struct err *e)
{
	const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;

	ret_log[0] = openat(dir, "log.0", flags | O_APPEND, 0600);
	ret_log[1] = openat(dir, "log.1", flags | O_APPEND, 0600);
	*ret_head = openat(heads, id, flags, 0600);
	if (ret_log[0] >= 0 && ret_log[1] >= 0 && *ret_head >= 0)
		return 0;
	(void)err_sys(e, -errno, "audit log");
	cleanup_close(&ret_log[0]);
	cleanup_close(&ret_log[1]);
	cleanup_close(ret_head);
	return -e->sys;
}

bool audit_line_parse(const char *p, size_t n, struct audit_line *ret,
		      char prev[2 * SHA256_SIZE + 1], char sum[2 * SHA256_SIZE + 1])
{
	static const char middle[] = "\",\"hash\":\"", end[] = "\"}", before[] = ",\"prev\":\"";
	const size_t tail =
		sizeof(before) - 1 + HEX_LEN + sizeof(middle) - 1 + HEX_LEN + sizeof(end) - 1;
	char real[2 * SHA256_SIZE + 1];
	unsigned long long seq = 0;
	const char *q;
	size_t i;

	if (n < tail + 8 || memcmp(p, "{\"seq\":", 7) != 0 || p[7] < '1' || p[7] > '9')
		return false;
	for (i = 7; p[i] >= '0' && p[i] <= '9' && i < 7 + 18; i++)
		seq = seq * 10 + (unsigned long long)(p[i] - '0');
	if (p[i] != ',')
		return false;
	q = p + n - tail;
	if (memcmp(q, before, sizeof(before) - 1) != 0 ||
	    memcmp(p + n - 2, end, sizeof(end) - 1) != 0 ||
	    memcmp(q + sizeof(before) - 1 + HEX_LEN, middle, sizeof(middle) - 1) != 0)
		return false;
	memcpy(prev, q + sizeof(before) - 1, HEX_LEN);
	memcpy(sum, p + n - 2 - HEX_LEN, HEX_LEN);
	prev[HEX_LEN] = sum[HEX_LEN] = '\0';
	*ret = (struct audit_line){ .seq = seq, .text = p, .len = n };
	sha256_hex(p, n - (sizeof(end) - 1 + HEX_LEN + sizeof(middle) - 2),
		   real); /* with the quote that ends prev */
	return memcmp(real, sum, HEX_LEN) == 0;
}

int audit_head_read(int fd, struct audit_head *ret)
{
	char text[AUDIT_HEAD + 1], *p;
	ssize_t n = pread(fd, text, AUDIT_HEAD, 0);

	*ret = (struct audit_head){ .seq = 0 };
	memcpy(ret->hash, zero_hash, sizeof(ret->hash));
	if (n < 0)
		return -errno;
	if (n == 0)
		return 0;
	text[n] = '\0';
	ret->seq = strtoull(text, &p, 10); /* what is too large is no head that was written */
	if (p == text || p[0] != ' ' || (p[1] != '0' && p[1] != '1') || p[2] != ' ' ||
	    strspn(p + 3, "0123456789abcdef") != HEX_LEN)
		return -EBADMSG;
	ret->at = (unsigned int)(p[1] - '0');
	memcpy(ret->hash, p + 3, HEX_LEN);
	if (p[3 + HEX_LEN] == ' ') {
		ret->start[0] = strtoull(p + 3 + HEX_LEN, &p, 10);
		ret->start[1] = strtoull(p, NULL, 10);
	}
	return 0;
}

static int head_write(const struct audit *a)
{
	char text[AUDIT_HEAD + 1];
	int n = snprintf(text, sizeof(text), "%llu %u %s %llu %llu\n", (unsigned long long)a->seq,
			 a->at, a->prev, (unsigned long long)a->start[0],
			 (unsigned long long)a->start[1]);

	/* shorter ones are followed by blanks, so that every head has one length, and is one write */
	memset(text + n, ' ', AUDIT_HEAD - (size_t)n);
	return pwrite(a->head, text, AUDIT_HEAD, 0) == (ssize_t)AUDIT_HEAD ? 0 : -EIO;
}

/* The last line of the file that is written now, when the head does not know it yet. */
static void take_last(struct audit *a)
{
	char text[TAIL], prev[2 * SHA256_SIZE + 1], sum[2 * SHA256_SIZE + 1];
	off_t from = a->size > TAIL ? (off_t)(a->size - TAIL) : 0;
	ssize_t n = pread(a->log[a->at], text, sizeof(text), from);
	struct audit_line line;
	const char *start;

	if (n <= 1 || text[n - 1] != '\n')
		return;
	start = memrchr(text, '\n', (size_t)n - 1);
	start = start ? start + 1 : text;
	if (audit_line_parse(start, (size_t)(text + n - 1 - start), &line, prev, sum) &&
	    line.seq == a->seq + 1 && memcmp(prev, a->prev, HEX_LEN) == 0) {
		a->seq = line.seq;
		memcpy(a->prev, sum, sizeof(a->prev));
	}
}

int audit_begin(struct audit *a, const int log[2], int head)
{
	struct audit_head h;
	struct stat st;
	int r;

	*a = (struct audit){ .log = { log[0], log[1] }, .head = head };
	r = audit_head_read(head, &h);
	if (r < 0)
		return r;
	a->seq = h.seq;
	a->at = h.at;
	a->start[0] = h.start[0];
	a->start[1] = h.start[1];
	memcpy(a->prev, h.hash, sizeof(a->prev));
	if (fstat(a->log[a->at], &st) < 0)
		return -errno;
	a->size = (uint64_t)st.st_size;
	take_last(a);
	return head_write(a);
}

static void put_time(struct json *j)
{
	struct timespec ts;
	struct tm tm;
	char text[40];
	size_t n;

	(void)clock_gettime(CLOCK_REALTIME, &ts); /* can't fail for this clock */
	if (!gmtime_r(&ts.tv_sec, &tm))
		memset(&tm, 0, sizeof(tm));
	n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(text + n, sizeof(text) - n, ".%03ldZ", ts.tv_nsec / 1000000);
	json_str(j, "time", text);
}

static void put_event(struct json *j, const struct audit_event *ev)
{
	char addr[NET_ADDR_TEXT];

	json_str(j, "event", ev->event);
	if (ev->via)
		json_str(j, "via", ev->via);
	if (ev->host && *ev->host)
		json_str(j, "name", ev->host);
	if (ev->addr) {
		net_addr_text(ev->addr, addr);
		json_str(j, "address", addr);
	}
	if (ev->port)
		json_int(j, "port", ev->port);
	if (ev->proto)
		json_str(j, "protocol", ev->proto);
	if (ev->decision)
		json_str(j, "decision", ev->decision);
	if (ev->rule)
		json_str(j, "rule", ev->rule);
	if (ev->origin)
		json_str(j, "origin", ev->origin);
	if (ev->method)
		json_str(j, "method", ev->method);
	if (ev->target)
		json_str(j, "target", ev->target);
	if (ev->cut)
		json_bool(j, "cut", true);
	if (ev->status)
		json_int(j, "status", ev->status);
	if (ev->secret)
		json_str(j, "secret", ev->secret);
	if (ev->reason)
		json_str(j, "reason", ev->reason);
	if (ev->missing)
		json_str(j, "missing", ev->missing);
	if (ev->spoken)
		json_str(j, "spoken", ev->spoken);
	if (ev->garbage || ev->turned_away || ev->timed_out) {
		json_int(j, "garbage", (long long)ev->garbage);
		json_int(j, "turned-away", (long long)ev->turned_away);
		json_int(j, "timed-out", (long long)ev->timed_out);
	}
	if (ev->counts) {
		json_int(j, "sent", (long long)ev->sent);
		json_int(j, "received", (long long)ev->received);
		json_int(j, "ms", (long long)ev->ms);
	}
}

/* The other file takes over, empty. The head says first that its lines are not wanted any more: who is killed in between leaves more than that. */
static int rotate(struct audit *a)
{
	a->start[!a->at] = 0;
	(void)head_write(a);
	if (ftruncate(a->log[!a->at], 0) < 0)
		return -errno;
	a->at = !a->at;
	a->size = 0;
	return 0;
}

static bool append(struct audit *a, const struct audit_event *ev, uint64_t dropped)
{
	struct buf b = BUF_INIT(TAIL - 1);
	struct json j = { .out = &b };
	char sum[2 * SHA256_SIZE + 1];
	ssize_t n = -1;

	json_open(&j, NULL, '{');
	json_int(&j, "seq", (long long)a->seq + 1);
	put_time(&j);
	put_event(&j, ev);
	if (dropped)
		json_int(&j, "dropped", (long long)dropped);
	json_str(&j, "prev", a->prev);
	if (!b.failed) {
		sha256_hex(b.data, b.len, sum);
		json_str(&j, "hash", sum);
	}
	json_close(&j, '}');
	buf_puts(&b, "\n");
	if (!b.failed && (a->size + b.len <= LIMIT_AUDIT || rotate(a) == 0))
		n = write(a->log[a->at], b.data, b.len);
	if (n != (ssize_t)b.len || b.failed) {
		/* a full disk: half a line must not stay; should it, it is no line to whoever reads */
		if (n > 0 && ftruncate(a->log[a->at], (off_t)a->size) < 0)
			a->size = LIMIT_AUDIT; /* the next one goes to the other file */
		a->dropped++;
		a->failing = true;
	} else {
		a->failing = false;
		a->size += b.len;
		a->seq++;
		a->start[a->at] = a->start[a->at] ? a->start[a->at] : a->seq;
		memcpy(a->prev, sum, sizeof(a->prev));
		(void)head_write(a); /* the next one writes it whole */
	}
	buf_done(&b);
	return !a->failing;
}

/* Lines that are missing are counted in one that is written beside the pace. */
static void count_dropped(struct audit *a)
{
	static const struct audit_event flood = {
		.event = "dropped", .reason = "lines came too fast, or could not be written"
	};
	uint64_t dropped = a->dropped;

	if (!dropped)
		return;
	a->dropped = 0;
	if (!append(a, &flood, dropped))
		a->dropped = dropped;
}

void audit_end(struct audit *a)
{
	count_dropped(a);
}

bool audit_write(struct audit *a, const struct audit_event *ev)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &ts); /* can't fail for this clock */
	if ((uint64_t)ts.tv_sec != a->second) {
		a->second = (uint64_t)ts.tv_sec;
		a->lines = 0;
		count_dropped(a);
	}
	if (a->lines == LINES_PER_SECOND) {
		a->dropped++;
		return false;
	}
	a->lines++;
	return append(a, ev, 0);
}
