// Public errors of the broker (errors.def). On a socket an error is a message of type "error" with
// its code; on HTTP it is {"ok":false,"error":<code or text>}, as the original answers.
#pragma once

#include "base/result.h"
#include "net/response.h"

#include <source_location>
#include <string>
#include <string_view>

namespace nave::broker {

// errors::no_hello(), errors::invalid_argument("message"), ...: a failed Result of any type.
namespace errors {
#define BROKER_ERROR(name, kind, id, text)                                         \
    [[nodiscard]] inline std::unexpected<Error> name(                              \
        std::string message = text, std::string detail = {},                       \
        std::source_location where = std::source_location::current()) {            \
        return fail(Code::kind, id, std::move(message), std::move(detail), where); \
    }
#include "broker/errors.def"
#undef BROKER_ERROR
}  // namespace errors

}  // namespace nave::broker
