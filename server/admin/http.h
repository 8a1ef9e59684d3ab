// server/admin/http.h
//
// As much of HTTP/1.1 as a node needs to be asked how it is: one request for each connection, with
// a small body or none. Pure functions of bytes; Boost.Beast reads the heads. Strict: what is not
// of this form is refused with the status that says why, and nothing is ever allocated because a
// peer claims that more will come.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace pyralog::server {

struct HttpRequest {
    std::string method;
    std::string path;       // Without the query,
    std::string query = {}; // which is what follows the '?', as it came.
    std::string body = {};

    // A parameter of the query, its %XX and + undone. Nothing: it is not there, or malformed.
    std::optional<std::string> parameter(std::string_view name) const;
};

struct HttpResponse {
    int status = 200;
    std::string content_type = "text/plain; charset=utf-8";
    std::string body = {};
    std::string allow = {}; // Of a 405: which methods there are.
};

// A browser's request line and headers fit in half of this.
constexpr std::size_t http_head_bytes_max = 8 * 1024;
constexpr std::size_t http_headers_max = 64;
constexpr std::size_t http_request_body_bytes_max = 4 * 1024;
// Far beyond the metrics of a node with ten thousand partitions.
constexpr std::size_t http_body_bytes_max = 32 * 1024 * 1024;

// What `bytes`, all that has come so far, amount to: a request, the answer that refuses them, or
// nothing yet. Never nothing once http_head_bytes_max + http_request_body_bytes_max have come.
using ParsedRequest = std::variant<std::monostate, HttpRequest, HttpResponse>;
ParsedRequest parse_http_request(std::string_view bytes);

// To send, with its length and the promise to close.
std::string format_http_request(const HttpRequest& request, std::string_view host);
std::string format_http_response(const HttpResponse& response);

// The other side's view: a response, nothing yet, or what no answer of ours would look like.
struct BadResponse {};
using ParsedResponse = std::variant<std::monostate, HttpResponse, BadResponse>;
ParsedResponse parse_http_response(std::string_view bytes);

// ---- Of other servers ----

// To send to one: with a body, over a connection that is to stay open.
std::string format_http_post(std::string_view path, std::string_view host,
                             std::string_view content_type, std::string_view body);

// What it answers, which may be of any form that HTTP/1.1 has.
struct HttpReply {
    int status = 0;
    std::string body;
    std::optional<std::int64_t> retry_after_s; // If it asks for that.
    bool stays_open = false;                   // Another request may follow on this connection.
};

constexpr std::size_t http_reply_body_bytes_max = 64 * 1024;

// What `bytes` amount to, all that has come so far; `has_ended`: and all that will. Never nothing
// then, nor once http_head_bytes_max + 2 * http_reply_body_bytes_max have come.
using ParsedReply = std::variant<std::monostate, HttpReply, BadResponse>;
ParsedReply parse_http_reply(std::string_view bytes, bool has_ended);

} // namespace pyralog::server
