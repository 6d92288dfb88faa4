// WsOutput: what one socket has yet to send, in order: frames of its own and shared ones.
//
// Small frames are copied behind each other, so that many leave as one piece of memory; larger
// shared frames are referred to, and those that lie in one piece of memory anyhow. When the kernel
// takes no more, frames that are out are dropped, and the rest of the queue can be cut at a frame
// boundary.
#pragma once

#include "net/ws_frame.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nave::net {

class WsOutput {
  public:
    // Bytes to send ahead of all frames: the answer to the handshake. Only while empty.
    void start_with(std::string_view bytes);
    void append(WsOpcode opcode, std::string_view payload);
    void append(const SharedFrame& frame);
    void append_close(std::uint16_t code, std::string_view reason);

    [[nodiscard]] std::size_t unsent() const { return unsent_; }
    // Bytes this output holds by itself, without the frames it shares with others.
    [[nodiscard]] std::size_t own_bytes() const {
        return bytes_.size() + references_.size() * sizeof(Reference);
    }

    enum class Sent : std::uint8_t { all, blocked, failed };
    // Sends until nothing is left or the kernel takes no more. `taken` grows by what it took.
    [[nodiscard]] Sent send(int fd, std::uint64_t& taken);

    // Drops every frame of which nothing has been sent.
    void drop_unsent();
    // Ready for another socket; keeps its memory.
    void clear();
    [[nodiscard]] std::size_t capacity() const;

  private:
    struct Reference {
        std::size_t at;  // where in bytes_ they are sent
        SharedFrame frames;
    };
    // The beginning of the frame in bytes_ that is sent next or has been sent in part.
    [[nodiscard]] std::size_t current_frame() const;
    void advance(std::size_t count);
    void trim();

    std::string bytes_;
    std::vector<Reference> references_;
    std::size_t unsent_ = 0;
    std::size_t start_ = 0;            // size of what precedes the first frame in bytes_
    std::size_t bytes_sent_ = 0;       // of bytes_
    std::size_t references_sent_ = 0;  // whole ones
    std::size_t reference_part_ = 0;   // sent of the next one
    bool blocked_ = false;
};

}  // namespace nave::net
