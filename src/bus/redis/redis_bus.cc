#include "bus/redis/redis_bus.h"

#include "base/check.h"
#include "bus/local/local_bus.h"

#include <fmt/format.h>

#include <map>
#include <utility>

namespace nave::bus {
namespace {

constexpr char kFormat = '1';
constexpr std::size_t kOriginBytes = 16;
constexpr std::size_t kHeadBytes = 1 + kOriginBytes;
constexpr std::string_view kGapChannel = "!gap";  // `!` is in no topic
constexpr std::string_view kHealthName = "bus";

std::string random_bytes(Entropy& entropy, std::size_t count) {
    std::string bytes(count, '\0');
    entropy.fill({reinterpret_cast<std::uint8_t*>(bytes.data()), count});
    return bytes;
}

}  // namespace

std::optional<std::string> prefix_problem(std::string_view prefix) {
    if (prefix.size() > 64 || !is_topic(prefix)) {
        return "must be 1 to 64 characters of A-Z a-z 0-9 . _ - : / @ # = +";
    }
    return std::nullopt;
}

struct RedisBus::State {
    struct PublishSide final : RedisLinkClient {
        explicit PublishSide(State& state) : owner(state) {}
        void on_live() override { owner.publishing(); }
        void on_lost() override { owner.note_state(); }
        // How many received it, of which nothing follows.
        bool on_value(const RespValue& value) override {
            return value.type == RespValue::Type::integer;
        }
        State& owner;
    };
    struct SubscribeSide final : RedisLinkClient {
        explicit SubscribeSide(State& state) : owner(state) {}
        void on_live() override { owner.subscribing(); }
        void on_lost() override {
            owner.subscribed = false;
            owner.note_state();
        }
        bool on_value(const RespValue& value) override { return owner.on_push(value); }
        State& owner;
    };

    State(Loop& loop, const Clock& clock, Entropy& entropy, Health& health_in, const Logger& logger,
          RedisAddress address_in, const RedisOptions& options, BusLimits limits_in)
        : health(health_in),
          address(std::move(address_in)),
          limits(limits_in),
          times(options.times),
          channels(fmt::format("{}{}:", options.prefix, address.database)),
          head(kFormat + random_bytes(entropy, kOriginBytes)),
          local(loop, limits_in),
          publisher(loop, clock, logger, "publish", address, times, link_limits(),
                    static_cast<std::uint32_t>(entropy.below(UINT32_MAX)), publish_side),
          subscriber(loop, clock, logger, "subscribe", address, times, link_limits(),
                     static_cast<std::uint32_t>(entropy.below(UINT32_MAX)), subscribe_side) {}

    [[nodiscard]] RedisLinkLimits link_limits() const {
        return {.bulk_bytes_max = limits.payload_bytes_max + kHeadBytes,
                .output_bytes_max = limits.queued_bytes_max};
    }

    [[nodiscard]] bool connected() const { return publisher.live() && subscribed; }

    void note_state() {
        const bool good = connected();
        health.report(kHealthName,
                      good ? std::nullopt
                           : std::optional<std::string>(
                                 "Redis cannot be used: other nodes are heard by polling."),
                      Health::Impact::partial);
    }

    // ---- publishing ----

    // Says to all processes that messages of this one may be missing.
    void announce_gap() {
        announces_gap = !publisher.send({"PUBLISH", channels + std::string(kGapChannel), head});
    }

    // Messages were dropped until now. This also shows at once whether we may publish at all.
    void publishing() {
        announce_gap();
        note_state();
    }

    bool publish(std::string_view topic, std::string_view payload) {
        const bool is_local = local.publish(topic, payload);
        if (!is_topic(topic) || payload.size() > limits.payload_bytes_max) {
            return false;
        }
        if (!is_local) {
            announces_gap = true;
            return false;
        }
        if (!publisher.live()) {
            return true;
        }
        message = head;
        message += payload;
        if (!publisher.send({"PUBLISH", channels + std::string(topic), message})) {
            ++refused_full;
            announces_gap = true;
            return false;
        }
        return true;
    }

    // ---- subscribing ----

    void send_subscribe(const std::string& topic) {
        if (!subscriber.live()) {
            return;
        }
        if (subscriber.send({"SUBSCRIBE", channels + topic})) {
            ++unconfirmed;
        } else {
            subscriber.close();  // comes back with all subscriptions
        }
    }

    void subscribing() {
        unconfirmed = 0;
        send_subscribe(std::string(kGapChannel));
        for (const auto& [topic, count] : topics) {
            send_subscribe(topic);
        }
    }

    void hold(std::string_view topic) {
        const auto at = topics.try_emplace(std::string(topic), 0).first;
        if (at->second++ == 0) {
            send_subscribe(at->first);
        }
    }

    void release(const std::string& topic) {
        const auto found = topics.find(topic);
        CHECK(found != topics.end() && found->second > 0, "a topic that nobody held is released");
        if (--found->second == 0) {
            topics.erase(found);
            if (subscriber.live() && !subscriber.send({"UNSUBSCRIBE", channels + topic})) {
                subscriber.close();
            }
        }
    }

    bool on_push(const RespValue& value) {
        if (value.type != RespValue::Type::array || value.size != 3) {
            return false;
        }
        const std::string_view kind = value.elements[0].text;
        std::string_view topic = value.elements[1].text;
        if (kind == "unsubscribe") {
            return true;
        }
        if (!topic.starts_with(channels)) {
            return false;
        }
        topic.remove_prefix(channels.size());
        if (kind == "subscribe") {
            return on_confirmed(topic);
        }
        if (kind == "message") {
            on_message(topic, value.elements[2].text);
            return true;
        }
        return false;
    }

    bool on_confirmed(std::string_view topic) {
        if (unconfirmed == 0) {
            return false;
        }
        --unconfirmed;
        if (subscribed) {
            local.tell_gap(topic);
        } else if (unconfirmed == 0) {
            subscribed = true;
            local.tell_gap();
            note_state();
        }
        return true;
    }

    void on_message(std::string_view topic, std::string_view payload) {
        if (payload.size() < kHeadBytes || payload.front() != kFormat) {
            ++malformed;
            return;
        }
        if (payload.starts_with(head)) {
            return;
        }
        if (topic == kGapChannel) {
            local.tell_gap();
        } else {
            local.publish(topic, payload.substr(kHeadBytes));
        }
    }

    Health& health;
    const RedisAddress address;
    const BusLimits limits;
    const RedisTimes times;
    const std::string channels;  // what every channel begins with
    const std::string head;      // what every message of this process begins with
    LocalBus local;
    PublishSide publish_side{*this};
    SubscribeSide subscribe_side{*this};
    RedisLink publisher;
    RedisLink subscriber;
    std::map<std::string, std::size_t, std::less<>> topics;  // with the number of subscriptions
    std::size_t unconfirmed = 0;                             // SUBSCRIBE commands without an answer
    bool subscribed = false;  // the link is live and every topic was confirmed once
    bool announces_gap = false;
    std::uint64_t refused_full = 0;
    std::uint64_t malformed = 0;
    std::string message;
};

RedisBus::RedisBus(Loop& loop, const Clock& clock, Entropy& entropy, Health& health, Logger logger,
                   RedisAddress address, RedisOptions options, BusLimits limits)
    : loop_(loop), logger_(std::move(logger)), tasks_(loop, logger_) {
    state_ = std::make_shared<State>(loop, clock, entropy, health, logger_, std::move(address),
                                     options, limits);
}

RedisBus::~RedisBus() = default;

Task<void> RedisBus::start(std::chrono::milliseconds patience) {
    constexpr std::chrono::milliseconds kStep{5};
    State& s = *state_;
    s.note_state();
    tasks_.spawn("redis publish link", s.publisher.run());
    tasks_.spawn("redis subscribe link", s.subscriber.run());
    tasks_.spawn("redis watch", [](Loop& loop, State& state) -> Task<void> {
        for (;;) {
            co_await loop.sleep(state.times.tick);
            state.publisher.check();
            state.subscriber.check();
            // Later is soon enough while Redis takes messages slowly.
            if (state.announces_gap &&
                state.publisher.output_bytes() <= state.limits.queued_bytes_max / 2) {
                state.announce_gap();
            }
        }
    }(loop_, s));
    for (auto waited = std::chrono::milliseconds{0}; !s.connected() && waited < patience;
         waited += kStep) {
        co_await loop_.sleep(kStep);
    }
}

Task<void> RedisBus::stop(std::chrono::milliseconds deadline) {
    co_await tasks_.stop(deadline);
    state_->publisher.close();
    state_->subscriber.close();
}

bool RedisBus::publish(std::string_view topic, std::string_view payload) {
    return state_->publish(topic, payload);
}

Result<Subscription> RedisBus::subscribe(std::string_view topic, MessageHandler on_message,
                                         GapHandler on_gap) {
    TRY(Subscription inner,
        state_->local.subscribe(topic, std::move(on_message), std::move(on_gap)));
    state_->hold(topic);
    return Subscription([weak = std::weak_ptr<State>(state_), name = std::string(topic),
                         held = std::move(inner)]() mutable {
        held.reset();
        if (const auto state = weak.lock()) {
            state->release(name);
        }
    });
}

BusState RedisBus::state() const {
    return state_->connected() ? BusState::connected : BusState::degraded;
}

BusStats RedisBus::stats() const {
    BusStats stats = state_->local.stats();
    stats.refused_full += state_->refused_full;
    stats.malformed = state_->malformed;
    return stats;
}

}  // namespace nave::bus
