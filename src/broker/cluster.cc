#include "broker/cluster.h"

#include "broker/broker.h"
#include "broker/running.h"

#include <algorithm>
#include <utility>

namespace nave::broker {
namespace {

constexpr std::chrono::milliseconds kBeat{2'000};
constexpr std::chrono::milliseconds kTick{250};
constexpr std::chrono::milliseconds kPoll{5'000};
constexpr std::chrono::milliseconds kPollDegraded{1'000};
constexpr std::chrono::milliseconds kRead{10'000};
constexpr std::chrono::milliseconds kReadDegraded{1'000};
constexpr std::chrono::milliseconds kRetry{1'000};
constexpr std::chrono::seconds kTombstone{60};
constexpr std::size_t kWakesMax = 1'000;  // in one message
constexpr std::string_view kAllTopic = "broker:nodes";
constexpr std::int64_t kForGood = INT64_MAX;

std::string topic_of(std::string_view node) {
    return "broker:node:" + std::string(node);
}

}  // namespace

Cluster::Cluster(Broker& broker, Loop& loop, storage::Database& database, bus::Bus& bus,
                 std::string node)
    : broker_(broker), loop_(loop), bus_(bus), node_(std::move(node)), store_(database, node_) {}

// ---- start and stop ----

Task<Result<void>> Cluster::begin() {
    const auto hear = [this](std::string_view, std::string_view payload) { on_message(payload); };
    CO_TRY(all_, bus_.subscribe(std::string(kAllTopic), hear, [this] { on_gap(); }));
    CO_TRY(own_, bus_.subscribe(topic_of(node_), hear, [this] { on_gap(); }));
    CO_TRY_VOID(co_await store_.register_node({}));
    co_return ok();
}

void Cluster::start() {
    broker_.tasks.spawn("node beat", beat());
    broker_.tasks.spawn("node look", look());
}

Task<void> Cluster::stop() {
    stopped_ = true;
    all_.reset();
    own_.reset();
    const auto buried = co_await store_.bury_self();
    if (!buried) {
        broker_.logger.failure(LogLevel::warn, "cannot take this node out of the database",
                               buried.error());
        co_return;
    }
    publish(std::string(kAllTopic), {node_, BuriedMessage{node_}});
}

// ---- saying ----

void Cluster::publish(const std::string& topic, const NodeMessage& message) {
    // Refused ones are heard of as a gap; what is larger than the bus takes was worth little.
    (void)bus_.publish(topic, to_text(message));
}

PresenceRow Cluster::row_of(const Presence& presence) const {
    PresenceRow row;
    row.id = presence.id;
    row.node = presence.remote() ? presence.node : node_;
    row.mesh_id = presence.mesh_id;
    row.member_id = presence.member.id;
    row.member_key = presence.member.key;
    row.session_key = presence.session_key;
    row.profile = presence.profile;
    row.status = presence.status;
    row.connected_at = presence.connected_at;
    row.lease_ends_at = presence.lease_ends_at;
    row.version = presence.version;
    row.arrivals = presence.arrivals;
    return row;
}

void Cluster::tell(const Presence& except, std::string_view text) {
    publish(std::string(kAllTopic), {node_, TellMessage{except.mesh_id, std::string(text)}});
}

void Cluster::publish_stream(const Presence& publisher, const std::string& stream,
                             std::string_view text) {
    publish(std::string(kAllTopic),
            {node_, StreamMessage{publisher.id, stream, std::string(text)}});
}

void Cluster::acknowledge(const Presence& presence, std::vector<std::string> message_ids) {
    publish(topic_of(presence.node), {node_, AckMessage{presence.id, std::move(message_ids)}});
}

void Cluster::end_elsewhere(const Presence& presence, EndMessage end) {
    publish(topic_of(presence.node), {node_, std::move(end)});
}

// Many envelopes of one turn share a wake.
void Cluster::wake(const Presence& presence) {
    if (stopped_) {
        return;  // nothing of this node may run much longer; the others poll
    }
    wakes_[presence.node].insert(presence.id);
    if (!std::exchange(flushing_wakes_, true)) {
        loop_.post([this] { flush_wakes(); });
    }
}

void Cluster::flush_wakes() {
    flushing_wakes_ = false;
    for (auto& [node, ids] : std::exchange(wakes_, {})) {
        while (!ids.empty()) {
            WakeMessage wake;
            while (!ids.empty() && wake.ids.size() < kWakesMax) {
                wake.ids.push_back(std::move(ids.extract(ids.begin()).value()));
            }
            publish(topic_of(node), {node_, std::move(wake)});
        }
    }
}

// ---- presences of this node ----

Task<Result<ArrivalOutcome>> Cluster::arrive(ArrivalRequest request) {
    return store_.arrive(std::move(request));
}

void Cluster::arrived(const Presence& presence, const std::vector<PresenceRow>& ended) {
    for (const PresenceRow& row : ended) {
        publish(std::string(kAllTopic), {node_, GoneMessage{row.id}});
        end_here(row.id);
    }
    publish(std::string(kAllTopic), {node_, PutMessage{row_of(presence)}});
    // Others may be storing for it what they believe to be for nobody.
    until_poll_ = std::min(until_poll_, kTick);
    if (degraded()) {
        // What the peer sent elsewhere before may not have been read here yet; what it sends now
        // must not overtake it.
        for (Presence* peer : broker_.registry.in_mesh(presence.mesh_id)) {
            wake_here(peer->id);
        }
    }
}

void Cluster::changed(Presence& presence) {
    if (!presence.gone && !presence.remote()) {
        dirty_.insert_or_assign(presence.id, PresencePtr(&presence));
        start_writing();
    }
}

void Cluster::departed(const Presence& presence) {
    dirty_.erase(presence.id);
    if (!presence.remote()) {
        gone_.insert_or_assign(presence.id, presence.arrivals);
        start_writing();
    }
}

void Cluster::start_writing() {
    // A node that stops takes all its presences along.
    if (!writing_ && !stopped_ && !broker_.stopping()) {
        writing_ = true;
        broker_.tasks.spawn("presence changes", write_changes());
    }
}

Task<void> Cluster::write_changes() {
    const Running running(writing_);
    while (!dirty_.empty() || !gone_.empty()) {
        const auto dirty = std::exchange(dirty_, {});
        const auto gone = std::exchange(gone_, {});
        std::vector<PresenceRow> rows;
        std::vector<PresencePtr> presences;
        for (const auto& [id, presence] : dirty) {
            rows.push_back(row_of(*presence));
            presences.push_back(presence);
        }
        std::vector<Departure> departures;
        for (const auto& [id, arrivals] : gone) {
            departures.push_back({id, arrivals});
        }
        const auto outcome = co_await store_.change(std::move(rows), std::move(departures));
        if (!outcome) {
            note_failure(outcome.error());
            dirty_.insert(dirty.begin(), dirty.end());
            gone_.insert(gone.begin(), gone.end());
            co_await loop_.sleep(kRetry);
            continue;
        }
        for (const std::string& id : outcome->deleted) {
            tombstones_.insert_or_assign(id, Tombstone{kForGood, broker_.clock.steady()});
            publish(std::string(kAllTopic), {node_, GoneMessage{id}});
        }
        for (std::size_t i = 0; i < presences.size(); ++i) {
            Presence& presence = *presences[i];
            if (!outcome->versions[i]) {
                until_read_ = Time{0};  // taken over, or buried
            } else if (!presence.gone && !presence.remote()) {
                presence.version = std::max(presence.version, *outcome->versions[i]);
                publish(std::string(kAllTopic), {node_, PutMessage{row_of(presence)}});
            }
        }
    }
}

// ---- hearing ----

void Cluster::on_message(std::string_view payload) {
    auto message = parse_node_message(payload);
    if (!message || message->from == node_ || stopped_) {
        return;
    }
    if (const auto* put = std::get_if<PutMessage>(&message->body)) {
        apply(put->row);
    } else if (const auto* gone = std::get_if<GoneMessage>(&message->body)) {
        remove_remote(gone->id, kForGood);
        end_here(gone->id);
    } else if (const auto* buried = std::get_if<BuriedMessage>(&message->body)) {
        if (buried->node == node_) {
            beat_now_ = true;
        } else {
            bury_in_memory(buried->node);
        }
    } else if (const auto* wake = std::get_if<WakeMessage>(&message->body)) {
        std::ranges::for_each(wake->ids, [this](const std::string& id) { wake_here(id); });
    } else if (const auto* tell = std::get_if<TellMessage>(&message->body)) {
        broker_.tell_here(tell->mesh_id, nullptr, net::SharedFrame::text(tell->text));
    } else if (const auto* stream = std::get_if<StreamMessage>(&message->body)) {
        const Presence* publisher = broker_.registry.find(stream->publisher);
        if (publisher != nullptr) {
            (void)broker_.streams.publish(*publisher, stream->stream,
                                          net::SharedFrame::text(stream->text));
        }
    } else if (const auto* end = std::get_if<EndMessage>(&message->body)) {
        Presence* presence = broker_.registry.find(end->id);
        if (presence != nullptr && !presence->remote()) {
            broker_.end_connection(*presence, end->close_code, end->reason, end->may_return);
        }
    } else if (const auto* ack = std::get_if<AckMessage>(&message->body)) {
        Presence* presence = broker_.registry.find(ack->id);
        if (presence != nullptr && presence->connected()) {
            for (const std::string& id : ack->message_ids) {
                broker_.delivery.on_ack(*presence, id, {});
            }
        }
    }
}

void Cluster::on_gap() {
    until_poll_ = Time{0};
    until_read_ = Time{0};
}

void Cluster::wake_here(const std::string& id) {
    Presence* presence = broker_.registry.find(id);
    if (presence == nullptr || presence->remote()) {
        return;
    }
    // What waits there comes before what is pushed from now on.
    for (QueuePosition& position : presence->positions) {
        position.caught_up = false;
    }
    broker_.delivery.wake(*presence);
}

void Cluster::apply(const PresenceRow& row) {
    Registry& registry = broker_.registry;
    if (!registry.knows_mesh(row.mesh_id)) {
        return;
    }
    const auto grave = tombstones_.find(row.id);
    if (grave != tombstones_.end() && row.version <= grave->second.version) {
        return;
    }
    Presence* known = registry.find(row.id);
    if (known != nullptr && row.version <= known->version) {
        known->heard = ++news_;
        return;
    }
    if (row.node == node_) {
        return;  // this node's own word counts
    }
    if (known == nullptr) {
        const Member* member = registry.member_by_id(row.mesh_id, row.member_id);
        if (member == nullptr) {
            // It has just joined, elsewhere: the mesh watch is about to notice.
            until_read_ = std::min(until_read_, kReadDegraded);
            return;
        }
        PresencePtr made(new Presence);
        made->id = row.id;
        made->mesh_id = row.mesh_id;
        made->member = *member;
        made->session_key = row.session_key;
        made->profile = row.profile;
        made->connected_at = row.connected_at;
        made->node = row.node;
        known = &registry.add(std::move(made));
    } else if (!known->remote()) {
        lose(*known);
    }
    update_remote(*known, row);
}

void Cluster::update_remote(Presence& presence, const PresenceRow& row) {
    presence.node = row.node;
    presence.version = row.version;
    presence.arrivals = row.arrivals;
    presence.heard = ++news_;
    presence.status = row.status;
    presence.lease_ends_at = row.lease_ends_at;
    std::string directory = std::move(presence.profile.cwd);  // the registry finds it by that
    presence.profile = row.profile;
    presence.profile.cwd = std::move(directory);
    // What is sent to a group while its members are away is for those that were in it last.
    const Member* member = broker_.registry.member_by_id(presence.mesh_id, presence.member.id);
    if (member != nullptr && member->default_groups != row.profile.groups) {
        Member changed = *member;
        changed.default_groups = row.profile.groups;
        broker_.registry.add_member(std::move(changed));
    }
}

// The peer has come back at another node: this one's socket is over, and the presence goes on
// there.
void Cluster::lose(Presence& presence) {
    dirty_.erase(presence.id);
    if (!presence.connected()) {
        return;
    }
    const net::WebSocketPtr former = presence.socket;
    broker_.delivery.on_disconnect(presence);
    broker_.registry.set_disconnected(presence, broker_.clock.now());
    presence.lease_ends_at.reset();
    former->close(net::ws_close::kNormal, "session_replaced");
}

void Cluster::forget(Presence& presence) {
    broker_.streams.on_depart(presence);
    broker_.registry.remove(presence);
}

void Cluster::remove_remote(const std::string& id, std::int64_t version) {
    tombstones_.insert_or_assign(id, Tombstone{version, broker_.clock.steady()});
    Presence* presence = broker_.registry.find(id);
    if (presence != nullptr && presence->remote()) {
        forget(*presence);
    }
}

void Cluster::end_here(const std::string& id) {
    Presence* presence = broker_.registry.find(id);
    if (presence != nullptr && !presence->remote()) {
        broker_.end(*presence, net::ws_close::kNormal, "session_replaced");
    } else if (presence != nullptr) {
        remove_remote(id, kForGood);
    }
}

void Cluster::bury_in_memory(const std::string& node) {
    std::vector<std::pair<std::string, std::int64_t>> presences;
    broker_.registry.each([&](const Presence& presence) {
        if (presence.node == node) {
            presences.emplace_back(presence.id, presence.version);
        }
    });
    for (const auto& [id, version] : presences) {
        remove_remote(id, version);
    }
    until_poll_ = Time{0};
}

// ---- reading the database ----

void Cluster::note_failure(const Error& error) {
    if (!std::exchange(failing_, true)) {
        broker_.logger.failure(LogLevel::warn, "cannot keep up with the other nodes", error);
    }
}

Task<Result<void>> Cluster::learn(std::string mesh_id) {
    CO_TRY(const auto rows, co_await store_.all(std::move(mesh_id)));
    for (const PresenceRow& row : rows) {
        apply(row);
    }
    co_return ok();
}

Task<Result<void>> Cluster::read_presences() {
    const std::uint64_t before = news_;
    CO_TRY(const auto rows, co_await store_.all({}));
    std::unordered_map<std::string_view, const PresenceRow*> found;
    for (const PresenceRow& row : rows) {
        found.emplace(row.id, &row);
        apply(row);
    }
    std::vector<std::string> gone;
    broker_.registry.each([&](const Presence& presence) {
        if (presence.remote() && presence.heard <= before && !found.contains(presence.id)) {
            gone.push_back(presence.id);
        }
    });
    for (const std::string& id : gone) {
        forget(*broker_.registry.find(id));
    }
    co_return ok();
}

Task<Result<void>> Cluster::poll() {
    CO_TRY(const auto ids, co_await store_.with_work(broker_.clock.now()));
    for (const std::string& id : ids) {
        wake_here(id);
    }
    co_return ok();
}

// Others took this node for dead: its presences are registered again, but for those whose peers
// have come back elsewhere, and everything that waits for them is read again.
Task<Result<void>> Cluster::register_again() {
    std::vector<PresenceRow> rows;
    broker_.registry.each([&](Presence& presence) {
        if (!presence.remote()) {
            presence.version += 1;
            rows.push_back(row_of(presence));
        }
    });
    const std::vector<PresenceRow> told = rows;
    CO_TRY(const auto lost, co_await store_.register_node(std::move(rows)));
    broker_.logger.warn("this node was taken for dead and is back",
                        {{"presences", told.size()}, {"lost", lost.size()}});
    for (const std::string& id : lost) {
        end_here(id);
    }
    for (const PresenceRow& row : told) {
        if (broker_.registry.find(row.id) != nullptr) {
            publish(std::string(kAllTopic), {node_, PutMessage{row}});
            wake_here(row.id);
        }
    }
    on_gap();
    co_return ok();
}

Task<void> Cluster::beat() {
    Time waited = kBeat;
    for (;; waited += kTick) {
        if (waited < kBeat && !beat_now_) {
            co_await loop_.sleep(kTick);
            continue;
        }
        waited = Time{0};
        beat_now_ = false;
        const auto beat = co_await store_.beat(degraded(), broker_.clock.now());
        if (stopped_) {
            co_return;
        }
        if (!beat) {
            note_failure(beat.error());
        } else if (!beat->registered) {
            if (const auto done = co_await register_again(); !done) {
                note_failure(done.error());
            }
        } else {
            failing_ = false;
            others_degraded_ = beat->others_degraded;
            for (const std::string& node : beat->buried) {
                broker_.logger.warn("a node is gone", {{"node", node}});
                publish(std::string(kAllTopic), {node_, BuriedMessage{node}});
                bury_in_memory(node);
            }
        }
        co_await loop_.sleep(kTick);
    }
}

Task<void> Cluster::look() {
    for (;;) {
        co_await loop_.sleep(kTick);
        const bool polls = degraded() || others_degraded_;
        until_poll_ = std::min(until_poll_, polls ? kPollDegraded : kPoll) - kTick;
        until_read_ = std::min(until_read_, polls ? kReadDegraded : kRead) - kTick;
        if (until_poll_ <= Time{0}) {
            until_poll_ = kPoll;
            if (const auto done = co_await poll(); !done) {
                note_failure(done.error());
            }
        }
        if (until_read_ <= Time{0}) {
            until_read_ = kRead;
            if (const auto done = co_await read_presences(); !done) {
                note_failure(done.error());
            }
        }
        const SteadyTime now = broker_.clock.steady();
        std::erase_if(tombstones_,
                      [&](const auto& entry) { return now - entry.second.at > kTombstone; });
    }
}

}  // namespace nave::broker
