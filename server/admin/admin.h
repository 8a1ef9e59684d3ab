// server/admin/admin.h
//
// A node's side door, for its operator: how are you, what have you counted, stop. HTTP on a port of
// its own, without a password, so it listens on the local machine unless somebody says otherwise.
//
//     GET  /healthz      200 while the node is ready, else 503
//     GET  /metrics      Prometheus text
//     GET  /v1/status    server/admin/status.h as JSON
//     POST /v1/stop      202, and the node shuts down
//
// One request for each connection, a fiber for each, and never more of them than admin_clients_max.
#pragma once

#include "core/env/environment.h"
#include "server/admin/http.h"
#include "server/admin/status.h"

#include <functional>
#include <string>

namespace pyralog::server {

constexpr std::int64_t admin_clients_max = 16;
// From the first byte to the last. Who is slower is no operator.
constexpr Duration admin_patience = 10s;
// How long an answer may take to be read before the stream is closed behind it.
constexpr Duration admin_linger = 2s;

// What the node offers at its side door. None of these waits.
struct AdminActions {
    std::function<Status()> status;
    std::function<std::string()> metrics;
    std::function<void()> stop; // Called once the answer has been read, or its time has passed.
};

// Waits for clients, and answers them, until its fiber is cancelled: always Error::cancelled.
// `actions` and `listener` must outlive the call.
Result<> serve_admin(Environment& env, Listener& listener, const AdminActions& actions);

// What a request is answered; `must_stop` says whether stop() is to follow. Does not call it.
struct AdminAnswer {
    HttpResponse response;
    bool must_stop = false;
};
AdminAnswer answer_admin(const HttpRequest& request, const AdminActions& actions);

// The other side: asks, and waits for the whole answer. Error::malformed if it is none. The caller
// sets a Deadline.
Result<HttpResponse> ask_admin(Network& network, const Address& address,
                               const HttpRequest& request);

// Where the node's side door is, for `pyralog status` and `stop`: a file in its data directory. It
// stays behind when the node ends; who reads it finds nobody there.
constexpr std::string_view admin_address_file = "admin.address";
Result<> write_admin_address(Disk& disk, const Address& address);

} // namespace pyralog::server
