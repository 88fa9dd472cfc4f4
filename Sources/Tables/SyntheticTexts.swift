/// Rows as text, in buffers that are used again: one for each group of users that is made at the same time.
final class SyntheticTexts: @unchecked Sendable {
    private struct Slot {
        var text: [UInt8] = []
        var rows: [SyntheticRow] = []
        var scratch = SyntheticShop.Scratch()
        var rowCount = 0
    }

    /// Each slot is touched by one thread at a time.
    private let slots: UnsafeMutableBufferPointer<Slot>

    init(count: Int) {
        slots = .allocate(capacity: count)
        slots.initialize(repeating: Slot())
    }

    deinit {
        slots.deinitialize()
        slots.deallocate()
    }

    func rowCount(_ slot: Int) -> Int { slots[slot].rowCount }

    func withText(_ slot: Int, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        try slots[slot].text.withUnsafeBytes(body)
    }

    /// Makes the rows of `users` and their text.
    func fill(_ slot: Int, _ shop: SyntheticShop, users: Range<Int>) {
        var state = Slot()
        swap(&state, &slots[slot])
        state.text.removeAll(keepingCapacity: true)
        state.rowCount = 0
        let names = ["", "view", "cart", "purchase"].map { Array($0.utf8) }
        for user in users {
            state.rows.removeAll(keepingCapacity: true)
            shop.rows(ofUser: user, into: &state.rows, &state.scratch)
            state.rowCount += state.rows.count
            for row in state.rows {
                Self.append(user + 1, to: &state.text)
                state.text.append(UInt8(ascii: ","))
                Self.append(Int(row.item) + 1, to: &state.text)
                state.text.append(UInt8(ascii: ","))
                if shop.options.values == .ratings {
                    state.text.append(0x30 + UInt8(row.value))
                } else {
                    state.text.append(contentsOf: names[Int(row.value)])
                }
                state.text.append(UInt8(ascii: ","))
                Self.append(Int(row.time), to: &state.text)
                state.text.append(UInt8(ascii: "\n"))
            }
        }
        swap(&state, &slots[slot])
    }

    private static func append(_ value: Int, to text: inout [UInt8]) {
        if value < 0 { text.append(UInt8(ascii: "-")) }
        var digits: (UInt64, UInt64, UInt64) = (0, 0, 0)
        withUnsafeMutableBytes(of: &digits) { digits in
            var rest = value.magnitude
            var place = 24
            repeat {
                place -= 1
                digits[place] = 0x30 + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while rest > 0
            text.append(contentsOf: UnsafeRawBufferPointer(rebasing: digits[place..<24]))
        }
    }
}
