// WsParser: a client's WebSocket frames, out of bytes that arrive cut anywhere (RFC 6455, section
// 5).
//
// Works in place: a message that lies whole in the input is unmasked and handed out where it is.
// Only what is cut is gathered in a buffer of the parser's own, which a parser between messages
// does not have. Strict about masks, reserved bits, opcodes, shortest lengths, fragmentation and
// close payloads (1002), about UTF-8 from the first wrong byte (1007), and about the size of a
// message, judged by the header before the payload is read (1009).
#pragma once

#include "net/utf8_check.h"
#include "net/ws_frame.h"

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace nave::net {

class WsParser {
  public:
    enum class Event : std::uint8_t {
        need_more,  // the input is used up
        text,
        binary,
        ping,
        pong,
        close,   // close_code(), payload() is the reason
        failed,  // error_code(); the parser is of no more use
    };

    explicit WsParser(std::size_t message_bytes_max) : message_bytes_max_(message_bytes_max) {}

    // Takes what makes the next event off the front of `input`, changing it.
    [[nodiscard]] Event next(std::span<char>& input);

    // Of the event; valid until the next call to anything but the accessors, and as long as the
    // input's bytes stay.
    [[nodiscard]] std::string_view payload() const { return payload_; }
    [[nodiscard]] std::uint16_t close_code() const { return code_; }
    [[nodiscard]] std::uint16_t error_code() const { return code_; }
    [[nodiscard]] std::string_view error_text() const { return error_; }

    // Frees the memory of a message that has been handed out.
    void release();
    // Bytes kept of a message that is not yet whole.
    [[nodiscard]] std::size_t gathered() const { return gathered_.size(); }

  private:
    // What the first two bytes say.
    struct Start {
        bool fin;
        std::uint8_t reserved;
        std::uint8_t opcode;
        bool masked;
        std::uint8_t length;
    };
    static Start start_of(const char* bytes);
    static std::size_t header_size(std::uint8_t length_code);

    [[nodiscard]] bool take_header(std::span<char>& input);
    [[nodiscard]] bool check_start(const Start& start);
    [[nodiscard]] bool begin_payload(const char* header);
    [[nodiscard]] Event take_control(std::span<char>& input);
    [[nodiscard]] Event take_data(std::span<char>& input);
    [[nodiscard]] Event finish_close();
    Event fail(std::uint16_t code, std::string_view why);

    std::size_t message_bytes_max_;
    std::uint64_t missing_ = 0;  // of the frame's payload
    std::string gathered_;       // of the message, unmasked
    std::string control_;        // of a control frame that was cut
    std::string_view payload_;
    std::string_view error_;  // a literal
    std::array<char, kWsHeaderMax> header_{};
    std::array<char, 4> mask_{};
    std::uint8_t header_size_ = 0;  // what there is of it, when it was cut
    std::uint16_t code_ = 0;
    Utf8Check utf8_;
    WsOpcode opcode_ = WsOpcode::continuation;          // of the frame
    WsOpcode message_opcode_ = WsOpcode::continuation;  // none: between messages
    bool fin_ = false;
    bool in_payload_ = false;
    bool handed_out_ = false;  // gathered_ or control_ is no longer needed
};

}  // namespace nave::net
