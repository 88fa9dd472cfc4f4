import CVectorLoops
import Core

/// How the records of a table look, and which types its columns have: from the first bytes and the options.
struct TableTextLayout {
    var json = false
    var delimiter: [UInt8] = []
    var quoting = false
    var headerLength = 0
    /// Names of all columns of the file (of the keys of its first objects).
    var names: [String] = []
    var types: [InferredType] = []
    /// Whether a column is read.
    var kept: [Bool] = []
    var remarks: [String] = []
    /// Bytes of memory for each byte of text, by the first records, while the columns are put together.
    var memoryPerTextByte = 4.0

    init(sample: UnsafeBufferPointer<UInt8>, complete: Bool, path: String, options: TableReadOptions) throws {
        json = TableLayout.isJSON(sample, path: path) && options.delimiter == nil && options.headerlessColumns == nil
        var columns: [[String]]
        if json {
            (names, columns) = try TableTextLayout.members(sample, path: path, limit: options.sampledRecords)
        } else {
            delimiter = options.delimiter.map { Array($0.utf8) } ?? TableLayout.detectDelimiter(sample)
            quoting = options.quoting ?? (delimiter != [0x09] && delimiter.count == 1)
            columns = try readNames(sample, complete: complete, path: path, options: options)
        }
        try choose(options, path: path)
        let inference = TypeInference(missingMarkers: options.missingMarkers)
        for (place, name) in names.enumerated() {
            let values = columns[place]
            if let type = options.types[name] {
                types.append(InferredType(type: type, dateForm: type == .date ? inference.dateForm(values) : 0))
                continue
            }
            let inferred = inference.infer(name, values)
            types.append(inferred)
            if !kept[place] || inferred.type == .date || inferred.type.isNumeric { continue }
            let present = values.filter { !inference.isMissing($0) }
            if TypeInference.isAmbiguousDate(present) {
                remarks.append(
                    "column '\(name)' has dates such as '\(present[0])', in which day and month can't be told apart: read as \(inferred.type.rawValue)"
                )
            }
        }
        measure(columns)
    }

    private mutating func measure(_ columns: [[String]]) {
        var (text, memory) = (0.0, 0.0)
        for (place, values) in columns.enumerated() where !values.isEmpty {
            let length = Double(values.reduce(0) { $0 + $1.utf8.count }) / Double(values.count)
            text += length + 1
            guard kept[place] else { continue }
            switch types[place].type {
            case .boolean: memory += 1
            case .category: memory += 4
            case .text, .identifier: memory += 8 + length
            case .number, .integer, .date: memory += 8
            }
        }
        // Blocks are freed column by column as they are joined.
        if text > 0 { memoryPerTextByte = 1.4 * memory / text }
    }

    private mutating func readNames(
        _ sample: UnsafeBufferPointer<UInt8>, complete: Bool, path: String, options: TableReadOptions
    ) throws -> [[String]] {
        let splitter = RecordSplitter(delimiter: delimiter, quoting: quoting)
        var records = splitter.records(in: sample, limit: options.sampledRecords + 1)
        guard let first = records.first else { throw DataError("there are no rows", file: path) }
        if let given = options.headerlessColumns {
            guard first.count == given.count else {
                throw DataError(
                    "the row has \(first.count) fields, but \(given.count) columns are named; name every column, with - for one to leave out",
                    file: path, line: splitter.firstLine(of: sample))
            }
            names = given.enumerated().map { $1 == "-" || $1 == "_" ? "column_\($0 + 1)" : $1 }
            kept = given.map { $0 != "-" && $0 != "_" }
        } else if options.header {
            let (_, length) = splitter.record(in: sample, from: 0)
            if !complete && length >= sample.count {
                throw DataError(
                    "the header is longer than \(sample.count) bytes; is this a table?", file: path, line: 1)
            }
            headerLength = length
            names = first
            records.removeFirst()
        } else {
            names = first.indices.map { "column_\($0 + 1)" }
        }
        try nameAll(path: path)
        return names.indices.map { column in records.compactMap { column < $0.count ? $0[column] : nil } }
    }

    /// Columns without a name get one, and of equal names the later ones a number.
    private mutating func nameAll(path: String) throws {
        var seen: Set<String> = []
        for place in names.indices {
            var name = names[place]
            if name.isEmpty {
                name = "column_\(place + 1)"
                remarks.append("column \(place + 1) has no name: called '\(name)'")
            }
            var number = 2
            let original = name
            while !seen.insert(name).inserted {
                name = "\(original)_\(number)"
                number += 1
            }
            if name != original { remarks.append("two columns are named '\(original)': the later is called '\(name)'") }
            names[place] = name
        }
    }

    private mutating func choose(_ options: TableReadOptions, path: String) throws {
        if kept.isEmpty { kept = names.map { _ in true } }
        let known = Set(names)
        let asked = options.types.keys.sorted() + options.dropped + (options.selected ?? [])
        if let unknown = asked.first(where: { !known.contains($0) }) {
            throw DataError("there is no column '\(unknown)'; the columns are \(Table.listed(names))", file: path)
        }
        let dropped = Set(options.dropped)
        let selected = options.selected.map { Set($0) }
        for (place, name) in names.enumerated() where dropped.contains(name) || selected?.contains(name) == false {
            kept[place] = false
        }
        if !kept.contains(true) { throw DataError("no column is left to be read", file: path) }
    }

    /// Keys of the first objects, in order of first appearance, and their values.
    private static func members(
        _ sample: UnsafeBufferPointer<UInt8>, path: String, limit: Int
    ) throws -> ([String], [[String]]) {
        guard let objects = JSONKeys.objects(in: sample, limit: limit), !objects.isEmpty else {
            throw DataError("the first line is not a JSON object", file: path, line: 1)
        }
        var names: [String] = []
        var places: [String: Int] = [:]
        var values: [[String]] = []
        for object in objects {
            for member in object {
                let place: Int
                if let known = places[member.key] {
                    place = known
                } else {
                    place = names.count
                    places[member.key] = place
                    names.append(member.key)
                    values.append([])
                }
                values[place].append(member.value)
            }
        }
        guard !names.isEmpty else { throw DataError("the first objects have no members", file: path, line: 1) }
        return (names, values)
    }
}
