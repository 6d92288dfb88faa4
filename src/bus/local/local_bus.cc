#include "bus/local/local_bus.h"

#include "base/check.h"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace nave::bus {
namespace {

struct Subscriber {
    MessageHandler on_message;
    GapHandler on_gap;
    std::size_t slot = 0;  // among the topic's
};

// Slots of subscribers that end during a delivery are emptied and closed up after it.
struct Topic {
    std::vector<std::shared_ptr<Subscriber>> subscribers;
    bool has_holes = false;
};

struct Message {
    std::string topic;
    std::string payload;
};

}  // namespace

struct LocalBus::State : std::enable_shared_from_this<LocalBus::State> {
    State(Loop& loop_in, BusLimits limits_in) : loop(loop_in), limits(limits_in) {}

    using Topics = std::map<std::string, Topic, std::less<>>;

    Loop& loop;
    const BusLimits limits;
    BusStats stats;
    Topics topics;
    std::vector<Topics::iterator> with_holes;
    std::vector<Message> queue;
    std::size_t queued_bytes = 0;
    bool is_scheduled = false;
    bool is_delivering = false;
    bool has_gap = false;                     // all subscribers are told after the queue
    std::set<std::string, std::less<>> gaps;  // likewise those of these topics
    bool is_closed = false;

    void schedule() {
        if (!is_scheduled) {
            is_scheduled = true;
            loop.post([weak = weak_from_this()] {
                if (const auto self = weak.lock()) {
                    self->run();
                }
            });
        }
    }

    void run() {
        is_scheduled = false;
        std::vector<Message> batch;
        batch.swap(queue);
        queued_bytes = 0;
        const bool tells_all = std::exchange(has_gap, false);
        const auto tells = std::exchange(gaps, {});
        is_delivering = true;
        for (const Message& message : batch) {
            if (const auto found = topics.find(message.topic); found != topics.end()) {
                visit(found->second, [&](Subscriber& subscriber) {
                    ++stats.delivered;
                    subscriber.on_message(message.topic, message.payload);
                });
            }
        }
        if (tells_all || !tells.empty()) {
            ++stats.gaps;
            for (auto& [name, topic] : topics) {
                if (tells_all || tells.contains(name)) {
                    visit(topic, [](Subscriber& subscriber) {
                        if (subscriber.on_gap) {
                            subscriber.on_gap();
                        }
                    });
                }
            }
        }
        is_delivering = false;
        for (const auto at : std::exchange(with_holes, {})) {
            close_up(at);
        }
    }

    // Calls `fn` for who is subscribed now; they may subscribe, end and publish meanwhile.
    template <class Fn>
    void visit(Topic& topic, Fn fn) {
        const std::size_t count = topic.subscribers.size();
        for (std::size_t i = 0; i < count && !is_closed; ++i) {
            if (const std::shared_ptr<Subscriber> subscriber = topic.subscribers[i]) {
                fn(*subscriber);
            }
        }
    }

    void end(Topics::iterator at, const Subscriber& subscriber) {
        --stats.subscriptions;
        auto& slots = at->second.subscribers;
        // Destroyed last: its handlers may hold further subscriptions.
        const std::shared_ptr<Subscriber> last = std::exchange(slots[subscriber.slot], nullptr);
        if (is_delivering) {
            if (!std::exchange(at->second.has_holes, true)) {
                with_holes.push_back(at);
            }
            return;
        }
        slots[subscriber.slot].swap(slots.back());
        slots.pop_back();
        if (slots.empty()) {
            topics.erase(at);
        } else if (subscriber.slot < slots.size()) {
            slots[subscriber.slot]->slot = subscriber.slot;
        }
    }

    void close_up(Topics::iterator at) {
        auto& slots = at->second.subscribers;
        at->second.has_holes = false;
        std::erase(slots, nullptr);
        for (std::size_t i = 0; i < slots.size(); ++i) {
            slots[i]->slot = i;
        }
        if (slots.empty()) {
            topics.erase(at);
        }
    }
};

LocalBus::LocalBus(Loop& loop, BusLimits limits) : state_(std::make_shared<State>(loop, limits)) {}

LocalBus::~LocalBus() {
    state_->is_closed = true;
}

bool LocalBus::publish(std::string_view topic, std::string_view payload) {
    State& s = *state_;
    if (!is_topic(topic)) {
        ++s.stats.refused_topic;
        return false;
    }
    if (payload.size() > s.limits.payload_bytes_max) {
        ++s.stats.refused_too_large;
        return false;
    }
    if (!s.topics.contains(topic)) {
        ++s.stats.published;
        return true;
    }
    const std::size_t bytes = topic.size() + payload.size();
    if (s.queue.size() >= s.limits.queued_max ||
        bytes > s.limits.queued_bytes_max - s.queued_bytes) {
        ++s.stats.refused_full;
        s.has_gap = true;
        s.schedule();
        return false;
    }
    ++s.stats.published;
    s.queue.push_back({.topic = std::string(topic), .payload = std::string(payload)});
    s.queued_bytes += bytes;
    s.schedule();
    return true;
}

Result<Subscription> LocalBus::subscribe(std::string_view topic, MessageHandler on_message,
                                         GapHandler on_gap) {
    State& s = *state_;
    CHECK(on_message != nullptr, "a subscription has a handler");
    if (!is_topic(topic)) {
        return fail(Code::invalid, "bus.bad_topic", "This is not a name of a topic.",
                    std::string(topic));
    }
    if (s.stats.subscriptions >= s.limits.subscriptions_max) {
        return fail(Code::unavailable, "bus.too_many_subscriptions", "The server is at capacity.");
    }
    const auto at = s.topics.try_emplace(std::string(topic)).first;
    const auto subscriber = std::make_shared<Subscriber>();
    subscriber->on_message = std::move(on_message);
    subscriber->on_gap = std::move(on_gap);
    subscriber->slot = at->second.subscribers.size();
    at->second.subscribers.push_back(subscriber);
    ++s.stats.subscriptions;
    return Subscription([weak = std::weak_ptr<State>(state_), at, subscriber = subscriber.get()] {
        if (const auto state = weak.lock()) {
            state->end(at, *subscriber);
        }
    });
}

void LocalBus::tell_gap(std::string_view topic) {
    if (state_->topics.contains(topic)) {
        state_->gaps.emplace(topic);
        state_->schedule();
    }
}

void LocalBus::tell_gap() {
    state_->has_gap = true;
    state_->schedule();
}

BusStats LocalBus::stats() const {
    BusStats stats = state_->stats;
    stats.queued = state_->queue.size();
    return stats;
}

}  // namespace nave::bus
