// core/wire/arbitrary_test.h
//
// For tests. A codec that neither reads nor writes: it fills what a description names with
// arbitrary values, so that every message can be tried without a generator of its own.
#pragma once

#include "core/base/random.h"
#include "core/wire/codec.h"

namespace pyralog::wire {

class Arbitrary : public Form {
public:
    static constexpr bool reads = true;

    Arbitrary(Random& random, Form form) : Form(form), random_(random) {}

    template <class... Fields>
    void operator()(Fields&... fields) {
        (fill(fields), ...);
    }

    void uvarint(std::uint32_t& value) { fill(value); }
    void uvarint(std::uint64_t& value) { fill(value); }
    void varint(std::int32_t& value) { fill(value); }
    void varlong(std::int64_t& value) { fill(value); }

    template <class... T>
    void tags(Tag<T>... known) {
        if (flexible) tag_section(known...);
    }
    template <class... T>
    void tag_section(Tag<T>... known) {
        (fill_tagged(known), ...);
    }
    template <class T>
    void as(Form form, T& part) {
        Form& own = *this;
        const Form outer = std::exchange(own, form);
        fill(part);
        own = outer;
    }

    // What is not valid cannot be written either: draw again.
    void require(bool condition) { valid_ = valid_ && condition; }
    bool valid() const { return valid_; }

private:
    std::size_t draw_size(std::size_t usual) {
        const bool is_long = random_.chance(1, 16);
        return random_.below((is_long ? 16 : 1) * usual + 1);
    }

    Bytes draw_bytes(std::size_t size) {
        std::string text;
        for (std::size_t i = 0; i < size; ++i) text += static_cast<char>(random_.below(256));
        return Bytes::copy_of(text);
    }

    template <class T>
    void fill_tagged(Tag<T>& known) {
        if (random_.chance(1, 2)) fill(known.value);
    }

    template <class T>
    void fill(T& value) {
        if constexpr (std::same_as<T, bool>) {
            value = random_.chance(1, 2);
        } else if constexpr (std::integral<T> || std::is_enum_v<T>) {
            const int shift =
                static_cast<int>(random_.below(64)); // Small numbers as often as large.
            const std::uint64_t bits = random_.next() >> shift;
            value = static_cast<T>(random_.chance(1, 4) ? ~bits : bits);
        } else if constexpr (detail::TaggedNumber<T>) {
            fill(value.value);
        } else if constexpr (std::same_as<T, Uuid>) {
            for (std::uint8_t& byte : value.bytes) byte = static_cast<std::uint8_t>(random_.next());
        } else if constexpr (std::same_as<T, std::string>) {
            value = draw_bytes(draw_size(10)).text();
        } else if constexpr (std::same_as<T, Bytes>) {
            value = draw_bytes(draw_size(100));
        } else if constexpr (std::same_as<T, BytesChain>) {
            value.resize(random_.below(4));
            for (Bytes& part : value) part = draw_bytes(draw_size(100));
        } else if constexpr (!std::is_void_v<detail::VectorOf<T>>) {
            value.resize(random_.below(4));
            for (auto& item : value) fill(item);
        } else if constexpr (!std::is_void_v<detail::OptionalOf<T>>) {
            if (random_.chance(1, 4)) {
                value.reset();
            } else {
                fill(value.emplace());
            }
        } else {
            describe(*this, value);
        }
    }

    Random& random_;
    bool valid_ = true;
};

// An arbitrary message, valid in this form.
template <class T>
T arbitrary(Random& random, Form form = {}) {
    while (true) {
        T message{};
        Arbitrary fill(random, form);
        fill(message);
        if (fill.valid()) return message;
    }
}

} // namespace pyralog::wire
