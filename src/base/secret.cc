#include "base/secret.h"

#include <cstring>

namespace nave {

Secret::~Secret() {
    ::explicit_bzero(text_.data(), text_.size());
}

}  // namespace nave
