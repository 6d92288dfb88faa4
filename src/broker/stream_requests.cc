// create_stream, subscribe, unsubscribe, publish, list_streams.
#include "broker/errors.h"
#include "broker/fields.h"
#include "broker/handlers.h"
#include "broker/wire.h"

#include <fmt/format.h>

namespace nave::broker::handlers {
namespace {

// Far below what a socket may have queued: one frame must not close it.
constexpr std::size_t kDataBytes = 256 * 1024;

Result<std::string> stream_name(const json::Object& fields, std::string_view field) {
    TRY(auto name, required_text(fields, field, kNameBytesMax));
    if (!is_name(name)) {
        return bad_field(field, "must be 1 to 64 visible characters");
    }
    return name;
}

std::unexpected<Error> too_many() {
    return errors::limit_reached("Too many streams of this mesh have subscribers.");
}

void answer_with_name(Session& session, const ClientRequest& request, std::string_view type,
                      std::string_view field, std::string_view name) {
    Answer answer(type, request.request_id);
    answer.fields().text(field, name);
    session.reply(answer.take());
}

}  // namespace

Task<Result<void>> create_stream(Session& session, Presence& presence,
                                 const ClientRequest& request) {
    CO_TRY(const std::string name, stream_name(request.fields, "name"));
    if (!session.broker().streams.create(presence, name)) {
        co_return too_many();
    }
    answer_with_name(session, request, "stream_created", "name", name);
    co_return ok();
}

Task<Result<void>> subscribe(Session& session, Presence& presence, const ClientRequest& request) {
    CO_TRY(const std::string name, stream_name(request.fields, "stream"));
    if (!session.broker().streams.subscribe(presence, name)) {
        co_return too_many();
    }
    answer_with_name(session, request, "subscribed", "stream", name);
    co_return ok();
}

Task<Result<void>> unsubscribe(Session& session, Presence& presence, const ClientRequest& request) {
    CO_TRY(const std::string name, stream_name(request.fields, "stream"));
    session.broker().streams.unsubscribe(presence, name);
    answer_with_name(session, request, "unsubscribed", "stream", name);
    co_return ok();
}

// Answered only when the request can be told from others: a feed is not slowed down by acks that
// nobody reads.
Task<Result<void>> publish(Session& session, Presence& presence, const ClientRequest& request) {
    CO_TRY(const std::string name, stream_name(request.fields, "stream"));
    const json::Value* data = request.fields.if_contains("data");
    if (data == nullptr) {
        co_return bad_field("data", "is missing");
    }
    Broker& broker = session.broker();
    if (!broker.publish_limiter.take(presence.member.id).allowed) {
        co_return errors::rate_limit();
    }
    const std::string text = json::text(*data);
    if (text.size() > kDataBytes) {
        co_return bad_field("data", fmt::format("is longer than {} bytes", kDataBytes));
    }
    Answer message("stream_data", {});
    message.fields().text("stream", name);
    message.fields().raw("data", text);
    message.fields().text("publishedBy", presence.profile.display_name);
    message.fields().plain("publishedAt", iso8601(broker.clock.now()));
    if (!broker.publish(presence, name, message.take())) {
        co_return too_many();
    }
    const std::string id = text_or_empty(request.fields, "id");
    if (!id.empty() || !request.request_id.empty()) {
        session.reply(done_json(id, "", request.request_id));
    }
    co_return ok();
}

Task<Result<void>> list_streams(Session& session, Presence& presence,
                                const ClientRequest& request) {
    reply_list(session, request, "stream_list", "streams",
               session.broker().streams.list(presence.mesh_id),
               [](json::ObjectWriter& writer, const StreamInfo& stream) {
                   writer.text("name", stream.name);
                   writer.text("createdBy", stream.created_by);
                   writer.plain("createdAt", iso8601(stream.created_at));
                   writer.integer("subscribers", static_cast<std::int64_t>(stream.subscribers));
                   writer.integer("published", static_cast<std::int64_t>(stream.published));
                   writer.integer("skipped", static_cast<std::int64_t>(stream.skipped));
               });
    co_return ok();
}

}  // namespace nave::broker::handlers
