#include "broker/status.h"

#include <utility>

namespace nave::broker {
namespace {

// What the clock's step backwards made older than negative is not fresh either.
bool is_fresh(UnixMillis updated_at, UnixMillis now, std::chrono::milliseconds window) {
    const UnixMillis age = now - updated_at;
    return age >= 0 && age <= window.count();
}

StatusRecord same_status(const StatusRecord& record, StatusSource source, UnixMillis now,
                         const StatusTimes& times) {
    const bool keeps_source =
        source < record.source && is_fresh(record.updated_at, now, times.hook_fresh);
    return {record.status, keeps_source ? record.source : source, now};
}

}  // namespace

std::string_view status_name(Status status) {
    switch (status) {
        case Status::idle:
            return "idle";
        case Status::working:
            return "working";
        case Status::dnd:
            return "dnd";
    }
    std::unreachable();
}

std::string_view source_name(StatusSource source) {
    switch (source) {
        case StatusSource::jsonl:
            return "jsonl";
        case StatusSource::manual:
            return "manual";
        case StatusSource::hook:
            return "hook";
    }
    std::unreachable();
}

std::string_view priority_name(Priority priority) {
    switch (priority) {
        case Priority::now:
            return "now";
        case Priority::next:
            return "next";
        case Priority::low:
            return "low";
    }
    std::unreachable();
}

std::optional<Status> parse_status(std::string_view name) {
    for (const Status status : {Status::idle, Status::working, Status::dnd}) {
        if (name == status_name(status)) {
            return status;
        }
    }
    return std::nullopt;
}

std::optional<Priority> parse_priority(std::string_view name) {
    for (const Priority priority : {Priority::now, Priority::next, Priority::low}) {
        if (name == priority_name(priority)) {
            return priority;
        }
    }
    return std::nullopt;
}

bool is_hook_fresh(const StatusRecord& record, UnixMillis now, const StatusTimes& times) {
    return record.source == StatusSource::hook &&
           is_fresh(record.updated_at, now, times.hook_fresh);
}

StatusRecord with_signal(const StatusRecord& record, Status status, StatusSource source,
                         UnixMillis now, const StatusTimes& times) {
    if (record.status == Status::dnd && source != StatusSource::manual) {
        return record;
    }
    if (status == record.status) {
        return same_status(record, source, now, times);
    }
    if (source == StatusSource::jsonl && is_hook_fresh(record, now, times)) {
        return record;
    }
    return {status, source, now};
}

bool is_overdue(const StatusRecord& record, UnixMillis now, const StatusTimes& times) {
    return record.status == Status::working && now - record.updated_at > times.ttl.count();
}

StatusRecord at_delivery(const StatusRecord& record, UnixMillis now, const StatusTimes& times) {
    if (is_overdue(record, now, times)) {
        return {Status::idle, StatusSource::jsonl, now};
    }
    return record;
}

bool deliverable(Status status, Priority priority) {
    return status == Status::idle || priority == Priority::now;
}

bool releases_held(Status before, Status after) {
    return before != Status::idle && after == Status::idle;
}

bool can_be_applied(const PendingStatus& pending, UnixMillis now, const StatusTimes& times) {
    return !is_spent(pending, now, times);
}

bool is_spent(const PendingStatus& pending, UnixMillis now, const StatusTimes& times) {
    return pending.applied || now - pending.created_at > times.pending.count();
}

const PendingStatus* choose_pending(std::span<const PendingStatus> pending, std::int64_t pid,
                                    std::string_view cwd, UnixMillis now,
                                    const StatusTimes& times) {
    const PendingStatus* chosen = nullptr;
    bool chosen_by_pid = false;
    for (const PendingStatus& candidate : pending) {
        if (candidate.cwd != cwd || !can_be_applied(candidate, now, times)) {
            continue;
        }
        const bool by_pid = pid != 0 && candidate.pid == pid;
        if (by_pid || !chosen_by_pid) {
            chosen = &candidate;
            chosen_by_pid = by_pid;
        }
    }
    return chosen;
}

}  // namespace nave::broker
