// HttpPeers: members that send by plain HTTP and receive by server-sent events, under an API key.
// A stream is a presence like that of a socket: listed, counted, and resumed within its lease. What
// it is sent stays queued until acknowledged by name, and is sent again when it is not. Loop thread
// only.
#pragma once

#include "broker/api_key_store.h"
#include "broker/broker.h"
#include "broker/event_socket.h"
#include "broker/requests.h"

#include <string>
#include <string_view>
#include <vector>

namespace nave::broker {

// An API key and whom it acts for.
struct Caller {
    ApiKey key;
    TokenHash token{};
    Member member;
};

class HttpPeers {
  public:
    HttpPeers(Broker& broker, Loop& loop, storage::Database& database)
        : broker_(broker), loop_(loop), keys_(database) {}

    // Error "unauthorized": no such key, or it has ended.
    Task<Result<Caller>> authenticate(std::string token);
    // Waits for the commit. Errors "rate_limit", "busy", "queue_full".
    Task<Result<Appended>> send(Caller caller, Send send);
    // Whether a stream of this key would be refused.
    [[nodiscard]] bool is_full(const Caller& caller) const;
    // One stream per key and session name; a younger one replaces the older.
    void attach(const Caller& caller, Profile profile, std::shared_ptr<net::ResponseStream> stream);
    // Of all streams of this key.
    void acknowledge(const Caller& caller, const std::vector<std::string>& message_ids);

    // Ends streams whose key has ended or whose reader is too slow, and keeps the others alive.
    Task<void> watch_streams();

  private:
    struct Stream {
        EventSocketPtr socket;
        TokenHash token{};
        std::string presence_id;
    };
    [[nodiscard]] static std::string session_of(const ApiKey& key, std::string_view name);
    void attached(const TokenHash& token, const EventSocketPtr& socket, std::string& presence_id,
                  const Arrival& arrival);
    Task<void> attach_among_nodes(Caller caller, Profile profile, EventSocketPtr socket,
                                  std::shared_ptr<std::string> presence_id);
    void on_end(const EventSocket* socket, const std::string& presence_id);
    Task<void> check_keys();

    Broker& broker_;
    Loop& loop_;
    ApiKeyStore keys_;
    std::vector<Stream> streams_;
};

}  // namespace nave::broker
