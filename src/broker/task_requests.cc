// create_task, claim_task, complete_task, list_tasks.
#include "broker/errors.h"
#include "broker/fields.h"
#include "broker/handlers.h"
#include "broker/ids.h"
#include "broker/wire.h"

namespace nave::broker::handlers {
namespace {

constexpr std::size_t kTitleBytes = 1'024;
constexpr std::size_t kNameBytes = 256;
constexpr std::size_t kPriorityBytes = 32;
constexpr std::size_t kResultBytes = 16 * 1024;

void write_time(json::ObjectWriter& writer, std::string_view name,
                const std::optional<UnixMillis>& time) {
    if (time) {
        writer.plain(name, iso8601(*time));
    } else {
        writer.raw(name, "null");
    }
}

void write_text(json::ObjectWriter& writer, std::string_view name, const std::string& text) {
    if (text.empty()) {
        writer.raw(name, "null");
    } else {
        writer.text(name, text);
    }
}

void write_item(json::ObjectWriter& writer, const WorkItem& item) {
    writer.plain("id", item.id);
    writer.text("title", item.title);
    write_text(writer, "assignee", item.assignee);
    writer.text("priority", item.priority);
    writer.raw("tags", item.tags);
    writer.plain("status", item.status);
    writer.text("createdBy", item.created_by_name);
    write_text(writer, "claimedBy", item.claimed_by_name);
    writer.plain("createdAt", iso8601(item.created_at));
    write_time(writer, "claimedAt", item.claimed_at);
    write_time(writer, "completedAt", item.completed_at);
    if (item.result) {
        writer.text("result", *item.result);
    } else {
        writer.raw("result", "null");
    }
}

}  // namespace

Task<Result<void>> create_task(Session& session, Presence& presence, const ClientRequest& request) {
    WorkItem item;
    CO_TRY(item.title, required_text(request.fields, "title", kTitleBytes));
    CO_TRY(item.assignee, text_field(request.fields, "assignee", kNameBytes));
    CO_TRY(item.priority, text_field(request.fields, "priority", kPriorityBytes));
    CO_TRY(item.tags, tags_field(request.fields));
    if (item.priority.empty()) {
        item.priority = "normal";
    }
    item.id = new_id(session.broker().entropy);
    item.created_by_name = presence.profile.display_name;
    item.created_at = session.broker().clock.now();
    const std::string id = item.id;
    CO_TRY(const bool stored,
           co_await session.broker().work.create(presence.mesh_id, std::move(item)));
    if (!stored) {
        co_return errors::limit_reached("The mesh has too many tasks; complete some.");
    }
    Answer answer("task_created", request.request_id);
    answer.fields().plain("id", id);
    session.reply(answer.take());
    co_return ok();
}

Task<Result<void>> claim_task(Session& session, Presence& presence, const ClientRequest& request) {
    CO_TRY(const std::string id, required_text(request.fields, "taskId", kIdSize));
    CO_TRY(const auto move, co_await session.broker().work.claim(
                                presence.mesh_id, id, presence.member.id,
                                presence.profile.display_name, session.broker().clock.now()));
    switch (move) {
        case WorkStore::Move::not_found:
            co_return errors::task_not_found();
        case WorkStore::Move::refused:
            co_return errors::task_not_claimable();
        case WorkStore::Move::made:
            break;
    }
    session.reply(done_json(text_or_empty(request.fields, "id"), id, request.request_id));
    co_return ok();
}

Task<Result<void>> complete_task(Session& session, Presence& presence,
                                 const ClientRequest& request) {
    CO_TRY(const std::string id, required_text(request.fields, "taskId", kIdSize));
    std::optional<std::string> result;
    if (find_field(request.fields, "result") != nullptr) {
        CO_TRY(result, text_field(request.fields, "result", kResultBytes));
    }
    CO_TRY(const auto move, co_await session.broker().work.complete(
                                presence.mesh_id, id, presence.member.id, std::move(result),
                                session.broker().clock.now()));
    switch (move) {
        case WorkStore::Move::not_found:
            co_return errors::task_not_found();
        case WorkStore::Move::refused:
            co_return errors::forbidden("Only who claimed a task may complete it, and only once.");
        case WorkStore::Move::made:
            break;
    }
    session.reply(done_json(text_or_empty(request.fields, "id"), id, request.request_id));
    co_return ok();
}

Task<Result<void>> list_tasks(Session& session, Presence& presence, const ClientRequest& request) {
    WorkFilter filter;
    CO_TRY(filter.status, text_field(request.fields, "status", kNameBytes));
    CO_TRY(filter.assignee, text_field(request.fields, "assignee", kNameBytes));
    if (!filter.status.empty() && filter.status != "open" && filter.status != "claimed" &&
        filter.status != "done") {
        co_return bad_field("status", "must be open, claimed or done");
    }
    CO_TRY(const auto items,
           co_await session.broker().work.list(presence.mesh_id, std::move(filter)));
    reply_list(session, request, "task_list", "tasks", items, &write_item);
    co_return ok();
}

}  // namespace nave::broker::handlers
