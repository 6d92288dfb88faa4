#include "storage/errors.h"

#include <chrono>
#include <utility>

namespace nave::storage {
namespace {

constexpr std::chrono::seconds kRetryAfter{1};

}  // namespace

Failure failed(std::string detail, std::source_location where) {
    return fail(Code::internal, "storage.failed", "The database could not complete the request.",
                std::move(detail), where);
}

Failure conflict(std::string detail, std::source_location where) {
    return fail(Code::conflict, "storage.conflict", "The request conflicts with stored data.",
                std::move(detail), where);
}

Failure timed_out(std::string detail, std::source_location where) {
    return fail(Code::timeout, "storage.timeout", "The database did not answer in time; try again.",
                std::move(detail), where);
}

Failure busy(std::string detail, std::source_location where) {
    Error error(Code::unavailable, "storage.busy", "The database is overloaded; try again.",
                std::move(detail), where);
    error.retry_after = kRetryAfter;
    return Failure(std::move(error));
}

Failure unreachable(std::string message, std::string detail, std::source_location where) {
    Error error(Code::unavailable, "storage.unreachable", std::move(message), std::move(detail),
                where);
    error.retry_after = kRetryAfter;
    return Failure(std::move(error));
}

}  // namespace nave::storage
