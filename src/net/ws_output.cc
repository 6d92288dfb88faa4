#include "net/ws_output.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/socket.h>
#include <sys/uio.h>
#include <utility>

namespace nave::net {
namespace {

// Up to this size copying costs less than a piece of its own in the system call.
constexpr std::size_t kCopyMax = 1024;
// A socket that is behind refers to nothing small that would keep its neighbours.
constexpr std::size_t kCopyMaxBlocked = 8 * 1024;
constexpr std::size_t kPiecesMax = 128;

}  // namespace

void WsOutput::start_with(std::string_view bytes) {
    bytes_ = bytes;
    start_ = bytes_.size();
    unsent_ = start_;
}

void WsOutput::append(WsOpcode opcode, std::string_view payload) {
    const std::size_t before = bytes_.size();
    append_ws_frame(bytes_, opcode, payload);
    unsent_ += bytes_.size() - before;
}

void WsOutput::append(const SharedFrame& frame) {
    const std::string_view bytes = frame.bytes();
    unsent_ += bytes.size();
    if (!references_.empty() && references_.back().at == bytes_.size() &&
        references_.back().frames.join(frame)) {
        return;
    }
    const bool neighbours = frame.has_neighbours();
    if (bytes.size() <= (neighbours && blocked_ ? kCopyMaxBlocked : kCopyMax) &&
        (!neighbours || blocked_)) {
        bytes_.append(bytes);
    } else {
        references_.push_back({.at = bytes_.size(), .frames = frame});
    }
}

void WsOutput::append_close(std::uint16_t code, std::string_view reason) {
    const std::size_t before = bytes_.size();
    append_ws_close(bytes_, code, reason);
    unsent_ += bytes_.size() - before;
}

WsOutput::Sent WsOutput::send(int fd, std::uint64_t& taken) {
    while (unsent_ > 0) {
        std::array<iovec, kPiecesMax> pieces;
        std::size_t count = 0;
        const auto add = [&](std::string_view piece) {
            if (!piece.empty()) {
                pieces[count++] = {.iov_base = const_cast<char*>(piece.data()),
                                   .iov_len = piece.size()};
            }
        };
        std::size_t at = bytes_sent_;
        std::size_t skip = reference_part_;
        const std::string_view own = bytes_;
        for (std::size_t i = references_sent_; i < references_.size() && count + 2 < kPiecesMax;
             ++i) {
            add(own.substr(at, references_[i].at - at));
            at = references_[i].at;
            add(references_[i].frames.bytes().substr(std::exchange(skip, 0)));
        }
        if (count + 2 < kPiecesMax) {
            add(own.substr(at));
        }
        msghdr message{};
        message.msg_iov = pieces.data();
        message.msg_iovlen = count;
        const ssize_t sent = ::sendmsg(fd, &message, MSG_NOSIGNAL);
        if (sent >= 0) {
            taken += static_cast<std::uint64_t>(sent);
            advance(static_cast<std::size_t>(sent));
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            blocked_ = true;
            trim();
            return Sent::blocked;
        } else if (errno != EINTR) {
            return Sent::failed;
        }
    }
    blocked_ = false;
    return Sent::all;
}

void WsOutput::advance(std::size_t count) {
    unsent_ -= count;
    while (count > 0) {
        const bool more = references_sent_ < references_.size();
        const std::size_t own_end = more ? references_[references_sent_].at : bytes_.size();
        const std::size_t own = std::min(count, own_end - bytes_sent_);
        bytes_sent_ += own;
        count -= own;
        if (count == 0) {
            return;
        }
        Reference& reference = references_[references_sent_];
        const std::size_t left = reference.frames.bytes().size() - reference_part_;
        if (count < left) {
            reference_part_ += count;
            return;
        }
        count -= left;
        reference_part_ = 0;
        reference.frames = SharedFrame();
        ++references_sent_;
    }
}

std::size_t WsOutput::current_frame() const {
    if (bytes_sent_ < start_) {
        return 0;
    }
    const std::string_view own = bytes_;
    std::size_t at = start_;
    while (at < own.size()) {
        const std::size_t end = at + ws_frame_size(own.substr(at));
        if (end > bytes_sent_) {
            break;
        }
        at = end;
    }
    return at;
}

// What has been sent goes now, so that a slow peer does not keep it all.
void WsOutput::trim() {
    const std::size_t done = current_frame();
    if (bytes_sent_ >= start_) {
        start_ = 0;
    }
    bytes_.erase(0, done);
    bytes_sent_ -= done;
    references_.erase(references_.begin(),
                      references_.begin() + static_cast<std::ptrdiff_t>(references_sent_));
    references_sent_ = 0;
    for (Reference& reference : references_) {
        reference.at -= done;
    }
}

void WsOutput::drop_unsent() {
    trim();
    std::size_t own_kept = 0;
    std::size_t references_kept = 0;
    if (bytes_sent_ < start_) {
        own_kept = start_;
    } else if (reference_part_ > 0) {
        SharedFrame& frames = references_.front().frames;
        std::size_t end = 0;
        while (end < reference_part_) {
            end += ws_frame_size(frames.bytes().substr(end));
        }
        frames.cut(end);
        own_kept = references_.front().at;
        references_kept = 1;
    } else if (bytes_sent_ > 0) {
        own_kept = ws_frame_size(bytes_);
    }
    bytes_.resize(own_kept);
    references_.resize(references_kept);
    unsent_ = own_kept - bytes_sent_;
    if (references_kept > 0) {
        unsent_ += references_.front().frames.bytes().size() - reference_part_;
    }
}

void WsOutput::clear() {
    bytes_.clear();
    references_.clear();
    unsent_ = 0;
    start_ = 0;
    bytes_sent_ = 0;
    references_sent_ = 0;
    reference_part_ = 0;
    blocked_ = false;
}

std::size_t WsOutput::capacity() const {
    return bytes_.capacity() + references_.capacity() * sizeof(Reference);
}

}  // namespace nave::net
