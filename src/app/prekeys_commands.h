// `nave prekeys ...`: what an operator or auditor does with the directory from the command line.
#pragma once

#include "runtime/settings.h"

#include <string>

namespace nave::app {

struct KtVerifyOptions {
    std::string file;     // proof document, as served by /v1/kt/proof/{address}; "-" for stdin
    std::string log_key;  // vkey of /v1/kt/keys
    std::string vrf_key;  // vrfPublicKey of /v1/kt/keys
    std::string address;  // "" for the one the document names
    std::string known;    // file with a checkpoint verified earlier, "" for none
};
// Offline: needs nothing but the files.
[[nodiscard]] int kt_verify_command(const KtVerifyOptions& options);
// Opens the address of a removed identity to other keys before its quarantine ends.
[[nodiscard]] int release_tombstone_command(const Settings& settings, const std::string& address);

}  // namespace nave::app
