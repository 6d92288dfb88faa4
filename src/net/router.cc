#include "net/router.h"

#include "base/check.h"
#include "base/text.h"
#include "net/websocket.h"
#include "net/ws_handshake.h"

#include <algorithm>
#include <array>
#include <map>

namespace nave::net {
namespace {

constexpr std::size_t kMethods = 7;  // every Method but `other`, which has no routes
constexpr std::array<Method, kMethods> kAllMethods = {Method::get,    Method::head,  Method::post,
                                                      Method::put,    Method::patch, Method::del,
                                                      Method::options};

struct Entry {
    Router::Route route;
    std::vector<std::string> names;  // of the parameters, in path order
};

struct Node {
    std::map<std::string, std::unique_ptr<Node>, std::less<>> literals;
    std::unique_ptr<Node> parameter;
    std::unique_ptr<Node> rest;
    std::array<const Entry*, kMethods> by_method{};

    [[nodiscard]] bool has_routes() const {
        return std::ranges::any_of(by_method, [](const Entry* entry) { return entry != nullptr; });
    }
};

std::size_t slot(Method method) {
    return static_cast<std::size_t>(method);
}

// "{name}" gives "name"; a literal gives "".
std::string_view parameter_name(std::string_view segment) {
    if (segment.size() > 2 && segment.starts_with('{') && segment.ends_with('}')) {
        return segment.substr(1, segment.size() - 2);
    }
    return {};
}

// Walks the tree along one path. Every node is visited at most once, since its depth fixes where in
// the path it is compared: a hostile path costs no more than the number of routes.
class Walk {
  public:
    explicit Walk(Method method) : method_(method) {}

    // `path` is what follows the last '/' taken. True when a route for the method was found.
    bool step(const Node& node, std::string_view path) {
        const auto slash = path.find('/');
        const std::string_view raw = path.substr(0, slash);
        const bool last = slash == std::string_view::npos;
        std::string decoded;
        std::string_view segment = raw;
        if (raw.contains('%')) {
            auto unescaped = percent_decode(raw);
            if (!unescaped) {
                bad_escape = true;
                return false;
            }
            decoded = std::move(*unescaped);
            segment = decoded;
        }
        const auto descend = [&](const Node& child) {
            return last ? arrive(child) : step(child, path.substr(slash + 1));
        };
        if (const auto found = node.literals.find(segment); found != node.literals.end()) {
            if (descend(*found->second)) {
                return true;
            }
        }
        if (node.parameter && !segment.empty()) {
            values.emplace_back(segment);
            if (descend(*node.parameter)) {
                return true;
            }
            values.pop_back();
        }
        if (node.rest) {
            auto rest = percent_decode(path);
            if (!rest) {
                bad_escape = true;
                return false;
            }
            values.push_back(std::move(*rest));
            if (arrive(*node.rest)) {
                return true;
            }
            values.pop_back();
        }
        return false;
    }

    const Entry* entry = nullptr;
    const Node* best = nullptr;  // the first node that has the path for some method
    bool bad_escape = false;
    std::vector<std::string> values;

  private:
    bool arrive(const Node& node) {
        if (!node.has_routes()) {
            return false;
        }
        if (best == nullptr) {
            best = &node;
        }
        if (method_ == Method::other) {
            return false;
        }
        entry = node.by_method[slot(method_)];
        if (entry == nullptr && method_ == Method::head) {
            const Entry* get = node.by_method[slot(Method::get)];
            entry = get != nullptr && get->route.options.head_runs_get ? get : nullptr;
        }
        return entry != nullptr;
    }

    Method method_;
};

// A route that answers OPTIONS for any path makes none known.
bool is_known(const Node& node) {
    return std::ranges::any_of(kAllMethods, [&](Method method) {
        return method != Method::options && node.by_method[slot(method)] != nullptr;
    });
}

std::string allowed_methods(const Node& node) {
    std::string allow;
    for (const Method method : kAllMethods) {
        const Entry* entry = node.by_method[slot(method)];
        const Entry* get = node.by_method[slot(Method::get)];
        const bool by_get =
            method == Method::head && get != nullptr && get->route.options.head_runs_get;
        if (entry != nullptr || by_get || method == Method::options) {
            allow.append(allow.empty() ? "" : ", ").append(method_name(method));
        }
    }
    return allow;
}

}  // namespace

struct Router::State {
    ErrorRenderer render_error;
    std::vector<std::unique_ptr<Entry>> entries;
    Node root;
    Observer observer;
    std::vector<std::pair<std::string, std::string>> default_headers;
    bool cuts_other_upgrades = false;

    void add_websocket(std::string_view path_template,
                       std::variant<SyncHandler, AsyncHandler> handler) {
        add(Method::get, path_template, {.body_max = 0, .head_runs_get = false},
            std::move(handler));
        entries.back()->route.is_websocket = true;
    }

    void add(Method method, std::string_view path_template, RouteOptions options,
             std::variant<SyncHandler, AsyncHandler> handler) {
        CHECK(method != Method::other, "a route needs a method");
        CHECK(path_template.starts_with('/'), "a route template starts with a slash");
        auto entry =
            std::make_unique<Entry>(Entry{.route = {.path_template = std::string(path_template),
                                                    .method = method,
                                                    .options = options,
                                                    .handler = std::move(handler),
                                                    .is_websocket = false},
                                          .names = {}});
        Node* node = &root;
        std::string_view path = path_template.substr(1);
        for (bool more = true; more;) {
            const auto slash = path.find('/');
            const std::string_view segment = path.substr(0, slash);
            more = slash != std::string_view::npos;
            path = more ? path.substr(slash + 1) : std::string_view();
            node = child_for(*node, segment, more, entry->names);
        }
        CHECK(node->by_method[slot(method)] == nullptr, "the route is registered twice");
        node->by_method[slot(method)] = entry.get();
        entries.push_back(std::move(entry));
    }

    static Node* child_for(Node& node, std::string_view segment, bool more,
                           std::vector<std::string>& names) {
        std::string_view name = parameter_name(segment);
        std::unique_ptr<Node>* child = nullptr;
        if (name.empty()) {
            CHECK(!segment.contains('{') && !segment.contains('}'),
                  "a parameter is a whole path segment");
            child = &node.literals[std::string(segment)];
        } else {
            child = &node.parameter;
            if (name.ends_with("...")) {
                CHECK(!more, "a rest parameter is the last segment");
                name.remove_suffix(3);
                child = &node.rest;
            }
            CHECK(!name.empty() && std::ranges::find(names, name) == names.end(),
                  "parameters of a route have distinct names");
            names.emplace_back(name);
        }
        if (!*child) {
            *child = std::make_unique<Node>();
        }
        return child->get();
    }
};

Router::Router(ErrorRenderer render_error) : state_(std::make_unique<State>()) {
    state_->render_error = render_error;
}
Router::Router(Router&&) noexcept = default;
Router& Router::operator=(Router&&) noexcept = default;
Router::~Router() = default;

void Router::add(Method method, std::string_view path_template, SyncHandler handler,
                 RouteOptions options) {
    state_->add(method, path_template, options, std::move(handler));
}

void Router::add(Method method, std::string_view path_template, AsyncHandler handler,
                 RouteOptions options) {
    state_->add(method, path_template, options, std::move(handler));
}

void Router::websocket(std::string_view path_template, SyncHandler handler,
                       WebSocketOptions options) {
    auto kept = std::make_shared<const WebSocketOptions>(std::move(options));
    state_->add_websocket(path_template, websocket_handler(std::move(handler), std::move(kept),
                                                           state_->render_error));
}

void Router::websocket(std::string_view path_template, AsyncHandler handler,
                       WebSocketOptions options) {
    auto kept = std::make_shared<const WebSocketOptions>(std::move(options));
    state_->add_websocket(path_template, websocket_handler(std::move(handler), std::move(kept),
                                                           state_->render_error));
}

void Router::cut_other_upgrades() {
    state_->cuts_other_upgrades = true;
}

void Router::observe(Observer observer) {
    state_->observer = std::move(observer);
}

void Router::default_header(std::string_view name, std::string value) {
    state_->default_headers.emplace_back(name, std::move(value));
}

Router::Match Router::match(Method method, std::string_view path) const {
    Match match;
    if (!path.starts_with('/')) {
        return match;
    }
    Walk walk(method);
    if (walk.step(state_->root, path.substr(1))) {
        match.route = &walk.entry->route;
        for (std::size_t i = 0; i < walk.values.size(); ++i) {
            match.params.emplace_back(walk.entry->names[i], std::move(walk.values[i]));
        }
        return match;
    }
    match.bad_escape = walk.bad_escape;
    if (walk.best != nullptr && is_known(*walk.best)) {
        match.path_known = true;
        match.allow = allowed_methods(*walk.best);
    }
    return match;
}

std::vector<const Router::Route*> Router::routes() const {
    std::vector<const Route*> out;
    out.reserve(state_->entries.size());
    for (const auto& entry : state_->entries) {
        out.push_back(&entry->route);
    }
    return out;
}

bool Router::cuts_other_upgrades() const {
    return state_->cuts_other_upgrades;
}
ErrorRenderer Router::error_renderer() const {
    return state_->render_error;
}
const Router::Observer& Router::observer() const {
    return state_->observer;
}
const std::vector<std::pair<std::string, std::string>>& Router::default_headers() const {
    return state_->default_headers;
}

}  // namespace nave::net
