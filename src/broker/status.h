// The status of a presence: what it is, who said so, and what it lets through.
//
// Three sources, by rank: a hook of the agent's tool (3), the peer itself by set_status (2), and
// inference, called jsonl because the original infers from transcript files (1). The rules, all
// pure; every time is passed in:
//
// 1. Another status wins and brings its source. The same status from an equal or higher rank
//    renews source and time; from a lower rank it renews the time and keeps the source while that
//    is fresh, and takes the lower source afterwards. Fresh: 0 <= age <= window.
// 2. Only the peer itself leaves dnd. Hooks, inference and the sweep find it closed.
// 3. A fresh hook beats inference of another status. (The original asks this before each write of
//    an inference; here the write rule asks itself, so that no caller can forget.)
// 4. The sweep ends a `working` older than the TTL: idle, source jsonl.
//
// Decided otherwise than the original: before every delivery it infers the status anew from
// transcripts on its own disk. A broker on another machine has none, takes that for idle and writes
// it, so that `set_status working` is erased by the very envelope it should have held back. Having
// no evidence is not evidence of idleness: here a delivery infers nothing. A `working`, whether by
// hook or by the peer, holds until another source says otherwise or its TTL ends, and a delivery
// applies that TTL itself (at_delivery), whenever the sweep last ran. What remains of "hook beats
// inference inside its window" are rules 1 and 3.
#pragma once

#include "base/clock.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace nave::broker {

// Values of these three are stored; never renumber.
enum class Status : std::uint8_t { idle = 0, working = 1, dnd = 2 };
enum class StatusSource : std::uint8_t { jsonl = 1, manual = 2, hook = 3 };  // value = rank
enum class Priority : std::uint8_t { now = 0, next = 1, low = 2 };

[[nodiscard]] std::string_view status_name(Status status);
[[nodiscard]] std::string_view source_name(StatusSource source);
[[nodiscard]] std::string_view priority_name(Priority priority);
[[nodiscard]] std::optional<Status> parse_status(std::string_view name);
[[nodiscard]] std::optional<Priority> parse_priority(std::string_view name);

struct StatusTimes {
    std::chrono::milliseconds hook_fresh{30'000};  // HOOK_FRESH_WINDOW_SECONDS
    std::chrono::milliseconds ttl{60'000};         // STATUS_TTL_SECONDS
    std::chrono::milliseconds pending{10'000};
};

// A new presence starts with the defaults and its time of connection.
struct StatusRecord {
    Status status = Status::idle;
    StatusSource source = StatusSource::jsonl;
    UnixMillis updated_at = 0;

    friend bool operator==(const StatusRecord&, const StatusRecord&) = default;
};

[[nodiscard]] bool is_hook_fresh(const StatusRecord& record, UnixMillis now,
                                 const StatusTimes& times);
// Rules 1 to 3; returns the record unchanged when the signal is not taken.
[[nodiscard]] StatusRecord with_signal(const StatusRecord& record, Status status,
                                       StatusSource source, UnixMillis now,
                                       const StatusTimes& times);
// Rule 4.
[[nodiscard]] bool is_overdue(const StatusRecord& record, UnixMillis now, const StatusTimes& times);
// The record a delivery goes by: the given one, or idle when it is overdue.
[[nodiscard]] StatusRecord at_delivery(const StatusRecord& record, UnixMillis now,
                                       const StatusTimes& times);

// idle lets everything through; working and dnd only what is urgent (priority now).
[[nodiscard]] bool deliverable(Status status, Priority priority);
// Envelopes held back until now may go: whoever changed the status wakes the delivery.
[[nodiscard]] bool releases_held(Status before, Status after);

// A hook's signal that found no presence; waits for one to connect.
struct PendingStatus {
    std::int64_t pid = 0;  // 0: not said
    std::string cwd;
    Status status = Status::idle;
    UnixMillis created_at = 0;
    bool applied = false;
};

[[nodiscard]] bool can_be_applied(const PendingStatus& pending, UnixMillis now,
                                  const StatusTimes& times);
// The sweep deletes it.
[[nodiscard]] bool is_spent(const PendingStatus& pending, UnixMillis now, const StatusTimes& times);
// Which of `pending` (oldest first) a new presence takes: the newest with its process id and
// directory, else the newest with its directory. Real hooks send the id of their parent process and
// never the client's, so without the second rule none would ever match. Null when there is none.
[[nodiscard]] const PendingStatus* choose_pending(std::span<const PendingStatus> pending,
                                                  std::int64_t pid, std::string_view cwd,
                                                  UnixMillis now, const StatusTimes& times);

}  // namespace nave::broker
