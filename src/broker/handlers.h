// The handlers of requests that have a file of their own, by subject (requests.h says what a
// handler is). Each answers under the request's `_reqId`.
#pragma once

#include "broker/session.h"

namespace nave::broker::handlers {

using Handler = Task<Result<void>>(Session& session, Presence& presence,
                                   const ClientRequest& request);

// memory_requests.cc
Handler remember, recall, forget;

}  // namespace nave::broker::handlers
