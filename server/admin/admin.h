// server/admin/admin.h
//
// A node's side door, for its operator: how are you, what have you counted, stop. HTTP on a port of
// its own, without a password, so it listens on the local machine unless somebody says otherwise.
// What can be asked there is in pages.h.
//
// One request for each connection, and never more of them than admin.connections_max: the others
// wait where the system keeps them. From the first byte of the request to the last of the answer
// nobody has longer than admin.patience. While others wait, who has not sent his whole request
// within admin_grace gives his place away: so a crowd that says nothing keeps nobody out for long.
#pragma once

#include "core/env/environment.h"
#include "server/admin/http.h"
#include "server/config.h"

#include <functional>
#include <string>

namespace pyralog::server {

constexpr Duration admin_grace = 500ms;
// Requests that are refused are told in the log; of more than this in a second, how many.
constexpr int admin_complaints_max = 5;
// How long an answer may take to be read before the stream is closed behind it.
constexpr Duration admin_linger = 2s;

struct AdminMetrics {
    explicit AdminMetrics(Metrics& metrics)
        : open(metrics, "pyralog_admin_connections",
               "Requests at the admin port that are under way."),
          served(metrics, "pyralog_admin_requests_total", "Requests at the admin port."),
          refused(metrics, "pyralog_admin_refused_total",
                  "Requests at the admin port that were refused.") {}
    Metrics::Gauge open;
    Metrics::Counter served, refused;
};

// What a request is answered; `must_stop` says whether stop() is to follow.
struct AdminAnswer {
    HttpResponse response;
    bool must_stop = false;
};

// What the node offers at its side door.
struct AdminActions {
    std::function<AdminAnswer(const HttpRequest&)> answer; // May wait.
    std::function<void()> stop; // Called once the answer has been read, or its time has passed.
};

// Waits for clients, and answers them, until its fiber is cancelled: always Error::cancelled.
// `actions`, `config` and `listener` must outlive the call.
Result<> serve_admin(Environment& env, Listener& listener, const AdminConfig& config,
                     const AdminActions& actions);

// The other side: asks, and waits for the whole answer. Error::malformed if it is none. The caller
// sets a Deadline.
Result<HttpResponse> ask_admin(Network& network, const Address& address,
                               const HttpRequest& request);

// Where the node's side door is, for `pyralog status` and `stop`: a file in its data directory. It
// stays behind when the node ends; who reads it finds nobody there.
constexpr std::string_view admin_address_file = "admin.address";
Result<> write_admin_address(Disk& disk, const Address& address);

} // namespace pyralog::server
