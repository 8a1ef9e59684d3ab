#include "server/fetch_sessions.h"

#include "core/base/probe.h"

#include <algorithm>
#include <limits>

namespace pyralog::server {

namespace {

using wire::kafka::ErrorCode;

constexpr std::int32_t no_session_epoch = -1;
constexpr std::int32_t first_epoch = 0; // Of a request for a session.
// What one partition takes, without its topic's name, which is counted for each of them.
constexpr std::size_t partition_bytes = 160;

std::size_t cost_of(const std::string& topic) { return partition_bytes + topic.size(); }

bool has_records(const wire::kafka::FetchResponse::Partition& found) {
    return found.records && size_of(*found.records) > 0;
}

} // namespace

// An error is told each time, and what follows it in full.
bool FetchSessions::Tracked::take(const Response::Partition& found) {
    const bool is_new = has_records(found) || found.error != ErrorCode::none ||
                        found.diverging_epoch != Response::EpochEnd() ||
                        found.high_watermark != high_watermark ||
                        found.last_stable_offset != last_stable_offset ||
                        found.log_start_offset != log_start_offset;
    high_watermark = found.error == ErrorCode::none ? found.high_watermark : -1;
    last_stable_offset = found.last_stable_offset;
    log_start_offset = found.log_start_offset;
    return is_new;
}

FetchSessions::Use FetchSessions::begin(Request& request, Time now, Random& random) {
    const std::int32_t epoch = request.session_epoch;
    if (epoch != no_session_epoch && epoch != first_epoch) return go_on(request, now);
    SOMETIMES(request.session_id != 0 && sessions_.contains(request.session_id),
              "fetch-sessions/closed");
    close(request.session_id);
    return epoch == first_epoch ? begin_session(request, now, random) : Use();
}

FetchSessions::Use FetchSessions::begin_session(Request& request, Time now, Random& random) {
    Session session;
    session.created = session.used = now;
    track(session, request);
    if (session.partitions == 0) return {};
    if (!make_room(session, now)) {
        refused_.add();
        return {};
    }
    std::int32_t id = 0;
    while (id == 0 || sessions_.contains(id))
        id = static_cast<std::int32_t>(random.below(std::numeric_limits<std::int32_t>::max()));
    bytes_ += session.bytes;
    sessions_.emplace(id, std::move(session));
    begun_.add();
    REACHABLE("fetch-sessions/begun");
    return {ErrorCode::none, id, false};
}

FetchSessions::Use FetchSessions::go_on(Request& request, Time now) {
    const auto found = sessions_.find(request.session_id);
    SOMETIMES(found == sessions_.end(), "fetch-sessions/not-found");
    if (found == sessions_.end()) return {ErrorCode::fetch_session_id_not_found, 0, false};
    Session& session = found->second;
    SOMETIMES(request.session_epoch != session.epoch, "fetch-sessions/another-epoch");
    if (request.session_epoch != session.epoch)
        return {ErrorCode::invalid_fetch_session_epoch, 0, false};
    session.epoch =
        session.epoch == std::numeric_limits<std::int32_t>::max() ? 1 : session.epoch + 1;
    session.used = now;
    const std::size_t before = session.bytes;
    track(session, request);
    forget(session, request);
    bytes_ = bytes_ - before + session.bytes;
    const bool is_too_much = bytes_ > bytes_max_;
    SOMETIMES(session.partitions == 0, "fetch-sessions/left-empty");
    if (is_too_much || session.partitions == 0) {
        if (is_too_much) evicted_.add();
        close(found->first);
        request.topics.clear();
        return {is_too_much ? ErrorCode::fetch_session_id_not_found : ErrorCode::none, 0, false};
    }
    list(session, request);
    return {ErrorCode::none, found->first, true};
}

void FetchSessions::track(Session& session, const Request& request) {
    for (const Request::Topic& topic : request.topics) {
        for (const Request::Partition& partition : topic.partitions) {
            const auto [tracked, is_new] = session.topics[topic.name].try_emplace(partition.index);
            tracked->second.wanted = partition;
            if (!is_new) continue;
            ++session.partitions;
            session.bytes += cost_of(topic.name);
        }
    }
}

void FetchSessions::forget(Session& session, const Request& request) {
    for (const Request::ForgottenTopic& topic : request.forgotten_topics) {
        const auto known = session.topics.find(topic.name);
        if (known == session.topics.end()) continue;
        for (const std::int32_t index : topic.partitions) {
            if (known->second.erase(index) == 0) continue;
            REACHABLE("fetch-sessions/forgotten");
            --session.partitions;
            session.bytes -= cost_of(topic.name);
        }
        if (known->second.empty()) session.topics.erase(known);
    }
}

// All of them, from the one on whose turn it is.
void FetchSessions::list(const Session& session, Request& request) {
    request.topics.clear();
    const auto add = [&](const std::string& topic, const Tracked& tracked) {
        if (request.topics.empty() || request.topics.back().name != topic)
            request.topics.push_back({topic, {}});
        request.topics.back().partitions.push_back(tracked.wanted);
    };
    const auto begin = session.topics.lower_bound(session.turn.first);
    const auto is_before = [&](const std::string& topic, std::int32_t index) {
        return std::pair(topic, index) < session.turn;
    };
    for (auto topic = begin; topic != session.topics.end(); ++topic)
        for (const auto& [index, tracked] : topic->second)
            if (topic != begin || !is_before(topic->first, index)) add(topic->first, tracked);
    for (auto topic = session.topics.begin(); topic != session.topics.end(); ++topic) {
        for (const auto& [index, tracked] : topic->second)
            if (is_before(topic->first, index)) add(topic->first, tracked);
        if (topic == begin) break;
    }
}

void FetchSessions::end(const Use& use, Response& response) {
    response.error = use.error;
    response.session_id = use.id;
    const auto found = sessions_.find(use.id);
    if (use.id == 0) return;
    if (found == sessions_.end()) return; // The next request will be told; this answer is good.
    Session& session = found->second;
    for (Response::Topic& topic : response.topics) {
        const auto known = session.topics.find(topic.name);
        if (known == session.topics.end()) continue;
        std::erase_if(topic.partitions, [&](const Response::Partition& partition) {
            const auto tracked = known->second.find(partition.index);
            if (tracked == known->second.end()) return false;
            if (has_records(partition)) session.turn = {topic.name, partition.index + 1};
            return !tracked->second.take(partition) && use.is_incremental;
        });
    }
    std::erase_if(response.topics,
                  [](const Response::Topic& topic) { return topic.partitions.empty(); });
    SOMETIMES(use.is_incremental && response.topics.empty(), "fetch-sessions/nothing-new");
    SOMETIMES(use.is_incremental && !response.topics.empty(), "fetch-sessions/something-new");
}

// Kafka's rules: one that nobody uses goes first; else the smallest one, if it is smaller than the
// new one, and old enough to have been of use.
bool FetchSessions::make_room(const Session& wanted, Time now) {
    const auto is_full = [&] {
        return std::cmp_greater_equal(sessions_.size(), sessions_max_) ||
               bytes_ + wanted.bytes > bytes_max_;
    };
    if (wanted.bytes > bytes_max_ || sessions_max_ == 0) return false;
    while (is_full() && !sessions_.empty()) {
        const auto oldest = std::ranges::min_element(
            sessions_, {}, [](const auto& entry) { return entry.second.used; });
        const auto smallest = std::ranges::min_element(
            sessions_, {}, [](const auto& entry) { return entry.second.partitions; });
        const bool is_unused = now - oldest->second.used > evictable_after;
        const bool is_smaller = smallest->second.partitions < wanted.partitions &&
                                now - smallest->second.created > evictable_after;
        if (!is_unused && !is_smaller) return false;
        evicted_.add();
        close(is_unused ? oldest->first : smallest->first);
    }
    return !is_full();
}

void FetchSessions::close(std::int32_t id) {
    const auto found = sessions_.find(id);
    if (found == sessions_.end()) return;
    bytes_ -= found->second.bytes;
    sessions_.erase(found);
}

} // namespace pyralog::server
