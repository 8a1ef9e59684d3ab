// server/node.h
//
// What a handler may use of the node it runs on. Everything here outlives the handlers.
#pragma once

#include "core/env/environment.h"
#include "raft/host.h"
#include "server/byte_budget.h"
#include "server/config.h"
#include "server/controller.h"
#include "server/fetch_sessions.h"
#include "server/groups/coordinator.h"
#include "server/producers/producer_ids.h"
#include "server/quotas.h"
#include "server/request_meter.h"
#include "server/space_watch.h"
#include "server/tracing/tracer.h"
#include "server/transactions/coordinator.h"

#include <string>

namespace pyralog::server {

struct Node {
    Node(Environment& e, const Config& c, raft::Host& h, Controller& o, Coordinator& g,
         Transactions& t, ProducerIds& i, const SpaceWatch& s)
        : env(e), config(c), host(h), controller(o), groups(g), transactions(t), space(s),
          producer_ids(i), records_written(e.metrics, "pyralog_records_written_total",
                                           "Records that clients were told are stored."),
          write_latency(e.metrics, "pyralog_write_latency_seconds",
                        "From a produce request to its answer."),
          fetched_bytes(e.metrics, "pyralog_fetched_bytes_total",
                        "Record bytes that clients have fetched."),
          connections(e.metrics, "pyralog_active_connections", "Clients that are connected."),
          requests(e.metrics), quotas(e.metrics, o.catalogue()),
          fetch_sessions(e.metrics, c.kafka.fetch_sessions_max, c.kafka.fetch_sessions_bytes_max),
          request_bytes(e.fibers, c.kafka.requests_bytes_max),
          answer_bytes(e.fibers, c.kafka.answers_bytes_max), tracer(e, c) {}

    Environment& env;
    const Config& config;
    raft::Host& host;
    Controller& controller;
    Coordinator& groups;
    Transactions& transactions;
    const SpaceWatch& space;
    ProducerIds& producer_ids;
    Metrics::Counter records_written;
    Metrics::Histogram write_latency;
    Metrics::Counter fetched_bytes;
    Metrics::Gauge connections;
    RequestMeter requests;
    Quotas quotas;
    FetchSessions fetch_sessions;
    ByteBudget request_bytes; // Of all clients: that are not answered yet,
    ByteBudget answer_bytes;  // and that are not sent yet.
    Tracer tracer;

    // The replica of a partition on this node, and who leads it; for whoever serves it.
    struct Replica {
        const Topic::Partition* partition = nullptr; // None: no such partition.
        raft::GroupRef group;                        // Empty: not on this node.
    };
    Replica replica(std::string_view topic, std::int32_t partition) const {
        Replica found;
        found.partition = controller.catalogue().find(topic, partition);
        if (found.partition) found.group = host.find(found.partition->group);
        return found;
    }
    Time after_ms(std::int64_t ms) const {
        return env.clock.now() + std::chrono::milliseconds(std::max<std::int64_t>(ms, 0));
    }
};

} // namespace pyralog::server
