// A batch of a producer. With the first byte odd, length, magic and checksum are set right first.
#include "core/wire/record_batch.h"

#include "core/base/crc32c.h"
#include "core/wire/fixed.h"
#include "fuzz/frames.h"
#include "fuzz/target.h"

#include <variant>

namespace pyralog::fuzz {

namespace {

using wire::BatchHeader;
using wire::RecordBatch;

void mend_batch(Image& batch) {
    if (batch.size() < BatchHeader::size) return;
    constexpr std::size_t length_at = 8, magic_at = 16, crc_at = 17;
    const std::span<std::byte> bytes(batch);
    wire::FixedWriter(bytes.subspan(length_at))
        .put(static_cast<std::int32_t>(batch.size() - BatchHeader::uncounted_size));
    batch[magic_at] = static_cast<std::byte>(BatchHeader::magic_now);
    wire::FixedWriter(bytes.subspan(crc_at)).put(crc32c(bytes.subspan(BatchHeader::summed_from)));
}

// As far as it can be read without its compression being undone.
bool all_records_read(const RecordBatch& batch) {
    const auto records = records_of(batch);
    if (records.ok()) {
        CHECK(records.value().size() == static_cast<std::size_t>(batch.records()));
        CHECK(!records.value().empty());
        CHECK(records.value().front().offset >= batch.first());
        CHECK(records.value().back().offset < batch.end());
    }
    return records.ok();
}

// The leader's stamp changes where a batch lies and nothing else.
void check_stamped(const RecordBatch& batch) {
    const Bytes stamped = joined(batch.stamped(Offset(1234), Term(5)));
    CHECK(stamped.size() == batch.size());
    const auto parsed = RecordBatch::parse(stamped);
    const auto* again = std::get_if<RecordBatch>(&parsed);
    CHECK(again != nullptr && again->first() == Offset(1234));
    CHECK(again->header().leader_epoch == Term(5) && again->records() == batch.records());
    CHECK(again->bytes()
              .slice(BatchHeader::summed_from, batch.size() - BatchHeader::summed_from)
              .text() ==
          batch.bytes()
              .slice(BatchHeader::summed_from, batch.size() - BatchHeader::summed_from)
              .text());
}

// Two of them in a row, and the beginning of a third, as a fetch returns them.
void check_in_a_row(const RecordBatch& batch, std::size_t cut) {
    Bytes rest = joined({batch.bytes(), batch.bytes(), batch.bytes().slice(0, cut % batch.size())});
    for (int i = 0; i < 2; ++i) {
        const auto taken = RecordBatch::take_first(rest);
        const auto* first = std::get_if<RecordBatch>(&taken);
        CHECK(first != nullptr && first->bytes().text() == batch.bytes().text());
    }
    const std::size_t left = rest.size();
    CHECK(std::holds_alternative<wire::BatchFlaw>(RecordBatch::take_first(rest)));
    CHECK(rest.size() == left);
}

} // namespace

bool run_record_batch(std::span<const std::byte> bytes) {
    Input input(bytes);
    const std::uint8_t how = input.byte();
    const auto cut = static_cast<std::size_t>(input.byte());
    const Bytes given = input.all();
    Image image(given.view().begin(), given.view().end());
    if (how % 2 == 1) mend_batch(image);
    const auto parsed = RecordBatch::parse(bytes_of(image));
    const auto* batch = std::get_if<RecordBatch>(&parsed);
    if (batch == nullptr) return false;
    CHECK(batch->size() == image.size() && batch->records() > 0);
    CHECK(batch->end() > batch->first());
    const bool plain = batch->header().compression() == wire::Compression::none;
    const bool readable = all_records_read(*batch);
    if (plain) CHECK(batch->records_are_sound() == readable);
    check_stamped(*batch);
    check_in_a_row(*batch, cut);
    return !plain || readable;
}

} // namespace pyralog::fuzz
