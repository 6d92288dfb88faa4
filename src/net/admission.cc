#include "net/admission.h"

#include <algorithm>

namespace nave::net {
namespace {

// As rate limits count: an IPv6 client has a /64 to itself.
PeerTable::Key key_of(const IpAddress& peer) {
    PeerTable::Key key = peer.bytes();
    if (!peer.is_v4()) {
        std::fill(key.begin() + 8, key.end(), std::uint8_t{0});
    }
    return key;
}

}  // namespace

bool BodyBudget::Share::grow(std::size_t bytes) {
    if (budget_ == nullptr ||
        bytes > budget_->bytes_max_ - std::min(budget_->used_, budget_->bytes_max_)) {
        return false;
    }
    count(bytes);
    return true;
}

void BodyBudget::Share::count(std::size_t bytes) {
    if (budget_ != nullptr) {
        budget_->used_ += bytes;
        bytes_ += bytes;
    }
}

void BodyBudget::Share::release() {
    if (budget_ != nullptr) {
        budget_->used_ -= bytes_;
    }
    bytes_ = 0;
}

PeerTable::Slot& PeerTable::Slot::operator=(Slot&& from) noexcept {
    if (this != &from) {
        release();
        table_ = std::move(from.table_);
        key_ = from.key_;
    }
    return *this;
}

void PeerTable::Slot::release() {
    if (const auto table = std::exchange(table_, nullptr)) {
        const auto found = table->counts_.find(key_);
        if (--found->second == 0) {
            table->counts_.erase(found);
        }
    }
}

bool PeerTable::admit(const IpAddress& peer, Slot& slot) {
    if (per_peer_max_ == 0) {
        return true;
    }
    const Key key = key_of(peer);
    std::uint32_t& count = counts_[key];
    if (count >= per_peer_max_) {
        return false;
    }
    ++count;
    slot = Slot(shared_from_this(), key);
    return true;
}

}  // namespace nave::net
