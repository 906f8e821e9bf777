/* SPDX-License-Identifier: Apache-2.0 */
#include "tap.h"
#include "util/util.h"

TEST(grows_and_stays_terminated)
{
	struct buf b = BUF_INIT(1 << 20);
	size_t i;

	for (i = 0; i < 3000; i++) {
		buf_add(&b, "ab", 2);
		if (!b.data || b.len != 2 * (i + 1) || b.data[b.len])
			FAIL("after %zu writes", i + 1);
	}
	CHECK(!b.failed);
	CHECK(strspn(b.data, "ab") == 6000);
	buf_done(&b);
	CHECK(!b.data && b.len == 0 && b.size == 0);
}

TEST(the_cap_counts_the_final_nul)
{
	struct buf b = BUF_INIT(8);

	buf_puts(&b, "1234567");
	CHECK(!b.failed && b.len == 7);
	buf_puts(&b, "");
	CHECK(!b.failed);
	buf_puts(&b, "8");
	CHECK(b.failed && b.len == 7);
	CHECK_STR(b.data, "1234567");
	buf_done(&b);
}

TEST(a_piece_that_does_not_fit_is_not_cut)
{
	struct buf b = BUF_INIT(8);

	buf_puts(&b, "12345678");
	CHECK(b.failed && b.len == 0);
	buf_done(&b);
}

TEST(failure_sticks)
{
	struct buf b = BUF_INIT(8);

	buf_puts(&b, "123456789");
	buf_puts(&b, "1");
	CHECK(b.failed && b.len == 0);
	buf_done(&b);
}

TEST(an_empty_cap_takes_nothing)
{
	struct buf b = BUF_INIT(0);

	buf_puts(&b, "");
	CHECK(b.failed && !b.data);
	buf_done(&b);
}

TEST(bytes_may_be_nul)
{
	struct buf b = BUF_INIT(64);

	buf_add(&b, "a\0b", 3);
	CHECK(b.len == 3 && memcmp(b.data, "a\0b", 4) == 0);
	buf_done(&b);
}

TEST(printf_has_its_own_cap)
{
	struct buf b = BUF_INIT(1 << 20);
	char big[9000];

	memset(big, 'x', sizeof(big) - 1);
	big[8191] = '\0';
	buf_printf(&b, "%s", big);
	CHECK(!b.failed && b.len == 8191);
	big[8191] = 'x';
	big[8192] = '\0';
	buf_printf(&b, "%s", big);
	CHECK(b.failed && b.len == 8191);
	buf_done(&b);
}

static void quotes_as(const char *in, const char *want)
{
	struct buf b = BUF_INIT(4096);

	buf_puts(&b, "");
	buf_quote(&b, in);
	CHECK(!b.failed);
	CHECK_STR(b.data, want);
	buf_done(&b);
}

TEST(quote_leaves_text_alone)
{
	quotes_as("", "");
	quotes_as("/home/u/a b\"'$", "/home/u/a b\"'$");
	quotes_as("/h\xc3\xa4user/\xe2\x82\xac/\xf0\x9f\x90\xb3",
		  "/h\xc3\xa4user/\xe2\x82\xac/\xf0\x9f\x90\xb3");
}

TEST(quote_escapes_controls)
{
	quotes_as("a\nb\tc\r", "a\\x0ab\\x09c\\x0d");
	quotes_as("\x1b[2J\x7f\x01", "\\x1b[2J\\x7f\\x01");
	quotes_as("a\\x41", "a\\x5cx41");
}

TEST(quote_escapes_what_is_not_utf8_and_c1_controls)
{
	quotes_as("a\x80z", "a\\x80z");
	quotes_as("\xc3", "\\xc3");
	quotes_as("\x9b[2J", "\\x9b[2J"); /* CSI of terminals without UTF-8 */
	quotes_as("\xc2\x9b[2J\xc2\xa0", "\\xc2\\x9b[2J\xc2\xa0"); /* and of those with it */
}
