// What nodes of the broker say to each other: whatever is understood says the same when it is
// written and read again.
#include "broker/node_messages.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto message = nave::broker::parse_node_message(text);
    if (!message) {
        return 0;
    }
    const std::string written = nave::broker::to_text(*message);
    const auto again = nave::broker::parse_node_message(written);
    if (!again || nave::broker::to_text(*again) != written) {
        std::abort();
    }
    return 0;
}
