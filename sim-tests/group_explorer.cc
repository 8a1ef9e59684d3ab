#include "core/base/probe.h"
#include "core/wire/kafka/delete_groups.h"
#include "core/wire/kafka/describe_groups.h"
#include "core/wire/kafka/find_coordinator.h"
#include "core/wire/kafka/join_group.h"
#include "core/wire/kafka/list_groups.h"
#include "core/wire/kafka/offset_commit.h"
#include "core/wire/kafka/offset_delete.h"
#include "core/wire/kafka/offset_fetch.h"
#include "core/wire/kafka/sync_group.h"
#include "sim-tests/explorer.h"

#include <array>

namespace pyralog::simtest {

namespace {

using kafka::ErrorCode;

constexpr Duration group_patience = 2s;
constexpr Duration group_rest_most = 80ms;
constexpr std::uint64_t groups_max = 3; // Of its own: nobody else's come to harm.
constexpr std::size_t too_long = 20'000;

class GroupExplorer {
public:
    GroupExplorer(Environment& env, std::vector<Address> bootstrap)
        : env_(env), random_(env.random.fork("group explorer")), kafka_(env, std::move(bootstrap)) {
    }

    void run() {
        while (env_.fibers
                   .sleep_until(env_.clock.now() + random_.between(Duration(1ms), group_rest_most))
                   .ok()) {
            const Deadline deadline(env_.fibers, env_.clock.now() + group_patience);
            if (topics_.empty() || random_.chance(1, 8)) learn();
            group_ = "explored-" + std::to_string(random_.below(groups_max));
            constexpr std::array questions{
                &GroupExplorer::commit,      &GroupExplorer::commit, &GroupExplorer::read,
                &GroupExplorer::join,        &GroupExplorer::join,   &GroupExplorer::look,
                &GroupExplorer::transaction, &GroupExplorer::forget, &GroupExplorer::remove,
            };
            const auto question = questions[random_.below(questions.size())];
            if (!(this->*question)().ok()) connection_.reset();
        }
    }

private:
    bool often(std::uint64_t percent) { return random_.chance(percent, 100); }

    void learn() {
        (void)kafka_.refresh({}, false);
        topics_.clear();
        for (const auto& [name, known] : kafka_.partitions()) topics_.push_back(name);
    }

    // Another one for each group, so each time.
    Result<> find() {
        const auto told = TRY(kafka_.find_coordinator(group_));
        if (connection_ && node_ == told.node) return {};
        node_ = told.node;
        connection_ = TRY(kafka_.open(told.address));
        return {};
    }

    kafka::OffsetCommitRequest commit_of() {
        kafka::OffsetCommitRequest request;
        request.group_id = group_;
        const std::size_t size = often(5) ? too_long : random_.below(20);
        for (const TopicPartition& one : topics_)
            if (often(50))
                request.topics.push_back(
                    {one.topic, {{one.partition, 1, -1, std::string(size, 'x')}}});
        request.topics.push_back({"no-such-topic", {{0, 1, -1, {}}}});
        return request;
    }

    Result<> commit() {
        TRY(find());
        (void)TRY(connection_->call(commit_of()));
        return {};
    }

    Result<> read() {
        constexpr std::int16_t none_from = 2;
        TRY(find());
        kafka::OffsetFetchRequest request;
        request.group.id = group_;
        request.groups = {request.group};
        const auto asked = TRY(connection_->send(request, none_from));
        (void)TRY(connection_->receive<kafka::OffsetFetchResponse>(asked));
        return {};
    }

    // In some way that is not as it should be; if it is let in, it assigns too much, or to nobody.
    Result<> join() {
        TRY(find());
        kafka::JoinGroupRequest request;
        request.group_id = group_;
        request.session_timeout_ms = often(20) ? 1 : 200;
        request.rebalance_timeout_ms = 200;
        request.protocol_type = often(20) ? "other" : "consumer";
        const std::size_t size = often(20) ? 2'000'000 : random_.below(20);
        if (!often(20)) request.protocols = {{"p", Bytes::copy_of(std::string(size, 'x'))}};
        if (often(10)) request.member_id = "nobody";
        auto told = TRY(connection_->call(request));
        if (told.error == ErrorCode::member_id_required) {
            request.member_id = told.member_id;
            told = TRY(connection_->call(request));
        }
        if (told.error != ErrorCode::none) return {};
        kafka::SyncGroupRequest sync;
        sync.group_id = group_;
        sync.member_id = told.member_id;
        sync.generation_id = told.generation_id;
        sync.assignments = {{"nobody", Bytes::copy_of(std::string(random_.below(20), 'x'))}};
        if (often(30))
            sync.assignments.push_back(
                {told.member_id, Bytes::copy_of(std::string(1'100'000, 'x'))});
        (void)TRY(connection_->call(sync));
        return {};
    }

    Result<> look() {
        TRY(find());
        kafka::ListGroupsRequest list;
        if (often(30)) list.states_filter = {"Stable"};
        (void)TRY(connection_->call(list));
        (void)TRY(connection_->call(kafka::DescribeGroupsRequest{{group_, "group-0"}, false}));
        return {};
    }

    Result<> transaction() {
        kafka::FindCoordinatorRequest request;
        request.key_type = static_cast<std::int8_t>(random_.between(1, 2));
        request.coordinator_key = "t";
        request.coordinator_keys = {"t"};
        KafkaConnection* const any = TRY(kafka_.any_connection());
        constexpr std::int16_t types_from = 1;
        const auto asked = any->send(request, types_from);
        if (asked.ok() && any->receive<kafka::FindCoordinatorResponse>(asked.value()).ok())
            return {};
        kafka_.drop(any);
        return Error::disconnected;
    }

    Result<> forget() {
        TRY(find());
        kafka::OffsetDeleteRequest request;
        request.group_id = group_;
        for (const TopicPartition& one : topics_)
            if (often(50)) request.topics.push_back({one.topic, {one.partition}});
        (void)TRY(connection_->call(request));
        return {};
    }

    // And perhaps somebody uses it at that moment.
    Result<> remove() {
        TRY(find());
        auto other = TRY(kafka_.open(node_));
        const auto asked = TRY(connection_->send(kafka::DeleteGroupsRequest{{group_}}));
        if (often(50)) (void)TRY(other->call(commit_of()));
        (void)TRY(connection_->receive<kafka::DeleteGroupsResponse>(asked));
        return {};
    }

    Environment& env_;
    Random random_;
    KafkaClient kafka_;
    std::vector<TopicPartition> topics_;
    std::string group_;
    std::unique_ptr<KafkaConnection> connection_;
    std::int32_t node_ = -1;
};

} // namespace

void explore_groups(Environment& env, std::vector<Address> bootstrap) {
    GroupExplorer(env, std::move(bootstrap)).run();
}

} // namespace pyralog::simtest
