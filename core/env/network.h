// core/env/network.h
//
// Byte streams between nodes, and from clients. A stream keeps the order of its bytes and nothing
// else: it may deliver them in pieces of any size, late, or never, and it may end after any byte.
// Two streams to the same peer share no order. Framing, retries and identity are built above.
//
// All calls may wait. At most one fiber reads from a stream at a time, and at most one writes.
#pragma once

#include "core/base/bytes.h"
#include "core/base/result.h"

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace pyralog {

struct Address {
    std::string host; // A name, or an IPv4 or IPv6 address without brackets.
    std::uint16_t port = 0;
    auto operator<=>(const Address&) const = default;
};

// "host:port", "[::1]:port"; nothing where the text is not of this form.
std::optional<Address> parse_address(std::string_view text);
std::string to_string(const Address& address);

class Stream {
public:
    virtual ~Stream() = default; // Closes at once; what was not delivered may be lost.

    // Waits for at least one byte. Zero means that the peer has finished sending.
    virtual Result<std::size_t> read_some(std::span<std::byte> into) = 0;

    // Returns when the stream has taken all of `data`; this says nothing about the peer. After an
    // error any prefix of it may be on its way, so the stream is of no more use.
    virtual Result<> write(const BytesChain& data) = 0;

    virtual const Address& peer() const = 0;
};

// Fills all of `into`. Error::disconnected if the stream ends before.
Result<> read_exactly(Stream& stream, std::span<std::byte> into);

class Listener {
public:
    virtual ~Listener() = default; // Stops listening; streams that were accepted live on.
    virtual Result<std::unique_ptr<Stream>> accept() = 0;
    virtual const Address& address() const = 0; // With the port that was really bound.
};

class Network {
public:
    virtual ~Network() = default;
    // Port 0 asks for any free one. Error::already_exists if the port is taken.
    virtual Result<std::unique_ptr<Listener>> listen(const Address& local) = 0;
    // Error::disconnected if nobody answers there; may also wait until a Deadline.
    virtual Result<std::unique_ptr<Stream>> connect(const Address& remote) = 0;
};

} // namespace pyralog
