/* SPDX-License-Identifier: Apache-2.0 */
#include "live-words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "live.h"

void live_words_services(const struct json_node *list, const char *generation, struct buf *b)
{
	const struct json_node *v;

	buf_printf(b, "{\"generation\":%s,\"services\":[", generation ? generation : "1");
	for (v = list->first; v; v = v->next) {
		json_write(v, b);
		buf_puts(b, v->next ? "," : "");
	}
	buf_puts(b, "]}");
}

int live_words_write(const struct named_box *box)
{
	_cleanup_close_ int fd = memfd_create("bailey-words", MFD_CLOEXEC);
	struct buf b = BUF_INIT(LIMIT_SPAWN);
	const struct json_node *v;
	int r = fd < 0 ? -errno : 0;

	buf_add(&b, box->cwd, strlen(box->cwd) + 1);
	buf_add(&b, box->name, strlen(box->name) + 1);
	buf_add(&b, box->id, strlen(box->id) + 1);
	buf_printf(&b, "%s%c", box->ids ? box->ids : "0", '\0');
	for (v = box->changes ? box->changes->first : NULL; v; v = v->next) {
		buf_puts(&b, v == box->changes->first ? "[" : ",");
		json_write(v, &b);
		if (!v->next)
			buf_puts(&b, "]");
	}
	buf_add(&b, "", 1);
	if (box->services && box->services->first)
		live_words_services(box->services, box->generation, &b);
	buf_add(&b, "", 1);
	for (v = box->options->first; v; v = v->next)
		buf_add(&b, v->text, strlen(v->text) + 1);
	if (r == 0)
		r = b.failed ? -E2BIG : fd_write_all(fd, b.data, b.len);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	buf_done(&b);
	return r < 0 ? r : TAKE_FD(fd);
}

int live_words_read(struct buf *b, char ***ret, struct err *e)
{
	size_t n = 0, i, at = 0;
	char **words;

	if (fd_read_all(LIVE_FD_WORDS, b) < 0 || b->len == 0 || b->data[b->len - 1])
		return err_set(e, ERR_SYSTEM, -EBADMSG, "the sandbox's words can't be read");
	for (i = 0; i < b->len; i++)
		n += !b->data[i];
	words = calloc(n + 1, sizeof(*words));
	if (!words || n < LIVE_WORDS) {
		free(words);
		return err_set(e, ERR_SYSTEM, -EBADMSG, "the sandbox's words can't be read");
	}
	for (i = 0; i < n; i++) {
		words[i] = b->data + at;
		at += strlen(b->data + at) + 1;
	}
	*ret = words;
	return 0;
}
