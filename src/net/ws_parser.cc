#include "net/ws_parser.h"

#include <algorithm>

namespace nave::net {
namespace {

constexpr std::size_t kStartSize = 2;
constexpr std::size_t kMaskSize = 4;

bool is_control(WsOpcode opcode) {
    return static_cast<std::uint8_t>(opcode) >= 0x8;
}

std::uint64_t big_endian(const char* bytes, std::size_t digits) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
        value = value << 8 | static_cast<std::uint8_t>(bytes[i]);
    }
    return value;
}

}  // namespace

WsParser::Start WsParser::start_of(const char* bytes) {
    const auto first = static_cast<std::uint8_t>(bytes[0]);
    const auto second = static_cast<std::uint8_t>(bytes[1]);
    return {.fin = (first & 0x80) != 0,
            .reserved = static_cast<std::uint8_t>(first & 0x70),
            .opcode = static_cast<std::uint8_t>(first & 0x0f),
            .masked = (second & 0x80) != 0,
            .length = static_cast<std::uint8_t>(second & 0x7f)};
}

std::size_t WsParser::header_size(std::uint8_t length_code) {
    const std::size_t extended = length_code == 126 ? 2 : length_code == 127 ? 8 : 0;
    return kStartSize + extended + kMaskSize;
}

WsParser::Event WsParser::next(std::span<char>& input) {
    release();
    for (;;) {
        if (!in_payload_ && !take_header(input)) {
            return error_.empty() ? Event::need_more : Event::failed;
        }
        const Event event = is_control(opcode_) ? take_control(input) : take_data(input);
        // A frame that ends without a message ending is followed by the next one.
        if (event != Event::need_more || in_payload_) {
            return event;
        }
    }
}

void WsParser::release() {
    if (handed_out_) {
        handed_out_ = false;
        std::string().swap(is_control(opcode_) ? control_ : gathered_);
    }
}

// True when a payload begins; false when more is needed or the header is wrong.
bool WsParser::take_header(std::span<char>& input) {
    if (header_size_ == 0 && input.size() >= kStartSize) {
        const Start start = start_of(input.data());
        const std::size_t size = header_size(start.length);
        if (!check_start(start)) {
            return false;
        }
        if (input.size() >= size) {
            const char* const header = input.data();
            input = input.subspan(size);
            return begin_payload(header);
        }
    }
    while (!input.empty()) {
        header_[header_size_++] = input.front();
        input = input.subspan(1);
        if (header_size_ < kStartSize) {
            continue;
        }
        const Start start = start_of(header_.data());
        if (header_size_ == kStartSize && !check_start(start)) {
            return false;
        }
        if (header_size_ == header_size(start.length)) {
            header_size_ = 0;
            return begin_payload(header_.data());
        }
    }
    return false;
}

bool WsParser::check_start(const Start& start) {
    const auto opcode = static_cast<WsOpcode>(start.opcode);
    const bool in_message = message_opcode_ != WsOpcode::continuation;
    std::string_view wrong;
    if (start.reserved != 0) {
        wrong = "reserved bit";
    } else if (!start.masked) {
        wrong = "frame without a mask";
    } else {
        switch (opcode) {
            case WsOpcode::continuation:
                wrong = in_message ? "" : "continuation of nothing";
                break;
            case WsOpcode::text:
            case WsOpcode::binary:
                wrong = in_message ? "message inside a message" : "";
                break;
            case WsOpcode::close:
            case WsOpcode::ping:
            case WsOpcode::pong:
                wrong = !start.fin                     ? "fragmented control frame"
                        : start.length > kWsControlMax ? "long control frame"
                                                       : "";
                break;
            default:
                wrong = "unknown opcode";
                break;
        }
    }
    if (!wrong.empty()) {
        fail(ws_close::kProtocolError, wrong);
    }
    return wrong.empty();
}

// `header` is complete and its start was checked.
bool WsParser::begin_payload(const char* header) {
    const Start start = start_of(header);
    const std::size_t size = header_size(start.length);
    const std::size_t digits = size - kStartSize - kMaskSize;
    const std::uint64_t length =
        digits == 0 ? start.length : big_endian(header + kStartSize, digits);
    if (digits != 0 && (length <= (digits == 2 ? 125U : 0xffffU) || length >> 63 != 0)) {
        fail(ws_close::kProtocolError, "length not in its shortest form");
        return false;
    }
    opcode_ = static_cast<WsOpcode>(start.opcode);
    fin_ = start.fin;
    if (!is_control(opcode_)) {
        if (length > message_bytes_max_ - gathered_.size()) {
            fail(ws_close::kTooBig, "message too big");
            return false;
        }
        if (opcode_ != WsOpcode::continuation) {
            message_opcode_ = opcode_;
            utf8_ = Utf8Check();
        }
    }
    std::copy_n(header + size - kMaskSize, kMaskSize, mask_.begin());
    missing_ = length;
    in_payload_ = true;
    return true;
}

WsParser::Event WsParser::take_control(std::span<char>& input) {
    const std::span<char> part = input.first(std::min<std::uint64_t>(missing_, input.size()));
    input = input.subspan(part.size());
    missing_ -= part.size();
    ws_mask(part, mask_);
    payload_ = {part.data(), part.size()};
    if (missing_ > 0 || !control_.empty()) {
        control_.append(payload_);
        payload_ = control_;
        if (missing_ > 0) {
            return Event::need_more;
        }
        handed_out_ = true;
    }
    in_payload_ = false;
    switch (opcode_) {
        case WsOpcode::ping:
            return Event::ping;
        case WsOpcode::pong:
            return Event::pong;
        default:
            return finish_close();
    }
}

// Section 7.1.5 and 7.4: nothing, or a code and perhaps a reason.
WsParser::Event WsParser::finish_close() {
    if (payload_.empty()) {
        code_ = ws_close::kNoStatus;
        return Event::close;
    }
    if (payload_.size() < 2) {
        return fail(ws_close::kProtocolError, "close frame with half a code");
    }
    const auto code = static_cast<std::uint16_t>(big_endian(payload_.data(), 2));
    if (!is_wire_close_code(code)) {
        return fail(ws_close::kProtocolError, "close code that must not be sent");
    }
    payload_.remove_prefix(2);
    if (!is_whole_utf8(payload_)) {
        return fail(ws_close::kInvalidPayload, "close reason is not UTF-8");
    }
    code_ = code;
    return Event::close;
}

WsParser::Event WsParser::take_data(std::span<char>& input) {
    const std::span<char> part = input.first(std::min<std::uint64_t>(missing_, input.size()));
    input = input.subspan(part.size());
    missing_ -= part.size();
    ws_mask(part, mask_);
    payload_ = {part.data(), part.size()};
    const bool ends = missing_ == 0 && fin_;
    if (message_opcode_ == WsOpcode::text &&
        (!utf8_.feed(payload_) || (ends && !utf8_.complete()))) {
        return fail(ws_close::kInvalidPayload, "text is not UTF-8");
    }
    in_payload_ = missing_ > 0;
    if (!ends || !gathered_.empty()) {
        gathered_.append(payload_);
        payload_ = gathered_;
        if (!ends) {
            return Event::need_more;
        }
        handed_out_ = true;
    }
    const bool is_text = message_opcode_ == WsOpcode::text;
    message_opcode_ = WsOpcode::continuation;
    return is_text ? Event::text : Event::binary;
}

WsParser::Event WsParser::fail(std::uint16_t code, std::string_view why) {
    code_ = code;
    error_ = why;
    payload_ = {};
    return Event::failed;
}

}  // namespace nave::net
