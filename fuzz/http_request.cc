// What somebody sends to the admin port, and what somebody answers who is asked there.
#include "fuzz/input.h"
#include "fuzz/target.h"
#include "server/admin/http.h"

#include <string>

namespace pyralog::fuzz {

namespace {

using namespace server;

bool reads_request(std::string_view text) {
    const ParsedRequest parsed = parse_http_request(text);
    if (std::holds_alternative<std::monostate>(parsed)) {
        CHECK(text.size() < http_head_bytes_max + http_request_body_bytes_max);
        return false;
    }
    if (const auto* refusal = std::get_if<HttpResponse>(&parsed)) {
        CHECK(refusal->status >= 400 && refusal->status < 600 && !refusal->body.empty());
        return false;
    }
    const auto& request = std::get<HttpRequest>(parsed);
    CHECK(request.path.starts_with('/') && request.path.find('?') == std::string::npos);
    CHECK(request.body.size() <= http_request_body_bytes_max);
    (void)request.parameter("topic");
    // What was understood is said in our own words, and understood as the same; no part of them is.
    const std::string again = format_http_request(request, "host");
    if (again.size() > http_head_bytes_max) return true;
    const ParsedRequest second = parse_http_request(again);
    const auto* same = std::get_if<HttpRequest>(&second);
    CHECK(same && same->method == request.method && same->path == request.path);
    CHECK(same->query == request.query && same->body == request.body);
    CHECK(std::holds_alternative<std::monostate>(
        parse_http_request(std::string_view(again).substr(0, again.size() - 1))));
    return true;
}

// Of somebody else's server: some answer, when all has come.
void reads_reply(std::string_view text) {
    (void)parse_http_reply(text, false);
    const ParsedReply parsed = parse_http_reply(text, true);
    CHECK(!std::holds_alternative<std::monostate>(parsed));
    const auto* reply = std::get_if<HttpReply>(&parsed);
    CHECK(!reply || (reply->body.size() <= http_reply_body_bytes_max && !reply->stays_open));
}

bool reads_response(std::string_view text) {
    reads_reply(text);
    const ParsedResponse parsed = parse_http_response(text);
    const auto* response = std::get_if<HttpResponse>(&parsed);
    if (!response) return false;
    CHECK(text.ends_with(response->body));
    return true;
}

} // namespace

bool run_http_request(std::span<const std::byte> bytes) {
    Input input(bytes);
    const bool is_response = input.byte() % 4 == 3;
    const Bytes rest = input.all();
    return is_response ? reads_response(rest.text()) : reads_request(rest.text());
}

} // namespace pyralog::fuzz
