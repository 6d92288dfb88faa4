// WebSocket frames (RFC 6455, section 5.2): headers, masking, and frames as a server writes them.
#pragma once

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace nave::net {

enum class WsOpcode : std::uint8_t {
    continuation = 0x0,
    text = 0x1,
    binary = 0x2,
    close = 0x8,
    ping = 0x9,
    pong = 0xa,
};

// Of a client's frame: two bytes, up to eight of length, four of mask.
inline constexpr std::size_t kWsHeaderMax = 14;
inline constexpr std::size_t kWsControlMax = 125;  // payload of a control frame

// Status codes (section 7.4.1, and the IANA registry).
namespace ws_close {
inline constexpr std::uint16_t kNormal = 1000;
inline constexpr std::uint16_t kGoingAway = 1001;
inline constexpr std::uint16_t kProtocolError = 1002;
inline constexpr std::uint16_t kUnsupported = 1003;
inline constexpr std::uint16_t kNoStatus = 1005;  // never on the wire: the peer gave no code
inline constexpr std::uint16_t kAbnormal = 1006;  // never on the wire: no close frame came
inline constexpr std::uint16_t kInvalidPayload = 1007;
inline constexpr std::uint16_t kPolicy = 1008;
inline constexpr std::uint16_t kTooBig = 1009;
inline constexpr std::uint16_t kInternalError = 1011;
inline constexpr std::uint16_t kTryAgainLater = 1013;
}  // namespace ws_close

// Whether a close frame may carry the code.
[[nodiscard]] bool is_wire_close_code(std::uint16_t code);

// Masks or unmasks in place, and turns `key` so that it fits the bytes that follow.
void ws_mask(std::span<char> bytes, std::array<char, 4>& key);

// Appends a whole, unmasked frame.
void append_ws_frame(std::string& out, WsOpcode opcode, std::string_view payload);
// `reason` is cut at a character boundary to fit; kNoStatus gives an empty payload.
void append_ws_close(std::string& out, std::uint16_t code, std::string_view reason);
// Size of the server's frame that begins `bytes`, which holds at least its header.
[[nodiscard]] std::size_t ws_frame_size(std::string_view bytes);

// A message encoded once for any number of connections, which all refer to the same bytes. Cheap to
// copy. Loop thread only.
class SharedFrame {
  public:
    SharedFrame() = default;
    // `payload` must be UTF-8.
    [[nodiscard]] static SharedFrame text(std::string_view payload);
    [[nodiscard]] static SharedFrame binary(std::string_view payload);

    // Header and payload.
    [[nodiscard]] std::string_view bytes() const {
        return block_ ? std::string_view(block_->bytes).substr(at_, size_) : std::string_view();
    }
    [[nodiscard]] std::string_view payload() const { return bytes().substr(header_); }
    explicit operator bool() const { return block_ != nullptr; }

    // One of many in a piece of memory, which stays as long as any of them.
    [[nodiscard]] bool has_neighbours() const { return block_ && block_->many; }
    // Takes in the frame that follows in memory; false: that is another one. What bytes() holds
    // then is several frames, payload() is of no more use.
    bool join(const SharedFrame& next) {
        if (block_ == nullptr || block_ != next.block_ || at_ + size_ != next.at_) {
            return false;
        }
        size_ += next.size_;
        return true;
    }
    // Leaves the first `size` bytes.
    void cut(std::size_t size) { size_ = size; }

  private:
    friend class SharedFrames;
    struct Block : boost::intrusive_ref_counter<Block, boost::sp_adl_block::thread_unsafe_counter> {
        std::string bytes;
        bool many = false;
    };
    [[nodiscard]] static SharedFrame make(WsOpcode opcode, std::string_view payload);

    boost::intrusive_ptr<const Block> block_;
    std::size_t at_ = 0;
    std::size_t size_ = 0;
    std::size_t header_ = 0;
};

// Encodes text messages one behind the other in one piece of memory, where they can be joined:
// a connection that is sent many of them in a row sends them as one piece. Loop thread only.
class SharedFrames {
  public:
    // `write` appends a payload of UTF-8 to the string it is given, and does nothing else to it;
    // `size` is about how long it will be.
    template <class Write>
    [[nodiscard]] SharedFrame text(std::size_t size, Write write) {
        std::string& bytes = begin(size);
        const std::size_t at = bytes.size();
        write(bytes);
        return finish(at);
    }

  private:
    [[nodiscard]] std::string& begin(std::size_t size);
    [[nodiscard]] SharedFrame finish(std::size_t payload_at);

    boost::intrusive_ptr<SharedFrame::Block> open_;
};

}  // namespace nave::net
