// Session: one socket, from its hello to its end. Reads requests, answers them in order, and hands
// what they ask for to the broker. Malformed messages and unknown types get no answer, as in the
// original; the socket stays open.
//
// Sends may be under way together, for the send lane stores them in order; any other request waits
// until those before it have been answered.
#pragma once

#include "base/json.h"
#include "base/ring.h"
#include "broker/broker.h"
#include "net/websocket.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace nave::broker {

// One message of a client, parsed.
struct ClientRequest {
    std::string type;
    std::string request_id;  // `_reqId`, echoed; empty: none
    json::Object fields;
    std::size_t bytes = 0;
};

class Session final : public net::WebSocketSession, public std::enable_shared_from_this<Session> {
  public:
    explicit Session(Broker& broker) : broker_(broker) {}

    void on_open(net::WebSocket& socket) override;
    void on_message(net::WebSocket& socket, std::string_view payload,
                    net::MessageType type) override;
    void on_pong(net::WebSocket& socket, std::string_view payload) override;
    void on_close(net::WebSocket& socket, const net::WebSocketEnd& end) override;

    // For the handlers of requests (requests.h).
    [[nodiscard]] Broker& broker() { return broker_; }
    // Null once the socket is closed or another connection took the presence over.
    [[nodiscard]] Presence* presence();
    void reply(std::string_view text);
    void reply_error(const ClientRequest& request, const Error& error);

  private:
    void pump();
    Task<void> run(ClientRequest request);
    Task<void> say_hello(ClientRequest request);
    void refuse_hello(const ClientRequest& request, HelloRefusal why, std::string_view mesh_id);
    // What an answer to a send echoes.
    struct SendNames {
        std::string id;
        std::string request_id;
    };
    struct RefusedSend {
        SendNames names;
        Error error;
    };
    // The answer is there in order of the requests, through Delivery's promise.
    void send_envelope(const ClientRequest& request);
    void on_stored(const SendNames& names, const Result<Appended>& stored);
    // At once, or when the sends before it have been answered.
    void refuse_send(SendNames names, Error error);
    void reply_refused(const RefusedSend& refused);
    void hold_back();

    Broker& broker_;
    net::WebSocketPtr socket_;
    std::string presence_id_;
    bool closed_ = false;
    bool busy_ = false;                   // a request other than a send is being answered
    std::size_t sends_ = 0;               // sends not answered yet
    std::optional<RefusedSend> refused_;  // waits for them; nothing is begun meanwhile
    Ring<ClientRequest> waiting_;
    std::size_t waiting_bytes_ = 0;
    bool paused_ = false;
};

}  // namespace nave::broker
