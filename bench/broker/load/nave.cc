// Nave's broker: JSON in text frames.
#include "generator.h"

#include <string>

namespace {

class Nave : public Protocol {
  public:
    std::string_view websocket_path() const override { return "/ws"; }
    char frame() const override { return kTextFrame; }

    void greet(Generator& load, std::size_t index) override {
        load.write(index, load.hello(index));
    }

    std::size_t consume(Generator& load, std::size_t index, std::string_view message) override {
        if (message.starts_with(R"({"type":"push")")) {
            if (load.is_own(message)) {
                load.received(index);
            }
        } else if (message.starts_with(R"({"type":"ack")")) {
            if (message.find(R"("queued":true)") == std::string_view::npos) {
                die("refused: " + std::string(message));
            }
            load.acknowledged(index);
        } else if (message.starts_with(R"({"type":"hello_ack")")) {
            load.ready(index);
        } else if (message.starts_with(R"({"type":"error")")) {
            die(message);
        }
        return message.size();
    }

    void direct(Generator& load, std::size_t sender, std::size_t receiver) override {
        send(load, sender, load.key(receiver));
    }
    void broadcast(Generator& load, std::size_t sender) override { send(load, sender, "*"); }

  private:
    static void send(Generator& load, std::size_t sender, const std::string& target) {
        load.write(sender, R"({"type":"send","id":"1","targetSpec":")" + target +
                               R"(","priority":"next","nonce":"","ciphertext":")" + load.body() +
                               R"("})");
    }
};

}  // namespace

std::unique_ptr<Protocol> make_nave() {
    return std::make_unique<Nave>();
}
