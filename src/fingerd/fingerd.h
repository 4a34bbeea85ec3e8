/*
 * fingerd.h - FINGER (RFC 1288): one query, a short answer about an account, as XMail gives it
 * (specification 2, section 1; 6, item 32). It runs in the access role, and only where it is
 * configured.
 */
#ifndef HIKYAKU_FINGERD_FINGERD_H
#define HIKYAKU_FINGERD_FINGERD_H

#include "wire/session.h"

extern const struct protocol finger_protocol;

#endif
