// Broker: what every connection and route of the service shares, and the life of presences: hello,
// reconnect, leave, status. No HTTP here. Loop thread only.
#pragma once

#include "base/clock.h"
#include "base/entropy.h"
#include "broker/audit_log.h"
#include "broker/config.h"
#include "broker/context_store.h"
#include "broker/delivery.h"
#include "broker/handshake.h"
#include "broker/memory_store.h"
#include "broker/mesh_store.h"
#include "broker/metrics.h"
#include "broker/overview_store.h"
#include "broker/queue_store.h"
#include "broker/registry.h"
#include "broker/schedule_store.h"
#include "broker/skill_store.h"
#include "broker/state_store.h"
#include "broker/streams.h"
#include "broker/work_store.h"
#include "net/rate_limit.h"
#include "runtime/log.h"
#include "runtime/task_group.h"
#include "runtime/worker_pool.h"

#include <deque>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace nave::broker {

class Cluster;
struct HelloStamp;
struct PresenceRow;

// What a hello says besides its proof.
struct Introduction {
    std::string mesh_id;
    std::string member_id;  // session_hello only: must be the parent's
    Profile profile;
    bool is_session = false;
};

struct Arrival {
    Presence* presence = nullptr;
    bool restored = false;
};

// Where a hook's status went.
struct HookOutcome {
    std::string presence_id;  // empty: kept for a peer that may connect soon
};

class Broker {
  public:
    Broker(Loop& loop, const Config& config, const Clock& clock, Entropy& entropy,
           WorkerPool& workers, storage::Database& database, TaskGroup& tasks, Logger& logger,
           ServiceMetrics& metrics);

    const Config& config;
    const Clock& clock;
    Entropy& entropy;
    TaskGroup& tasks;
    Logger& logger;
    ServiceMetrics& metrics;
    MeshStore meshes;
    StateStore states;
    MemoryStore memories;
    WorkStore work;
    OverviewStore overview;
    SkillStore skills;
    ContextStore contexts;
    ScheduleStore schedules;
    QueueStore queue;
    AuditStore audits;
    AuditLog audit;
    Registry registry;
    Streams streams;
    Delivery delivery;
    net::RateLimiter send_limiter;
    net::RateLimiter publish_limiter;  // of streams
    Cluster* cluster = nullptr;        // null: this process is the only node

    // Loads the mesh's members when they are not known yet; false when there is no such mesh.
    Task<Result<bool>> ensure_mesh(std::string mesh_id);
    // Every check of a hello but the shape of its fields; on success the presence is connected.
    // The database failing is the outer error.
    Task<Result<std::expected<Arrival, HelloRefusal>>> arrive(HelloProof proof,
                                                              Introduction introduction,
                                                              net::WebSocketPtr socket);
    // The same for a peer that has proved who it is: resumes its presence or makes one. Refuses
    // with `capacity` only.
    std::expected<Arrival, HelloRefusal> admit(const Member& member,
                                               const std::optional<Key>& session_key,
                                               Profile profile, net::WebSocketPtr socket);
    // The same as one of several nodes, where the database decides. `hello` is what the peer proved
    // itself by. Also refuses with `replayed`, and whom it is too late for.
    Task<Result<std::expected<Arrival, HelloRefusal>>> admit_among_nodes(
        Member member, std::optional<Key> session_key, std::optional<HelloStamp> hello,
        Profile profile, net::WebSocketPtr socket);
    [[nodiscard]] bool is_full(std::string_view mesh_id) const;
    // Whether a presence with the claimed key is there; nothing of the claim is verified.
    [[nodiscard]] bool may_resume(std::string_view mesh_id, const HelloProof& proof) const;
    // The socket is gone. With a lease the peer stays present for a while.
    void leave(Presence& presence);
    void set_status(Presence& presence, Status status, StatusSource source);
    // After the presence's groups have changed.
    void remember_groups(const Presence& presence);
    HookOutcome on_hook(std::int64_t pid, const std::string& cwd, Status status);
    [[nodiscard]] bool is_owner(const Member& member) const;
    // Members of role admin, and whoever holds the mesh's owner key.
    [[nodiscard]] bool is_admin(const Member& member) const;
    // Error "forbidden" for everybody else.
    [[nodiscard]] Result<void> require_admin(const Member& member) const;
    // By an admin. A peer that may return keeps its place as one that lost its connection does.
    void end_connection(Presence& presence, std::uint16_t close_code, std::string_view reason,
                        bool may_return);
    // Membership ended: closes the member's sockets with 4002.
    void revoke(const Member& member);
    void archive(std::string_view mesh_id);
    // Who an envelope is from: a member, the key it is answered to, its name at the time.
    struct Author {
        const Member& member;
        const Key& key;
        const std::string& name;
        std::int64_t ttl_seconds = 0;  // how long it may wait; 0: as long as any
    };
    // Id, author and times of an envelope that has its contents.
    void stamp(Envelope& envelope, const Author& author);
    // `stored` as it is or, where envelopes are audited, one that also records the stamped one.
    [[nodiscard]] Delivery::Stored audited(const Envelope& envelope, Delivery::Stored stored);
    // To every connected peer of the mesh but one.
    void tell_others(const Presence& except, std::string_view text);
    // Of those, the ones of this node; `except` may be null.
    void tell_here(std::string_view mesh_id, const Presence* except, const net::SharedFrame& frame);
    // To the subscribers of a stream; false when there is no room for it.
    [[nodiscard]] bool publish(const Presence& publisher, const std::string& stream,
                               std::string_view text);
    // After a presence's profile has changed.
    void changed(Presence& presence);
    // A presence that another node has ended.
    void end(Presence& presence, std::uint16_t code, std::string_view reason);

    // Calls `give_up` in a while, once: the socket may have said no hello by then.
    void limit_hello(std::move_only_function<void()> give_up);
    // Once a second: sockets without hello, leases that ended, overdue statuses, spent hook
    // signals, envelopes to push again. Returns how many statuses became idle.
    void sweep();
    // Before the process stops: sockets closed 1001, nothing new is begun, and what is under way
    // is finished until the deadline.
    Task<void> shut_down(std::chrono::milliseconds deadline);
    [[nodiscard]] bool stopping() const { return stopping_; }

  private:
    [[nodiscard]] HelloRefusal refusal_of_stranger(std::string_view mesh_id,
                                                   const HelloProof& proof) const;
    [[nodiscard]] Presence* to_resume(const Member& member, const std::optional<Key>& session_key,
                                      std::string_view session_id) const;
    void replace_session(const Presence& arriving);
    void share_with(const Presence& arriving);
    [[nodiscard]] Sharing sharing_of(const Presence& session) const;
    static void add_seen(Sharing& sharing, const Presence& by);
    void apply_pending(Presence& presence);
    void depart(Presence& presence);
    void remove(Presence& presence);
    [[nodiscard]] PresencePtr make_presence(const Member& member,
                                            const std::optional<Key>& session_key, Profile profile,
                                            net::WebSocketPtr socket);
    Presence& settle_in(PresencePtr presence, bool is_new);
    void take_over(Presence& presence, const PresenceRow& row, net::WebSocketPtr socket);
    Task<Result<const Member*>> find_newcomer(std::string mesh_id, Key key);

    Loop& loop_;
    WorkerPool& workers_;
    bool stopping_ = false;
    struct AwaitedHello {
        SteadyTime until;
        std::move_only_function<void()> give_up;
    };
    std::deque<AwaitedHello> awaited_hellos_;
    ReplayGuard replays_;
    std::set<std::string> arriving_;  // members, among nodes
    std::vector<PendingStatus> pending_;
    UnixMillis last_ttl_sweep_ = 0;
};

}  // namespace nave::broker
