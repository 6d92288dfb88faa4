// audit_query, audit_verify: the audit log of a mesh, for its admins.
#include "broker/admin_json.h"
#include "broker/errors.h"
#include "broker/fields.h"
#include "broker/handlers.h"
#include "broker/wire.h"

namespace nave::broker::handlers {
namespace {

constexpr std::int64_t kLimitDefault = 50;
constexpr std::int64_t kLimitMax = 500;

}  // namespace

Task<Result<void>> audit_query(Session& session, Presence& presence, const ClientRequest& request) {
    Broker& broker = session.broker();
    CO_TRY_VOID(broker.require_admin(presence.member));
    CO_TRY(std::int64_t limit, integer_field(request.fields, "limit"));
    CO_TRY(const std::int64_t before, integer_field(request.fields, "before"));
    if (limit < 0 || limit > kLimitMax || before < 0) {
        co_return errors::invalid_argument("limit is 1 to 500, before the id of a record");
    }
    limit = limit == 0 ? kLimitDefault : limit;
    const std::optional<std::int64_t> end = before == 0 ? std::nullopt : std::optional(before);
    CO_TRY(const auto records, co_await broker.audits.latest(presence.mesh_id, end, limit));
    reply_list(session, request, "audit_result", "entries", records, &write_audit_record);
    co_return ok();
}

Task<Result<void>> audit_verify(Session& session, Presence& presence,
                                const ClientRequest& request) {
    Broker& broker = session.broker();
    CO_TRY_VOID(broker.require_admin(presence.member));
    CO_TRY(const AuditVerdict verdict, co_await broker.audits.verify(presence.mesh_id));
    Answer answer("audit_verify_result", request.request_id);
    write_verdict(answer.fields(), verdict);
    session.reply(answer.take());
    co_return ok();
}

}  // namespace nave::broker::handlers
