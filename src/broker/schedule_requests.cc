// schedule, list_scheduled, cancel_scheduled.
#include "broker/cron.h"
#include "broker/errors.h"
#include "broker/fields.h"
#include "broker/handlers.h"
#include "broker/ids.h"
#include "broker/wire.h"

namespace nave::broker::handlers {
namespace {

constexpr std::size_t kTargetBytes = 257;
constexpr std::size_t kMessageBytes = 8 * 1024;
constexpr UnixMillis kAheadMs = UnixMillis{366} * 24 * 3600 * 1000;
constexpr UnixMillis kPastMs = 60'000;  // what clocks may differ by

Result<void> read_address(const json::Object& fields, Scheduled& scheduled) {
    const bool short_form = find_field(fields, "to") != nullptr;
    TRY(scheduled.target_spec,
        required_text(fields, short_form ? "to" : "targetSpec", kTargetBytes));
    TRY(const Target target, parse_target(scheduled.target_spec));
    if (std::holds_alternative<TopicTarget>(target)) {
        return errors::not_found("There are no topics on this broker.");
    }
    TRY(const std::string priority, text_field(fields, "priority", kTargetBytes));
    const auto known = priority.empty() ? Priority::next : parse_priority(priority);
    if (!known) {
        return bad_field("priority", "must be now, next or low");
    }
    scheduled.priority = *known;
    return ok();
}

Result<void> read_content(const json::Object& fields, std::size_t bytes_max, Scheduled& scheduled) {
    const bool plain = find_field(fields, "message") != nullptr;
    if (plain == (find_field(fields, "ciphertext") != nullptr)) {
        return errors::invalid_argument("either message, or nonce and ciphertext, must be there");
    }
    if (plain) {
        TRY(scheduled.message, required_text(fields, "message", kMessageBytes));
        return ok();
    }
    TRY(scheduled.nonce, text_field(fields, "nonce", bytes_max));
    TRY(scheduled.ciphertext, required_text(fields, "ciphertext", bytes_max));
    if (scheduled.nonce.size() + scheduled.ciphertext.size() + scheduled.target_spec.size() >
        bytes_max) {
        return errors::too_large();
    }
    return ok();
}

// A cron goes before deliverAt, which clients send beside it as 0.
Result<void> read_time(const json::Object& fields, UnixMillis now, Scheduled& scheduled) {
    TRY(scheduled.cron, text_field(fields, "cron", Cron::kBytesMax));
    if (!scheduled.cron.empty()) {
        TRY(const Cron cron, Cron::parse(scheduled.cron));
        scheduled.due_at = cron.next(now).value_or(now);
        return ok();
    }
    TRY(scheduled.due_at, integer_field(fields, "deliverAt"));
    if (scheduled.due_at < now - kPastMs || scheduled.due_at > now + kAheadMs) {
        return bad_field("deliverAt", "must be milliseconds since 1970, from now to a year ahead");
    }
    return ok();
}

}  // namespace

Task<Result<void>> schedule(Session& session, Presence& presence, const ClientRequest& request) {
    Broker& broker = session.broker();
    Scheduled scheduled;
    scheduled.created_at = broker.clock.now();
    CO_TRY_VOID(read_address(request.fields, scheduled));
    CO_TRY_VOID(read_content(request.fields, broker.config.message_bytes_max, scheduled));
    CO_TRY_VOID(read_time(request.fields, scheduled.created_at, scheduled));
    scheduled.id = new_id(broker.entropy);
    scheduled.mesh_id = presence.mesh_id;
    scheduled.member_id = presence.member.id;
    scheduled.sender_key = presence.key();
    Answer answer("scheduled_ack", request.request_id);
    answer.fields().plain("scheduledId", scheduled.id);
    answer.fields().integer("deliverAt", scheduled.due_at);
    if (!scheduled.cron.empty()) {
        answer.fields().text("cron", scheduled.cron);
    }
    CO_TRY(const bool stored, co_await broker.schedules.add(std::move(scheduled)));
    if (!stored) {
        co_return errors::limit_reached("You have scheduled as much as you may; cancel some.");
    }
    session.reply(answer.take());
    co_return ok();
}

Task<Result<void>> list_scheduled(Session& session, Presence& presence,
                                  const ClientRequest& request) {
    CO_TRY(const auto all,
           co_await session.broker().schedules.list(presence.mesh_id, presence.member.id));
    reply_list(session, request, "scheduled_list", "messages", all,
               [](json::ObjectWriter& writer, const Scheduled& scheduled) {
                   writer.plain("id", scheduled.id);
                   writer.text("to", scheduled.target_spec);
                   writer.plain("priority", priority_name(scheduled.priority));
                   writer.integer("deliverAt", scheduled.due_at);
                   writer.integer("createdAt", scheduled.created_at);
                   writer.boolean("encrypted", !scheduled.message);
                   if (scheduled.message) {
                       writer.text("message", *scheduled.message);
                   }
                   if (!scheduled.cron.empty()) {
                       writer.text("cron", scheduled.cron);
                   }
                   writer.integer("firedCount", scheduled.fired_count);
               });
    co_return ok();
}

Task<Result<void>> cancel_scheduled(Session& session, Presence& presence,
                                    const ClientRequest& request) {
    CO_TRY(const std::string id, required_text(request.fields, "scheduledId", kIdSize));
    CO_TRY(const bool cancelled,
           co_await session.broker().schedules.cancel(presence.mesh_id, presence.member.id, id));
    Answer answer("cancel_scheduled_ack", request.request_id);
    answer.fields().text("scheduledId", id);
    answer.fields().boolean("ok", cancelled);
    session.reply(answer.take());
    co_return ok();
}

}  // namespace nave::broker::handlers
