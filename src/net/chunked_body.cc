#include "net/chunked_body.h"

#include "net/http_chars.h"

#include <algorithm>

namespace nave::net {
namespace {

constexpr std::size_t kExtraMax = 4096;
constexpr int kSizeDigitsMax = 16;

int hex_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

}  // namespace

ChunkedBody::Status ChunkedBody::decode(std::string_view& input) {
    while (!input.empty()) {
        if (state_ == State::data) {
            const std::size_t n = std::min<std::uint64_t>(remaining_, input.size());
            body_.append(input.substr(0, n));
            input.remove_prefix(n);
            remaining_ -= n;
            state_ = remaining_ == 0 ? State::data_cr : State::data;
            continue;
        }
        const char c = input.front();
        input.remove_prefix(1);
        if (const Status status = step(c); status != Status::need_more) {
            return status;
        }
    }
    return Status::need_more;
}

ChunkedBody::Status ChunkedBody::step(char c) {
    const auto expect = [&](char wanted, State next) {
        state_ = next;
        return c == wanted ? Status::need_more : Status::malformed;
    };
    switch (state_) {
        case State::size_first:
        case State::size:
            return step_size(c);
        case State::extension:
            if (c == '\r') {
                state_ = State::size_lf;
                return Status::need_more;
            }
            return is_class(c, kFieldChar) && count_extra() ? Status::need_more : Status::malformed;
        case State::size_lf:
            return expect('\n', remaining_ == 0 ? State::trailer_start : State::data);
        case State::data_cr:
            return expect('\r', State::data_lf);
        case State::data_lf:
            return expect('\n', State::size_first);
        case State::data:
        case State::trailer_start:
        case State::trailer_name:
        case State::trailer_value:
        case State::trailer_lf:
        case State::last_lf:
            break;
    }
    return step_trailer(c);
}

ChunkedBody::Status ChunkedBody::step_size(char c) {
    if (const int digit = hex_value(c); digit >= 0) {
        if (++size_digits_ > kSizeDigitsMax) {
            return Status::malformed;
        }
        remaining_ = remaining_ * 16 + static_cast<std::uint64_t>(digit);
        state_ = State::size;
        // Checked digit by digit, so that the number cannot overflow.
        return remaining_ > body_max_ - body_.size() ? Status::too_large : Status::need_more;
    }
    if (state_ == State::size_first) {
        return Status::malformed;
    }
    size_digits_ = 0;
    if (c == '\r') {
        state_ = State::size_lf;
        return Status::need_more;
    }
    state_ = State::extension;
    return c == ';' && count_extra() ? Status::need_more : Status::malformed;
}

ChunkedBody::Status ChunkedBody::step_trailer(char c) {
    if (state_ == State::trailer_lf || state_ == State::last_lf) {
        const bool last = state_ == State::last_lf;
        state_ = State::trailer_start;
        return c != '\n' ? Status::malformed : last ? Status::done : Status::need_more;
    }
    if (c == '\r' && state_ != State::trailer_name) {
        state_ = state_ == State::trailer_start ? State::last_lf : State::trailer_lf;
        return Status::need_more;
    }
    if (!count_extra()) {
        return Status::malformed;
    }
    if (state_ == State::trailer_value) {
        return is_class(c, kFieldChar) ? Status::need_more : Status::malformed;
    }
    if (c == ':' && state_ == State::trailer_name) {
        state_ = State::trailer_value;
        return Status::need_more;
    }
    state_ = State::trailer_name;
    return is_class(c, kTokenChar) ? Status::need_more : Status::malformed;
}

bool ChunkedBody::count_extra() {
    return ++extra_ <= kExtraMax;
}

}  // namespace nave::net
