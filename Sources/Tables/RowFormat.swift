import CVectorLoops
import Core

/// The layout and the options in the form that the parsing loops take, and the memory it points to.
final class RowFormat {
    let pointer: UnsafeMutablePointer<apus_row_format>
    private var texts: [UnsafeMutableBufferPointer<UInt8>] = []
    private var events: UnsafeMutableBufferPointer<apus_event_weight>

    init(_ layout: TableLayout, _ options: InteractionOptions) {
        pointer = .allocate(capacity: 1)
        pointer.initialize(to: apus_row_format())
        let kinds = options.eventWeights.filter { $0.key != "*" }.sorted { $0.key < $1.key }
        events = .allocate(capacity: max(kinds.count, 1))
        for (place, kind) in kinds.enumerated() {
            let name = keep(Array(kind.key.utf8))
            events[place] = apus_event_weight(name: name.baseAddress, length: Int64(name.count), weight: kind.value)
        }
        let delimiter = keep(layout.delimiter)
        pointer.pointee.delimiter = UnsafePointer(delimiter.baseAddress)
        pointer.pointee.delimiter_length = Int32(delimiter.count)
        pointer.pointee.quoting = layout.quoting ? 1 : 0
        pointer.pointee.field_count = Int32(layout.columnNames.count)
        pointer.pointee.json = layout.json ? 1 : 0
        pointer.pointee.calendar_times = layout.calendarTimes ? 1 : 0
        pointer.pointee.has_minimum = options.minimumValue == nil ? 0 : 1
        pointer.pointee.minimum_value = options.minimumValue ?? 0
        pointer.pointee.events = UnsafePointer(events.baseAddress)
        pointer.pointee.event_count = Int32(kinds.count)
        pointer.pointee.has_other_weight = options.eventWeights["*"] == nil ? 0 : 1
        pointer.pointee.other_weight = options.eventWeights["*"] ?? 0
        pointer.pointee.skip_bad_rows = options.onBadRow == .skip ? 1 : 0
        let columns = Role.allCases.map { Int32(layout.columns[$0] ?? -1) }
        pointer.pointee.role_field = (columns[0], columns[1], columns[2], columns[3], columns[4])
        if layout.json {
            let keys = Role.allCases.map { layout.columnName($0).map { keep(Array($0.utf8)) } }
            let addresses = keys.map { $0.map { UnsafePointer($0.baseAddress!) } }
            let lengths = keys.map { Int64($0?.count ?? 0) }
            pointer.pointee.role_key = (addresses[0], addresses[1], addresses[2], addresses[3], addresses[4])
            pointer.pointee.role_key_length = (lengths[0], lengths[1], lengths[2], lengths[3], lengths[4])
        }
    }

    private func keep(_ bytes: [UInt8]) -> UnsafeMutableBufferPointer<UInt8> {
        let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: max(bytes.count, 1))
        _ = copy.update(fromContentsOf: bytes)
        texts.append(copy)
        return UnsafeMutableBufferPointer(rebasing: copy[..<bytes.count])
    }

    deinit {
        pointer.deallocate()
        events.deallocate()
        for text in texts { text.deallocate() }
    }
}

/// Words for what is wrong with a row.
struct RowProblem {
    let layout: TableLayout
    let path: String

    func describe(_ bad: apus_bad_row, in block: TextBlock) -> (column: String?, reason: String) {
        let role = Role(rawValue: Int(bad.role))
        let column = role.flatMap { layout.columnName($0) }
        let field = shown(bad, in: block)
        switch Int(bad.code) {
        case Int(APUS_ROW_RAGGED):
            let expected = layout.hasHeader ? "the header has" : "the columns named are"
            return (
                nil,
                "the row has \(bad.count) field\(bad.count == 1 ? "" : "s"), \(expected) \(layout.columnNames.count)"
            )
        case Int(APUS_ROW_EMPTY_FIELD):
            return (column, "the \(role?.name ?? "field") is empty")
        case Int(APUS_ROW_NOT_A_NUMBER):
            let header = !layout.hasHeader && block.number == 0 && bad.record_offset == 0
            let hint = header ? "; if the first line is a header, do not name the columns in their order" : ""
            return (column, "'\(field)' is not a number\(hint)")
        case Int(APUS_ROW_NOT_FINITE):
            return (column, "'\(field)' is not a finite number")
        case Int(APUS_ROW_NOT_A_TIME):
            return (
                column,
                layout.calendarTimes
                    ? "'\(field)' is not a date of the form yyyyMMdd, as the first rows have"
                    : "'\(field)' is not a time; known are seconds, milliseconds or microseconds since 1970, yyyy-MM-dd, yyyy-MM-dd HH:mm:ss, ISO 8601 and yyyyMMdd"
            )
        case Int(APUS_ROW_UNKNOWN_EVENT):
            return (column, "the event '\(field)' has no weight; give it one, or one to all others as *")
        case Int(APUS_ROW_TEXT_AFTER_QUOTE):
            return (nil, "there is text between a closing quote and the next separator")
        case Int(APUS_ROW_OPEN_QUOTE):
            return (nil, "the quote that opens here is not closed")
        case Int(APUS_ROW_NOT_JSON):
            return (nil, "the line is not a JSON object")
        case Int(APUS_ROW_MISSING_KEY):
            return (column, "the object has no member '\(column ?? "")'")
        case Int(APUS_ROW_WRONG_TYPE):
            return (column, "'\(field)' is neither text nor a number")
        case Int(APUS_TOO_MANY_IDENTIFIERS):
            return (column, "there are more than 2^31 - 1 \(role?.name ?? "identifier")s")
        default:
            return (column, "the row can't be read")
        }
    }

    private func shown(_ bad: apus_bad_row, in block: TextBlock) -> String {
        guard bad.field_offset >= 0 else { return "" }
        let start = Int(bad.field_offset) + block.start
        let end = min(start + min(Int(bad.field_length), 60), block.count)
        guard start < end else { return "" }
        let text = String(decoding: UnsafeBufferPointer(start: block.text + start, count: end - start), as: UTF8.self)
        return bad.field_length > 60 ? text + "…" : text
    }
}
