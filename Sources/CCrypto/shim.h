#pragma once
// The functions of SHA-256 by itself, which OpenSSL 3 calls deprecated: their state is a value that Swift can hold and copy,
// they allocate nothing and leave no handler for the process's end, which would take EVP's state from under threads
// that still hash.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/crypto.h>
#include <openssl/sha.h>
