#include "app/prekeys_commands.h"

#include "app/blocking.h"
#include "app/commands.h"
#include "app/exit_codes.h"
#include "app/process_settings.h"
#include "app/stores.h"
#include "base/encoding.h"
#include "base/json_reader.h"
#include "base/text.h"
#include "prekeys/kt/verifier.h"
#include "prekeys/store.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>

namespace nave::app {
namespace {

namespace kt = prekeys::kt;

Result<std::string> read_input(const std::string& file) {
    if (file == "-") {
        return std::string(std::istreambuf_iterator<char>(std::cin), {});
    }
    std::ifstream in(file, std::ios::binary);
    if (!in) {
        return fail(Code::invalid, "app.file", fmt::format("cannot read {}", file));
    }
    return std::string(std::istreambuf_iterator<char>(in), {});
}

Result<kt::LogKeys> read_keys(const KtVerifyOptions& options) {
    kt::LogKeys keys;
    TRY(keys.log, kt::NoteKey::parse(options.log_key));
    const auto vrf = base64_decode(options.vrf_key);
    if (!vrf || vrf->size() != keys.vrf.size()) {
        return fail(Code::invalid, "app.vrf_key", "--vrf-key must be 32 bytes in base64");
    }
    std::ranges::copy(*vrf, keys.vrf.begin());
    return keys;
}

Result<std::string> address_in(const std::string& document) {
    TRY(const json::Value value, json::parse(document));
    if (!value.is_object()) {
        return fail(Code::invalid, "app.document", "the file does not hold a proof document");
    }
    return json::Reader(value.get_object()).text("address", 4096);
}

Result<kt::VerifiedHistory> verify(const KtVerifyOptions& options) {
    TRY(const kt::LogKeys keys, read_keys(options));
    TRY(const std::string document, read_input(options.file));
    std::string address = options.address;
    if (address.empty()) {
        TRY(address, address_in(document));
    }
    std::optional<kt::Checkpoint> known;
    if (!options.known.empty()) {
        TRY(const std::string note, read_input(options.known));
        TRY(known, kt::open_checkpoint(note, keys.log));
    }
    return kt::verify_history(document, address, keys, known);
}

}  // namespace

int kt_verify_command(const KtVerifyOptions& options) {
    const auto history = verify(options);
    if (!history) {
        fmt::print(stderr, "nave: the proof does NOT verify: {} ({})\n", history.error().message,
                   history.error().id);
        return kExitFailed;
    }
    fmt::print("verified: {} entries in a tree of {} signed by {}\n", history->events.size(),
               history->checkpoint.size, history->checkpoint.origin);
    for (const kt::VerifiedEvent& event : history->events) {
        fmt::print("  {}  leaf {:<8} {:<20} {}\n", rfc3339(event.leaf.time), event.leaf_index,
                   kt::event_name(event.leaf.kind),
                   event.identity ? base64(event.identity->identity_key) : "(identity erased)");
    }
    fmt::print("the address {} an identity after the last entry\n",
               history->is_present() ? "has" : "has no");
    if (history->extends_known) {
        fmt::print("the tree extends the checkpoint given by --known\n");
    }
    return kExitOk;
}

int release_tombstone_command(const Settings& settings, const std::string& address_text) {
    const auto address = prekeys::Address::parse(address_text);
    if (!address) {
        return complain(address.error(), kExitUsage);
    }
    Loop loop;
    Logger logger("nave", LogLevel::warn, log_format(settings), stderr_sink());
    storage::Options options = storage_options(settings);
    options.create = false;
    const ServiceEntry* const chosen[] = {find_service("prekeys")};
    auto stores = Stores::open(loop, logger, settings, chosen, options);
    if (!stores) {
        return complain(stores.error(), kExitStorage);
    }
    prekeys::Store store(stores->of(*chosen[0]), prekeys::StorePolicy());
    const auto released = run_blocking(loop, store.release_tombstone(*address));
    stores->close();
    if (!released) {
        return complain(released.error(), kExitFailed);
    }
    fmt::print("{}\n", *released ? "released: the address is open to any identity"
                                 : "nothing to do: the address is not in quarantine");
    return kExitOk;
}

}  // namespace nave::app
