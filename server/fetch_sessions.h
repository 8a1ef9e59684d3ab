// server/fetch_sessions.h
//
// Incremental fetch sessions (KIP-227). A client that has said once which partitions it reads, and
// from where, says only what changes, and is told only of partitions of which there is something
// new: records, an error, or another of the offsets that an answer tells.
//
// How many sessions there are is bounded, and so is the memory that all of them take. A client for
// which there is no room gets no session, and every answer in full. As Kafka has it, a session is
// given up for a new one when nobody has used it for a while, or when it is smaller and not that
// young. Nothing here waits.
#pragma once

#include "core/base/metrics.h"
#include "core/base/random.h"
#include "core/base/time.h"
#include "core/wire/kafka/fetch.h"

#include <cstdint>
#include <map>
#include <string>
#include <utility>

namespace pyralog::server {

class FetchSessions {
public:
    // After so long a session has to make room for others.
    static constexpr Duration evictable_after = 120s;

    FetchSessions(Metrics& metrics, std::int64_t sessions_max, std::size_t bytes_max)
        : sessions_max_(sessions_max), bytes_max_(bytes_max),
          begun_(metrics, "pyralog_fetch_sessions_begun_total", "Fetch sessions that were begun."),
          evicted_(metrics, "pyralog_fetch_sessions_evicted_total",
                   "Fetch sessions that were given up for others, or for the memory they took."),
          refused_(metrics, "pyralog_fetch_sessions_refused_total",
                   "Requests for a fetch session for which there was no room.") {}

    // What a request is, by what it says of sessions.
    struct Use {
        wire::kafka::ErrorCode error = wire::kafka::ErrorCode::none; // Of all of it.
        std::int32_t id = 0;                                         // None: no session.
        bool is_incremental = false;
    };
    // Takes in what the request changes, and makes its topics those that are to be looked at.
    Use begin(wire::kafka::FetchRequest& request, Time now, Random& random);

    // Takes out of the answer what the client knows already, and remembers the rest.
    void end(const Use& use, wire::kafka::FetchResponse& response);

    std::size_t size() const { return sessions_.size(); }
    std::size_t bytes() const { return bytes_; }

private:
    using Request = wire::kafka::FetchRequest;
    using Response = wire::kafka::FetchResponse;

    // A partition that a client reads, and what it was told of it.
    struct Tracked {
        Request::Partition wanted;
        std::int64_t high_watermark = -1;
        std::int64_t last_stable_offset = -1;
        std::int64_t log_start_offset = -1;

        bool take(const Response::Partition& found); // False: nothing of it is new.
    };
    struct Session {
        std::int32_t epoch = 1; // Of the next request.
        Time created, used;
        std::size_t bytes = 0;
        std::size_t partitions = 0;
        std::map<std::string, std::map<std::int32_t, Tracked>> topics;
        // Where the next answer begins, so that all have their turn when not all of them fit in.
        std::pair<std::string, std::int32_t> turn;
    };

    Use begin_session(Request& request, Time now, Random& random);
    Use go_on(Request& request, Time now);
    static void track(Session& session, const Request& request);
    static void forget(Session& session, const Request& request);
    static void list(const Session& session, Request& request);
    bool make_room(const Session& wanted, Time now);
    void close(std::int32_t id);

    const std::int64_t sessions_max_;
    const std::size_t bytes_max_;
    std::map<std::int32_t, Session> sessions_;
    std::size_t bytes_ = 0; // Of all of them.
    Metrics::Counter begun_, evicted_, refused_;
};

} // namespace pyralog::server
