/* SPDX-License-Identifier: Apache-2.0 */
#include "tap.h"
#include "util/util.h"

#include <limits.h>

static void writes(const char *in, const char *want)
{
	struct buf b = BUF_INIT(4096);
	struct json j = { .out = &b };

	json_str(&j, NULL, in);
	CHECK(!b.failed);
	CHECK_STR(b.data, want);
	buf_done(&b);
}

TEST(structure_and_commas)
{
	struct buf b = BUF_INIT(4096);
	struct json j = { .out = &b };

	json_open(&j, NULL, '{');
	json_str(&j, "a", "x");
	json_str(&j, "none", NULL);
	json_open(&j, "list", '[');
	json_int(&j, NULL, LLONG_MIN);
	json_int(&j, NULL, 0);
	json_open(&j, NULL, '{');
	json_close(&j, '}');
	json_open(&j, NULL, '[');
	json_close(&j, ']');
	json_close(&j, ']');
	json_bool(&j, "t", true);
	json_bool(&j, "f\n", false);
	json_close(&j, '}');
	CHECK_STR(
		b.data,
		"{\"a\":\"x\",\"none\":null,\"list\":[-9223372036854775808,0,{},[]],\"t\":true,\"f\\u000a\":false}");
	buf_done(&b);
}

TEST(escapes)
{
	writes("", "\"\"");
	writes("a\"b\\c/", "\"a\\\"b\\\\c/\"");
	writes("\x01\x1f\n\t\x7f", "\"\\u0001\\u001f\\u000a\\u0009\\u007f\"");
}

TEST(every_control_is_escaped)
{
	int c;

	for (c = 1; c < 0x20; c++) {
		char in[2] = { (char)c, '\0' }, want[16];

		snprintf(want, sizeof(want), "\"\\u%04x\"", (unsigned int)c);
		writes(in, want);
	}
}

TEST(valid_utf8_stays)
{
	writes("\xc2\x80\xdf\xbf", "\"\xc2\x80\xdf\xbf\"");
	writes("\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf",
	       "\"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\"");
	writes("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", "\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"");
}

TEST(invalid_utf8_is_replaced_byte_by_byte)
{
	writes("a\x80z", "\"a\\ufffdz\"");        /* lone continuation */
	writes("\xc0\xaf", "\"\\ufffd\\ufffd\""); /* overlong '/' */
	writes("\xc1\xbf", "\"\\ufffd\\ufffd\"");
	writes("\xe0\x9f\xbf", "\"\\ufffd\\ufffd\\ufffd\""); /* overlong, three bytes */
	writes("\xf0\x8f\xbf\xbf", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
	writes("\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"");            /* surrogate */
	writes("\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""); /* above U+10FFFF */
	writes("\xf5\xff\xfe", "\"\\ufffd\\ufffd\\ufffd\"");
	writes("\xc3", "\"\\ufffd\""); /* cut at the end of the string */
	writes("\xe2\x82", "\"\\ufffd\\ufffd\"");
	writes("\xf0\x9f\x90", "\"\\ufffd\\ufffd\\ufffd\"");
	writes("\xc3\xc3\xa4", "\"\\ufffd\xc3\xa4\"");  /* the good one after the bad one stays */
	writes("\xe2\x82\"", "\"\\ufffd\\ufffd\\\"\""); /* a quote is never swallowed */
}

TEST(cap_is_an_error_not_a_cut)
{
	struct buf b = BUF_INIT(6);
	struct json j = { .out = &b };

	json_str(&j, NULL, "abcdef");
	CHECK(b.failed);
	buf_done(&b);
}
