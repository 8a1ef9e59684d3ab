// bench/client.h
//
// A client that asks and waits. Whatever it does not understand ends the program with a message.
#pragma once

#include "bench/socket.h"
#include "core/wire/kafka/api.h"

#include <string>

namespace pyralog::bench {

[[noreturn]] void give_up(const std::string& what);

void send_chain(const Socket& socket, const BytesChain& chain);
Bytes read_frame(const Socket& socket);

class Client {
public:
    explicit Client(std::uint16_t port) : socket_(Socket::connect(port)) {}

    template <class Request>
    typename Request::Response ask(const Request& request, std::int16_t version) {
        const std::int32_t number = ++asked_;
        send_chain(socket_, wire::kafka::encode_request(request, version, number, "bench"));
        auto answer = wire::kafka::decode_response<typename Request::Response>(
            read_frame(socket_), {Request::key, version, number, "bench"});
        if (!answer.ok()) give_up("a node's answer cannot be read");
        return std::move(answer).value();
    }

private:
    Socket socket_;
    std::int32_t asked_ = 0;
};

} // namespace pyralog::bench
