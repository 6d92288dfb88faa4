// The HTTP server with one small JSON route, for wrk: http_small_server PORT
#include "base/clock.h"
#include "base/entropy.h"
#include "net/server.h"
#include "runtime/log.h"
#include "runtime/loop.h"

#include <cstdio>
#include <cstdlib>

namespace {

nave::net::Response healthz(const nave::net::Request& /*request*/) {
    return nave::net::json_response(200, R"({"ok":true,"id":"12345678"})");
}

}  // namespace

int main(int argc, char** argv) {
    using namespace nave;
    Loop loop;
    const SystemClock clock;
    SystemEntropy entropy;
    Logger logger("bench", LogLevel::info, LogFormat::pretty, stderr_sink());

    net::Router router;
    router.add(net::Method::get, "/healthz", net::SyncHandler(healthz));
    std::uint64_t observed = 0;
    router.observe(
        [&observed](std::string_view, net::Method, int, std::chrono::nanoseconds) { ++observed; });

    const std::string address = std::string("127.0.0.1:") + (argc > 1 ? argv[1] : "8080");
    auto server = net::HttpServer::bind(loop, clock, entropy, logger, address, {});
    if (!server) {
        std::fprintf(stderr, "%s\n", server.error().message.c_str());
        return EXIT_FAILURE;
    }
    (*server)->mount("", router);
    (*server)->start();
    loop.run();
    return EXIT_SUCCESS;
}
