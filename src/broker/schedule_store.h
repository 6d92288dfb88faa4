// ScheduleStore: envelopes that are to be sent later, once or again and again, whether their sender
// is there then or not.
//
// A due one is claimed by one node at a time, and the claim ends by itself: should that node die
// meanwhile, another one sends the envelope under the same client message id, so that it is stored
// once (scheduler.h).
#pragma once

#include "base/result.h"
#include "broker/types.h"
#include "runtime/task.h"
#include "storage/database.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nave::broker {

struct Scheduled {
    std::string id;
    std::string mesh_id;
    std::string member_id;
    Key sender_key{};  // what the receiver opens the ciphertext with
    std::string target_spec;
    Priority priority = Priority::next;
    std::optional<std::string> message;  // plain text; else the next two are the client's
    std::string nonce;
    std::string ciphertext;
    std::string cron;  // empty: once
    UnixMillis due_at = 0;
    std::int64_t fired_count = 0;
    UnixMillis created_at = 0;
};

class ScheduleStore {
  public:
    static constexpr std::int64_t kScheduledMax = 100;  // of one member

    explicit ScheduleStore(storage::Database& database) : database_(database) {}

    // False when the member has too many already; nothing was stored.
    Task<Result<bool>> add(Scheduled scheduled);
    // The next one first.
    Task<Result<std::vector<Scheduled>>> list(std::string mesh_id, std::string member_id);
    // False when the member has none of this id.
    Task<Result<bool>> cancel(std::string mesh_id, std::string member_id, std::string id);

    // What is due and nobody is sending, the longest due first; claimed until then.
    Task<Result<std::vector<Scheduled>>> claim_due(UnixMillis now, UnixMillis until,
                                                   std::int64_t count_max);
    // The firing of `due_at` is done: the next one is at `next`, or there is none. Nothing happens
    // when somebody else has said so before.
    Task<Result<void>> advance(std::string id, UnixMillis due_at, std::optional<UnixMillis> next);

  private:
    storage::Database& database_;
};

}  // namespace nave::broker
