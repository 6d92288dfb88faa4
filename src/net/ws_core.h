// WsCore: what the WebSockets of one server share: the list of them, their counters, spare output
// buffers, the end-of-turn flush, and one coarse timer for all.
#pragma once

#include "base/clock.h"
#include "net/websocket.h"
#include "net/ws_output.h"

#include <boost/intrusive/list.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <vector>

namespace nave::net {

class ServerCore;
class WsConnection;

// Places a socket in the timer; unlinks itself.
using WsTimerHook =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

class WsCore {
  public:
    explicit WsCore(ServerCore& core);
    ~WsCore();
    WsCore(const WsCore&) = delete;
    WsCore& operator=(const WsCore&) = delete;

    void add(const boost::intrusive_ptr<WsConnection>& socket);
    void remove(WsConnection& socket);
    [[nodiscard]] std::size_t size() const { return sockets_.size(); }
    // Of which only the peer's end of the connection is awaited.
    void note_lingering(int change) { lingering_ += change; }
    [[nodiscard]] bool is_busy() const { return std::ssize(sockets_) > lingering_; }

    [[nodiscard]] std::unique_ptr<WsOutput> take_output();
    void give_back(std::unique_ptr<WsOutput> output);

    // Runs WsConnection::run_scheduled() once all events of this turn have been handled.
    void schedule_flush(WsConnection& socket);
    // Runs WsConnection::check() in a sweep not before `due`, or earlier: a socket looks for
    // itself.
    void schedule_check(WsConnection& socket, SteadyTime due);
    void sweep();

    // Keeps account of what all sockets hold in their buffers.
    void note_buffered(std::size_t before, std::size_t now) { buffered_ += now - before; }
    [[nodiscard]] bool is_full() const;
    // Of output that waits for the end of the turn; sends it all when it has become much.
    void note_queued(std::size_t bytes);

    // Says goodbye to all of them.
    void drain();
    // Cuts all of them.
    void shut_down();

    WebSocketStats stats;

  private:
    using Slot = boost::intrusive::list<WsConnection, boost::intrusive::base_hook<WsTimerHook>,
                                        boost::intrusive::constant_time_size<false>>;
    static constexpr std::int64_t kSlots = 64;  // seconds the timer sees ahead
    static std::int64_t tick_of(SteadyTime time);
    void flush();
    void free_unused_spares();

    ServerCore& core_;
    std::vector<boost::intrusive_ptr<WsConnection>> sockets_;
    std::ptrdiff_t lingering_ = 0;
    std::vector<boost::intrusive_ptr<WsConnection>> unflushed_;
    std::vector<std::unique_ptr<WsOutput>> spare_;
    std::size_t buffered_ = 0;
    std::size_t queued_ = 0;
    std::size_t spare_bytes_ = 0;
    std::size_t spare_unused_ = 0;  // since the last sweep
    std::unique_ptr<std::array<Slot, kSlots>> slots_;
    std::int64_t tick_;  // the last one swept
};

}  // namespace nave::net
