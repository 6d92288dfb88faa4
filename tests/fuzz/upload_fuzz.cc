// Bodies of register, replenish and the rotations, as far as they are read before any signature is
// checked: whatever is accepted keeps the bounds that storage relies on.
#include "base/json_reader.h"
#include "prekeys/upload.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

using namespace nave;
using namespace nave::prekeys;

constexpr UnixMillis kNow = 1'800'000'000'000;
constexpr std::int64_t kSkew = 300'000;

void require(bool claim) {
    if (!claim) {
        std::abort();
    }
}

void check(const KeyBatch& batch, Suite suite) {
    require(batch.one_time.size() <= kUploadKeysMax && batch.kem_one_time.size() <= kUploadKeysMax);
    require(uses_kem(suite) || batch.kem_one_time.empty());
    for (const OneTimePreKey& key : batch.one_time) {
        require(key.id >= 1 && key.id <= kKeyIdMax);
        require(key.public_key.size() == curve_key_size(suite));
    }
    for (const KemPreKey& key : batch.kem_one_time) {
        require(key.id >= 1 && key.id <= kKeyIdMax);
        require(key.signature.size() == 64 && !key.public_key.empty());
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto value = json::parse(text);
    if (!value || !value->is_object()) {
        return 0;
    }
    const json::Reader body(value->get_object());
    if (const auto upload = read_registration(body, kNow, kSkew)) {
        check(upload->batch, upload->identity.suite);
        require(upload->signed_prekey.created_at <= kNow + kSkew);
        require(upload->last_resort.has_value() == uses_kem(upload->identity.suite));
    }
    for (const Suite suite : kSuites) {
        const UploadContext context{suite, kNow, kSkew};
        if (const auto upload = read_replenishment(body, context)) {
            check(upload->batch, suite);
        }
        if (const auto upload = read_identity_rotation(body, context)) {
            check(upload->next.batch, suite);
            require(upload->proof.size() == 64);
        }
        const auto rotation = read_signed_prekey_rotation(body, context);
        require(!rotation || rotation->signed_prekey.signature.size() == 64);
    }
    return 0;
}
