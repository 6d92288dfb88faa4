#include "app/cli.h"

#include <cstdio>
#include <exception>

int main(int argc, char** argv) {
    try {
        return nave::app::run_cli(argc, argv);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "nave: internal error: %s\n", e.what());
        return 70;
    }
}
