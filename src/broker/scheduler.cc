#include "broker/scheduler.h"

#include "base/encoding.h"
#include "broker/cron.h"

#include <fmt/format.h>

namespace nave::broker {
namespace {

constexpr std::chrono::milliseconds kLook{1'000};
constexpr UnixMillis kClaimMs = 30'000;
constexpr std::int64_t kBatch = 100;

Envelope envelope_of(const Scheduled& scheduled) {
    Envelope envelope;
    envelope.target_spec = scheduled.target_spec;
    envelope.priority = scheduled.priority;
    envelope.nonce = scheduled.nonce;
    envelope.ciphertext = scheduled.message ? base64(as_bytes(std::string_view(*scheduled.message)))
                                            : scheduled.ciphertext;
    envelope.client_message_id = fmt::format("sched:{}:{}", scheduled.id, scheduled.due_at);
    envelope.subtype = "reminder";
    return envelope;
}

std::optional<UnixMillis> next_time(const Scheduled& scheduled, UnixMillis now) {
    if (scheduled.cron.empty()) {
        return std::nullopt;
    }
    const auto cron = Cron::parse(scheduled.cron);
    return cron ? cron->next(std::max(now, scheduled.due_at)) : std::nullopt;
}

Task<void> move_on(Broker& broker, std::string id, UnixMillis due_at,
                   std::optional<UnixMillis> next) {
    const auto done = co_await broker.schedules.advance(std::move(id), due_at, next);
    if (!done) {
        broker.logger.failure(LogLevel::warn, "cannot move a schedule on", done.error());
    }
}

}  // namespace

Task<void> Scheduler::run() {
    for (;;) {
        const auto done = co_await fire_due();
        if (!done) {
            broker_.logger.failure(LogLevel::warn, "cannot fire what is scheduled", done.error());
        }
        co_await loop_.sleep(kLook);
    }
}

Task<Result<void>> Scheduler::fire_due() {
    for (bool more = true; more && !broker_.stopping();) {
        const UnixMillis now = broker_.clock.now();
        CO_TRY(auto due, co_await broker_.schedules.claim_due(now, now + kClaimMs, kBatch));
        more = due.size() == kBatch;
        for (Scheduled& scheduled : due) {
            CO_TRY_VOID(co_await fire(std::move(scheduled)));
        }
    }
    co_return ok();
}

void Scheduler::advance(const Scheduled& scheduled) {
    broker_.tasks.spawn("schedule", move_on(broker_, scheduled.id, scheduled.due_at,
                                            next_time(scheduled, broker_.clock.now())));
}

// What is refused because the broker is busy is tried again when its claim has ended.
Task<Result<void>> Scheduler::fire(Scheduled scheduled) {
    CO_TRY(const bool known, co_await broker_.ensure_mesh(scheduled.mesh_id));
    const Member* member =
        known ? broker_.registry.member_by_id(scheduled.mesh_id, scheduled.member_id) : nullptr;
    const auto target = parse_target(scheduled.target_spec);
    if (member == nullptr || !target) {
        // The mesh or the membership has ended, and with it what the member wanted sent.
        CO_TRY_VOID(
            co_await broker_.schedules.advance(scheduled.id, scheduled.due_at, std::nullopt));
        co_return ok();
    }
    Envelope envelope = envelope_of(scheduled);
    broker_.stamp(envelope, {*member, scheduled.sender_key, member->display_name});
    const auto taken =
        broker_.delivery.send({member->mesh_id, member->key, nullptr}, *target, std::move(envelope),
                              [this, scheduled](const Result<Appended>& stored) {
                                  if (stored) {
                                      advance(scheduled);
                                  }
                              });
    if (!taken && taken.error().id == "queue_full") {
        advance(scheduled);  // as a send of that moment would have been lost
    }
    co_return ok();
}

}  // namespace nave::broker
