#include "server/broker.h"

#include "core/base/buggify.h"
#include "core/base/probe.h"
#include "server/admin/admin.h"
#include "server/admin/observer.h"
#include "server/admin/pages.h"
#include "server/admin/relay.h"
#include "server/compaction.h"
#include "server/connection.h"
#include "server/node.h"
#include "server/retention.h"

namespace pyralog::server {

namespace {

// Between two attempts to tell the cluster where this node is reached.
constexpr Duration register_pause = 200ms;
constexpr Duration register_patience = 10s;
// Too many open files, and the like: accepting is tried again after this.
constexpr Duration accept_pause = 100ms;

wire::Hello hello_of(Environment& env, const Config& config) {
    wire::Hello hello;
    hello.cluster = config.cluster_name;
    hello.node = config.id();
    hello.incarnation = env.random.next();
    hello.kafka_host = config.advertised().host;
    hello.kafka_port = config.advertised().port;
    hello.grpc = config.grpc_advertised();
    return hello;
}

std::vector<raft::Transport::Peer> peers_of(const Config& config) {
    std::vector<raft::Transport::Peer> peers;
    for (const auto& [node, address] : config.members)
        if (node != config.id()) peers.push_back({node, address});
    return peers;
}

} // namespace

struct Broker::Listeners {
    std::unique_ptr<Listener> kafka, peers, admin;
};

Broker::Broker(Environment& env, const Config& config, Beside beside)
    : env_(env), config_(config), beside_(std::move(beside)) {}
Broker::~Broker() = default;

Result<> Broker::run() {
    // Ports first: one that is taken is told before anything on the disk is touched.
    Listeners listeners;
    TRY(listen(listeners));
    make();
    Result<> ended;
    {
        Scope scope(env_.fibers);
        const auto keep = [&](std::string_view name, auto body) {
            scope.spawn(name, [&scope, &ended, body] {
                const Result<> over = body();
                // The first to end says why; the others then end for being cancelled.
                if (ended.ok() && !scope.cancelled()) ended = over;
                scope.cancel();
            });
        };
        // From the beginning: who asks a node that recovers is told that it does.
        const Pages pages(env_, config_, *this);
        const AdminActions actions{
            [&pages](const HttpRequest& request) { return pages.answer(request); },
            [&scope] { scope.cancel(); },
        };
        keep("admin", [&] { return serve_admin(env_, *listeners.admin, config_.admin, actions); });
        keep("node", [&] { return recover_and_serve(listeners, pages); });
        scope.join();
    }
    state_ = Status::State::stopping;
    if (!ended.ok() && ended.error() != Error::cancelled)
        env_.log.error("the node ends", {{"error", ended.error()}});
    else
        env_.log.info("the node has stopped");
    return ended;
}

void Broker::make() {
    space_ = std::make_unique<SpaceWatch>(env_, config_.disk);
    host_ = std::make_unique<raft::Host>(
        env_, raft::Host::Settings{config_.raft, config_.journal, config_.log, config_.peer},
        hello_of(env_, config_), peers_of(config_));
    controller_ = std::make_unique<Controller>(env_, *host_, config_.member_ids());
    groups_ = std::make_unique<Coordinator>(
        env_, config_.group, config_.default_replication_factor(), *host_, *controller_, *space_);
    producer_ids_ = std::make_unique<ProducerIds>(env_, *controller_, config_.id());
    transactions_ = std::make_unique<Transactions>(env_, config_.transaction,
                                                   config_.default_replication_factor(), *host_,
                                                   *controller_, *producer_ids_, *space_);
    node_ = std::make_unique<Node>(env_, config_, *host_, *controller_, *groups_, *transactions_,
                                   *producer_ids_, *space_);
    observer_ = std::make_unique<Observer>(*node_);
    relay_ = std::make_unique<Relay>(env_, *host_);
    foretell_observations(env_.metrics);
}

Result<> Broker::recover_and_serve(Listeners& listeners, const Pages& pages) {
    TRY(recover());
    serving_ = true;
    const Result<> ended = serve(listeners, pages);
    serving_ = false;
    return ended;
}

Result<> Broker::listen(Listeners& listeners) {
    const auto at = [&](const Address& address, std::unique_ptr<Listener>& listener) -> Result<> {
        auto made = env_.network.listen(address);
        if (!made.ok()) {
            env_.log.error("cannot listen",
                           {{"address", to_string(address)}, {"error", made.error()}});
            return made.error();
        }
        listener = std::move(made).value();
        return {};
    };
    TRY(at(config_.kafka_address(), listeners.kafka));
    if (const auto peers = config_.peer_address()) TRY(at(*peers, listeners.peers));
    return at(config_.admin_address(), listeners.admin);
}

Result<> Broker::recover() {
    TRY(space_->prepare());
    TRY(env_.kv.open());
    TRY(controller_->restore());
    return host_->open(controller_->groups(), controller_->catalogue().next_group());
}

Result<> Broker::serve(Listeners& listeners, const Pages& pages) {
    TRY(write_admin_address(env_.disk, listeners.admin->address()));
    Result<> ended;
    Scope scope(env_.fibers);
    const auto keep = [&](std::string_view name, auto body) {
        scope.spawn(name, [&scope, &ended, body] {
            const Result<> over = body();
            // The first to end says why; the others then end for being cancelled.
            if (ended.ok() && !scope.cancelled()) ended = over;
            scope.cancel();
        });
    };
    keep("host", [&] { return host_->run(std::move(listeners.peers)); });
    keep("controller", [&] { return controller_->run(); });
    keep("groups", [&] { return groups_->run(); });
    keep("transactions", [&] { return transactions_->run(); });
    keep("space", [&] { return space_->run(); });
    keep("clients", [&] { return accept_clients(*listeners.kafka); });
    Retention retention(env_, config_.topic, *host_, *controller_);
    keep("retention", [&] { return retention.run(); });
    Compaction compaction(env_, config_.topic, *host_, *controller_, *space_);
    keep("compaction", [&] { return compaction.run(); });
    scope.spawn("register", [&] { (void)register_self(); }); // Ends by itself or is cancelled.
    keep("observer", [&] { return observer_->run(); });
    const Relay::Answer answer = [&](const HttpRequest& request) { return pages.tell(request); };
    keep("relay", [&] { return relay_->run(answer); });
    if (node_->tracer.is_on()) keep("traces", [&] { return node_->tracer.run(); });
    if (beside_) keep("beside", [&] { return beside_(*node_); });
    env_.log.info("serving", {{"node", config_.node_id},
                              {"cluster", config_.cluster_name},
                              {"kafka", to_string(listeners.kafka->address())},
                              {"nodes", config_.member_ids().size()}});
    scope.join();
    return ended;
}

Result<> Broker::accept_clients(Listener& listener) {
    Scope scope(env_.fibers);
    for (;;) {
        Result<std::unique_ptr<Stream>> accepted = listener.accept();
        if (!accepted.ok()) {
            if (accepted.error() == Error::cancelled) return Error::cancelled;
            REACHABLE("broker/cannot-accept");
            env_.log.warning("cannot accept clients", {{"error", accepted.error()}});
            TRY(env_.fibers.sleep_until(env_.clock.now() + accept_pause));
            continue;
        }
        const bool too_many = node_->connections.value() >= config_.kafka.connections_max;
        SOMETIMES(too_many, "broker/too-many-clients");
        if (too_many || BUGGIFY("broker/turns-a-client-away", 50'000)) {
            env_.log.warning("turned a client away: there are as many as may be",
                             {{"clients", node_->connections.value()}});
            continue;
        }
        scope.spawn("client", [this, stream = std::move(accepted).value()]() mutable {
            Connection(*node_, std::move(stream)).run();
        });
    }
}

// Says in the catalogue where clients reach this node, if it does not say so already.
Result<> Broker::register_self() {
    const Address mine = config_.advertised();
    for (;;) {
        const auto& nodes = controller_->catalogue().nodes();
        const auto known = nodes.find(config_.id());
        const bool is_known = known != nodes.end() && known->second == mine;
        if (is_known && !BUGGIFY("broker/registers-again")) break;
        {
            const Deadline deadline(env_.fibers, env_.clock.now() + register_patience);
            const Result<Outcome> done =
                controller_->submit(RegisterNode{config_.id(), mine.host, mine.port});
            SOMETIMES(!done.ok() && done.error() == Error::timed_out,
                      "broker/could-not-register-in-time");
            if (!done.ok() && done.error() == Error::cancelled) return Error::cancelled;
        }
        TRY(env_.fibers.sleep_until(env_.clock.now() + register_pause));
    }
    return {};
}

std::string Broker::metrics() const {
    Metrics::Families families;
    if (serving_) observer_->gather(families);
    env_.metrics.gather(families);
    return families.text();
}

std::string Broker::metrics_reference() {
    make();
    const Retention retention(env_, config_.topic, *host_, *controller_);
    const Compaction compaction(env_, config_.topic, *host_, *controller_, *space_);
    const AdminMetrics admin(env_.metrics);
    Metrics::Families families;
    env_.metrics.gather(families);
    std::string text = "| Metric | Type | What it is |\n|---|---|---|\n";
    for (const auto& [name, family] : families.all())
        text += "| `" + name + "` | " + std::string(family.type) + " | " + family.help + " |\n";
    return text;
}

const Catalogue* Broker::catalogue() const {
    return serving_ ? &controller_->catalogue() : nullptr;
}

Status Broker::status() const {
    Status status;
    status.node = config_.id();
    status.cluster = config_.cluster_name;
    status.state = state_;
    if (!serving_) return status;
    status.controller = host_->leader_of(controller_group);
    status.disk_total_bytes = space_->seen().total;
    status.disk_free_bytes = space_->seen().free;
    status.disk_is_short = space_->is_short();
    const Catalogue& catalogue = controller_->catalogue();
    std::map<NodeId, NodeStatus> nodes;
    for (const NodeId id : config_.member_ids()) {
        NodeStatus& node = nodes[id];
        node.id = id;
        if (const auto known = catalogue.nodes().find(id); known != catalogue.nodes().end())
            node.address = known->second;
        node.is_up = id == config_.id() || host_->transport().connected(id);
    }
    for (const auto& [name, topic] : catalogue.topics()) {
        ++status.topics;
        for (const Topic::Partition& partition : topic.partitions) {
            ++status.partitions;
            for (const NodeId replica : partition.replicas) ++nodes[replica].replicas;
            if (const auto leader = host_->leader_of(partition.group))
                ++nodes[*leader].partitions_led;
            else
                ++status.partitions_without_leader;
        }
    }
    if (status.controller && catalogue.nodes().contains(config_.id()))
        status.state = Status::State::ready;
    for (const auto& [id, node] : nodes) status.nodes.push_back(node);
    return status;
}

} // namespace pyralog::server
