// server/request_meter.h
//
// What clients ask of a node, by API: how many requests, how large, how long until their answers
// have been written, and which errors those told. An API has its members from its first request on,
// so that nobody is shown what nobody uses.
#pragma once

#include "core/base/metrics.h"
#include "core/wire/kafka/api.h"

#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace pyralog::server {

// Walks over a response as a codec does, and hands on every error code that it tells.
template <class Told>
class ErrorWalk : public wire::Form {
public:
    static constexpr bool reads = false;

    ErrorWalk(wire::Form form, Told told) : Form(form), told_(std::move(told)) {}

    template <class... Fields>
    void operator()(const Fields&... fields) {
        (look(fields), ...);
    }
    template <class T>
    void uvarint(T) {}
    template <class T>
    void varint(T) {}
    template <class T>
    void varlong(T) {}
    template <class... T>
    void tags(wire::Tag<T>... known) {
        (look(known.value), ...);
    }
    template <class... T>
    void tag_section(wire::Tag<T>... known) {
        (look(known.value), ...);
    }
    template <class T>
    void as(wire::Form form, const T& part) {
        const wire::Form outer = std::exchange(static_cast<wire::Form&>(*this), form);
        look(part);
        static_cast<wire::Form&>(*this) = outer;
    }
    void require(bool) {}

private:
    template <class T>
    void look(const T& value) {
        namespace detail = wire::detail;
        if constexpr (std::same_as<T, wire::kafka::ErrorCode>) {
            if (value != wire::kafka::ErrorCode::none) told_(value);
        } else if constexpr (!std::is_void_v<detail::VectorOf<T>>) {
            using Element = detail::VectorOf<T>;
            if constexpr (std::is_class_v<Element> || std::same_as<Element, wire::kafka::ErrorCode>)
                for (const Element& element : value) look(element);
        } else if constexpr (!std::is_void_v<detail::OptionalOf<T>>) {
            if (value) look(*value);
        } else if constexpr (std::is_class_v<T> && !detail::TaggedNumber<T> &&
                             !std::same_as<T, wire::Uuid> && !std::same_as<T, std::string> &&
                             !std::same_as<T, Bytes> && !std::same_as<T, BytesChain>) {
            detail::describe_const(*this, value);
        }
    }

    Told told_;
};

// All of them, in their order. Empty if all went well.
template <class Response>
std::vector<wire::kafka::ErrorCode> errors_in(const wire::kafka::RequestHeader& header,
                                              const Response& response) {
    std::vector<wire::kafka::ErrorCode> errors;
    ErrorWalk walk(wire::kafka::form_of(header.key, header.version),
                   [&](wire::kafka::ErrorCode error) { errors.push_back(error); });
    walk(response);
    return errors;
}

class RequestMeter {
public:
    explicit RequestMeter(Metrics& metrics);

    void came(wire::kafka::ApiKey api, std::size_t bytes);
    void answered(wire::kafka::ApiKey api, std::size_t bytes, Duration took);
    void told(wire::kafka::ApiKey api, wire::kafka::ErrorCode error);
    // A connection that ended for what came over it, before there could be an answer.
    void not_understood() { not_understood_.add(); }

    // Of all APIs together, since the node has started.
    struct Totals {
        std::uint64_t requests = 0, errors = 0, bytes_in = 0, bytes_out = 0;
    };
    const Totals& totals() const { return totals_; }
    // Of requests to produce.
    const Metrics::Histogram::Buckets* produce_times() const;

private:
    struct Api {
        Api(Metrics& metrics, wire::kafka::ApiKey key);
        Metrics::Counter requests, request_bytes, answer_bytes;
        Metrics::Histogram time;
    };
    Api& api(wire::kafka::ApiKey key);

    Metrics& metrics_;
    Metrics::Counter not_understood_;
    Totals totals_;
    std::map<wire::kafka::ApiKey, Api> apis_; // As many as there are APIs,
    std::map<std::pair<wire::kafka::ApiKey, wire::kafka::ErrorCode>, Metrics::Counter>
        errors_; // and as many as there are codes, of each.
};

} // namespace pyralog::server
