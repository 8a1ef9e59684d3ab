// sim-tests/kafka_client.h
//
// A small Kafka client over the seam: what it sends is what real clients send, to the byte, and it
// believes nothing that it is told. It has no background work and no retries of its own; programs
// that use it decide what a failure means. All calls may wait, and end with Error::timed_out at the
// Deadline around them.
#pragma once

#include "core/env/environment.h"
#include "core/wire/kafka/api.h"
#include "core/wire/kafka/api_versions.h"
#include "core/wire/kafka/metadata.h"
#include "sim-tests/history.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pyralog::simtest {

namespace kafka = wire::kafka;

// One connection to one broker. It asks in any version that both sides have, drawn for each
// request, so that all versions are spoken in some run. Use from one fiber.
class KafkaConnection {
public:
    static constexpr std::size_t response_bytes_max = 64_MiB;

    // Connects, and asks for the versions.
    static Result<std::unique_ptr<KafkaConnection>> open(Environment& env, const Address& address,
                                                         std::int64_t number, Random random);

    // One request and its answer.
    template <class Request>
    Result<typename Request::Response> call(const Request& request) {
        const kafka::RequestHeader asked = TRY(send(request));
        return receive<typename Request::Response>(asked);
    }

    // The same in two steps. Answers come in the order of the requests.
    template <class Request>
    Result<kafka::RequestHeader> send(const Request& request, std::int16_t version_min = 0) {
        const kafka::RequestHeader header = TRY(next_header(Request::key, version_min));
        TRY(stream_->write(kafka::encode_frame(header, request)));
        return header;
    }
    template <class Response>
    Result<Response> receive(const kafka::RequestHeader& asked) {
        return kafka::decode_response<Response>(TRY(read_frame()), asked);
    }

    // Bytes as they are, for those who want to say nonsense, and whatever comes back.
    Result<> write(const BytesChain& bytes) { return stream_->write(bytes); }
    Result<Bytes> read_frame();

    // Tells the connections of one client apart, over its whole life.
    std::int64_t number() const { return number_; }

private:
    KafkaConnection(std::unique_ptr<Stream> stream, std::int64_t number, Random random)
        : stream_(std::move(stream)), number_(number), random_(std::move(random)) {}

    Result<kafka::RequestHeader> next_header(kafka::ApiKey key, std::int16_t version_min);
    Result<> ask_versions();

    struct Versions {
        std::int16_t min = 0, max = 0;
    };

    std::unique_ptr<Stream> stream_;
    std::int64_t number_;
    Random random_;
    std::int32_t next_correlation_ = 1;
    std::map<kafka::ApiKey, Versions> versions_; // What both sides have.
};

// What a client knows of a cluster, and its connections into it.
class KafkaClient {
public:
    KafkaClient(Environment& env, std::vector<Address> bootstrap)
        : env_(env), bootstrap_(std::move(bootstrap)), random_(env.random.fork("kafka client")) {
        CHECK(!bootstrap_.empty());
    }

    struct Partition {
        std::int32_t leader = -1;
        std::int32_t leader_epoch = -1;
        std::int32_t replicas = 0;
    };

    // Asks some broker about these topics, or about all. Keeps what it says.
    Result<> refresh(const std::vector<std::string>& topics, bool auto_create);

    const std::map<TopicPartition, Partition>& partitions() const { return partitions_; }
    std::optional<Partition> partition(const TopicPartition& name) const;
    std::optional<std::int32_t> controller() const { return controller_; }
    std::vector<std::int32_t> brokers() const;

    // The connection to this broker, made if there is none. Stays with the client.
    Result<KafkaConnection*> connection(std::int32_t broker);
    // To any broker at all.
    Result<KafkaConnection*> any_connection();
    // One more, for the caller alone.
    Result<std::unique_ptr<KafkaConnection>> open(std::int32_t broker);
    Result<std::unique_ptr<KafkaConnection>> open(const Address& address);

    // Who coordinates this group, as some broker says. Error::unavailable: nobody, for the moment.
    struct Coordinator {
        std::int32_t node = 0;
        Address address;
    };
    // Or of a transactional id: type 1.
    Result<Coordinator> find_coordinator(const std::string& key, std::int8_t type = 0);

    // After an error on a connection nobody knows what is still to come on it.
    void drop(std::int32_t broker) { connections_.erase(broker); }
    void drop(const KafkaConnection* connection);

private:
    static constexpr std::int32_t bootstrap_key = -1000; // Less one for each, among connections.

    Environment& env_;
    std::vector<Address> bootstrap_;
    Random random_;
    std::map<std::int32_t, Address> brokers_;
    std::map<TopicPartition, Partition> partitions_;
    std::optional<std::int32_t> controller_;
    std::map<std::int32_t, std::unique_ptr<KafkaConnection>> connections_;
    std::int64_t next_number_ = 1;
};

} // namespace pyralog::simtest
