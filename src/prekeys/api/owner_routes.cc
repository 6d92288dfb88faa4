// Routes for the owner of an address: count, delete, events.
#include "prekeys/api/context.h"
#include "prekeys/body_shape.h"
#include "prekeys/upload.h"

#include <fmt/format.h>

namespace nave::prekeys::api {
namespace {

Task<Result<net::Response>> count(Context& context, const net::Request& request) {
    CO_TRY(const Address address, Address::parse(request.param("address")));
    CO_TRY(auto proof, read_proof(request, nullptr, context.directory.config().audience));
    CO_TRY(const CountOutcome outcome,
           co_await context.directory.count(address, std::move(proof), caller_of(request)));
    const Config& config = context.directory.config();
    const std::int64_t age = std::max<std::int64_t>(
        0, context.directory.clock().now() - outcome.signed_prekey_created_at);
    co_return answer(
        200, fmt::format(R"({{"oneTimePreKeyCount":{},"kemOneTimePreKeyCount":{},)"
                         R"("lowThreshold":{},"refillTo":{},"signedPreKeyId":{},)"
                         R"("signedPreKeyAgeMs":{},"lastResortUsed":{},"restoreEpoch":{}}})",
                         outcome.stock.one_time, outcome.stock.kem_one_time, config.low_threshold,
                         config.refill_to, outcome.signed_prekey_id, age, outcome.last_resort_used,
                         outcome.restore_epoch));
}

Task<Result<net::Response>> remove(Context& context, const net::Request& request) {
    CO_TRY(const Address address, Address::parse(request.param("address")));
    std::optional<RequestProof> proof;
    if (request.body.empty()) {
        CO_TRY(proof, read_proof(request, nullptr, context.directory.config().audience));
    } else {
        CO_TRY(const json::Value value, read_object(request));
        CO_TRY(proof,
               read_proof(request, &value.get_object(), context.directory.config().audience));
        CO_TRY_VOID(check_shape(proof, value.get_object(), BodyUse::remove));
        // Scheme A does not sign the path, so the body must say which address is meant.
        if (proof && proof->scheme == RequestProof::Scheme::body) {
            const json::Reader body(value.get_object());
            CO_TRY(const Address named, read_address(body));
            if (named != address) {
                co_return errors::forbidden("The body names another address than the path.");
            }
        }
    }
    CO_TRY(SignedIdentity signer,
           co_await context.directory.authenticate(address, std::move(proof), caller_of(request)));
    CO_TRY_VOID(co_await context.directory.remove(address, std::move(signer), caller_of(request)));
    net::Response response;
    response.status = 204;
    co_return response;
}

Task<Result<net::Response>> events(Context& context, const net::Request& request) {
    CO_TRY(auto proof, read_proof(request, nullptr, context.directory.config().audience));
    if (!proof || !proof->address) {
        co_return errors::unauthorized();
    }
    const Address address = *proof->address;
    CO_TRY(const std::int64_t restore_epoch,
           co_await context.directory.accept(address, std::move(proof), caller_of(request)));
    co_return context.owner_events.subscribe(address, request.header("Last-Event-ID"),
                                             restore_epoch, context.directory.clock().now());
}

}  // namespace

void add_owner_routes(net::Router& router, Context& context) {
    router.add(net::Method::get, "/v1/keys/count/{address}", handler(context, "count", &count));
    router.add(net::Method::del, "/v1/keys/{address}", handler(context, "delete", &remove));
    router.add(net::Method::get, "/v1/keys/events", handler(context, "events", &events),
               {.head_runs_get = false});
}

}  // namespace nave::prekeys::api
