// A C++ program with librdkafka, as people write them: admin, idempotent producers, all four
// codecs, groups that rebalance. Nodes are killed and restarted meanwhile: disturbed.py says how
// that is asked for. It includes nothing of Pyralog's.
//
//     rdkafka_client BOOTSTRAP admin | codecs | groups | load SECONDS
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <librdkafka/rdkafkacpp.h>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

// The C++ interface of this version has no admin of its own.
#include <librdkafka/rdkafka.h>

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr int partitions = 3;
constexpr auto patience = 60s;
constexpr int call_patience_ms = 15'000;

[[noreturn]] void fail(const std::string& what) {
    std::cout << "FAILED: " << what << std::endl;
    std::exit(1);
}
void expect(bool condition, const std::string& what) {
    if (!condition) fail(what);
}
void until(const std::string& what, const std::function<bool()>& condition) {
    for (const auto end = Clock::now() + patience; Clock::now() < end;) {
        if (condition()) return;
        std::this_thread::sleep_for(20ms);
    }
    fail("not within a minute: " + what);
}
void ask(const std::string& words) {
    std::cout << words << std::endl;
    std::string answer;
    std::getline(std::cin, answer);
}

using Settings = std::vector<std::pair<std::string, std::string>>;

std::unique_ptr<RdKafka::Conf> conf_of(const std::string& bootstrap, const Settings& settings) {
    std::unique_ptr<RdKafka::Conf> conf(RdKafka::Conf::create(RdKafka::Conf::CONF_GLOBAL));
    std::string error;
    Settings all{
        {"bootstrap.servers", bootstrap}, {"log_level", "0"}, {"reconnect.backoff.max.ms", "500"}};
    all.insert(all.end(), settings.begin(), settings.end());
    for (const auto& [name, value] : all)
        expect(conf->set(name, value, error) == RdKafka::Conf::CONF_OK, error);
    return conf;
}

// ---- Producing ----

// Counts what became of each message, and each error that the library tells its user.
struct Reports : RdKafka::DeliveryReportCb, RdKafka::EventCb {
    void dr_cb(RdKafka::Message& message) override {
        if (message.err() == RdKafka::ERR_NO_ERROR)
            ++delivered;
        else
            complain(message.errstr());
    }
    // That a connection has gone is no error of the application's: the library makes another.
    void event_cb(RdKafka::Event& event) override {
        if (event.type() == RdKafka::Event::EVENT_ERROR && event.fatal()) complain(event.str());
    }
    void complain(const std::string& text) {
        if (failures++ == 0) std::cout << "the application is told: " << text << std::endl;
    }
    std::uint64_t delivered = 0, failures = 0;
};

class Producer {
public:
    Producer(const std::string& bootstrap, Settings settings) {
        settings.emplace_back("enable.idempotence", "true");
        settings.emplace_back("linger.ms", "2");
        auto conf = conf_of(bootstrap, settings);
        std::string error;
        conf->set("dr_cb", static_cast<RdKafka::DeliveryReportCb*>(&reports_), error);
        conf->set("event_cb", static_cast<RdKafka::EventCb*>(&reports_), error);
        producer_.reset(RdKafka::Producer::create(conf.get(), error));
        expect(producer_ != nullptr, error);
    }

    void send(const std::string& topic, std::uint64_t number, std::size_t size) {
        std::string text = std::to_string(number) + ' ';
        text.resize(std::max(text.size(), size), '.');
        const auto partition = static_cast<int>(number % partitions);
        while (producer_->produce(topic, partition, RdKafka::Producer::RK_MSG_COPY, text.data(),
                                  text.size(), nullptr, 0, 0, nullptr) == RdKafka::ERR__QUEUE_FULL)
            producer_->poll(10);
        producer_->poll(0);
    }
    void finish(std::uint64_t sent) {
        expect(producer_->flush(120'000) == RdKafka::ERR_NO_ERROR, "not all is delivered");
        expect(reports_.failures == 0, std::to_string(reports_.failures) + " errors were told");
        expect(reports_.delivered == sent, std::to_string(reports_.delivered) + " of " +
                                               std::to_string(sent) + " are delivered");
    }
    std::uint64_t delivered() const { return reports_.delivered; }
    std::uint64_t failures() const { return reports_.failures; }

private:
    Reports reports_;
    std::unique_ptr<RdKafka::Producer> producer_;
};

// ---- Consuming ----

// All that a topic holds, by a consumer without a group's assignment. Each number must be there
// once, and rise within its partition.
void check(const std::string& bootstrap, const std::string& topic, std::uint64_t count) {
    auto conf = conf_of(
        bootstrap,
        {{"group.id", "check"}, {"enable.partition.eof", "true"}, {"enable.auto.commit", "false"}});
    std::string error;
    std::unique_ptr<RdKafka::KafkaConsumer> consumer(
        RdKafka::KafkaConsumer::create(conf.get(), error));
    expect(consumer != nullptr, error);
    std::vector<RdKafka::TopicPartition*> all;
    for (int i = 0; i < partitions; ++i)
        all.push_back(RdKafka::TopicPartition::create(topic, i, RdKafka::Topic::OFFSET_BEGINNING));
    expect(consumer->assign(all) == RdKafka::ERR_NO_ERROR, "assign");
    RdKafka::TopicPartition::destroy(all);
    std::map<int, std::int64_t> newest;
    std::vector<bool> seen(count);
    std::uint64_t doubles = 0, disorder = 0, strange = 0;
    std::set<int> ended;
    const auto end = Clock::now() + patience;
    while (ended.size() < partitions && Clock::now() < end) {
        std::unique_ptr<RdKafka::Message> message(consumer->consume(1000));
        if (message->err() == RdKafka::ERR__PARTITION_EOF) ended.insert(message->partition());
        if (message->err() != RdKafka::ERR_NO_ERROR) continue;
        const auto number =
            std::strtoull(static_cast<const char*>(message->payload()), nullptr, 10);
        const auto before = newest.find(message->partition());
        if (number >= count) {
            ++strange;
            continue;
        }
        if (seen[number])
            ++doubles;
        else if (before != newest.end() && static_cast<std::int64_t>(number) < before->second)
            ++disorder;
        seen[number] = true;
        newest[message->partition()] = static_cast<std::int64_t>(number);
    }
    consumer->close();
    const auto lost = static_cast<std::uint64_t>(std::count(seen.begin(), seen.end(), false));
    std::cout << topic << ": sent " << count << ", lost " << lost << ", doubled " << doubles
              << ", out of order " << disorder << ", strange " << strange << std::endl;
    expect(ended.size() == partitions, topic + " is not read to its end");
    expect(lost + doubles + disorder + strange == 0, topic + " is not what was sent");
}

// ---- Admin, by the C interface ----

class Admin {
public:
    explicit Admin(const std::string& bootstrap) {
        char error[256];
        rd_kafka_conf_t* conf = rd_kafka_conf_new();
        rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap.c_str(), error, sizeof error);
        rd_kafka_conf_set(conf, "log_level", "0", error, sizeof error);
        client_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof error);
        expect(client_ != nullptr, error);
        queue_ = rd_kafka_queue_new(client_);
    }
    ~Admin() {
        rd_kafka_queue_destroy(queue_);
        rd_kafka_destroy(client_);
    }
    Admin(const Admin&) = delete;
    Admin& operator=(const Admin&) = delete;

    rd_kafka_resp_err_t create(const std::string& topic, const Settings& settings = {}) {
        char error[256];
        rd_kafka_NewTopic_t* wanted =
            rd_kafka_NewTopic_new(topic.c_str(), partitions, 3, error, sizeof error);
        expect(wanted != nullptr, error);
        for (const auto& [name, value] : settings)
            rd_kafka_NewTopic_set_config(wanted, name.c_str(), value.c_str());
        rd_kafka_CreateTopics(client_, &wanted, 1, nullptr, queue_);
        rd_kafka_NewTopic_destroy(wanted);
        return result([](rd_kafka_event_t* event, std::size_t* count) {
            return rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event),
                                                       count);
        });
    }
    rd_kafka_resp_err_t remove(const std::string& topic) {
        rd_kafka_DeleteTopic_t* wanted = rd_kafka_DeleteTopic_new(topic.c_str());
        rd_kafka_DeleteTopics(client_, &wanted, 1, nullptr, queue_);
        rd_kafka_DeleteTopic_destroy(wanted);
        return result([](rd_kafka_event_t* event, std::size_t* count) {
            return rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event),
                                                       count);
        });
    }
    // How many of its partitions have a leader.
    int led(const std::string& topic) {
        const rd_kafka_metadata_t* known = nullptr;
        if (rd_kafka_metadata(client_, 1, nullptr, &known, call_patience_ms) !=
            RD_KAFKA_RESP_ERR_NO_ERROR)
            return -1;
        int count = -1;
        for (int i = 0; i < known->topic_cnt; ++i) {
            if (topic != known->topics[i].topic) continue;
            count = 0;
            for (int j = 0; j < known->topics[i].partition_cnt; ++j)
                count += known->topics[i].partitions[j].leader >= 0;
        }
        rd_kafka_metadata_destroy(known);
        return count;
    }
    void make(const std::string& topic) {
        const auto error = create(topic);
        expect(error == RD_KAFKA_RESP_ERR_NO_ERROR,
               "cannot create " + topic + ": " + rd_kafka_err2name(error));
        until(topic + " is led", [&] { return led(topic) == partitions; });
    }

private:
    template <class Topics>
    rd_kafka_resp_err_t result(Topics topics) {
        rd_kafka_event_t* event = rd_kafka_queue_poll(queue_, 60'000);
        expect(event != nullptr, "no answer to an admin request");
        auto error = rd_kafka_event_error(event);
        std::size_t count = 0;
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
            const rd_kafka_topic_result_t** results = topics(event, &count);
            expect(count == 1, "not one result");
            error = rd_kafka_topic_result_error(results[0]);
        }
        rd_kafka_event_destroy(event);
        return error;
    }

    rd_kafka_t* client_ = nullptr;
    rd_kafka_queue_t* queue_ = nullptr;
};

void run_admin(const std::string& bootstrap) {
    Admin admin(bootstrap);
    expect(admin.create("made", {{"retention.ms", "86400000"}}) == RD_KAFKA_RESP_ERR_NO_ERROR,
           "create");
    expect(admin.create("made") == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, "made twice");
    expect(admin.create("odd", {{"no.such.setting", "1"}}) == RD_KAFKA_RESP_ERR_INVALID_CONFIG,
           "a setting that nobody knows");
    until("it is led", [&] { return admin.led("made") == partitions; });
    ask("@kill leader made");
    expect(admin.create("while-one-is-away") == RD_KAFKA_RESP_ERR_NO_ERROR, "create without one");
    expect(admin.remove("made") == RD_KAFKA_RESP_ERR_NO_ERROR, "delete");
    expect(admin.remove("made") == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, "deleted twice");
    until("it has gone", [&] { return admin.led("made") < 0; });
    std::cout << "admin: topics made and deleted" << std::endl;
}

void run_codecs(const std::string& bootstrap) {
    constexpr std::uint64_t count = 12'000;
    for (const char* codec : {"gzip", "snappy", "lz4", "zstd"}) {
        const std::string topic = std::string("packed-") + codec;
        Admin(bootstrap).make(topic);
        Producer producer(bootstrap, {{"compression.type", codec}, {"batch.num.messages", "100"}});
        for (std::uint64_t i = 0; i < count; ++i) {
            producer.send(topic, i, 200);
            if (i == count / 3) ask("@kill leader " + topic);
            if (i % 100 == 0) std::this_thread::sleep_for(5ms);
        }
        producer.finish(count);
        check(bootstrap, topic, count);
    }
}

// ---- Groups ----

// A consumer with a thread that polls it, and commits what it has seen.
class Member {
public:
    Member(const std::string& bootstrap, const std::string& group, const std::string& topic,
           const std::string& strategy) {
        auto conf = conf_of(bootstrap, {{"group.id", group},
                                        {"auto.offset.reset", "earliest"},
                                        {"session.timeout.ms", "6000"},
                                        {"heartbeat.interval.ms", "300"},
                                        {"auto.commit.interval.ms", "200"},
                                        {"partition.assignment.strategy", strategy}});
        std::string error;
        consumer_.reset(RdKafka::KafkaConsumer::create(conf.get(), error));
        expect(consumer_ != nullptr, error);
        consumer_->subscribe({topic});
        thread_ = std::thread([this] { run(); });
    }
    ~Member() {
        leaving_ = true;
        thread_.join();
        consumer_->close();
    }
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;

    std::set<std::uint64_t> seen() const {
        const std::lock_guard guard(mutex_);
        return seen_;
    }
    std::set<int> owned() const {
        std::vector<RdKafka::TopicPartition*> all;
        std::set<int> numbers;
        if (consumer_->assignment(all) == RdKafka::ERR_NO_ERROR)
            for (const auto* one : all) numbers.insert(one->partition());
        RdKafka::TopicPartition::destroy(all);
        return numbers;
    }

private:
    void run() {
        while (!leaving_) {
            std::unique_ptr<RdKafka::Message> message(consumer_->consume(100));
            if (message->err() != RdKafka::ERR_NO_ERROR) continue;
            const std::lock_guard guard(mutex_);
            seen_.insert(std::strtoull(static_cast<const char*>(message->payload()), nullptr, 10));
        }
    }

    std::unique_ptr<RdKafka::KafkaConsumer> consumer_;
    std::thread thread_;
    std::atomic<bool> leaving_ = false;
    mutable std::mutex mutex_;
    std::set<std::uint64_t> seen_;
};

using Members = std::vector<std::unique_ptr<Member>>;

bool shared_out(const Members& members) {
    std::set<int> all;
    std::size_t sum = 0;
    for (const auto& member : members) {
        const auto owned = member->owned();
        if (owned.empty()) return false;
        sum += owned.size();
        all.insert(owned.begin(), owned.end());
    }
    return sum == partitions && all.size() == partitions;
}
bool have_seen(const Members& members, std::uint64_t first, std::uint64_t end) {
    std::set<std::uint64_t> all;
    for (const auto& member : members) all.merge(member->seen());
    for (std::uint64_t i = first; i < end; ++i)
        if (!all.contains(i)) return false;
    return true;
}

void run_groups(const std::string& bootstrap) {
    for (const std::string strategy : {"range", "roundrobin", "cooperative-sticky"}) {
        const std::string name = "for-" + strategy;
        Admin(bootstrap).make(name);
        Producer producer(bootstrap, {});
        std::uint64_t sent = 0;
        const auto send = [&](std::uint64_t count) {
            for (const auto end = sent + count; sent < end; ++sent) producer.send(name, sent, 20);
            producer.finish(sent);
        };
        Members members;
        const auto add = [&] {
            members.push_back(std::make_unique<Member>(bootstrap, name, name, strategy));
        };
        send(300);
        add();
        until("one member has all partitions", [&] { return shared_out(members); });
        add();
        until("two members share them", [&] { return shared_out(members); });
        until("all is read", [&] { return have_seen(members, 0, 300); });
        ask("@kill coordinator " + name);
        send(300);
        until("they read on without their coordinator", [&] { return have_seen(members, 0, 600); });
        members.pop_back();
        until("one member has all partitions again", [&] { return shared_out(members); });
        send(30);
        until("and reads on", [&] { return have_seen(members, 600, 630); });
        members.clear();
        // Who comes next goes on where they were.
        add();
        until("it has all partitions", [&] { return shared_out(members); });
        send(30);
        until("it reads what is new", [&] { return have_seen(members, 630, 660); });
        expect(members[0]->seen().size() == 30, "it reads again what was committed");
        std::cout << strategy << ": " << sent << " messages, shared out and committed" << std::endl;
    }
}

// ---- A rolling restart under load ----

void run_load(const std::string& bootstrap, int seconds) {
    const std::string topic = "rolling";
    Admin(bootstrap).make(topic);
    Producer producer(bootstrap,
                      {{"batch.num.messages", "500"}, {"queue.buffering.max.messages", "20000"}});
    std::atomic<bool> rolled = false;
    std::thread restarts([&] {
        ask("@roll");
        ask("@rolled?");
        rolled = true;
    });
    std::uint64_t sent = 0;
    const auto begun = Clock::now();
    while (!rolled || Clock::now() < begun + std::chrono::seconds(seconds)) {
        producer.send(topic, sent++, 1000);
        if (sent % 50 == 0) std::this_thread::sleep_for(2ms);
    }
    restarts.join();
    producer.finish(sent);
    const auto took =
        std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begun).count();
    std::cout << "three restarts in " << took << " ms: sent " << sent << " records of 1000 bytes, "
              << sent * 1000 / static_cast<std::uint64_t>(took) << " KB/s, acknowledged "
              << producer.delivered() << ", errors told to the application " << producer.failures()
              << std::endl;
    check(bootstrap, topic, sent);
}

} // namespace

int main(int argc, char** argv) {
    expect(argc >= 3, "rdkafka_client BOOTSTRAP admin|codecs|groups|load SECONDS");
    const std::string bootstrap = argv[1], what = argv[2];
    if (what == "admin")
        run_admin(bootstrap);
    else if (what == "codecs")
        run_codecs(bootstrap);
    else if (what == "groups")
        run_groups(bootstrap);
    else if (what == "load" && argc == 4)
        run_load(bootstrap, std::atoi(argv[3]));
    else
        fail("there is no " + what);
    return 0;
}
