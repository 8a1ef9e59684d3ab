#include "core/env/network.h"

#include "core/base/config.h"

namespace pyralog {

std::optional<Address> parse_address(std::string_view text) {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) return {};
    std::string_view host = text.substr(0, colon);
    const auto port = parse_integer(text.substr(colon + 1));
    if (!port || *port < 0 || *port > 65535) return {};
    if (host.size() >= 2 && host.front() == '[' && host.back() == ']')
        host = host.substr(1, host.size() - 2);
    else if (host.find(':') != std::string_view::npos)
        return {}; // An IPv6 address without brackets: which colon is the last?
    if (host.empty()) return {};
    return Address{std::string(host), static_cast<std::uint16_t>(*port)};
}

std::string to_string(const Address& address) {
    const bool v6 = address.host.find(':') != std::string::npos;
    return (v6 ? '[' + address.host + ']' : address.host) + ':' + std::to_string(address.port);
}

Result<> read_exactly(Stream& stream, std::span<std::byte> into) {
    while (!into.empty()) {
        const std::size_t count = TRY(stream.read_some(into));
        if (count == 0) return Error::disconnected;
        into = into.subspan(count);
    }
    return {};
}

} // namespace pyralog
