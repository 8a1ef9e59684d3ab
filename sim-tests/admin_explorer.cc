#include "core/base/probe.h"
#include "core/wire/kafka/alter_configs.h"
#include "core/wire/kafka/client_quotas.h"
#include "core/wire/kafka/create_partitions.h"
#include "core/wire/kafka/describe_cluster.h"
#include "core/wire/kafka/describe_configs.h"
#include "core/wire/kafka/describe_log_dirs.h"
#include "core/wire/kafka/describe_topic_partitions.h"
#include "core/wire/kafka/elect_leaders.h"
#include "core/wire/kafka/fetch.h"
#include "core/wire/kafka/produce.h"
#include "server/groups/coordinator.h"
#include "sim-tests/explorer.h"

#include <array>

namespace pyralog::simtest {

namespace {

using kafka::ConfigOperation;
using kafka::ConfigResource;
using kafka::ErrorCode;

constexpr Duration admin_patience = 3s;
constexpr Duration admin_rest_most = 100ms;
// Nobody else has this name, so nobody else is slowed down.
constexpr std::string_view limited = "explored";

class AdminExplorer {
public:
    AdminExplorer(Environment& env, std::vector<Address> bootstrap)
        : env_(env), random_(env.random.fork("admin explorer")), kafka_(env, std::move(bootstrap)) {
    }

    void run() {
        while (env_.fibers
                   .sleep_until(env_.clock.now() + random_.between(Duration(1ms), admin_rest_most))
                   .ok()) {
            const Deadline deadline(env_.fibers, env_.clock.now() + admin_patience);
            if (topics_.empty() || random_.chance(1, 8)) learn();
            if (topics_.empty()) continue;
            topic_ = topics_[random_.below(topics_.size())];
            constexpr std::array questions{
                &AdminExplorer::describe_configs,
                &AdminExplorer::change_segments,
                &AdminExplorer::change_badly,
                &AdminExplorer::replace_badly,
                &AdminExplorer::add_badly,
                &AdminExplorer::describe,
                &AdminExplorer::elect,
                &AdminExplorer::elect,
                &AdminExplorer::fetch_in_session,
                &AdminExplorer::fetch_in_session,
                &AdminExplorer::be_too_fast,
                &AdminExplorer::limit_badly,
            };
            const auto question = questions[random_.below(questions.size())];
            if (!(this->*question)().ok()) forget();
        }
    }

private:
    bool often(std::uint64_t percent) { return random_.chance(percent, 100); }

    void learn() {
        (void)kafka_.refresh({}, false);
        topics_.clear();
        for (const auto& [name, known] : kafka_.partitions())
            if (known.leader >= 0) topics_.push_back({name, known.leader});
    }
    void forget() {
        kafka_.drop(topic_.leader);
        topics_.clear();
    }
    Result<KafkaConnection*> broker() { return kafka_.connection(topic_.leader); }
    const std::string& topic() const { return topic_.name.topic; }

    Result<> describe_configs() {
        kafka::DescribeConfigsRequest request;
        request.include_synonyms = often(50);
        request.include_documentation = often(20);
        request.resources.push_back({ConfigResource::topic, topic(), {}});
        if (often(30)) request.resources.push_back({ConfigResource::topic, "no-such-topic", {}});
        if (often(30)) request.resources.push_back({ConfigResource(16), "", {}});
        for (const auto type : {ConfigResource::broker, ConfigResource::broker_logger})
            request.resources.push_back({type, std::to_string(topic_.leader + (often(20) ? 1 : 0)),
                                         std::vector<std::string>{"node.id", "root"}});
        const auto told = TRY(TRY(broker())->call(request));
        for (const auto& result : told.results)
            SOMETIMES(result.error == ErrorCode::none && !result.configs.empty(),
                      "client/told-of-settings");
        return {};
    }

    // What changes neither what is stored nor for how long.
    Result<> change_segments() {
        kafka::IncrementalAlterConfigsRequest request;
        kafka::IncrementalAlterConfigsRequest::Config config;
        config.name = often(50) ? "segment.ms" : "segment.bytes";
        config.operation = often(20) ? ConfigOperation::unset : ConfigOperation::set;
        const bool is_time = config.name == "segment.ms";
        config.value = std::to_string(is_time ? random_.between(50, 600'000)
                                              : random_.between(2'000, 200'000));
        request.resources.push_back({ConfigResource::topic, topic(), {config}});
        request.resources.back().configs.push_back(
            {"compression.type", ConfigOperation::set, "producer"});
        request.validate_only = often(20);
        const auto told = TRY(TRY(broker())->call(request));
        for (const auto& result : told.results)
            SOMETIMES(result.error == ErrorCode::none && !request.validate_only,
                      "client/changed-settings");
        return {};
    }

    Result<> change_badly() {
        kafka::IncrementalAlterConfigsRequest request;
        const std::vector<kafka::IncrementalAlterConfigsRequest::Config> wishes{
            {"no.such.setting", ConfigOperation::set, "1"},
            {"segment.ms", ConfigOperation::set, "soon"},
            {"segment.ms", ConfigOperation::set, {}},
            {"segment.ms", ConfigOperation::append, "1"},
            {"compression.type", ConfigOperation::set, "gzip"},
        };
        const std::string name = often(20) ? "no-such-topic" : topic();
        request.resources.push_back(
            {ConfigResource::topic, name, {wishes[random_.below(wishes.size())]}});
        if (often(20)) request.resources.push_back(request.resources.back());
        const auto told = TRY(TRY(broker())->call(request));
        for (const auto& result : told.results)
            if (result.error == ErrorCode::none) return Error::malformed;
        return {};
    }

    // What is said of this node: its log level, which is as it was.
    Result<> replace_badly() {
        kafka::AlterConfigsRequest request;
        request.resources.push_back({ConfigResource::broker, std::to_string(topic_.leader), {}});
        request.resources.push_back(
            {ConfigResource::topic, "no-such-topic", {{"segment.ms", "70000"}}});
        const auto told = TRY(TRY(broker())->call(request));
        SOMETIMES(told.results.at(0).error == ErrorCode::none, "client/changed-a-log-level");
        return {};
    }

    // None that could be added, for those that others use are counted.
    Result<> add_badly() {
        kafka::CreatePartitionsRequest request;
        request.timeout_ms = 1000;
        const std::vector<kafka::CreatePartitionsRequest::Topic> wishes{
            {topic(), 0, {}},
            {topic(), 100'000, {}},
            {"no-such-topic", 3, {}},
            {std::string(server::offsets_topic_name), 300, {}},
        };
        request.topics.push_back(wishes[random_.below(wishes.size())]);
        if (often(20)) request.topics.push_back(request.topics.back());
        const auto told = TRY(TRY(broker())->call(request));
        for (const auto& one : told.topics)
            if (one.error == ErrorCode::none) return Error::malformed;
        request.topics = {{topic(), topic_.name.partition + 20, {}}};
        if (often(50)) request.topics.back().assignments.emplace();
        request.validate_only = true;
        (void)TRY(TRY(broker())->call(request));
        return {};
    }

    Result<> describe() {
        kafka::DescribeClusterRequest cluster;
        if (often(20)) cluster.endpoint_type = 2;
        (void)TRY(TRY(broker())->call(cluster));
        const auto dirs = TRY(TRY(broker())->call(kafka::DescribeLogDirsRequest()));
        for (const auto& dir : dirs.results)
            SOMETIMES(dir.topics.size() > 1, "client/told-of-logs");
        kafka::DescribeTopicPartitionsRequest pieces;
        pieces.partitions_max = static_cast<std::int32_t>(random_.between(1, 3));
        if (often(30)) pieces.topics = {{topic()}, {"no-such-topic"}};
        for (int i = 0; i < 4; ++i) {
            const auto told = TRY(TRY(broker())->call(pieces));
            pieces.cursor = told.next;
            if (!pieces.cursor) break;
        }
        return {};
    }

    // The first replica leads each partition, or is asked to.
    Result<> elect() {
        kafka::ElectLeadersRequest request;
        request.timeout_ms = static_cast<std::int32_t>(random_.between(1, 2000));
        if (often(10)) request.election = kafka::ElectLeadersRequest::Election::unclean;
        if (often(70)) request.topics = {{{topic(), {topic_.name.partition}}}};
        if (often(5)) request.topics = {{{topic(), {9999}}}};
        const auto told = TRY(TRY(broker())->call(request));
        for (const auto& one : told.topics)
            for (const auto& partition : one.partitions)
                SOMETIMES(partition.error == ErrorCode::none, "client/moved-a-leader");
        return {};
    }

    kafka::FetchRequest fetch() {
        kafka::FetchRequest request;
        request.max_wait_ms = static_cast<std::int32_t>(random_.between(0, 20));
        request.min_bytes = 1;
        request.max_bytes = 100'000;
        kafka::FetchRequest::Partition partition;
        partition.index = topic_.name.partition;
        partition.fetch_offset = random_.between(std::int64_t{0}, std::int64_t{20});
        partition.max_bytes = 100'000;
        request.topics.push_back({topic(), {partition}});
        return request;
    }

    // Begins one, goes on with it, says something wrong of it, forgets, and ends it.
    Result<> fetch_in_session() {
        kafka::FetchRequest request = fetch();
        request.session_epoch = 0;
        std::int32_t epoch = 1;
        auto told = TRY(TRY(broker())->call(request));
        SOMETIMES(told.session_id != 0, "client/has-a-session");
        request.session_id = told.session_id;
        // Where there is nothing yet, or where it read before.
        if (!told.topics.empty() && often(70))
            request.topics.at(0).partitions.at(0).fetch_offset =
                told.topics.at(0).partitions.at(0).high_watermark;
        else
            request.topics.clear();
        for (int i = static_cast<int>(random_.between(0, 4)); i > 0; --i) {
            request.session_epoch = often(10) ? epoch + 1 : epoch++;
            told = TRY(TRY(broker())->call(request));
            request.topics.clear();
            if (told.error == ErrorCode::none) continue;
            SOMETIMES(told.error == ErrorCode::invalid_fetch_session_epoch,
                      "client/lost-its-session");
            return {};
        }
        request.session_epoch = often(50) ? -1 : epoch;
        request.forgotten_topics.push_back({topic(), {topic_.name.partition}});
        (void)TRY(TRY(broker())->call(request));
        return {};
    }

    template <class Request>
    static Result<typename Request::Response> ask(KafkaConnection& connection,
                                                  const Request& request, std::int16_t version) {
        const kafka::RequestHeader header{Request::key, version, 7, std::string(limited)};
        TRY(connection.write(kafka::encode_request(request, version, 7, std::string(limited))));
        return connection.receive<typename Request::Response>(header);
    }

    // Under a name that has a limit: what is stored of it is nothing.
    Result<> be_too_fast() {
        kafka::AlterClientQuotasRequest limits;
        const kafka::Float64 rate = kafka::Float64::of(random_.between(100, 1000));
        limits.entries.push_back(
            {{{"client-id", std::string(limited)}},
             {{"producer_byte_rate", rate, false}, {"consumer_byte_rate", rate, often(20)}}});
        (void)TRY(TRY(broker())->call(limits));
        const auto one = TRY(kafka_.open(topic_.leader));
        const auto other = TRY(kafka_.open(topic_.leader));
        for (int i = 0; i < 2; ++i) (void)TRY(ask(*one, fetch(), 11));
        const auto told = TRY(ask(*other, fetch(), 11));
        SOMETIMES(told.throttle_time_ms > 0, "client/is-to-be-slower");
        kafka::ProduceRequest none;
        none.acks = -1;
        none.timeout_ms = 100;
        const Bytes flawed = Bytes::copy_of(std::string(1500, 'x'));
        none.topics.push_back({topic(), {{topic_.name.partition, flawed}}});
        for (int i = 0; i < 2; ++i) (void)TRY(ask(*other, none, 9));
        return {};
    }

    Result<> limit_badly() {
        kafka::AlterClientQuotasRequest limits;
        limits.entries.push_back({{{"user", "me"}}, {}});
        (void)TRY(TRY(broker())->call(limits));
        (void)TRY(TRY(broker())->call(kafka::DescribeClientQuotasRequest()));
        return {};
    }

    struct Target {
        TopicPartition name;
        std::int32_t leader = -1;
    };

    Environment& env_;
    Random random_;
    KafkaClient kafka_;
    std::vector<Target> topics_;
    Target topic_;
};

} // namespace

void explore_admin(Environment& env, std::vector<Address> bootstrap) {
    AdminExplorer(env, std::move(bootstrap)).run();
}

} // namespace pyralog::simtest
