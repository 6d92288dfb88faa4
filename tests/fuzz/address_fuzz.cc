// Addresses: what is accepted is in normal form, so parsing it again changes nothing, and it fits
// everywhere an address is written without escaping.
#include "prekeys/types.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using nave::prekeys::Address;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto address = Address::parse(text);
    if (!address) {
        return 0;
    }
    const auto again = Address::parse(address->text());
    const bool harmless = address->text().find_first_of(std::string_view("\"\\/?#%\n\r\0 ", 10)) ==
                          std::string_view::npos;
    if (!again || again->text() != address->text() || address->text().size() > 128 || !harmless) {
        std::abort();
    }
    return 0;
}
