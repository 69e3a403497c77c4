/*
 * A security key in software, for OpenSSH's SecurityKeyProvider: the interface
 * of sk-api.h, version 10. The key handle is the private key, in the clear.
 * Touch is always there. For tests alone.
 *
 * cc -shared -fPIC -o security_key.so security_key.c -lcrypto
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

enum { VERSION = 0x000a0000, ECDSA = 0, ED25519 = 1, TOUCHED = 1 };
enum { OK = 0, GENERAL = -1, UNSUPPORTED = -2 };

struct sk_option;
struct sk_resident_key;

struct sk_enroll_response {
	uint8_t flags;
	uint8_t *public_key;
	size_t public_key_len;
	uint8_t *key_handle;
	size_t key_handle_len;
	uint8_t *signature;
	size_t signature_len;
	uint8_t *attestation_cert;
	size_t attestation_cert_len;
	uint8_t *authdata;
	size_t authdata_len;
};

struct sk_sign_response {
	uint8_t flags;
	uint32_t counter;
	uint8_t *sig_r;
	size_t sig_r_len;
	uint8_t *sig_s;
	size_t sig_s_len;
};

uint32_t sk_api_version(void) { return VERSION; }

int sk_enroll(uint32_t alg, const uint8_t *challenge, size_t challenge_len, const char *application, uint8_t flags,
    const char *pin, struct sk_option **options, struct sk_enroll_response **enrolled)
{
	EVP_PKEY *key = alg == ECDSA ? EVP_EC_gen("P-256") : alg == ED25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") : NULL;
	struct sk_enroll_response *r = calloc(1, sizeof *r);
	int length;

	if (key == NULL || r == NULL)
		return UNSUPPORTED;
	r->flags = flags;
	r->public_key = malloc(65);
	r->signature = calloc(1, r->signature_len = 1); /* nobody asks for an attestation */
	length = i2d_PrivateKey(key, &r->key_handle);
	if (length <= 0 || EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, r->public_key, 65, &r->public_key_len) != 1)
		return GENERAL;
	r->key_handle_len = length;
	EVP_PKEY_free(key);
	*enrolled = r;
	return OK;
}

/* numbers takes an ECDSA signature apart. */
static int numbers(const uint8_t *der, size_t length, struct sk_sign_response *r)
{
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, length);

	if (sig == NULL)
		return GENERAL;
	r->sig_r = malloc(r->sig_r_len = BN_num_bytes(ECDSA_SIG_get0_r(sig)));
	r->sig_s = malloc(r->sig_s_len = BN_num_bytes(ECDSA_SIG_get0_s(sig)));
	BN_bn2bin(ECDSA_SIG_get0_r(sig), r->sig_r);
	BN_bn2bin(ECDSA_SIG_get0_s(sig), r->sig_s);
	ECDSA_SIG_free(sig);
	return OK;
}

int sk_sign(uint32_t alg, const uint8_t *data, size_t data_len, const char *application, const uint8_t *key_handle,
    size_t key_handle_len, uint8_t flags, const char *pin, struct sk_option **options, struct sk_sign_response **signed_by)
{
	EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &key_handle, key_handle_len);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct sk_sign_response *r = calloc(1, sizeof *r);
	uint8_t text[32 + 1 + 4 + 32] = { 0 }, sig[128];
	size_t length = sizeof sig;

	if (key == NULL || ctx == NULL || r == NULL)
		return GENERAL;
	r->flags = TOUCHED;
	r->counter = 1;
	SHA256((const uint8_t *)application, strlen(application), text);
	text[32] = r->flags;
	text[36] = r->counter;
	SHA256(data, data_len, text + 37);
	if (EVP_DigestSignInit(ctx, NULL, alg == ECDSA ? EVP_sha256() : NULL, NULL, key) != 1 ||
	    EVP_DigestSign(ctx, sig, &length, text, sizeof text) != 1)
		return GENERAL;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	*signed_by = r;
	if (alg == ECDSA)
		return numbers(sig, length, r);
	r->sig_r = malloc(r->sig_r_len = length);
	memcpy(r->sig_r, sig, length);
	return OK;
}

int sk_load_resident_keys(const char *pin, struct sk_option **options, struct sk_resident_key ***keys, size_t *n)
{
	return UNSUPPORTED;
}
