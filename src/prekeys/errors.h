// Public errors of the service (errors.def) and their wire form:
//   {"error":{"code","message","requestId","retryAfterMs"?,"details"?}}
#pragma once

#include "base/result.h"
#include "net/response.h"

#include <source_location>
#include <string>
#include <string_view>
#include <vector>

namespace nave::prekeys {

// errors::stale_write(), errors::validation("message"), ...: a failed Result of any type.
namespace errors {
#define PREKEYS_ERROR(name, kind, id, text)                                        \
    [[nodiscard]] inline std::unexpected<Error> name(                              \
        std::string message = text, std::string detail = {},                       \
        std::source_location where = std::source_location::current()) {            \
        return fail(Code::kind, id, std::move(message), std::move(detail), where); \
    }
#include "prekeys/errors.def"
#undef PREKEYS_ERROR

// With machine-readable details, a JSON object.
[[nodiscard]] std::unexpected<Error> with_details(std::unexpected<Error> error,
                                                  std::string details_json);
[[nodiscard]] std::unexpected<Error> invalid_field(std::string_view field, std::string_view what);
// Something of which there can only be so many at once; says to try again in half a minute.
[[nodiscard]] std::unexpected<Error> too_many(std::string message);
// The same code with status 422: well-formed, but it contradicts what is stored.
[[nodiscard]] std::unexpected<Error> contradicting_field(std::string_view field,
                                                         std::string_view what);
}  // namespace errors

struct PublicError {
    std::string_view id;
    Code code;
    std::string_view message;
};
[[nodiscard]] const std::vector<PublicError>& public_errors();

// Renders any Error; ids that are not in the catalogue (from json, net or storage) get the code of
// their kind, so that nothing internal becomes part of the contract. What HTTP itself refuses with
// a status of its own (408, 414, 417, 431, 501, 505) is the problem document of net/response.h.
[[nodiscard]] net::Response render_error(const Error& error, std::string_view request_id);
// The inner object alone, for per-item errors of a batch.
[[nodiscard]] std::string error_object(const Error& error, std::string_view request_id);

}  // namespace nave::prekeys
