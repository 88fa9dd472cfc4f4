import CVectorLoops
import Core
import Glibc

/// Words of a text, for counting: runs of letters, digits and underscores, in small letters, of two characters or more.
/// Chinese, Japanese kana and Thai, which don't put spaces between words, give pairs of neighbouring characters (and a
/// character that stands alone).
struct TextTokens {
    /// Bytes of all tokens of the text at hand, eight zero bytes before the first; ends of the tokens.
    private var bytes: [UInt8] = []
    private var starts: [Int] = []
    private var run: [UInt32] = []

    /// Calls `body` with the UTF-8 of every token, and of every n-gram of up to `longest` neighbouring words.
    mutating func forEach(
        in text: ArraySlice<UInt8>, longest: Int, _ body: (UnsafeBufferPointer<UInt8>) -> Void
    ) {
        bytes.removeAll(keepingCapacity: true)
        starts.removeAll(keepingCapacity: true)
        text.withUnsafeBufferPointer { split($0) }
        starts.append(bytes.count)
        bytes.withUnsafeBufferPointer { all in
            for first in 0..<max(starts.count - 1, 0) {
                for last in first..<min(first + longest, starts.count - 1) {
                    // Tokens end in a space, which the last of an n-gram does without.
                    body(UnsafeBufferPointer(rebasing: all[starts[first]..<starts[last + 1] - 1]))
                }
            }
        }
    }

    private mutating func split(_ text: UnsafeBufferPointer<UInt8>) {
        var place = 0
        var start = bytes.count
        var characters = 0
        func isWordByte(_ byte: UInt8) -> Bool {
            (byte >= 0x61 && byte <= 0x7A) || (byte >= 0x30 && byte <= 0x39) || byte == 0x5F
        }
        func endWord(_ tokens: inout TextTokens) {
            if characters >= 2 {
                tokens.bytes.append(0x20)
                tokens.starts.append(start)
            } else {
                tokens.bytes.removeLast(tokens.bytes.count - start)
            }
            start = tokens.bytes.count
            characters = 0
        }
        while place < text.count {
            let byte = text[place]
            if byte < 0x80 {
                endRun()
                if run.isEmpty && characters == 0 { start = bytes.count }
                let small = byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
                if isWordByte(small) {
                    bytes.append(small)
                    characters += 1
                } else if characters > 0 {
                    endWord(&self)
                }
                place += 1
                continue
            }
            let length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2
            guard place + length <= text.count else { break }
            var value = UInt32(byte) & (length == 4 ? 0x07 : length == 3 ? 0x0F : 0x1F)
            for offset in 1..<length { value = value << 6 | UInt32(text[place + offset] & 0x3F) }
            place += length
            guard let scalar = Unicode.Scalar(value) else { continue }
            if TextTokens.isUnspaced(value) {
                if characters > 0 { endWord(&self) }
                run.append(value)
                continue
            }
            endRun()
            if characters == 0 { start = bytes.count }
            // Marks and joiners belong to the word that they stand in.
            let properties = scalar.properties
            if properties.isAlphabetic || properties.numericType != nil
                || (characters > 0 && properties.isGraphemeExtend)
            {
                bytes += properties.lowercaseMapping.utf8
                characters += 1
            } else if characters > 0 {
                endWord(&self)
            }
        }
        endRun()
        if characters > 0 { endWord(&self) }
    }

    /// Pairs out of a run of characters without spaces.
    private mutating func endRun() {
        guard !run.isEmpty else { return }
        for place in 0..<max(run.count - 1, 1) {
            starts.append(bytes.count)
            append(run[place])
            if place + 1 < run.count { append(run[place + 1]) }
            bytes.append(0x20)
        }
        run.removeAll(keepingCapacity: true)
    }

    private mutating func append(_ value: UInt32) {
        guard let scalar = Unicode.Scalar(value) else { return }
        bytes += UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter
    }

    /// Writing without spaces between words: Chinese characters, kana, Thai.
    private static func isUnspaced(_ value: UInt32) -> Bool {
        (0x3400...0x9FFF).contains(value) || (0x3041...0x30FF).contains(value) || (0xF900...0xFAFF).contains(value)
            || (0x20000...0x3FFFF).contains(value) || (0x0E01...0x0E5B).contains(value)
    }
}

/// Which words of texts have columns, and how they are weighed.
struct TextVocabulary: Sendable, Codable, Equatable {
    /// Words by column; empty when words are hashed.
    let words: [String]
    /// Number of buckets when words are hashed, else 0.
    let hashed: Int
    let weights: TextWeights
    let longestNgram: Int
    /// ln((1 + n) / (1 + texts with the word)) + 1 by column; empty for counts.
    let inverseFrequencies: [Double]

    init(
        _ column: Column, limit: Int, hashed: Int, weights: TextWeights, minimumTexts: Int, longestNgram: Int
    ) throws {
        guard (1...5).contains(longestNgram) else { throw ParameterError("ngrams", "must be from 1 to 5") }
        guard limit >= 1 else { throw ParameterError("vocabulary", "must be 1 or more") }
        guard hashed == 0 || (2...1 << 26).contains(hashed) else {
            throw ParameterError("hashed", "must be from 2 to 67108864")
        }
        guard let table = apus_identifiers_create() else {
            throw SystemError(operation: "count the words", object: column.name, reason: "out of memory")
        }
        defer { apus_identifiers_destroy(table) }
        let text = TextVocabulary.packed(column)
        var frequencies: [Int32] = []
        var lastText: [Int32] = []
        var tokens = TextTokens()
        for row in 0..<text.count {
            tokens.forEach(in: text.utf8(row), longest: longestNgram) { token in
                let number: Int
                if hashed > 0 {
                    number = Int(CategorySteps.hash(token) % UInt64(hashed))
                    if frequencies.isEmpty {
                        frequencies = [Int32](repeating: 0, count: hashed)
                        lastText = [Int32](repeating: -1, count: hashed)
                    }
                } else {
                    number = Int(apus_identifiers_add(table, token.baseAddress, Int64(token.count), 0))
                    guard number >= 0 else { return }
                    if number == frequencies.count {
                        frequencies.append(0)
                        lastText.append(-1)
                    }
                }
                if lastText[number] != Int32(row) {
                    lastText[number] = Int32(row)
                    frequencies[number] += 1
                }
            }
        }
        self.hashed = hashed
        self.weights = weights
        self.longestNgram = longestNgram
        var counts = frequencies
        if hashed > 0 {
            words = []
            if counts.isEmpty { counts = [Int32](repeating: 0, count: hashed) }
        } else {
            let (bytes, offsets) = (apus_identifiers_bytes(table)!, apus_identifiers_offsets(table)!)
            func word(_ number: Int) -> String {
                let start = Int(offsets[number])
                return String(
                    decoding: UnsafeBufferPointer(start: bytes + start, count: Int(offsets[number + 1]) - start),
                    as: UTF8.self)
            }
            let kept = frequencies.indices.filter { frequencies[$0] >= Int32(minimumTexts) }
                .map { (word: word($0), count: frequencies[$0]) }
                .sorted { ($1.count, $0.word) < ($0.count, $1.word) }.prefix(limit)
            guard !kept.isEmpty else {
                throw DataError("no word stands in \(minimumTexts) texts or more", column: column.name)
            }
            words = kept.map(\.word)
            counts = kept.map(\.count)
        }
        let total = Double(text.count)
        inverseFrequencies =
            weights == .tfidf ? counts.map { log((1 + total) / (1 + Double($0))) + 1 } : []
    }

    private static func packed(_ column: Column) -> PackedText {
        switch column.values {
        case .text(let text), .identifier(let text): text
        default: PackedText((0..<column.count).map { column.text($0) ?? "" })
        }
    }

    /// Names of the features.
    func names(_ column: String) -> [String] {
        hashed > 0 ? (0..<hashed).map { "\(column)#\($0)" } : words.map { "\(column):\($0)" }
    }

    /// Texts × words.
    func matrix(_ column: Column) -> HostSparseMatrix {
        let text = TextVocabulary.packed(column)
        let width = hashed > 0 ? hashed : words.count
        let lookup = IdentifierIndex(words)
        var pointers: [Int64] = [0]
        pointers.reserveCapacity(text.count + 1)
        var indices: [Int32] = []
        var values: [Float] = []
        var counts = [Float](repeating: 0, count: width)
        var touched: [Int32] = []
        var tokens = TextTokens()
        for row in 0..<text.count {
            touched.removeAll(keepingCapacity: true)
            tokens.forEach(in: text.utf8(row), longest: longestNgram) { token in
                let place =
                    hashed > 0
                    ? Int(CategorySteps.hash(token) % UInt64(hashed)) : lookup.index(of: token) ?? -1
                guard place >= 0 else { return }
                if counts[place] == 0 { touched.append(Int32(place)) }
                counts[place] += 1
            }
            touched.sort()
            var squares = 0.0
            let first = values.count
            for place in touched {
                var value = Double(counts[Int(place)])
                counts[Int(place)] = 0
                if weights == .binary { value = 1 }
                if weights == .tfidf { value *= inverseFrequencies[Int(place)] }
                squares += value * value
                indices.append(place)
                values.append(Float(value))
            }
            if weights == .tfidf, squares > 0 {
                let scale = Float(1 / squares.squareRoot())
                for place in first..<values.count { values[place] *= scale }
            }
            pointers.append(Int64(indices.count))
        }
        return HostSparseMatrix(
            rows: text.count, columns: width, rowPointers: HostBuffer(pointers), columnIndices: HostBuffer(indices),
            values: HostBuffer(values))
    }
}
