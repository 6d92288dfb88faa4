// Secret: text that must not reach a log, an error or a metric. It has no stream or format
// operator and no ==; whoever needs the text says reveal(), which is easy to find in review.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace nave {

class Secret {
  public:
    Secret() = default;
    explicit Secret(std::string text) : text_(std::move(text)) {}
    Secret(const Secret&) = default;
    Secret(Secret&&) noexcept = default;
    Secret& operator=(const Secret&) = default;
    Secret& operator=(Secret&&) noexcept = default;
    ~Secret();
    bool operator==(const Secret&) const = delete;

    [[nodiscard]] std::string_view reveal() const { return text_; }
    [[nodiscard]] bool empty() const { return text_.empty(); }
    [[nodiscard]] std::size_t size() const { return text_.size(); }

  private:
    std::string text_;
};

}  // namespace nave
