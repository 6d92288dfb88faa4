#include "app/commands.h"
#include "app/exit_codes.h"

namespace nave::app {

int backup_command(const Settings&, const Chosen&, const std::string&) {
    return kExitFailed;
}
int restore_command(const Settings&, const Chosen&, const std::string&) {
    return kExitFailed;
}

}  // namespace nave::app
