#include "broker/observer.h"

#include "base/json_writer.h"
#include "broker/running.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

namespace nave::broker {
namespace {

enum Counted : std::size_t { pushed, settled, redelivered, rejected, refused };
enum Gauged : std::size_t { queue_depth, connected };

// A reading takes at most this part of the time, however long the queue is.
constexpr int kRestPerReading = 20;

std::int64_t sum_of(const ReasonCounts& counts) {
    std::int64_t sum = 0;
    for (const auto& [reason, count] : counts) {
        sum += count;
    }
    return sum;
}

}  // namespace

// One event on the feed, made member by member.
class Observer::Event {
  public:
    Event(std::string_view type, UnixMillis at)
        : type_(type), text_(fmt::format(R"({{"ts":{},"type":"{}")", at, type)) {}

    Event& text(std::string_view name, std::string_view value) {
        fmt::format_to(std::back_inserter(text_), R"(,"{}":)", name);
        json::append_quoted(text_, value);
        return *this;
    }
    Event& integer(std::string_view name, std::int64_t value) {
        fmt::format_to(std::back_inserter(text_), R"(,"{}":{})", name, value);
        return *this;
    }
    Event& peer(std::string_view mesh, std::string_view name, std::string_view key) {
        return text("mesh", mesh).text("name", name).text("key", key);
    }
    [[nodiscard]] std::string_view type() const { return type_; }
    [[nodiscard]] std::string json() const { return text_ + "}"; }

  private:
    std::string_view type_;
    std::string text_;
};

Observer::Observer(Broker& broker, storage::Database& database, ServerIdentity identity)
    : broker_(broker),
      database_(database),
      identity_(std::move(identity)),
      // A thousand events a millisecond would have to happen for two processes to share an id.
      feed_(net::SseLimits{.ids_after = static_cast<std::uint64_t>(broker.clock.now()) * 1000}),
      history_(broker.clock, {"pushed", "settled", "redelivered", "rejected", "refused"},
               {"queueDepth", "connected"}),
      totals_(broker.metrics.totals()) {}

void Observer::publish(const Event& event) {
    if (events_left_ == 0) {
        ++events_skipped_;
        return;
    }
    --events_left_;
    feed_.publish(event.type(), event.json());
}

std::string Observer::slug_of(const std::string& mesh_id) const {
    const Mesh* mesh = broker_.registry.mesh(mesh_id);
    return mesh == nullptr ? mesh_id : mesh->slug;
}

// ---- what is read from the database ----

Task<Result<void>> Observer::refresh(std::chrono::milliseconds age) {
    const SteadyTime began = broker_.clock.steady();
    const UnixMillis now = broker_.clock.now();
    const bool is_recent = read_at_ && now >= *read_at_ && now - *read_at_ < age.count();
    if (reading_ || is_recent || began < next_read_) {
        co_return ok();
    }
    const Running running(reading_);
    CO_TRY(auto meshes, co_await broker_.meshes.list());
    CO_TRY(auto queues, co_await count_waiting(database_, now));
    std::erase_if(meshes, [](const Mesh& mesh) { return mesh.archived_at.has_value(); });
    if (read_at_) {
        tell_meshes(meshes);
    }
    meshes_ = std::move(meshes);
    queues_ = std::move(queues);
    read_at_ = now;
    const SteadyTime ended = broker_.clock.steady();
    next_read_ = ended + (ended - began) * kRestPerReading;
    co_return ok();
}

void Observer::tell_meshes(const std::vector<Mesh>& now) {
    const auto tell_missing = [this](const std::vector<Mesh>& of, const std::vector<Mesh>& in,
                                     std::string_view type) {
        std::set<std::string_view> known;
        for (const Mesh& mesh : in) {
            known.insert(mesh.id);
        }
        for (const Mesh& mesh : of) {
            if (!known.contains(mesh.id)) {
                publish(Event(type, broker_.clock.now())
                            .text("mesh", mesh.slug)
                            .text("name", mesh.name));
            }
        }
    };
    tell_missing(now, meshes_, "mesh_created");
    tell_missing(meshes_, now, "mesh_archived");
}

void Observer::on_backlogs(const std::vector<Backlog>& backlogs) {
    std::set<std::pair<std::string, Key>> now;
    for (const Backlog& backlog : backlogs) {
        now.emplace(backlog.mesh_id, backlog.key);
    }
    const auto tell = [this](const auto& entries, const auto& except, std::string_view type) {
        for (const auto& entry : entries) {
            if (!except.contains(entry)) {
                publish(Event(type, broker_.clock.now())
                            .text("mesh", slug_of(entry.first))
                            .text("key", key_prefix(entry.second)));
            }
        }
    };
    tell(now, over_limit_, "queue_over_limit");
    tell(over_limit_, now, "queue_below_limit");
    over_limit_ = std::move(now);
}

// ---- once a second ----

void Observer::tick() {
    ++tick_;
    events_left_ = kEventsPerTick;
    Changes changes;
    look_at_peers(changes);
    count_traffic();
    tell_storage();
    const UnixMillis now = broker_.clock.now();
    if (const std::size_t skipped = std::exchange(events_skipped_, 0); skipped > 0) {
        events_left_ = 1;
        publish(Event("more", now).integer("count", static_cast<std::int64_t>(skipped)));
        events_left_ = kEventsPerTick;
    }
    if (feed_.clients() == 0) {
        return;
    }
    std::string text;
    json::ObjectWriter writer(text);
    writer.integer("ts", now);
    writer.integer("tick", static_cast<std::int64_t>(tick_));
    writer.raw("figures", figures_json());
    writer.raw("meshes", changed_mesh_rows());
    writer.raw("peers", "[" + changes.rows + "]");
    writer.raw("gone", "[" + changes.gone + "]");
    writer.close();
    feed_.tell("tick", text);
}

void Observer::look_at_peers(Changes& changes) {
    const UnixMillis now = broker_.clock.now();
    const bool is_watched = feed_.clients() > 0;
    broker_.registry.each([&](Presence& peer) {
        const PeerSight sight = sight_of(peer, broker_.config.delivery, now);
        const auto [place, is_new] = seen_.try_emplace(peer.id);
        Seen& seen = place->second;
        if (is_new) {
            seen = {slug_of(peer.mesh_id), name_of(peer), key_prefix(peer.key()), sight};
            publish(Event("peer_joined", now).peer(seen.mesh, seen.name, seen.key));
            if (!sight.connected) {
                publish(Event("peer_disconnected", now).peer(seen.mesh, seen.name, seen.key));
            }
        } else if (seen.sight != sight) {
            tell_changes(peer, seen, sight);
            seen.sight = sight;
            seen.told = false;
        }
        seen.tick = tick_;
        if (!is_watched) {
            // Whoever comes to watch begins with a state, which shows the peer as it is.
            seen.told = true;
        } else if (!seen.told && changes.row_count < kRowsPerTick) {
            changes.rows.append(changes.row_count++ == 0 ? "" : ",");
            append_peer(changes.rows, peer, sight, seen.mesh);
            seen.told = true;
        }
    });
    std::erase_if(seen_, [&](const auto& entry) {
        const auto& [id, seen] = entry;
        if (seen.tick == tick_) {
            return false;
        }
        publish(Event("peer_left", now).peer(seen.mesh, seen.name, seen.key));
        if (changes.gone_count < kPeersListed) {
            changes.gone.append(changes.gone_count++ == 0 ? "\"" : ",\"").append(id).append("\"");
        }
        return true;
    });
}

void Observer::tell_changes(const Presence& peer, const Seen& before, const PeerSight& now) {
    const PeerSight& was = before.sight;
    const UnixMillis at = broker_.clock.now();
    const auto event = [&](std::string_view type) {
        return Event(type, at).peer(before.mesh, name_of(peer), before.key);
    };
    if (was.connected && !now.connected) {
        publish(event("peer_disconnected"));
    } else if (now.connected && (!was.connected || was.connection != now.connection)) {
        publish(event("peer_returned"));
    }
    if (was.status != now.status) {
        publish(event("status_changed")
                    .text("status", status_name(now.status))
                    .text("before", status_name(was.status))
                    .text("source", source_name(now.source)));
    }
    if (was.slow != now.slow && now.connected) {
        publish(event(now.slow ? "slow_consumer" : "slow_consumer_over")
                    .integer("inFlight", static_cast<std::int64_t>(now.in_flight))
                    .integer("buffered", static_cast<std::int64_t>(now.buffered)));
    }
}

void Observer::count_traffic() {
    const ServiceTotals before = std::exchange(totals_, broker_.metrics.totals());
    history_.add(pushed, totals_.pushed - before.pushed);
    history_.add(settled, totals_.settled - before.settled);
    history_.add(redelivered, totals_.redelivered - before.redelivered);
    history_.add(rejected, sum_of(totals_.rejected) - sum_of(before.rejected));
    history_.add(refused, sum_of(totals_.refused) - sum_of(before.refused));
    std::int64_t there = 0;
    for (const auto& [mesh, count] : count_peers()) {
        there += static_cast<std::int64_t>(count.connected);
    }
    history_.set(connected, there);
    if (read_at_) {
        std::int64_t depth = 0;
        for (const auto& [mesh, queue] : queues_) {
            depth += queue.envelopes;
        }
        history_.set(queue_depth, depth);
    }
    const auto tell = [this](const ReasonCounts& now, const ReasonCounts& then,
                             std::string_view type) {
        for (std::size_t i = 0; i < now.size(); ++i) {
            if (const std::int64_t more = now.at(i).second - then.at(i).second; more > 0) {
                publish(Event(type, broker_.clock.now())
                            .text("reason", now.at(i).first)
                            .integer("count", more));
            }
        }
    };
    tell(totals_.refused, before.refused, "hello_refused");
    tell(totals_.rejected, before.rejected, "messages_rejected");
}

void Observer::tell_storage() {
    const bool healthy = !database_.trouble().has_value();
    if (healthy != std::exchange(was_healthy_, healthy)) {
        publish(Event(healthy ? "storage_healthy" : "storage_failing", broker_.clock.now()));
    }
}

}  // namespace nave::broker
