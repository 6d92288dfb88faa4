// RedisLink: one connection to Redis that makes itself again when it is lost, with growing waits.
// Speaks commands and answers, knows nothing of topics.
//
// Live: connected, authenticated, and answering. A PING goes out regularly; a server that does not
// answer one in time counts as lost, and so does one that answers with an error or with what is not
// RESP. Texts of the server are not logged, beyond the first word of an error: some servers repeat
// the command they refuse, and one of them carries the password.
//
// Loop thread only. The client outlives the link and must not end it in a call.
#pragma once

#include "base/clock.h"
#include "bus/redis/redis_address.h"
#include "bus/redis/resp.h"
#include "runtime/backoff.h"
#include "runtime/log.h"
#include "runtime/loop.h"

#include <chrono>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

namespace nave::bus {

struct RedisTimes {
    std::chrono::milliseconds connect{3'000};  // resolving, connecting and authenticating
    std::chrono::milliseconds ping_every{2'000};
    std::chrono::milliseconds answer{3'000};         // to a PING
    std::chrono::milliseconds steady_after{10'000};  // a link that lasted so long starts afresh
    std::chrono::milliseconds tick{250};             // how often all this is looked at
};

struct RedisLinkLimits {
    std::size_t bulk_bytes_max = 0;
    std::size_t output_bytes_max = 0;  // commands that the server has not taken yet
};

class RedisLinkClient {
  public:
    virtual ~RedisLinkClient() = default;
    virtual void on_live() = 0;
    virtual void on_lost() = 0;
    // False: that is no answer this client can get; the link is made again.
    virtual bool on_value(const RespValue& value) = 0;
};

class RedisLink {
  public:
    RedisLink(Loop& loop, const Clock& clock, const Logger& logger, std::string name,
              const RedisAddress& address, RedisTimes times, RedisLinkLimits limits,
              std::uint32_t seed, RedisLinkClient& client);
    ~RedisLink();
    RedisLink(const RedisLink&) = delete;
    RedisLink& operator=(const RedisLink&) = delete;

    // Connects again and again until it is cancelled.
    Task<void> run();
    // Once a tick: pings, and gives up what took too long.
    void check();

    [[nodiscard]] bool live() const { return phase_ == Phase::live; }
    // False: the link is not live, or too much is waiting already.
    bool send(std::initializer_list<std::string_view> words);
    [[nodiscard]] std::size_t output_bytes() const;
    void close();

  private:
    enum class Phase : std::uint8_t { waiting, connecting, authenticating, greeting, live };
    struct Wire;

    // Both return why it ended.
    Task<std::string> converse(std::shared_ptr<Wire> wire);
    Task<std::string> read(std::shared_ptr<Wire> wire);
    [[nodiscard]] std::string take(const RespValue& value);
    void greet();
    void become_live();
    static void write(const std::shared_ptr<Wire>& wire);
    void log_loss(std::string_view why);

    Loop& loop_;
    const Clock& clock_;
    const Logger& logger_;
    const std::string name_;
    const RedisAddress& address_;
    const RedisTimes times_;
    const RedisLinkLimits limits_;
    RedisLinkClient& client_;
    Backoff backoff_;
    Phase phase_ = Phase::waiting;
    SteadyTime since_;      // of the phase
    SteadyTime pinged_at_;  // the last one
    bool awaits_pong_ = false;
    bool loss_logged_ = false;
    std::string why_closed_;  // by us, for the log
    std::shared_ptr<Wire> wire_;
};

}  // namespace nave::bus
