#include "storage/completions.h"

#include "storage/errors.h"

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <iterator>

namespace nave::storage {

namespace asio = boost::asio;

struct Completions::Timer {
    explicit Timer(Loop& loop) : wait(loop.executor()) {}
    asio::basic_waitable_timer<std::chrono::steady_clock,
                               asio::wait_traits<std::chrono::steady_clock>, LoopExecutor>
        wait;
};

std::shared_ptr<Completions> Completions::create(Loop& loop) {
    return std::shared_ptr<Completions>(new Completions(loop));
}

Completions::Completions(Loop& loop) : loop_(loop), timer_(std::make_unique<Timer>(loop)) {}

Completions::~Completions() {
    // Callers that will never be resumed, because the loop is gone. Their frames go with `resume`,
    // and hold the operation themselves, so that it would not go by itself.
    while (oldest_ != nullptr) {
        const auto abandoned_caller = std::move(oldest_->resume);
        unlink(*oldest_);
    }
}

Task<Result<void>> Completions::wait(OperationPtr operation) {
    return asio::async_initiate<const asio::use_awaitable_t<LoopExecutor>&, void(Result<void>)>(
        [this, operation = std::move(operation)](auto handler) {
            if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected()) {
                // Weak: the slot belongs to the very caller that the operation keeps.
                slot.assign([waiting = std::weak_ptr(operation),
                             weak = weak_from_this()](asio::cancellation_type) {
                    const OperationPtr cancelled = waiting.lock();
                    if (const auto all = weak.lock(); all && cancelled) {
                        all->cancel(cancelled);
                    }
                });
            }
            operation->resume = std::move(handler);
            link(operation);
            arm();
        },
        asio::use_awaitable_t<LoopExecutor>());
}

void Completions::cancel(const OperationPtr& operation) {
    operation->abandoned = true;
    // Not from inside the signal: the caller may destroy it when resumed.
    loop_.post([self = shared_from_this(), operation] {
        self->finish(*operation, fail(Code::cancelled, "storage.cancelled",
                                      "The request was cancelled before it was done."));
    });
}

void Completions::complete(std::span<OperationPtr> operations) {
    bool post = false;
    {
        const std::lock_guard lock(mutex_);
        post = ready_.empty() && !operations.empty();
        ready_.insert(ready_.end(), std::make_move_iterator(operations.begin()),
                      std::make_move_iterator(operations.end()));
    }
    if (post) {
        loop_.post([self = shared_from_this()] { self->deliver(); });
    }
}

void Completions::deliver() {
    std::vector<OperationPtr> ready;
    {
        const std::lock_guard lock(mutex_);
        ready.swap(ready_);
    }
    // A caller whose task lets an exception through must not take the others' outcomes with it.
    struct Rest {
        Completions& self;
        std::vector<OperationPtr>& all;
        std::size_t next = 0;
        ~Rest() { self.complete(std::span(all).subspan(next)); }
    } rest{*this, ready};
    while (rest.next < ready.size()) {
        Operation& operation = *ready[rest.next++];
        finish(operation, std::move(operation.outcome));
    }
}

void Completions::finish(Operation& operation, Result<void> outcome) {
    if (!operation.resume) {
        return;  // timed out or cancelled before
    }
    auto resume = std::move(operation.resume);
    operation.resume = nullptr;
    const OperationPtr keep = operation.keep;
    unlink(operation);
    resume(std::move(outcome));
}

void Completions::link(const OperationPtr& operation) {
    operation->keep = operation;
    operation->older = newest_;
    if (newest_ != nullptr) {
        newest_->newer = operation.get();
    } else {
        oldest_ = operation.get();
    }
    newest_ = operation.get();
}

void Completions::unlink(Operation& operation) {
    (operation.older != nullptr ? operation.older->newer : oldest_) = operation.newer;
    (operation.newer != nullptr ? operation.newer->older : newest_) = operation.older;
    operation.older = nullptr;
    operation.newer = nullptr;
    if (oldest_ == nullptr && armed_) {
        // An idle timer would keep Loop::run() from returning when no work is left.
        timer_->wait.cancel();
        armed_ = false;
    }
    const OperationPtr last = std::move(operation.keep);
}

void Completions::arm() {
    if (armed_ || oldest_ == nullptr) {
        return;
    }
    armed_ = true;
    timer_->wait.expires_at(oldest_->deadline);
    timer_->wait.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
        const auto self = weak.lock();
        if (self && !error) {
            self->armed_ = false;
            self->expire();
        }
    });
}

void Completions::expire() {
    const SteadyTime now = std::chrono::steady_clock::now();
    while (oldest_ != nullptr && oldest_->deadline <= now) {
        oldest_->abandoned = true;
        timed_out_.fetch_add(1, std::memory_order_relaxed);
        finish(*oldest_, storage::timed_out("deadline passed"));
    }
    arm();
}

}  // namespace nave::storage
