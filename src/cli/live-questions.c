/* SPDX-License-Identifier: Apache-2.0 */
/* What clients ask of a sandbox that stays, and tell it, beside commands: each is answered at once. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "egress.h"
#include "live-state.h"
#include "sandbox.h"

void live_list(struct client *c)
{
	const struct wire_msg m = { .type = WIRE_SESSIONS };
	_cleanup_close_ int fd = memfd_create("bailey-sessions", MFD_CLOEXEC);
	struct buf b = BUF_INIT(LIMIT_OUTPUT);

	sessions_list(&c->live->sessions, &b);
	if (fd < 0 || b.failed || fd_write_all(fd, b.data, b.len) < 0)
		live_refuse(c, &(struct err){
				       .sys = ENOMEM, .code = ERR_SYSTEM, .msg = "out of memory" });
	else
		(void)live_answer(c, &m, fd);
	buf_done(&b);
}

/* @p: one of them, or NULL */
static struct wire_msg say_port(const struct sandbox *s, const struct published *p)
{
	struct wire_msg m = { .type = WIRE_PORT };
	size_t i;

	for (i = 0; i < s->n_published; i++)
		m.port.total += s->published[i].inside > 0;
	if (p) {
		m.port.place.host = p->host;
		m.port.chosen = p->chosen;
		m.port.place.inside = p->inside;
		memcpy(m.port.place.at, p->at.b, sizeof(m.port.place.at));
	}
	return m;
}

static struct wire_msg describe_port(const struct live *l, uint32_t number)
{
	const struct sandbox *s = supervise_sandbox(l->run);
	const struct published *p = NULL;
	size_t i;

	for (i = 0; i < s->n_published && !p; i++) {
		if (s->published[i].inside && number-- == 0)
			p = &s->published[i];
	}
	return say_port(s, p);
}

/* @m: the question; then its answer, if there is no error */
static int publish(const struct live *l, struct wire_msg *m, struct err *e)
{
	struct published p = { .host = m->publish.place.host,
			       .inside = m->publish.place.inside,
			       .fd = -1 };
	int r;

	memcpy(p.at.b, m->publish.place.at, sizeof(p.at.b));
	r = m->publish.remove ? egress_unpublish(l->run, &p, e) : egress_publish(l->run, &p, &p, e);
	if (r == 0)
		*m = say_port(supervise_sandbox(l->run), &p);
	return r;
}

void live_question(struct client *c, const struct wire_msg *m)
{
	struct live *l = c->live;
	struct err e = ERR_INIT;
	struct wire_msg state = *m;
	int r = 0;

	if (l->stopping && m->type != WIRE_ASK && m->type != WIRE_PORT_ASK)
		r = err_set(&e, ERR_SYSTEM, -EBUSY, "the sandbox is being stopped");
	else if (m->type == WIRE_PAUSE)
		r = life_pause(&l->life, &e);
	else if (m->type == WIRE_RESUME)
		life_resume(&l->life);
	else if (m->type == WIRE_EXTEND)
		r = life_extend(&l->life, m->extend.ms, &e);
	else if (m->type == WIRE_PUBLISH)
		r = publish(l, &state, &e);
	if (m->type == WIRE_PORT_ASK)
		state = describe_port(l, m->port_ask.number);
	else if (m->type != WIRE_PUBLISH)
		state = life_state(&l->life, live_attached(l));
	if (r < 0)
		state = (struct wire_msg){ .type = WIRE_FAILED,
					   .session = WIRE_COMMAND,
					   .failed = e };
	if (r < 0 && state.failed.sys < 0)
		state.failed.sys = -state.failed.sys;
	(void)live_answer(c, &state, -1);
}

/* A file of memory that a client may still write to. Return: 0 or negative errno. */
static int read_text(int fd, struct buf *b)
{
	char part[16384];
	struct stat st;
	ssize_t n = 1;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -EBADMSG; /* it could keep us waiting */
	while (n > 0 && !b->failed) {
		n = pread(fd, part, sizeof(part), (off_t)b->len);
		if (n > 0)
			buf_add(b, part, (size_t)n);
	}
	return n < 0 ? -errno : b->failed ? -E2BIG : b->data ? 0 : -EBADMSG;
}

void live_service_question(struct client *c, const struct wire_msg *m, const int fds[WIRE_FDS])
{
	struct live *l = c->live;
	const struct wire_msg list = { .type = WIRE_SERVICES };
	_cleanup_close_ int fd = memfd_create("bailey-services", MFD_CLOEXEC);
	struct buf text = BUF_INIT(LIMIT_SPAWN), b = BUF_INIT(LIMIT_OUTPUT);
	struct err e = ERR_INIT;
	long wait = -1;
	int r = 0;

	if (l->stopping && m->type != WIRE_SERVICES_ASK) {
		r = err_set(&e, ERR_SYSTEM, -EBUSY, "the sandbox is being stopped");
	} else if (m->type == WIRE_SERVICE_ORDER) {
		r = life_wake(&l->life, LIFE_WAKE_EXEC, &e);
		if (r == 0)
			r = services_order(&l->services, m, &e);
	} else if (m->type == WIRE_SERVICES_SET) {
		(void)life_wake(&l->life, LIFE_WAKE_EXEC,
				&e); /* or they wait until it is resumed */
		e = (struct err)ERR_INIT;
		r = read_text(fds[0], &text);
		r = r < 0 ? err_sys(&e, r, "the services") :
			    services_set(&l->services, text.data, text.len, &e);
	}
	if (r == 0 && m->type != WIRE_SERVICES_ASK && !l->life.frozen)
		services_step(&l->services, &wait);
	l->services.paused = l->life.frozen;
	services_list(&l->services, &b);
	if (r == 0 && (fd < 0 || b.failed || fd_write_all(fd, b.data, b.len) < 0))
		r = err_set(&e, ERR_SYSTEM, -ENOMEM, "out of memory");
	if (r < 0)
		live_refuse(c, &e);
	else
		(void)live_answer(c, &list, fd);
	buf_done(&text);
	buf_done(&b);
}
