#include "storage/operation.h"

#include "storage/errors.h"

#include <exception>
#include <string>

namespace nave::storage {

Result<void> run_guarded(Job& job, Transaction& tx) {
    try {
        return job.execute(tx);
    } catch (const std::exception& thrown) {
        return failed(std::string("exception in a storage closure: ") + thrown.what());
    }
}

}  // namespace nave::storage
