#pragma once
#include <malloc.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <zmq.h>

// In every libzmq 4.3, though its header shows it to those only who ask for drafts: without a ZAP handler, refuse.
#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif
