// The observer's state and figures as JSON.
#include "base/json_writer.h"
#include "broker/observer.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace nave::broker {
namespace {

std::string reasons_json(const ReasonCounts& counts) {
    std::string out;
    json::ObjectWriter writer(out);
    for (const auto& [reason, count] : counts) {
        writer.integer(reason, count);
    }
    writer.close();
    return out;
}

std::string storage_json(const storage::Database& database) {
    const auto trouble = database.trouble();
    std::string out;
    json::ObjectWriter writer(out);
    writer.plain("kind", database.dialect() == storage::Dialect::sqlite ? "sqlite" : "postgres");
    writer.boolean("healthy", !trouble.has_value());
    if (trouble) {
        writer.text("trouble", *trouble);
    } else {
        writer.raw("trouble", "null");
    }
    writer.close();
    return out;
}

std::string time_or_null(const std::optional<UnixMillis>& at) {
    return at ? fmt::format("{}", *at) : "null";
}

std::int64_t as_integer(std::size_t count) {
    return static_cast<std::int64_t>(count);
}

}  // namespace

std::map<std::string, MeshCount> Observer::count_peers() const {
    std::map<std::string, MeshCount> counts;
    broker_.registry.each([&](const Presence& peer) {
        MeshCount& count = counts[peer.mesh_id];
        count.connected += peer.is_there() ? 1 : 0;
        count.leased += peer.is_there() ? 0 : 1;
    });
    return counts;
}

std::string Observer::figures_json() const {
    MeshCount peers;
    for (const auto& [mesh, count] : count_peers()) {
        peers.connected += count.connected;
        peers.leased += count.leased;
    }
    std::int64_t depth = 0;
    std::optional<UnixMillis> oldest;
    for (const auto& [mesh, queue] : queues_) {
        depth += queue.envelopes;
        oldest = std::min(oldest.value_or(queue.oldest_at), queue.oldest_at);
    }
    const ServiceTotals totals = broker_.metrics.totals();
    std::string out;
    json::ObjectWriter writer(out);
    writer.integer("meshes", as_integer(meshes_.size()));
    writer.integer("connected", as_integer(peers.connected));
    writer.integer("leased", as_integer(peers.leased));
    writer.integer("queueDepth", depth);
    writer.raw("oldestAt", time_or_null(oldest));
    writer.raw("countedAt", time_or_null(read_at_));
    writer.integer("overLimit", as_integer(over_limit_.size()));
    writer.integer("storing", as_integer(broker_.delivery.waiting()));
    writer.integer("sockets", totals.sockets);
    writer.integer("pushed", totals.pushed);
    writer.integer("settled", totals.settled);
    writer.integer("redelivered", totals.redelivered);
    writer.raw("rejected", reasons_json(totals.rejected));
    writer.raw("refused", reasons_json(totals.refused));
    writer.raw("storage", storage_json(database_));
    writer.integer("observers", as_integer(feed_.clients()));
    writer.close();
    return out;
}

std::string Observer::limits_json() const {
    const Config& config = broker_.config;
    std::string out;
    json::ObjectWriter writer(out);
    writer.integer("peersPerMesh", as_integer(config.connections_per_mesh_max));
    writer.raw("sendsPerSecond", fmt::format("{}", config.send_rate.refill_per_second));
    writer.raw("sendBurst", fmt::format("{}", config.send_rate.burst));
    writer.integer("messageBytes", as_integer(config.message_bytes_max));
    writer.integer("inFlight", as_integer(config.delivery.in_flight_max));
    writer.integer("buffered", as_integer(config.delivery.buffered_max));
    writer.integer("queuedPerKey", config.delivery.queued_per_key_max);
    writer.integer("storing", as_integer(config.delivery.waiting_max));
    writer.close();
    return out;
}

// Those with peers or with something waiting first, then the newest.
std::vector<std::pair<std::string, std::string>> Observer::mesh_rows() const {
    const auto counts = count_peers();
    struct Row {
        const Mesh* mesh;
        MeshCount count;
        MeshQueue queue;
        bool is_busy;
    };
    std::vector<Row> rows;
    for (const Mesh& mesh : meshes_) {
        const auto count = counts.find(mesh.id);
        const auto queue = queues_.find(mesh.id);
        Row row{&mesh, {}, {}, count != counts.end() || queue != queues_.end()};
        row.count = count == counts.end() ? MeshCount() : count->second;
        row.queue = queue == queues_.end() ? MeshQueue() : queue->second;
        rows.push_back(row);
    }
    std::ranges::sort(rows, [](const Row& left, const Row& right) {
        return std::tuple(right.is_busy, right.mesh->created_at, left.mesh->id) <
               std::tuple(left.is_busy, left.mesh->created_at, right.mesh->id);
    });
    std::vector<std::pair<std::string, std::string>> listed;
    for (std::size_t i = 0; i < rows.size() && i < kMeshesListed; ++i) {
        auto& [id, text] = listed.emplace_back(rows[i].mesh->id, std::string());
        append_mesh_row(text, *rows[i].mesh, rows[i].count, broker_.config.connections_per_mesh_max,
                        rows[i].queue);
    }
    return listed;
}

std::string Observer::changed_mesh_rows() {
    std::string out = "[";
    std::map<std::string, std::string> now;
    for (auto& [id, text] : mesh_rows()) {
        const auto before = mesh_rows_.find(id);
        if (before == mesh_rows_.end() || before->second != text) {
            out.append(out.size() > 1 ? "," : "").append(text);
        }
        now.emplace(std::move(id), std::move(text));
    }
    mesh_rows_ = std::move(now);
    out.push_back(']');
    return out;
}

std::string Observer::peer_rows_json() const {
    struct Row {
        const Presence* peer;
        PeerSight sight;
    };
    const UnixMillis now = broker_.clock.now();
    std::vector<Row> rows;
    broker_.registry.each([&](const Presence& peer) {
        rows.push_back({&peer, sight_of(peer, broker_.config.delivery, now)});
    });
    const auto listed = rows.begin() + std::min<std::ptrdiff_t>(std::ssize(rows), kPeersListed);
    std::ranges::partial_sort(rows, listed, [](const Row& left, const Row& right) {
        return std::tuple(!left.sight.slow, left.peer->connected_at,
                          std::string_view(left.peer->id)) <
               std::tuple(!right.sight.slow, right.peer->connected_at,
                          std::string_view(right.peer->id));
    });
    std::string out = "[";
    for (auto row = rows.begin(); row != listed; ++row) {
        out.append(row == rows.begin() ? "" : ",");
        append_peer(out, *row->peer, row->sight, slug_of(row->peer->mesh_id));
    }
    out.push_back(']');
    return out;
}

std::string Observer::state_json() const {
    std::string out;
    json::ObjectWriter writer(out);
    writer.plain("service", "broker");
    writer.text("version", identity_.version);
    writer.text("commit", identity_.commit);
    writer.plain("bootId", identity_.boot_id);
    writer.integer("startedAt", identity_.started_at);
    writer.integer("now", broker_.clock.now());
    writer.integer("lastEventId", static_cast<std::int64_t>(feed_.last_id()));
    writer.integer("tick", static_cast<std::int64_t>(tick_));
    writer.raw("figures", figures_json());
    writer.raw("limits", limits_json());
    std::string meshes = "[";
    for (const auto& [id, text] : mesh_rows()) {
        meshes.append(meshes.size() > 1 ? "," : "").append(text);
    }
    meshes.push_back(']');
    writer.raw("meshes", meshes);
    writer.raw("peers", peer_rows_json());
    std::string history;
    history_.append_json(history);
    writer.raw("history", history);
    writer.close();
    return out;
}

}  // namespace nave::broker
