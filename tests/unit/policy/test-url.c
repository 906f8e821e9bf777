/* SPDX-License-Identifier: Apache-2.0 */
/* What a sandbox may ask a browser to open, and where a log-in comes back to. */
#include "policy/url.h"

#include "tap.h"
#include "util/util.h"

#include <errno.h>

#define LOGIN "https://login.test/authorize?client_id=x&"

static const struct {
	const char *text, *host;
	enum url_back back;
	uint16_t port;
} good[] = {
	{ "https://login.test", "login.test", URL_BACK_NONE, 0 },
	{ "http://Login.Test:8443/a/b?c=d&e=(f)*+,;g#h!i", "login.test", URL_BACK_NONE, 0 },
	{ "https://192.0.2.1/", "192.0.2.1", URL_BACK_NONE, 0 },
	{ "https://[2001:db8::1]:444/", "[2001:db8::1]", URL_BACK_NONE, 0 },
	{ "https://login.test?redirect_uri=http://localhost:1024", "login.test", URL_BACK_NAME,
	  1024 },
	{ LOGIN "redirect_uri=http%3A%2F%2Flocalhost%3a54545%2Fcallback&state=1", "login.test",
	  URL_BACK_NAME, 54545 },
	{ LOGIN "redirect%5furi=http://localhost:5000/", "login.test", URL_BACK_NAME, 5000 },
	{ LOGIN "redirect_uri=http://127.0.0.1:65535/cb", "login.test", URL_BACK_V4, 65535 },
	{ LOGIN "redirect_uri=http://[::1]:5000/cb#x", "login.test", URL_BACK_V6, 5000 },
	{ LOGIN "redirect_uri=http://127.0.0.1:5000?x=1", "login.test", URL_BACK_V4, 5000 },
	/* elsewhere, or nowhere */
	{ LOGIN "redirect_uri=https://localhost:5000/", "login.test", URL_BACK_NONE, 0 },
	{ LOGIN "redirect_uri=http://other.test:5000/", "login.test", URL_BACK_NONE, 0 },
	{ LOGIN "redirect_uri=http://localhost.test:5000/", "login.test", URL_BACK_NONE, 0 },
	{ LOGIN "redirect_uri=http://a@localhost:5000/", "login.test", URL_BACK_NONE, 0 },
	{ LOGIN "redirect_uri=http://127.0.0.2:5000/", "login.test", URL_BACK_NONE, 0 },
	{ LOGIN "redirect_uri=urn:ietf:wg:oauth:2.0:oob", "login.test", URL_BACK_NONE, 0 },
	{ LOGIN "redirect_uri=", "login.test", URL_BACK_NONE, 0 },
	{ LOGIN "xredirect_uri=http://localhost:5000/", "login.test", URL_BACK_NONE, 0 },
	{ LOGIN "redirect_ur=http://localhost:5000/", "login.test", URL_BACK_NONE, 0 },
	/* a fragment is the page's own */
	{ "https://login.test/#?redirect_uri=http://localhost:5000/", "login.test", URL_BACK_NONE,
	  0 },
};

static const char *const bad[] = {
	"",
	"https://",
	"https:///x",
	"https://?",
	"ftp://login.test/",
	"//login.test/",
	"login.test",
	"HTTPS://login.test/",
	" https://login.test/",
	"https://login.test/ ",
	"https://login.test/\x1b[2J",
	"https://login.test/\x7f",
	"https://login.test/\xc3\xa9",
	"https://login.test/'",
	"https://login.test/\"",
	"https://login.test/`id`",
	"https://login.test/$x",
	"https://login.test\\x",
	"https://login.test/{x}",
	"https://login.test/|x",
	"https://login.test/<x>",
	"https://login.test/^",
	/* hosts */
	"https://a@login.test/",
	"https://login.test@evil.test/",
	"https://login.test:x/",
	"https://login.test:/",
	"https://login.test:0/",
	"https://login.test:080/",
	"https://login.test:65536/",
	"https://-a.test/",
	"https://a..test/",
	"https://%6cogin.test/",
	"https://[::1/",
	"https://[login.test]/",
	"https://[192.0.2.1]/",
	"https://[2001:db8::1]x/",
	"https://2130706433/",
	"https://0x7f.1/",
	/* this machine, private networks */
	"http://localhost/",
	"http://LOCALHOST:631/",
	"http://a.localhost/",
	"http://localhost./",
	"http://127.0.0.1/",
	"http://127.1.2.3:80/",
	"http://[::1]/",
	"http://[::ffff:127.0.0.1]/",
	"http://[64:ff9b::7f00:1]/",
	"http://0.0.0.0/",
	"http://10.0.0.1/",
	"http://192.168.1.1/",
	"http://169.254.169.254/",
	"http://[fe80::1]/",
	"http://[fd00::1]/",
};

/* Ways back that are none. */
static const char *const bad_back[] = {
	LOGIN "redirect_uri=http://localhost/",
	LOGIN "redirect_uri=http://localhost:80/",
	LOGIN "redirect_uri=http://localhost:1023/",
	LOGIN "redirect_uri=http://localhost:65536/",
	LOGIN "redirect_uri=http://127.0.0.1:x/",
	LOGIN "redirect_uri=http://[::1]/",
	LOGIN "redirect_uri=http://localhost:5000/&redirect_uri=http://localhost:5001/",
	LOGIN "redirect_uri=http://localhost:5000/&redirect%5Furi=http://localhost:5000/",
	LOGIN "redirect_uri=http%3",
	LOGIN "redirect_uri=http%3a%2f%2flocalhost%3gx",
};

TEST(accepted)
{
	struct url u;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		struct err e = ERR_INIT;

		if (url_parse(&u, good[i].text, strlen(good[i].text), &e) < 0) {
			FAIL("%s: %s", good[i].text, e.msg);
			continue;
		}
		if (strcmp(u.host, good[i].host) != 0 || u.back != good[i].back ||
		    u.port != good[i].port)
			FAIL("%s: %s %d %u", good[i].text, u.host, (int)u.back, u.port);
	}
}

static void refuses(const char *text)
{
	struct url u = { .port = 7 };
	struct err e = ERR_INIT;
	size_t k;

	if (url_parse(&u, text, strlen(text), &e) != -EINVAL)
		FAIL("%s is accepted: %s", text, u.host);
	CHECK(u.port == 7 && e.code == ERR_POLICY && e.msg[0]);
	for (k = 0; e.msg[k]; k++)
		CHECK(e.msg[k] >= ' ' && e.msg[k] < 0x7f);
}

TEST(refused)
{
	struct url u;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		refuses(bad[i]);
	for (i = 0; i < ARRAY_SIZE(bad_back); i++)
		refuses(bad_back[i]);
	CHECK(url_parse(&u, "https://login.test/\0x", 21, NULL) == -EINVAL);
}

TEST(length)
{
	static char text[URL_MAX + 2] = "https://login.test/";
	struct url u;

	memset(text + 19, 'x', sizeof(text) - 19);
	CHECK(url_parse(&u, text, URL_MAX, NULL) == 0);
	CHECK(url_parse(&u, text, URL_MAX + 1, NULL) == -EINVAL);
	memcpy(text + 19, "?redirect_uri=", 14);
	CHECK(url_parse(&u, text, 19 + 14 + 1024, NULL) == 0);
	CHECK(url_parse(&u, text, 19 + 14 + 1025, NULL) == -EINVAL);
}
