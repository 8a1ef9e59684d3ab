#include "server/admin/http.h"

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

#include <string>

using namespace pyralog::server;

namespace {

// The status that refuses it, 0 if it is taken, -1 if there is more to come.
int refused(std::string_view bytes) {
    const ParsedRequest parsed = parse_http_request(bytes);
    if (std::holds_alternative<std::monostate>(parsed)) return -1;
    const auto* refusal = std::get_if<HttpResponse>(&parsed);
    return refusal == nullptr ? 0 : refusal->status;
}

constexpr std::string_view good = "GET /v1/status?pretty=1 HTTP/1.1\r\nHost: a:1\r\n"
                                  "User-Agent: curl\r\nAccept: */*\r\n\r\n";

} // namespace

TEST_CASE("a request is its method and its path", "[server]") {
    const ParsedRequest parsed = parse_http_request(good);
    const auto* request = std::get_if<HttpRequest>(&parsed);
    REQUIRE(request != nullptr);
    CHECK(request->method == "GET");
    CHECK(request->path == "/v1/status");
}

TEST_CASE("part of a request is nothing yet", "[server]") {
    for (std::size_t size = 0; size < good.size(); ++size)
        CHECK(refused(good.substr(0, size)) == -1);
    CHECK(refused(good) == 0);
}

TEST_CASE("what is no request is refused, with the status that says why", "[server]") {
    CHECK(refused("\r\n\r\n") == 400);
    CHECK(refused("GET\r\n\r\n") == 400);
    CHECK(refused("GET /\r\n\r\n") == 400);
    CHECK(refused("GET  / HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
    CHECK(refused("GET / / HTTP/1.1\r\nHost: a\r\n\r\n") == 505);
    CHECK(refused("GET x HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
    CHECK(refused("G(T / HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
    CHECK(refused("GET / HTTP/2.0\r\nHost: a\r\n\r\n") == 505);
    CHECK(refused("GET / HTTP/1.1\r\n\r\n") == 400);
    CHECK(refused("GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n") == 400);
    CHECK(refused("GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n") == 400);
    CHECK(refused("GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n") == 400);
    CHECK(refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4097\r\n\r\n") == 413);
    CHECK(refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999\r\n\r\n") == 413);
    CHECK(refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nX:\n\r\n\r\n") == 400);
    CHECK(refused("GET / HTTP/1.1\nHost: a\r\n\r\n") == 400);
    CHECK(refused("GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
    CHECK(refused("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
    CHECK(refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n") == 400);
    CHECK(refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n") ==
          400);
    CHECK(refused("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n") == 501);
    CHECK(refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n") == 0);
    CHECK(refused("GET / HTTP/1.0\r\n\r\n") == 0);
}

TEST_CASE("a web page cannot stop a node on its reader's machine", "[server]") {
    CHECK(refused("POST /v1/stop HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil\r\n\r\n") ==
          403);
}

TEST_CASE("a small body is taken, when it is there", "[server]") {
    const std::string put =
        "PUT /v1/log-level HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\ndebug";
    for (std::size_t size = 0; size < put.size(); ++size)
        CHECK(refused(std::string_view(put).substr(0, size)) == -1);
    const ParsedRequest parsed = parse_http_request(put + "what follows is nobody's");
    REQUIRE(std::holds_alternative<HttpRequest>(parsed));
    CHECK(std::get<HttpRequest>(parsed).body == "debug");
}

TEST_CASE("parameters are found, and what hides in them is undone", "[server]") {
    const HttpRequest request{"GET", "/", "topic=a%2Fb+c&empty=&bad=%2&topic=second&flag", {}};
    CHECK(request.parameter("topic") == "a/b c");
    CHECK(request.parameter("empty") == "");
    CHECK(request.parameter("flag") == "");
    CHECK_FALSE(request.parameter("bad"));
    CHECK_FALSE(request.parameter("none"));
}

TEST_CASE("a head is never longer than its bound", "[server]") {
    const std::string start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    CHECK(refused(start + std::string(http_head_bytes_max, 'x')) == 431);
    CHECK(refused(std::string(http_head_bytes_max - 1, 'x')) == -1);
    CHECK(refused(std::string(http_head_bytes_max, 'x')) == 431);
    std::string many = "GET / HTTP/1.1\r\nHost: a\r\n";
    for (std::size_t i = 0; i < http_headers_max; ++i) many += "a: b\r\n";
    CHECK(refused(many + "\r\n") == 400);
}

TEST_CASE("an answer is read as it is written", "[server]") {
    rc::prop("whole, and never earlier", [](const std::string& body) {
        const std::string bytes = format_http_response({202, "text/plain", body, {}});
        for (std::size_t size = 0; size < bytes.size(); ++size)
            RC_ASSERT(std::holds_alternative<std::monostate>(
                parse_http_response(std::string_view(bytes).substr(0, size))));
        const ParsedResponse parsed = parse_http_response(bytes);
        const auto* response = std::get_if<HttpResponse>(&parsed);
        RC_ASSERT(response != nullptr);
        RC_ASSERT(response->status == 202);
        RC_ASSERT(response->body == body);
        RC_ASSERT(std::holds_alternative<BadResponse>(parse_http_response(bytes + "x")));
    });
}

TEST_CASE("our own requests are taken", "[server]") {
    CHECK(refused(format_http_request({"POST", "/v1/stop", "", ""}, "[::1]:9094")) == 0);
    CHECK(refused(format_http_request({"PUT", "/x", "a=b", "body"}, "a")) == 0);
}

TEST_CASE("an answer that is not one of ours is bad, and claims buy no memory", "[server]") {
    for (const std::string_view bytes :
         {"HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 20\r\nContent-Length: 0\r\n\r\n", "SSH-2.0\r\n\r\n",
          "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n"})
        CHECK(std::holds_alternative<BadResponse>(parse_http_response(bytes)));
    CHECK(std::holds_alternative<BadResponse>(
        parse_http_response(std::string(http_head_bytes_max, 'x'))));
}

TEST_CASE("what other servers answer is read in every form that it may have", "[server]") {
    const auto reply = [](std::string_view bytes, bool has_ended = false) {
        for (std::size_t size = 0; size < bytes.size() - 1; ++size)
            CHECK(std::holds_alternative<std::monostate>(
                parse_http_reply(bytes.substr(0, size), false)));
        const ParsedReply parsed = parse_http_reply(bytes, has_ended);
        REQUIRE(std::holds_alternative<HttpReply>(parsed));
        return std::get<HttpReply>(parsed);
    };
    const HttpReply plain = reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    CHECK((plain.status == 200 && plain.body == "{}" && plain.stays_open));
    CHECK_FALSE(plain.retry_after_s);
    const HttpReply pieces = reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                   "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n");
    CHECK((pieces.body == "abcde" && pieces.stays_open));
    const HttpReply busy = reply("HTTP/1.1 503 Busy\r\nRetry-After: 12\r\n"
                                 "Connection: close\r\nContent-Length: 0\r\n\r\n");
    CHECK((busy.status == 503 && busy.retry_after_s == 12 && !busy.stays_open));
    CHECK_FALSE(reply("HTTP/1.1 429 x\r\nContent-Length: 0\r\n"
                      "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n\r\n")
                    .retry_after_s);
    CHECK_FALSE(reply("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").stays_open);
    const HttpReply endless = reply("HTTP/1.1 200 OK\r\n\r\nup to the end", true);
    CHECK((endless.body == "up to the end" && !endless.stays_open));
    // Whoever says more than he was asked is not asked again on this connection.
    const ParsedReply more = parse_http_reply("HTTP/1.1 204 x\r\n\r\nmore", false);
    CHECK_FALSE(std::get<HttpReply>(more).stays_open);
}

TEST_CASE("what is no answer of a server is bad, and none is longer than its bound", "[server]") {
    const auto is_bad = [](std::string_view bytes, bool has_ended = false) {
        return std::holds_alternative<BadResponse>(parse_http_reply(bytes, has_ended));
    };
    CHECK(is_bad("SSH-2.0-OpenSSH\r\n\r\n"));
    CHECK(is_bad("HTTP/1.1 20\r\n\r\n"));
    CHECK(is_bad("", true));
    CHECK(is_bad("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", true));
    CHECK(is_bad("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"));
    CHECK(is_bad("HTTP/1.1 200 OK\r\nX: " + std::string(http_head_bytes_max, 'x')));
    CHECK(is_bad("HTTP/1.1 200 OK\r\n\r\n" +
                 std::string(http_reply_body_bytes_max + http_head_bytes_max, 'x')));
    std::string pieces = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    while (pieces.size() < http_head_bytes_max + 2 * http_reply_body_bytes_max)
        pieces += "1;" + std::string(64, 'x') + "\r\na\r\n";
    CHECK(is_bad(pieces));
}

TEST_CASE("no bytes bring the parsers down", "[server]") {
    rc::prop("each gives one of its answers", [](const std::string& bytes) {
        (void)parse_http_request(bytes); // That it returns is all there is to see.
        (void)parse_http_request("GET / HTTP/1.1\r\n" + bytes + "\r\n\r\n");
        (void)parse_http_response(bytes);
        (void)parse_http_response("HTTP/1.1 200 OK\r\n" + bytes + "\r\n\r\n");
        (void)parse_http_reply(bytes, true);
        (void)parse_http_reply("HTTP/1.1 200 OK\r\n" + bytes + "\r\n\r\n", false);
    });
}
