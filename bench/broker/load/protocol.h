// What the generator must know of a server's protocol. An implementation greets on every
// connection, sends messages, and reports what it reads: ready, acknowledged, received.
#pragma once

#include "websocket.h"

#include <cstddef>
#include <memory>
#include <string_view>

class Generator;

class Protocol {
  public:
    virtual ~Protocol() = default;

    // Asks for an upgrade to WebSocket when not empty.
    [[nodiscard]] virtual std::string_view websocket_path() const { return "/"; }
    [[nodiscard]] virtual std::string_view subprotocol() const { return ""; }
    [[nodiscard]] virtual char frame() const { return kBinaryFrame; }  // opcode of what it sends
    // Whether a sender is told that its message was taken.
    [[nodiscard]] virtual bool acknowledges() const { return true; }

    // The connection is open: introduce it and, where it receives, subscribe.
    virtual void greet(Generator& load, std::size_t index) = 0;
    // Handles what is complete in `bytes` and returns how much that was. Of a WebSocket, `bytes`
    // are the payloads of its frames; what was not consumed comes again in front of the next.
    virtual std::size_t consume(Generator& load, std::size_t index, std::string_view bytes) = 0;
    virtual void direct(Generator& load, std::size_t sender, std::size_t receiver) = 0;
    virtual void broadcast(Generator& load, std::size_t sender) = 0;
};

std::unique_ptr<Protocol> make_nave();
std::unique_ptr<Protocol> make_redis();
std::unique_ptr<Protocol> make_nats(bool jetstream);
std::unique_ptr<Protocol> make_mqtt(int quality_of_service);
