/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two ends of a byte stream (a virtual machine's, a pipe's) that stands between a supervisor and PID 1. Each is a process of its own beside one of them, so neither
 * knows of it: their socket carries messages with descriptors as ever, and what goes through those becomes channels of the stream (mux.h).
 */
#ifndef BAILEY_WIRE_BRIDGE_H
#define BAILEY_WIRE_BRIDGE_H

#include "wire.h"

/**
 * wire_bridge() - carry what is said on @sock, and what goes through the descriptors that come with it, until one side has gone and what was under way has arrived.
 *
 * Pipes, sockets, terminals, devices and files become streams: a descriptor that is named twice stays one. What is one pipe's other end here is a pipe's there; a
 * terminal is one with a size of its own, which WIRE_RESIZE sets: it is not passed on. PID 1 can send a terminal, and nothing that means something to one kernel only.
 * SIGPIPE must be ignored.
 * @sock: to who speaks here; owned
 * @in, @out: the stream; may be one descriptor; owned
 * @us: who speaks on @sock
 * Return: 0; -EPROTO, -EBADMSG, -EPROTONOSUPPORT: the other end said what it may not; other negative errno with @e.
 */
int wire_bridge(int sock, int in, int out, enum wire_side us, struct err *e);

#endif
