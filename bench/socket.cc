#include "bench/socket.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace pyralog::bench {

namespace {

constexpr int connect_tries = 200;
constexpr useconds_t connect_pause = 10'000;

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

} // namespace

void must(bool done, const char* what) {
    if (done) return;
    std::perror(what);
    std::exit(1);
}

Socket::~Socket() {
    if (descriptor_ >= 0) close(descriptor_);
}

Socket Socket::listen() {
    Socket made(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in address = loopback(0);
    must(bind(made.descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0,
         "bind");
    must(::listen(made.descriptor_, 16) == 0, "listen");
    return made;
}

Socket Socket::connect(std::uint16_t port) {
    const sockaddr_in address = loopback(port);
    for (int tries = 0;; ++tries) {
        Socket made(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (::connect(made.descriptor_, reinterpret_cast<const sockaddr*>(&address),
                      sizeof address) == 0) {
            made.send_at_once();
            return made;
        }
        must(errno == ECONNREFUSED && tries < connect_tries, "connect");
        usleep(connect_pause);
    }
}

Socket Socket::accept() const {
    Socket made(accept4(descriptor_, nullptr, nullptr, SOCK_CLOEXEC));
    must(made.descriptor_ >= 0, "accept");
    made.send_at_once();
    return made;
}

std::uint16_t Socket::port() const {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    must(getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &size) == 0,
         "getsockname");
    return ntohs(address.sin_port);
}

void Socket::send_at_once() const {
    const int yes = 1;
    must(setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) == 0, "setsockopt");
}

void Socket::write(std::span<const std::byte> data) const { must(try_write(data), "send"); }

bool Socket::try_write(std::span<const std::byte> data) const {
    while (!data.empty()) {
        const ssize_t sent = send(descriptor_, data.data(), data.size(), MSG_NOSIGNAL);
        if (sent <= 0) return false;
        data = data.subspan(static_cast<std::size_t>(sent));
    }
    return true;
}

std::size_t Socket::read_some(std::span<std::byte> into) const {
    const ssize_t got = recv(descriptor_, into.data(), into.size(), 0);
    return got > 0 ? static_cast<std::size_t>(got) : 0;
}

bool Socket::read(std::span<std::byte> into) const {
    while (!into.empty()) {
        const std::size_t got = read_some(into);
        if (got == 0) return false;
        into = into.subspan(got);
    }
    return true;
}

} // namespace pyralog::bench
