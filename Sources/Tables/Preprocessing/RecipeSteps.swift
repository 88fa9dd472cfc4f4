import Core

/// The columns that a step works on: named ones, or all of a kind.
public enum ColumnSelection: Sendable, Equatable, Codable {
    case named([String])
    /// Numbers, integers and Booleans.
    case numbers
    case categories
    case dates
    case texts
    case all

    private static let words: [(String, ColumnSelection)] = [
        ("numbers", .numbers), ("categories", .categories), ("dates", .dates), ("texts", .texts), ("all", .all),
    ]

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let names = try? container.decode([String].self) {
            self = .named(names)
            return
        }
        let word = try container.decode(String.self)
        self = ColumnSelection.words.first { $0.0 == word }?.1 ?? .named([word])
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if case .named(let names) = self {
            try container.encode(names)
        } else {
            try container.encode(ColumnSelection.words.first { $0.1 == self }?.0 ?? "all")
        }
    }
}

/// What is put in the place of missing values.
public enum ImputeRule: String, Sendable, Codable, CaseIterable {
    /// The mean of the training rows.
    case mean
    /// The median of the training rows.
    case median
    /// The most frequent value of the training rows; the smallest or, of categories, the first among equals.
    case mode
    /// A value that is given.
    case constant
}

/// How numbers are brought to one scale.
public enum ScaleRule: String, Sendable, Codable, CaseIterable {
    /// To mean 0 and (population) standard deviation 1.
    case standard
    /// To 0 … 1; values outside of the training range lie outside.
    case minMax = "min-max"
    /// To median 0 and a distance of 1 between the quartiles.
    case robust
}

/// How the edges of bins are found.
public enum BinRule: String, Sendable, Codable, CaseIterable {
    /// About as many training rows in each.
    case quantile
    /// Equally wide between the training rows' minimum and maximum.
    case width
}

/// A feature of a date.
public enum DatePart: String, Sendable, Codable, CaseIterable {
    case year, quarter, month, day, weekday, hour
    case dayOfYear = "day-of-year"
    /// 0 or 1: Saturday or Sunday.
    case weekend
    /// Days since 1970, with fractions.
    case days
    /// Sine and cosine of the day in the year, so that December lies beside January; two features.
    case season
}

/// What stands in a column of a word.
public enum TextWeights: String, Sendable, Codable, CaseIterable {
    /// Frequency in the text times ln((1 + n) / (1 + texts with the word)) + 1, rows scaled to length 1.
    case tfidf = "tf-idf"
    /// How often it comes.
    case counts
    /// Whether it comes.
    case binary
}

/// One step of a recipe. What each does with categories that training has not seen, and with missing values, is part of
/// its meaning and stated here.
public enum RecipeStep: Sendable, Equatable {
    /// Leaves columns out. Columns that aren't there are an error when the recipe is fitted.
    case drop([String])
    /// Fills missing values in. Mean and median are for numbers (and dates); a column without any training value is left
    /// out. With `indicator`, a column `NAME (missing)` of 0 and 1 is added where training had missing values.
    case impute(ColumnSelection, with: ImputeRule, value: String? = nil, indicator: Bool = false)
    /// Limits numbers: to fixed limits, or with `quantiles` to quantiles (0 … 1) of the training rows.
    case clip(ColumnSelection, low: Double?, high: Double?, quantiles: Bool = false)
    /// Scales numbers; missing ones stay missing. A constant column becomes 0.
    case scale(ColumnSelection, ScaleRule)
    /// sign(x) · ln(1 + |x|), which is defined for all numbers.
    case log(ColumnSelection)
    /// Numbers into a category of `count` ranges; values outside of the training range go to the outer bins.
    case bin(ColumnSelection, count: Int, by: BinRule = .quantile)
    /// Levels rarer than a share (and a count) of the training rows become one, `(rare)`; unseen levels go there too
    /// when there is one.
    case rare(ColumnSelection, minimumShare: Double, minimumCount: Int = 1)
    /// A column of 0 and 1 for each level, most frequent first. Missing values have a column of their own when training
    /// had some. Unseen levels are 0 in all columns. With `limit` above 0, only the most frequent levels have columns.
    case oneHot(ColumnSelection, limit: Int = 0)
    /// The position of the level in the order given, or sorted; unseen levels and missing values are missing.
    case ordinal(ColumnSelection, order: [String] = [])
    /// `buckets` columns of 0 and 1, one of them by a hash of column and level; unseen levels are nothing special,
    /// missing values are 0 in all columns.
    case hash(ColumnSelection, buckets: Int)
    /// Categories of more than `buckets` levels become a category of `buckets` levels by a hash of column and level, in
    /// which unseen levels are nothing special; others stay. Missing values stay missing.
    case bucket(ColumnSelection, buckets: Int)
    /// The mean of the target for each level, shrunk towards the mean of all by `smoothing` rows. Training rows get
    /// means from which their own fold is left out. Unseen levels get the mean of all, missing values a level's mean of
    /// their own.
    case target(ColumnSelection, smoothing: Double = 20, folds: Int = 5)
    /// Dates to numbers, in UTC; missing dates are missing in each.
    case dates(ColumnSelection, parts: [DatePart])
    /// Words of texts to sparse columns: of a vocabulary of the most frequent (in at least `minimumTexts` texts), or,
    /// with `hashed` above 0, of as many buckets. Unseen words are left out (vocabulary) or share a bucket.
    case text(
        ColumnSelection, vocabulary: Int = 20_000, hashed: Int = 0, weights: TextWeights = .tfidf,
        minimumTexts: Int = 2, longestNgram: Int = 1)
    /// Texts that list events, the oldest first, to the numbers of the newest `length` of them, for networks that read
    /// sequences. Unseen events, and those seen less than `minimumCount` times, share a number.
    case sequence(ColumnSelection, length: Int = 50, minimumCount: Int = 2, separator: String = " ")
}

extension RecipeStep: Codable {
    private enum Name: String, CodingKey, CaseIterable {
        case drop, impute, clip, scale, log, bin, rare, hash, target, dates, text, sequence
        case ordinal, bucket
        case oneHot = "one-hot"
    }

    private enum Key: String, CodingKey {
        case columns, with, value, indicator, low, high, quantiles, bins, by, limit, order, buckets, smoothing, folds
        case parts, vocabulary, hashed, weights, ngrams, length, separator
        case minimumShare = "minimum-share"
        case minimumCount = "minimum-count"
        case minimumTexts = "minimum-texts"
    }

    /// Any key, to find those that mean nothing.
    private struct AnyKey: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    public init(from decoder: any Decoder) throws {
        let outer = try decoder.container(keyedBy: Name.self)
        guard outer.allKeys.count == 1, let name = outer.allKeys.first else {
            throw DataError(
                "every step of a recipe has one name, one of \(Name.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        if name == .drop {
            self = .drop(try outer.decode([String].self, forKey: .drop))
            return
        }
        let own = try outer.nestedContainer(keyedBy: Key.self, forKey: name)
        let keys = try outer.nestedContainer(keyedBy: AnyKey.self, forKey: name).allKeys
        if let unknown = keys.first(where: { Key(rawValue: $0.stringValue) == nil }) {
            throw DataError("step \(name.rawValue) has no parameter '\(unknown.stringValue)'")
        }
        func get<Value: Decodable>(_ key: Key, _ usual: Value) throws -> Value {
            try own.decodeIfPresent(Value.self, forKey: key) ?? usual
        }
        func columns(_ usual: ColumnSelection) throws -> ColumnSelection { try get(.columns, usual) }
        switch name {
        case .drop: self = .drop([])
        case .impute:
            let text = try? own.decodeIfPresent(String.self, forKey: .value)
            let number = try? own.decodeIfPresent(Double.self, forKey: .value)
            self = .impute(
                try columns(.numbers), with: try own.decode(ImputeRule.self, forKey: .with),
                value: text ?? number.map { Column.text($0) }, indicator: try get(.indicator, false))
        case .clip:
            self = .clip(
                try columns(.numbers), low: try own.decodeIfPresent(Double.self, forKey: .low),
                high: try own.decodeIfPresent(Double.self, forKey: .high), quantiles: try get(.quantiles, false))
        case .scale: self = .scale(try columns(.numbers), try get(.with, ScaleRule.standard))
        case .log: self = .log(try columns(.numbers))
        case .bin: self = .bin(try columns(.numbers), count: try get(.bins, 10), by: try get(.by, BinRule.quantile))
        case .rare:
            self = .rare(
                try columns(.categories), minimumShare: try get(.minimumShare, 0.01),
                minimumCount: try get(.minimumCount, 1))
        case .oneHot: self = .oneHot(try columns(.categories), limit: try get(.limit, 0))
        case .ordinal: self = .ordinal(try columns(.categories), order: try get(.order, []))
        case .hash: self = .hash(try columns(.categories), buckets: try get(.buckets, 256))
        case .bucket: self = .bucket(try columns(.categories), buckets: try get(.buckets, 1 << 16))
        case .target:
            self = .target(
                try columns(.categories), smoothing: try get(.smoothing, 20), folds: try get(.folds, 5))
        case .dates:
            self = .dates(try columns(.dates), parts: try get(.parts, [.year, .month, .weekday, .days]))
        case .text:
            self = .text(
                try columns(.texts), vocabulary: try get(.vocabulary, 20_000), hashed: try get(.hashed, 0),
                weights: try get(.weights, TextWeights.tfidf), minimumTexts: try get(.minimumTexts, 2),
                longestNgram: try get(.ngrams, 1))
        case .sequence:
            self = .sequence(
                try columns(.texts), length: try get(.length, 50), minimumCount: try get(.minimumCount, 2),
                separator: try get(.separator, " "))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var outer = encoder.container(keyedBy: Name.self)
        func put(_ name: Name, _ columns: ColumnSelection) throws -> KeyedEncodingContainer<Key> {
            var own = outer.nestedContainer(keyedBy: Key.self, forKey: name)
            try own.encode(columns, forKey: .columns)
            return own
        }
        switch self {
        case .drop(let names): try outer.encode(names, forKey: .drop)
        case .impute(let columns, let rule, let value, let indicator):
            var own = try put(.impute, columns)
            try own.encode(rule, forKey: .with)
            try own.encodeIfPresent(value, forKey: .value)
            if indicator { try own.encode(indicator, forKey: .indicator) }
        case .clip(let columns, let low, let high, let quantiles):
            var own = try put(.clip, columns)
            try own.encodeIfPresent(low, forKey: .low)
            try own.encodeIfPresent(high, forKey: .high)
            if quantiles { try own.encode(quantiles, forKey: .quantiles) }
        case .scale(let columns, let rule):
            var own = try put(.scale, columns)
            try own.encode(rule, forKey: .with)
        case .log(let columns): _ = try put(.log, columns)
        case .bin(let columns, let count, let rule):
            var own = try put(.bin, columns)
            try own.encode(count, forKey: .bins)
            try own.encode(rule, forKey: .by)
        case .rare(let columns, let share, let count):
            var own = try put(.rare, columns)
            try own.encode(share, forKey: .minimumShare)
            try own.encode(count, forKey: .minimumCount)
        case .oneHot(let columns, let limit):
            var own = try put(.oneHot, columns)
            if limit > 0 { try own.encode(limit, forKey: .limit) }
        case .ordinal(let columns, let order):
            var own = try put(.ordinal, columns)
            if !order.isEmpty { try own.encode(order, forKey: .order) }
        case .hash(let columns, let buckets):
            var own = try put(.hash, columns)
            try own.encode(buckets, forKey: .buckets)
        case .bucket(let columns, let buckets):
            var own = try put(.bucket, columns)
            try own.encode(buckets, forKey: .buckets)
        case .target(let columns, let smoothing, let folds):
            var own = try put(.target, columns)
            try own.encode(smoothing, forKey: .smoothing)
            try own.encode(folds, forKey: .folds)
        case .dates(let columns, let parts):
            var own = try put(.dates, columns)
            try own.encode(parts, forKey: .parts)
        case .text(let columns, let vocabulary, let hashed, let weights, let minimumTexts, let ngrams):
            var own = try put(.text, columns)
            if hashed > 0 {
                try own.encode(hashed, forKey: .hashed)
            } else {
                try own.encode(vocabulary, forKey: .vocabulary)
                try own.encode(minimumTexts, forKey: .minimumTexts)
            }
            try own.encode(weights, forKey: .weights)
            if ngrams > 1 { try own.encode(ngrams, forKey: .ngrams) }
        case .sequence(let columns, let length, let minimumCount, let separator):
            var own = try put(.sequence, columns)
            try own.encode(length, forKey: .length)
            try own.encode(minimumCount, forKey: .minimumCount)
            try own.encode(separator, forKey: .separator)
        }
    }
}
