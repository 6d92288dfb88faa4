// QueueStore: the durable queue of envelopes. One method is one transaction.
//
// A direct envelope is one row: the message with its recipient key. An envelope to many is one
// message row, a list of the keys it is pushed to at once (its live recipients), and one delivery
// row for each key that was not there. Both are queued for a key until settled or expired.
//
// A claim keeps an envelope from being handed out twice while it is on its way: it names the
// presence and ends at `until` (for direct envelopes by release_overdue()). Envelopes are claimed
// when they are read from the queue, or already by append() when the presence they will be pushed
// to is known.
#pragma once

#include "base/result.h"
#include "broker/types.h"
#include "runtime/task.h"
#include "storage/database.h"

#include <cstddef>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace nave::broker {

struct QueuePolicy {
    // How long a settled envelope is remembered, for message_status and against repeats.
    UnixMillis remember_ms = 24 * 60 * 60 * 1000;
    std::string node;  // of this process, when it is one of several
};

// What one accepted send becomes.
struct Append {
    Envelope envelope;
    // Direct envelopes only.
    std::optional<Key> recipient;
    // Presence that it is going to be pushed to, for which it is claimed; empty: none.
    std::string claimed_by;
    UnixMillis claimed_until = 0;
    // Envelopes to many only: keys pushed to at once, keys that were not there.
    std::vector<Key> live;
    std::vector<Key> absent;
};

struct Appended {
    Sequence sequence = 0;
    // The sender used this client message id before: nothing was stored, this is the envelope that
    // was.
    bool repeated = false;
    std::string id;
    std::int64_t shared_list = 0;  // of live recipients (live_lists.h); 0: none
};

// An envelope on its way to one key.
struct Part {
    enum class Kind : std::uint8_t {
        direct,  // the message row is its queue entry
        stored,  // of one to many: a delivery row
        live,    // of one to many: in the list of the message row
    };
    Sequence sequence = 0;
    Kind kind = Kind::direct;
    Key recipient{};

    friend bool operator==(const Part&, const Part&) = default;
};

struct ClaimedEnvelope {
    Part part;
    Envelope envelope;
};

struct ClaimRequest {
    std::string mesh_id;
    std::vector<Key> recipients;  // the member's key and, if it has one, the session's
    std::string presence_id;
    bool only_urgent = false;  // priority now
    // A former claim of this presence may have been committed though it failed: what is claimed for
    // it is free again first, in flight or not.
    bool former_in_doubt = false;
    UnixMillis now = 0;
    UnixMillis until = 0;
    std::size_t envelopes_max = 64;
    // Of their contents; the first may be larger.
    std::size_t bytes_max = std::numeric_limits<std::size_t>::max();
};

struct Claimed {
    std::vector<ClaimedEnvelope> envelopes;  // in order of sequence
    bool more = false;                       // there may be more to claim
};

struct EnvelopeStatus {
    std::string id;
    std::string target_spec;
    std::string sender_member_id;
    UnixMillis created_at = 0;
    std::optional<UnixMillis> delivered_at;  // to all
    struct Recipient {
        Key key{};
        bool delivered = false;
    };
    std::vector<Recipient> recipients;  // at most 1,000
};

// What was sent to many and waits for a session that has lost its connection, for the other
// sessions of its member, present and to come: all that none of them has got by itself.
struct Sharing {
    struct Seen {
        std::string target_spec;
        UnixMillis since = 0;  // another session gets envelopes to this target
    };
    std::string mesh_id;
    Key session{};
    Key member{};
    UnixMillis after = 0;  // what was accepted until then has been shared
    std::vector<Seen> seen;
    bool keep = false;  // the session may come back and get them too
    UnixMillis now = 0;
};

struct Backlog {
    std::string mesh_id;
    Key key{};
};

// Lists of live recipients that envelopes of this process share, until the last of those has been
// settled.
class SharedListUses {
  public:
    void add(const std::vector<Appended>& appended);
    // Lists that nothing needs any more when these are settled.
    [[nodiscard]] std::vector<std::int64_t> last_of(std::span<const Sequence> finished) const;
    void remove(std::span<const Sequence> finished);

  private:
    std::unordered_map<Sequence, std::int64_t> list_of_;
    std::unordered_map<std::int64_t, std::size_t> uses_;
};

class QueueStore {
  public:
    QueueStore(storage::Database& database, QueuePolicy policy)
        : database_(database), policy_(policy) {}

    // All are stored, in this order, or none. One answer per append.
    Task<Result<std::vector<Appended>>> append(std::vector<Append> appends);

    // The oldest deliverable envelopes of these keys, now claimed.
    Task<Result<Claimed>> claim(ClaimRequest request);
    // They have arrived: direct and stored parts leave the queue. For envelopes to many whose live
    // parts have all arrived or been given back, the list is dropped: `finished`. Unknown and
    // settled ones are ignored.
    Task<Result<void>> settle(std::vector<Part> parts, std::vector<Sequence> finished,
                              UnixMillis now);
    // They have not, and their presence is gone: whoever comes next may claim them at once. A live
    // part becomes a stored one.
    Task<Result<void>> give_back(std::vector<Part> parts);
    // Direct envelopes whose claim has ended are free again. Returns their keys, one for each.
    Task<Result<std::vector<Backlog>>> release_overdue(UnixMillis now);
    // Envelopes whose insert may have been committed though it failed: what is there is queued for
    // all its recipients, claimed by nobody. Returns their keys.
    Task<Result<std::vector<Backlog>>> requeue(std::vector<std::string> ids);
    // Delivery rows of a session for its member as well, or instead.
    Task<Result<void>> share(Sharing sharing);

    Task<Result<std::optional<EnvelopeStatus>>> status(std::string mesh_id, std::string id);
    // Not settled and not expired, of all meshes.
    Task<Result<std::int64_t>> depth(UnixMillis now);
    // Keys that more than `limit` direct envelopes are queued for. Reads the whole queue.
    Task<Result<std::vector<Backlog>>> backlogs(std::int64_t limit);

    // After a start: envelopes to many whose pushes were under way when the process ended. Returns
    // how many parts were put back into the queue. Sessions of before are over: what waits for one,
    // of envelopes to many, goes to its member. Only for a store that no other node uses.
    Task<Result<std::int64_t>> requeue_unsettled();
    // The same for one node that is gone, and for those that nobody knows any more.
    [[nodiscard]] static Result<void> requeue_of_node(storage::Transaction& tx,
                                                      const std::string& node);
    // One batch of expired and long settled envelopes with a sequence above `after`; returns the
    // last sequence looked at, 0 when the end was reached.
    Task<Result<Sequence>> trim(Sequence after, UnixMillis now);

  private:
    storage::Database& database_;
    QueuePolicy policy_;
    SharedListUses shared_lists_;
};

}  // namespace nave::broker
