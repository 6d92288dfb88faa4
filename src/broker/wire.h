// What the broker says, as JSON text: one function per message of the protocol (docs/protocol/
// broker.md). Every answer echoes the request's `_reqId` when there was one.
#pragma once

#include "base/json_writer.h"
#include "broker/presence.h"
#include "broker/types.h"

#include <string>
#include <string_view>
#include <vector>

namespace nave::broker {

// "2026-11-21T03:00:00.000Z"
[[nodiscard]] std::string iso8601(UnixMillis time);

// Begins {"type":"<type>" and carries the correlation fields; the caller adds the rest.
class Answer {
  public:
    Answer(std::string_view type, std::string_view request_id);
    [[nodiscard]] json::ObjectWriter& fields() { return writer_; }
    [[nodiscard]] std::string take();

  private:
    std::string text_;
    json::ObjectWriter writer_;
};

// A list of objects in an answer. It is cut, but not before its first element, where the answer
// would no longer fit into a socket's output (net::WebSocketOptions) with room for what else is on
// its way; the answer says so with "truncated":true.
class AnswerList {
  public:
    template <class Fill>
    void add(Fill fill) {
        if (truncated_) {
            return;
        }
        const std::size_t before = text_.size();
        text_.append(before > 1 ? "," : "");
        json::ObjectWriter writer(text_);
        fill(writer);
        writer.close();
        if (text_.size() > kBytesMax && before > 1) {
            text_.resize(before);
            truncated_ = true;
        }
    }
    [[nodiscard]] bool truncated() const { return truncated_; }
    void finish(Answer& answer, std::string_view name);

  private:
    static constexpr std::size_t kBytesMax = 512 * 1024;
    std::string text_ = "[";
    bool truncated_ = false;
};

[[nodiscard]] std::string hello_ack_json(const Presence& presence, bool restored,
                                         std::string_view request_id);
// `id` is the client's own; "" when it gave none.
[[nodiscard]] std::string ack_json(std::string_view id, std::string_view message_id,
                                   std::string_view request_id);
// An ack of what is no envelope: done, nothing queued.
[[nodiscard]] std::string done_json(std::string_view id, std::string_view message_id,
                                    std::string_view request_id);
// The refusal that newer clients read; older ones take any ack for success and read error_json().
[[nodiscard]] std::string refused_ack_json(std::string_view id, std::string_view error,
                                           std::string_view request_id);
[[nodiscard]] std::string error_json(std::string_view code, std::string_view message,
                                     std::string_view id, std::string_view request_id);
// The push of an envelope, and about how long it is.
void append_push(std::string& out, const Envelope& envelope);
[[nodiscard]] std::size_t push_size(const Envelope& envelope);
[[nodiscard]] std::string peers_list_json(const std::vector<Presence*>& peers,
                                          std::string_view request_id);

}  // namespace nave::broker
