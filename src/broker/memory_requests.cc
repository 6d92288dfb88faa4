// remember, recall, forget.
#include "broker/errors.h"
#include "broker/fields.h"
#include "broker/handlers.h"
#include "broker/ids.h"
#include "broker/wire.h"

namespace nave::broker::handlers {
namespace {

constexpr std::size_t kContentBytes = 16 * 1024;
constexpr std::size_t kQueryBytes = 1'024;

}  // namespace

Task<Result<void>> remember(Session& session, Presence& presence, const ClientRequest& request) {
    Memory memory;
    CO_TRY(memory.content, required_text(request.fields, "content", kContentBytes));
    CO_TRY(memory.tags, tags_field(request.fields));
    memory.id = new_id(session.broker().entropy);
    memory.remembered_by = presence.member.id;
    memory.remembered_by_name = presence.profile.display_name;
    memory.remembered_at = session.broker().clock.now();
    const std::string id = memory.id;
    CO_TRY(const bool stored,
           co_await session.broker().memories.remember(presence.mesh_id, std::move(memory)));
    if (!stored) {
        co_return errors::limit_reached("The mesh has too many memories; forget some.");
    }
    Answer answer("memory_stored", request.request_id);
    answer.fields().plain("id", id);
    session.reply(answer.take());
    co_return ok();
}

Task<Result<void>> recall(Session& session, Presence& presence, const ClientRequest& request) {
    CO_TRY(std::string query, required_text(request.fields, "query", kQueryBytes));
    CO_TRY(const auto memories,
           co_await session.broker().memories.recall(presence.mesh_id, std::move(query)));
    reply_list(session, request, "memory_results", "memories", memories,
               [](json::ObjectWriter& writer, const Memory& memory) {
                   writer.plain("id", memory.id);
                   writer.text("content", memory.content);
                   writer.raw("tags", memory.tags);
                   writer.text("rememberedBy", memory.remembered_by_name);
                   writer.plain("rememberedAt", iso8601(memory.remembered_at));
               });
    co_return ok();
}

Task<Result<void>> forget(Session& session, Presence& presence, const ClientRequest& request) {
    CO_TRY(const std::string id, required_text(request.fields, "memoryId", kIdSize));
    CO_TRY(const bool forgotten, co_await session.broker().memories.forget(presence.mesh_id, id));
    if (!forgotten) {
        co_return errors::not_found("No memory has this id.");
    }
    session.reply(done_json(text_or_empty(request.fields, "id"), id, request.request_id));
    co_return ok();
}

}  // namespace nave::broker::handlers
