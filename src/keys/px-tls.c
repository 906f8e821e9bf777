/* SPDX-License-Identifier: Apache-2.0 */
/* The client's TLS in a tunnel. It is ended for the tunnel's own host, whatever name the client asks for; a name that is another's is told of by each answer. */
#include <errno.h>
#include <openssl/bio.h>
#include <string.h>
#include <sys/socket.h>

#include "px.h"

#define LOOK 3u /* bytes that tell a ClientHello: a record of a handshake, version 3 */

/* What came with CONNECT is read before what the socket has. */
static int read_early(BIO *bio, char *to, int n)
{
	struct conn *c = BIO_get_data(bio);
	struct fifo none = FIFO_INIT(0), *early = c->px ? &c->px->early : &none;
	ssize_t r;

	BIO_clear_retry_flags(bio);
	if (early->n > 0) {
		r = (size_t)n < early->n ? n : (ssize_t)early->n;
		memcpy(to, fifo_head(early), (size_t)r);
		fifo_take(early, (size_t)r);
		return (int)r;
	}
	do {
		r = recv(c->client.watch.fd, to, (size_t)n, MSG_DONTWAIT);
	} while (r < 0 && errno == EINTR);
	if (r < 0 && errno == EAGAIN)
		BIO_set_retry_read(bio);
	if (r == 0)
		BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
	return (int)r;
}

static long control(BIO *bio, int command, long number, void *p)
{
	(void)number;
	(void)p;
	if (command == BIO_CTRL_EOF)
		return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
	return command == BIO_CTRL_FLUSH;
}

static BIO *early_bio(struct conn *c)
{
	static BIO_METHOD *method;
	BIO *bio;

	if (!method) {
		method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "early");
		if (!method || BIO_meth_set_read(method, read_early) != 1 ||
		    BIO_meth_set_ctrl(method, control) != 1)
			return NULL;
	}
	bio = BIO_new(method);
	if (bio) {
		BIO_set_data(bio, c);
		BIO_set_init(bio, 1);
	}
	return bio;
}

int px_tls_client(struct conn *c)
{
	struct fifo *in = &c->client.in;
	BIO *bio;

	if (in->n > 0 && !fifo_add(&c->px->early, fifo_head(in), in->n))
		return -ENOMEM;
	fifo_done(in);
	if (tls_client(c) < 0)
		return -ENOMEM;
	if (c->px->early.n == 0)
		return 0;
	bio = early_bio(c);
	if (bio)
		SSL_set0_rbio(c->client.ssl, bio); /* it is the connection's now */
	return bio ? 0 : -ENOMEM;
}

bool px_tls_looks(struct conn *c)
{
	struct px *px = c->px;
	unsigned char b[LOOK];
	size_t n = px->early.n < LOOK ? px->early.n : LOOK;
	ssize_t r = 0;

	if (px->looked)
		return true;
	if (n > 0)
		memcpy(b, fifo_head(&px->early), n);
	if (n < LOOK)
		r = recv(c->client.watch.fd, b + n, LOOK - n, MSG_PEEK | MSG_DONTWAIT);
	if (r < 0 && (errno == EAGAIN || errno == EINTR)) {
		c->client.readable = false;
		return false;
	}
	n += r > 0 ? (size_t)r : 0;
	px->looked = n == LOOK && b[0] == 0x16 && b[1] == 3 && b[2] <= 3;
	if (px->looked)
		return true;
	if (n < LOOK && r > 0) {
		c->client.readable = false; /* more of it is an edge */
		return false;
	}
	conn_end(c, ""); /* nothing that could be looked into */
	return false;
}

void px_tls_name(struct conn *c, const char *sni)
{
	struct px *px = c->px;
	char host[NET_HOST_MAX + 1];

	px->named = sni != NULL;
	if (!sni)
		return;
	px->misnamed = net_host_canon(sni, strlen(sni), host, NULL) < 0 || strchr(sni, '_') ||
		       strlen(host) != strlen(sni);
	memcpy(px->sni, px->misnamed ? "" : host, px->misnamed ? 1 : strlen(host) + 1);
}

void px_tls_offer(struct conn *c)
{
	size_t i;

	c->alpn = ALPN_NONE;
	for (i = 0; i < ARRAY_SIZE(c->offers); i++) {
		if (c->offers[i] == ALPN_HTTP1)
			c->alpn = ALPN_HTTP1;
	}
	if (c->alpn_sent && c->alpn == ALPN_NONE)
		c->alert = SSL_AD_NO_APPLICATION_PROTOCOL;
	/* the server will be asked for the same */
	c->offers[0] = ALPN_HTTP1;
	c->offers[1] = ALPN_NONE;
}
