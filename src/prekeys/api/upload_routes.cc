// Routes that store keys: register, replenish, signed-prekey, rotate-identity.
#include "prekeys/api/body_reading.h"
#include "prekeys/api/context.h"
#include "prekeys/wire.h"

#include <fmt/format.h>

namespace nave::prekeys::api {
namespace {

UploadContext upload_context(const Context& context, Suite suite) {
    return {suite, context.directory.clock().now(), context.directory.config().skew_ms};
}

std::string enrol_body(const Context& context, const Address& address, std::string_view fingerprint,
                       const EnrolOutcome& outcome) {
    const Config& config = context.directory.config();
    return enrol_json(address, fingerprint, outcome, config.low_threshold, config.refill_to);
}

Task<Result<net::Response>> register_identity(Context& context, const net::Request& request) {
    CO_TRY(SignedRegistration body, co_await read_signed_registration(context, request));
    Registration& upload = body.upload;
    const Address address = upload.address;
    const std::string fingerprint = upload.identity.fingerprint();
    CO_TRY(const EnrolOutcome outcome,
           co_await context.directory.enrol(std::move(upload), std::move(body.proof),
                                            caller_of(request)));
    context.metrics.on_upload(outcome.upload);
    co_return answer(outcome.created ? 201 : 200,
                     enrol_body(context, address, fingerprint, outcome));
}

Task<Result<net::Response>> replenish(Context& context, const net::Request& request) {
    CO_TRY(SignedBody body, co_await read_signed_body(context, request, BodyUse::replenish));
    CO_TRY(const Address address, read_address(body.reader()));
    CO_TRY(SignedIdentity signer, co_await context.directory.authenticate(
                                      address, std::move(body.proof), caller_of(request)));
    const Suite suite = signer.identity.keys.suite;
    CO_TRY_VOID(check_body_size(request, suite));
    auto read = [body = std::move(body), rules = upload_context(context, suite)] {
        return read_replenishment(body.reader(), rules);
    };
    CO_TRY(Replenishment upload,
           co_await read_sized(context.directory.workers(), request.body.size(), std::move(read)));
    CO_TRY(const UploadOutcome outcome,
           co_await context.directory.replenish(std::move(upload), std::move(signer),
                                                caller_of(request)));
    context.metrics.on_upload(outcome);
    const Config& config = context.directory.config();
    co_return answer(
        200, fmt::format(R"({{"results":{},"kemResults":{},"oneTimePreKeyCount":{},)"
                         R"("kemOneTimePreKeyCount":{},"lowThreshold":{},"refillTo":{}}})",
                         results_json(outcome.one_time), results_json(outcome.kem_one_time),
                         outcome.stock.one_time, outcome.stock.kem_one_time, config.low_threshold,
                         config.refill_to));
}

Task<Result<net::Response>> rotate_signed_prekey(Context& context, const net::Request& request) {
    CO_TRY(SignedBody body,
           co_await read_signed_body(context, request, BodyUse::rotate_signed_prekey));
    CO_TRY(const Address address, read_address(body.reader()));
    CO_TRY(SignedIdentity signer, co_await context.directory.authenticate(
                                      address, std::move(body.proof), caller_of(request)));
    CO_TRY(SignedPreKeyRotation upload,
           read_signed_prekey_rotation(body.reader(),
                                       upload_context(context, signer.identity.keys.suite)));
    CO_TRY(const RotationOutcome outcome,
           co_await context.directory.rotate_signed_prekey(std::move(upload), std::move(signer),
                                                           caller_of(request)));
    const std::string last_resort =
        outcome.last_resort_id ? fmt::format("{}", *outcome.last_resort_id) : "null";
    co_return answer(200, fmt::format(R"({{"signedPreKeyId":{},"kemLastResortPreKeyId":{}}})",
                                      outcome.signed_prekey_id, last_resort));
}

Task<Result<net::Response>> rotate_identity(Context& context, const net::Request& request) {
    CO_TRY(SignedBody body, co_await read_signed_body(context, request, BodyUse::rotate_identity));
    CO_TRY(const Address address, read_address(body.reader()));
    CO_TRY(SignedIdentity signer, co_await context.directory.authenticate(
                                      address, std::move(body.proof), caller_of(request)));
    const Suite suite = signer.identity.keys.suite;
    CO_TRY_VOID(check_body_size(request, suite));
    auto read = [body = std::move(body), rules = upload_context(context, suite)] {
        return read_identity_rotation(body.reader(), rules);
    };
    CO_TRY(IdentityRotation rotation,
           co_await read_sized(context.directory.workers(), request.body.size(), std::move(read)));
    const std::string fingerprint = rotation.next.identity.fingerprint();
    CO_TRY(const EnrolOutcome outcome,
           co_await context.directory.rotate_identity(std::move(rotation), std::move(signer),
                                                      caller_of(request)));
    context.metrics.on_upload(outcome.upload);
    co_return answer(200, enrol_body(context, address, fingerprint, outcome));
}

}  // namespace

void add_upload_routes(net::Router& router, Context& context) {
    const net::RouteOptions large{.body_max = kKemBodyMax};
    router.add(net::Method::post, "/v1/keys/register",
               handler(context, "register", &register_identity), large);
    router.add(net::Method::post, "/v1/keys/replenish", handler(context, "replenish", &replenish),
               large);
    router.add(net::Method::put, "/v1/keys/signed-prekey",
               handler(context, "rotate", &rotate_signed_prekey));
    router.add(net::Method::post, "/v1/keys/rotate-identity",
               handler(context, "rotate", &rotate_identity), large);
}

}  // namespace nave::prekeys::api
