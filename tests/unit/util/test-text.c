/* SPDX-License-Identifier: Apache-2.0 */
#include "tap.h"
#include "util/util.h"

static void wraps(const char *text, size_t column, size_t indent, const char *want)
{
	struct buf b = BUF_INIT(LIMIT_OUTPUT);

	text_wrap(&b, text, column, indent);
	CHECK_STR(b.data, want);
	buf_done(&b);
}

TEST(short_text_is_a_line)
{
	wraps("one two", 0, 0, "one two\n");
	wraps("", 0, 0, "\n");
}

TEST(a_line_is_full_at_the_width)
{
	/* 39 + 1 + 40 = 80 */
	wraps("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb c",
	      0, 2,
	      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n  c\n");
	wraps("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", 1,
	      2,
	      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n  bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n");
}

TEST(letters_are_counted_not_bytes)
{
	wraps("ääääääääääääääääääääääääääääääääääääääää ääääääääääääääääääääääääääääääääääääääa", 0,
	      0,
	      "ääääääääääääääääääääääääääääääääääääääää ääääääääääääääääääääääääääääääääääääääa\n");
}

TEST(paragraphs)
{
	wraps("one\n\ntwo", 0, 0, "one\n\ntwo\n");
	wraps("one\n\ntwo\nthree", 2, 2, "one\n\n  two\n  three\n");
}

static void shell(const char *word, const char *want)
{
	struct buf b = BUF_INIT(LIMIT_OUTPUT);

	text_shell(&b, word);
	CHECK_STR(b.data, want);
	buf_done(&b);
}

TEST(words_for_a_shell)
{
	shell("/a/b-c_d.e", "/a/b-c_d.e");
	shell("", "''");
	shell("a b", "'a b'");
	shell("~", "'~'");
	shell("it's", "'it'\"'\"'s'");
	shell("$(x)", "'$(x)'");
	shell("ä", "'ä'");
	shell("a\nb", "$'a\\012b'");
	shell("\033[2J'\\1\x7f", "$'\\033[2J\\'\\\\1\\177'");
	shell("\xc2\x9b\xff"
	      "7ä",
	      "$'\\302\\233\\3777ä'");
}

static void nearest(const char *word, const char *want)
{
	static const char *const names[] = { "run", "check", "help", "version" };
	struct nearest n = NEAREST_INIT(word, strlen(word));
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		nearest_offer(&n, names[i]);
	if (want ? !n.best || strcmp(n.best, want) != 0 : n.best != NULL)
		FAIL("'%s' is near '%s', not '%s'", word, n.best ? n.best : "(none)",
		     want ? want : "(none)");
}

TEST(the_nearest_word)
{
	nearest("rnu", "run"); /* two letters swapped are one mistake */
	nearest("chek", "check");
	nearest("hlep", "help");
	nearest("verison", "version");
	nearest("run", "run");
	nearest("ls", NULL);
	nearest("make", NULL);
	nearest("", NULL);
	nearest("x", NULL);
	nearest("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		NULL);
}
