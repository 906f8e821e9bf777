/* SPDX-License-Identifier: Apache-2.0 */
/* Signals and job control: the command behaves as if it were the process that the caller's shell has started. */
#ifndef BAILEY_CLI_JOB_H
#define BAILEY_CLI_JOB_H

#include "cli.h"

/** job_signal() - send @sig to the command, @group: to its whole process group. */
void job_signal(const struct run *run, int sig, bool group);

/** job_continue() - let a stopped command go on, in the foreground of its terminal if we are in that of ours. */
void job_continue(struct run *run);

/** job_stop() - we have got SIGTSTP: Ctrl-Z, where the terminal is not the command's, or a kill. */
void job_stop(struct run *run);

/** job_stopped() - the command was stopped by @sig. */
void job_stopped(struct run *run, int sig);

/** job_continued() - we have got SIGCONT. */
void job_continued(struct run *run);

#endif
