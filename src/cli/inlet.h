/* SPDX-License-Identifier: Apache-2.0 */
/* Our stdin, on its way to a session without a terminal. Its end is the end of the session's input. */
#ifndef BAILEY_CLI_INLET_H
#define BAILEY_CLI_INLET_H

#include "util/util.h"

struct inlet {
	int out; /* owned; -1: nothing is typed, or not any more */
	struct loop_source *from_in, *to_out;
	size_t from, to;
	char data[LIMIT_TTY_IN];
};

/** inlet_begin() - copy 0 to @stream (a stream socket; taken in any case) from now on. Return: 0 or negative errno with @e; inlet_done() in any case. */
int inlet_begin(struct inlet *i, int stream, struct loop *loop, struct err *e);

void inlet_done(struct inlet *i);

#endif
