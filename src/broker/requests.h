// Requests of a connected peer, by type. A handler answers through the session, or by an error that
// the session turns into a message of type "error".
#pragma once

#include "broker/session.h"

#include <string_view>

namespace nave::broker {

using RequestHandler = Task<Result<void>> (*)(Session& session, Presence& presence,
                                              const ClientRequest& request);

// Null: the type is not known, and the message is ignored.
[[nodiscard]] RequestHandler find_handler(std::string_view type);

// A message of a client: a JSON object with a type. Nullopt for anything else.
[[nodiscard]] std::optional<ClientRequest> parse_request(std::string_view payload);

// Fields of `hello` and `session_hello`, shapes only. Error "invalid_argument".
struct Hello {
    Introduction introduction;
    std::expected<HelloProof, HelloRefusal> proof;
};
[[nodiscard]] Result<Hello> read_hello(const ClientRequest& request, UnixMillis now);

// Fields of `send`; sender, id and times are left to the caller. Errors "invalid_argument",
// "too_large".
struct Send {
    std::string client_id;  // `id`, echoed in the ack
    Target target;
    Envelope envelope;
    std::int64_t ttl_seconds = 0;  // the sender's wish; 0: none
};
[[nodiscard]] Result<Send> read_send(const ClientRequest& request, std::size_t bytes_max);

}  // namespace nave::broker
