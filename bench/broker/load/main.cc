//   load PROTOCOL MODE FILE SECONDS IN_FLIGHT BYTES
//
// PROTOCOL: nave, redis, nats, jetstream, mqtt0 or mqtt1; MODE: direct, fanout or hold
// (generator.h). Prints "measuring" when it begins to count and then one JSON object: messages,
// seconds, and the milliseconds that a message took until it was acknowledged and received.
#include "generator.h"

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

std::unique_ptr<Protocol> protocol_of(std::string_view name) {
    if (name == "nave") {
        return make_nave();
    }
    if (name == "redis") {
        return make_redis();
    }
    if (name == "nats" || name == "jetstream") {
        return make_nats(name == "jetstream");
    }
    if (name == "mqtt0" || name == "mqtt1") {
        return make_mqtt(name == "mqtt1" ? 1 : 0);
    }
    die("no such protocol");
}

Mode mode_of(std::string_view name) {
    if (name == "direct") {
        return Mode::direct;
    }
    if (name == "fanout") {
        return Mode::fanout;
    }
    if (name == "hold") {
        return Mode::hold;
    }
    die("no such mode");
}

}  // namespace

int main(int count, char** values) {
    if (count != 7) {
        std::fprintf(stderr, "usage: load PROTOCOL MODE FILE SECONDS IN_FLIGHT BYTES\n");
        return 2;
    }
    Options options{.mode = mode_of(values[2]),
                    .file = values[3],
                    .seconds = std::atof(values[4]),
                    .in_flight = std::atoi(values[5]),
                    .bytes = static_cast<std::size_t>(std::atol(values[6]))};
    Generator(std::move(options), protocol_of(values[1])).run();
    return 0;
}
