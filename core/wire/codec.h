// core/wire/codec.h
//
// Each message is described once, by describe(). A Reader, a Writer, a Sizer or a Printer walks the
// same description, so that what we write is what we read, and a field exists in one place only:
//
//     template <class Codec>
//     void describe(Codec& field, Topic& t) {
//         field(t.name, t.partitions);
//         if (field.version >= 7) field(t.leader_epoch);
//         field.tags();
//     }
//
// describe() is found in the namespace of the type, takes its message by reference that is not
// const, and changes nothing in it: only a Reader does. It may look at fields that it has named
// already, for they have been read by then.
//
// How the types are written (FORMATS.md has the bytes). Big endian, as all of Kafka. "Compact" is
// the second form, which a codec made with `flexible` uses:
//
//     bool, integers, enums, Tagged<>   fixed width; a bool is 0 or 1
//     varint(x), varlong(x)             zigzag; uvarint(x) without
//     std::string                       i16 length, at most 32767; compact: uvarint of length + 1
//     Bytes, BytesChain                 i32 length; compact: uvarint of length + 1
//     std::vector<T>                    i32 count; compact: uvarint of count + 1
//     std::optional of those four       length -1 for none; compact: 0
//     std::optional<T> of others        i8 -1 for none, or 1 and the value
//     Uuid                              16 bytes
//     a struct                          its fields, no more; tags() where it has a tag section
//
// Bytes that were read are slices of the frame, and keep its memory alive. Large Bytes that are
// written with encode_chain() become parts of the chain: neither way copies records.
//
// A Reader never throws, never reads past the end, and takes no memory on the word of a length:
// what it makes is in proportion to the bytes that are there. Its failure is sticky, what follows
// reads as zero or none, and complete() is asked once, at the end. A Writer can fail only by our
// mistake.
#pragma once

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/base/types.h"

#include <algorithm>
#include <array>
#include <concepts>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace pyralog::wire {

struct Uuid {
    std::array<std::uint8_t, 16> bytes{};
    constexpr auto operator<=>(const Uuid&) const = default;
    constexpr bool is_zero() const { return *this == Uuid(); }
};

// What a codec is made with. A description may ask for both, and changes neither.
struct Form {
    int version = 0;
    bool flexible = false;
};

// A field of a tag section. It is written only if `written` says so: by Kafka's rule, when it
// differs from its default.
template <class T>
struct Tag {
    std::uint32_t number;
    T& value;
    bool written;
};

template <class T>
Tag<T> tag(std::uint32_t number, T& value, bool written) {
    return {number, value, written};
}

constexpr std::size_t string_size_max = 32767;

namespace detail {

template <class T>
concept Number = std::integral<T> && !std::same_as<T, bool>;

template <class T>
concept TaggedNumber = requires(T t) {
    typename T::Value;
    requires std::integral<typename T::Value>;
    requires std::same_as<decltype(t.value), typename T::Value>;
};

template <class T>
struct Contents {
    using Optional = void; // What T is an optional of.
    using Vector = void;   // What T is a vector of.
};
template <class T>
struct Contents<std::optional<T>> {
    using Optional = T;
    using Vector = void;
};
template <class T>
struct Contents<std::vector<T>> {
    static_assert(!std::same_as<T, bool>);
    using Optional = void;
    using Vector = T;
};
template <class T>
using OptionalOf = typename Contents<T>::Optional;
template <class T>
using VectorOf = typename Contents<T>::Vector;

// What has a length in front of it, and so needs no other sign for none. A BytesChain is one run of
// bytes in parts, not an array.
template <class T>
concept HasLength =
    std::same_as<T, std::string> || std::same_as<T, Bytes> || !std::is_void_v<VectorOf<T>>;

constexpr std::size_t uvarint_size(std::uint64_t value) {
    std::size_t size = 1;
    while (value >>= 7) ++size;
    return size;
}
constexpr std::uint64_t zigzag(std::int64_t value) {
    return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}
constexpr std::int64_t unzigzag(std::uint64_t value) {
    return static_cast<std::int64_t>((value >> 1) ^ (~(value & 1) + 1));
}

// The one place where a message loses its const, on its way to a codec that does not change it.
template <class Codec, class T>
void describe_const(Codec& codec, const T& value) {
    describe(codec, const_cast<T&>(value));
}

} // namespace detail

template <class Codec>
void describe(Codec& field, Position& p) {
    field(p.index, p.offset);
}

template <class Codec>
void describe(Codec& field, Range& r) {
    field(r.first, r.end);
}

class Reader : public Form {
public:
    static constexpr bool reads = true;

    // An element may take one byte of the frame, and a hundred of memory: so there is a limit to
    // the elements of all arrays of a message together. A list of 100,000 partitions keeps within
    // it.
    static constexpr std::size_t elements_max = std::size_t(1) << 20;

    explicit Reader(Bytes frame, int version = 0, bool flexible = false)
        : Form{version, flexible}, frame_(std::move(frame)), end_(frame_.size()) {}

    template <class... Fields>
    void operator()(Fields&... fields) {
        (read(fields), ...);
    }

    void uvarint(std::uint32_t& value) { value = static_cast<std::uint32_t>(take_uvarint(32)); }
    void uvarint(std::uint64_t& value) { value = take_uvarint(64); }
    void varint(std::int32_t& value) {
        value = static_cast<std::int32_t>(detail::unzigzag(take_uvarint(32)));
    }
    void varlong(std::int64_t& value) { value = detail::unzigzag(take_uvarint(64)); }

    // The end of a struct that has, in its flexible form, a section of tagged fields. The known
    // ones are named in rising order; others are skipped.
    template <class... T>
    void tags(Tag<T>... known) {
        if (flexible) tag_section(known...);
    }
    template <class... T>
    void tag_section(Tag<T>... known);

    // A part in another version or form than what is around it.
    template <class T>
    void as(Form form, T& part) {
        const Form outer = std::exchange(form_of_this(), form);
        read(part);
        form_of_this() = outer;
    }

    // For what a description cannot say by types: what was read is refused.
    void require(bool condition) {
        if (!condition) fail();
    }

    bool ok() const { return !failed_; }
    bool complete() const { return !failed_ && at_ == frame_.size(); }
    // What has not been read, and the next bytes of it: for what has its length elsewhere.
    Bytes rest() const { return failed_ ? Bytes() : frame_.slice(at_, end_ - at_); }
    std::size_t remaining() const { return failed_ ? 0 : end_ - at_; }
    Bytes take(std::size_t size);

private:
    // A count may claim any number of elements; it is believed for this many, and the rest get
    // their memory as they turn out to be there.
    static constexpr std::size_t elements_believed_max = 64;

    Form& form_of_this() { return *this; }

    template <class T>
    void read(T& value);

    template <class Int>
    void read_integer(Int& value) {
        std::uint64_t bits = 0;
        if (sizeof(Int) > remaining()) {
            fail();
        } else {
            const std::byte* from = frame_.data() + at_;
            for (std::size_t i = 0; i < sizeof(Int); ++i) {
                bits = bits << 8 | std::to_integer<std::uint64_t>(from[i]);
            }
            at_ += sizeof(Int);
        }
        value = static_cast<Int>(bits);
    }

    void read_bool(bool& value);
    void read_uuid(Uuid& value);
    std::uint64_t take_uvarint(int bits);

    // A length or a count: of what takes a byte each at least, so never more than what remains.
    // Nothing stands for null.
    enum class Prefix { string, i32 };
    std::optional<std::size_t> take_length(Prefix prefix);

    void read_string(std::string& value, std::size_t size);

    template <class T>
    void read_elements(std::vector<T>& items, std::size_t count) {
        items.clear();
        if (count > elements_left_) return fail();
        elements_left_ -= count;
        items.reserve(std::min(count, elements_believed_max));
        for (std::size_t i = 0; i < count && !failed_; ++i) read(items.emplace_back());
    }

    // The inside of what has a length. False: it was null.
    template <class T>
    bool read_sized(T& value) {
        const std::optional<std::size_t> length =
            take_length(std::same_as<T, std::string> ? Prefix::string : Prefix::i32);
        if (!length) return false;
        if constexpr (std::same_as<T, std::string>) {
            read_string(value, *length);
        } else if constexpr (std::same_as<T, Bytes>) {
            value = take(*length);
        } else if constexpr (std::same_as<T, BytesChain>) {
            value.clear();
            if (*length > 0) value.push_back(take(*length));
        } else {
            read_elements(value, *length);
        }
        return true;
    }

    // One tagged field: `size` bytes that the known one, if it is among these, must fill.
    template <class T>
    void read_tagged(std::uint32_t number, std::size_t size, Tag<T>& known) {
        if (known.number != number || failed_) return;
        const std::size_t outer = std::exchange(end_, at_ + size);
        read(known.value);
        if (at_ != end_) fail();
        end_ = outer;
    }

    void fail() { failed_ = true; }

    Bytes frame_;
    std::size_t at_ = 0;
    std::size_t end_ = 0; // Of what may be read now: inside a tagged field, of that.
    std::size_t elements_left_ = elements_max;
    bool failed_ = false;
};

template <class T>
void Reader::read(T& value) {
    if constexpr (std::same_as<T, bool>) {
        read_bool(value);
    } else if constexpr (detail::Number<T> || std::is_enum_v<T>) {
        read_integer(value);
    } else if constexpr (detail::TaggedNumber<T>) {
        read_integer(value.value);
    } else if constexpr (std::same_as<T, Uuid>) {
        read_uuid(value);
    } else if constexpr (detail::HasLength<T>) {
        if (!read_sized(value)) fail();
    } else if constexpr (detail::HasLength<detail::OptionalOf<T>>) {
        if (!read_sized(value.emplace())) value.reset();
    } else if constexpr (!std::is_void_v<detail::OptionalOf<T>>) {
        std::int8_t sign = 0;
        read_integer(sign);
        require(sign == 1 || sign == -1);
        if (ok() && sign == 1) {
            read(value.emplace());
        } else {
            value.reset();
        }
    } else {
        describe(*this, value);
    }
}

template <class... T>
void Reader::tag_section(Tag<T>... known) {
    std::uint32_t count = 0;
    uvarint(count);
    if (count > remaining() / 2) fail(); // Each has a number and a size.
    std::int64_t previous = -1;
    for (std::uint32_t i = 0; i < count && !failed_; ++i) {
        std::uint32_t number = 0;
        std::uint32_t size = 0;
        uvarint(number);
        uvarint(size);
        if (number <= previous || size > remaining()) return fail();
        previous = number;
        const std::size_t end = at_ + size;
        (read_tagged(number, size, known), ...);
        at_ = end;
    }
}

// Writes for a Writer, counts for a Sizer: the Sink makes the difference.
template <class Sink>
class Encoder : public Form {
public:
    static constexpr bool reads = false;

    explicit Encoder(int version = 0, bool flexible = false, Sink sink = Sink())
        : Form{version, flexible}, sink_(std::move(sink)) {}

    template <class... Fields>
    void operator()(const Fields&... fields) {
        (write(fields), ...);
    }

    void uvarint(std::uint64_t value) {
        std::array<std::uint8_t, 10> encoded;
        std::size_t size = 0;
        for (; value >= 0x80; value >>= 7) {
            encoded[size++] = static_cast<std::uint8_t>(value | 0x80);
        }
        encoded[size++] = static_cast<std::uint8_t>(value);
        sink_.put(encoded.data(), size);
    }
    void varint(std::int32_t value) { uvarint(detail::zigzag(value)); }
    void varlong(std::int64_t value) { uvarint(detail::zigzag(value)); }

    template <class... T>
    void tags(Tag<T>... known) {
        if (flexible) tag_section(known...);
    }
    template <class... T>
    void tag_section(Tag<T>... known) {
        uvarint((std::uint64_t(known.written) + ... + 0));
        [[maybe_unused]] std::int64_t previous = -1;
        (write_tagged(known, previous), ...);
    }

    template <class T>
    void as(Form form, const T& part) {
        Form& own = *this;
        const Form outer = std::exchange(own, form);
        write(part);
        own = outer;
    }

    void require(bool condition) { CHECK(condition); }

    Sink& sink() { return sink_; }

private:
    template <class T>
    void write(const T& value);

    template <class Int>
    void write_integer(Int value) {
        using Bits = std::make_unsigned_t<Int>;
        std::array<std::uint8_t, sizeof(Int)> encoded;
        auto bits = static_cast<Bits>(value);
        for (std::size_t i = sizeof(Int); i-- > 0;) {
            encoded[i] = static_cast<std::uint8_t>(bits);
            if constexpr (sizeof(Int) > 1) bits = static_cast<Bits>(bits >> 8);
        }
        sink_.put(encoded.data(), encoded.size());
    }

    template <class Narrow>
    void write_length(std::size_t length) {
        CHECK(std::in_range<Narrow>(length));
        if (flexible) {
            uvarint(std::uint64_t(length) + 1);
        } else {
            write_integer(static_cast<Narrow>(length));
        }
    }

    void write_null(bool is_string) {
        if (flexible) {
            uvarint(0);
        } else if (is_string) {
            write_integer(std::int16_t(-1));
        } else {
            write_integer(std::int32_t(-1));
        }
    }

    template <class T>
    void write_sized(const T& value) {
        if constexpr (std::same_as<T, std::string>) {
            write_length<std::int16_t>(value.size());
            sink_.put(value.data(), value.size());
        } else if constexpr (std::same_as<T, Bytes>) {
            write_length<std::int32_t>(value.size());
            sink_.put(value);
        } else if constexpr (std::same_as<T, BytesChain>) {
            write_length<std::int32_t>(size_of(value));
            for (const Bytes& part : value) sink_.put(part);
        } else {
            write_length<std::int32_t>(value.size());
            for (const auto& item : value) write(item);
        }
    }

    template <class T>
    void write_tagged(const Tag<T>& known, std::int64_t& previous);

    Sink sink_;
};

template <class Sink>
template <class T>
void Encoder<Sink>::write(const T& value) {
    if constexpr (std::same_as<T, bool>) {
        write_integer(static_cast<std::uint8_t>(value ? 1 : 0));
    } else if constexpr (detail::Number<T>) {
        write_integer(value);
    } else if constexpr (std::is_enum_v<T>) {
        write_integer(static_cast<std::underlying_type_t<T>>(value));
    } else if constexpr (detail::TaggedNumber<T>) {
        write_integer(value.value);
    } else if constexpr (std::same_as<T, Uuid>) {
        sink_.put(value.bytes.data(), value.bytes.size());
    } else if constexpr (detail::HasLength<T>) {
        write_sized(value);
    } else if constexpr (detail::HasLength<detail::OptionalOf<T>>) {
        if (value) {
            write_sized(*value);
        } else {
            write_null(std::same_as<detail::OptionalOf<T>, std::string>);
        }
    } else if constexpr (!std::is_void_v<detail::OptionalOf<T>>) {
        write_integer(std::int8_t(value ? 1 : -1));
        if (value) write(*value);
    } else {
        detail::describe_const(*this, value);
    }
}

// Bytes of at least this size are shared with the chain, smaller ones are cheaper to copy.
constexpr std::size_t shared_size_min = 512;

// Counts. `copied` leaves out what a Writer with the same limit shares.
class SizeSink {
public:
    explicit SizeSink(std::size_t shared_from = SIZE_MAX) : shared_from_(shared_from) {}
    void put(const void*, std::size_t size) {
        size_ += size;
        copied_ += size;
    }
    void put(const Bytes& bytes) {
        size_ += bytes.size();
        if (bytes.size() < shared_from_) copied_ += bytes.size();
    }
    std::size_t size() const { return size_; }
    std::size_t copied() const { return copied_; }

private:
    std::size_t shared_from_;
    std::size_t size_ = 0;
    std::size_t copied_ = 0;
};
using Sizer = Encoder<SizeSink>;

// Writes all that is copied into one buffer, whose size a Sizer has found out, and remembers where
// the shared parts go.
class MemorySink {
public:
    explicit MemorySink(std::size_t copied, std::size_t shared_from = SIZE_MAX)
        : buffer_(copied), shared_from_(shared_from) {}
    void put(const void* data, std::size_t size) {
        CHECK(size <= buffer_.size() - at_);
        if (size > 0) std::memcpy(buffer_.data() + at_, data, size);
        at_ += size;
    }
    void put(const Bytes& bytes) {
        if (bytes.size() < shared_from_) return put(bytes.data(), bytes.size());
        shared_.push_back({at_, bytes});
    }
    BytesChain finish() &&;

private:
    struct Shared {
        std::size_t at;
        Bytes bytes;
    };
    Buffer buffer_;
    std::size_t at_ = 0;
    std::size_t shared_from_;
    std::vector<Shared> shared_;
};
using Writer = Encoder<MemorySink>;

template <class Sink>
template <class T>
void Encoder<Sink>::write_tagged(const Tag<T>& known, std::int64_t& previous) {
    CHECK(known.number > previous);
    previous = known.number;
    if (!known.written) return;
    Sizer sizer(version, flexible);
    sizer(known.value);
    uvarint(known.number);
    uvarint(sizer.sink().size());
    write(known.value);
}

// One line for people: values in their order, structs in braces, arrays in brackets, bytes by their
// number. Bounded: long strings and arrays are cut, and so is the whole.
class Printer : public Form {
public:
    static constexpr bool reads = false;
    static constexpr std::size_t text_size_max = 1024;
    static constexpr std::size_t string_shown_max = 64;
    static constexpr std::size_t elements_shown_max = 16;

    explicit Printer(int version = 0, bool flexible = false) : Form{version, flexible} {}

    template <class... Fields>
    void operator()(const Fields&... fields) {
        (print(fields), ...);
    }

    void uvarint(std::uint64_t value) { print_unsigned(value); }
    void varint(std::int32_t value) { print_signed(value); }
    void varlong(std::int64_t value) { print_signed(value); }

    template <class... T>
    void tags(Tag<T>... known) {
        if (flexible) tag_section(known...);
    }
    template <class... T>
    void tag_section(Tag<T>... known) {
        (print_tagged(known), ...);
    }
    template <class T>
    void as(Form form, const T& part) {
        Form& own = *this;
        const Form outer = std::exchange(own, form);
        print(part);
        own = outer;
    }
    void require(bool) {}

    std::string text() &&;

private:
    bool full() const { return text_.size() >= text_size_max; }
    void word(std::string_view text); // With a space before it, unless it begins something.
    void open(char bracket);
    void close(char bracket) { text_ += bracket; }
    void print_signed(std::int64_t value);
    void print_unsigned(std::uint64_t value);
    void print_string(std::string_view value);
    void print_size(std::size_t bytes);
    void print_uuid(const Uuid& value);
    void print_count_left_out(std::size_t count);

    template <class T>
    void print_tagged(const Tag<T>& known) {
        if (!known.written) return;
        word("#" + std::to_string(known.number) + "=");
        print(known.value);
    }

    template <class T>
    void print(const T& value) {
        if (full()) return;
        if constexpr (std::same_as<T, bool>) {
            word(value ? "true" : "false");
        } else if constexpr (std::is_enum_v<T>) {
            print_signed(static_cast<std::int64_t>(value));
        } else if constexpr (std::unsigned_integral<T>) {
            print_unsigned(value);
        } else if constexpr (std::signed_integral<T>) {
            print_signed(value);
        } else if constexpr (detail::TaggedNumber<T>) {
            print(value.value);
        } else if constexpr (std::same_as<T, Uuid>) {
            print_uuid(value);
        } else if constexpr (std::same_as<T, std::string>) {
            print_string(value);
        } else if constexpr (std::same_as<T, Bytes>) {
            print_size(value.size());
        } else if constexpr (std::same_as<T, BytesChain>) {
            print_size(size_of(value));
        } else if constexpr (!std::is_void_v<detail::VectorOf<T>>) {
            open('[');
            const std::size_t shown = std::min(value.size(), elements_shown_max);
            for (std::size_t i = 0; i < shown; ++i) print(value[i]);
            if (shown < value.size()) print_count_left_out(value.size() - shown);
            close(']');
        } else if constexpr (!std::is_void_v<detail::OptionalOf<T>>) {
            if (value) {
                print(*value);
            } else {
                word("none");
            }
        } else {
            open('{');
            detail::describe_const(*this, value);
            close('}');
        }
    }

    std::string text_;
};

// The message in parts to be written together, the large Bytes in it shared and not copied.
template <class T>
BytesChain encode_chain(const T& message, int version = 0, bool flexible = false) {
    Sizer sizer(version, flexible, SizeSink(shared_size_min));
    sizer(message);
    Writer writer(version, flexible, MemorySink(sizer.sink().copied(), shared_size_min));
    writer(message);
    return std::move(writer.sink()).finish();
}

// The message in one piece.
template <class T>
Bytes encode(const T& message, int version = 0, bool flexible = false) {
    Sizer sizer(version, flexible);
    sizer(message);
    Writer writer(version, flexible, MemorySink(sizer.sink().copied()));
    writer(message);
    return joined(std::move(writer.sink()).finish());
}

template <class T>
std::size_t encoded_size(const T& message, int version = 0, bool flexible = false) {
    Sizer sizer(version, flexible);
    sizer(message);
    return sizer.sink().size();
}

// The message that these bytes are, all of them; else Error::malformed.
template <class T>
Result<T> decode(Bytes bytes, int version = 0, bool flexible = false) {
    Reader reader(std::move(bytes), version, flexible);
    T message{};
    reader(message);
    if (!reader.complete()) return Error::malformed;
    return message;
}

template <class T>
std::string to_text(const T& message, int version = 0, bool flexible = false) {
    Printer printer(version, flexible);
    printer(message);
    return std::move(printer).text();
}

} // namespace pyralog::wire
