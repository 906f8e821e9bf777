/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_UTIL_TOOL_H
#define BAILEY_UTIL_TOOL_H

/**
 * tool_exec() - become the host's program @name, from a directory of the system: the caller's PATH may lead through a workspace (.venv/bin),
 * where a sandbox could have put one of that name. It gets a PATH of such directories, and nothing else of the environment.
 * @argv: NULL-terminated
 * Return: negative errno; -ENOENT when it is nowhere. For a child process: on success it does not return.
 */
int tool_exec(const char *name, char *const argv[]);

#endif
