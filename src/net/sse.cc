#include "net/sse.h"

#include "base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <iterator>
#include <list>
#include <utility>

namespace nave::net {
namespace {

// Takes the first line off `text`; CR LF, LF and CR all end a line, as the format defines.
std::string_view take_line(std::string_view& text) {
    const auto end = text.find_first_of("\r\n");
    const std::string_view line = text.substr(0, end);
    if (end == std::string_view::npos) {
        text = {};
        return line;
    }
    text.remove_prefix(text.substr(end).starts_with("\r\n") ? end + 2 : end + 1);
    return line;
}

Response unavailable(std::string id, std::string message) {
    return problem_response(Error(Code::unavailable, std::move(id), std::move(message)), {});
}

}  // namespace

std::string sse_frame(std::optional<std::uint64_t> id, std::string_view event,
                      std::string_view data) {
    std::string out;
    out.reserve(data.size() + event.size() + 40);
    if (id) {
        fmt::format_to(std::back_inserter(out), "id: {}\n", *id);
    }
    if (!event.empty()) {
        out.append("event: ").append(take_line(event)).append("\n");
    }
    do {
        out.append("data: ").append(take_line(data)).append("\n");
    } while (!data.empty());
    out.append("\n");
    return out;
}

struct SseChannel::State : std::enable_shared_from_this<SseChannel::State> {
    struct Event {
        std::uint64_t id;
        std::string frame;
    };
    // Counts only what was published while the reader was there: a replay is bounded by itself and
    // must not make a reader that has just come look slow.
    struct Reader {
        std::shared_ptr<ResponseStream> stream;
        std::uint64_t live_bytes = 0;          // written since the replay
        std::deque<std::uint64_t> event_ends;  // in live bytes, of events that may be queued
    };

    explicit State(SseLimits limits_in) : limits(limits_in), last_id(limits_in.ids_after) {}

    SseLimits limits;
    std::deque<Event> ring;
    std::list<Reader> readers;
    std::uint64_t last_id;
    std::uint64_t dropped_slow = 0;
    bool closed = false;

    void remove(const ResponseStream* stream) {
        std::erase_if(readers, [&](const Reader& r) { return r.stream.get() == stream; });
    }

    // A reader that has taken everything may still look full: what was published in this turn of
    // the loop waits for its end. So a full queue is offered to the kernel before it is judged.
    [[nodiscard]] bool is_slow(Reader& reader, std::size_t next_bytes) const {
        if (!is_full(reader, next_bytes)) {
            return false;
        }
        reader.stream->flush();
        return is_full(reader, next_bytes);
    }

    [[nodiscard]] bool is_full(Reader& reader, std::size_t next_bytes) const {
        const std::uint64_t queued =
            std::min<std::uint64_t>(reader.stream->buffered(), reader.live_bytes);
        const std::uint64_t taken = reader.live_bytes - queued;
        while (!reader.event_ends.empty() && reader.event_ends.front() <= taken) {
            reader.event_ends.pop_front();
        }
        return queued + next_bytes > limits.queue_bytes_max ||
               reader.event_ends.size() >= limits.queue_events_max;
    }

    void send_to_all(std::string_view frame) {
        for (auto reader = readers.begin(); reader != readers.end();) {
            if (is_slow(*reader, frame.size())) {
                ++dropped_slow;
                reader->stream->abort();
                reader = readers.erase(reader);
            } else if (!reader->stream->write(frame)) {
                reader = readers.erase(reader);
            } else {
                reader->live_bytes += frame.size();
                reader->event_ends.push_back(reader->live_bytes);
                ++reader;
            }
        }
    }

    // The frames after `last_seen`, as many of the newest as one queue holds; preceded by `reset`
    // when some that the reader has missed are not among them.
    [[nodiscard]] std::string replay(std::string_view last_seen) const {
        if (last_seen.empty()) {
            return {};
        }
        const auto seen = parse_int(last_seen);
        const bool known = seen && *seen >= 0 && static_cast<std::uint64_t>(*seen) <= last_id;
        const std::uint64_t after = known ? static_cast<std::uint64_t>(*seen) : 0;
        std::size_t bytes = 0;
        auto first = ring.end();
        while (first != ring.begin() && std::prev(first)->id > after &&
               bytes + std::prev(first)->frame.size() <= limits.queue_bytes_max) {
            --first;
            bytes += first->frame.size();
        }
        const std::uint64_t before_first = first == ring.end() ? last_id : first->id - 1;
        std::string out;
        if (!known || before_first > after) {
            out = sse_frame(before_first, "reset", fmt::format(R"({{"lastId":{}}})", before_first));
        }
        for (; first != ring.end(); ++first) {
            out.append(first->frame);
        }
        return out;
    }

    void start(std::shared_ptr<ResponseStream> stream, std::string_view last_seen) {
        if (closed || readers.size() >= limits.clients_max) {
            stream->close();
            return;
        }
        // The comment makes the client see an open stream before the first event.
        if (!stream->write(":\n\n" + replay(last_seen))) {
            return;
        }
        stream->on_closed([weak = weak_from_this(), raw = stream.get()] {
            if (const auto self = weak.lock()) {
                self->remove(raw);
            }
        });
        readers.push_back({.stream = std::move(stream), .live_bytes = 0, .event_ends = {}});
    }
};

SseChannel::SseChannel(SseLimits limits) : state_(std::make_shared<State>(limits)) {}

SseChannel::~SseChannel() {
    close();
}

std::uint64_t SseChannel::publish(std::string_view event, std::string_view data) {
    const std::uint64_t id = ++state_->last_id;
    std::string frame = sse_frame(id, event, data);
    state_->send_to_all(frame);
    state_->ring.push_back({.id = id, .frame = std::move(frame)});
    if (state_->ring.size() > state_->limits.ring_max) {
        state_->ring.pop_front();
    }
    return id;
}

void SseChannel::tell(std::string_view event, std::string_view data) {
    state_->send_to_all(sse_frame(std::nullopt, event, data));
}

Response SseChannel::subscribe(std::string_view last_event_id) {
    if (state_->closed) {
        return unavailable("net.stream_closed", "The event stream has ended.");
    }
    if (state_->readers.size() >= state_->limits.clients_max) {
        return unavailable("net.stream_full", "Too many readers follow this event stream.");
    }
    Response response(200, "text/event-stream", "");
    response.headers.emplace_back("Cache-Control", "no-store");
    response.headers.emplace_back("X-Accel-Buffering", "no");  // nginx would hold events back
    response.stream = [weak = std::weak_ptr(state_),
                       seen = std::string(last_event_id)](std::shared_ptr<ResponseStream> stream) {
        if (const auto state = weak.lock()) {
            state->start(std::move(stream), seen);
        } else {
            stream->close();
        }
    };
    return response;
}

void SseChannel::heartbeat() {
    state_->send_to_all(":\n\n");
}

void SseChannel::close() {
    state_->closed = true;
    for (const State::Reader& reader : std::exchange(state_->readers, {})) {
        reader.stream->close();
    }
}

std::size_t SseChannel::clients() const {
    return state_->readers.size();
}

bool SseChannel::full() const {
    return state_->readers.size() >= state_->limits.clients_max;
}
std::uint64_t SseChannel::dropped_slow() const {
    return state_->dropped_slow;
}
std::uint64_t SseChannel::last_id() const {
    return state_->last_id;
}

}  // namespace nave::net
