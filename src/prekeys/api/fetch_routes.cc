// Routes that hand keys out: bundle, claim, identity, check.
#include "base/encoding.h"
#include "crypto/token.h"
#include "prekeys/api/context.h"
#include "prekeys/upload.h"
#include "prekeys/wire.h"

#include <fmt/format.h>

#include <optional>

namespace nave::prekeys::api {
namespace {

constexpr std::size_t kClaimsMax = 50;
constexpr std::size_t kClaimIdSize = 16;
constexpr std::int64_t kStalePrekeyMs = 30LL * 24 * 3600 * 1000;

Result<void> check_access(const Context& context, const net::Request& request,
                          const std::optional<RequestProof>& proof) {
    const Config& config = context.directory.config();
    switch (config.bundle_access) {
        case BundleAccess::open:
            return ok();
        case BundleAccess::identified:
            if (!proof) {
                return errors::unauthorized(
                    "This server hands bundles to identified callers only.");
            }
            return ok();
        case BundleAccess::token:
            if (!crypto::is_secret(config.bundle_token, request.bearer_token())) {
                return errors::forbidden("This server hands bundles to holders of its token only.");
            }
            return ok();
    }
    return ok();
}

// A browser that fetches ahead would burn one-time keys nobody asked for.
bool is_prefetch(const net::Request& request) {
    return request.header("Purpose") == "prefetch" ||
           request.header("Sec-Purpose").starts_with("prefetch");
}

std::string not_found_object(const net::Request& request) {
    return error_object(errors::not_found("No identity is registered at this address.").error(),
                        request.request_id);
}

// Had before a claim: a proof that cannot be given must not cost a one-time key.
Task<Result<std::optional<SignedTree>>> sign_ahead(Context& context, bool wanted) {
    if (!wanted) {
        co_return std::nullopt;
    }
    auto tree = co_await context.transparency.latest();
    if (!tree) {
        co_return errors::storage("Key transparency is out of service; no key was consumed.",
                                  tree.error().message + " " + tree.error().detail);
    }
    co_return std::move(*tree);
}

// The proof that the identity is in the transparency log, for callers who ask: it costs more than
// the bundle itself.
Task<Result<std::string>> kt_member(Context& context, const Address& address, bool wanted,
                                    const std::optional<SignedTree>& otherwise) {
    if (!wanted) {
        co_return std::string("null");
    }
    co_return co_await context.transparency.bundle_member(address, otherwise);
}

Task<Result<net::Response>> fetch_bundle(Context& context, const net::Request& request) {
    CO_TRY(const Address address, Address::parse(request.param("address")));
    if (is_prefetch(request)) {
        co_return errors::forbidden("A prefetch would use up a one-time key.");
    }
    CO_TRY(auto proof, read_proof(request, nullptr, context.directory.config().audience));
    CO_TRY_VOID(check_access(context, request, proof));
    const bool wants_kt = request.query_param("kt") == "1";
    CO_TRY(const auto signed_before, co_await sign_ahead(context, wants_kt));
    std::vector<ClaimItem> items;
    items.push_back(ClaimItem{address, std::nullopt});
    CO_TRY(ClaimOutcome outcome, co_await context.directory.claim(
                                     std::move(items), std::move(proof), caller_of(request)));
    if (!outcome.front()) {
        co_return errors::not_found("No identity is registered at this address.");
    }
    ClaimedBundle& bundle = *outcome.front();
    CO_TRY(const std::string proof_json,
           co_await kt_member(context, address, wants_kt, signed_before));
    net::Response response = answer(200, add_member(std::move(bundle.json), "kt", proof_json));
    if (context.directory.clock().now() - bundle.signed_prekey_created_at > kStalePrekeyMs) {
        response.headers.emplace_back("Shade-Stale-Prekey", "1");
    }
    co_return response;
}

// HEAD says whether the address exists, and consumes nothing.
Task<Result<net::Response>> head_bundle(Context& context, const net::Request& request) {
    CO_TRY(const Address address, Address::parse(request.param("address")));
    CO_TRY(auto proof, read_proof(request, nullptr, context.directory.config().audience));
    CO_TRY_VOID(check_access(context, request, proof));
    CO_TRY(const bool exists,
           co_await context.directory.exists(address, std::move(proof), caller_of(request)));
    if (!exists) {
        co_return errors::not_found("No identity is registered at this address.");
    }
    co_return answer(200, "");
}

Result<std::vector<ClaimItem>> read_claims(const json::Reader& body) {
    std::vector<ClaimItem> items;
    TRY_VOID(body.objects("claims", kClaimsMax, [&](const json::Reader& claim) -> Result<void> {
        TRY(Address address, read_address(claim));
        TRY(Bytes claim_id, claim.bytes("claimId", kClaimIdSize));
        items.push_back({std::move(address), std::move(claim_id)});
        return ok();
    }));
    if (items.empty()) {
        return body.problem("claims", fmt::format("must hold 1 to {} elements", kClaimsMax));
    }
    return items;
}

Task<Result<net::Response>> claim(Context& context, const net::Request& request) {
    CO_TRY(const json::Value body, read_object(request));
    const json::Reader reader(body.get_object());
    CO_TRY(const std::vector<ClaimItem> items, read_claims(reader));
    CO_TRY(const bool wants_kt, reader.boolean("kt", false));
    CO_TRY(auto proof, read_proof(request, nullptr, context.directory.config().audience));
    CO_TRY_VOID(check_access(context, request, proof));
    CO_TRY(const auto signed_before, co_await sign_ahead(context, wants_kt));
    CO_TRY(ClaimOutcome outcome,
           co_await context.directory.claim(items, std::move(proof), caller_of(request)));
    std::string out = R"({"results":[)";
    for (std::size_t i = 0; i < items.size(); ++i) {
        out.append(i == 0 ? R"({"address":)" : R"(,{"address":)");
        json::append_quoted(out, items[i].address.text());
        fmt::format_to(std::back_inserter(out), R"(,"claimId":"{}")", base64(*items[i].claim_id));
        if (outcome[i]) {
            CO_TRY(const std::string proof_json,
                   co_await kt_member(context, items[i].address, wants_kt, signed_before));
            fmt::format_to(std::back_inserter(out), R"(,"status":200,"bundle":{}}})",
                           add_member(std::move(outcome[i]->json), "kt", proof_json));
        } else {
            fmt::format_to(std::back_inserter(out), R"(,"status":404,"error":{}}})",
                           not_found_object(request));
        }
    }
    out.append("]}");
    co_return answer(200, std::move(out));
}

Task<Result<net::Response>> fetch_identity(Context& context, const net::Request& request) {
    CO_TRY(const Address address, Address::parse(request.param("address")));
    CO_TRY(auto proof, read_proof(request, nullptr, context.directory.config().audience));
    CO_TRY_VOID(check_access(context, request, proof));
    CO_TRY(const Profile profile,
           co_await context.directory.profile(address, std::move(proof), caller_of(request)));
    CO_TRY(const std::string proof_json,
           co_await kt_member(context, address, request.query_param("kt") == "1", std::nullopt));
    co_return answer(200, add_member(identity_json(profile), "kt", proof_json));
}

Task<Result<net::Response>> check(Context& context, const net::Request& request) {
    CO_TRY(const json::Value value, read_object(request));
    const json::Reader body(value.get_object());
    CO_TRY(const Address address, read_address(body));
    CO_TRY(Bytes digest, body.bytes("digest", 32));
    CO_TRY(auto proof, read_proof(request, nullptr, context.directory.config().audience));
    CO_TRY_VOID(check_access(context, request, proof));
    CO_TRY_VOID(co_await context.directory.check(address, std::move(digest), std::move(proof),
                                                 caller_of(request)));
    co_return answer(200, R"({"match":true})");
}

}  // namespace

void add_fetch_routes(net::Router& router, Context& context) {
    router.add(net::Method::get, "/v1/keys/bundle/{address}",
               handler(context, "claim", &fetch_bundle), {.head_runs_get = false});
    router.add(net::Method::head, "/v1/keys/bundle/{address}",
               handler(context, "identity", &head_bundle));
    router.add(net::Method::post, "/v1/keys/claim", handler(context, "claim", &claim));
    router.add(net::Method::get, "/v1/keys/identity/{address}",
               handler(context, "identity", &fetch_identity));
    router.add(net::Method::post, "/v1/keys/check", handler(context, "identity", &check));
}

}  // namespace nave::prekeys::api
