#include "broker/requests.h"

#include "broker/errors.h"
#include "broker/fields.h"
#include "broker/groups.h"
#include "broker/handlers.h"
#include "broker/hex_key.h"
#include "broker/wire.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace nave::broker {
namespace {

constexpr std::size_t kSummaryBytes = 4'096;
constexpr std::size_t kStateKeyBytes = 256;

// ---- presence ----

Task<Result<void>> set_status(Session& session, Presence& presence, const ClientRequest& request) {
    const auto status = parse_status(text_or_empty(request.fields, "status"));
    if (!status) {
        co_return errors::invalid_argument("status must be idle, working or dnd");
    }
    session.broker().set_status(presence, *status, StatusSource::manual);
    session.broker().logger.info("ws set_status",
                                 {{"presence_id", presence.id}, {"status", status_name(*status)}});
    co_return ok();
}

Task<Result<void>> list_peers(Session& session, Presence& presence, const ClientRequest& request) {
    session.reply(
        peers_list_json(session.broker().registry.visible_to(presence.member), request.request_id));
    co_return ok();
}

Task<Result<void>> set_summary(Session& session, Presence& presence, const ClientRequest& request) {
    std::string summary = text_or_empty(request.fields, "summary");
    if (summary.size() > kSummaryBytes) {
        co_return errors::invalid_argument("summary is longer than 4096 bytes");
    }
    presence.profile.summary = std::move(summary);
    session.broker().changed(presence);
    co_return ok();
}

Task<Result<void>> set_visible(Session& session, Presence& presence, const ClientRequest& request) {
    const json::Value* visible = find_field(request.fields, "visible");
    if (visible == nullptr || !visible->is_bool()) {
        co_return errors::invalid_argument("visible must be true or false");
    }
    presence.profile.visible = visible->get_bool();
    session.broker().changed(presence);
    session.reply(done_json(text_or_empty(request.fields, "id"), "", request.request_id));
    co_return ok();
}

Task<Result<void>> join_named_group(Session& session, Presence& presence,
                                    const ClientRequest& request) {
    CO_TRY_VOID(join_group(presence.profile.groups, {text_or_empty(request.fields, "name"),
                                                     text_or_empty(request.fields, "role")}));
    session.broker().remember_groups(presence);
    session.broker().changed(presence);
    co_return ok();
}

Task<Result<void>> leave_named_group(Session& session, Presence& presence,
                                     const ClientRequest& request) {
    if (leave_group(presence.profile.groups, text_or_empty(request.fields, "name"))) {
        session.broker().remember_groups(presence);
        session.broker().changed(presence);
    }
    co_return ok();
}

// ---- envelopes ----

Task<Result<void>> client_ack(Session& session, Presence& presence, const ClientRequest& request) {
    session.broker().delivery.on_ack(presence, text_or_empty(request.fields, "brokerMessageId"),
                                     text_or_empty(request.fields, "clientMessageId"));
    co_return ok();
}

// Whether a receiver that has not got the envelope is there (held) or not (disconnected).
std::string recipient_json(const Registry& registry, const std::string& mesh_id,
                           const EnvelopeStatus::Recipient& recipient) {
    const std::vector<Presence*> peers = registry.with_key(mesh_id, recipient.key);
    const bool there = !peers.empty() && peers.front()->is_there();
    const Member* member = registry.member_by_key(mesh_id, recipient.key);
    std::string text;
    json::ObjectWriter writer(text);
    writer.text("name", !peers.empty()      ? peers.front()->profile.display_name
                        : member != nullptr ? member->display_name
                                            : "unknown");
    writer.plain("pubkey", hex_key(recipient.key));
    writer.plain("status", recipient.delivered ? "delivered" : there ? "held" : "disconnected");
    writer.close();
    return text;
}

Task<Result<void>> message_status(Session& session, Presence& presence,
                                  const ClientRequest& request) {
    const std::string id = text_or_empty(request.fields, "messageId");
    const std::string mesh_id = presence.mesh_id;
    CO_TRY(const auto status, co_await session.broker().queue.status(mesh_id, id));
    if (!status) {
        co_return errors::not_found("No message has this id.");
    }
    std::string recipients = "[";
    for (const EnvelopeStatus::Recipient& recipient : status->recipients) {
        recipients.append(recipients.size() > 1 ? "," : "");
        recipients.append(recipient_json(session.broker().registry, mesh_id, recipient));
    }
    recipients.push_back(']');
    Answer answer("message_status_result", request.request_id);
    answer.fields().plain("messageId", status->id);
    answer.fields().text("targetSpec", status->target_spec);
    answer.fields().boolean("delivered", status->delivered_at.has_value());
    if (status->delivered_at) {
        answer.fields().plain("deliveredAt", iso8601(*status->delivered_at));
    } else {
        answer.fields().raw("deliveredAt", "null");
    }
    answer.fields().raw("recipients", recipients);
    session.reply(answer.take());
    co_return ok();
}

// ---- shared state ----

void append_state(json::ObjectWriter& writer, const StateEntry& entry) {
    writer.text("key", entry.key);
    writer.raw("value", entry.value);
    writer.text("updatedBy", entry.updated_by_name);
    writer.text("updatedAt", entry.updated_at == 0 ? "" : iso8601(entry.updated_at));
}

Task<Result<void>> set_state(Session& session, Presence& presence, const ClientRequest& request) {
    StateEntry entry;
    CO_TRY(entry.key, required_text(request.fields, "key", kStateKeyBytes));
    const json::Value* value = request.fields.if_contains("value");
    entry.value = value == nullptr ? "null" : json::text(*value);
    entry.updated_by = presence.member.id;
    entry.updated_by_name = presence.profile.display_name;
    entry.updated_at = session.broker().clock.now();
    const std::string mesh_id = presence.mesh_id;
    CO_TRY(const bool stored, co_await session.broker().states.set(mesh_id, entry));
    if (!stored) {
        co_return errors::invalid_argument("the mesh has too many state keys");
    }
    session.broker().audit.record(mesh_id, entry.updated_by, AuditEvent::state_set(entry.key));
    if (const Presence* still = session.presence()) {
        Answer change("state_change", {});
        change.fields().text("key", entry.key);
        change.fields().raw("value", entry.value);
        change.fields().text("updatedBy", entry.updated_by_name);
        session.broker().tell_others(*still, change.take());
    }
    co_return ok();
}

Task<Result<void>> get_state(Session& session, Presence& presence, const ClientRequest& request) {
    CO_TRY(const std::string key, text_field(request.fields, "key", kStateKeyBytes));
    CO_TRY(auto entry, co_await session.broker().states.get(presence.mesh_id, key));
    if (!entry) {
        entry = StateEntry{key, "null", {}, {}, 0};
    }
    Answer answer("state_result", request.request_id);
    append_state(answer.fields(), *entry);
    session.reply(answer.take());
    co_return ok();
}

Task<Result<void>> list_state(Session& session, Presence& presence, const ClientRequest& request) {
    CO_TRY(auto after, text_field(request.fields, "after", kStateKeyBytes));
    const std::string mesh_id = presence.mesh_id;
    CO_TRY(const auto page, co_await session.broker().states.list(mesh_id, std::move(after)));
    AnswerList list;
    for (const StateEntry& entry : page.entries) {
        list.add([&](json::ObjectWriter& writer) { append_state(writer, entry); });
    }
    Answer answer("state_list", request.request_id);
    list.finish(answer, "entries");
    if (page.more || list.truncated()) {
        answer.fields().boolean("more", true);
    }
    session.reply(answer.take());
    co_return ok();
}

constexpr auto kHandlers = std::to_array<std::pair<std::string_view, RequestHandler>>({
    {"kick", &handlers::kick},
    {"disconnect", &handlers::disconnect},
    {"ban", &handlers::ban},
    {"unban", &handlers::unban},
    {"list_bans", &handlers::list_bans},
    {"audit_query", &handlers::audit_query},
    {"audit_verify", &handlers::audit_verify},
    {"set_status", &set_status},
    {"list_peers", &list_peers},
    {"set_summary", &set_summary},
    {"set_visible", &set_visible},
    {"join_group", &join_named_group},
    {"leave_group", &leave_named_group},
    {"client_ack", &client_ack},
    {"message_status", &message_status},
    {"set_state", &set_state},
    {"get_state", &get_state},
    {"list_state", &list_state},
    {"remember", &handlers::remember},
    {"recall", &handlers::recall},
    {"forget", &handlers::forget},
    {"mesh_info", &handlers::mesh_info},
    {"set_profile", &handlers::set_profile},
    {"set_stats", &handlers::set_stats},
    {"create_task", &handlers::create_task},
    {"claim_task", &handlers::claim_task},
    {"complete_task", &handlers::complete_task},
    {"list_tasks", &handlers::list_tasks},
    {"create_stream", &handlers::create_stream},
    {"subscribe", &handlers::subscribe},
    {"unsubscribe", &handlers::unsubscribe},
    {"publish", &handlers::publish},
    {"list_streams", &handlers::list_streams},
    {"share_skill", &handlers::share_skill},
    {"get_skill", &handlers::get_skill},
    {"list_skills", &handlers::list_skills},
    {"remove_skill", &handlers::remove_skill},
    {"share_context", &handlers::share_context},
    {"get_context", &handlers::get_context},
    {"list_contexts", &handlers::list_contexts},
    {"schedule", &handlers::schedule},
    {"list_scheduled", &handlers::list_scheduled},
    {"cancel_scheduled", &handlers::cancel_scheduled},
});

}  // namespace

RequestHandler find_handler(std::string_view type) {
    const auto* const found =
        std::ranges::find(kHandlers, type, &std::pair<std::string_view, RequestHandler>::first);
    return found == kHandlers.end() ? nullptr : found->second;
}

}  // namespace nave::broker
