// Exchange: one request whose handler is a coroutine. It owns the bytes the Request points into and
// lives until the coroutine has ended, whatever becomes of the connection meanwhile.
#pragma once

#include "net/server_core.h"

#include <boost/asio/cancellation_signal.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>

#include <list>
#include <memory>
#include <string>
#include <string_view>

namespace nave::net {

struct Exchange {
    boost::intrusive_ptr<Connection> connection;
    std::shared_ptr<ServerCore> core;
    BodyBudget::Share share;  // destroyed before `core`
    std::string bytes;        // the head, and the body unless it was chunked
    std::string chunked_body;
    Request request;
    Routed routed;
    boost::asio::cancellation_signal cancel;
    std::list<Exchange*>::iterator in_running;
};

}  // namespace nave::net
