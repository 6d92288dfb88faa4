#include "broker/wire.h"

#include "broker/fields.h"
#include "broker/hex_key.h"

#include <fmt/format.h>

#include <chrono>

namespace nave::broker {

std::string iso8601(UnixMillis time) {
    using namespace std::chrono;
    const sys_time<milliseconds> at{milliseconds(time)};
    const auto day = floor<days>(at);
    const year_month_day date(day);
    const hh_mm_ss<milliseconds> clock(at - day);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                       clock.subseconds().count());
}

Answer::Answer(std::string_view type, std::string_view request_id) : writer_(text_) {
    writer_.plain("type", type);
    if (!request_id.empty()) {
        writer_.text("_reqId", request_id);
    }
}

std::string Answer::take() {
    writer_.close();
    return std::move(text_);
}

void AnswerList::finish(Answer& answer, std::string_view name) {
    text_.push_back(']');
    answer.fields().raw(name, text_);
    if (truncated_) {
        answer.fields().boolean("truncated", true);
    }
}

std::string hello_ack_json(const Presence& presence, bool restored, std::string_view request_id) {
    Answer answer("hello_ack", request_id);
    answer.fields().plain("presenceId", presence.id);
    answer.fields().text("memberDisplayName", presence.profile.display_name);
    if (restored) {
        answer.fields().boolean("restored", true);
    }
    return answer.take();
}

std::string ack_json(std::string_view id, std::string_view message_id,
                     std::string_view request_id) {
    Answer answer("ack", request_id);
    answer.fields().text("id", id);
    answer.fields().plain("messageId", message_id);
    answer.fields().boolean("queued", true);
    return answer.take();
}

std::string done_json(std::string_view id, std::string_view message_id,
                      std::string_view request_id) {
    Answer answer("ack", request_id);
    answer.fields().text("id", id);
    answer.fields().text("messageId", message_id);
    answer.fields().boolean("queued", false);
    return answer.take();
}

std::string refused_ack_json(std::string_view id, std::string_view error,
                             std::string_view request_id) {
    Answer answer("ack", request_id);
    answer.fields().text("id", id);
    answer.fields().plain("messageId", "");
    answer.fields().boolean("queued", false);
    answer.fields().text("error", error);
    return answer.take();
}

std::string error_json(std::string_view code, std::string_view message, std::string_view id,
                       std::string_view request_id) {
    Answer answer("error", request_id);
    answer.fields().plain("code", code);
    answer.fields().text("message", message);
    if (!id.empty()) {
        answer.fields().text("id", id);
    }
    return answer.take();
}

std::string push_json(const Envelope& envelope) {
    std::string text;
    text.reserve(480 + envelope.nonce.size() + envelope.ciphertext.size());
    json::ObjectWriter writer(text);
    writer.plain("type", "push");
    writer.plain("messageId", envelope.id);
    writer.plain("meshId", envelope.mesh_id);
    writer.plain("senderPubkey", hex_key(envelope.sender_key));
    writer.plain("senderMemberPubkey", hex_key(envelope.sender_member_key));
    writer.plain("senderMemberId", envelope.sender_member_id);
    writer.text("senderName", envelope.sender_name);
    writer.plain("priority", priority_name(envelope.priority));
    writer.text("nonce", envelope.nonce);
    writer.text("ciphertext", envelope.ciphertext);
    writer.plain("createdAt", iso8601(envelope.created_at));
    if (!envelope.client_message_id.empty()) {
        writer.text("client_message_id", envelope.client_message_id);
    }
    if (!envelope.request_fingerprint.empty()) {
        writer.text("request_fingerprint", envelope.request_fingerprint);
    }
    if (!envelope.reply_to.empty()) {
        writer.text("replyToId", envelope.reply_to);
    }
    if (!envelope.subtype.empty()) {
        writer.plain("subtype", envelope.subtype);
    }
    writer.close();
    return text;
}

namespace {

void write_peer(json::ObjectWriter& writer, const Presence& peer) {
    const Profile& profile = peer.profile;
    writer.plain("pubkey", hex_key(peer.key()));
    writer.plain("memberPubkey", hex_key(peer.member.key));
    writer.text("displayName", profile.display_name);
    writer.plain("status", status_name(peer.status.status));
    if (profile.summary) {
        writer.text("summary", *profile.summary);
    } else {
        writer.raw("summary", "null");
    }
    writer.raw("groups", groups_to_text(profile.groups));
    writer.text("sessionId", profile.session_id);
    writer.plain("connectedAt", iso8601(peer.connected_at));
    writer.text("cwd", profile.cwd);
    const auto said = [&](std::string_view name, const std::string& value) {
        if (!value.empty()) {
            writer.text(name, value);
        }
    };
    said("hostname", profile.hostname);
    said("peerType", profile.peer_type);
    said("channel", profile.channel);
    said("model", profile.model);
    writer.boolean("visible", profile.visible);
    if (profile.card != Card()) {
        json::ObjectWriter card = writer.object("profile");
        card.text("avatar", profile.card.avatar);
        card.text("title", profile.card.title);
        card.text("bio", profile.card.bio);
        card.raw("capabilities", texts_json(profile.card.capabilities));
        card.close();
    }
    if (!profile.stats.empty()) {
        writer.raw("stats", profile.stats);
    }
}

}  // namespace

std::string peers_list_json(const std::vector<Presence*>& peers, std::string_view request_id) {
    AnswerList list;
    for (const Presence* peer : peers) {
        list.add([&](json::ObjectWriter& writer) { write_peer(writer, *peer); });
    }
    Answer answer("peers_list", request_id);
    list.finish(answer, "peers");
    return answer.take();
}

}  // namespace nave::broker
