// The handle by which a handler writes an unfinished response.
#pragma once

#include "net/connection.h"
#include "net/response.h"

#include <boost/smart_ptr/intrusive_ptr.hpp>

#include <cstddef>
#include <functional>
#include <string_view>

namespace nave::net {

// Attached to its connection until either side ends it. Dropping the last reference without close()
// aborts: the client must not take a truncated response for a whole one.
class Connection::Stream final : public ResponseStream {
  public:
    Stream(Connection& connection, std::size_t buffered_max)
        : connection_(&connection), buffered_max_(buffered_max) {}
    ~Stream() override { abort(); }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    bool write(std::string_view bytes) override;
    void flush() override;
    [[nodiscard]] std::size_t buffered() const override;
    void set_buffered_max(std::size_t bytes) override;
    [[nodiscard]] std::size_t buffered_max() const { return buffered_max_; }
    void close() override;
    void abort() override;
    void on_closed(std::move_only_function<void()> fn) override;

    // By the connection, which has let go of the stream already.
    void tell_closed();

  private:
    boost::intrusive_ptr<Connection> connection_;  // null once ended
    std::size_t buffered_max_;
    std::move_only_function<void()> on_closed_;
};

}  // namespace nave::net
