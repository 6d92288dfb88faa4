#include "net/ws_core.h"

#include "base/check.h"
#include "net/server_core.h"
#include "net/ws_connection.h"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <utility>

namespace nave::net {
namespace {

// A turn that writes to very many sockets holds about this much for them.
constexpr std::size_t kQueuedMax = 64 * 1024 * 1024;
constexpr std::size_t kSpareBytesMax = 16 * 1024 * 1024;

}  // namespace

WsCore::WsCore(ServerCore& core)
    : core_(core), slots_(std::make_unique<std::array<Slot, kSlots>>()), tick_(tick_of(core.now)) {}

WsCore::~WsCore() = default;

void WsCore::add(const boost::intrusive_ptr<WsConnection>& socket) {
    socket->set_index(sockets_.size());
    sockets_.push_back(socket);
    ++stats.opened;
}

void WsCore::remove(WsConnection& socket) {
    const std::size_t index = socket.index();
    sockets_[index].swap(sockets_.back());
    sockets_[index]->set_index(index);
    sockets_.pop_back();
}

std::unique_ptr<WsOutput> WsCore::take_output() {
    if (spare_.empty()) {
        return std::make_unique<WsOutput>();
    }
    auto output = std::move(spare_.back());
    spare_.pop_back();
    spare_bytes_ -= output->capacity();
    spare_unused_ = std::min(spare_unused_, spare_.size());
    return output;
}

void WsCore::give_back(std::unique_ptr<WsOutput> output) {
    if (output && spare_bytes_ + output->capacity() <= kSpareBytesMax) {
        output->clear();
        spare_bytes_ += output->capacity();
        spare_.push_back(std::move(output));
    }
}

// The least recently used are in front.
void WsCore::free_unused_spares() {
    const auto end = spare_.begin() + static_cast<std::ptrdiff_t>(spare_unused_);
    for (auto unused = spare_.begin(); unused != end; ++unused) {
        spare_bytes_ -= (*unused)->capacity();
    }
    spare_.erase(spare_.begin(), end);
    spare_unused_ = spare_.size();
}

void WsCore::schedule_flush(WsConnection& socket) {
    unflushed_.emplace_back(&socket);
    if (unflushed_.size() == 1) {
        boost::asio::post(core_.loop.executor(),
                          [core = core_.shared_from_this()] { core->websockets().flush(); });
    }
}

void WsCore::flush() {
    std::vector<boost::intrusive_ptr<WsConnection>> batch;
    batch.swap(unflushed_);
    queued_ = 0;
    if (core_.is_shut_down) {
        return;  // everything is closed, and the clock may be gone
    }
    core_.refresh_time();
    for (const auto& socket : batch) {
        socket->run_scheduled();
    }
    if (unflushed_.empty()) {
        batch.clear();
        batch.swap(unflushed_);  // keeps its memory
    }
}

bool WsCore::is_full() const {
    return buffered_ > core_.limits.websockets_buffered_max;
}

void WsCore::note_queued(std::size_t bytes) {
    queued_ += bytes;
    if (queued_ > kQueuedMax) {
        queued_ = 0;
        for (const auto& socket : unflushed_) {
            socket->push();
        }
    }
}

std::int64_t WsCore::tick_of(SteadyTime time) {
    return std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count();
}

void WsCore::schedule_check(WsConnection& socket, SteadyTime due) {
    // The tick after it, when it has passed; at most once round.
    const std::int64_t tick = std::clamp(tick_of(due) + 1, tick_ + 1, tick_ + kSlots);
    socket.unlink();
    (*slots_)[static_cast<std::size_t>(tick % kSlots)].push_back(socket);
}

void WsCore::sweep() {
    const std::int64_t now = tick_of(core_.now);
    std::vector<boost::intrusive_ptr<WsConnection>> due;
    for (std::int64_t tick = std::max(tick_ + 1, now - kSlots + 1); tick <= now; ++tick) {
        Slot& slot = (*slots_)[static_cast<std::size_t>(tick % kSlots)];
        for (WsConnection& socket : slot) {
            due.emplace_back(&socket);
        }
        slot.clear();
    }
    tick_ = std::max(tick_, now);
    free_unused_spares();
    for (const auto& socket : due) {
        socket->check();
    }
}

void WsCore::drain() {
    for (const auto& socket : std::vector(sockets_)) {
        socket->drain();
    }
}

void WsCore::shut_down() {
    while (!sockets_.empty()) {
        const boost::intrusive_ptr<WsConnection> last = sockets_.back();
        last->cut();
    }
    DCHECK(buffered_ == 0, "what sockets hold is counted both ways");
}

}  // namespace nave::net
