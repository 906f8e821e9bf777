/* SPDX-License-Identifier: Apache-2.0 */
/* What a client hears beside the end of its command: what has happened in the sandbox since it came, and why the sandbox ends. */
#include <stdio.h>

#include "egress.h"
#include "live-state.h"
#include "no-network.h"
#include "sandbox.h"

static unsigned long long killed(struct live *l)
{
	return l->killed = jail_limits_killed(l->run->limits);
}

void live_note(struct client *c)
{
	c->logged = egress_logged(c->live->run);
	c->tried = no_network_count(c->live->run);
	c->killed = killed(c->live);
}

/* What was refused meanwhile it can read itself. Return: whether @c is still here. */
static bool tell_network(struct client *c)
{
	const struct wire_msg none = { .type = WIRE_NO_NETWORK, .session = WIRE_COMMAND };
	struct wire_msg m = { .type = WIRE_LOGGED,
			      .session = WIRE_COMMAND,
			      .logged = { .since = c->logged } };

	if (no_network_count(c->live->run) > c->tried)
		return live_answer(c, &none, -1);
	if (egress_logged(c->live->run) == c->logged)
		return true;
	(void)snprintf(m.logged.id, sizeof(m.logged.id), "%s", c->live->id);
	return live_answer(c, &m, -1);
}

static struct wire_msg about_memory(const struct live *l)
{
	return (struct wire_msg){ .type = WIRE_MEMORY,
				  .session = WIRE_COMMAND,
				  .memory = {
					  .limit = l->run->limits->value[POLICY_LIMIT_MEMORY] } };
}

bool live_tell(struct client *c)
{
	const struct wire_msg memory = about_memory(c->live);

	if (killed(c->live) > c->killed && !live_answer(c, &memory, -1))
		return false;
	return tell_network(c);
}

/* @m: to all who wait for a command. */
static void tell_all(struct live *l, const struct wire_msg *m)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(l->clients); i++) {
		if (l->clients[i].fd >= 0 && l->clients[i].session)
			(void)live_answer(&l->clients[i], m, -1);
	}
}

void live_tell_leaving(struct live *l)
{
	tell_all(l, &(struct wire_msg){ .type = WIRE_LEAVING, .leaving = { .why = l->life.why } });
}

void live_exceeded(struct run *run)
{
	struct live *l = run->live;
	const struct wire_msg memory = about_memory(l);

	life_ends(&l->life, WIRE_WHY_MEMORY);
	tell_all(l, &memory);
	live_tell_leaving(l);
}

void live_lost(struct run *run)
{
	const unsigned long long before = run->live->killed;

	if (killed(run->live) > before)
		live_exceeded(run);
}
