// kick, disconnect, ban, unban, list_bans: who connects and who belongs, by an admin of the mesh
// (README.md, "Moderation"). Everybody else gets the error "forbidden".
#include "broker/errors.h"
#include "broker/fields.h"
#include "broker/handlers.h"
#include "broker/hex_key.h"
#include "broker/wire.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace nave::broker::handlers {
namespace {

constexpr std::size_t kTargetBytes = 256;
constexpr std::size_t kAffectedMax = 1'000;  // names in an answer
constexpr std::uint16_t kKicked = 4001;      // the original's clients do not come back after it

// Those a target names by an id or a key, else those by a name: anybody may call themselves by the
// id of somebody else.
template <class T, class HasId, class HasName>
std::vector<T> named_by(const std::vector<T>& candidates, HasId&& has_id, HasName&& has_name) {
    std::vector<T> found;
    std::ranges::copy_if(candidates, std::back_inserter(found), has_id);
    if (found.empty()) {
        std::ranges::copy_if(candidates, std::back_inserter(found), has_name);
    }
    return found;
}

bool has_id(const Member& member, std::string_view target) {
    return member.id == target || hex_key(member.key) == target;
}

bool has_id(const Presence& peer, std::string_view target) {
    return has_id(peer.member, target) ||
           (peer.session_key && hex_key(*peer.session_key) == target);
}

// ---- connections ----

// Of everybody else in the mesh.
Result<std::vector<Presence*>> choose_peers(const Broker& broker, const Presence& asking,
                                            const json::Object& fields) {
    TRY(const std::string target, text_field(fields, "target", kTargetBytes));
    TRY(const std::int64_t stale, integer_field(fields, "stale"));
    const json::Value* all = find_field(fields, "all");
    const bool is_all = all != nullptr && all->is_bool() && all->get_bool();
    const bool is_stale = find_field(fields, "stale") != nullptr;
    if (int{!target.empty()} + int{is_stale} + int{is_all} != 1 || stale < 0) {
        return errors::invalid_argument(
            "give one of target, stale (milliseconds, 0 or more) and all (true)");
    }
    std::vector<Presence*> peers = broker.registry.in_mesh(asking.mesh_id);
    std::erase(peers, &asking);
    if (is_stale) {
        const UnixMillis heard_before = broker.clock.now() - stale;
        std::erase_if(peers,
                      // Only its own node knows when a peer was heard last.
                      [&](const Presence* peer) {
                          return peer->remote() || peer->last_seen_at > heard_before;
                      });
    }
    if (is_stale || is_all) {
        return peers;
    }
    return named_by(
        peers, [&](const Presence* peer) { return has_id(*peer, target); },
        [&](const Presence* peer) {
            return peer->profile.display_name == target || peer->member.display_name == target;
        });
}

std::string names_json(const std::vector<std::string>& names) {
    json::Array list;
    for (const std::string& name : names) {
        list.emplace_back(name);
    }
    return json::text(json::Value(std::move(list)));
}

struct Ending {
    std::string_view answer_type;
    std::string_view log_line;
    std::uint16_t close_code;
    std::string_view close_reason;
    bool may_return;
};

Task<Result<void>> end_connections(Session& session, const Presence& presence,
                                   const ClientRequest& request, const Ending& ending) {
    Broker& broker = session.broker();
    CO_TRY_VOID(broker.require_admin(presence.member));
    CO_TRY(const auto peers, choose_peers(broker, presence, request.fields));
    std::vector<std::string> names;
    for (Presence* peer : peers) {
        if (names.size() < kAffectedMax) {
            names.push_back(peer->profile.display_name);
        }
        broker.end_connection(*peer, ending.close_code, ending.close_reason, ending.may_return);
    }
    broker.logger.info(
        ending.log_line,
        {{"mesh_id", presence.mesh_id}, {"by", presence.member.id}, {"affected", peers.size()}});
    Answer answer(ending.answer_type, request.request_id);
    answer.fields().integer("kicked", static_cast<std::int64_t>(peers.size()));
    answer.fields().raw("affected", names_json(names));
    session.reply(answer.take());
    co_return ok();
}

// ---- membership ----

// The one member among them that the target names, also by what its connected peers call
// themselves and by the keys of their sessions.
Result<Member> only_one(const Broker& broker, const std::vector<Member>& members,
                        std::string_view target) {
    const std::vector<Presence*> peers =
        members.empty() ? std::vector<Presence*>() : broker.registry.in_mesh(members[0].mesh_id);
    const auto any_peer = [&](const Member& member, auto&& is_it) {
        return std::ranges::any_of(peers, [&](const Presence* peer) {
            return peer->member.id == member.id && is_it(*peer);
        });
    };
    std::vector<Member> called = named_by(
        members,
        [&](const Member& member) {
            return has_id(member, target) ||
                   any_peer(member, [&](const Presence& peer) { return has_id(peer, target); });
        },
        [&](const Member& member) {
            return member.display_name == target || any_peer(member, [&](const Presence& peer) {
                       return peer.profile.display_name == target;
                   });
        });
    if (called.empty()) {
        return errors::not_found("No such member has this id, key or name.");
    }
    if (called.size() > 1) {
        return errors::invalid_argument("several members have this name; give the key or the id");
    }
    return std::move(called.front());
}

Task<Result<std::vector<Member>>> members_of(Broker& broker, std::string mesh_id, bool revoked) {
    CO_TRY(auto members, co_await broker.meshes.members(std::move(mesh_id)));
    std::erase_if(members,
                  [&](const Member& member) { return member.revoked_at.has_value() != revoked; });
    co_return members;
}

void reply_changed(Session& session, const ClientRequest& request, std::string_view type,
                   std::string_view name_field, const Member& member) {
    Answer answer(type, request.request_id);
    answer.fields().text(name_field, member.display_name);
    answer.fields().plain("memberId", member.id);
    answer.fields().plain("pubkey", hex_key(member.key));
    session.reply(answer.take());
}

Result<void> check_bannable(const Broker& broker, const Member& by, const Member& chosen) {
    if (chosen.id == by.id) {
        return errors::invalid_argument("you cannot ban yourself");
    }
    if (broker.is_owner(chosen)) {
        return errors::forbidden("The owner of the mesh cannot be banned.");
    }
    return ok();
}

}  // namespace

Task<Result<void>> kick(Session& session, Presence& presence, const ClientRequest& request) {
    constexpr Ending kEnding{"kick_ack", "ws kick", kKicked, "kicked", false};
    co_return co_await end_connections(session, presence, request, kEnding);
}

Task<Result<void>> disconnect(Session& session, Presence& presence, const ClientRequest& request) {
    constexpr Ending kEnding{"disconnect_ack", "ws disconnect", net::ws_close::kNormal,
                             "disconnected", true};
    co_return co_await end_connections(session, presence, request, kEnding);
}

Task<Result<void>> ban(Session& session, Presence& presence, const ClientRequest& request) {
    Broker& broker = session.broker();
    const Member by = presence.member;
    CO_TRY_VOID(broker.require_admin(presence.member));
    CO_TRY(const std::string target, required_text(request.fields, "target", kTargetBytes));
    CO_TRY(const auto members, co_await members_of(broker, by.mesh_id, false));
    CO_TRY(const Member chosen, only_one(broker, members, target));
    CO_TRY_VOID(check_bannable(broker, by, chosen));
    CO_TRY(const auto change,
           co_await broker.meshes.revoke_member(by.mesh_id, chosen.id, by.id, broker.clock.now()));
    if (!change) {
        co_return errors::not_found("No member has this id, key or name.");
    }
    broker.revoke(change->member);
    broker.logger.info("ws ban",
                       {{"mesh_id", by.mesh_id}, {"by", by.id}, {"member_id", chosen.id}});
    reply_changed(session, request, "ban_ack", "banned", change->member);
    co_return ok();
}

Task<Result<void>> unban(Session& session, Presence& presence, const ClientRequest& request) {
    Broker& broker = session.broker();
    const Member by = presence.member;
    CO_TRY_VOID(broker.require_admin(presence.member));
    CO_TRY(const std::string target, required_text(request.fields, "target", kTargetBytes));
    CO_TRY(const auto banned, co_await members_of(broker, by.mesh_id, true));
    CO_TRY(const Member chosen, only_one(broker, banned, target));
    CO_TRY(const auto change,
           co_await broker.meshes.restore_member(by.mesh_id, chosen.id, by.id, broker.clock.now()));
    if (!change) {
        co_return errors::not_found("No member has this id, key or name.");
    }
    broker.registry.add_member(change->member);
    broker.logger.info("ws unban",
                       {{"mesh_id", by.mesh_id}, {"by", by.id}, {"member_id", chosen.id}});
    reply_changed(session, request, "unban_ack", "unbanned", change->member);
    co_return ok();
}

Task<Result<void>> list_bans(Session& session, Presence& presence, const ClientRequest& request) {
    Broker& broker = session.broker();
    CO_TRY_VOID(broker.require_admin(presence.member));
    CO_TRY(const auto banned, co_await members_of(broker, presence.mesh_id, true));
    reply_list(session, request, "list_bans_result", "bans", banned,
               [](json::ObjectWriter& writer, const Member& member) {
                   writer.text("name", member.display_name);
                   writer.plain("pubkey", hex_key(member.key));
                   writer.plain("memberId", member.id);
                   writer.plain("revokedAt", iso8601(*member.revoked_at));
               });
    co_return ok();
}

}  // namespace nave::broker::handlers
