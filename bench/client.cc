#include "bench/client.h"

#include <array>
#include <cstdio>
#include <cstdlib>

namespace pyralog::bench {

namespace {

constexpr std::size_t answer_bytes_max = 128_MiB;

} // namespace

void give_up(const std::string& what) {
    std::fprintf(stderr, "%s\n", what.c_str());
    std::exit(1);
}

void send_chain(const Socket& socket, const BytesChain& chain) {
    const Bytes whole = joined(chain);
    socket.write(whole.view());
}

Bytes read_frame(const Socket& socket) {
    std::array<std::byte, 4> prefix{};
    if (!socket.read(prefix)) give_up("a node has closed the connection");
    std::uint32_t size = 0;
    for (const std::byte b : prefix) size = size << 8 | std::to_integer<std::uint32_t>(b);
    if (size > answer_bytes_max) give_up("a node's answer is too long");
    Buffer frame(size);
    if (!socket.read(frame.view())) give_up("a node has closed the connection");
    return std::move(frame).freeze();
}

} // namespace pyralog::bench
