/* SPDX-License-Identifier: Apache-2.0 */
/*
 * util: what every other room stands on. Include this, not the parts.
 *  1. err.h, cleanup.h, limits.h   errors, scope-bound cleanup, the one table of caps
 *  2. arena.h, buf.h, json.h       memory of values, capped buffers, writing JSON
 *  3. path.h, fd.h, sys.h          lexical paths, fds, system calls that libcs lack
 *  4. loop.h, clock.h, cgroup-find.h   a poll loop, the time; where the caller's cgroup is
 *  5. opt.h, nearest.h, text.h     option tables, "did you mean", prose for terminals
 *  6. entries.h, tree.h            directories in order; whole trees, copied and removed
 *  7. netlink.h, nft.h             requests to the kernel's network
 *  8. sock.h, pty.h                addresses of unix sockets; terminals
 *  9. confine.h, tool.h            what a process gives up before it reads hostile bytes; programs of the host
 */
#ifndef BAILEY_UTIL_H
#define BAILEY_UTIL_H

#include "arena.h"
#include "buf.h"
#include "cgroup-find.h"
#include "cleanup.h"
#include "clock.h"
#include "confine.h"
#include "entries.h"
#include "err.h"
#include "fd.h"
#include "json.h"
#include "limits.h"
#include "loop.h"
#include "nearest.h"
#include "netlink.h"
#include "nft.h"
#include "opt.h"
#include "path.h"
#include "pty.h"
#include "ring.h"
#include "sock.h"
#include "sys.h"
#include "text.h"
#include "tool.h"
#include "tree.h"

#endif
