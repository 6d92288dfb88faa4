// mesh_info, set_profile, set_stats.
#include "broker/errors.h"
#include "broker/fields.h"
#include "broker/handlers.h"
#include "broker/wire.h"

#include <fmt/format.h>

#include <set>

namespace nave::broker::handlers {
namespace {

// Small, because every peers_list carries them for everybody.
constexpr std::size_t kAvatarBytes = 256;
constexpr std::size_t kTitleBytes = 256;
constexpr std::size_t kBioBytes = 1'024;
constexpr std::size_t kCapabilitiesMax = 16;
constexpr std::size_t kCapabilityBytes = 64;
constexpr std::size_t kStatsBytes = 1'024;

// "@name" of every group that a peer in sight is in.
std::string groups_json(const std::vector<Presence*>& peers) {
    std::set<std::string> names;
    for (const Presence* peer : peers) {
        for (const Group& group : peer->profile.groups) {
            names.insert("@" + group.name);
        }
    }
    return texts_json({names.begin(), names.end()});
}

}  // namespace

Task<Result<void>> mesh_info(Session& session, Presence& presence, const ClientRequest& request) {
    CO_TRY(const MeshCounts counts, co_await session.broker().overview.count(presence.mesh_id));
    const Presence* self = session.presence();
    if (self == nullptr) {
        co_return ok();
    }
    const std::vector<Presence*> peers = session.broker().registry.visible_to(self->member);
    Answer answer("mesh_info_result", request.request_id);
    json::ObjectWriter& fields = answer.fields();
    fields.plain("mesh", self->mesh_id);
    fields.integer("peers", static_cast<std::int64_t>(peers.size()));
    fields.raw("groups", groups_json(peers));
    fields.integer("stateKeys", counts.state_keys);
    fields.integer("memoryCount", counts.memories);
    fields.integer("fileCount", 0);
    json::ObjectWriter tasks = fields.object("tasks");
    tasks.integer("open", counts.tasks_open);
    tasks.integer("claimed", counts.tasks_claimed);
    tasks.integer("done", counts.tasks_done);
    tasks.close();
    fields.raw("streams", texts_json(session.broker().streams.names(self->mesh_id)));
    fields.raw("tables", "[]");
    fields.raw("collections", "[]");
    fields.text("yourName", self->profile.display_name);
    fields.raw("yourGroups", groups_to_text(self->profile.groups));
    session.reply(answer.take());
    co_return ok();
}

// What is not mentioned stays as it was; empty takes it away.
Task<Result<void>> set_profile(Session& session, Presence& presence, const ClientRequest& request) {
    Card card = presence.profile.card;
    const auto is_said = [&](std::string_view name) {
        return request.fields.if_contains(name) != nullptr;
    };
    if (is_said("avatar")) {
        CO_TRY(card.avatar, text_field(request.fields, "avatar", kAvatarBytes));
    }
    if (is_said("title")) {
        CO_TRY(card.title, text_field(request.fields, "title", kTitleBytes));
    }
    if (is_said("bio")) {
        CO_TRY(card.bio, text_field(request.fields, "bio", kBioBytes));
    }
    if (is_said("capabilities")) {
        CO_TRY(card.capabilities,
               texts_field(request.fields, "capabilities", kCapabilitiesMax, kCapabilityBytes));
    }
    presence.profile.card = std::move(card);
    session.broker().changed(presence);
    session.reply(done_json(text_or_empty(request.fields, "id"), "", request.request_id));
    co_return ok();
}

// No answer: peers say it often.
Task<Result<void>> set_stats(Session& session, Presence& presence, const ClientRequest& request) {
    const json::Value* stats = find_field(request.fields, "stats");
    if (stats == nullptr || !stats->is_object()) {
        co_return bad_field("stats", "must be an object");
    }
    std::string text = json::text(*stats);
    if (text.size() > kStatsBytes) {
        co_return bad_field("stats", fmt::format("is longer than {} bytes", kStatsBytes));
    }
    presence.profile.stats = std::move(text);
    session.broker().changed(presence);
    co_return ok();
}

}  // namespace nave::broker::handlers
