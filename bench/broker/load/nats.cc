// NATS over WebSocket. Core: a publication reaches the subscribers there are and is not
// acknowledged. JetStream: every receiver has a stream in the file store and a consumer that
// pushes; the server acknowledges what the stream took.
#include "generator.h"

#include <charconv>
#include <string>

namespace {

constexpr std::string_view kMessages = "1";  // subscription ids
constexpr std::string_view kReplies = "2";

class Nats : public Protocol {
  public:
    explicit Nats(bool jetstream) : jetstream_(jetstream) {}

    bool acknowledges() const override { return jetstream_; }

    void greet(Generator& load, std::size_t index) override {
        std::string text =
            "CONNECT "
            "{\"verbose\":false,\"pedantic\":false,\"tls_required\":false,\"lang\":\"load\","
            "\"version\":\"1\",\"protocol\":1}\r\n";
        if (jetstream_) {
            text += "SUB " + inbox(index) + " " + std::string(kReplies) + "\r\n";
        }
        if (load.receives(index)) {
            text += "SUB " + mailbox(load, index) + " " + std::string(kMessages) + "\r\n";
        }
        if (jetstream_ && load.receives(index)) {
            text += publication("$JS.API.STREAM.CREATE." + load.key(index), inbox(index),
                                "{\"name\":\"" + load.key(index) + "\",\"subjects\":[\"" +
                                    subject(load, index) +
                                    "\"],\"storage\":\"file\",\"retention\":\"limits\","
                                    "\"discard\":\"old\",\"max_msgs\":100000}");
        } else {
            text += "PING\r\n";
        }
        load.write(index, text);
    }

    std::size_t consume(Generator& load, std::size_t index, std::string_view bytes) override {
        std::size_t taken = 0;
        for (;;) {
            const auto rest = bytes.substr(taken);
            const auto end = rest.find("\r\n");
            if (end == std::string_view::npos) {
                return taken;
            }
            const auto line = rest.substr(0, end);
            std::size_t size = end + 2;
            if (line.starts_with("MSG ")) {
                std::size_t payload = 0;
                const auto last = line.rfind(' ') + 1;
                std::from_chars(line.data() + last, line.data() + line.size(), payload);
                if (rest.size() < size + payload + 2) {
                    return taken;
                }
                message(load, index, line, rest.substr(size, payload));
                size += payload + 2;
            } else if (line == "PING") {
                load.write(index, "PONG\r\n");
            } else if (line == "PONG") {
                load.ready(index);
            } else if (line.starts_with("-ERR")) {
                die(line);
            }
            taken += size;
        }
    }

    void direct(Generator& load, std::size_t sender, std::size_t receiver) override {
        load.write(sender, publication(subject(load, receiver), jetstream_ ? inbox(sender) : "",
                                       load.body()));
    }
    void broadcast(Generator& load, std::size_t sender) override {
        load.write(sender, publication("all", "", load.body()));
    }

  private:
    static std::string inbox(std::size_t index) { return "_INBOX." + std::to_string(index); }
    static std::string subject(const Generator& load, std::size_t index) {
        return load.mode() == Mode::fanout ? "all" : "to." + load.key(index);
    }
    // Where messages come in: of JetStream, where the consumer pushes.
    std::string mailbox(const Generator& load, std::size_t index) const {
        return jetstream_ ? "push." + load.key(index) : subject(load, index);
    }
    static std::string publication(const std::string& subject, const std::string& reply,
                                   std::string_view body) {
        std::string text = "PUB " + subject + (reply.empty() ? " " : " " + reply + " ");
        text += std::to_string(body.size()) + "\r\n";
        text += body;
        text += "\r\n";
        return text;
    }

    void message(Generator& load, std::size_t index, std::string_view line,
                 std::string_view payload) {
        const auto id = line.substr(line.find(' ', 4) + 1, 2);
        if (id.starts_with(kMessages)) {
            load.received(index);
            return;
        }
        if (payload.find("\"error\"") != std::string_view::npos) {
            die(payload);
        }
        if (!load.receives(index)) {
            load.acknowledged(index);
        } else if (payload.find("stream_create_response") != std::string_view::npos) {
            load.write(
                index,
                publication("$JS.API.CONSUMER.CREATE." + load.key(index), inbox(index),
                            "{\"stream_name\":\"" + load.key(index) +
                                "\",\"config\":{\"deliver_subject\":\"" + mailbox(load, index) +
                                "\",\"deliver_policy\":\"new\",\"ack_policy\":"
                                "\"none\",\"replay_policy\":\"instant\"}}"));
        } else {
            load.ready(index);
        }
    }

    bool jetstream_;
};

}  // namespace

std::unique_ptr<Protocol> make_nats(bool jetstream) {
    return std::make_unique<Nats>(jetstream);
}
