// Targets: whatever parses is written as a text that parses to the same target, names are bounded
// and free of what could hide in a log line, and only the one form of a key is a key.
#include "broker/target.h"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <variant>

namespace {

bool is_sound(std::string_view name) {
    for (const char c : name) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) {
            return false;
        }
    }
    return !name.empty() && name.size() <= 256;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace nave::broker;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto target = parse_target(text);
    if (!target) {
        if (target.error().id != "invalid_argument" || target.error().message.empty()) {
            std::abort();
        }
        return 0;
    }
    const std::string written = target_text(*target);
    const auto again = parse_target(written);
    if (!again || *again != *target || (written != text && text != "@all")) {
        std::abort();
    }
    if (is_direct(*target) != (size == 64 && text.find_first_of("*@#") == text.npos)) {
        std::abort();
    }
    if (const auto* group = std::get_if<GroupTarget>(&*target); group && !is_sound(group->name)) {
        std::abort();
    }
    if (const auto* topic = std::get_if<TopicTarget>(&*target); topic && !is_sound(topic->name)) {
        std::abort();
    }
    return 0;
}
