/* SPDX-License-Identifier: Apache-2.0 */
#include "inlet.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static void end(struct inlet *i)
{
	(void)shutdown(i->out, SHUT_WR); /* whoever has gone needs no end */
	cleanup_close(&i->out);
	i->out = i->to_out->fd = -1;
	i->from_in->events = i->to_out->events = 0;
}

static void update(struct inlet *i)
{
	i->from_in->events = i->from == i->to ? POLLIN : 0;
	i->to_out->events = i->from == i->to ? 0 : POLLOUT;
}

static int on_in(void *arg, short revents, struct err *e)
{
	struct inlet *i = arg;
	ssize_t n = read(0, i->data, sizeof(i->data));

	(void)revents;
	(void)e;
	if (n > 0) {
		i->from = 0;
		i->to = (size_t)n;
		update(i);
	} else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
		end(i);
	}
	return -EAGAIN;
}

static int on_out(void *arg, short revents, struct err *e)
{
	struct inlet *i = arg;
	ssize_t n = send(i->out, i->data + i->from, i->to - i->from, MSG_DONTWAIT | MSG_NOSIGNAL);

	(void)revents;
	(void)e;
	if (n > 0)
		i->from += (size_t)n;
	else if (n < 0 && errno != EINTR && errno != EAGAIN)
		end(i);
	if (i->out >= 0)
		update(i);
	return -EAGAIN;
}

int inlet_begin(struct inlet *i, int stream, struct loop *loop, struct err *e)
{
	i->out = stream;
	i->from_in = loop_add(loop, 0, 0, on_in, i);
	i->to_out = loop_add(loop, stream, 0, on_out, i);
	if (!i->from_in || !i->to_out)
		return err_set(e, ERR_SYSTEM, -ENOSPC, "too many descriptors to wait for");
	update(i);
	return 0;
}

void inlet_done(struct inlet *i)
{
	cleanup_close(&i->out);
	i->out = -1;
}
