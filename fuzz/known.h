/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where src differs from what is written down: 0 accepts that, 1 is what it should be. A line goes when src is mended.
 */
#ifndef FUZZ_KNOWN_H
#define FUZZ_KNOWN_H

#define HIDE_BEATS_EVERYTHING 0 /* policy_eval(): a deeper deny-read or private beats hide */
#define PLAN_KEEPS_FILES 0      /* plan_hide(): a name hidden below a file takes the file away */
#define QUOTE_IS_UTF8 0         /* buf_quote(): all bytes from 0x80 pass */

#endif
