#include "sim-tests/group_client.h"

#include "core/base/probe.h"

#include <charconv>

namespace pyralog::simtest {

using kafka::ErrorCode;

namespace {

// A share, as the members of this group write it: "topic-0/1 topic-1/0 ".
std::string text_of(const std::vector<TopicPartition>& partitions) {
    std::string text;
    for (const TopicPartition& partition : partitions) text += to_string(partition) + ' ';
    return text;
}

std::vector<TopicPartition> share_of(std::string_view text) {
    std::vector<TopicPartition> partitions;
    for (std::size_t end; (end = text.find(' ')) != std::string_view::npos;
         text.remove_prefix(end + 1)) {
        const std::string_view one = text.substr(0, end);
        const std::size_t slash = one.rfind('/');
        TopicPartition& partition = partitions.emplace_back();
        partition.topic = one.substr(0, slash);
        std::from_chars(one.data() + slash + 1, one.data() + one.size(), partition.partition);
    }
    return partitions;
}

std::optional<std::int64_t> number_of(std::string_view remark) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(remark.data(), remark.data() + remark.size(), number);
    if (error != std::errc() || end != remark.data() + remark.size()) return {};
    return number;
}

Outcome outcome_of_commit(ErrorCode error) {
    switch (error) {
    case ErrorCode::none: return Outcome::stored;
    case ErrorCode::illegal_generation:
    case ErrorCode::unknown_member_id:
    case ErrorCode::rebalance_in_progress:
    case ErrorCode::fenced_instance_id:
    case ErrorCode::unknown_topic_or_partition:
    case ErrorCode::coordinator_load_in_progress: return Outcome::refused;
    // It may have been written by who coordinates no more, or be written yet.
    default: return Outcome::unknown;
    }
}

} // namespace

Result<> GroupClient::find() {
    connection_ = TRY(kafka_.open(TRY(kafka_.find_coordinator(plan_.name())).address));
    return {};
}

// What clients do about an error by themselves.
void GroupClient::obey(ErrorCode error) {
    switch (error) {
    case ErrorCode::not_coordinator:
    case ErrorCode::coordinator_not_available: connection_.reset(); break;
    case ErrorCode::unknown_member_id:
    case ErrorCode::fenced_instance_id:
        self_.id.clear();
        stage_ = Stage::out;
        break;
    case ErrorCode::illegal_generation:
    case ErrorCode::inconsistent_group_protocol:
    case ErrorCode::rebalance_in_progress: stage_ = Stage::out; break;
    default: break;
    }
}

Result<ErrorCode> GroupClient::enter(const std::vector<TopicPartition>& partitions) {
    return stage_ == Stage::out ? join() : sync(partitions);
}

Result<ErrorCode> GroupClient::join() {
    constexpr std::int16_t instances_from = 5;
    kafka::JoinGroupRequest request;
    request.group_id = plan_.name();
    request.session_timeout_ms = static_cast<std::int32_t>(plan_.session_timeout / 1ms);
    request.rebalance_timeout_ms = static_cast<std::int32_t>(plan_.rebalance_timeout / 1ms);
    request.member_id = self_.id;
    request.group_instance_id = instance_;
    request.protocol_type = "consumer";
    request.protocols = {{"sim", Bytes::copy_of("all there is")}};
    const Duration invoked = now_();
    const auto asked = TRY(connection_->send(request, least(instances_from)));
    const auto told = TRY(connection_->receive<kafka::JoinGroupResponse>(asked));
    if (told.error == ErrorCode::member_id_required) self_.id = told.member_id;
    obey(told.error);
    if (told.error != ErrorCode::none) return told.error;
    if (self_.generation >= 0) before_ = self_;
    self_ = {told.member_id, told.generation_id};
    members_.clear();
    for (const auto& member : told.members) members_.push_back(member.id);
    SOMETIMES(told.skip_assignment, "client/has-nothing-to-assign");
    if (told.skip_assignment) members_.clear();
    SOMETIMES(members_.size() > 1, "client/assigns-to-several");
    history_.groups().joined(
        {plan_.number, told.generation_id, told.member_id, !members_.empty(), invoked, now_()});
    stage_ = Stage::joined;
    return ErrorCode::none;
}

Result<ErrorCode> GroupClient::sync(const std::vector<TopicPartition>& partitions) {
    constexpr std::int16_t instances_from = 3;
    kafka::SyncGroupRequest request;
    request.group_id = plan_.name();
    request.generation_id = self_.generation;
    request.member_id = self_.id;
    request.group_instance_id = instance_;
    for (std::size_t i = 0; i < members_.size(); ++i) {
        std::vector<TopicPartition> share;
        for (std::size_t p = i; p < partitions.size(); p += members_.size())
            share.push_back(partitions[p]);
        request.assignments.push_back({members_[i], Bytes::copy_of(text_of(share))});
    }
    const auto asked = TRY(connection_->send(request, least(instances_from)));
    const auto told = TRY(connection_->receive<kafka::SyncGroupResponse>(asked));
    obey(told.error);
    if (told.error != ErrorCode::none) return told.error;
    share_ = share_of(told.assignment.text());
    GroupShare share{plan_.number, self_.generation, instance_.value_or(self_.id), {}};
    for (const TopicPartition& partition : share_)
        share.partitions.push_back(history_.partition(partition));
    history_.groups().shared(std::move(share));
    stage_ = Stage::in;
    return ErrorCode::none;
}

Result<ErrorCode> GroupClient::heartbeat() {
    constexpr std::int16_t instances_from = 3;
    const kafka::HeartbeatRequest request{plan_.name(), self_.generation, self_.id, instance_};
    const auto asked = TRY(connection_->send(request, least(instances_from)));
    const auto told = TRY(connection_->receive<kafka::HeartbeatResponse>(asked));
    obey(told.error);
    return told.error;
}

Result<ErrorCode> GroupClient::leave() {
    constexpr std::int16_t several_from = 3;
    const kafka::LeaveGroupRequest request{plan_.name(), self_.id, {{self_.id, instance_, {}}}};
    const auto asked = TRY(connection_->send(request, least(several_from)));
    const auto told = TRY(connection_->receive<kafka::LeaveGroupResponse>(asked));
    if (told.error == ErrorCode::none) self_.id.clear();
    stage_ = Stage::out;
    obey(told.error);
    return told.error;
}

Result<ErrorCode> GroupClient::commit(const TopicPartition& partition, bool as_before) {
    if (as_before && before_.generation < 0) return ErrorCode::none;
    return commit_as(as_before ? before_ : self_, partition, true);
}

Result<> GroupClient::commit_and_go(const TopicPartition& partition) {
    (void)TRY(commit_as(self_, partition, false));
    connection_.reset();
    return {};
}

Result<ErrorCode> GroupClient::commit_alone(const TopicPartition& partition) {
    return commit_as({}, partition, true);
}

Result<ErrorCode> GroupClient::commit_as(const Identity& who, const TopicPartition& partition,
                                         bool waits) {
    constexpr std::int16_t instances_from = 7;
    GroupHistory& groups = history_.groups();
    GroupCommit commit;
    commit.group = plan_.number;
    commit.partition = history_.partition(partition);
    commit.generation = who.generation;
    commit.number = groups.next_number();
    commit.invoked = now_();
    kafka::OffsetCommitRequest request;
    request.group_id = plan_.name();
    request.generation_id = who.generation;
    request.member_id = who.id;
    if (!who.id.empty()) request.group_instance_id = instance_;
    request.topics.push_back(
        {partition.topic,
         {{partition.partition, commit.number, -1, std::to_string(commit.number)}}});
    const std::size_t number = groups.invoke(commit);
    const auto asked = TRY(connection_->send(request, least(instances_from)));
    if (!waits) return ErrorCode::none;
    const auto answer = TRY(connection_->receive<kafka::OffsetCommitResponse>(asked));
    if (answer.topics.size() != 1 || answer.topics[0].partitions.size() != 1)
        return Error::malformed;
    const ErrorCode error = answer.topics[0].partitions[0].error;
    groups.completed(number, now_(), outcome_of_commit(error));
    if (!who.id.empty() && who.generation == self_.generation) obey(error);
    return error;
}

Result<ErrorCode> GroupClient::read(const TopicPartition& partition) {
    constexpr std::int16_t several_from = 8;
    kafka::OffsetFetchRequest request;
    request.group.id = plan_.name();
    request.group.topics = {{{partition.topic, {partition.partition}}}};
    request.groups = {request.group};
    GroupRead read{plan_.number, history_.partition(partition), 0, now_(), {}};
    const auto asked = TRY(connection_->send(request));
    const auto answer = TRY(connection_->receive<kafka::OffsetFetchResponse>(asked));
    if (asked.version >= several_from && answer.groups.size() != 1) return Error::malformed;
    const auto& group = asked.version >= several_from ? answer.groups[0] : answer.group;
    obey(group.error);
    if (group.error != ErrorCode::none) return group.error;
    if (group.topics.size() != 1 || group.topics[0].partitions.size() != 1) return Error::malformed;
    const auto& told = group.topics[0].partitions[0];
    obey(told.error);
    if (told.error != ErrorCode::none) return told.error;
    read.completed = now_();
    if (told.offset >= 0) {
        const auto number = number_of(told.metadata.value_or(""));
        read.number = number && *number == told.offset ? *number : -1;
    }
    history_.groups().read(read);
    return ErrorCode::none;
}

} // namespace pyralog::simtest
