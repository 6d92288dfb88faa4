// Body reading: from the bytes of an upload to its parsed form. Until the signature is checked the
// bytes may come from anybody, so failures are counted (Attempts), and what is large leaves the
// loop: half a megabyte of JSON takes milliseconds, in which nobody else is served.
#pragma once

#include "prekeys/api/context.h"
#include "prekeys/body_shape.h"
#include "prekeys/upload.h"

#include <optional>
#include <type_traits>
#include <utility>

namespace nave::prekeys::api {

// Above it a body is read on the worker pool; such bodies hold KEM keys.
inline constexpr std::size_t kReadOnLoopMax = kBodyMax;

// The parsed body and the proof that came with it.
struct SignedBody {
    json::Value value;
    std::optional<RequestProof> proof;
    [[nodiscard]] json::Reader reader() const { return json::Reader(value.get_object()); }
};

// Runs `read` (returning a Result, capturing values) here, or on the pool for large bodies.
template <class Read>
Task<std::invoke_result_t<Read&>> read_sized(WorkerPool& workers, std::size_t bytes, Read read) {
    if (bytes <= kReadOnLoopMax) {
        co_return read();
    }
    co_return co_await workers.run(std::move(read));
}

[[nodiscard]] Task<Result<SignedBody>> read_signed_body(Context& context,
                                                        const net::Request& request, BodyUse use);

struct SignedRegistration {
    Registration upload;
    std::optional<RequestProof> proof;
};
[[nodiscard]] Task<Result<SignedRegistration>> read_signed_registration(
    Context& context, const net::Request& request);

}  // namespace nave::prekeys::api
