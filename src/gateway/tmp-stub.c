#include "hello.h"
#include "socks.h"
#include <errno.h>
bool hello_looks_like(const unsigned char *p, size_t n){return n>=1&&p[0]==0x16;}
int hello_parse(struct hello *ret, const unsigned char *p, size_t n)
{
	size_t i;
	(void)ret;
	for (i = 0; i + 9 < n; i++) if (!p[i] && !p[i+1] && p[i+4]==0 && (size_t)((p[i+2]<<8|p[i+3])+4+i)<=n && p[i+2]==0) {
		size_t l = (size_t)p[i+7]<<8|p[i+8];
		size_t list = (size_t)p[i+4]<<8|p[i+5];
		if (list == l+3 && p[i+6]==0 && l < 250 && i+9+l<=n) { return net_host_canon((const char*)p+i+9,l,ret->sni,NULL)<0?-EBADMSG:0; }
	}
	return -EBADMSG;
}
int socks_greeting(const unsigned char *p, size_t n, bool *a, bool *b){(void)p;(void)n;(void)a;(void)b;return -EBADMSG;}
int socks_auth(const unsigned char *p, size_t n, const unsigned char **u, size_t *ul, const unsigned char **w, size_t *wl){(void)p;(void)n;(void)u;(void)ul;(void)w;(void)wl;return -EBADMSG;}
int socks_request(struct socks_request *ret, const unsigned char *p, size_t n, struct err *e){(void)ret;(void)p;(void)n;(void)e;return -EBADMSG;}
size_t socks_reply(enum socks_status s, unsigned char out[SOCKS_REPLY]){(void)s;(void)out;return SOCKS_REPLY;}
