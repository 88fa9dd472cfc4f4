import Core
import FoundationEssentials

/// The value of a parameter by name, as `compare`, `tune` and configuration files give it.
public enum ParameterValue: Codable, Sendable, Equatable {
    case flag(Bool)
    case number(Double)
    case text(String)
    case list([ParameterValue])

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let flag = try? container.decode(Bool.self) {
            self = .flag(flag)
        } else if let number = try? container.decode(Double.self) {
            self = .number(number)
        } else if let text = try? container.decode(String.self) {
            self = .text(text)
        } else {
            self = .list(try container.decode([ParameterValue].self))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .flag(let flag): try container.encode(flag)
        case .number(let number):
            // Whole numbers without a point, so that they are read back as integers.
            if let whole = Int64(exactly: number) {
                try container.encode(whole)
            } else {
                try container.encode(number)
            }
        case .text(let text): try container.encode(text)
        case .list(let values): try container.encode(values)
        }
    }

    /// The value that a text on the command line means.
    public init(_ text: String) {
        if text == "true" || text == "false" {
            self = .flag(text == "true")
        } else if let number = Double(text), number.isFinite {
            self = .number(number)
        } else {
            self = .text(text)
        }
    }

    /// The text for people.
    public var text: String {
        switch self {
        case .flag(let flag): flag ? "true" : "false"
        case .number(let number): Int64(exactly: number).map { String($0) } ?? "\(number)"
        case .text(let text): text
        case .list(let values): values.map(\.text).joined(separator: ",")
        }
    }
}

/// A parameter that `tune` varies, and over which values.
public struct SearchDimension: Sendable {
    public enum Values: Sendable {
        /// Numbers of a range; on a logarithmic scale every factor is as likely.
        case range(low: Double, high: Double, logarithmic: Bool, whole: Bool)
        /// One of several.
        case choices([ParameterValue])
    }

    /// The parameter, as the learner's configuration names it.
    public let name: String
    public let values: Values

    public init(_ name: String, _ values: Values) {
        self.name = name
        self.values = values
    }

    /// Numbers of a range.
    public static func range(
        _ name: String, _ low: Double, _ high: Double, logarithmic: Bool = false, whole: Bool = false
    ) -> SearchDimension {
        SearchDimension(name, .range(low: low, high: high, logarithmic: logarithmic, whole: whole))
    }

    /// One of several values.
    public static func choices(_ name: String, _ values: [ParameterValue]) -> SearchDimension {
        SearchDimension(name, .choices(values))
    }

    /// The value at a place in [0, 1] along the dimension.
    public func value(at place: Double) -> ParameterValue {
        let place = min(max(place, 0), 1)
        switch values {
        case .range(let low, let high, let logarithmic, let whole):
            var value = logarithmic ? low * power(high / low, place) : low + (high - low) * place
            if whole { value = value.rounded() }
            return .number(value)
        case .choices(let choices):
            return choices[min(Int(place * Double(choices.count)), choices.count - 1)]
        }
    }
}

extension SupervisedLearner {
    /// All parameters with their values, by name.
    public func parameters() throws -> [String: ParameterValue] {
        try JSONDecoder().decode([String: ParameterValue].self, from: JSONEncoder().encode(self))
    }

    /// The same learner with other values of some parameters.
    /// Throws ``ParameterError`` for a name that it does not have, and for values that it can't take.
    public func setting(_ changes: [String: ParameterValue]) throws -> Self {
        guard !changes.isEmpty else { return self }
        var all = try parameters()
        for (name, value) in changes.sorted(by: { $0.key < $1.key }) {
            guard Self.parameterNames.contains(name) || all[name] != nil else {
                let names = Set(all.keys).union(Self.parameterNames).sorted()
                throw ParameterError(
                    "\(Self.kind) \(name)", "there is no such parameter; there are \(names.joined(separator: ", "))")
            }
            all[name] = value
        }
        do {
            let changed = try JSONDecoder().decode(Self.self, from: JSONEncoder().encode(all))
            try changed.validate()
            return changed
        } catch let error as DecodingError {
            var place = ""
            if case .typeMismatch(_, let context) = error { place = context.codingPath.last?.stringValue ?? "" }
            if case .dataCorrupted(let context) = error { place = context.codingPath.last?.stringValue ?? "" }
            throw ParameterError(
                "\(Self.kind) \(place)", "can't be \(place.isEmpty ? "so" : all[place]?.text ?? "so")")
        }
    }

    public static var parameterNames: Set<String> { Set(searchSpace.map(\.name)) }
}
