/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scope-bound cleanup: `_cleanup_close_ int fd = -1;`. Hand a value over with TAKE_FD / TAKE_PTR. Destructors accept "nothing".
 */
#ifndef BAILEY_UTIL_CLEANUP_H
#define BAILEY_UTIL_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

static inline void cleanup_close(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

#define _cleanup_close_ _cleanup_(cleanup_close)
#define _cleanup_free_ _cleanup_(cleanup_free)

#define TAKE_FD(fd)                             \
	({                                      \
		int *fdp_ = &(fd), fd_ = *fdp_; \
		*fdp_ = -1;                     \
		fd_;                            \
	})
#define TAKE_PTR(p)                                   \
	({                                            \
		__typeof__(p) *pp_ = &(p), p_ = *pp_; \
		*pp_ = NULL;                          \
		p_;                                   \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* What has its @member at @p. */
#define CONTAINER_OF(p, type, member) \
	((type *)(void *)((char *)(p) - __builtin_offsetof(type, member)))

#endif
