// Messages of clients: whatever is read as a hello or a send is within its limits, and what is not
// is refused by one of the errors the protocol knows.
#include "broker/requests.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

constexpr std::size_t kBytesMax = 65'536;

void check(bool holds) {
    if (!holds) {
        std::abort();
    }
}

bool is_known(const nave::Error& error) {
    return !error.message.empty() &&
           (error.id == "invalid_argument" || error.id == "too_large" || error.id == "not_found");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace nave::broker;
    const auto request = parse_request({reinterpret_cast<const char*>(data), size});
    if (!request) {
        return 0;
    }
    check(!request->type.empty() && request->request_id.size() <= 256 && request->bytes == size);
    const auto hello = read_hello(*request, 1'795'000'000'000);
    check(hello || is_known(hello.error()));
    if (hello) {
        const Introduction& said = hello->introduction;
        check(!said.mesh_id.empty() && said.mesh_id.size() <= 256);
        check(said.profile.groups.size() <= kGroupsMax && said.profile.cwd.size() <= 4'096);
        for (const Group& group : said.profile.groups) {
            check(is_name(group.name));
        }
    }
    const auto send = read_send(*request, kBytesMax);
    check(send || is_known(send.error()));
    if (send) {
        const Envelope& envelope = send->envelope;
        check(envelope.nonce.size() + envelope.ciphertext.size() + envelope.target_spec.size() <=
              kBytesMax);
        check(!envelope.target_spec.empty() && envelope.client_message_id.size() <= 256);
        check(!std::holds_alternative<TopicTarget>(send->target));
    }
    return 0;
}
