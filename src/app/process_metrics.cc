#include "app/process_metrics.h"

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

}  // namespace

struct ProcessMetrics::State {
    struct Store {
        storage::Database* database;
        Gauge healthy, queued;
        Gauge commits, writes, retries, reconnects, refused, timed_out;
    };
    const net::HttpServer* server = nullptr;
    const bus::Bus* bus = nullptr;
    Gauge connections, accepted, refused_full, timeouts_head, timeouts_body, timeouts_write,
        malformed, resident, cpu;
    Gauge bus_connected, bus_subscriptions, bus_queued, bus_published, bus_gaps, bus_refused_full,
        bus_refused_large, bus_refused_topic;
    std::vector<Store> stores;

    void refresh() const {
        const net::ServerStats stats = server->stats();
        connections.set(static_cast<double>(stats.connections));
        accepted.set(static_cast<double>(stats.accepted));
        refused_full.set(static_cast<double>(stats.refused_full));
        timeouts_head.set(static_cast<double>(stats.timed_out_head));
        timeouts_body.set(static_cast<double>(stats.timed_out_body));
        timeouts_write.set(static_cast<double>(stats.timed_out_write));
        malformed.set(static_cast<double>(stats.malformed));
        resident.set(resident_bytes());
        cpu.set(cpu_seconds());
        refresh_bus();
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
    }
};

ProcessMetrics::ProcessMetrics(Metrics& metrics, const net::HttpServer& server, const bus::Bus& bus,
                               std::vector<std::pair<std::string, storage::Database*>> databases)
    : state_(std::make_shared<State>()) {
    State& s = *state_;
    s.server = &server;
    s.bus = &bus;
    s.declare_bus(metrics);
    s.connections = metrics.gauge("nave_http_connections", "Open client connections.");
    s.accepted = metrics.gauge("nave_http_connections_accepted", "Connections since start.");
    s.refused_full = metrics.gauge("nave_http_connections_refused",
                                   "Connections closed because too many were open, since start.");
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
