#include "broker/node_messages.h"

#include "base/json.h"
#include "base/json_reader.h"
#include "base/json_writer.h"
#include "broker/fields.h"
#include "broker/hex_key.h"

namespace nave::broker {
namespace {

constexpr std::size_t kIdMax = 128;
constexpr std::size_t kIdsMax = 4'096;
constexpr std::size_t kTextMax = 256 * 1024;

void write(json::ObjectWriter& writer, const PutMessage& put) {
    const PresenceRow& row = put.row;
    writer.plain("type", "put");
    writer.text("id", row.id);
    writer.text("node", row.node);
    writer.text("mesh", row.mesh_id);
    writer.text("member", row.member_id);
    writer.plain("memberKey", hex_key(row.member_key));
    if (row.session_key) {
        writer.plain("sessionKey", hex_key(*row.session_key));
    }
    writer.text("profile", profile_to_text(row.profile));
    writer.integer("status", static_cast<std::int64_t>(row.status.status));
    writer.integer("source", static_cast<std::int64_t>(row.status.source));
    writer.integer("statusAt", row.status.updated_at);
    writer.integer("connectedAt", row.connected_at);
    if (row.lease_ends_at) {
        writer.integer("leaseEndsAt", *row.lease_ends_at);
    }
    writer.integer("version", row.version);
    writer.integer("arrivals", row.arrivals);
}

void write(json::ObjectWriter& writer, const GoneMessage& gone) {
    writer.plain("type", "gone");
    writer.text("id", gone.id);
}

void write(json::ObjectWriter& writer, const BuriedMessage& buried) {
    writer.plain("type", "buried");
    writer.text("node", buried.node);
}

void write(json::ObjectWriter& writer, const WakeMessage& wake) {
    writer.plain("type", "wake");
    writer.raw("ids", texts_json(wake.ids));
}

void write(json::ObjectWriter& writer, const TellMessage& tell) {
    writer.plain("type", "tell");
    writer.text("mesh", tell.mesh_id);
    writer.text("text", tell.text);
}

void write(json::ObjectWriter& writer, const StreamMessage& stream) {
    writer.plain("type", "stream");
    writer.text("publisher", stream.publisher);
    writer.text("stream", stream.stream);
    writer.text("text", stream.text);
}

void write(json::ObjectWriter& writer, const EndMessage& end) {
    writer.plain("type", "end");
    writer.text("id", end.id);
    writer.integer("code", end.close_code);
    writer.text("reason", end.reason);
    writer.boolean("mayReturn", end.may_return);
}

void write(json::ObjectWriter& writer, const AckMessage& ack) {
    writer.plain("type", "ack");
    writer.text("id", ack.id);
    writer.raw("ids", texts_json(ack.message_ids));
}

Result<PresenceRow> read_row(const json::Reader& reader) {
    PresenceRow row;
    TRY(row.id, reader.text("id", kIdMax));
    TRY(row.node, reader.text("node", kIdMax));
    TRY(row.mesh_id, reader.text("mesh", kIdMax));
    TRY(row.member_id, reader.text("member", kIdMax));
    TRY(const std::string member_key, reader.text("memberKey", kIdMax));
    const auto key = parse_hex_key(member_key);
    if (!key) {
        return reader.problem("memberKey", "is no key");
    }
    row.member_key = *key;
    if (reader.has("sessionKey")) {
        TRY(const std::string text, reader.text("sessionKey", kIdMax));
        row.session_key = parse_hex_key(text);
        if (!row.session_key) {
            return reader.problem("sessionKey", "is no key");
        }
    }
    TRY(const std::string profile, reader.text("profile", kTextMax));
    TRY(row.profile, profile_from_text(profile));
    TRY(const std::int64_t status, reader.integer("status", 0, 2));
    TRY(const std::int64_t source, reader.integer("source", 1, 3));
    row.status.status = static_cast<Status>(status);
    row.status.source = static_cast<StatusSource>(source);
    TRY(row.status.updated_at, reader.integer("statusAt", 0, INT64_MAX));
    TRY(row.connected_at, reader.integer("connectedAt", 0, INT64_MAX));
    if (reader.has("leaseEndsAt")) {
        TRY(row.lease_ends_at, reader.integer("leaseEndsAt", 0, INT64_MAX));
    }
    TRY(row.version, reader.integer("version", 1, INT64_MAX));
    TRY(row.arrivals, reader.integer("arrivals", 1, INT64_MAX));
    return row;
}

Result<std::vector<std::string>> read_ids(const json::Object& object) {
    return texts_field(object, "ids", kIdsMax, kIdMax);
}

Result<NodeMessage> read(std::string_view text) {
    TRY(const json::Value value, json::parse(text));
    if (!value.is_object()) {
        return fail(Code::invalid, "broker.bad_message", "This is no message of a node.");
    }
    const json::Object& object = value.get_object();
    const json::Reader reader(object);
    NodeMessage message;
    TRY(message.from, reader.text("from", kIdMax));
    TRY(const std::string type, reader.text("type", kIdMax));
    if (type == "put") {
        PutMessage put;
        TRY(put.row, read_row(reader));
        message.body = std::move(put);
    } else if (type == "gone") {
        GoneMessage gone;
        TRY(gone.id, reader.text("id", kIdMax));
        message.body = std::move(gone);
    } else if (type == "buried") {
        BuriedMessage buried;
        TRY(buried.node, reader.text("node", kIdMax));
        message.body = std::move(buried);
    } else if (type == "wake") {
        WakeMessage wake;
        TRY(wake.ids, read_ids(object));
        message.body = std::move(wake);
    } else if (type == "tell") {
        TellMessage tell;
        TRY(tell.mesh_id, reader.text("mesh", kIdMax));
        TRY(tell.text, reader.text("text", kTextMax));
        message.body = std::move(tell);
    } else if (type == "stream") {
        StreamMessage stream;
        TRY(stream.publisher, reader.text("publisher", kIdMax));
        TRY(stream.stream, reader.text("stream", kNameBytesMax));
        TRY(stream.text, reader.text("text", kTextMax));
        message.body = std::move(stream);
    } else if (type == "end") {
        EndMessage end;
        TRY(end.id, reader.text("id", kIdMax));
        TRY(const std::int64_t code, reader.integer("code", 1'000, 4'999));
        end.close_code = static_cast<std::uint16_t>(code);
        TRY(end.reason, reader.text("reason", 123));
        TRY(end.may_return, reader.boolean("mayReturn", false));
        message.body = std::move(end);
    } else if (type == "ack") {
        AckMessage ack;
        TRY(ack.id, reader.text("id", kIdMax));
        TRY(ack.message_ids, read_ids(object));
        message.body = std::move(ack);
    } else {
        return reader.problem("type", "is not known");
    }
    return message;
}

}  // namespace

std::string to_text(const NodeMessage& message) {
    std::string text;
    json::ObjectWriter writer(text);
    writer.text("from", message.from);
    std::visit([&](const auto& body) { write(writer, body); }, message.body);
    writer.close();
    return text;
}

std::optional<NodeMessage> parse_node_message(std::string_view text) {
    auto message = read(text);
    return message ? std::optional(std::move(*message)) : std::nullopt;
}

}  // namespace nave::broker
