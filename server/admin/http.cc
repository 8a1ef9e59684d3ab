#include "server/admin/http.h"

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <algorithm>
#include <charconv>

namespace pyralog::server {

namespace {

namespace beast = boost::beast::http;

constexpr std::string_view end_of_head = "\r\n\r\n";

HttpResponse refusal(int status, std::string_view why) {
    return {status, "text/plain; charset=utf-8", std::string(why) + '\n'};
}

std::string_view view(boost::core::string_view text) { return {text.data(), text.size()}; }

bool is_printable(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

// Up to where a head reaches; nothing if its end has not come. Beast is given whole heads only: it
// has no say in when there is enough.
std::optional<std::size_t> head_of(std::string_view bytes) {
    const auto end = bytes.substr(0, http_head_bytes_max).find(end_of_head);
    if (end == std::string_view::npos) return {};
    return end + end_of_head.size();
}

// Beast joins lines that begin with a space to the one before, as HTTP/1.0 had it, and takes a lone
// line feed for the end of a line; both are how one hides a header from somebody else who reads it.
bool has_odd_lines(std::string_view head) {
    for (std::size_t at = head.find('\n'); at != std::string_view::npos;
         at = head.find('\n', at + 1)) {
        if (at == 0 || head[at - 1] != '\r') return true;
        if (at + 1 < head.size() && (head[at + 1] == ' ' || head[at + 1] == '\t')) return true;
    }
    return head.find('\0') != std::string_view::npos;
}

template <class Parser>
boost::system::error_code read_head(Parser& parser, std::string_view head) {
    parser.header_limit(http_head_bytes_max);
    parser.body_limit(boost::none); // That is judged where there are words for it.
    boost::system::error_code error;
    parser.put(boost::asio::const_buffer(head.data(), head.size()), error);
    return error;
}

std::size_t count_headers(const beast::fields& fields) {
    return static_cast<std::size_t>(std::distance(fields.begin(), fields.end()));
}

int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

std::optional<std::string> undone(std::string_view text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            plain += text[i] == '+' ? ' ' : text[i];
            continue;
        }
        const int high = i + 2 < text.size() ? hex(text[i + 1]) : -1;
        const int low = i + 2 < text.size() ? hex(text[i + 2]) : -1;
        if (high < 0 || low < 0) return {};
        plain += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return plain;
}

// The answer that refuses this head, if it has to be.
std::optional<HttpResponse> objection(const beast::request<beast::empty_body>& request,
                                      bool is_chunked, std::size_t body_bytes) {
    const std::string_view target = view(request.target());
    if (request.version() != 10 && request.version() != 11)
        return refusal(505, "only HTTP/1.1 is spoken here");
    if (target.empty() || target.front() != '/' || !is_printable(target))
        return refusal(400, "the path does not begin with '/', or is not printable");
    if (count_headers(request) > http_headers_max)
        return refusal(400, "there are too many headers");
    if (request.version() == 11 && request.count(beast::field::host) == 0)
        return refusal(400, "there is no Host header");
    // Said twice is how one smuggles a second request past somebody who believes the first.
    if (request.count(beast::field::content_length) > 1)
        return refusal(400, "Content-Length is said twice");
    if (is_chunked || request.count(beast::field::transfer_encoding) > 0)
        return refusal(501, "no transfer encoding is understood here");
    if (body_bytes > http_request_body_bytes_max)
        return refusal(413, "the body of the request is too long");
    // A browser names the page that a request comes from. No page has any business here but to
    // read, least of all one that has found out that a node listens on the reader's own machine.
    if (request.count(beast::field::origin) > 0 && request.method() != beast::verb::get)
        return refusal(403, "requests from a web page are refused");
    return {};
}

std::string_view reason(int status) {
    return view(beast::obsolete_reason(static_cast<beast::status>(status)));
}

} // namespace

std::optional<std::string> HttpRequest::parameter(std::string_view name) const {
    std::string_view rest = query;
    while (!rest.empty()) {
        const std::string_view pair = rest.substr(0, rest.find('&'));
        rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
        const std::string_view key = pair.substr(0, pair.find('='));
        if (key != name) continue;
        return undone(pair.substr(std::min(pair.size(), key.size() + 1)));
    }
    return {};
}

ParsedRequest parse_http_request(std::string_view bytes) {
    const auto end = head_of(bytes);
    if (!end) {
        if (bytes.size() < http_head_bytes_max) return {};
        return refusal(431, "the head of the request is too long");
    }
    const std::string_view head = bytes.substr(0, *end);
    beast::request_parser<beast::empty_body> parser;
    if (has_odd_lines(head)) return refusal(400, "this is no HTTP: a line ends or begins oddly");
    const boost::system::error_code error = read_head(parser, head);
    if (error == beast::error::bad_version) return refusal(505, "only HTTP/1.1 is spoken here");
    // That there is a body where it knows of none is the only thing that it may mind.
    if (!parser.is_header_done()) return refusal(400, "this is no HTTP: " + error.message());
    const auto length = parser.content_length();
    const std::size_t body_bytes =
        length ? static_cast<std::size_t>(std::min<std::uint64_t>(*length, http_body_bytes_max))
               : 0;
    if (auto refused = objection(parser.get(), parser.chunked(), body_bytes)) return *refused;
    const std::string_view body = bytes.substr(head.size());
    if (body.size() < body_bytes) return {};
    const std::string_view target = view(parser.get().target());
    const std::string_view path = target.substr(0, target.find('?'));
    HttpRequest request;
    request.method = view(parser.get().method_string());
    request.path = path;
    request.query = target.substr(std::min(target.size(), path.size() + 1));
    request.body = body.substr(0, body_bytes);
    return request;
}

std::string format_http_request(const HttpRequest& request, std::string_view host) {
    return request.method + ' ' + request.path + (request.query.empty() ? "" : "?") +
           request.query + " HTTP/1.1\r\nHost: " + std::string(host) +
           "\r\nContent-Length: " + std::to_string(request.body.size()) +
           "\r\nConnection: close\r\n\r\n" + request.body;
}

// Scripts and styles of the console are files of their own, so nothing else is ever to be run.
std::string format_http_response(const HttpResponse& response) {
    return "HTTP/1.1 " + std::to_string(response.status) + ' ' +
           std::string(reason(response.status)) + "\r\nContent-Type: " + response.content_type +
           "\r\nContent-Length: " + std::to_string(response.body.size()) +
           (response.allow.empty() ? "" : "\r\nAllow: " + response.allow) +
           "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff"
           "\r\nContent-Security-Policy: default-src 'self'; frame-ancestors 'none'"
           "\r\nConnection: close\r\n\r\n" +
           response.body;
}

ParsedResponse parse_http_response(std::string_view bytes) {
    const auto end = head_of(bytes);
    if (!end) {
        if (bytes.size() < http_head_bytes_max) return {};
        return BadResponse{};
    }
    const std::string_view head = bytes.substr(0, *end);
    beast::response_parser<beast::empty_body> parser;
    if (has_odd_lines(head)) return BadResponse{};
    const boost::system::error_code error = read_head(parser, head);
    if (error == beast::error::bad_version || !parser.is_header_done() ||
        parser.get().version() != 11 || parser.chunked() ||
        parser.get().count(beast::field::transfer_encoding) > 0 ||
        parser.get().count(beast::field::content_length) != 1)
        return BadResponse{};
    const auto length = parser.content_length();
    if (!length || *length > http_body_bytes_max) return BadResponse{};
    const std::string_view body = bytes.substr(head.size());
    if (body.size() < *length) return {};
    if (body.size() > *length) return BadResponse{};
    return HttpResponse{static_cast<int>(parser.get().result_int()), {}, std::string(body), {}};
}

std::string format_http_post(std::string_view path, std::string_view host,
                             std::string_view content_type, std::string_view body) {
    std::string text = "POST ";
    text.append(path).append(" HTTP/1.1\r\nHost: ").append(host);
    text.append("\r\nUser-Agent: pyralog\r\nContent-Type: ").append(content_type);
    text.append("\r\nContent-Length: ").append(std::to_string(body.size()));
    return text.append("\r\n\r\n").append(body);
}

ParsedReply parse_http_reply(std::string_view bytes, bool has_ended) {
    constexpr std::size_t all_max = http_head_bytes_max + 2 * http_reply_body_bytes_max;
    beast::response_parser<beast::string_body> parser;
    parser.header_limit(http_head_bytes_max);
    parser.body_limit(http_reply_body_bytes_max);
    parser.eager(true);
    boost::system::error_code error;
    std::size_t read = 0;
    while (!error && !parser.is_done() && read < bytes.size())
        read +=
            parser.put(boost::asio::const_buffer(bytes.data() + read, bytes.size() - read), error);
    if (error == beast::error::need_more) error = {};
    // Of one that does not say how long it is, the end is where the connection ends.
    if (!error && !parser.is_done() && has_ended && parser.got_some()) parser.put_eof(error);
    if (error) return BadResponse{};
    if (!parser.is_done()) {
        if (has_ended || bytes.size() >= all_max) return BadResponse{};
        return {};
    }
    const auto& message = parser.get();
    HttpReply reply;
    reply.status = static_cast<int>(message.result_int());
    reply.body = message.body();
    reply.stays_open = !has_ended && parser.keep_alive() && read == bytes.size();
    const std::string_view after = view(message[beast::field::retry_after]);
    std::int64_t seconds = 0;
    const auto [end, flaw] = std::from_chars(after.data(), after.data() + after.size(), seconds);
    if (flaw == std::errc() && end == after.data() + after.size() && seconds >= 0)
        reply.retry_after_s = seconds;
    return reply;
}

} // namespace pyralog::server
