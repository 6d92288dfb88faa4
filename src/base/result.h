// Result<T>: the outcome of anything that can fail for an expected reason (bad input, absent row,
// limit reached, backend down). Bugs use CHECK; exceptions are for out-of-memory and third parties.
//
// An Error separates what a client may read (`id`, `message`, `details`) from what only the log may
// see (`detail`). Codes map once to HTTP (net/http_status.h), WebSocket and JSON-RPC.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>

namespace nave {

enum class Code : std::uint8_t {
    invalid,          // malformed request or setting
    unauthenticated,  // no or wrong proof of identity
    forbidden,        // identity known, action not allowed
    not_found,
    conflict,       // state disagrees with the request
    gone,           // existed, deliberately unavailable
    too_large,      // over a size limit
    unprocessable,  // well-formed, but its content fails a check
    rate_limited,
    unavailable,  // a backend is down or a queue is full
    timeout,
    cancelled,
    internal,
};

[[nodiscard]] std::string_view code_name(Code code);

struct Error {
    Code code = Code::internal;
    std::string id;       // stable and public, e.g. "SHADE_STALE_WRITE" or "storage.unreachable"
    std::string message;  // public, one sentence
    std::string detail;   // for the log only
    std::string details_json;  // public machine-readable extra, a JSON object, or empty
    std::optional<std::chrono::milliseconds> retry_after;
    std::source_location where;

    Error() = default;
    Error(Code code_in, std::string id_in, std::string message_in, std::string detail_in = {},
          std::source_location where_in = std::source_location::current())
        : code(code_in),
          id(std::move(id_in)),
          message(std::move(message_in)),
          detail(std::move(detail_in)),
          where(where_in) {}
};

// A class rather than an alias, so that a dropped result is a compiler warning (and so an error).
template <class T>
class [[nodiscard]] Result : public std::expected<T, Error> {
  public:
    using Base = std::expected<T, Error>;
    using Base::Base;
};

// The success value of Result<void>; `return {}` does not compile inside a coroutine.
[[nodiscard]] inline Result<void> ok() {
    return Result<void>{};
}

[[nodiscard]] inline std::unexpected<Error> fail(
    Code code, std::string id, std::string message, std::string detail = {},
    std::source_location where = std::source_location::current()) {
    return std::unexpected<Error>(
        Error(code, std::move(id), std::move(message), std::move(detail), where));
}

}  // namespace nave

// TRY(auto row, store.get(id));  returns the error from the enclosing function, else binds the
// value. The declaration form is deliberate: a statement expression around co_await crashes g++ 12.
#define NAVE_CAT_INNER(a, b) a##b
#define NAVE_CAT(a, b) NAVE_CAT_INNER(a, b)
#define NAVE_TRY_AS(tmp, keyword, decl, ...)             \
    auto tmp = (__VA_ARGS__);                            \
    if (!tmp) {                                          \
        keyword std::unexpected(std::move(tmp).error()); \
    }                                                    \
    decl = std::move(*tmp)
#define NAVE_TRY_VOID_AS(tmp, keyword, ...) \
    if (auto tmp = (__VA_ARGS__); !tmp)     \
    keyword std::unexpected(std::move(tmp).error())
#define TRY(decl, ...) NAVE_TRY_AS(NAVE_CAT(try_, __COUNTER__), return, decl, __VA_ARGS__)
#define CO_TRY(decl, ...) NAVE_TRY_AS(NAVE_CAT(try_, __COUNTER__), co_return, decl, __VA_ARGS__)
#define TRY_VOID(...) NAVE_TRY_VOID_AS(NAVE_CAT(try_, __COUNTER__), return, __VA_ARGS__)
#define CO_TRY_VOID(...) NAVE_TRY_VOID_AS(NAVE_CAT(try_, __COUNTER__), co_return, __VA_ARGS__)
