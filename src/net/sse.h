// Server-sent events (WHATWG HTML, section 9.2): a channel with replay and many readers.
//
// publish() gives every event the next id, keeps the last `ring_max` for Last-Event-ID resume, and
// drops a reader whose queue is over `queue_bytes_max` or `queue_events_max` (slow consumer) and of
// which the kernel takes no more.
#pragma once

#include "net/request.h"
#include "net/response.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace nave::net {

struct SseLimits {
    std::size_t ring_max = 1'000;
    std::size_t clients_max = 256;
    std::size_t queue_events_max = 256;
    std::size_t queue_bytes_max = 256 * 1024;
    // Ids count up from here. Channels that start again with a process give each start a higher
    // one, so that an id of an earlier process is never taken for one of this.
    std::uint64_t ids_after = 0;
};

class SseChannel {
  public:
    explicit SseChannel(SseLimits limits = SseLimits());
    ~SseChannel();

    // `data` is one line or several; the id is returned.
    std::uint64_t publish(std::string_view event, std::string_view data);
    // To who reads now; without an id and never sent again. For figures that the next ones replace.
    void tell(std::string_view event, std::string_view data);
    // The streaming response for a reader; resumes after `last_event_id` when given ("" for none).
    // When that id has left the ring, an event `reset` is sent first. 503 when clients_max is met.
    [[nodiscard]] Response subscribe(std::string_view last_event_id);
    // A comment line to every reader; call every 15 s.
    void heartbeat();
    void close();

    [[nodiscard]] std::size_t clients() const;
    [[nodiscard]] bool full() const;  // the next subscribe() would be refused
    [[nodiscard]] std::uint64_t dropped_slow() const;
    [[nodiscard]] std::uint64_t last_id() const;

  private:
    struct State;
    std::shared_ptr<State> state_;
};

// One event in wire form.
[[nodiscard]] std::string sse_frame(std::optional<std::uint64_t> id, std::string_view event,
                                    std::string_view data);

}  // namespace nave::net
