// server/cli/kafka.h
//
// As much of a Kafka client as the command line needs: one request at a time, in versions that
// every node of ours has. It keeps a stream to each broker until something goes wrong with it. All
// calls may wait, each no longer than call_patience, and end at the Deadline around them.
#pragma once

#include "core/env/environment.h"
#include "core/wire/kafka/api.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace pyralog::cli {

struct CommandLine;
struct Program;

struct PartitionName {
    std::string topic;
    std::int32_t partition = 0;
    auto operator<=>(const PartitionName&) const = default;
};
std::string to_string(const PartitionName& name); // "topic:3"

// What the brokers say of their cluster.
struct ClusterMap {
    struct Partition {
        std::int32_t leader = -1; // -1: there is none.
        std::int32_t term = -1;
        std::vector<std::int32_t> replicas, in_sync;
    };
    struct Topic {
        wire::kafka::ErrorCode error = wire::kafka::ErrorCode::none;
        bool is_internal = false;
        std::int32_t partitions = 0;
    };

    std::string cluster;
    std::int32_t controller = -1;
    std::map<std::int32_t, Address> brokers; // Those that are up.
    std::map<std::string, Topic> topics;
    std::map<PartitionName, Partition> partitions;

    // Nothing if there is no leader, or if nobody knows where it is.
    std::optional<Address> leader_of(const PartitionName& name) const;
};

class Client {
public:
    static constexpr std::int16_t metadata_version = 9;
    static constexpr Duration call_patience = 20s;

    // `bootstrap` are brokers to begin with, at least one.
    Client(Environment& env, std::vector<Address> bootstrap)
        : env_(env), bootstrap_(std::move(bootstrap)) {}

    Environment& env() { return env_; }
    const std::vector<Address>& bootstrap() const { return bootstrap_; }

    // After an error nobody knows whether the broker has done what it was asked.
    template <class Request>
    Result<typename Request::Response> call(const Address& broker, const Request& request,
                                            std::int16_t version) {
        const wire::kafka::RequestHeader header{Request::key, version, 1, "pyralog"};
        const Bytes frame = TRY(exchange(broker, wire::kafka::encode_frame(header, request)));
        auto response = wire::kafka::decode_response<typename Request::Response>(frame, header);
        if (!response.ok()) streams_.erase(broker);
        return response;
    }
    // Of whoever answers: the brokers that are known, then those to begin with.
    template <class Request>
    Result<typename Request::Response> call_any(const Request& request, std::int16_t version) {
        Error error = Error::unavailable;
        for (const Address& broker : candidates()) {
            auto response = call(broker, request, version);
            if (response.ok() || is_over(response.error())) return response;
            error = response.error();
        }
        return error;
    }
    // What is not answered: a produce with acks=0.
    Result<> tell(const Address& broker, const BytesChain& frame);

    // Of these topics, or of all; `create` makes those that are missing, where brokers do that.
    Result<> learn(const std::vector<std::string>* topics = nullptr, bool create = false);
    const ClusterMap& map() const { return map_; }

    // By their leaders: where partitions begin or end, or what is of this time or later, -1 where
    // there is none. Those whose leader does not say are left out. `isolation` is Kafka's: with
    // read_committed they end where the first transaction begins that is still open.
    Result<std::map<PartitionName, std::int64_t>>
    ask_for_offsets(const std::vector<PartitionName>& wanted, std::int64_t time,
                    std::int8_t isolation = 0);

private:
    // Whoever waits is to give up, and not to look for somebody else.
    bool is_over(Error error) { return error == Error::cancelled || env_.fibers.cancelled(); }
    std::vector<Address> candidates() const;
    Result<Stream*> stream_to(const Address& broker);
    Result<Bytes> exchange(const Address& broker, const BytesChain& request);

    Environment& env_;
    const std::vector<Address> bootstrap_;
    std::map<Address, std::unique_ptr<Stream>> streams_;
    ClusterMap map_;
};

// ---- What is told instead of a result ----

struct Trouble {
    std::string what;
};
template <class T>
using Told = std::variant<T, Trouble>;

Trouble silence(const Client& client, Error error);
Trouble refusal(const std::string& what, wire::kafka::ErrorCode error,
                const std::optional<std::string>& message = {});
int tell(const Trouble& trouble); // On stderr; the code to exit with.

// Runs `work` with a client in a world that has a network and nothing else, within `patience` if it
// is given. Its code.
int with_client(const CommandLine& line, const Program& program, std::optional<Duration> patience,
                const std::function<int(Client&)>& work);

} // namespace pyralog::cli
