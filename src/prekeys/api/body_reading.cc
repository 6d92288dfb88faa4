#include "prekeys/api/body_reading.h"

#include <string>
#include <vector>

namespace nave::prekeys::api {
namespace {

// What of a request its proof and its body depend on, owned: a worker may end after the request.
class OwnedUpload {
  public:
    explicit OwnedUpload(const net::Request& request)
        : method_(request.method), path_(request.path), query_(request.query), body_(request.body) {
        for (const net::Header& header : request.headers) {
            headers_.emplace_back(header.name, header.value);
        }
    }
    [[nodiscard]] net::Request view() const {
        net::Request request;
        request.method = method_;
        request.path = path_;
        request.query = query_;
        request.body = body_;
        for (const auto& [name, value] : headers_) {
            request.headers.push_back({name, value});
        }
        return request;
    }

  private:
    net::Method method_;
    std::string path_;
    std::string query_;
    std::string body_;
    std::vector<std::pair<std::string, std::string>> headers_;
};

struct ReadRules {
    std::string audience;
    UnixMillis now;
    std::int64_t skew_ms;
    BodyUse use;
};

Result<SignedBody> read_body(const net::Request& request, const ReadRules& rules) {
    TRY(json::Value value, read_object(request));
    TRY(auto proof, read_proof(request, &value.get_object(), rules.audience));
    TRY_VOID(check_shape(proof, value.get_object(), rules.use));
    return SignedBody{std::move(value), std::move(proof)};
}

Result<SignedRegistration> read_registration_body(const net::Request& request,
                                                  const ReadRules& rules) {
    TRY(SignedBody body, read_body(request, rules));
    TRY(Registration upload, read_registration(body.reader(), rules.now, rules.skew_ms));
    TRY_VOID(check_body_size(request, upload.identity.suite));
    return SignedRegistration{std::move(upload), std::move(body.proof)};
}

template <class T>
Task<Result<T>> read_counted(Context& context, const net::Request& request, BodyUse use,
                             Result<T> (*read)(const net::Request&, const ReadRules&)) {
    CO_TRY(Attempt attempt, context.directory.attempt(caller_of(request)));
    const Config& config = context.directory.config();
    ReadRules rules{config.audience, context.directory.clock().now(), config.skew_ms, use};
    std::optional<Result<T>> outcome;
    if (request.body.size() <= kReadOnLoopMax) {
        outcome.emplace(read(request, rules));
    } else {
        auto read_copy = [upload = OwnedUpload(request), rules = std::move(rules), read] {
            return read(upload.view(), rules);
        };
        outcome.emplace(co_await context.directory.workers().run(std::move(read_copy)));
    }
    if (!*outcome && outcome->error().code != Code::unavailable) {
        attempt.failed();
    }
    co_return std::move(*outcome);
}

}  // namespace

Task<Result<SignedBody>> read_signed_body(Context& context, const net::Request& request,
                                          BodyUse use) {
    return read_counted<SignedBody>(context, request, use, &read_body);
}

Task<Result<SignedRegistration>> read_signed_registration(Context& context,
                                                          const net::Request& request) {
    return read_counted<SignedRegistration>(context, request, BodyUse::enrol,
                                            &read_registration_body);
}

}  // namespace nave::prekeys::api
