#include "sim-tests/workload_client.h"

#include "core/wire/kafka/fetch.h"

namespace pyralog::simtest {

using kafka::ErrorCode;

// None of this may disturb anybody else, and the broker has to survive it.
void Workload::vandalise(Environment& env) {
    Client client(*this, env, "vandal");
    Random& random = client.random_;
    while (client.rest(random.between(Duration(1ms), Duration(300ms)))) {
        client.learn();
        const auto brokers = client.kafka_.brokers();
        if (brokers.empty()) continue;
        const Deadline patience(env.fibers, env.clock.now() + 500ms);
        auto connection = client.kafka_.open(brokers[random.below(brokers.size())]);
        if (!connection.ok()) continue;
        kafka::FetchRequest request;
        request.topics.push_back({plan_.topics[0].name, {{}}});
        Bytes good = joined(kafka::encode_request(request, 11, 7));
        std::vector<std::byte> bytes(good.view().begin(), good.view().end());
        switch (random.below(5)) {
        case 0: // A claim of up to 2 GiB, and nothing behind it.
            bytes = {std::byte{0x7f}, std::byte(random.below(256)), std::byte(random.below(256)),
                     std::byte(random.below(256)), std::byte{0}};
            break;
        case 1: // Some bytes changed.
            for (int i = 0; i < 4; ++i)
                bytes[4 + random.below(bytes.size() - 4)] = std::byte(random.below(256));
            break;
        case 2: // Cut short.
            bytes.resize(random.between(1, static_cast<std::int64_t>(bytes.size()) - 1));
            break;
        case 3: // Noise.
            bytes.resize(random.between(1, 400));
            for (std::byte& b : bytes) b = std::byte(random.below(256));
            break;
        default: // An array of more elements than there are bytes.
            for (std::size_t i = bytes.size() - 4; i > 20; --i)
                if (random.chance(1, 8)) bytes[i] = std::byte{0x7f};
        }
        (void)connection.value()->write({Bytes::copy_of(std::span(std::as_const(bytes)))});
        // An answer, an end, or nothing: all of them will do.
        (void)connection.value()->read_frame();
    }
}

} // namespace pyralog::simtest
