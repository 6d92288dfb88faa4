#include "prekeys/kt/leaf.h"

#include "crypto/hash.h"

#include <algorithm>

namespace nave::prekeys::kt {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::string_view kCommitTag{"NAVE-KT-COMMIT-V1\0", 18};
constexpr std::string_view kPrekeyTag{"NAVE-KT-SPK-V1\0", 15};

std::uint64_t read_u64(ByteView bytes) {
    std::uint64_t value = 0;
    for (const std::uint8_t byte : bytes.first(8)) {
        value = value << 8 | byte;
    }
    return value;
}

void append_sized(Bytes& out, ByteView field) {
    append_be(out, static_cast<std::uint32_t>(field.size()));
    append(out, field);
}

std::unexpected<Error> bad_leaf(std::string message) {
    return fail(Code::invalid, "kt.leaf", std::move(message));
}

}  // namespace

std::string_view event_name(EventKind kind) {
    switch (kind) {
        case EventKind::register_identity:
            return "register";
        case EventKind::rotate_identity:
            return "rotate_identity";
        case EventKind::rotate_signed_prekey:
            return "rotate_signed_prekey";
        case EventKind::delete_identity:
            return "delete";
        case EventKind::purge:
            return "purge";
    }
    return "unknown";
}

bool ends_identity(EventKind kind) {
    return kind == EventKind::delete_identity || kind == EventKind::purge;
}

Bytes encode_leaf(const Leaf& leaf) {
    Bytes out;
    out.reserve(kLeafBytes);
    out.push_back(kVersion);
    out.push_back(static_cast<std::uint8_t>(leaf.kind));
    append_be(out, leaf.counter);
    append_be(out, leaf.previous);
    append_be(out, static_cast<std::uint64_t>(leaf.time));
    append(out, leaf.address_index);
    append(out, leaf.commitment);
    return out;
}

Result<Leaf> decode_leaf(ByteView bytes) {
    if (bytes.size() != kLeafBytes || bytes[0] != kVersion) {
        return bad_leaf("The log entry has an unknown form.");
    }
    Leaf leaf;
    leaf.kind = static_cast<EventKind>(bytes[1]);
    if (leaf.kind < EventKind::register_identity || leaf.kind > EventKind::purge) {
        return bad_leaf("The log entry has an unknown kind.");
    }
    leaf.counter = read_u64(bytes.subspan(2));
    leaf.previous = read_u64(bytes.subspan(10));
    const std::uint64_t time = read_u64(bytes.subspan(18));
    if (leaf.counter == 0 || leaf.previous > kTreeSizeMax || time > INT64_MAX ||
        (leaf.counter == 1) != (leaf.previous == 0)) {
        return bad_leaf("The log entry contradicts itself.");
    }
    leaf.time = static_cast<UnixMillis>(time);
    std::ranges::copy(bytes.subspan(26, 32), leaf.address_index.begin());
    std::ranges::copy(bytes.subspan(58, 32), leaf.commitment.begin());
    return leaf;
}

Hash commit(const Opening& opening, const CommittedIdentity& identity) {
    Bytes message;
    append(message, kCommitTag);
    append(message, opening);
    append_sized(message, as_bytes(identity.address));
    append_sized(message, as_bytes(identity.suite));
    append_sized(message, identity.identity_key);
    append_sized(message, identity.dh_key);
    append_sized(message, identity.dh_key_signature);
    append_sized(message, identity.signed_prekey_digest ? ByteView(*identity.signed_prekey_digest)
                                                        : ByteView());
    return crypto::sha256(message);
}

Opening random_opening(Entropy& entropy) {
    Opening opening{};
    entropy.fill(opening);
    return opening;
}

Hash signed_prekey_digest(std::uint32_t key_id, UnixMillis created_at, ByteView public_key) {
    Bytes message;
    append(message, kPrekeyTag);
    append_be(message, key_id);
    append_be(message, static_cast<std::uint64_t>(created_at));
    append(message, public_key);
    return crypto::sha256(message);
}

AddressIndex address_index(const crypto::VrfOutput& output) {
    AddressIndex index{};
    std::copy_n(output.begin(), index.size(), index.begin());
    return index;
}

}  // namespace nave::prekeys::kt
