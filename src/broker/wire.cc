#include "broker/wire.h"

#include "broker/fields.h"
#include "broker/hex_key.h"

#include <chrono>
#include <cstdint>

namespace nave::broker {

namespace {

// Writes the last digits of a number, with zeros before it.
char* put_digits(char* at, std::size_t digits, std::uint64_t number) {
    for (std::size_t i = digits; i-- > 0; number /= 10) {
        at[i] = static_cast<char>('0' + number % 10);
    }
    return at + digits;
}

}  // namespace

// Every push has one: written by hand it costs a tenth of what a format string does.
std::string iso8601(UnixMillis time) {
    using namespace std::chrono;
    const sys_time<milliseconds> at{milliseconds(time)};
    const auto day = floor<days>(at);
    const year_month_day date(day);
    const auto rest = static_cast<std::uint64_t>((at - day).count());
    std::string text = "0000-00-00T00:00:00.000Z";
    char* out = text.data();
    out = put_digits(out, 4, static_cast<std::uint64_t>(static_cast<int>(date.year()))) + 1;
    out = put_digits(out, 2, static_cast<unsigned>(date.month())) + 1;
    out = put_digits(out, 2, static_cast<unsigned>(date.day())) + 1;
    out = put_digits(out, 2, rest / 3'600'000) + 1;
    out = put_digits(out, 2, rest / 60'000 % 60) + 1;
    out = put_digits(out, 2, rest / 1'000 % 60) + 1;
    put_digits(out, 3, rest % 1'000);
    return text;
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

std::size_t push_size(const Envelope& envelope) {
    constexpr std::size_t kNamesAndKeys = 480;
    return kNamesAndKeys + envelope.nonce.size() + envelope.ciphertext.size();
}

void append_push(std::string& out, const Envelope& envelope) {
    json::ObjectWriter writer(out);
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
