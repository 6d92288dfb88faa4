// Cron: whatever parses has a next time, which is a whole minute later than the time asked about,
// and asking from just before it gives the same one.
#include "broker/cron.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace nave;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto cron = broker::Cron::parse(text);
    if (!cron) {
        if (cron.error().id != "invalid_argument" || cron.error().message.empty()) {
            std::abort();
        }
        return 0;
    }
    constexpr UnixMillis kMinute = 60'000;
    UnixMillis time = 1'763'700'000'000;
    for (int i = 0; i < 3; ++i) {
        const auto next = cron->next(time);
        if (!next || *next <= time || *next % kMinute != 0 || cron->next(*next - 1) != next) {
            std::abort();
        }
        time = *next;
    }
    return 0;
}
