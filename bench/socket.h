// bench/socket.h
//
// Sockets and processes for the benchmarks, blocking and plain. Whatever the system refuses ends
// the program with a message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

namespace pyralog::bench {

void must(bool done, const char* what); // Else errno says why not.

class Socket {
public:
    Socket() = default;
    explicit Socket(int descriptor) : descriptor_(descriptor) {}
    Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    Socket& operator=(Socket&& other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        return *this;
    }
    ~Socket();

    static Socket listen();                    // On a free port of this machine.
    static Socket connect(std::uint16_t port); // Waits a little for somebody to listen.
    Socket accept() const;
    std::uint16_t port() const;

    int descriptor() const { return descriptor_; }
    void write(std::span<const std::byte> data) const;
    // False if the other side has gone.
    bool try_write(std::span<const std::byte> data) const;
    // The same; they wait for all, or for something.
    bool read(std::span<std::byte> into) const;
    std::size_t read_some(std::span<std::byte> into) const;

private:
    void send_at_once() const;
    int descriptor_ = -1;
};

} // namespace pyralog::bench
