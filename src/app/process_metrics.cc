#include "app/process_metrics.h"

#include "net/websocket.h"

#include <cstdint>
#include <cstdio>
#include <memory>
#include <sys/resource.h>
#include <unistd.h>

namespace nave::app {
namespace {

double resident_bytes() {
    long pages = 0;
    long resident = 0;
    if (std::FILE* file = std::fopen("/proc/self/statm", "re")) {
        if (std::fscanf(file, "%ld %ld", &pages, &resident) != 2) {
            resident = 0;
        }
        std::fclose(file);
    }
    return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

double cpu_seconds() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// One gauge per counter of the WebSockets; `label` empty for a series of its own.
struct WebSocketSeries {
    const char* name;
    const char* help;
    const char* label;
    const char* label_value;
    std::uint64_t net::WebSocketStats::* counter;
};

using Stats = net::WebSocketStats;
constexpr const char* kMessages = "nave_websocket_messages";
constexpr const char* kMessagesHelp = "Messages received and queued, since start.";
constexpr const char* kBytes = "nave_websocket_bytes";
constexpr const char* kBytesHelp = "Bytes received and sent, since start.";
constexpr const char* kClosed = "nave_websocket_closed";
constexpr const char* kClosedHelp = "Sockets that ended, by the kind of close code, since start.";
constexpr const char* kTimeouts = "nave_websocket_timeouts";
constexpr const char* kTimeoutsHelp = "Sockets closed for being silent, since start.";
constexpr WebSocketSeries kWebSocketSeries[] = {
    {"nave_websocket_open", "Open WebSockets.", "", "", &Stats::open},
    {"nave_websocket_opened", "WebSockets since start.", "", "", &Stats::opened},
    {kMessages, kMessagesHelp, "direction", "in", &Stats::messages_in},
    {kMessages, kMessagesHelp, "direction", "out", &Stats::messages_out},
    {kBytes, kBytesHelp, "direction", "in", &Stats::bytes_in},
    {kBytes, kBytesHelp, "direction", "out", &Stats::bytes_out},
    {kClosed, kClosedHelp, "code", "normal", &Stats::closed_normal},
    {kClosed, kClosedHelp, "code", "protocol", &Stats::closed_protocol},
    {kClosed, kClosedHelp, "code", "policy", &Stats::closed_policy},
    {kClosed, kClosedHelp, "code", "too_big", &Stats::closed_too_big},
    {kClosed, kClosedHelp, "code", "error", &Stats::closed_error},
    {kClosed, kClosedHelp, "code", "overload", &Stats::closed_overload},
    {kClosed, kClosedHelp, "code", "application", &Stats::closed_application},
    {kClosed, kClosedHelp, "code", "lost", &Stats::closed_lost},
    {"nave_websocket_slow_consumers", "Peers that did not read in time, since start.", "", "",
     &Stats::slow_consumers},
    {kTimeouts, kTimeoutsHelp, "waiting_for", "pong", &Stats::timed_out_pong},
    {kTimeouts, kTimeoutsHelp, "waiting_for", "message", &Stats::timed_out_idle},
};

}  // namespace

struct ProcessMetrics::State {
    struct Store {
        storage::Database* database;
        Gauge healthy, queued;
        Gauge commits, writes, retries, reconnects, refused, timed_out;
    };
    const net::HttpServer* server = nullptr;
    const bus::Bus* bus = nullptr;
    Gauge connections, accepted, refused_full, refused_client, body_bytes, refused_bodies,
        timeouts_head, timeouts_body, timeouts_write, malformed, resident, cpu;
    Gauge bus_connected, bus_subscriptions, bus_queued, bus_published, bus_gaps, bus_refused_full,
        bus_refused_large, bus_refused_topic, bus_malformed;
    std::vector<Store> stores;
    std::vector<Gauge> websockets;  // of kWebSocketSeries, in its order

    void refresh() const {
        const net::ServerStats stats = server->stats();
        connections.set(static_cast<double>(stats.connections));
        accepted.set(static_cast<double>(stats.accepted));
        refused_full.set(static_cast<double>(stats.refused_full));
        refused_client.set(static_cast<double>(stats.refused_client));
        body_bytes.set(static_cast<double>(stats.body_bytes));
        refused_bodies.set(static_cast<double>(stats.refused_bodies));
        timeouts_head.set(static_cast<double>(stats.timed_out_head));
        timeouts_body.set(static_cast<double>(stats.timed_out_body));
        timeouts_write.set(static_cast<double>(stats.timed_out_write));
        malformed.set(static_cast<double>(stats.malformed));
        resident.set(resident_bytes());
        cpu.set(cpu_seconds());
        refresh_bus();
        const net::WebSocketStats sockets = server->websocket_stats();
        for (std::size_t i = 0; i < websockets.size(); ++i) {
            websockets[i].set(static_cast<double>(sockets.*kWebSocketSeries[i].counter));
        }
        for (const Store& store : stores) {
            const storage::DatabaseStats now = store.database->stats();
            store.healthy.set(store.database->trouble() ? 0 : 1);
            store.queued.set(static_cast<double>(now.queued));
            store.commits.set(static_cast<double>(now.commits));
            store.writes.set(static_cast<double>(now.writes));
            store.retries.set(static_cast<double>(now.retries));
            store.reconnects.set(static_cast<double>(now.reconnects));
            store.refused.set(static_cast<double>(now.refused_busy));
            store.timed_out.set(static_cast<double>(now.timed_out));
        }
    }

    void refresh_bus() const {
        const bus::BusStats now = bus->stats();
        bus_connected.set(bus->state() == bus::BusState::connected ? 1 : 0);
        bus_subscriptions.set(static_cast<double>(now.subscriptions));
        bus_queued.set(static_cast<double>(now.queued));
        bus_published.set(static_cast<double>(now.published));
        bus_gaps.set(static_cast<double>(now.gaps));
        bus_refused_full.set(static_cast<double>(now.refused_full));
        bus_refused_large.set(static_cast<double>(now.refused_too_large));
        bus_refused_topic.set(static_cast<double>(now.refused_topic));
        bus_malformed.set(static_cast<double>(now.malformed));
    }

    void declare_websockets(Metrics& metrics) {
        for (const WebSocketSeries& series : kWebSocketSeries) {
            const std::string label = series.label;
            const Labels labels = label.empty() ? Labels() : Labels{{label, series.label_value}};
            websockets.push_back(metrics.gauge(series.name, series.help, labels));
        }
    }

    void declare_bus(Metrics& metrics) {
        bus_connected =
            metrics.gauge("nave_bus_connected", "0 while other processes are not heard.");
        bus_subscriptions = metrics.gauge("nave_bus_subscriptions", "Handlers that listen.");
        bus_queued = metrics.gauge("nave_bus_queued", "Messages waiting for delivery.");
        bus_published = metrics.gauge("nave_bus_published", "Messages accepted, since start.");
        bus_gaps = metrics.gauge("nave_bus_gaps",
                                 "Times subscribers were told to read the database, since start.");
        const std::string refused = "nave_bus_refused";
        const std::string help = "Messages refused, since start.";
        bus_refused_full = metrics.gauge(refused, help, {{"reason", "full"}});
        bus_refused_large = metrics.gauge(refused, help, {{"reason", "too_large"}});
        bus_refused_topic = metrics.gauge(refused, help, {{"reason", "topic"}});
        bus_malformed = metrics.gauge(refused, help, {{"reason", "malformed"}});
    }
};

ProcessMetrics::ProcessMetrics(Metrics& metrics, const net::HttpServer& server, const bus::Bus& bus,
                               std::vector<std::pair<std::string, storage::Database*>> databases)
    : state_(std::make_shared<State>()) {
    State& s = *state_;
    s.server = &server;
    s.bus = &bus;
    s.declare_bus(metrics);
    s.declare_websockets(metrics);
    s.connections = metrics.gauge("nave_http_connections", "Open client connections.");
    s.accepted = metrics.gauge("nave_http_connections_accepted", "Connections since start.");
    s.refused_full = metrics.gauge("nave_http_connections_refused",
                                   "Connections closed because too many were open, since start.");
    s.refused_client =
        metrics.gauge("nave_http_connections_refused_client",
                      "Connections closed because their client had too many open, since start.");
    s.body_bytes = metrics.gauge("nave_http_body_bytes",
                                 "Request bodies in memory, arriving or being handled.");
    s.refused_bodies =
        metrics.gauge("nave_http_bodies_refused",
                      "Requests refused because bodies took all the memory they may, since start.");
    const std::string timeouts = "nave_http_timeouts";
    const std::string timeouts_help = "Connections closed for being slow, since start.";
    s.timeouts_head = metrics.gauge(timeouts, timeouts_help, {{"phase", "head"}});
    s.timeouts_body = metrics.gauge(timeouts, timeouts_help, {{"phase", "body"}});
    s.timeouts_write = metrics.gauge(timeouts, timeouts_help, {{"phase", "write"}});
    s.malformed =
        metrics.gauge("nave_http_malformed_requests", "Requests that are not HTTP, since start.");
    s.resident = metrics.gauge("process_resident_memory_bytes", "Resident memory.");
    s.cpu = metrics.gauge("process_cpu_seconds_total", "Processor time since start.");
    for (const auto& [name, database] : databases) {
        const Labels labels{{"services", name}};
        s.stores.push_back(
            {database, metrics.gauge("nave_storage_healthy", "1 when usable.", labels),
             metrics.gauge("nave_storage_queued", "Operations waiting.", labels),
             metrics.gauge("nave_storage_commits", "Commits since start.", labels),
             metrics.gauge("nave_storage_writes", "Write operations in those commits.", labels),
             metrics.gauge("nave_storage_retries", "Operations repeated after a conflict.", labels),
             metrics.gauge("nave_storage_reconnects", "Reconnections.", labels),
             metrics.gauge("nave_storage_refused", "Operations refused because the queue was full.",
                           labels),
             metrics.gauge("nave_storage_timed_out", "Operations that missed their deadline.",
                           labels)});
    }
    metrics.before_exposition([weak = std::weak_ptr<State>(state_)] {
        if (const auto state = weak.lock()) {
            state->refresh();
        }
    });
}

ProcessMetrics::~ProcessMetrics() = default;

}  // namespace nave::app
