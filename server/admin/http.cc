#include "server/admin/http.h"

#include "core/base/config.h"

#include <algorithm>

namespace pyralog::server {

namespace {

constexpr std::string_view end_of_line = "\r\n";
constexpr std::string_view end_of_head = "\r\n\r\n";

HttpResponse refusal(int status, std::string_view why) {
    return {status, "text/plain; charset=utf-8", std::string(why) + '\n'};
}

bool is_token(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return c > ' ' && c < 0x7f &&
               std::string_view("()<>@,;:\\\"/[]?={}").find(c) == std::string_view::npos;
    });
}

bool is_printable(std::string_view text) {
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return (c >= ' ' && c < 0x7f) || c == '\t'; });
}

std::string lower(std::string_view text) {
    std::string result(text);
    for (char& c : result)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return result;
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

// Of the headers, what somebody here acts on.
struct Headers {
    bool well_formed = true;
    bool has_host = false;
    bool has_origin = false;
    bool is_encoded = false;
    std::optional<std::int64_t> content_length;
};

// `lines` end with a line break each.
Headers parse_headers(std::string_view lines) {
    Headers headers;
    for (std::size_t count = 0; !lines.empty(); ++count) {
        const auto end = lines.find(end_of_line);
        const std::string_view line = lines.substr(0, end);
        lines.remove_prefix(end + end_of_line.size());
        const auto colon = line.find(':');
        headers.well_formed = colon != std::string_view::npos && is_token(line.substr(0, colon)) &&
                              is_printable(line) && count < http_headers_max;
        if (!headers.well_formed) return headers;
        const std::string name = lower(line.substr(0, colon));
        if (name == "host") headers.has_host = true;
        if (name == "origin") headers.has_origin = true;
        if (name == "transfer-encoding") headers.is_encoded = true;
        if (name != "content-length") continue;
        const auto length = parse_integer(trimmed(line.substr(colon + 1)));
        // Said twice is how one smuggles a second request past somebody who believes the first.
        headers.well_formed = length && *length >= 0 && !headers.content_length;
        if (!headers.well_formed) return headers;
        headers.content_length = length;
    }
    return headers;
}

std::string_view reason(int status) {
    switch (status) {
    case 200: return "OK";
    case 202: return "Accepted";
    case 400: return "Bad Request";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 413: return "Content Too Large";
    case 431: return "Request Header Fields Too Large";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    default: return "Unknown";
    }
}

} // namespace

ParsedRequest parse_http_request(std::string_view bytes) {
    const std::string_view window = bytes.substr(0, http_head_bytes_max);
    const auto end = window.find(end_of_head);
    if (end == std::string_view::npos) {
        if (bytes.size() < http_head_bytes_max) return {};
        return refusal(431, "the head of the request is too long");
    }
    const std::string_view head = bytes.substr(0, end + end_of_line.size());
    const auto line_end = head.find(end_of_line);
    const std::string_view line = head.substr(0, line_end);
    const auto first = line.find(' ');
    const auto second = line.rfind(' ');
    if (first == std::string_view::npos || second <= first)
        return refusal(400, "the first line is not of the form METHOD PATH VERSION");
    const std::string_view method = line.substr(0, first);
    const std::string_view target = line.substr(first + 1, second - first - 1);
    const std::string_view version = line.substr(second + 1);
    if (version != "HTTP/1.1" && version != "HTTP/1.0")
        return refusal(505, "only HTTP/1.1 is spoken here");
    const std::string_view path = target.substr(0, target.find('?'));
    if (!is_token(method) || path.empty() || path.front() != '/' || !is_printable(target) ||
        target.find_first_of(" \t") != std::string_view::npos)
        return refusal(400, "the first line is not of the form METHOD PATH VERSION");
    const Headers headers = parse_headers(head.substr(line_end + end_of_line.size()));
    if (!headers.well_formed) return refusal(400, "a header is malformed, or there are too many");
    if (version == "HTTP/1.1" && !headers.has_host) return refusal(400, "there is no Host header");
    if (headers.is_encoded) return refusal(501, "no transfer encoding is understood here");
    if (headers.content_length.value_or(0) > 0) return refusal(413, "no request here has a body");
    // A browser names the page that a request comes from. No page has any business here, least of
    // all one that has found out that a node listens on the reader's own machine.
    if (headers.has_origin && method != "GET")
        return refusal(403, "requests from a web page are refused");
    return HttpRequest{std::string(method), std::string(path)};
}

std::string format_http_request(const HttpRequest& request, std::string_view host) {
    return request.method + ' ' + request.path + " HTTP/1.1\r\nHost: " + std::string(host) +
           "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
}

std::string format_http_response(const HttpResponse& response) {
    return "HTTP/1.1 " + std::to_string(response.status) + ' ' +
           std::string(reason(response.status)) + "\r\nContent-Type: " + response.content_type +
           "\r\nContent-Length: " + std::to_string(response.body.size()) +
           "\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n" + response.body;
}

ParsedResponse parse_http_response(std::string_view bytes) {
    const auto end = bytes.substr(0, http_head_bytes_max).find(end_of_head);
    if (end == std::string_view::npos) {
        if (bytes.size() < http_head_bytes_max) return {};
        return BadResponse{};
    }
    const std::string_view head = bytes.substr(0, end + end_of_line.size());
    const auto line_end = head.find(end_of_line);
    const std::string_view line = head.substr(0, line_end);
    if (!line.starts_with("HTTP/1.1 ") || line.size() < 12) return BadResponse{};
    const auto status = parse_integer(line.substr(9, 3));
    const Headers headers = parse_headers(head.substr(line_end + end_of_line.size()));
    if (!status || *status < 100 || !headers.well_formed || headers.is_encoded ||
        !headers.content_length ||
        *headers.content_length > static_cast<std::int64_t>(http_body_bytes_max))
        return BadResponse{};
    const std::string_view body = bytes.substr(end + end_of_head.size());
    const auto length = static_cast<std::size_t>(*headers.content_length);
    if (body.size() < length) return {};
    if (body.size() > length) return BadResponse{};
    return HttpResponse{static_cast<int>(*status), {}, std::string(body)};
}

} // namespace pyralog::server
