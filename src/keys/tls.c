/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both sides' TLS: OpenSSL over sockets that don't block. The ClientHello is held until the server's side is connected, so that the client gets exactly the protocol that
 * the server took. Names are compared again here, though the gateway has done so: a ClientHello for another name gets no certificate.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine.h"
#include "px.h"

#define ROOTS_MAX (8u << 20) /* bytes of the host's file */

static const char *const bundles[] = { "/etc/ssl/certs/ca-certificates.crt",
				       "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
				       "/etc/ssl/cert.pem" };

/* --- what the callbacks know --- */

static struct conn *conn_of(const SSL *ssl)
{
	return SSL_get_app_data(ssl);
}

/* Note the protocols that are offered; the others are none of ours. */
static void note_alpn(struct conn *c, const unsigned char *p, size_t n)
{
	size_t i = 2, len, at = 0;
	/* streams of one connection can't go to several servers, so such a host has HTTP/1.1 */
	const bool h2 = !rules_forward(c->k->rules, c->host);

	c->alpn_sent = true;
	for (; i < n && at < ARRAY_SIZE(c->offers); i += 1 + len) {
		len = p[i];
		if (len > n - i - 1)
			return;
		if (len == 2 && memcmp(p + i + 1, "h2", 2) == 0 && h2)
			c->offers[at++] = ALPN_H2;
		else if (len == 8 && memcmp(p + i + 1, "http/1.1", 8) == 0)
			c->offers[at++] = ALPN_HTTP1;
	}
}

static int on_hello(SSL *ssl, int *ret_alert, void *arg)
{
	struct conn *c = conn_of(ssl);
	const unsigned char *p;
	size_t n;

	(void)arg;
	if (!c->hello_go) {
		if (!c->alpn_sent && SSL_client_hello_get0_ext(ssl, 16, &p, &n))
			note_alpn(c, p, n);
		return SSL_CLIENT_HELLO_RETRY;
	}
	if (!c->alert)
		return SSL_CLIENT_HELLO_SUCCESS;
	*ret_alert = c->alert;
	return SSL_CLIENT_HELLO_ERROR;
}

static int on_name(SSL *ssl, int *ret_alert, void *arg)
{
	struct conn *c = conn_of(ssl);
	const char *sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	char host[NET_HOST_MAX + 1];

	(void)arg;
	if (c->px)
		px_tls_name(c, sni); /* each request is told of a wrong one */
	if (!sni)
		return SSL_TLSEXT_ERR_NOACK;
	if (c->px)
		return SSL_TLSEXT_ERR_OK;
	if (net_host_canon(sni, strlen(sni), host, NULL) >= 0 && strcmp(host, c->host) == 0)
		return SSL_TLSEXT_ERR_OK;
	*ret_alert = SSL_AD_UNRECOGNIZED_NAME;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *ret_len,
		   const unsigned char *in, unsigned int n, void *arg)
{
	static const unsigned char names[] = "\x08http/1.1\x02h2";
	struct conn *c = conn_of(ssl);
	const unsigned char *want = c->alpn == ALPN_H2 ? names + 9 : names;

	(void)arg;
	if (c->alpn == ALPN_NONE ||
	    SSL_select_next_proto((unsigned char **)(uintptr_t)out, ret_len, want, want[0] + 1u, in,
				  n) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	return SSL_TLSEXT_ERR_OK;
}

/* There is none to give; whether the server goes on without is for it to say. */
static int on_certificate(SSL *ssl, X509 **x, EVP_PKEY **key)
{
	(void)x;
	(void)key;
	conn_of(ssl)->asks_certificate = true;
	return 0;
}

/* --- sessions of servers --- */

static struct session *session_place(struct keys *k, const struct conn *c, bool make)
{
	struct session *oldest = &k->sessions[0];
	size_t i;

	for (i = 0; i < TLS_SESSIONS; i++) {
		struct session *s = &k->sessions[i];

		if (s->session && s->port == c->to.port && strcmp(s->host, c->to.host) == 0)
			return s;
		if (s->used < oldest->used)
			oldest = s;
	}
	return make ? oldest : NULL;
}

static void session_drop(struct session *s)
{
	SSL_SESSION_free(s->session);
	s->session = NULL;
	s->used = 0;
}

static int on_session(SSL *ssl, SSL_SESSION *session)
{
	struct conn *c = conn_of(ssl);
	struct session *s;

	if (!c || SSL_get_verify_result(ssl) != X509_V_OK)
		return 0;
	s = session_place(c->k, c, true);
	session_drop(s);
	(void)snprintf(s->host, sizeof(s->host), "%s", c->to.host); /* of the same size */
	s->port = c->to.port;
	s->session = session;
	s->used = ++c->k->uses;
	return 1; /* it is ours now */
}

/* --- contexts --- */

static int tls_fail(struct err *e, const char *what)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());

	return err_set(e, ERR_SYSTEM, -EIO, "TLS: %s: %s", what, why ? why : "no reason given");
}

static int add_roots(X509_STORE *store, const char *pem, struct err *e)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	size_t n = 0;
	X509 *x;

	while (bio && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		n += X509_STORE_add_cert(store, x) == 1;
		X509_free(x);
	}
	BIO_free(bio);
	ERR_clear_error(); /* the end of the text is one */
	return n > 0 ? 0 : err_set(e, ERR_POLICY, -EINVAL, "roots: no certificate in it");
}

/* The host's file is read now: nothing can be opened later. */
static int read_roots(struct keys *k, const char *const *roots, struct err *e)
{
	const char *env = getenv(X509_get_default_cert_file_env());
	const char *file = env && *env ? env : NULL;
	_cleanup_close_ int fd = -1;
	size_t i;
	int r = 0;

	for (i = 0; !file && i < ARRAY_SIZE(bundles); i++) {
		if (access(bundles[i], R_OK) == 0)
			file = bundles[i];
	}
	if (file) {
		fd = open(file, O_RDONLY | O_CLOEXEC);
		r = fd < 0 ? -errno : fd_read_all(fd, &k->roots);
		if (r < 0)
			return err_sys(e, r, "TLS: %s", file);
		if (!k->roots.data || !strstr(k->roots.data, "CERTIFICATE-----"))
			return err_set(e, ERR_SYSTEM, -EINVAL, "TLS: %s: no certificate in it",
				       file);
	}
	for (i = 0; roots && roots[i] && r == 0; i++)
		r = add_roots(SSL_CTX_get_cert_store(k->to_server), roots[i], e);
	if (r == 0 && !file && i == 0)
		return err_set(e, ERR_SYSTEM, -ENOENT,
			       "TLS: this host has no file of roots; install ca-certificates");
	return r;
}

int tls_roots(struct keys *k, struct err *e)
{
	X509_STORE *store = SSL_CTX_get_cert_store(k->to_server);
	STACK_OF(X509_INFO) *list = NULL;
	BIO *bio = NULL;
	int i, n = 0;

	if (k->roots.len == 0)
		return 0;
	bio = BIO_new_mem_buf(k->roots.data, (int)k->roots.len);
	list = bio ? PEM_X509_INFO_read_bio(bio, NULL, NULL, NULL) : NULL;
	for (i = 0; list && i < sk_X509_INFO_num(list); i++) {
		X509 *x = sk_X509_INFO_value(list, i)->x509;

		n += x && X509_STORE_add_cert(store, x) == 1;
	}
	sk_X509_INFO_pop_free(list, X509_INFO_free);
	BIO_free(bio);
	buf_done(&k->roots);
	k->roots = (struct buf)BUF_INIT(ROOTS_MAX);
	return n > 0 ? 0 : tls_fail(e, "roots of this host");
}

static void common(SSL_CTX *ctx)
{
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
					    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					    SSL_MODE_RELEASE_BUFFERS);
}

int tls_begin(struct keys *k, const char *const *roots, struct err *e)
{
	static const unsigned char who[] = "bailey";

	k->roots = (struct buf)BUF_INIT(ROOTS_MAX);
	k->to_client = SSL_CTX_new(TLS_server_method());
	k->to_server = SSL_CTX_new(TLS_client_method());
	if (!k->to_client || !k->to_server ||
	    SSL_CTX_set_min_proto_version(k->to_client, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_min_proto_version(k->to_server, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_session_id_context(k->to_client, who, sizeof(who) - 1) != 1)
		return tls_fail(e, "contexts");
	common(k->to_client);
	common(k->to_server);
	SSL_CTX_set_client_hello_cb(k->to_client, on_hello, NULL);
	(void)SSL_CTX_set_tlsext_servername_callback(k->to_client, on_name);
	SSL_CTX_set_alpn_select_cb(k->to_client, on_alpn, NULL);
	/* clients go on by tickets, whose key dies with us */
	(void)SSL_CTX_set_session_cache_mode(k->to_client, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(k->to_server, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_client_cert_cb(k->to_server, on_certificate);
	(void)SSL_CTX_set_session_cache_mode(k->to_server,
					     SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(k->to_server, on_session);
	return read_roots(k, roots, e);
}

/* --- connections --- */

static int begin(struct conn *c, struct side *s, SSL_CTX *ctx)
{
	s->ssl = SSL_new(ctx);
	if (!s->ssl || SSL_set_fd(s->ssl, s->watch.fd) != 1)
		return -ENOMEM;
	SSL_set_app_data(s->ssl, c);
	return 0;
}

int tls_client(struct conn *c)
{
	int r = begin(c, &c->client, c->k->to_client);

	if (r == 0)
		SSL_set_accept_state(c->client.ssl);
	return r;
}

static bool expect_name(SSL *ssl, const char *host)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	struct net_addr addr;

	if (net_addr_parse(&addr, host, strlen(host)))
		return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1 &&
	       SSL_set_tlsext_host_name(ssl, host) == 1;
}

int tls_server(struct conn *c)
{
	static const char *const names[] = { "", "\x08http/1.1", "\x02h2" };
	unsigned char alpn[16];
	struct session *s;
	unsigned int n = 0;
	size_t i;

	if (begin(c, &c->server, c->k->to_server) < 0 || !expect_name(c->server.ssl, c->to.host))
		return -ENOMEM;
	SSL_set_connect_state(c->server.ssl);
	for (i = 0; i < ARRAY_SIZE(c->offers); i++) {
		const char *name = names[c->offers[i]];

		if (i > 0 && c->offers[i] == c->offers[0])
			continue; /* offered twice */
		memcpy(alpn + n, name, strlen(name));
		n += (unsigned int)strlen(name);
	}
	if (n > 0 && SSL_set_alpn_protos(c->server.ssl, alpn, n) != 0) /* 0 is success */
		return -ENOMEM;
	s = session_place(c->k, c, false);
	if (s)
		(void)SSL_set_session(c->server.ssl, s->session); /* else a whole handshake */
	return 0;
}

/* Why OpenSSL has failed, in words. */
static void explain(const struct side *s, char *why, size_t size)
{
	const bool client = s == &s->c->client;
	unsigned long code = ERR_peek_last_error();
	long verify = SSL_get_verify_result(s->ssl);
	const char *reason = ERR_reason_error_string(code);
	int r = ERR_GET_REASON(code);

	if (!client && verify != X509_V_OK)
		(void)snprintf(why, size, "the server's certificate: %s",
			       X509_verify_cert_error_string(verify));
	else if (!client && s->c->asks_certificate)
		(void)snprintf(why, size,
			       "the server wants a client certificate, which can't be had in a "
			       "sandbox: the host needs bypass");
	else if (client && r == SSL_R_UNEXPECTED_EOF_WHILE_READING && !s->c->hello_go)
		*why = '\0'; /* it has changed its mind before it said anything */
	else if (client &&
		 (r == SSL_R_TLSV1_ALERT_UNKNOWN_CA || r == SSL_R_SSLV3_ALERT_BAD_CERTIFICATE ||
		  r == SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN))
		(void)snprintf(why, size,
			       "the client does not trust the sandbox's authority; if it pins "
			       "certificates, the host needs bypass");
	else
		(void)snprintf(why, size, "%s: %s",
			       client ? "TLS with the client" : "TLS with the server",
			       reason && code ? reason : "it has closed the connection");
}

int tls_handshake(struct side *s, char *why, size_t size)
{
	int r, error;

	ERR_clear_error();
	r = SSL_do_handshake(s->ssl);
	if (r == 1)
		return 1;
	error = SSL_get_error(s->ssl, r);
	switch (error) {
	case SSL_ERROR_WANT_READ:
		s->readable = false;
		return 0;
	case SSL_ERROR_WANT_WRITE:
		s->writable = false;
		return 0;
	case SSL_ERROR_WANT_CLIENT_HELLO_CB:
		return -EAGAIN;
	default:
		explain(s, why, size);
		s->broken = true;
		return -EPROTO;
	}
}

static ssize_t broken(struct side *s)
{
	s->broken = true;
	if (s->ssl && ERR_peek_last_error() && !*s->c->why && s == &s->c->server)
		explain(s, s->c->why, sizeof(s->c->why));
	ERR_clear_error();
	return -EIO;
}

static ssize_t plain_read(struct side *s, void *p, size_t n)
{
	ssize_t r = recv(s->watch.fd, p, n, MSG_DONTWAIT);

	if (r > 0)
		return r;
	if (r == 0) {
		s->eof = true;
		return 0;
	}
	if (errno == EINTR)
		return -EAGAIN;
	if (errno != EAGAIN)
		return broken(s);
	s->readable = false;
	return -EAGAIN;
}

ssize_t side_read(struct side *s, void *p, size_t n)
{
	size_t got = 0;
	int error;

	if (s->eof || s->broken || !s->readable || n == 0)
		return s->eof ? 0 : s->broken ? -EIO : -EAGAIN;
	if (!s->ssl) {
		ssize_t r = plain_read(s, p, n);

		if (r >= 0)
			s->c->moved = s->c->k->now;
		return r;
	}
	ERR_clear_error();
	if (SSL_read_ex(s->ssl, p, n, &got) == 1) {
		s->c->moved = s->c->k->now;
		return (ssize_t)got;
	}
	error = SSL_get_error(s->ssl, 0);
	if (error == SSL_ERROR_WANT_READ) {
		s->readable = false;
		return -EAGAIN;
	}
	if (error == SSL_ERROR_WANT_WRITE) {
		s->writable = false;
		return -EAGAIN;
	}
	if (error == SSL_ERROR_ZERO_RETURN) {
		s->eof = true;
		return 0;
	}
	if (error == SSL_ERROR_SSL &&
	    ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
		ERR_clear_error();
		s->eof = s->cut = true;
		return 0;
	}
	return broken(s);
}

bool side_fill(struct side *s)
{
	bool moved = false;
	ssize_t n = 1;
	char *p;

	while (n > 0 && fifo_room(&s->in) > 0 && s->readable && !s->eof && !s->broken) {
		size_t want = fifo_room(&s->in) < CONN_PIECE ? fifo_room(&s->in) : CONN_PIECE;

		p = fifo_space(&s->in, want);
		if (!p) {
			s->broken = true;
			return moved;
		}
		n = side_read(s, p, want);
		if (n > 0)
			fifo_added(&s->in, (size_t)n);
		moved |= n >= 0;
	}
	if (s->in.n == 0)
		fifo_done(&s->in);
	return moved;
}

/* A server that takes no more of a request may have answered it already. */
static void give_up(struct side *s)
{
	if (s == &s->c->client) {
		(void)broken(s); /* there is nobody to tell */
		return;
	}
	ERR_clear_error();
	s->deaf = true;
	fifo_done(&s->out);
}

bool side_flush(struct side *s)
{
	bool moved = false;
	size_t done;
	ssize_t n;

	while (s->out.n > 0 && s->writable && !s->broken && !s->deaf) {
		if (s->ssl) {
			ERR_clear_error();
			done = 0;
			if (SSL_write_ex(s->ssl, fifo_head(&s->out), s->out.n, &done) != 1) {
				int error = SSL_get_error(s->ssl, 0);

				if (error == SSL_ERROR_WANT_WRITE)
					s->writable = false;
				else if (error == SSL_ERROR_WANT_READ)
					s->readable = false;
				else
					give_up(s);
				break;
			}
			n = (ssize_t)done;
		} else {
			n = send(s->watch.fd, fifo_head(&s->out), s->out.n,
				 MSG_DONTWAIT | MSG_NOSIGNAL);
			if (n < 0 && errno == EAGAIN)
				s->writable = false;
			else if (n < 0 && errno != EINTR)
				give_up(s);
			if (n < 0)
				break;
		}
		fifo_take(&s->out, (size_t)n);
		s->stuck = s->c->moved = s->c->k->now;
		moved = true;
	}
	return moved;
}

void side_add(struct side *s, const void *p, size_t n)
{
	if (s->deaf)
		return;
	if (s->out.n == 0)
		s->stuck = s->c->k->now;
	if (!fifo_add(&s->out, p, n))
		s->broken = true;
}

void side_close(struct side *s, bool clean)
{
	if (s->ssl) {
		ERR_clear_error();
		if (clean && !s->broken && SSL_is_init_finished(s->ssl))
			(void)SSL_shutdown(s->ssl); /* the peer's own is not waited for */
		else                                /* or its session could not be gone on with */
			SSL_set_shutdown(s->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
		SSL_free(s->ssl);
		ERR_clear_error();
		s->ssl = NULL;
	}
	if (s->watch.fd >= 0)
		keys_unwatch(s->c->k, &s->watch);
	fifo_done(&s->in);
	fifo_done(&s->out);
}
